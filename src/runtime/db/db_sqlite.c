/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"
#include "runtime/db/db.h"
#include "runtime/db/vfs.h"
#include "sys/fs.h"
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>

#define PAGE_SIZE	   4096
#define WAL_FRAME_SIZE	   (PAGE_SIZE + 24)
#define CHECKPOINT_FRAMES  1000
#define WAL_KEEP_BYTES	   "4194304" /* a longer log is cut when it starts over */
#define DEFAULT_CACHE_KIB  256
#define DEFAULT_BUSY_MS	   5000
#define STATEMENT_LOG_SIZE 120 /* how much of a statement an error tells */

struct db_stmt {
	struct db *db;
	sqlite3_stmt *s;
	int bind_error; /* first failed bind since the last reset */
};

struct db {
	sqlite3 *h;
	struct vfs *vfs; /* NULL: the shared one */
	char *path;
	struct map by_pointer; /* address of a text (to be compared) to its db_stmt */
	struct strmap by_text; /* owns the statements; keys are SQLite's copies of the texts */
	uint64_t wal_frames;
	bool checkpoints_by_owner;
	struct each *each; /* the innermost db_each under way */
};

struct each {
	db_each_fn fn;
	void *arg;
	int result;
};

/* ---- errors ---- */

static enum fail_code code_of(int rc, int errnum)
{
	if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
	    rc == SQLITE_CONSTRAINT_ROWID)
		return FAIL_EXISTS;
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
		return FAIL_CONFLICT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return FAIL_BUSY;
	case SQLITE_FULL:
	case SQLITE_NOMEM:
		return FAIL_LIMIT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return FAIL_CORRUPT;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return errnum ? fs_fail_code(errnum) : FAIL_IO;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return FAIL_IO;
	case SQLITE_TOOBIG:
		return FAIL_TOOBIG;
	case SQLITE_INTERRUPT:
		return FAIL_CANCELLED;
	default:
		return FAIL_BUG;
	}
}

static int failed(struct db *db, int rc, const char *sql, struct fail *why)
{
	bool by_call = (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_IOERR;
	int errnum = by_call && db->h ? sqlite3_system_errno(db->h) : 0;
	errno = errnum;
	const char *text = db->h ? sqlite3_errmsg(db->h) : sqlite3_errstr(rc);
	enum fail_code code = code_of(rc, errnum);
	if (errnum)
		return fail_errno(why, code, "%s: %s (%d): %.*s", db->path, text, rc,
				  STATEMENT_LOG_SIZE, sql);
	return fail_set(why, code, NULL, "%s: %s (%d): %.*s", db->path, text, rc,
			STATEMENT_LOG_SIZE, sql);
}

static void each_row(sqlite3_context *c, int n, sqlite3_value **v);

/* ---- opening ---- */

static int
	cache_piece; /* KiB of each page cache that are made at once, negative; 0 = page by page */

void db_cache_at_once(unsigned kib)
{
	cache_piece = -(int)kib;
}

static void configure_once(void)
{
	/*
	 * Thousands of small connections: no shared statistics lock, little memory reserved for
	 * each.
	 */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 512, 20);
	(void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, cache_piece);
	(void)sqlite3_initialize();
}

static int fold(struct db *db);

/* Called after each commit with the number of frames that are in the log. */
static int committed(void *arg, sqlite3 *h, const char *name, int frames)
{
	struct db *db = arg;
	(void)h;
	(void)name;
	db->wal_frames = (uint64_t)frames;
	/*
	 * The commit has happened: a failed checkpoint is not its failure, and will be tried again.
	 */
	if (!db->checkpoints_by_owner && frames >= CHECKPOINT_FRAMES)
		(void)fold(db);
	return SQLITE_OK;
}

static int make_file(struct fs *fs, const char *path, struct fail *why)
{
	struct fs_stat st;
	int r = fs_stat(fs, path, &st, why);
	if (r != -FAIL_NOTFOUND)
		return r;
	AUTO(fs_file) struct fs_file *f = NULL;
	char folder[PATH_MAX];
	r = fs_open(fs, path, FS_READ | FS_WRITE | FS_CREATE | FS_NOFOLLOW, 0600, &f, why);
	if (r == 0)
		r = fs_parent(path, folder, sizeof folder, why);
	return r == 0 ? fs_sync_dir(fs, folder, why) : r;
}

