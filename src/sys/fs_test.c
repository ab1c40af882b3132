/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "sys/fs.h"
#include "sys/testdir.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static void put(struct fs *fs, const char *path, const char *text)
{
	struct fail why = FAIL_INIT;
	AUTO(fs_file) struct fs_file *f = NULL;
	assert_ok(fs_open(fs, path, FS_READ | FS_WRITE | FS_CREATE, 0600, &f, &why), &why);
	assert_ok(fs_pwrite(f, text, strlen(text), 0, &why), &why);
}

static void bytes_come_back(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	const char *path = testdir_path(&d, "a");
	AUTO(fs_file) struct fs_file *f = NULL;
	char into[16];
	size_t n = 99;
	uint64_t size;

	put(fs_real(), path, "hello");
	assert_ok(fs_open(fs_real(), path, FS_READ | FS_WRITE, 0, &f, &why), &why);
	assert_true(fcntl(fs_file_fd(f), F_GETFD) & FD_CLOEXEC);
	assert_ok(fs_pread(f, into, sizeof into, 1, &n, &why), &why);
	assert_int_equal(n, 4);
	assert_memory_equal(into, "ello", 4);
	assert_ok(fs_pwrite(f, "HE", 2, 0, &why), &why);
	assert_ok(fs_truncate(f, 3, &why), &why);
	assert_ok(fs_file_size(f, &size, &why), &why);
	assert_int_equal(size, 3);
	assert_ok(fs_datasync(f, &why), &why);
	assert_ok(fs_sync(f, &why), &why);
	assert_ok(fs_sync_dir(fs_real(), d.path, &why), &why);
}

static void a_nameless_file_gets_names(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(fs_file) struct fs_file *f = NULL, *ro = NULL;
	struct fs_stat st;
	char into[4];
	size_t n;

	assert_ok(fs_open(fs_real(), d.path, FS_READ | FS_WRITE | FS_NAMELESS, 0600, &f, &why),
		  &why);
	assert_ok(fs_pwrite(f, "body", 4, 0, &why), &why);
	assert_ok(fs_reopen_readonly(f, &ro, &why), &why);
	assert_int_equal(fs_pwrite(ro, "x", 1, 0, &why), -FAIL_IO);
	assert_ok(fs_pread(ro, into, 4, 0, &n, &why), &why);
	assert_memory_equal(into, "body", 4);
	assert_ok(fs_link(f, testdir_path(&d, "one"), &why), &why);
	assert_ok(fs_link(f, testdir_path(&d, "two"), &why), &why);
	assert_int_equal(fs_link(f, testdir_path(&d, "two"), &why), -FAIL_EXISTS);
	assert_ok(fs_stat(fs_real(), testdir_path(&d, "one"), &st, &why), &why);
	assert_int_equal(st.links, 2);
	assert_int_equal(st.size, 4);
	assert_int_equal(st.mode, 0600);
	assert_ok(fs_unlink(fs_real(), testdir_path(&d, "one"), &why), &why);
	assert_ok(fs_rename(fs_real(), testdir_path(&d, "two"), testdir_path(&d, "three"), &why),
		  &why);
	assert_int_equal(fs_stat(fs_real(), testdir_path(&d, "two"), &st, &why), -FAIL_NOTFOUND);
}

static int count_names(void *arg, const char *name, enum fs_kind kind)
{
	unsigned *seen = arg;
	if (strcmp(name, "f") == 0 && kind == FS_KIND_FILE)
		*seen += 1;
	if (strcmp(name, "d") == 0 && kind == FS_KIND_FOLDER)
		*seen += 16;
	return *seen >= 1024 ? -FAIL_CANCELLED : 0;
}

