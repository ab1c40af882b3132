/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/smtp/dnsbl.h"

static bool says(const char *spec, int weight, uint8_t c, uint8_t d)
{
	struct dnsbl_site s;
	const char *problem = dnsbl_parse(str_c(spec), &s);
	assert_null(problem);
	assert_int_equal(s.weight, weight);
	return dnsbl_matches(&s, (uint8_t[]){127, 0, c, d});
}

static void test_good(void **state)
{
	(void)state;
	static const char zen[] = "zen.spamhaus.org=127.0.0.[2..11]*3";
	assert_true(says(zen, 3, 0, 2));
	assert_true(says(zen, 3, 0, 11));
	assert_false(says(zen, 3, 0, 1));
	assert_false(says(zen, 3, 0, 12));
	assert_false(says(zen, 3, 1, 2));
	/* What a public resolver gets: not listed. */
	assert_false(says(zen, 3, 255, 254));
	assert_true(says("b.example=127.0.0.2*2", 2, 0, 2));
	assert_false(says("b.example=127.0.0.2*2", 2, 0, 3));
	assert_true(says("list.example", 1, 9, 9));
	assert_true(says("good.example*-5", -5, 0, 4));
	assert_true(says("w.example=127.0.[5..15;20].[0;2..3]*-2", -2, 20, 3));
	assert_false(says("w.example=127.0.[5..15;20].[0;2..3]*-2", -2, 16, 3));
	assert_false(says("w.example=127.0.[5..15;20].[0;2..3]*-2", -2, 20, 1));
}

static void test_bad(void **state)
{
	(void)state;
	static const char *const all[] = {"",
					  "*3",
					  "a b",
					  "a..b",
					  "a*101",
					  "a*x",
					  "a*",
					  "a=127.0.0",
					  "a=127.0.0.2.3",
					  "a=127.0.0.[2..1]",
					  "a=127.0.0.[",
					  "a=127.0.0.[]",
					  "a=127.0.0.[2;]",
					  "a=127.0.0.256",
					  "a=127.0.0.[2]x",
					  "a=",
					  "a=127.0.0.[2..]",
					  "a=127.0.0.[..2]",
					  "a/b",
					  "a=127,0,0,2"};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct dnsbl_site s;
		assert_non_null(dnsbl_parse(str_c(all[i]), &s));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
