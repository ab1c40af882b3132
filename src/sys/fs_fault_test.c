/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "sys/fs_fault.h"
#include "sys/testdir.h"
#include <sys/stat.h>

struct rig {
	struct testdir dir;
	struct fs_fault *fault;
	struct fs *fs;
	struct fail why;
};

static struct rig rig_new(uint64_t seed)
{
	struct rig r = {.dir = testdir_new()};
	const char *root = testdir_path(&r.dir, "root");
	assert_int_equal(mkdir(root, 0700), 0);
	r.fault = fs_fault_new(root, seed);
	r.fs = fs_fault_fs(r.fault);
	return r;
}

static void rig_clear(struct rig *r)
{
	fs_fault_free(r->fault);
	testdir_remove(&r->dir);
}
DEFINE_AUTO(rig, struct rig, rig_clear);

static const char *in(struct rig *r, const char *name)
{
	char below[100];
	(void)snprintf(below, sizeof below, "root/%s", name);
	return testdir_path(&r->dir, below);
}

static struct fs_file *make(struct rig *r, const char *name, const char *text)
{
	struct fs_file *f = NULL;
	assert_ok(fs_open(r->fs, in(r, name), FS_READ | FS_WRITE | FS_CREATE, 0600, &f, &r->why),
		  &r->why);
	if (*text)
		assert_ok(fs_pwrite(f, text, strlen(text), 0, &r->why), &r->why);
	return f;
}

static void sync_names(struct rig *r)
{
	assert_ok(fs_sync_dir(r->fs, in(r, "."), &r->why), &r->why);
}

/* What fs_real() finds under a name: its text in a static buffer, or NULL. */
static const char *found(struct rig *r, const char *name)
{
	static char text[8192];
	AUTO(fs_file) struct fs_file *f = NULL;
	size_t n = 0;
	if (fs_open(fs_real(), in(r, name), FS_READ, 0, &f, NULL) < 0)
		return NULL;
	assert_ok(fs_pread(f, text, sizeof text - 1, 0, &n, &r->why), &r->why);
	text[n] = '\0';
	return text;
}

static void what_was_synced_survives_every_cut(void **state)
{
	(void)state;
	for (int mode = FS_CUT_DROP; mode <= FS_CUT_TORN; mode++) {
		for (uint64_t seed = 0; seed < 8; seed++) {
			AUTO(rig) struct rig r = rig_new(seed);
			AUTO(fs_file) struct fs_file *f = make(&r, "a", "first");
			AUTO(fs_file) struct fs_file *later = NULL;
			assert_ok(fs_datasync(f, &r.why), &r.why);
			sync_names(&r);
			later = make(&r, "later", "x");
			fs_fault_power_cut(r.fault, (enum fs_cut_mode)mode);
			assert_string_equal(found(&r, "a"), "first");
			assert_int_equal(fs_pwrite(f, "x", 1, 0, &r.why), -FAIL_IO);
			if (mode == FS_CUT_DROP)
				assert_null(found(&r, "later"));
			if (mode == FS_CUT_KEEP)
				assert_string_equal(found(&r, "later"), "x");
		}
	}
}

static void a_missing_sync_dir_loses_the_name(void **state)
{
	(void)state;
	AUTO(rig) struct rig r = rig_new(1);
	AUTO(fs_file) struct fs_file *f = make(&r, "a", "first");
	assert_ok(fs_sync(f, &r.why), &r.why);
	fs_fault_power_cut(r.fault, FS_CUT_DROP);
	assert_null(found(&r, "a"));
}

static void unsynced_bytes_are_dropped(void **state)
{
	(void)state;
	AUTO(rig) struct rig r = rig_new(1);
	AUTO(fs_file) struct fs_file *grown = make(&r, "grown", "old");
	AUTO(fs_file) struct fs_file *cut = make(&r, "cut", "a long text");
	fs_close(make(&r, "empty", "never synced"));
	assert_ok(fs_datasync(grown, &r.why), &r.why);
	assert_ok(fs_datasync(cut, &r.why), &r.why);
	sync_names(&r);
	assert_ok(fs_pwrite(grown, "NEW and longer", 14, 0, &r.why), &r.why);
	assert_ok(fs_truncate(cut, 2, &r.why), &r.why);
	fs_fault_power_cut(r.fault, FS_CUT_DROP);
	assert_string_equal(found(&r, "grown"), "old");
	assert_string_equal(found(&r, "cut"), "a long text");
	assert_string_equal(found(&r, "empty"), "");
}