static int set_up(struct db *db, const struct db_options *o, struct fail *why)
{
	char cache[48];
	(void)snprintf(cache, sizeof cache, "PRAGMA cache_size=-%u",
		       o->cache_kib ? o->cache_kib : DEFAULT_CACHE_KIB);
	(void)sqlite3_busy_timeout(db->h, (int)(o->busy_ms ? o->busy_ms : DEFAULT_BUSY_MS));
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	(void)sqlite3_create_function_v2(db->h, "each_row", -1, SQLITE_UTF8 | SQLITE_DIRECTONLY, db,
					 each_row, NULL, NULL, NULL);
	/*
	 * Before journal_mode, or WAL would want shared memory. These are the files with messages:
	 * what was deleted is not written over when that means more writing (Debian's SQLite does
	 * so otherwise, and the spool deletes every body that it takes in).
	 */
	int r = o->exclusive
			? db_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA secure_delete=FAST;",
				  why)
			: 0;
	if (r == 0)
		r = db_exec(db,
			    "PRAGMA page_size=4096; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
			    "PRAGMA cell_size_check=ON; PRAGMA synchronous=FULL;"
			    "PRAGMA journal_size_limit=" WAL_KEEP_BYTES,
			    why);
	if (r == 0)
		r = db_exec(db, cache, why);
	if (r < 0 || o->read_only)
		return r;

	struct db_stmt *st;
	r = db_stmt(db, "PRAGMA journal_mode=WAL", &st, why);
	if (r == 0)
		r = db_step(st, why);
	if (r < 0)
		return r;
	bool wal = r == 1 && str_eq(db_col_text(st, 0), STR("wal"));
	db_reset(st);
	if (!wal)
		return fail_set(why, FAIL_IO, NULL, "%s: no write-ahead log possible", db->path);
	return 0;
}

static uint64_t frames_on_disk(struct fs *fs, const char *path)
{
	char wal[PATH_MAX];
	struct fs_stat st;
	int n = snprintf(wal, sizeof wal, "%s-wal", path);
	if (n < 0 || (size_t)n >= sizeof wal || fs_stat(fs, wal, &st, NULL) < 0)
		return 0;
	return st.size / WAL_FRAME_SIZE;
}

/*
 * Who wrote the log may have been killed before it was on disk. Its commits are found all the same,
 * in the machine's memory: they must not be shown, or built upon, while a power cut can still take
 * them back.
 */
static int keep_log(struct fs *fs, const char *path, struct fail *why)
{
	char wal[PATH_MAX], folder[PATH_MAX];
	AUTO(fs_file) struct fs_file *f = NULL;
	int n = snprintf(wal, sizeof wal, "%s-wal", path);
	if (n < 0 || (size_t)n >= sizeof wal)
		return fail_set(why, FAIL_LIMIT, NULL, "path too long: %s", path);
	int r = fs_open(fs, wal, FS_READ | FS_WRITE | FS_NOFOLLOW, 0, &f, why);
	if (r == -FAIL_NOTFOUND)
		return 0;
	if (r == 0)
		r = fs_datasync(f, why);
	if (r == 0)
		r = fs_parent(path, folder, sizeof folder, why);
	return r == 0 ? fs_sync_dir(fs, folder, why) : r;
}

int db_open(const struct db_options *o, struct db **ret, struct fail *why)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct fs *fs = o->fs ? o->fs : fs_real();
	(void)pthread_once(&once, configure_once);
	if (!o->exclusive && fs != fs_real())
		return fail_set(why, FAIL_UNSUPPORTED, NULL, "%s: shared use needs the real files",
				o->path);
	int r = o->create && !o->read_only ? make_file(fs, o->path, why) : 0;
	if (r < 0)
		return r;

	AUTO(db) struct db *db = xcalloc(1, sizeof *db);
	db->path = xstrdup(o->path);
	db->checkpoints_by_owner = o->checkpoints_by_owner;
	db->vfs = o->exclusive ? vfs_ref(fs) : NULL;
	db->wal_frames = frames_on_disk(fs, o->path);
	if (db->wal_frames > 0 && !o->read_only)
		r = keep_log(fs, o->path, why);
	if (r < 0)
		return r;
	int flags = o->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (o->exclusive ? 0 : SQLITE_OPEN_URI);
	char uri[PATH_MAX];
	if (o->immutable)
		(void)snprintf(uri, sizeof uri, "file:%s?immutable=1", o->path);
	int rc = sqlite3_open_v2(o->immutable ? uri : o->path, &db->h, flags,
				 db->vfs ? vfs_name(db->vfs) : vfs_shared_name());
	if (rc != SQLITE_OK)
		return failed(db, rc, "open", why);
	r = set_up(db, o, why);
	if (r < 0)
		return r;
	(void)sqlite3_wal_hook(db->h, committed, db);
	*ret = TAKE(db);
	return 0;
}

