/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "proto/imap/context.h"

static void lists_come_back(void **state)
{
	(void)state;
	static const uint32_t none[] = {0}, one[] = {1}, up[] = {1, 2, 3, 7, 8, 4000000000u};
	static const uint32_t mixed[] = {9, 3, 4, 5, 1, UINT32_MAX, 2};
	static const struct {
		const uint32_t *uid;
		size_t n, bytes;
	} rows[] = {{none, 0, 0}, {one, 1, 2}, {up, 6, 10}, {mixed, 7, 18}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		uint32_t *uid = NULL;
		size_t n = 0;
		context_list_put(&b, rows[i].uid, rows[i].n);
		assert_int_equal(b.n, rows[i].bytes);
		assert_true(context_list_get(buf_str(&b), &uid, &n));
		assert_int_equal(n, rows[i].n);
		if (n)
			assert_memory_equal(uid, rows[i].uid, n * sizeof *uid);
		free(uid);
	}
}

static void foreign_bytes(void **state)
{
	(void)state;
	static const struct str rows[] = {
		{"\0\0", 2},		       /* no distance */
		{"\5", 1},		       /* cut */
		{"\1\1", 2},		       /* below the beginning */
		{"\5\0\5\1", 4},	       /* down to 0 */
		{"\1\xfe\xff\xff\xff\x0f", 6}, /* too many */
		{"\x81\0\0", 3},	       /* not the shortest form */
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t *uid = NULL;
		size_t n = 0;
		assert_false(context_list_get(rows[i], &uid, &n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_come_back),
		cmocka_unit_test(foreign_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
