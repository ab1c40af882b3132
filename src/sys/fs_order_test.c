/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "sys/fs.h"
#include "sys/fs_order.h"
#include "sys/testdir.h"
#include <errno.h>
#include <unistd.h>

static struct fs_file *file_in(const char *folder, const char *name)
{
	char path[300];
	struct fs_file *f = NULL;
	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(fs_open(fs_real(), path, FS_READ | FS_WRITE | FS_CREATE, 0600, &f, NULL),
			 0);
	return f;
}

static void orders_are_read(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{"pwrite 3 eio", true},
		{"change 1 onwards enospc", true},
		{"any 12 short", true},
		{"datasync 1 onwards latency 100", true},
		{"off", true},
		{"", false},
		{"pwrite", false},
		{"pwrite 0 eio", false},
		{"pwrite 1", false},
		{"pwrite 1 eio onwards", false},
		{"pwrite 1 latency", false},
		{"write 1 eio", false},
		{"off off", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (fs_order(str_c(cases[i].text)) != cases[i].good)
			fail_msg("%s", cases[i].text);
	assert_true(fs_order(STR("off")));
}

static void nth_write_fails_once(void **state)
{
	struct fail why = FAIL_INIT;
	AUTO(testdir) struct testdir dir = testdir_new();
	AUTO(fs_file) struct fs_file *f = file_in(dir.path, "a");
	(void)state;
	assert_true(fs_order(STR("pwrite 2 eio")));
	assert_int_equal(fs_pwrite(f, "abcd", 4, 0, &why), 0);
	assert_int_equal(fs_datasync(f, &why), 0);
	assert_int_equal(fs_pwrite(f, "efgh", 4, 4, &why), -FAIL_IO);
	assert_int_equal(why.saved_errno, EIO);
	assert_int_equal(fs_pwrite(f, "efgh", 4, 4, &why), 0);
	assert_true(fs_order(STR("off")));
}

static void full_until_told_otherwise(void **state)
{
	struct fail why = FAIL_INIT;
	size_t n = 0;
	char bytes[8];
	AUTO(testdir) struct testdir dir = testdir_new();
	AUTO(fs_file) struct fs_file *f = file_in(dir.path, "a");
	(void)state;
	assert_true(fs_order(STR("change 2 onwards short")));
	assert_int_equal(fs_pwrite(f, "abcd", 4, 0, &why), 0);
	assert_int_equal(fs_pwrite(f, "efgh", 4, 4, &why), -FAIL_LIMIT);
	assert_int_equal(why.saved_errno, ENOSPC);
	assert_int_equal(fs_pread(f, bytes, sizeof bytes, 0, &n, &why), 0); /* reading goes on */
	assert_int_equal(n, 6);						    /* half of it came */
	assert_int_equal(fs_datasync(f, &why), -FAIL_LIMIT);
	assert_true(fs_order(STR("off")));
	assert_int_equal(fs_datasync(f, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders_are_read),
		cmocka_unit_test(nth_write_fails_once),
		cmocka_unit_test(full_until_told_otherwise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
