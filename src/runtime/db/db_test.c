/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "runtime/db/db.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include "sys/sandbox.h"
#include "sys/testdir.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define APP_ID 0x62617264u /* "bard" */

static struct db *open_db(struct testdir *d, bool exclusive)
{
	struct fail why = FAIL_INIT;
	struct db *db = NULL;
	struct db_options o = {.path = testdir_path(d, "t.db"),
			       .create = true,
			       .exclusive = exclusive,
			       .busy_ms = 1};
	assert_ok(db_open(&o, &db, &why), &why);
	return db;
}

static void run(struct db *db, const char *sql)
{
	struct fail why = FAIL_INIT;
	assert_ok(db_exec(db, sql, &why), &why);
}

static struct db_stmt *stmt(struct db *db, const char *sql)
{
	struct fail why = FAIL_INIT;
	struct db_stmt *st = NULL;
	assert_ok(db_stmt(db, sql, &st, &why), &why);
	return st;
}

static int64_t number(struct db *db, const char *sql)
{
	struct fail why = FAIL_INIT;
	struct db_stmt *st = stmt(db, sql);
	int r = db_step(st, &why);
	assert_ok(r, &why);
	assert_int_equal(r, 1);
	int64_t v = db_col_i64(st, 0);
	db_reset(st);
	return v;
}

/* A role that is hostile must not lead root elsewhere: neither to read, nor to make a file. */
static void no_link(bool exclusive)
{
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	char real[300], link[300], wal[300], target[300];
	(void)snprintf(real, sizeof real, "%s", testdir_path(&d, "t.db"));
	(void)snprintf(link, sizeof link, "%s", testdir_path(&d, "link.db"));
	(void)snprintf(wal, sizeof wal, "%s", testdir_path(&d, "t.db-wal"));
	(void)snprintf(target, sizeof target, "%s", testdir_path(&d, "elsewhere"));
	struct db *db = open_db(&d, exclusive);
	run(db, "CREATE TABLE t (n)");
	db_close(db);
	struct db_options o = {.path = link, .create = true, .exclusive = exclusive, .busy_ms = 1};
	assert_int_equal(symlink(real, link), 0);
	assert_true(db_open(&o, &db, &why) < 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(target, link), 0);
	assert_true(db_open(&o, &db, &why) < 0);
	(void)unlink(wal);
	assert_int_equal(symlink(target, wal), 0);
	o.path = real;
	if (db_open(&o, &db, &why) == 0) {
		(void)!db_exec(db, "INSERT INTO t VALUES (1)", &why);
		db_close(db);
	}
	assert_int_equal(access(target, F_OK), -1);
}

static void links_are_not_followed(void **state)
{
	(void)state;
	no_link(false);
	no_link(true);
}

static void values_round_trip(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	for (int exclusive = 0; exclusive < 2; exclusive++) {
		AUTO(testdir) struct testdir d = testdir_new();
		AUTO(db) struct db *db = open_db(&d, exclusive);
		run(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, u, t TEXT, b BLOB, n)");
		assert_ok(db_begin(db, &why), &why);
		assert_true(db_in_transaction(db));
		struct db_stmt *st = stmt(db, "INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)");
		db_bind_i64(st, 1, -5);
		db_bind_u64(st, 2, INT64_MAX);
		db_bind_text(st, 3, STR("gr\xc3\xbc\xc3\x9f"));
		db_bind_blob(st, 4, STR("a\0b"));
		db_bind_null(st, 5);
		assert_ok(db_run(st, &why), &why);
		assert_int_equal(db_changes(db), 1);
		assert_int_equal(db_last_rowid(db), -5);
		assert_ok(db_commit(db, &why), &why);
		assert_false(db_in_transaction(db));

		st = stmt(db, "SELECT u, t, b, n, '', x'' FROM t");
		assert_int_equal(db_step(st, &why), 1);
		assert_int_equal(db_col_u64(st, 0), INT64_MAX);
		assert_str(db_col_text(st, 1), "gr\xc3\xbc\xc3\x9f");
		assert_true(str_eq(db_col_blob(st, 2), STR("a\0b")));
		assert_true(db_col_is_null(st, 3));
		assert_null(db_col_text(st, 3).p);
		assert_null(db_col_blob(st, 3).p);
		assert_int_equal(db_col_i64(st, 3), 0);
		assert_non_null(db_col_text(st, 4).p);
		assert_non_null(db_col_blob(st, 5).p);
		assert_int_equal(db_step(st, &why), 0);

		/* An empty str is empty text, not NULL. */
		st = stmt(db, "SELECT ?1 IS NULL, ?2 IS NULL, ?3 IS NULL, typeof(?1), typeof(?2)");
		db_bind_text(st, 1, STR_NULL);
		db_bind_blob(st, 2, STR_NULL);
		assert_int_equal(db_step(st, &why), 1);
		assert_int_equal(db_col_i64(st, 0), 0);
		assert_int_equal(db_col_i64(st, 1), 0);
		assert_int_equal(db_col_i64(st, 2), 1);
		assert_str(db_col_text(st, 3), "text");
		assert_str(db_col_text(st, 4), "blob");
		db_reset(st);
	}
}

