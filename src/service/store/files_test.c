/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files_test.c - what only an engine with files can show: reopening, placement, sweeping, faults.
 */
#include "runtime/db/db.h"
#include "service/store/store_engine.h"
#include "service/store/store_testing.h"
#include <errno.h>
#include <sys/stat.h>

static int set_up(void **state)
{
	*state = world_new(STORE_SQLITE);
	return 0;
}

static int tear_down(void **state)
{
	world_free(*state);
	return 0;
}

static void reopen(struct world *w)
{
	store_close(w->s);
	w->s = NULL;
	world_open(w);
}

static struct store_counters status(struct world *w, const char *name)
{
	struct store_mailbox m;
	OK(store_mailbox_find(w->s, ALICE, str_c(name), &w->arena, &m, &w->why));
	return m.counters;
}

static void test_reopen(void **state)
{
	struct world *w = *state;
	put_to(w, "INBOX", "one", 0);
	struct waiting x = {0};
	OK(deliver_one(w->s, 1, &x));
	unsigned char key[STORE_URL_KEY_LEN], again[STORE_URL_KEY_LEN];
	OK(store_url_key(w->s, ALICE, STR("INBOX"), true, key, &w->why));
	struct store_counters before = status(w, "INBOX");
	w->o.partitions = 9; /* ignored: chosen at creation */
	reopen(w);
	assert_int_equal(store_partitions(w->s), 2);
	struct store_counters after = status(w, "INBOX");
	assert_memory_equal(&before, &after, sizeof before);
	OK(store_url_key(w->s, ALICE, STR("INBOX"), false, again, &w->why));
	assert_memory_equal(key, again, sizeof key);
	x = (struct waiting){0};
	OK(deliver_one(w->s, 1, &x));
	assert_true(x.d.repeated);
	/* what a session has shown as recent is written when it closes */
	struct store_view *v = view_of(w, "INBOX");
	assert_int_equal(store_view_get_info(v)->recent, 2);
	store_view_close(v);
	reopen(w);
	assert_int_equal(status(w, "INBOX").recent, 0);
	OK(store_check(w->s, ALICE, &w->why));
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

static void test_refused(void **state)
{
	struct world *w = *state;
	char path[200];
	static const struct {
		const char *text;
		enum fail_code code;
	} cases[] = {
		{"barid-store 2\npartitions 2\n", FAIL_UNSUPPORTED},
		{"something else", FAIL_UNSUPPORTED},
		{"", FAIL_UNSUPPORTED},
		{"barid-store 1\npartitions x\n", FAIL_CORRUPT},
		{"barid-store 1\n", FAIL_CORRUPT},
		{"barid-store 1\npartitions 99999999\n", FAIL_CORRUPT},
	};
	store_close(w->s);
	(void)snprintf(path, sizeof path, "%s/meta", w->root);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		write_file(path, cases[i].text);
		FAILS(store_open(&w->o, &w->s, &w->why), cases[i].code);
	}
	write_file(path, "barid-store 1\npartitions 2\n");
	/* a partition of a newer version: refused before anybody is served */
	uint64_t no = store_place(ALICE, 2);
	(void)snprintf(path, sizeof path, "%s/part-%03u.db", w->root, (unsigned)no);
	struct db_options o = {.path = path, .exclusive = true};
	struct db *db;
	OK(db_open(&o, &db, &w->why));
	OK(db_exec(db, "PRAGMA user_version = 1000", &w->why));
	db_close(db);
	FAILS(store_open(&w->o, &w->s, &w->why), FAIL_UNSUPPORTED);
	/* another shard's is none of this one's business */
	w->o.shards = 2;
	w->o.shard = (unsigned)(no ^ 1);
	world_open(w);
}

/* A file of an earlier format is brought forward by the opening, not by the first session. */
static void test_old_format(void **state)
{
	struct world *w = *state;
	char path[200];
	uint32_t id = 0, version = 0;
	store_close(w->s);
	(void)snprintf(path, sizeof path, "%s/part-%03u.db", w->root,
		       (unsigned)store_place(ALICE, 2));
	(void)unlink(path); /* an empty file is the oldest format of all */
	write_file(path, "");
	world_open(w);
	OK(db_peek(NULL, path, &id, &version, &w->why));
	assert_int_equal(id, engine_sqlite.application_id);
	assert_int_equal(version, engine_sqlite.format);
}

