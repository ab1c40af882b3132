/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "runtime/seal.h"

static void only_the_untouched_text_for_this_purpose_opens(void **state)
{
	(void)state;
	unsigned char key[SEAL_KEY_SIZE] = {1, 2, 3}, other[SEAL_KEY_SIZE] = {9};
	AUTO(buf) struct buf sealed = BUF_INIT(1000), plain = BUF_INIT(1000);
	assert_int_equal(seal(key, STR("user:7"), STR("state"), &sealed), 0);
	assert_int_equal(unseal(key, STR("user:7"), buf_str(&sealed), &plain), 0);
	assert_str(buf_str(&plain), "state");
	buf_reset(&plain);
	assert_int_equal(unseal(key, STR("user:8"), buf_str(&sealed), &plain), -FAIL_CORRUPT);
	assert_int_equal(unseal(other, STR("user:7"), buf_str(&sealed), &plain), -FAIL_CORRUPT);
	for (size_t i = 0; i < sealed.n; i++) {
		sealed.p[i] ^= 1;
		assert_int_equal(unseal(key, STR("user:7"), buf_str(&sealed), &plain),
				 -FAIL_CORRUPT);
		assert_int_equal(
			unseal(key, STR("user:7"), str_sub(buf_str(&sealed), 0, i), &plain),
			-FAIL_CORRUPT);
		sealed.p[i] ^= 1;
	}
	assert_int_equal(plain.n, 0);
	buf_reset(&sealed);
	assert_int_equal(seal(key, STR("p"), STR(""), &sealed), 0);
	assert_int_equal(unseal(key, STR("p"), buf_str(&sealed), &plain), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_untouched_text_for_this_purpose_opens)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