struct rows_seen {
	struct db *db;
	int64_t sum;
	int n, stop_at;
};

/* Within a row another statement may run, an each of its own included. */
static int see_row(void *arg, const int64_t *number)
{
	struct rows_seen *seen = arg;
	struct fail why = FAIL_INIT;
	seen->sum += number[0] * 10 + number[1];
	if (++seen->n == seen->stop_at)
		return fail_set(&why, FAIL_GONE, NULL, "enough");
	if (!seen->db || seen->n > 1)
		return 0;
	struct rows_seen inner = {0};
	struct db_stmt *st = stmt(seen->db, "SELECT 1 FROM t WHERE id = 2 AND each_row(id, v)");
	assert_ok(db_each(st, see_row, &inner, &why), &why);
	assert_int_equal(inner.sum, 27);
	return 0;
}

static void rows_of_numbers_come_to_a_function(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = open_db(&d, true);
	run(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
	run(db, "INSERT INTO t VALUES (1, 5), (2, 7), (3, NULL)");
	const char *sql = "SELECT 1 FROM t WHERE id <= ?1 AND each_row(id, v) ORDER BY id";
	struct rows_seen seen = {.db = db};
	struct db_stmt *st = stmt(db, sql);
	db_bind_i64(st, 1, 9);
	assert_ok(db_each(st, see_row, &seen, &why), &why);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.sum, 15 + 27 + 30);
	seen = (struct rows_seen){.stop_at = 2};
	st = stmt(db, sql);
	db_bind_i64(st, 1, 9);
	assert_int_equal(db_each(st, see_row, &seen, &why), -FAIL_GONE);
	assert_int_equal(seen.n, 2);
	/* Outside of db_each there is nobody to take them. */
	st = stmt(db, sql);
	db_bind_i64(st, 1, 9);
	assert_true(db_step(st, &why) < 0);
}