static void sectors_tear_one_by_one(void **state)
{
	(void)state;
	unsigned old_sectors = 0, new_sectors = 0, mixed = 0;
	for (uint64_t seed = 0; seed < 16; seed++) {
		AUTO(rig) struct rig r = rig_new(seed);
		char text[4097];
		memset(text, 'o', 4096);
		text[4096] = '\0';
		AUTO(fs_file) struct fs_file *f = make(&r, "a", text);
		assert_ok(fs_datasync(f, &r.why), &r.why);
		sync_names(&r);
		memset(text, 'n', 4096);
		assert_ok(fs_pwrite(f, text, 4096, 0, &r.why), &r.why);
		fs_fault_power_cut(r.fault, FS_CUT_TORN);
		const char *now = found(&r, "a");
		assert_int_equal(strlen(now), 4096);
		unsigned fresh = 0;
		for (size_t s = 0; s < 8; s++) {
			for (size_t i = 1; i < 512; i++)
				assert_int_equal(now[s * 512 + i], now[s * 512]);
			fresh += now[s * 512] == 'n';
		}
		new_sectors += fresh;
		old_sectors += 8 - fresh;
		mixed += fresh > 0 && fresh < 8;
	}
	assert_true(old_sectors > 20 && new_sectors > 20 && mixed > 8);
}

static void unlink_and_rename_come_back(void **state)
{
	(void)state;
	AUTO(rig) struct rig r = rig_new(3);
	struct fs_stat st;
	fs_close(make(&r, "gone", "1"));
	fs_close(make(&r, "target", "2"));
	AUTO(fs_file) struct fs_file *f = make(&r, "source", "3");
	assert_ok(fs_sync(f, &r.why), &r.why);
	AUTO(fs_file) struct fs_file *g = make(&r, "gone", "1");
	AUTO(fs_file) struct fs_file *t = make(&r, "target", "2");
	assert_ok(fs_sync(g, &r.why), &r.why);
	assert_ok(fs_sync(t, &r.why), &r.why);
	sync_names(&r);
	assert_ok(fs_unlink(r.fs, in(&r, "gone"), &r.why), &r.why);
	assert_ok(fs_rename(r.fs, in(&r, "source"), in(&r, "target"), &r.why), &r.why);
	assert_null(found(&r, "gone"));
	assert_ok(fs_file_stat(f, &st, &r.why), &r.why);
	assert_int_equal(st.links, 1); /* the graveyard does not show */
	fs_fault_power_cut(r.fault, FS_CUT_DROP);
	assert_string_equal(found(&r, "gone"), "1");
	assert_string_equal(found(&r, "target"), "2");
	assert_string_equal(found(&r, "source"), "3");
}

/* A rename is atomic: one of the two names has the file, never both, never none. */
static void a_torn_rename_loses_nothing(void **state)
{
	(void)state;
	unsigned moved = 0;
	for (uint64_t seed = 0; seed < 16; seed++) {
		AUTO(rig) struct rig r = rig_new(seed);
		AUTO(fs_file) struct fs_file *f = make(&r, "from", "x");
		assert_ok(fs_sync(f, &r.why), &r.why);
		sync_names(&r);
		assert_ok(fs_rename(r.fs, in(&r, "from"), in(&r, "to"), &r.why), &r.why);
		fs_fault_power_cut(r.fault, FS_CUT_TORN);
		bool from = found(&r, "from") != NULL;
		assert_true(from != (found(&r, "to") != NULL));
		moved += !from;
	}
	assert_true(moved > 2 && moved < 14);
}

static void a_lost_folder_takes_its_files_along(void **state)
{
	(void)state;
	AUTO(rig) struct rig r = rig_new(1);
	struct fs_stat st;
	assert_ok(fs_mkdir(r.fs, in(&r, "d"), 0700, &r.why), &r.why);
	AUTO(fs_file) struct fs_file *f = make(&r, "d/a", "x");
	assert_ok(fs_sync(f, &r.why), &r.why);
	assert_ok(fs_sync_dir(r.fs, in(&r, "d"), &r.why), &r.why);
	fs_fault_power_cut(r.fault, FS_CUT_DROP);
	assert_int_equal(fs_stat(fs_real(), in(&r, "d"), &st, &r.why), -FAIL_NOTFOUND);

	AUTO(rig) struct rig q = rig_new(1);
	assert_ok(fs_mkdir_all(q.fs, in(&q, "d/e"), 0700, &q.why), &q.why);
	fs_fault_power_cut(q.fault, FS_CUT_DROP);
	assert_ok(fs_stat(fs_real(), in(&q, "d/e"), &st, &q.why), &q.why);
}

