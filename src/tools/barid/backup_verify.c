/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a repository through: each block, each body, each database, each reference.
 */
#include "base/check.h"
#include "base/encode.h"
#include "base/map.h"
#include "base/text.h"
#include "service/dir/dir_archive.h"
#include "service/spool/spool_archive.h"
#include "service/store/archive.h"
#include "tools/barid/backup.h"
#include "tools/barid/progress.h"
#include <stdio.h>
#include <unistd.h>

struct verify {
	struct repo *repo;
	bool repair;
	struct progress progress;
	size_t damaged;
	struct strmap bodies; /* hash to itself: read already; NULL value is not possible */
	struct strmap wrong;  /* those that are damaged */
	struct arena keys;
	/* of the generation at hand */
	const struct repo_generation *g;
	struct strmap listed; /* bodies by "<id><account>" */
	const char *file;
	char directory[REPO_PATH_MAX];
};

void blob_name(const char *state, const struct repo_body *b, char path[4200])
{
	AUTO(buf) struct buf hex = BUF_INIT(64);
	char suffix[24] = "q";
	(void)hex_encode(&hex, str_make((const char *)b->id, sizeof b->id));
	if (b->account)
		(void)snprintf(suffix, sizeof suffix, "%llx", (unsigned long long)b->account);
	(void)snprintf(path, 4200, "%s/blob/%.2s/%s.%s", state, buf_c(&hex), buf_c(&hex), suffix);
}

/* Whom it concerns, by name where the generation's directory knows it. */
static void tell(struct verify *v, uint64_t account, const char *what)
{
	char address[324] = "";
	progress_end(&v->progress);
	v->damaged++;
	if (account && v->directory[0])
		dir_archive_address(v->directory, (struct account_id){account}, address);
	if (account && !address[0] && v->g->account == account)
		(void)snprintf(address, sizeof address, "%s", v->g->address);
	if (account)
		(void)printf("%s: account %llu %s: %s\n", v->g->name, (unsigned long long)account,
			     address, what);
	else
		(void)printf("%s: %s\n", v->g->name, what);
}

/* --- bodies
 * ------------------------------------------------------------------------------------------ */

static bool body_is_good(struct verify *v, const struct repo_body *b, struct fail *why)
{
	struct str key = str_make((const char *)b->hash.b, sizeof b->hash.b);
	if (strmap_get(&v->bodies, key)) {
		(void)fail_set(why, FAIL_CORRUPT, NULL, "its body is damaged or missing");
		return !strmap_get(&v->wrong, key);
	}
	struct str kept = arena_str(&v->keys, key);
	(void)strmap_put(&v->bodies, kept, v);
	int r = repo_check_body(v->repo, &b->hash, b->size, why);
	progress_add(&v->progress, b->size);
	if (r == 0)
		return true;
	(void)strmap_put(&v->wrong, kept, v);
	if (v->repair && r == -FAIL_CORRUPT)
		repo_discard(v->repo, &b->hash, true);
	return false;
}

static void check_bodies(struct verify *v)
{
	for (size_t i = 0; i < v->g->bodies.n; i++) {
		const struct repo_body *b = &v->g->bodies.p[i];
		struct fail why = FAIL_INIT;
		if (!body_is_good(v, b, &why))
			tell(v, b->account, why.detail);
		/* id and account stand side by side in the list's row */
		_Static_assert(offsetof(struct repo_body, account) ==
				       offsetof(struct repo_body, id) + 16,
			       "a key is a piece of the row");
		(void)strmap_put(&v->listed, str_make((const char *)b->id, 24), v);
	}
}

static bool is_listed(const struct verify *v, const unsigned char id[16], uint64_t account)
{
	unsigned char key[24];
	memcpy(key, id, 16);
	memcpy(key + 16, &account, 8);
	return strmap_get(&v->listed, str_make((const char *)key, sizeof key)) != NULL;
}

/* --- databases
 * ------------------------------------------------------------------------------------------ */

static void bad_row(void *arg, struct account_id account, const char *what)
{
	struct verify *v = arg;
	char text[400];
	(void)snprintf(text, sizeof text, "%s: %s", v->file, what);
	tell(v, account.v, text);
}

static int file_is_listed(void *arg, const struct store_archive_file *f)
{
	struct verify *v = arg;
	if (!is_listed(v, f->id, f->account.v))
		tell(v, f->account.v, T("a message's body is not in the backup"));
	return 0;
}

static int spool_file_is_listed(void *arg, const struct spool_archive_file *f)
{
	struct verify *v = arg;
	if (!is_listed(v, f->id, 0))
		tell(v, 0, T("the body of a message in the queue is not in the backup"));
	return 0;
}

static int check_partition(struct verify *v, const char *path, struct fail *why)
{
	AUTO(store_archive) struct store_archive *a = NULL;
	int r = store_archive_open(path, STORE_ARCHIVE_PRIVATE, &a, why);
	if (r < 0 || (r = store_archive_check(a, bad_row, v, why)) < 0)
		return r;
	return store_archive_files(a, (struct account_id){0}, file_is_listed, v, why);
}

static int check_spool(struct verify *v, const char *path, struct fail *why)
{
	AUTO(spool_archive) struct spool_archive *a = NULL;
	int r = spool_archive_open(path, false, &a, why);
	if (r < 0 || (r = spool_archive_check(a, why)) < 0)
		return r;
	return spool_archive_files(a, spool_file_is_listed, v, why);
}

