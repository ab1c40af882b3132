/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batched steps: bounded, told, resumed after a power cut at every storage call, and each row
 * treated exactly once.
 */
#include "base/test.h"
#include "runtime/db/db.h"
#include "sys/fs.h"
#include "sys/fs_fault.h"
#include "sys/testdir.h"
#include <sys/stat.h>

#define APP_ID 0x62617264u /* "bard" */
#define ROWS   40
#define GAP    400 /* between keys, so that few rows make several batches */

static const struct db_migration steps[] = {
	{"tables", "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)"},
	{"count on", "UPDATE t SET n = n + 1 WHERE id > ?1 AND id <= ?2", "SELECT max(id) FROM t"},
	{"a column", "ALTER TABLE t ADD COLUMN x INTEGER"},
};

static int open_at(struct fs *fs, const char *path, struct db **ret, struct fail *why)
{
	struct db_options o = {
		.path = path, .fs = fs, .create = true, .exclusive = true, .busy_ms = 1};
	return db_open(&o, ret, why);
}

static uint64_t number(struct db *db, const char *sql)
{
	uint64_t v = 0;
	struct fail why = FAIL_INIT;
	assert_ok(db_number(db, sql, &v, &why), &why);
	return v;
}

/* A file of format 1 with rows. */
static void make_old(const char *path, unsigned rows, unsigned gap)
{
	struct fail why = FAIL_INIT;
	char sql[200];
	AUTO(db) struct db *db = NULL;
	assert_ok(open_at(NULL, path, &db, &why), &why);
	assert_ok(db_migrate(db, APP_ID, steps, 1, &why), &why);
	(void)snprintf(sql, sizeof sql,
		       "WITH RECURSIVE k (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < "
		       "%u) INSERT INTO t SELECT i * %u, i FROM k",
		       rows, gap);
	assert_ok(db_exec(db, sql, &why), &why);
}

static void verify(struct db *db, unsigned rows, unsigned gap)
{
	char sql[100];
	(void)snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE n = id / %u + 1", gap);
	assert_int_equal(number(db, "PRAGMA user_version"), 3);
	assert_int_equal(number(db, sql), rows);
	assert_int_equal(number(db, "SELECT count(*) FROM barid_format WHERE position IS NULL"), 3);
	assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);
}

/* ---- what the listener hears ---- */

struct heard {
	unsigned n, batches;
	uint64_t last_done, total;
	char what[40];
};

static void listen_to(void *arg, const struct db_progress *p)
{
	struct heard *h = arg;
	h->n++;
	if (strcmp(p->what, "count on") != 0)
		return;
	h->batches++;
	assert_true(p->done == 0 || p->done > h->last_done);
	assert_true(p->done <= p->total);
	h->last_done = p->done;
	h->total = p->total;
}

static void many_rows_go_in_batches(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	struct heard heard = {0};
	AUTO(testdir) struct testdir d = testdir_new();
	const char *path = testdir_path(&d, "t.db");
	db_on_progress(listen_to, &heard);
	make_old(path, 50000, 1);
	assert_int_equal(heard.n, 0); /* a file that is being made is no news */
	AUTO(db) struct db *db = NULL;
	assert_ok(open_at(NULL, path, &db, &why), &why);
	assert_ok(db_migrate(db, APP_ID, steps, 3, &why), &why);
	verify(db, 50000, 1);
	assert_true(heard.batches > 3);
	assert_int_equal(heard.last_done, 50000);
	assert_int_equal(heard.total, 50000);
	unsigned before = heard.n;
	assert_ok(db_migrate(db, APP_ID, steps, 3, &why), &why);
	assert_int_equal(heard.n, before);
	db_on_progress(NULL, NULL);
}

static void an_empty_table_is_a_batch(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = NULL;
	assert_ok(open_at(NULL, testdir_path(&d, "t.db"), &db, &why), &why);
	assert_ok(db_migrate(db, APP_ID, steps, 3, &why), &why);
	verify(db, 0, 1);
}

/* ---- interrupted ---- */

static bool interrupted_once(const struct fs_fault_rule *rule)
{
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	const char *root = testdir_path(&d, "root");
	assert_int_equal(mkdir(root, 0700), 0);
	const char *path = testdir_path(&d, "root/t.db");
	make_old(path, ROWS, GAP);
	struct fs_fault *f = fs_fault_new(root, rule->nth);
	fs_fault_add(f, rule);
	struct db *db = NULL;
	int r = open_at(fs_fault_fs(f), path, &db, &why);
	if (r == 0)
		r = db_migrate(db, APP_ID, steps, 3, &why);
	bool fired = fs_fault_fired(f);
	assert_true(fired || r == 0);
	db_close(db);
	fs_fault_free(f);
	db = NULL;
	assert_ok(open_at(NULL, path, &db, &why), &why);
	assert_ok(db_migrate(db, APP_ID, steps, 3, &why), &why);
	verify(db, ROWS, GAP);
	db_close(db);
	return fired;
}

