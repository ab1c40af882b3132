/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every storage call of a small history fails once, in each way, and the power goes at each: what
 * was committed is there afterwards, nothing is there by half, and the file is never damaged.
 */
#include "base/test.h"
#include "runtime/db/db.h"
#include "sys/fs_fault.h"
#include "sys/testdir.h"
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 6

static const struct db_migration steps[] = {
	{"tables", "CREATE TABLE a (n INTEGER PRIMARY KEY, pad BLOB); CREATE TABLE b (n INTEGER "
		   "PRIMARY KEY)"},
};

/* One row in each table, in one transaction; with several pages, so that it can tear. */
static int add_pair(struct db *db, int64_t n)
{
	struct db_stmt *st;
	int r = db_begin(db, NULL);
	if (r < 0)
		return r;
	r = db_stmt(db, "INSERT INTO a VALUES (?1, randomblob(9000))", &st, NULL);
	if (r == 0) {
		db_bind_i64(st, 1, n);
		r = db_run(st, NULL);
	}
	if (r == 0)
		r = db_stmt(db, "INSERT INTO b VALUES (?1)", &st, NULL);
	if (r == 0) {
		db_bind_i64(st, 1, n);
		r = db_run(st, NULL);
	}
	if (r == 0)
		return db_commit(db, NULL);
	db_rollback(db);
	return r;
}

/* Runs the history on fs as far as it goes; sets bit n for each round that was committed. */
static void history(struct fs *fs, const char *path, unsigned *committed)
{
	struct db_options o = {
		.path = path, .fs = fs, .create = true, .exclusive = true, .busy_ms = 1};
	for (int n = 0; n < ROUNDS; n += 2) {
		AUTO(db)
		struct db *db = NULL; /* closed every second round: the log is deleted then */
		if (db_open(&o, &db, NULL) < 0 || db_migrate(db, 1, steps, 1, NULL) < 0)
			continue;
		for (int k = n; k < n + 2; k++)
			if (add_pair(db, k) == 0)
				*committed |= 1u << k;
		if (n == 2)
			(void)!db_checkpoint(db, NULL);
	}
}

static bool has(struct db *db, const char *sql, int64_t n)
{
	struct fail why = FAIL_INIT;
	struct db_stmt *st;
	assert_ok(db_stmt(db, sql, &st, &why), &why);
	db_bind_i64(st, 1, n);
	int r = db_step(st, &why);
	assert_ok(r, &why);
	db_reset(st);
	return r == 1;
}

static void verify(const char *path, unsigned committed)
{
	struct fail why = FAIL_INIT;
	AUTO(db) struct db *db = NULL;
	struct db_options o = {.path = path, .create = true, .exclusive = true, .busy_ms = 1};
	struct db_stmt *st;
	uint32_t id, version;
	assert_ok(db_peek(NULL, path, &id, &version, &why), &why);
	assert_true(id <= 1 && version <= 1);
	assert_ok(db_open(&o, &db, &why), &why);
	assert_ok(db_stmt(db, "PRAGMA integrity_check", &st, &why), &why);
	assert_int_equal(db_step(st, &why), 1);
	assert_str(db_col_text(st, 0), "ok");
	db_reset(st);
	assert_ok(db_migrate(db, 1, steps, 1, &why), &why);
	for (int n = 0; n < ROUNDS; n++) {
		bool a = has(db, "SELECT 1 FROM a WHERE n = ?1 AND length(pad) = 9000", n);
		bool b = has(db, "SELECT 1 FROM b WHERE n = ?1", n);
		assert_true(a == b);
		if (committed & 1u << n)
			assert_true(a);
	}
}

/* True while the rule still hit something. */
static bool one_fault(const struct fs_fault_rule *rule)
{
	AUTO(testdir) struct testdir d = testdir_new();
	unsigned committed = 0;
	const char *root = testdir_path(&d, "root");
	assert_int_equal(mkdir(root, 0700), 0);
	struct fs_fault *f = fs_fault_new(root, rule->nth);
	fs_fault_add(f, rule);
	const char *path = testdir_path(&d, "root/t.db");
	history(fs_fault_fs(f), path, &committed);
	bool fired = fs_fault_fired(f);
	if (!fired)
		assert_int_equal(committed, (1u << ROUNDS) - 1);
	fs_fault_free(f);
	verify(path, committed);
	return fired;
}

static void every_call(struct fs_fault_rule rule)
{
	do
		rule.nth++;
	while (one_fault(&rule));
	assert_true(rule.nth > 50); /* the history has that many storage calls */
}