static void a_nameless_file_is_linked_durably(void **state)
{
	(void)state;
	for (int synced = 0; synced < 2; synced++) {
		AUTO(rig) struct rig r = rig_new(1);
		AUTO(fs_file) struct fs_file *f = NULL;
		assert_ok(fs_open(r.fs, in(&r, "."), FS_READ | FS_WRITE | FS_NAMELESS, 0600, &f,
				  &r.why),
			  &r.why);
		assert_ok(fs_pwrite(f, "body", 4, 0, &r.why), &r.why);
		assert_ok(fs_datasync(f, &r.why), &r.why);
		assert_ok(fs_link(f, in(&r, "a"), &r.why), &r.why);
		if (synced)
			sync_names(&r);
		fs_fault_power_cut(r.fault, FS_CUT_DROP);
		if (synced)
			assert_string_equal(found(&r, "a"), "body");
		else
			assert_null(found(&r, "a"));
	}
}

static void rules_hit_the_nth_call(void **state)
{
	(void)state;
	AUTO(rig) struct rig r = rig_new(1);
	AUTO(fs_file) struct fs_file *f = make(&r, "a", "0123456789");
	size_t n;
	char c;
	fs_fault_recount(r.fault);
	fs_fault_add(r.fault,
		     &(struct fs_fault_rule){.op = FS_OP_PWRITE, .nth = 2, .what = FS_FAULT_SHORT});
	fs_fault_add(r.fault, &(struct fs_fault_rule){.op = FS_OP_DATASYNC,
						      .nth = 1,
						      .onwards = true,
						      .what = FS_FAULT_EIO});
	fs_fault_add(r.fault, &(struct fs_fault_rule){
				      .op = FS_OP_TRUNCATE, .nth = 1, .what = FS_FAULT_ENOSPC});
	fs_fault_add(r.fault, &(struct fs_fault_rule){.op = FS_OP_PREAD,
						      .nth = 1,
						      .what = FS_FAULT_LATENCY,
						      .latency_us = 20000});
	assert_ok(fs_pwrite(f, "a", 1, 0, &r.why), &r.why);
	assert_false(fs_fault_fired(r.fault));
	assert_int_equal(fs_pwrite(f, "BBBB", 4, 4, &r.why), -FAIL_LIMIT);
	assert_true(fs_fault_fired(r.fault));
	assert_string_equal(found(&r, "a"), "a123BB6789");
	assert_ok(fs_pwrite(f, "c", 1, 9, &r.why), &r.why);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fs_datasync(f, &r.why), -FAIL_IO);
	assert_int_equal(fs_truncate(f, 0, &r.why), -FAIL_LIMIT);
	assert_ok(fs_pread(f, &c, 1, 0, &n, &r.why), &r.why);
	assert_int_equal(fs_fault_calls(r.fault, FS_OP_PWRITE), 3);
	assert_int_equal(fs_fault_calls(r.fault, FS_OP_ANY), 8);
}

static void a_cut_during_a_sync_did_not_sync(void **state)
{
	(void)state;
	AUTO(rig) struct rig r = rig_new(1);
	AUTO(fs_file) struct fs_file *f = make(&r, "a", "");
	sync_names(&r);
	fs_fault_add(r.fault, &(struct fs_fault_rule){.op = FS_OP_DATASYNC,
						      .nth = 1,
						      .what = FS_FAULT_CUT,
						      .cut = FS_CUT_DROP});
	assert_ok(fs_pwrite(f, "x", 1, 0, &r.why), &r.why);
	assert_int_equal(fs_datasync(f, &r.why), -FAIL_IO);
	assert_string_equal(found(&r, "a"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_synced_survives_every_cut),
		cmocka_unit_test(a_missing_sync_dir_loses_the_name),
		cmocka_unit_test(unsynced_bytes_are_dropped),
		cmocka_unit_test(sectors_tear_one_by_one),
		cmocka_unit_test(unlink_and_rename_come_back),
		cmocka_unit_test(a_torn_rename_loses_nothing),
		cmocka_unit_test(a_lost_folder_takes_its_files_along),
		cmocka_unit_test(a_nameless_file_is_linked_durably),
		cmocka_unit_test(rules_hit_the_nth_call),
		cmocka_unit_test(a_cut_during_a_sync_did_not_sync),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
