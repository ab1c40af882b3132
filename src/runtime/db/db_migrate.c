/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_migrate.c - bring a file's schema forward, in bounded steps.                    [runtime]
 *
 * What is known about a file stands in three places: application id and version in its header, and
 * the rows of barid_format, which say who made each step and how far a batched one has come.
 */
#include "base/check.h"
#include "runtime/db/db.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define FIRST_WIDTH 500u       /* keys of a step's first batch */
#define WIDTH_MAX   (1u << 30) /* also over wide gaps it comes forward */
#define LOG_MAX	    (UINT64_C(8) * 1024 * 1024)

struct schema {
	uint64_t application_id;
	uint64_t version;
	uint64_t tables;
};

struct migration {
	struct db *db;
	uint32_t application_id;
	const struct db_migration *steps;
	size_t count;
	bool fresh; /* the file was empty */
	uint64_t width;
};

static struct {
	db_progress_fn fn;
	void *arg;
} listener;

void db_on_progress(db_progress_fn fn, void *arg)
{
	listener.fn = fn;
	listener.arg = arg;
}

static void tell(const struct migration *m, uint64_t version, uint64_t done, uint64_t total)
{
	struct db_progress p = {.path = db_path(m->db),
				.what = m->steps[version - 1].what,
				.version = version,
				.done = done,
				.total = total};
	if (listener.fn && !m->fresh)
		listener.fn(listener.arg, &p);
}

/* ---- what the file is ---- */

static int read_schema(struct db *db, struct schema *ret, struct fail *why)
{
	int r = db_number(db, "PRAGMA application_id", &ret->application_id, why);
	if (r == 0)
		r = db_number(db, "PRAGMA user_version", &ret->version, why);
	ret->tables = 0;
	if (r == 0 && ret->application_id == 0)
		r = db_number(db, "SELECT count(*) FROM sqlite_schema", &ret->tables, why);
	return r;
}

static bool is_empty(const struct schema *s)
{
	return s->application_id == 0 && s->version == 0 && s->tables == 0;
}

/* Which barid made the file's present format: a file older than that table does not say. */
static void find_writer(struct db *db, uint64_t version, char *out, size_t size)
{
	struct db_stmt *st;
	(void)snprintf(out, size, "a newer barid");
	if (db_stmt(db, "SELECT writer FROM barid_format WHERE version = ?1", &st, NULL) < 0)
		return;
	db_bind_u64(st, 1, version);
	if (db_step(st, NULL) == 1) {
		(void)snprintf(out, size, "barid %.*s", STR_ARG(db_col_text(st, 0)));
		db_reset(st);
	}
}

static int accept_schema(const struct migration *m, const struct schema *s, struct fail *why)
{
	char writer[64];
	if (!is_empty(s) && s->application_id != m->application_id)
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"%s is not a database of this kind (application id %llu instead of "
				"%u): move it away, or correct state_dir",
				db_path(m->db), (unsigned long long)s->application_id,
				m->application_id);
	if (s->version <= m->count)
		return 0;
	find_writer(m->db, s->version, writer, sizeof writer);
	return fail_set(why, FAIL_UNSUPPORTED, NULL,
			"%s has format %llu, made by %s; barid " BARID_VERSION
			" knows formats up to %zu: install that barid (or a later one) again, or "
			"restore a backup from before the upgrade",
			db_path(m->db), (unsigned long long)s->version, writer, m->count);
}

/* Its first page was being written when the power went: opening it takes that back. */
static bool is_being_made(struct fs *fs, const char *path)
{
	char journal[PATH_MAX];
	struct fs_stat st;
	int n = snprintf(journal, sizeof journal, "%s-journal", path);
	return n > 0 && (size_t)n < sizeof journal && fs_stat(fs, journal, &st, NULL) == 0 &&
	       st.size > 0;
}

