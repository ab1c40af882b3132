/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h - one small SQL interface over the engines.                             [runtime]
 *
 * SQL is written once, with ?1 ?2 ... placeholders. Today's driver is SQLite (db_sqlite.c) on a
 * VFS that goes through sys/fs, so that tests can cut the power under it. libpq and libmariadb
 * join behind the same calls.
 *
 * A struct db is one connection: one thread at a time (the owner serialises). Every call may
 * block on storage. Errors: FAIL_BUSY (lock not had within busy_ms), FAIL_EXISTS (a UNIQUE or
 * PRIMARY KEY constraint), FAIL_CONFLICT (another constraint), FAIL_LIMIT (disk full),
 * FAIL_CORRUPT, FAIL_IO, FAIL_BUG (wrong SQL). `detail` names the file and the statement.
 */
#ifndef BARID_RUNTIME_DB_DB_H
#define BARID_RUNTIME_DB_DB_H

#include "base/auto.h"
#include "base/fail.h"
#include "base/str.h"

struct fs;
struct db;
struct db_stmt;

struct db_options {
	const char *path; /* file; its folder must exist */
	struct fs *fs;	  /* NULL: the real file system */
	bool create;	  /* make the file when it is missing */
	bool exclusive;	  /* the only process and connection: no -shm file, no locking calls */
	bool read_only;
	bool immutable;		   /* read_only, and nobody writes: no lock, no log is looked for */
	unsigned cache_kib;	   /* page cache, 0 = 256 KiB */
	unsigned busy_ms;	   /* how long to wait for another process's lock, 0 = 5000 */
	bool checkpoints_by_owner; /* none at commit: the owner calls db_checkpoint */
};

/*
 * WAL, synchronous=FULL: a commit that returned 0 is on disk. Foreign keys are on. A new file gets
 * mode 0600. exclusive: a second opener, of whatever program, finds the file busy (FAIL_BUSY after
 * busy_ms); this is also how a new process waits for the old one to go. exclusive = false needs
 * the real file system.
 */
MUST_CHECK int db_open(const struct db_options *o, struct db **ret, struct fail *why);
void db_close(struct db *db); /* finalises statements; NULL is fine */
DEFINE_AUTO_PTR(db, struct db, db_close);

/* Run one or more statements without parameters or rows. */
MUST_CHECK int db_exec(struct db *db, const char *sql, struct fail *why);

/*
 * The prepared statement for `sql`, reset and with all parameters NULL, made on first use and kept
 * by the connection (keyed by the text). Borrowed: valid until db_close; a second db_stmt with the
 * same text invalidates the first use. A statement is reset by its last db_step (0 or error);
 * call db_reset when leaving a loop early.
 */
MUST_CHECK int db_stmt(struct db *db, const char *sql, struct db_stmt **ret, struct fail *why);
void db_reset(struct db_stmt *st);

/*
 * Parameters count from 1. Text and bytes are borrowed until the statement is reset; an empty str
 * is the empty text or blob, also with p == NULL. A wrong index or a value too large for the
 * engine is reported by the next db_step.
 */
void db_bind_i64(struct db_stmt *st, int at, int64_t v);
void db_bind_u64(struct db_stmt *st, int at, uint64_t v); /* v <= INT64_MAX */
void db_bind_text(struct db_stmt *st, int at, struct str v);
void db_bind_blob(struct db_stmt *st, int at, struct str v);
void db_bind_null(struct db_stmt *st, int at);

/* 1 = a row is there, 0 = finished (and reset), negative = failed (and reset). */
MUST_CHECK int db_step(struct db_stmt *st, struct fail *why);
/* For a statement without rows of interest: step to the end. */
MUST_CHECK int db_run(struct db_stmt *st, struct fail *why);

/*
 * For many rows of numbers, in half the time of steps and columns: the statement ends in
 * "WHERE ... AND each_row(a, b, ...)", with an ORDER BY that an index serves if the order matters.
 * fn gets the arguments of each row that the rest of the condition lets through; the statement
 * gives no rows itself. A negative result of fn ends it and is returned.
 */
#define DB_EACH_MAX 12 /* arguments */
typedef int (*db_each_fn)(void *arg, const int64_t *number);
MUST_CHECK int db_each(struct db_stmt *st, db_each_fn fn, void *arg, struct fail *why);

/* Columns count from 0. str values are borrowed until the next step. NULL reads as 0, {NULL, 0}. */
int64_t db_col_i64(struct db_stmt *st, int at);
uint64_t db_col_u64(struct db_stmt *st, int at);
struct str db_col_text(struct db_stmt *st, int at);
struct str db_col_blob(struct db_stmt *st, int at);
bool db_col_is_null(struct db_stmt *st, int at);

