/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool's file standing still for a backup, and on its own in one (spool_archive.h).
 */
#include "service/spool/spool_archive.h"
#include "spool_int.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>

/* ---- standing still ---- */

void spool_keep_bodies(struct spool *sp, bool on)
{
	if (on) {
		atomic_fetch_add(&sp->keep_bodies, 1);
	} else if (atomic_fetch_sub(&sp->keep_bodies, 1) == 1 &&
		   atomic_exchange(&sp->kept_some, false)) {
		atomic_store(&sp->sweep_again, true);
		clerk_nudge(sp);
	}
}

static int freeze(struct spool *sp, int *ret_fd, uint64_t *ret_size, struct fail *why)
{
	char path[BODY_PATH_MAX];
	AUTO(fs_file) struct fs_file *f = NULL;

	if (sp->frozen)
		return fail_set(why, FAIL_BUSY, "Another backup reads the queue.", "frozen");
	int r = db_checkpoint(sp->db, why);
	if (r < 0)
		return r;
	if (db_wal_bytes(sp->db) > 0)
		return fail_set(why, FAIL_BUSY, NULL, "the spool's log does not fold");
	(void)snprintf(path, sizeof path, "%s/spool.db", sp->folder);
	r = fs_open(sp->fs, path, FS_READ, 0, &f, why);
	if (r == 0)
		r = fs_file_size(f, ret_size, why);
	if (r < 0)
		return r;
	*ret_fd = fcntl(fs_file_fd(f), F_DUPFD_CLOEXEC, 3);
	if (*ret_fd < 0)
		return fail_errno(why, FAIL_LIMIT, "a descriptor for a snapshot");
	sp->frozen = true;
	sp->thawed = false;
	return 0;
}

int spool_snapshot(struct spool *sp, int *ret_fd, uint64_t *ret_size, struct fail *why)
{
	SPOOL_DB(sp);
	return freeze(sp, ret_fd, ret_size, why);
}

int spool_snapshot_end(struct spool *sp, struct fail *why)
{
	SPOOL_DB(sp);
	bool whole = sp->frozen && !sp->thawed;
	sp->frozen = sp->thawed = false;
	if (!whole)
		return fail_set(why, FAIL_CONFLICT, "The file changed while it was read.", "spool");
	return 0;
}

/* ---- on its own ---- */

_Static_assert(SPOOL_QUEUED == 0 && SPOOL_DEFER == 1 && SPOOL_HELD == 2, "as in the SQL below");

struct spool_archive {
	struct db *db;
	uint8_t epoch[SPOOL_EPOCH_LEN];
};

int spool_archive_open(const char *path, bool frozen, struct spool_archive **ret, struct fail *why)
{
	struct db_options o = {
		.path = path, .read_only = frozen, .immutable = frozen, .exclusive = !frozen};
	struct spool_archive *a = xcalloc(1, sizeof *a);
	int r = db_open(&o, &a->db, why);
	if (r == 0)
		r = frozen ? rows_epoch(a->db, a->epoch, why) : rows_schema(a->db, a->epoch, why);
	if (r < 0) {
		spool_archive_close(a);
		return r;
	}
	*ret = a;
	return 0;
}

void spool_archive_close(struct spool_archive *a)
{
	if (!a)
		return;
	db_close(a->db);
	free(a);
}

const uint8_t *spool_archive_epoch(const struct spool_archive *a)
{
	return a->epoch;
}

int spool_archive_files(struct spool_archive *a,
			int (*fn)(void *arg, const struct spool_archive_file *f), void *arg,
			struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(a->db,
			"SELECT body_id, body_size, sha256 FROM message WHERE body_id IS NOT NULL",
			&st, why);
	while (r >= 0 && (r = db_step(st, why)) > 0) {
		struct spool_archive_file f = {.size = db_col_u64(st, 1)};
		struct str id = db_col_blob(st, 0), sum = db_col_blob(st, 2);
		if (id.n != sizeof f.id || sum.n != sizeof f.sha256) {
			r = fail_set(why, FAIL_CORRUPT, NULL, "a row of the queue is damaged");
		} else {
			memcpy(f.id, id.p, sizeof f.id);
			memcpy(f.sha256, sum.p, sizeof f.sha256);
			r = fn(arg, &f);
		}
		if (r < 0)
			db_reset(st);
	}
	return r;
}

bool spool_archive_pending(struct spool_archive *a, uint64_t number, uint64_t rcpt)
{
	struct db_stmt *st = NULL;
	if (number > INT64_MAX || rcpt > UINT32_MAX ||
	    db_stmt(a->db, "SELECT 1 FROM rcpt WHERE number = ?1 AND rcpt = ?2", &st, NULL) < 0)
		return false;
	db_bind_u64(st, 1, number);
	db_bind_u64(st, 2, rcpt);
	int r = db_step(st, NULL);
	db_reset(st);
	return r > 0;
}

int spool_archive_check(struct spool_archive *a, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(a->db, "PRAGMA integrity_check(1)", &st, why);
	if (r == 0)
		r = db_step(st, why);
	if (r > 0 && !str_eq(db_col_text(st, 0), STR("ok")))
		r = fail_set(why, FAIL_CORRUPT, NULL, "%.*s", STR_ARG(db_col_text(st, 0)));
	if (st)
		db_reset(st);
	return MIN(r, 0);
}

int spool_archive_renew(struct spool_archive *a, const uint8_t epoch[SPOOL_EPOCH_LEN], bool hold,
			struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_begin(a->db, why);
	if (r < 0)
		return r;
	r = db_stmt(a->db, "UPDATE spool SET epoch = ?1", &st, why);
	if (r == 0) {
		db_bind_blob(st, 1, str_make((const char *)epoch, SPOOL_EPOCH_LEN));
		r = db_run(st, why);
	}
	if (r == 0) /* their receipts stay behind in the old epoch and go there */
		r = db_exec(a->db, "DELETE FROM receipt", why);
	/* As spool_hold: a report that waits for its route has none to be released to. */
	if (r == 0 && hold)
		r = db_exec(a->db, "UPDATE rcpt SET state = 2 WHERE state IN (0, 1)", why);
	if (r == 0)
		r = db_commit(a->db, why);
	else
		db_rollback(a->db);
	return r < 0 ? r : db_checkpoint(a->db, why);
}