static void forget_statements(struct db *db)
{
	MAP_EACH (&db->by_text, i) {
		struct db_stmt *st = db->by_text.slots[i].value;
		(void)sqlite3_finalize(st->s);
		free(st);
	}
	strmap_clear(&db->by_text);
	map_clear(&db->by_pointer);
}

void db_close(struct db *db)
{
	if (!db)
		return;
	forget_statements(db);
	if (db->h) {
		int rc = sqlite3_close(db->h);
		CHECK(rc == SQLITE_OK); /* it refuses only while statements are open */
	}
	vfs_unref(db->vfs);
	free(db->path);
	free(db);
}

void db_shrink(struct db *db)
{
	forget_statements(db);
	(void)sqlite3_db_release_memory(db->h);
}

/* ---- statements ---- */

int db_exec(struct db *db, const char *sql, struct fail *why)
{
	int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : failed(db, rc, sql, why);
}

void db_reset(struct db_stmt *st)
{
	(void)sqlite3_reset(st->s); /* repeats the error of the last step, which was reported */
	st->bind_error = SQLITE_OK;
}

static int prepare(struct db *db, const char *sql, struct db_stmt **ret, struct fail *why)
{
	sqlite3_stmt *s = NULL;
	const char *tail = NULL;
	int rc = sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, &tail);
	if (rc != SQLITE_OK)
		return failed(db, rc, sql, why);
	if (!s || *tail) {
		(void)sqlite3_finalize(s);
		return fail_set(why, FAIL_BUG, NULL, "not one statement: %.*s", STATEMENT_LOG_SIZE,
				sql);
	}
	struct db_stmt *st = xcalloc(1, sizeof *st);
	*st = (struct db_stmt){.db = db, .s = s};
	(void)strmap_put(&db->by_text, str_c(sqlite3_sql(s)), st);
	*ret = st;
	return 0;
}

int db_stmt(struct db *db, const char *sql, struct db_stmt **ret, struct fail *why)
{
	struct db_stmt *st = map_get(&db->by_pointer, (uint64_t)(uintptr_t)sql);
	/* The address may be a buffer that holds another text today. */
	if (!st || strcmp(sqlite3_sql(st->s), sql) != 0) {
		st = strmap_get(&db->by_text, str_c(sql));
		int r = st ? 0 : prepare(db, sql, &st, why);
		if (r < 0)
			return r;
		(void)map_put(&db->by_pointer, (uint64_t)(uintptr_t)sql, st);
	}
	db_reset(st);
	(void)sqlite3_clear_bindings(st->s);
	*ret = st;
	return 0;
}

static void bound(struct db_stmt *st, int rc)
{
	if (st->bind_error == SQLITE_OK)
		st->bind_error = rc;
}

void db_bind_i64(struct db_stmt *st, int at, int64_t v)
{
	bound(st, sqlite3_bind_int64(st->s, at, v));
}

void db_bind_u64(struct db_stmt *st, int at, uint64_t v)
{
	CHECK(v <= INT64_MAX);
	db_bind_i64(st, at, (int64_t)v);
}

