/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob.c - body files: `blobs/xx/<id>.<account>`, xx = the id's first byte, all in hexadecimal.
 *
 * Names are made in a batch's prepare and removed after a commit, both by the partition's one
 * committer, so a name can not lose its last row and get a new one at the same time.
 */
#include "base/encode.h"
#include "base/num.h"
#include "service/store/store_int.h"
#include "sys/crash.h"
#include "sys/fs.h"
#include "sys/rand.h"
#include "sys/sha256.h"
#include <fcntl.h>

#define SWEEP_DONE 256

static int folder_path(struct store *s, unsigned n, char *buf, struct fail *why)
{
	int len = snprintf(buf, BLOB_PATH_MAX, "%s/%02x", s->o.blobs, n);
	if (len < 0 || len >= BLOB_PATH_MAX - 64)
		return fail_set(why, FAIL_LIMIT, NULL, "path of the blob tree is too long");
	return 0;
}

int blob_path(struct store *s, const struct body_name *n, char *buf, struct fail *why)
{
	AUTO(buf) struct buf hex = BUF_INIT(64);
	hex_encode(&hex, str_make((const char *)n->id, sizeof n->id));
	int len = snprintf(buf, BLOB_PATH_MAX, "%s/%02x/%s.%llx", s->o.blobs, n->id[0], buf_c(&hex),
			   (unsigned long long)n->account.v);
	if (len < 0 || len >= BLOB_PATH_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "path of the blob tree is too long");
	return 0;
}

/* Folders are made when a body first needs them. */
static int make_folder(struct store *s, unsigned n, struct fail *why)
{
	char path[BLOB_PATH_MAX];
	int r = folder_path(s, n, path, why);
	return r < 0 ? r : fs_mkdir_all(s->fs, path, 0770, why);
}

/* ---- making a body ------------------------------------------------------------------------- */

void store_body_clear(struct store_body *b)
{
	if (b->fd >= 0)
		(void)close(b->fd);
	*b = STORE_BODY_INIT;
}