int db_peek(struct fs *fs, const char *path, uint32_t *ret_application_id, uint32_t *ret_version,
	    struct fail *why)
{
	static const char magic[16] = "SQLite format 3";
	unsigned char h[100];
	size_t n = 0;
	AUTO(fs_file) struct fs_file *f = NULL;
	fs = fs ? fs : fs_real();
	int r = fs_open(fs, path, FS_READ, 0, &f, why);
	if (r == 0)
		r = fs_pread(f, h, sizeof h, 0, &n, why);
	*ret_application_id = *ret_version = 0;
	if (r == -FAIL_NOTFOUND || (r == 0 && n == 0))
		return 0;
	if (r < 0)
		return r;
	bool good = n == sizeof h && memcmp(h, magic, sizeof magic) == 0;
	if (!good && is_being_made(fs, path))
		return 0;
	if (!good)
		return fail_set(why, FAIL_CORRUPT, NULL, "%s is not a database", path);
	*ret_version = (uint32_t)h[60] << 24 | (uint32_t)h[61] << 16 | (uint32_t)h[62] << 8 | h[63];
	*ret_application_id =
		(uint32_t)h[68] << 24 | (uint32_t)h[69] << 16 | (uint32_t)h[70] << 8 | h[71];
	return 0;
}

/* ---- a step ---- */

static int check_references(struct db *db, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, "PRAGMA foreign_key_check", &st, why);
	if (r == 0)
		r = db_step(st, why);
	if (r != 1)
		return r;
	r = fail_set(why, FAIL_CONFLICT, NULL, "a row of %.*s refers to a missing one",
		     STR_ARG(db_col_text(st, 0)));
	db_reset(st);
	return r;
}

/* How far the step to `version` has come; `position` 0 in a row that is done (NULL). */
static int note(struct db *db, uint64_t version, uint64_t position, struct fail *why)
{
	struct db_stmt *st;
	int r = db_exec(db,
			"CREATE TABLE IF NOT EXISTS barid_format (version INTEGER PRIMARY KEY,"
			" writer TEXT NOT NULL, made DATETIME NOT NULL, position INTEGER)",
			why);
	if (r == 0)
		r = db_stmt(db,
			    "INSERT INTO barid_format (version, writer, made, position)"
			    " VALUES (?1, ?2, datetime('now'), nullif(?3, 0)) ON CONFLICT (version)"
			    " DO UPDATE SET writer = excluded.writer, made = excluded.made,"
			    " position = excluded.position",
			    &st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, version);
	db_bind_text(st, 2, STR(BARID_VERSION));
	db_bind_u64(st, 3, position);
	return db_run(st, why);
}

static int position_of(struct db *db, uint64_t version, uint64_t *ret, struct fail *why)
{
	uint64_t there = 0;
	struct db_stmt *st;
	*ret = 0;
	int r = db_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'barid_format'",
			  &there, why);
	if (r < 0 || !there)
		return r;
	r = db_stmt(db, "SELECT position FROM barid_format WHERE version = ?1", &st, why);
	if (r < 0)
		return r;
	db_bind_u64(st, 1, version);
	r = db_step(st, why);
	if (r != 1)
		return r;
	*ret = db_col_u64(st, 0);
	db_reset(st);
	return 0;
}

static int raise_version(struct migration *m, uint64_t version, struct fail *why)
{
	char numbers[96];
	(void)snprintf(numbers, sizeof numbers,
		       "PRAGMA application_id=%u; PRAGMA user_version=%llu", m->application_id,
		       (unsigned long long)version);
	int r = check_references(m->db, why);
	if (r == 0)
		r = note(m->db, version, 0, why);
	return r < 0 ? r : db_exec(m->db, numbers, why);
}

static int apply_whole(struct migration *m, uint64_t version, struct fail *why)
{
	tell(m, version, 0, 1);
	int r = db_exec(m->db, m->steps[version - 1].sql, why);
	if (r == 0 && !db_in_transaction(m->db))
		r = fail_set(why, FAIL_BUG, NULL, "the step ended its own transaction");
	return r < 0 ? r : raise_version(m, version, why);
}

