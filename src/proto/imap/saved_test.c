/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "proto/imap/saved.h"

static void ranges_come_back(void **state)
{
	(void)state;
	static const struct store_range ranges[] = {{1, 1},
						    {3, 3},
						    {4, 130},
						    {300, 16700},
						    {2000000, 2000001},
						    {4294967295u, 4294967295u}};
	AUTO(arena) struct arena arena = ARENA_INIT(KIB(16));
	AUTO(buf) struct buf b = BUF_INIT(SAVED_MAX);
	struct saved_writer w = {.out = &b};
	struct store_ranges got;
	struct fail why = FAIL_INIT;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		saved_add(&w, (struct uid){ranges[i].first}, (struct uid){ranges[i].last});
	assert_true(saved_valid(buf_str(&b)));
	assert_ok(saved_read(buf_str(&b), &arena, &got, &why), &why);
	assert_int_equal(got.n, ARRAY_LEN(ranges));
	assert_memory_equal(got.p, ranges, sizeof ranges);
	/* Cut anywhere it is fewer ranges, or refused; never read past. */
	for (size_t n = 0; n < b.n; n++) {
		char *copy = malloc(n + 1);
		memcpy(copy, b.p, n);
		int r = saved_read(str_make(copy, n), &arena, &got, NULL);
		assert_true(r == 0 ? got.n < ARRAY_LEN(ranges) : r == -FAIL_CORRUPT);
		free(copy);
	}
	assert_ok(saved_read(STR(""), &arena, &got, &why), &why);
	assert_int_equal(got.n, 0);
}

static void foreign_bytes_are_refused(void **state)
{
	(void)state;
	static const struct str rows[] = {
		STR("\x01"),				 /* half a range */
		STR("\x00\x00"),			 /* touches what is not there */
		STR("\x01\x00\x00\x00"),		 /* the same UID twice */
		STR("\x80\x00\x00"),			 /* not the shortest form */
		STR("\xff\xff\xff\xff\x1f\x00"),	 /* above 2^32 */
		STR("\xff\xff\xff\xff\x0f\x01"),	 /* its end is above 2^32 */
		STR("\xff\xff\xff\xff\xff\xff\x01\x00"), /* too long a number */
		STR("\x80"),
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_false(saved_valid(rows[i]));
	assert_true(saved_valid(STR("\xff\xff\xff\xff\x0f\x00")));
}

static void the_dearest_mailbox(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(SAVED_MAX);
	struct saved_writer w = {.out = &b};
	for (uint32_t uid = 1; uid < 200000; uid += 2)
		saved_add(&w, (struct uid){uid}, (struct uid){uid});
	assert_false(b.failed);
	for (uint32_t uid = 200001; uid < 300000; uid += 2)
		saved_add(&w, (struct uid){uid}, (struct uid){uid});
	assert_true(b.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_come_back),
		cmocka_unit_test(foreign_bytes_are_refused),
		cmocka_unit_test(the_dearest_mailbox),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
