/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid restore DIR [--generation G] [--hold-queue] [--keep-uidvalidity]
 * barid restore DIR --account A [--mailbox M] [--into NAME | --in-place] [--generation G]
 *
 * The first puts a whole server into an empty state folder, the second mailboxes into a running
 * server (restore_account.c). What changes on the way, and why: docs/adr/0018.
 */
#include "tools/barid/restore.h"
#include "base/check.h"
#include "base/map.h"
#include "base/text.h"
#include "service/spool/spool_archive.h"
#include "service/store/archive.h"
#include "sys/clock.h"
#include "sys/rand.h"
#include "tools/barid/options.h"
#include "tools/barid/progress.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A server does not start on a folder that has it. */
#define MARK "restoring"

struct whole {
	const struct restore *o;
	struct repo *repo;
	struct repo_generation g;
	struct progress progress;
	struct strmap ids; /* body id to its row: other names of one body are links */
	unsigned char epoch[16];
	struct spool_archive *spool;
};

/* --- the folder
 * ------------------------------------------------------------------------------------------ */

static bool may_be_there(const char *name)
{
	static const char *const names[] = {".", "..", "lock", "lost+found", MARK};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Empty, or where an earlier restore was interrupted. */
static int check_folder(const char *state, struct fail *why)
{
	char mark[4300];
	(void)snprintf(mark, sizeof mark, "%s/" MARK, state);
	if (mkdir(state, 0711) < 0 && errno != EEXIST)
		return fail_errno(why, FAIL_IO, "cannot make %s", state);
	DIR *d = opendir(state);
	if (!d)
		return fail_errno(why, FAIL_IO, "cannot read %s", state);
	bool empty = true;
	for (struct dirent *e; (e = readdir(d));)
		empty = empty && may_be_there(e->d_name);
	(void)closedir(d);
	if (!empty && access(mark, F_OK) < 0)
		return fail_set(
			why, FAIL_EXISTS,
			"The state folder is not empty: stop the server and move the folder "
			"away first.",
			"%s", state);
	AUTO_FD int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fsync(fd) < 0)
		return fail_errno(why, FAIL_IO, "cannot write %s", mark);
	return 0;
}

static int make_parents(char *path, struct fail *why)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		int r = mkdir(path, 0700);
		*at = '/';
		if (r < 0 && errno != EEXIST)
			return fail_errno(why, FAIL_IO, "cannot make the folder of %s", path);
	}
	return 0;
}

/* --- files
 * ------------------------------------------------------------------------------------------ */

/*
 * Of a restore that was interrupted. Its log too: it may hold an epoch that was given up, and would
 * be folded into the file that comes now.
 */
static void forget_earlier(const char *path)
{
	static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
	char name[4400];
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, endings[i]);
		(void)unlink(name);
	}
}

static int put_file(struct whole *w, const struct repo_file *f, struct fail *why)
{
	char path[4300];
	bool outside = str_starts(str_c(f->name), STR("etc/"));
	(void)snprintf(path, sizeof path, "%s/%s%s", w->o->state, outside ? "from-backup/" : "",
		       f->name);
	int r = make_parents(path, why);
	if (r < 0)
		return r;
	forget_earlier(path);
	r = repo_extract(w->repo, &w->g, f, path, why);
	if (r == 0 && chmod(path, f->mode) < 0)
		r = fail_errno(why, FAIL_IO, "cannot set the mode of %s", path);
	progress_add(&w->progress, f->size);
	return r;
}

static int copy_body(struct whole *w, const struct repo_body *b, const char *path, struct fail *why)
{
	char from[REPO_PATH_MAX];
	int r = repo_body_path(w->repo, &b->hash, from, why);
	if (r < 0)
		return r;
	AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	AUTO_FD int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
	if (in < 0 || out < 0)
		return fail_errno(why, FAIL_IO, "cannot make %s", path);
	if ((r = repo_copy(in, out, why)) < 0)
		return r;
	return fchmod(out, 0660) < 0 ? fail_errno(why, FAIL_IO, "mode of %s", path) : 0;
}