uint64_t db_changes(struct db *db); /* rows changed by the last INSERT, UPDATE or DELETE */
int64_t db_last_rowid(struct db *db);

/* A write transaction (BEGIN IMMEDIATE). After a failed commit it is rolled back. */
MUST_CHECK int db_begin(struct db *db, struct fail *why);
MUST_CHECK int db_commit(struct db *db, struct fail *why); /* returns when on disk */
void db_rollback(struct db *db);
bool db_in_transaction(struct db *db);

/* Bytes in the write-ahead log; and fold it into the database file (never inside a transaction;
 * statements that stand on a row are reset). */
uint64_t db_wal_bytes(struct db *db);
MUST_CHECK int db_checkpoint(struct db *db, struct fail *why);

/*
 * Before the first db_open: take so much of each page cache (or all of it, when it is smaller) in
 * one piece. Pages that come one by one and go all at once leave holes between what lives longer.
 */
void db_cache_at_once(unsigned kib);

/* Give back memory of an idle connection: all statements (they become invalid), cached pages. */
void db_shrink(struct db *db);

/*
 * All reads until db_snapshot_end see one state, and the file's lock is taken once for all of them:
 * for a look-up of many small statements. A write inside may fail with FAIL_BUSY when another
 * connection has written since: end the snapshot and do it again.
 */
MUST_CHECK int db_snapshot(struct db *db, struct fail *why);
void db_snapshot_end(struct db *db); /* what was written inside is committed */

/* Changes whenever another connection committed to the file: cheap test for cached rows. */
uint64_t db_data_version(struct db *db);

/* The first column of the first row of a statement without parameters; 0 when there is no row. */
MUST_CHECK int db_number(struct db *db, const char *sql, uint64_t *ret, struct fail *why);
const char *db_path(const struct db *db); /* as it was opened */
/* Foreign keys are enforced from the start; a migration switches that off for its time. */
void db_enforce_references(struct db *db, bool on);

/*
 * Formats (db_migrate.c). Step i (0-based) brings the schema from version i to i + 1. A released
 * step never changes.
 *
 * A step is one transaction together with the version number. A step over many rows is batched
 * instead: `last` is set, a SELECT of the largest key (keys are above 0), and `sql` is one
 * statement with ?1 and ?2 that treats the keys ?1 < key <= ?2. It runs over one range after
 * another, each in a transaction of about DB_BATCH_MS that remembers how far it came, with the log
 * folded in between: memory, log and lock times are bounded, and after a kill it goes on where it
 * was. Foreign keys are not enforced inside a step (so that it may rebuild tables) but checked
 * before its commit.
 *
 * Table barid_format holds one row per step that was made: version, the barid that made it, when,
 * and how far (`position`, NULL when done).
 *
 * Errors: FAIL_UNSUPPORTED: the file is newer than `count` (the text says which barid wrote it and
 * what to do) or it is not one of application_id. Whatever fails, FAIL_LIMIT (disk full) included,
 * the file stays at its last complete step, and what that version needs is untouched.
 * Cheap when nothing is to be done. Safe when several processes do it at once.
 */
#define DB_BATCH_MS 100
struct db_migration {
	const char *what; /* for the log: "add snooze time" */
	const char *sql;
	const char *last; /* NULL: not batched */
};
MUST_CHECK int db_migrate(struct db *db, uint32_t application_id, const struct db_migration *steps,
			  size_t count, struct fail *why);

/*
 * The numbers in the header of a file that nobody has open, or might have: so they may be those
 * before the last commits, and never newer than the truth. An empty or missing file has both 0, and
 * so has one whose making was interrupted (SQLite's journal is beside it, and will empty it).
 * FAIL_CORRUPT: it is no database.
 */
MUST_CHECK int db_peek(struct fs *fs, const char *path, uint32_t *ret_application_id,
		       uint32_t *ret_version, struct fail *why);

/*
 * Who wants to know how migrations come along: one listener per process, set before any file is
 * opened, called on the thread that migrates when a step begins (done = 0), after each batch, and
 * when it is finished (done = total). Files that are being made tell nothing.
 */
struct db_progress {
	const char *path;
	const char *what;
	uint64_t version; /* that the step leads to */
	uint64_t done, total;
};
typedef void (*db_progress_fn)(void *arg, const struct db_progress *p);
void db_on_progress(db_progress_fn fn, void *arg);

#endif
