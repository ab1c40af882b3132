/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/test.h"
#include "roles/role/board.h"
#include <unistd.h>

static void counts_of_all_processes(void **state)
{
	(void)state;
	AUTO_FD int fd = -1;
	struct board *master = NULL, *a = NULL, *b = NULL, *c = NULL;
	struct fail why = FAIL_INIT;
	assert_ok(board_new(2, &fd, &master, &why), &why);
	assert_ok(board_map(fd, &a, &why), &why);
	assert_ok(board_map(fd, &b, &why), &why);
	assert_ok(board_map(fd, &c, &why), &why);
	assert_true(board_join(a, 11));
	assert_int_equal(board_least_other(a), UINT64_MAX);
	assert_true(board_join(b, 12));
	assert_false(board_join(c, 13)); /* no slot is left: it does not count */
	board_count(c, 1);
	for (int i = 0; i < 5; i++) {
		board_count(a, 1);
		board_count_key(a, 7, 1);
	}
	board_count(b, 1);
	board_count_key(b, 7, 1);
	board_count_key(b, 8, 1);
	assert_int_equal(board_open(master), 6);
	assert_int_equal(board_open_key(b, 7), 6);
	assert_int_equal(board_open_key(a, 8), 1);
	assert_int_equal(board_open_key(a, 9), 0);
	assert_int_equal(board_least_other(a), 1);
	assert_int_equal(board_least_other(b), 5);
	board_count(a, -1);
	board_count_key(a, 7, -1);
	assert_int_equal(board_open(b), 5);
	assert_int_equal(board_open_key(b, 7), 5);
	board_close(b);
	assert_int_equal(board_least_other(a), UINT64_MAX);
	assert_int_equal(board_open(a), 5);
	board_leave(master, 11); /* it died: what it had is gone, and its place is free */
	assert_int_equal(board_open(b), 1);
	assert_int_equal(board_open_key(b, 7), 1);
	assert_true(board_join(c, 13));
	board_count(c, 1);
	assert_int_equal(board_open(b), 2);
	board_unmap(a);
	board_unmap(b);
	board_unmap(c);
	board_unmap(master);
}

static void addresses_rarely_meet(void **state)
{
	(void)state;
	AUTO_FD int fd = -1;
	struct board *b = NULL;
	struct fail why = FAIL_INIT;
	size_t wrong = 0;
	assert_ok(board_new(1, &fd, &b, &why), &why);
	assert_true(board_join(b, 1));
	for (uint64_t key = 1; key <= 1000; key++)
		board_count_key(b, key * UINT64_C(0x100000001b3), 1);
	for (uint64_t key = 1; key <= 1000; key++)
		wrong += board_open_key(b, key * UINT64_C(0x100000001b3)) != 1;
	assert_true(wrong < 60); /* 1000 in 8192 cells, twice: about 15 */
	board_unmap(b);
}

static void what_is_no_board_is_refused(void **state)
{
	(void)state;
	int fds[2];
	struct board *b = NULL;
	struct fail why = FAIL_INIT;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(board_map(fds[0], &b, &why), -FAIL_PEER);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_of_all_processes),
		cmocka_unit_test(addresses_rarely_meet),
		cmocka_unit_test(what_is_no_board_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