static void folders(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	unsigned seen = 0;
	char parent[32];

	assert_ok(fs_mkdir_all(fs_real(), testdir_path(&d, "x/y/d/"), 0700, &why), &why);
	assert_ok(fs_mkdir_all(fs_real(), testdir_path(&d, "x/y/d"), 0700, &why), &why);
	put(fs_real(), testdir_path(&d, "x/y/f"), "1");
	assert_int_equal(fs_mkdir_all(fs_real(), testdir_path(&d, "x/y/f"), 0700, &why),
			 -FAIL_EXISTS);
	assert_int_equal(fs_mkdir_all(fs_real(), testdir_path(&d, "x/y/f/g"), 0700, &why),
			 -FAIL_EXISTS);
	assert_int_equal(fs_mkdir(fs_real(), testdir_path(&d, "x"), 0700, &why), -FAIL_EXISTS);
	assert_ok(fs_list(fs_real(), testdir_path(&d, "x/y"), count_names, &seen, &why), &why);
	assert_int_equal(seen, 17);
	seen = 1024;
	assert_int_equal(fs_list(fs_real(), testdir_path(&d, "x/y"), count_names, &seen, &why),
			 -FAIL_CANCELLED);

	const char *paths[][2] = {
		{"a/b", "a"}, {"b", "."}, {"/b", "/"}, {"/", "/"}, {"a/b//", "a"}};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		assert_ok(fs_parent(paths[i][0], parent, sizeof parent, &why), &why);
		assert_string_equal(parent, paths[i][1]);
	}
	assert_int_equal(fs_parent("abcdefgh/x", parent, 8, &why), -FAIL_LIMIT);
}

static void errors_say_what_and_where(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(fs_file) struct fs_file *f = NULL;

	assert_int_equal(fs_open(fs_real(), testdir_path(&d, "no"), FS_READ, 0, &f, &why),
			 -FAIL_NOTFOUND);
	assert_int_equal(why.saved_errno, ENOENT);
	assert_non_null(strstr(why.detail, "/no"));
	put(fs_real(), testdir_path(&d, "a"), "");
	assert_int_equal(fs_open(fs_real(), testdir_path(&d, "a"), FS_WRITE | FS_CREATE | FS_EXCL,
				 0600, &f, &why),
			 -FAIL_EXISTS);
	assert_int_equal(symlink("a", testdir_path(&d, "s")), 0);
	assert_int_equal(
		fs_open(fs_real(), testdir_path(&d, "s"), FS_READ | FS_NOFOLLOW, 0, &f, &why),
		-FAIL_IO);
	assert_null(f);
	assert_int_equal(fs_fail_code(ENOSPC), FAIL_LIMIT);
	assert_int_equal(fs_fail_code(EDQUOT), FAIL_LIMIT);
	assert_int_equal(fs_fail_code(EMFILE), FAIL_LIMIT);
	assert_int_equal(fs_fail_code(EIO), FAIL_IO);
	fs_close(NULL);
}

/* One who could write, through a descriptor or a mapping, and the file is not still. */
static void still_without_writers(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir d = testdir_new();
	AUTO(fs_file) struct fs_file *f = NULL, *ro = NULL;
	assert_ok(fs_open(fs_real(), d.path, FS_READ | FS_WRITE | FS_NAMELESS, 0600, &f, &why),
		  &why);
	assert_ok(fs_pwrite(f, "body", 4, 0, &why), &why);
	assert_ok(fs_reopen_readonly(f, &ro, &why), &why);
	assert_false(fs_is_still(ro));
	void *map = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fs_file_fd(f), 0);
	assert_true(map != MAP_FAILED);
	fs_close(TAKE(f));
	assert_false(fs_is_still(ro));
	assert_int_equal(munmap(map, 4), 0);
	if (!fs_is_still(ro))
		skip(); /* a file system without leases */
	assert_ok(fs_link(ro, testdir_path(&d, "kept"), &why), &why);
	assert_ok(fs_datasync(ro, &why), &why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back),
		cmocka_unit_test(a_nameless_file_gets_names),
		cmocka_unit_test(folders),
		cmocka_unit_test(still_without_writers),
		cmocka_unit_test(errors_say_what_and_where),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