static void a_file_is_reopened_with_its_content(void **state)
{
	(void)state;
	struct stat st;
	AUTO(testdir) struct testdir d = testdir_new();
	struct db *db = open_db(&d, true);
	run(db, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)");
	assert_int_equal(stat(testdir_path(&d, "t.db-wal"), &st), 0);
	assert_int_not_equal(stat(testdir_path(&d, "t.db-shm"), &st), 0);
	db_close(db);
	assert_int_not_equal(stat(testdir_path(&d, "t.db-wal"), &st), 0);
	assert_int_equal(stat(testdir_path(&d, "t.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	db = open_db(&d, false);
	assert_int_equal(number(db, "SELECT count(*) FROM t"), 2);
	assert_int_equal(stat(testdir_path(&d, "t.db-shm"), &st), 0);
	db_close(db);
}

static void settings_are_ours(void **state)
{
	(void)state;
	for (int exclusive = 0; exclusive < 2; exclusive++) {
		AUTO(testdir) struct testdir d = testdir_new();
		AUTO(db) struct db *db = open_db(&d, exclusive);
		assert_int_equal(number(db, "PRAGMA synchronous"), 2);
		assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);
		assert_int_equal(number(db, "PRAGMA temp_store"), 2);
		assert_int_equal(number(db, "PRAGMA trusted_schema"), 0);
		assert_int_equal(number(db, "PRAGMA cell_size_check"), 1);
		assert_int_equal(number(db, "PRAGMA page_size"), 4096);
		assert_int_equal(number(db, "PRAGMA cache_size"), -256);
		struct db_stmt *st = stmt(db, "PRAGMA locking_mode");
		assert_int_equal(db_step(st, NULL), 1);
		assert_str(db_col_text(st, 0), exclusive ? "exclusive" : "normal");
		db_reset(st);
	}
}

static int try_run(struct db *db, const char *sql, struct fail *why)
{
	struct db_stmt *st;
	*why = FAIL_INIT;
	int r = db_stmt(db, sql, &st, why);
	return r < 0 ? r : db_run(st, why);
}

static void errors_have_their_codes(void **state)
{
	(void)state;
	struct fail why;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = open_db(&d, true);
	run(db,
	    "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, n CHECK (n > 0));"
	    "CREATE TABLE c (p REFERENCES p (id)); CREATE TABLE w (k PRIMARY KEY) WITHOUT ROWID;"
	    "INSERT INTO p VALUES (1, 'a', 1); INSERT INTO w VALUES (1)");
	const struct {
		const char *sql;
		enum fail_code code;
	} cases[] = {
		{"INSERT INTO p VALUES (1, 'b', 1)", FAIL_EXISTS},
		{"INSERT INTO p VALUES (2, 'a', 1)", FAIL_EXISTS},
		{"INSERT INTO w VALUES (1)", FAIL_EXISTS},
		{"INSERT INTO p VALUES (2, NULL, 1)", FAIL_CONFLICT},
		{"INSERT INTO p VALUES (2, 'b', 0)", FAIL_CONFLICT},
		{"INSERT INTO c VALUES (7)", FAIL_CONFLICT},
		{"INSERT INTO nowhere VALUES (7)", FAIL_BUG},
		{"SELECT \"not a column\"", FAIL_BUG},
		{"SELECT 1; SELECT 2", FAIL_BUG},
		{"", FAIL_BUG},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(try_run(db, cases[i].sql, &why), -(int)cases[i].code);
		assert_int_equal(why.code, cases[i].code);
		assert_non_null(strstr(why.detail, cases[i].sql));
	}
	assert_int_equal(try_run(db, "INSERT INTO p VALUES (1, 'b', 1)", &why), -FAIL_EXISTS);
	assert_non_null(strstr(why.detail, "/t.db: UNIQUE constraint failed: p.id"));

	struct db_stmt *st = stmt(db, "SELECT ?1");
	db_bind_i64(st, 2, 1);
	assert_int_equal(db_step(st, &why), -FAIL_BUG);
	assert_int_equal(db_step(st, &why), 1); /* forgotten with the reset */
	db_reset(st);
}

static void opening_fails_clearly(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	struct db *db = NULL;
	struct db_options o = {.path = testdir_path(&d, "missing.db"), .exclusive = true};
	assert_int_equal(db_open(&o, &db, &why), -FAIL_NOTFOUND);
	assert_non_null(strstr(why.detail, "missing.db"));
	o.exclusive = false;
	assert_int_equal(db_open(&o, &db, &why), -FAIL_NOTFOUND);
	o.path = testdir_path(&d, "no/folder.db");
	o.create = true;
	assert_int_equal(db_open(&o, &db, &why), -FAIL_NOTFOUND);

	const char *path = testdir_path(&d, "text.db");
	AUTO(fs_file) struct fs_file *f = NULL;
	char text[4096];
	memset(text, 'x', sizeof text);
	assert_ok(fs_open(fs_real(), path, FS_WRITE | FS_CREATE, 0600, &f, &why), &why);
	assert_ok(fs_pwrite(f, text, sizeof text, 0, &why), &why);
	o.path = path;
	for (int exclusive = 0; exclusive < 2; exclusive++) {
		o.exclusive = exclusive;
		assert_int_equal(db_open(&o, &db, &why), -FAIL_CORRUPT);
	}
	assert_null(db);
}

static void read_only_reads(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	struct db *db = open_db(&d, true);
	run(db, "CREATE TABLE t (a)");
	db_close(db);
	struct db_options o = {.path = testdir_path(&d, "t.db"), .read_only = true};
	assert_ok(db_open(&o, &db, &why), &why);
	assert_int_equal(number(db, "SELECT count(*) FROM t"), 0);
	assert_int_equal(db_exec(db, "INSERT INTO t VALUES (1)", &why), -FAIL_IO);
	db_close(db);
}

static void a_second_opener_of_an_exclusive_file_is_refused(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	struct db *db = open_db(&d, true);
	run(db, "CREATE TABLE t (a)");
	for (int exclusive = 0; exclusive < 2; exclusive++) {
		struct db *second = NULL;
		struct db_options o = {
			.path = testdir_path(&d, "t.db"), .exclusive = exclusive, .busy_ms = 1};
		int r = db_open(&o, &second, &why);
		if (r == 0) /* the lock may be met only with the first statement */
			r = db_exec(second, "INSERT INTO t VALUES (1)", &why);
		assert_int_equal(r, -FAIL_BUSY);
		db_close(second);
	}
	db_close(db);
	db = open_db(&d, true);
	db_close(db);
}

static void statements_are_kept_by_text(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = open_db(&d, true);
	char text[32] = "SELECT ?1";
	struct db_stmt *a = stmt(db, "SELECT ?1");
	assert_ptr_equal(stmt(db, text), a);
	db_bind_i64(a, 1, 7);
	assert_int_equal(db_step(a, &why), 1);
	assert_int_equal(db_col_i64(a, 0), 7);
	a = stmt(db, "SELECT ?1"); /* reset, with no parameter left */
	assert_int_equal(db_step(a, &why), 1);
	assert_true(db_col_is_null(a, 0));
	db_reset(a);
	/* The same address with another text. */
	(void)snprintf(text, sizeof text, "SELECT 42");
	assert_int_equal(number(db, text), 42);
	assert_ptr_equal(stmt(db, "SELECT ?1"), a);
	/* Prepared statements survive a change of the schema. */
	run(db, "CREATE TABLE t (a)");
	assert_int_equal(number(db, text), 42);
	db_shrink(db);
	assert_int_equal(number(db, text), 42);
}

static void rollback_and_log_size(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = open_db(&d, true);
	run(db, "CREATE TABLE t (a)");
	assert_ok(db_begin(db, &why), &why);
	run(db, "INSERT INTO t VALUES (1)");
	db_rollback(db);
	db_rollback(db); /* harmless */
	assert_int_equal(number(db, "SELECT count(*) FROM t"), 0);
	assert_true(db_wal_bytes(db) > 4096);
	assert_ok(db_checkpoint(db, &why), &why);
	assert_int_equal(db_wal_bytes(db), 0);
	run(db, "INSERT INTO t VALUES (1)");
	assert_int_equal(db_wal_bytes(db), 4096 + 24);
}

static void checkpoints_happen_unless_the_owner_does_them(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	for (int by_owner = 0; by_owner < 2; by_owner++) {
		AUTO(testdir) struct testdir d = testdir_new();
		AUTO(db) struct db *db = NULL;
		struct db_options o = {.path = testdir_path(&d, "t.db"),
				       .create = true,
				       .exclusive = true,
				       .checkpoints_by_owner = by_owner};
		assert_ok(db_open(&o, &db, &why), &why);
		run(db, "CREATE TABLE t (a)");
		for (int i = 0; i < 12; i++)
			run(db, "INSERT INTO t VALUES (randomblob(500000))");
		if (by_owner)
			assert_true(db_wal_bytes(db) > 5000000);
		else
			assert_true(db_wal_bytes(db) < 5000000);
	}
}

static void another_process_is_noticed(void **state)
{
	(void)state;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = open_db(&d, false);
	run(db, "CREATE TABLE t (a)");
	uint64_t v = db_data_version(db);
	run(db, "INSERT INTO t VALUES (1)");
	assert_int_equal(db_data_version(db), v);
	AUTO(db) struct db *other = open_db(&d, false);
	run(other, "INSERT INTO t VALUES (2)");
	assert_int_not_equal(db_data_version(db), v);
	assert_int_equal(number(db, "SELECT count(*) FROM t"), 2);
}

static void busy_is_told(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = open_db(&d, false);
	AUTO(db) struct db *other = open_db(&d, false);
	run(db, "CREATE TABLE t (a)");
	assert_ok(db_begin(db, &why), &why);
	assert_int_equal(db_begin(other, &why), -FAIL_BUSY);
	assert_ok(db_commit(db, &why), &why);
	assert_ok(db_begin(other, &why), &why);
	db_rollback(other);
}

static const struct db_migration steps[] = {
	{"first tables",
	 "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a (id));"
	 "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)"},
	{"rebuild a",
	 "CREATE TABLE a2 (id INTEGER PRIMARY KEY, x); INSERT INTO a2 (id) SELECT id FROM a;"
	 "DROP TABLE a; ALTER TABLE a2 RENAME TO a"},
	{"forget a parent", "DELETE FROM a"},
};

static void schemas_move_forward(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = open_db(&d, true);
	assert_ok(db_migrate(db, APP_ID, steps, 1, &why), &why);
	assert_int_equal(number(db, "PRAGMA user_version"), 1);
	assert_int_equal(number(db, "PRAGMA application_id"), APP_ID);
	assert_ok(db_migrate(db, APP_ID, steps, 2, &why), &why);
	assert_ok(db_migrate(db, APP_ID, steps, 2, &why), &why);
	assert_int_equal(number(db, "SELECT count(*) FROM b JOIN a ON b.a = a.id"), 1);
	assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);

	assert_int_equal(db_migrate(db, APP_ID, steps, 1, &why), -FAIL_UNSUPPORTED);
	assert_non_null(strstr(why.detail, "has format 2, made by barid " BARID_VERSION));
	assert_int_equal(db_migrate(db, APP_ID + 1, steps, 2, &why), -FAIL_UNSUPPORTED);

	/* A failing step leaves everything as it was. */
	assert_int_equal(db_migrate(db, APP_ID, steps, 3, &why), -FAIL_CONFLICT);
	assert_non_null(strstr(why.detail, "forget a parent"));
	assert_int_equal(number(db, "PRAGMA user_version"), 2);
	assert_int_equal(number(db, "SELECT count(*) FROM a"), 1);
	assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);
	assert_false(db_in_transaction(db));
}