static int put_body(struct whole *w, const struct repo_body *b, struct fail *why)
{
	char path[4200], first[4200];
	struct str id = str_make((const char *)b->id, sizeof b->id);
	const struct repo_body *same = strmap_get(&w->ids, id);
	blob_name(w->o->state, b, path);
	int r = make_parents(path, why);
	if (r < 0)
		return r;
	(void)unlink(path);
	if (same) {
		blob_name(w->o->state, same, first);
		if (link(first, path) == 0)
			return 0;
	} else {
		(void)strmap_put(&w->ids, id, (void *)(uintptr_t)b);
	}
	return copy_body(w, b, path, why);
}

/*
 * A body that the backup lost is no reason to lose the rest. What is left of one that is damaged is
 * put back, too: its reader has more of that than of nothing, and it is named.
 */
static int put_bodies(struct whole *w, size_t *ret_lost, struct fail *why)
{
	for (size_t i = 0; i < w->g.bodies.n; i++) {
		const struct repo_body *b = &w->g.bodies.p[i];
		int checked = repo_check_body(w->repo, &b->hash, b->size, why);
		struct fail other = FAIL_INIT;
		int r = checked == 0 || checked == -FAIL_CORRUPT ? put_body(w, b, &other) : 0;
		if (r < 0)
			*why = other;
		if (checked < 0 && r == 0) {
			progress_end(&w->progress);
			(void)fprintf(stderr, "account %llu: %s\n", (unsigned long long)b->account,
				      why->detail);
			(*ret_lost)++;
		}
		if (r < 0)
			return r;
		progress_add(&w->progress, b->size);
	}
	return 0;
}

/* --- numbers
 * ------------------------------------------------------------------------------------------ */

static bool is_pending(void *arg, uint64_t number, uint64_t rcpt)
{
	struct whole *w = arg;
	return w->spool && spool_archive_pending(w->spool, number, rcpt);
}

static int raise_partition(struct whole *w, const char *name, struct fail *why)
{
	char path[4300];
	unsigned char none[16] = {0};
	AUTO(store_archive) struct store_archive *a = NULL;
	(void)snprintf(path, sizeof path, "%s/%s", w->o->state, name);
	int r = store_archive_open(path, STORE_ARCHIVE_PRIVATE, &a, why);
	if (r < 0)
		return r;
	struct store_archive_raise how = {.now = clock_wall(),
					  .old_spool =
						  w->spool ? spool_archive_epoch(w->spool) : none,
					  .new_spool = w->epoch,
					  .pending = is_pending,
					  .arg = w,
					  .keep_uidvalidity = w->o->keep_uidvalidity};
	return store_archive_raise(a, &how, why);
}

static int raise_all(struct whole *w, struct fail *why)
{
	char path[4300];
	int r = 0;
	rand_bytes(w->epoch, sizeof w->epoch);
	w->epoch[6] = (unsigned char)((w->epoch[6] & 0x0f) | 0x40); /* RFC 9562 5.4 */
	w->epoch[8] = (unsigned char)((w->epoch[8] & 0x3f) | 0x80);
	(void)snprintf(path, sizeof path, "%s/spool/spool.db", w->o->state);
	if (repo_find(&w->g, "spool/spool.db"))
		r = spool_archive_open(path, false, &w->spool, why);
	for (size_t i = 0; r == 0 && i < w->g.files.n; i++)
		if (str_starts(str_c(w->g.files.p[i].name), STR("store/part-")))
			r = raise_partition(w, w->g.files.p[i].name, why);
	if (r == 0 && w->spool)
		r = spool_archive_renew(w->spool, w->epoch, w->o->hold_queue, why);
	spool_archive_close(w->spool);
	w->spool = NULL;
	return r;
}