static void test_shards(void **state)
{
	struct world *w = *state;
	store_close(w->s);
	w->o.shards = 2;
	w->o.shard = (unsigned)(store_place(ALICE, 2) ^ 1);
	world_open(w);
	struct store_usage u;
	FAILS(store_account_usage(w->s, ALICE, &u, &w->why), FAIL_PERM);
	struct waiting x = {0};
	FAILS(deliver_one(w->s, 1, &x), FAIL_PERM);
}

static void test_place(void **state)
{
	(void)state;
	unsigned n[16] = {0};
	for (uint64_t i = 1; i <= 16000; i++)
		n[store_place((struct account_id){i}, 16)]++;
	for (unsigned i = 0; i < 16; i++)
		assert_in_range(n[i], 850, 1150);
	/* part of the format: never another value */
	assert_int_equal(store_place((struct account_id){1}, 16), 1);
	assert_int_equal(store_place((struct account_id){2}, 16), 14);
	assert_int_equal(store_place((struct account_id){1001}, 16), 4);
	assert_int_equal(store_place((struct account_id){7}, STORE_PER_ACCOUNT), 7);
}

static void test_file_per_account(void **state)
{
	struct world *w = *state;
	store_close(w->s);
	w->o.per_account = true;
	w->o.open_max = 3;
	(void)snprintf(w->root, sizeof w->root, "%s/single", w->dir.path);
	world_open(w);
	for (uint64_t round = 0; round < 2; round++) {
		for (uint64_t i = 1; i <= 10; i++) {
			struct waiting x = {.d = {.account = {i}}};
			OK(store_account_ensure(w->s, x.d.account, store_default_folders, &w->why));
			OK(deliver_one(w->s, round, &x));
			struct store_stats st;
			store_get_stats(w->s, &st);
			assert_in_range(st.open_partitions, 1, 3);
		}
	}
	for (uint64_t i = 1; i <= 10; i++)
		OK(store_check(w->s, (struct account_id){i}, &w->why));
}

static void test_sweep(void **state)
{
	struct world *w = *state;
	AUTO(store_body) struct store_body b = body_of(w, 70000, 'x');
	struct waiting x = {.d = {.content = {.file = &b}}};
	OK(deliver_one(w->s, 1, &x));
	assert_int_equal(mkdir(testdir_path(&w->dir, "blob/00"), 0700) < 0 && errno != EEXIST, 0);
	/* names that a crash left: ours without a row, one of queue, one of a stranger */
	char path[300];
	static const char *const names[] = {"00112233445566778899aabbccddeeff.3e9",
					    "00112233445566778899aabbccddeeff.q", "readme"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof path, "%s/00/%s", w->blobs, names[i]);
		write_file(path, "x");
	}
	assert_int_equal(count_names(w), 4);
	int more = 1;
	for (unsigned i = 0; i < 300 && more > 0; i++)
		OK(more = store_maintain(w->s, &w->why));
	assert_int_equal(more, 0);
	assert_int_equal(count_names(w), 3);
	struct store_stats st;
	store_get_stats(w->s, &st);
	assert_int_equal(st.swept, 1);
	OK(store_check(w->s, ALICE, &w->why));
}

static void test_checkpoints(void **state)
{
	struct world *w = *state;
	store_close(w->s);
	w->o.wal_bytes = 50000;
	world_open(w);
	for (unsigned i = 0; i < 10; i++)
		put_to(w, "INBOX", "x", 0);
	while (store_maintain(w->s, &w->why) > 0)
		continue;
	struct store_stats st;
	store_get_stats(w->s, &st);
	assert_int_equal(st.checkpoints, 1);
	OK(store_check(w->s, ALICE, &w->why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reopen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_old_format, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shards, set_up, tear_down),
		cmocka_unit_test(test_place),
		cmocka_unit_test_setup_teardown(test_file_per_account, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sweep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_checkpoints, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