static void a_foreign_file_is_refused(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = open_db(&d, true);
	run(db, "CREATE TABLE somebody_elses (a)");
	assert_int_equal(db_migrate(db, APP_ID, steps, 1, &why), -FAIL_UNSUPPORTED);
	assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema"), 1);
}

/*
 * The log of a database that belongs to a role's user must be that user's even when root commits.
 */
static void root_leaves_files_to_their_owner(void **state)
{
	(void)state;
	struct stat st;
	if (geteuid() != 0)
		skip();
	for (int exclusive = 0; exclusive < 2; exclusive++) {
		AUTO(testdir) struct testdir d = testdir_new();
		struct db *db = open_db(&d, exclusive);
		db_close(db);
		assert_int_equal(chown(testdir_path(&d, "t.db"), 1234, 1235), 0);
		db = open_db(&d, exclusive);
		run(db, "CREATE TABLE t (a)");
		assert_int_equal(stat(testdir_path(&d, "t.db-wal"), &st), 0);
		assert_int_equal(st.st_uid, 1234);
		assert_int_equal(st.st_gid, 1235);
		if (!exclusive) {
			assert_int_equal(stat(testdir_path(&d, "t.db-shm"), &st), 0);
			assert_int_equal(st.st_uid, 1234);
		}
		db_close(db);
	}
}

