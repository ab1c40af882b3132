/* SPDX-License-Identifier: Apache-2.0 */
/*
 * formats.c - files of earlier versions are brought forward when the store opens, not under a
 * session that waits; files of later ones are refused before anybody is served. The header tells:
 * a file of the present format is not opened for it, so thousands of files cost milliseconds each
 * hundred.
 */
#include "base/num.h"
#include "runtime/db/db.h"
#include "service/store/store_int.h"
#include "sys/fs.h"

/* The files of this process's partitions. They are opened when the list is complete: a file system
 * may not be called from within its own listing. */
struct looking {
	const struct store *s;
	VEC(char *) names;
};

/* "part-007.db", or "00000000000000ab.db" where each account has a file. */
static bool partition_of(const struct store *s, const char *name, uint64_t *ret)
{
	struct str n = str_c(name);
	if (!str_ends(n, STR(".db")))
		return false;
	n.n -= 3;
	if (s->o.per_account)
		return n.n == 16 && num_parse_hex_u64(n, ret);
	return str_starts(n, STR("part-")) && num_parse_u64(str_skip(n, 5), ret) &&
	       *ret < s->o.partitions;
}

static int take_name(void *arg, const char *name, enum fs_kind kind)
{
	struct looking *l = arg;
	uint64_t no;
	if (kind == FS_KIND_FILE && partition_of(l->s, name, &no) &&
	    no % l->s->o.shards == l->s->o.shard)
		*vec_push(&l->names) = xstrdup(name);
	return 0;
}

static int bring_forward(struct store *s, const char *name, struct fail *why)
{
	char path[BLOB_PATH_MAX];
	uint32_t id = 0, version = 0;
	int n = snprintf(path, sizeof path, "%s/%s", s->o.root, name);
	if (n < 0 || (size_t)n >= sizeof path)
		return fail_set(why, FAIL_LIMIT, NULL, "path of a partition is too long");
	int r = db_peek(s->fs, path, &id, &version, why);
	if (r < 0 || (id == s->ops->application_id && version == s->ops->format))
		return r;
	struct engine_options o = {.fs = s->fs, .path = path, .cache_kib = s->o.cache_kib};
	struct engine *e = NULL;
	r = s->ops->open(&o, &e, why);
	if (r == 0)
		s->ops->close(e);
	return r;
}

int formats_bring_forward(struct store *s, struct fail *why)
{
	struct looking l = {.s = s};
	int r = s->ops->on_disk ? fs_list(s->fs, s->o.root, take_name, &l, why) : 0;
	for (size_t i = 0; i < l.names.n; i++) {
		if (r == 0)
			r = bring_forward(s, l.names.p[i], why);
		free(l.names.p[i]);
	}
	vec_clear(&l.names);
	return r;
}