static int finish(struct whole *w, struct fail *why)
{
	char mark[4300];
	AUTO_FD int fd = open(w->o->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		return fail_errno(why, FAIL_IO, "cannot sync %s", w->o->state);
	(void)snprintf(mark, sizeof mark, "%s/" MARK, w->o->state);
	if (unlink(mark) < 0 || fsync(fd) < 0)
		return fail_errno(why, FAIL_IO, "cannot remove %s", mark);
	return 0;
}

/* --- the whole
 * ------------------------------------------------------------------------------------------ */

static int put_all(struct whole *w, size_t *ret_lost, struct fail *why)
{
	int r = check_folder(w->o->state, why);
	if (r < 0)
		return r;
	progress_begin(&w->progress, "bytes", 0);
	for (size_t i = 0; i < w->g.files.n; i++)
		w->progress.total += w->g.files.p[i].size;
	for (size_t i = 0; i < w->g.bodies.n; i++)
		w->progress.total += w->g.bodies.p[i].size;
	for (size_t i = 0; r == 0 && i < w->g.files.n; i++)
		r = put_file(w, &w->g.files.p[i], why);
	if (r == 0)
		r = put_bodies(w, ret_lost, why);
	if (r == 0)
		r = raise_all(w, why);
	if (r == 0)
		r = finish(w, why);
	progress_end(&w->progress);
	return r;
}

static int restore_whole(const struct restore *o)
{
	struct fail why = FAIL_INIT;
	struct whole w = {.o = o};
	size_t lost = 0;
	int running = cli_connect(o->state);
	if (running >= 0) {
		(void)close(running);
		(void)fputs(
			T("The server runs: stop it first, or restore one account with --account "
			  "A.\n"),
			stderr);
		return EXIT_FAILED;
	}
	int r = repo_open(o->dir, false, false, &w.repo, &why);
	if (r == 0)
		r = backup_choose(w.repo, o->generation, NULL, &w.g, &why);
	if (r == 0 && w.g.account)
		r = fail_set(&why, FAIL_CONFLICT,
			     "This generation holds one account: restore it with --account.", "%s",
			     w.g.name);
	if (r == 0)
		r = put_all(&w, &lost, &why);
	if (r == 0) {
		(void)printf(T("Generation %s is in %s: %zu files, %zu bodies, %.1f s.\n"),
			     w.g.name, o->state, w.g.files.n, w.g.bodies.n,
			     progress_seconds(&w.progress));
		if (repo_find(&w.g, "etc/barid.conf"))
			(void)printf(T("Configuration and certificate of then are in "
				       "%s/from-backup/etc: compare and put them back by hand.\n"),
				     o->state);
	}
	strmap_clear(&w.ids);
	repo_generation_clear(&w.g);
	repo_close(w.repo);
	return r < 0 ? tool_complain(&why) : lost ? EXIT_INCOMPLETE : EXIT_DONE;
}

int cli_restore(const struct cli *c)
{
	struct restore o = {.cli = c};
	const char *words[1];
	size_t n;
	const struct option options[] = {{"--account", .text = &o.account},
					 {"--mailbox", .text = &o.mailbox},
					 {"--into", .text = &o.into},
					 {"--in-place", .flag = &o.in_place},
					 {"--generation", .text = &o.generation},
					 {"--hold-queue", .flag = &o.hold_queue},
					 {"--keep-uidvalidity", .flag = &o.keep_uidvalidity}};
	if (!options_take(c, options, ARRAY_LEN(options), words, 1, &n) || n != 1 ||
	    (!o.account && (o.mailbox || o.into || o.in_place)) || (o.into && o.in_place) ||
	    (o.account && (o.hold_queue || o.keep_uidvalidity)))
		return cli_usage("restore");
	(void)umask(077);
	o.dir = words[0];
	o.state = cli_state_dir(c);
	if (!o.state)
		return EXIT_FAILED;
	return o.account ? restore_account(&o) : restore_whole(&o);
}