/* In a child: a role's rights are enough, for a first opening too. */
static int use_in_sandbox(struct testdir *d, bool exclusive)
{
	struct fail why = FAIL_INIT;
	struct proc_user user = {.uid = 65534, .gid = 65534};
	struct sandbox_path path = {d->path, SANDBOX_WRITE};
	struct sandbox_profile p = {.role = "test",
				    .flags = SANDBOX_FILES,
				    .paths = &path,
				    .n_paths = 1,
				    .user = geteuid() == 0 ? &user : NULL};
	struct sandbox_report report;
	struct db *db = NULL;
	struct db_options o = {
		.path = testdir_path(d, "t.db"), .create = true, .exclusive = exclusive};
	int r = sandbox_enter(&p, &report, &why);
	for (int twice = 0; twice < 2 && r == 0; twice++) {
		r = db_open(&o, &db, &why);
		if (r == 0)
			r = db_exec(db,
				    "CREATE TABLE IF NOT EXISTS t (a);"
				    "INSERT INTO t VALUES (randomblob(100000));"
				    "SELECT a, count(*) FROM t GROUP BY a ORDER BY a",
				    &why);
		if (r == 0)
			r = db_checkpoint(db, &why);
		db_close(TAKE(db));
	}
	if (r < 0)
		(void)fprintf(stderr, "%s\n", why.detail);
	return r < 0;
}

static void it_works_inside_the_sandbox(void **state)
{
	(void)state;
	for (int exclusive = 0; exclusive < 2; exclusive++) {
		AUTO(testdir) struct testdir d = testdir_new();
		int status;
		assert_int_equal(chmod(d.path, 0777), 0);
		pid_t pid = fork();
		if (pid == 0)
			_exit(use_in_sandbox(&d, exclusive));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_are_not_followed),
		cmocka_unit_test(values_round_trip),
		cmocka_unit_test(rows_of_numbers_come_to_a_function),
		cmocka_unit_test(a_file_is_reopened_with_its_content),
		cmocka_unit_test(settings_are_ours),
		cmocka_unit_test(errors_have_their_codes),
		cmocka_unit_test(opening_fails_clearly),
		cmocka_unit_test(read_only_reads),
		cmocka_unit_test(a_second_opener_of_an_exclusive_file_is_refused),
		cmocka_unit_test(statements_are_kept_by_text),
		cmocka_unit_test(rollback_and_log_size),
		cmocka_unit_test(checkpoints_happen_unless_the_owner_does_them),
		cmocka_unit_test(another_process_is_noticed),
		cmocka_unit_test(busy_is_told),
		cmocka_unit_test(schemas_move_forward),
		cmocka_unit_test(a_foreign_file_is_refused),
		cmocka_unit_test(root_leaves_files_to_their_owner),
		cmocka_unit_test(it_works_inside_the_sandbox),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