static int own_fd(const struct fs_file *f, int *ret, struct fail *why)
{
	int fd = fcntl(fs_file_fd(f), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return fail_errno(why, FAIL_LIMIT, "a descriptor for a body");
	*ret = fd;
	return 0;
}

int store_body_create(struct store *s, uint64_t size_hint, struct store_body *ret, struct fail *why)
{
	(void)size_hint;
	struct store_body b = STORE_BODY_INIT;
	rand_bytes(b.id, sizeof b.id);
	char path[BLOB_PATH_MAX];
	int r = folder_path(s, b.id[0], path, why);
	if (r < 0)
		return r;
	AUTO(fs_file) struct fs_file *f = NULL;
	r = fs_open(s->fs, path, FS_READ | FS_WRITE | FS_NAMELESS, 0660, &f, why);
	if (r == -FAIL_NOTFOUND && (r = make_folder(s, b.id[0], why)) == 0)
		r = fs_open(s->fs, path, FS_READ | FS_WRITE | FS_NAMELESS, 0660, &f, why);
	if (r < 0 || (r = own_fd(f, &b.fd, why)) < 0)
		return r;
	CRASH_POINT("store.body-opened");
	*ret = b;
	return 0;
}

int store_body_seal(struct store *s, struct store_body *b, struct fail *why)
{
	struct fs_file writable = {s->fs, b->fd};
	AUTO(fs_file) struct fs_file *f = NULL;
	int r = fs_reopen_readonly(&writable, &f, why);
	if (r < 0)
		return r;
	struct store_body sealed = *b;
	if ((r = sha256_of_file(f, sealed.sha256, &sealed.size, why)) < 0 ||
	    (r = own_fd(f, &sealed.fd, why)) < 0)
		return r;
	sealed.sealed = true;
	store_body_clear(b);
	*b = sealed;
	CRASH_POINT("store.body-sealed");
	return 0;
}

/* ---- linking ------------------------------------------------------------------------------- */

static int verify(struct fs_file *f, const struct store_body *b, struct fail *why)
{
	unsigned char sum[32];
	uint64_t size;
	int r = sha256_of_file(f, sum, &size, why);
	if (r < 0)
		return r;
	if (size != b->size || memcmp(sum, b->sha256, sizeof sum) != 0)
		return fail_set(why, FAIL_CORRUPT, NULL,
				"a body changed after it was sealed: %llu bytes, were %llu",
				(unsigned long long)size, (unsigned long long)b->size);
	return 0;
}

static int link_body(struct store *s, struct store_job *job, const struct store_content *c,
		     struct fail *why)
{
	struct body_name name = {.account = job->account};
	memcpy(name.id, c->file->id, sizeof name.id);
	char path[BLOB_PATH_MAX];
	struct fs_file f = {s->fs, c->file->fd};
	int r = blob_path(s, &name, path, why);
	if (r < 0 || (c->verify && (r = verify(&f, c->file, why)) < 0) ||
	    (r = fs_datasync(&f, why)) < 0)
		return r;
	r = fs_link(&f, path, why);
	if (r == -FAIL_NOTFOUND && (r = make_folder(s, name.id[0], why)) == 0)
		r = fs_link(&f, path, why);
	CRASH_POINT("store.body-linked");
	return r == -FAIL_EXISTS ? 0 : r; /* another recipient of the same account */
}

int blob_prepare(struct store *s, struct store_job *job, bool folders[256], struct fail *why)
{
	for (size_t i = 0; i < job->n_contents; i++) {
		const struct store_content *c =
			(const void *)((const char *)job->contents + i * job->content_stride);
		int r = content_check(c, why);
		if (r < 0)
			return r;
		if (!c->file)
			continue;
		job->linked = true;
		r = link_body(s, job, c, why);
		if (r < 0)
			return r;
		folders[c->file->id[0]] = true;
	}
	return 0;
}

/*
 * Who made a folder syncs its name, but may not have come to it yet, or have died before: queue, or
 * the user process before this one. So each folder's name is synced once by whoever uses it.
 */
static int keep_folders(struct store *s, const bool folders[256], struct fail *why)
{
	bool all = true;
	for (unsigned i = 0; i < 256 && all; i++)
		all = !folders[i] || atomic_load(&s->folder_kept[i]);
	int r = all ? 0 : fs_sync_dir(s->fs, s->o.blobs, why);
	for (unsigned i = 0; i < 256 && r == 0; i++)
		if (folders[i])
			atomic_store(&s->folder_kept[i], true);
	return r;
}

int blob_sync_folders(struct store *s, const bool folders[256], struct fail *why)
{
	char path[BLOB_PATH_MAX];
	for (unsigned i = 0; i < 256; i++) {
		if (!folders[i])
			continue;
		int r = folder_path(s, i, path, why);
		if (r < 0 || (r = fs_sync_dir(s->fs, path, why)) < 0)
			return r;
	}
	return keep_folders(s, folders, why);
}

/* ---- opening ------------------------------------------------------------------------------- */

int blob_open(struct store *s, const struct body_name *n, int *ret_fd, struct fail *why)
{
	char path[BLOB_PATH_MAX];
	AUTO(fs_file) struct fs_file *f = NULL;
	int r = blob_path(s, n, path, why);
	if (r < 0 || (r = fs_open(s->fs, path, FS_READ | FS_NOFOLLOW, 0, &f, why)) < 0)
		return r;
	return own_fd(f, ret_fd, why);
}

int blob_verify_size(struct store *s, const struct body_name *n, uint64_t size, struct fail *why)
{
	char path[BLOB_PATH_MAX];
	struct fs_stat st;
	int r = blob_path(s, n, path, why);
	if (r < 0 || (r = fs_stat(s->fs, path, &st, why)) < 0)
		return r;
	if (st.size != size)
		return fail_set(why, FAIL_CORRUPT, NULL, "%s has %llu bytes instead of %llu", path,
				(unsigned long long)st.size, (unsigned long long)size);
	return 0;
}

/* ---- removing ------------------------------------------------------------------------------ */

/* A name that could not be removed is found by the next sweep. */
void blob_unlink_unused(struct tx *tx)
{
	if (tx->unlinks.n > 0 && tx->s->keep_bodies > 0) {
		tx->s->kept_some = true;
		return;
	}
	for (size_t i = 0; i < tx->unlinks.n; i++) {
		const struct body_name *n = &tx->unlinks.p[i];
		struct row_body row;
		char path[BLOB_PATH_MAX];
		if (tx->ops->body_find_file(tx->e, n->account, n->id, &row, NULL) != 0 ||
		    blob_path(tx->s, n, path, NULL) < 0)
			continue;
		CRASH_POINT("store.before-unlink");
		if (fs_unlink(tx->s->fs, path, NULL) == 0)
			tx->s->counts.swept++;
		CRASH_POINT("store.after-unlink");
	}
}

struct sweep {
	struct store *s;
	VEC(struct body_name) names;
};

/* "<32 hex>.<account hex>"; queue's "<32 hex>.q" is none of ours. */
static bool parse_name(struct str text, struct body_name *ret)
{
	AUTO(buf) struct buf id = BUF_INIT(16);
	uint64_t account;
	if (text.n < 34 || text.p[32] != '.' || hex_decode(&id, str_sub(text, 0, 32)) < 0 ||
	    id.n != 16 || !num_parse_hex_u64(str_skip(text, 33), &account))
		return false;
	memcpy(ret->id, id.p, 16);
	ret->account.v = account;
	return true;
}

static int take_name(void *arg, const char *text, enum fs_kind kind)
{
	struct sweep *w = arg;
	struct body_name n;
	struct part *p;
	if (kind == FS_KIND_FOLDER || !parse_name(str_c(text), &n) ||
	    part_of(w->s, n.account, &p, NULL) < 0)
		return 0;
	*vec_push(&w->names) = n;
	return 0;
}

struct sweep_job {
	struct store_job job;
	const struct sweep *w;
	struct part *part;
};

/* Only collects: after the commit, each name without a row goes. */
static int apply_sweep(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct sweep_job *sj = CONTAINER_OF(job, struct sweep_job, job);
	(void)why;
	for (size_t i = 0; i < sj->w->names.n; i++) {
		struct part *p;
		if (part_of(tx->s, sj->w->names.p[i].account, &p, NULL) == 0 && p == sj->part)
			*vec_push(&tx->unlinks) = sj->w->names.p[i];
	}
	return 0;
}

static int sweep_part(void *arg, struct part *p, struct fail *why)
{
	struct sweep_job sj = {.job = {.apply = apply_sweep}, .w = arg, .part = p};
	return job_run_in(p, &sj.job, why);
}

int blob_sweep(struct store *s, struct fail *why)
{
	unsigned at = s->sweep_at;
	if (at >= SWEEP_DONE || s->o.per_account || s->keep_bodies > 0)
		return 0;
	struct sweep w = {.s = s};
	char path[BLOB_PATH_MAX];
	int r = folder_path(s, at, path, why);
	if (r == 0)
		r = fs_list(s->fs, path, take_name, &w, why);
	if (r == -FAIL_NOTFOUND)
		r = 0;
	if (r >= 0 && w.names.n > 0)
		r = part_every(s, sweep_part, &w, why);
	vec_clear(&w.names);
	if (r < 0)
		return r;
	(void)atomic_compare_exchange_strong(&s->sweep_at, &at, at + 1);
	return 1;
}