static void every_call(struct fs_fault_rule rule)
{
	do
		rule.nth++;
	while (interrupted_once(&rule));
	assert_true(rule.nth > 30);
}

static void it_goes_on_after_a_power_cut(void **state)
{
	(void)state;
	every_call((struct fs_fault_rule){.what = FS_FAULT_CUT, .cut = FS_CUT_DROP});
	every_call((struct fs_fault_rule){.what = FS_FAULT_CUT, .cut = FS_CUT_TORN});
}

static void it_goes_on_after_a_full_disk(void **state)
{
	(void)state;
	every_call((struct fs_fault_rule){.what = FS_FAULT_ENOSPC, .onwards = true});
}

static void a_full_disk_leaves_the_old_format(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	const char *root = testdir_path(&d, "root");
	assert_int_equal(mkdir(root, 0700), 0);
	const char *path = testdir_path(&d, "root/t.db");
	make_old(path, ROWS, GAP);
	struct fs_fault *f = fs_fault_new(root, 1);
	struct db *db = NULL;
	assert_ok(open_at(fs_fault_fs(f), path, &db, &why), &why);
	fs_fault_recount(f);
	fs_fault_add(
		f, &(struct fs_fault_rule){
			   .op = FS_OP_PWRITE, .nth = 1, .onwards = true, .what = FS_FAULT_ENOSPC});
	assert_int_equal(db_migrate(db, APP_ID, steps, 3, &why), -FAIL_LIMIT);
	assert_non_null(strstr(why.detail, "no room to bring it to format 2 (count on)"));
	db_close(db);
	fs_fault_free(f);
	db = NULL;
	assert_ok(open_at(NULL, path, &db, &why), &why);
	assert_ok(db_migrate(db, APP_ID, steps, 1, &why), &why); /* the old barid still takes it */
	assert_int_equal(number(db, "SELECT count(*) FROM t WHERE n = id / 400"), ROWS);
	db_close(db);
}

/* ---- refused ---- */

static void a_newer_file_names_its_barid(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(db) struct db *db = NULL;
	assert_ok(open_at(NULL, testdir_path(&d, "t.db"), &db, &why), &why);
	assert_ok(db_migrate(db, APP_ID, steps, 3, &why), &why);
	assert_ok(db_exec(db, "UPDATE barid_format SET writer = '7.8.9' WHERE version = 3", &why),
		  &why);
	assert_int_equal(db_migrate(db, APP_ID, steps, 2, &why), -FAIL_UNSUPPORTED);
	assert_non_null(strstr(why.detail, "has format 3, made by barid 7.8.9"));
	assert_non_null(strstr(why.detail, "knows formats up to 2: install that barid"));
	assert_ok(db_exec(db, "DROP TABLE barid_format", &why), &why);
	assert_int_equal(db_migrate(db, APP_ID, steps, 2, &why), -FAIL_UNSUPPORTED);
	assert_non_null(strstr(why.detail, "made by a newer barid"));
}

static void headers_tell_without_opening(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	uint32_t id = 1, version = 1;
	AUTO(testdir) struct testdir d = testdir_new();
	const char *path = testdir_path(&d, "t.db");
	assert_ok(db_peek(NULL, path, &id, &version, &why), &why);
	assert_int_equal(id, 0);
	assert_int_equal(version, 0);
	struct db *db = NULL;
	assert_ok(open_at(NULL, path, &db, &why), &why);
	assert_ok(db_migrate(db, APP_ID, steps, 3, &why), &why);
	db_close(db);
	assert_ok(db_peek(NULL, path, &id, &version, &why), &why);
	assert_int_equal(id, APP_ID);
	assert_int_equal(version, 3);
	struct fs_file *f = NULL;
	assert_ok(fs_open(fs_real(), path, FS_WRITE, 0, &f, &why), &why);
	assert_ok(fs_pwrite(f, "no database", 11, 0, &why), &why);
	fs_close(f);
	assert_int_equal(db_peek(NULL, path, &id, &version, &why), -FAIL_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_rows_go_in_batches),
		cmocka_unit_test(an_empty_table_is_a_batch),
		cmocka_unit_test(it_goes_on_after_a_power_cut),
		cmocka_unit_test(it_goes_on_after_a_full_disk),
		cmocka_unit_test(a_full_disk_leaves_the_old_format),
		cmocka_unit_test(a_newer_file_names_its_barid),
		cmocka_unit_test(headers_tell_without_opening),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