void db_bind_text(struct db_stmt *st, int at, struct str v)
{
	bound(st, sqlite3_bind_text64(st->s, at, v.p ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_blob(struct db_stmt *st, int at, struct str v)
{
	bound(st, sqlite3_bind_blob64(st->s, at, v.p ? v.p : "", v.n, SQLITE_STATIC));
}

void db_bind_null(struct db_stmt *st, int at)
{
	bound(st, sqlite3_bind_null(st->s, at));
}

int db_step(struct db_stmt *st, struct fail *why)
{
	int rc = st->bind_error ? st->bind_error : sqlite3_step(st->s);
	if (rc == SQLITE_ROW)
		return 1;
	int r = rc == SQLITE_DONE ? 0 : failed(st->db, rc, sqlite3_sql(st->s), why);
	db_reset(st);
	return r;
}

int db_run(struct db_stmt *st, struct fail *why)
{
	int r;
	do
		r = db_step(st, why);
	while (r == 1);
	return r;
}

/* SQLite's function each_row: never true, so that no row leaves the statement. */
static void each_row(sqlite3_context *c, int n, sqlite3_value **v)
{
	struct db *db = sqlite3_user_data(c);
	int64_t number[DB_EACH_MAX];
	if (!db->each || n > DB_EACH_MAX) {
		sqlite3_result_error_code(c, SQLITE_MISUSE);
		return;
	}
	for (int i = 0; i < n; i++)
		number[i] = sqlite3_value_int64(v[i]);
	struct each *each = db->each;
	each->result = each->fn(each->arg, number);
	if (each->result < 0)
		sqlite3_result_error_code(c, SQLITE_ABORT);
	else
		sqlite3_result_int(c, 0);
}

int db_each(struct db_stmt *st, db_each_fn fn, void *arg, struct fail *why)
{
	struct each mine = {fn, arg, 0}, *outer = st->db->each;
	st->db->each = &mine;
	int rc = st->bind_error ? st->bind_error : sqlite3_step(st->s);
	st->db->each = outer;
	int r = mine.result < 0	    ? mine.result
		: rc == SQLITE_DONE ? 0
				    : failed(st->db, rc, sqlite3_sql(st->s), why);
	db_reset(st);
	return r;
}

int64_t db_col_i64(struct db_stmt *st, int at)
{
	return sqlite3_column_int64(st->s, at);
}

uint64_t db_col_u64(struct db_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st->s, at);
}

struct str db_col_text(struct db_stmt *st, int at)
{
	const char *p = (const char *)sqlite3_column_text(st->s, at);
	return str_make(p, p ? (size_t)sqlite3_column_bytes(st->s, at) : 0);
}

struct str db_col_blob(struct db_stmt *st, int at)
{
	if (db_col_is_null(st, at))
		return STR_NULL;
	const char *p = sqlite3_column_blob(st->s, at); /* NULL for an empty one */
	return str_make(p ? p : "", (size_t)sqlite3_column_bytes(st->s, at));
}

bool db_col_is_null(struct db_stmt *st, int at)
{
	return sqlite3_column_type(st->s, at) == SQLITE_NULL;
}

uint64_t db_changes(struct db *db)
{
	return (uint64_t)sqlite3_changes64(db->h);
}

int64_t db_last_rowid(struct db *db)
{
	return sqlite3_last_insert_rowid(db->h);
}

/* ---- transactions and the log ---- */

static int run_text(struct db *db, const char *sql, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, sql, &st, why);
	return r < 0 ? r : db_run(st, why);
}

int db_begin(struct db *db, struct fail *why)
{
	return run_text(db, "BEGIN IMMEDIATE", why);
}

int db_commit(struct db *db, struct fail *why)
{
	int r = run_text(db, "COMMIT", why);
	if (r < 0)
		db_rollback(db);
	return r;
}

void db_rollback(struct db *db)
{
	/*
	 * Some errors have rolled back already. One that fails here leaves nothing committed
	 * either.
	 */
	if (db_in_transaction(db))
		(void)!run_text(db, "ROLLBACK", NULL);
}

int db_snapshot(struct db *db, struct fail *why)
{
	return run_text(db, "BEGIN DEFERRED", why);
}

void db_snapshot_end(struct db *db)
{
	if (db_in_transaction(db) && run_text(db, "COMMIT", NULL) < 0)
		db_rollback(db);
}

bool db_in_transaction(struct db *db)
{
	return !sqlite3_get_autocommit(db->h);
}

uint64_t db_wal_bytes(struct db *db)
{
	return db->wal_frames * WAL_FRAME_SIZE;
}

/* Folds what it can; the result code of SQLite. */
static int fold(struct db *db)
{
	int log = 0, done = 0;
	int rc = sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &done);
	if (rc == SQLITE_OK)
		db->wal_frames = log > done ? (uint64_t)(log - done) : 0;
	return rc;
}

int db_checkpoint(struct db *db, struct fail *why)
{
	int rc = fold(db);
	if (rc == SQLITE_LOCKED) {
		/* A row that somebody read last is held, with its whole state of the file. */
		MAP_EACH (&db->by_text, i)
			db_reset(db->by_text.slots[i].value);
		rc = fold(db);
	}
	return rc == SQLITE_OK ? 0 : failed(db, rc, "checkpoint", why);
}

uint64_t db_data_version(struct db *db)
{
	uint64_t v;
	/* An error is a change: the caller reads again and meets the error there. */
	static _Atomic uint64_t never = UINT64_C(1) << 63;
	return db_number(db, "PRAGMA data_version", &v, NULL) == 0 ? v : never++;
}

int db_number(struct db *db, const char *sql, uint64_t *ret, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, sql, &st, why);
	if (r == 0)
		r = db_step(st, why);
	if (r < 0)
		return r;
	*ret = r == 1 ? db_col_u64(st, 0) : 0;
	db_reset(st);
	return 0;
}

const char *db_path(const struct db *db)
{
	return db->path;
}

void db_enforce_references(struct db *db, bool on)
{
	(void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_FKEY, on ? 1 : 0, NULL);
}