static void power_goes_and_unsynced_is_dropped(void **state)
{
	(void)state;
	every_call((struct fs_fault_rule){.what = FS_FAULT_CUT, .cut = FS_CUT_DROP});
}

static void power_goes_and_unsynced_is_kept(void **state)
{
	(void)state;
	every_call((struct fs_fault_rule){.what = FS_FAULT_CUT, .cut = FS_CUT_KEEP});
}

static void power_goes_and_unsynced_is_torn(void **state)
{
	(void)state;
	every_call((struct fs_fault_rule){.what = FS_FAULT_CUT, .cut = FS_CUT_TORN});
}

static void one_call_fails(void **state)
{
	(void)state;
	every_call((struct fs_fault_rule){.what = FS_FAULT_EIO});
	every_call((struct fs_fault_rule){.what = FS_FAULT_ENOSPC});
	every_call((struct fs_fault_rule){.what = FS_FAULT_SHORT});
}

static void every_later_call_fails(void **state)
{
	(void)state;
	every_call((struct fs_fault_rule){.what = FS_FAULT_EIO, .onwards = true});
	every_call((struct fs_fault_rule){.what = FS_FAULT_ENOSPC, .onwards = true});
}

static void a_full_disk_is_told_as_such(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	const char *root = testdir_path(&d, "root");
	assert_int_equal(mkdir(root, 0700), 0);
	struct fs_fault *f = fs_fault_new(root, 1);
	struct db_options o = {.path = testdir_path(&d, "root/t.db"),
			       .fs = fs_fault_fs(f),
			       .create = true,
			       .exclusive = true};
	struct db *db = NULL;
	assert_ok(db_open(&o, &db, &why), &why);
	assert_ok(db_exec(db, "CREATE TABLE t (a)", &why), &why);
	fs_fault_recount(f);
	fs_fault_add(
		f, &(struct fs_fault_rule){
			   .op = FS_OP_PWRITE, .nth = 1, .onwards = true, .what = FS_FAULT_ENOSPC});
	assert_int_equal(db_exec(db, "INSERT INTO t VALUES (1)", &why), -FAIL_LIMIT);
	assert_false(db_in_transaction(db));
	fs_fault_recount(f);
	fs_fault_add(f,
		     &(struct fs_fault_rule){.op = FS_OP_DATASYNC, .nth = 1, .what = FS_FAULT_EIO});
	assert_int_equal(db_exec(db, "INSERT INTO t VALUES (1)", &why), -FAIL_IO);
	assert_non_null(strstr(why.detail, "INSERT INTO t"));
	assert_ok(db_exec(db, "INSERT INTO t VALUES (1)", &why), &why);
	db_close(db);
	o.exclusive = false;
	assert_int_equal(db_open(&o, &db, &why), -FAIL_UNSUPPORTED);
	fs_fault_free(f);
}

/*
 * Whoever wrote the log may have been killed before it was synced. The next one forces it to disk
 * before it believes in it.
 */
static void a_log_that_is_found_is_kept(void **state)
{
	(void)state;
	AUTO(testdir) struct testdir d = testdir_new();
	const char *root = testdir_path(&d, "root");
	char path[200];
	(void)snprintf(path, sizeof path, "%s/t.db", root);
	struct db_options o = {.path = path, .create = true, .exclusive = true, .busy_ms = 1};
	struct db *db = NULL;
	assert_int_equal(mkdir(root, 0700), 0);
	pid_t child = fork();
	if (child == 0)
		_exit(db_open(&o, &db, NULL) < 0 || db_migrate(db, 1, steps, 1, NULL) < 0 ||
		      add_pair(db, 1) < 0);
	int status = -1;
	assert_true(child > 0 && waitpid(child, &status, 0) == child && status == 0);

	struct fs_fault *f = fs_fault_new(root, 1);
	struct fail why = FAIL_INIT;
	o.fs = fs_fault_fs(f);
	assert_ok(db_open(&o, &db, &why), &why);
	assert_int_equal(fs_fault_calls(f, FS_OP_DATASYNC), 1);
	assert_int_equal(fs_fault_calls(f, FS_OP_SYNC_DIR), 1);
	assert_true(has(db, "SELECT 1 FROM a WHERE n = ?1", 1));
	db_close(db);
	fs_fault_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_goes_and_unsynced_is_dropped),
		cmocka_unit_test(power_goes_and_unsynced_is_kept),
		cmocka_unit_test(power_goes_and_unsynced_is_torn),
		cmocka_unit_test(one_call_fails),
		cmocka_unit_test(every_later_call_fails),
		cmocka_unit_test(a_full_disk_is_told_as_such),
		cmocka_unit_test(a_log_that_is_found_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