static void discard_blocks(struct verify *v, const struct repo_file *f)
{
	AUTO(buf) struct buf plain = BUF_INIT(REPO_BLOCK + 64);
	for (size_t i = 0; i < f->n; i++) {
		const struct repo_hash *h = &v->g->blocks.p[f->first + i];
		if (repo_get_block(v->repo, h, &plain, NULL) < 0)
			repo_discard(v->repo, h, false);
	}
}

static void check_file(struct verify *v, const struct repo_file *f, const char *path)
{
	struct fail why = FAIL_INIT;
	char text[500];
	v->file = f->name;
	int r = repo_extract(v->repo, v->g, f, path, &why);
	if (r < 0 && v->repair)
		discard_blocks(v, f);
	if (r == 0 && str_starts(str_c(f->name), STR("store/part-")))
		r = check_partition(v, path, &why);
	else if (r == 0 && strcmp(f->name, "spool/spool.db") == 0)
		r = check_spool(v, path, &why);
	else if (r == 0 && strcmp(f->name, "dir/vmail.db") == 0)
		r = dir_archive_check(path, &why);
	progress_add(&v->progress, f->size);
	if (r == 0)
		return;
	(void)snprintf(text, sizeof text, "%s: %s", f->name, why.detail);
	tell(v, 0, text);
}

static void check_files(struct verify *v)
{
	char path[REPO_PATH_MAX];
	const struct repo_file *dir = repo_find(v->g, "dir/vmail.db");
	v->directory[0] = '\0';
	repo_temp(v->repo, "verify-vmail.db", path);
	if (dir && repo_extract(v->repo, v->g, dir, path, NULL) == 0)
		memcpy(v->directory, path, sizeof path);
	check_bodies(v);
	for (size_t i = 0; i < v->g->files.n; i++) {
		repo_temp(v->repo, "verify", path);
		check_file(v, &v->g->files.p[i], path);
		(void)unlink(path);
	}
	if (v->directory[0])
		(void)unlink(v->directory);
}

/* --- generations
 * ------------------------------------------------------------------------------------------ */

static void check_generation(struct verify *v, const char *name)
{
	struct fail why = FAIL_INIT;
	AUTO(repo_generation) struct repo_generation g = {0};
	if (repo_read(v->repo, name, &g, &why) < 0) {
		v->damaged++;
		(void)printf("%s: %s\n", name, why.public[0] ? why.public : why.detail);
		return;
	}
	v->g = &g;
	for (size_t i = 0; i < g.bodies.n; i++)
		v->progress.total += g.bodies.p[i].size;
	for (size_t i = 0; i < g.files.n; i++)
		v->progress.total += g.files.p[i].size;
	check_files(v);
	for (size_t i = 0; i < g.bad.n; i++) {
		v->damaged++;
		(void)printf(T("%s: was not there when the backup was made: %s\n"), name,
			     g.bad.p[i]);
	}
	strmap_clear(&v->listed);
}

int backup_verify(const char *dir, const char *generation, bool repair)
{
	struct fail why = FAIL_INIT;
	struct verify v = {.repair = repair, .keys = ARENA_INIT(MIB(512))};
	AUTO(repo_names) struct repo_names names = {0};
	size_t checked = 0;
	if (repo_open(dir, repair, false, &v.repo, &why) < 0 ||
	    repo_list(v.repo, &names, &why) < 0) {
		repo_close(v.repo);
		return tool_complain(&why);
	}
	progress_begin(&v.progress, "bytes", 0);
	for (size_t i = 0; i < names.n; i++)
		if (!generation || strcmp(generation, names.p[i]) == 0) {
			check_generation(&v, names.p[i]);
			checked++;
		}
	progress_end(&v.progress);
	strmap_clear(&v.bodies);
	strmap_clear(&v.wrong);
	arena_clear(&v.keys);
	repo_close(v.repo);
	if (checked == 0) {
		(void)fputs(T("There is no such generation.\n"), stderr);
		return EXIT_FAILED;
	}
	if (v.damaged == 0)
		(void)printf(T("%zu generations are whole (%.1f s).\n"), checked,
			     progress_seconds(&v.progress));
	else
		(void)printf(T("%zu damages are named above.%s\n"), v.damaged,
			     repair ? T(" The next backup writes again what the server still has.")
				    : "");
	return v.damaged ? EXIT_INCOMPLETE : EXIT_DONE;
}

/* --- choosing
 * ------------------------------------------------------------------------------------------ */

int backup_choose(struct repo *repo, const char *name, const char *address,
		  struct repo_generation *ret, struct fail *why)
{
	AUTO(repo_names) struct repo_names names = {0};
	int r = repo_list(repo, &names, why);
	if (r < 0 || name)
		return r < 0 ? r : repo_read(repo, name, ret, why);
	for (size_t i = names.n; i-- > 0;) {
		r = repo_read(repo, names.p[i], ret, why);
		if (r < 0)
			continue; /* a damaged list: an older one may do */
		if (ret->account == 0 || (address && str_eqi(str_c(ret->address), str_c(address))))
			return 0;
		repo_generation_clear(ret);
	}
	return fail_set(why, FAIL_NOTFOUND, "No generation of this backup has that.", "%s",
			address ? address : "the server");
}
