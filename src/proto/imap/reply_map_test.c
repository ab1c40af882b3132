/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "proto/reply_map.h"

/* The table is indexed by position: each row must stand where its code says. */
static void rows_stand_in_order(void **state)
{
	(void)state;
	for (int code = FAIL_NONE + 1; code < FAIL_CODE_COUNT; code++) {
		const struct reply_map *row = reply_map_find(code);
		assert_int_equal(row->code, code);
		assert_ptr_equal(row, reply_map_find(-code));
		assert_true(row->smtp_code >= 400 && row->smtp_code < 600);
		assert_int_equal(row->smtp_enhanced[0], '0' + (char)(row->smtp_code / 100));
	}
}

static void foreign_codes_are_bugs(void **state)
{
	(void)state;
	assert_int_equal(reply_map_find(FAIL_NONE)->code, FAIL_BUG);
	assert_int_equal(reply_map_find(FAIL_CODE_COUNT)->code, FAIL_BUG);
	assert_int_equal(reply_map_find(-9999)->code, FAIL_BUG);
	assert_int_equal(reply_map_find(INT32_MIN)->code, FAIL_BUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_stand_in_order),
		cmocka_unit_test(foreign_codes_are_bugs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