/* The next range of keys; *ret_last is the end of them all, *ret_to of this range. */
static int apply_batch(struct migration *m, uint64_t version, uint64_t *ret_to, uint64_t *ret_last,
		       struct fail *why)
{
	const struct db_migration *step = &m->steps[version - 1];
	struct db_stmt *st;
	uint64_t from;
	int r = position_of(m->db, version, &from, why);
	if (r == 0)
		r = db_number(m->db, step->last, ret_last, why);
	if (r == 0)
		r = db_stmt(m->db, step->sql, &st, why);
	if (r < 0)
		return r;
	*ret_last = MAX(*ret_last, from);
	*ret_to = MIN(*ret_last, from + m->width);
	if (from == 0)
		tell(m, version, 0, MAX(*ret_last, UINT64_C(1)));
	db_bind_u64(st, 1, from);
	db_bind_u64(st, 2, *ret_to);
	r = db_run(st, why);
	if (r < 0)
		return r;
	return *ret_to < *ret_last ? note(m->db, version, *ret_to, why)
				   : raise_version(m, version, why);
}

/* As wide as a batch of DB_BATCH_MS. */
static void adapt(struct migration *m, struct mono_ns begun)
{
	int64_t took = clock_mono().v - begun.v;
	if (took < DB_BATCH_MS * MS_NS / 2)
		m->width = MIN(m->width * 2, WIDTH_MAX);
	else if (took > DB_BATCH_MS * MS_NS)
		m->width = MAX(m->width / 2, UINT64_C(1));
}

static int commit_and_tell(struct migration *m, uint64_t version, uint64_t to, uint64_t last,
			   struct fail *why)
{
	int r = db_commit(m->db, why);
	if (r < 0)
		return r;
	/* A log that cannot be folded in now is folded in later. */
	if (db_wal_bytes(m->db) > LOG_MAX)
		(void)!db_checkpoint(m->db, NULL);
	/* Nothing to do is finished as well. */
	tell(m, version, MAX(to, UINT64_C(1)), MAX(last, UINT64_C(1)));
	return 1;
}

/* 1 = a transaction was made, or another process has made it; 0 = nothing left. */
static int migrate_some(struct migration *m, struct fail *why)
{
	struct schema s;
	struct mono_ns begun = clock_mono();
	int r = db_begin(m->db, why);
	if (r < 0)
		return r;
	r = read_schema(m->db, &s, why);
	if (r == 0)
		r = accept_schema(m, &s, why);
	if (r == 0 && s.version < m->count) {
		const struct db_migration *step = &m->steps[s.version];
		uint64_t to = 1, last = 1;
		r = step->last ? apply_batch(m, s.version + 1, &to, &last, why)
			       : apply_whole(m, s.version + 1, why);
		if (r == 0)
			r = commit_and_tell(m, s.version + 1, to, last, why);
		if (r == -FAIL_LIMIT)
			r = fail_wrap(why, r,
				      "%s: no room to bring it to format %llu (%s): make room and "
				      "start again, it goes on where it was",
				      db_path(m->db), (unsigned long long)s.version + 1,
				      step->what);
		else if (r < 0)
			r = fail_wrap(why, r, "%s: to format %llu (%s)", db_path(m->db),
				      (unsigned long long)s.version + 1, step->what);
	}
	if (r == 1)
		adapt(m, begun);
	else
		db_rollback(m->db);
	return r;
}

int db_migrate(struct db *db, uint32_t application_id, const struct db_migration *steps,
	       size_t count, struct fail *why)
{
	struct schema s;
	struct migration m = {.db = db,
			      .application_id = application_id,
			      .steps = steps,
			      .count = count,
			      .width = FIRST_WIDTH};
	int r = read_schema(db, &s, why);
	if (r == 0)
		r = accept_schema(&m, &s, why);
	if (r < 0 || s.version == count)
		return r;
	m.fresh = is_empty(&s);
	db_enforce_references(db, false);
	do
		r = migrate_some(&m, why);
	while (r == 1);
	db_enforce_references(db, true);
	return r;
}
