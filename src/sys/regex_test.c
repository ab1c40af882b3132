/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "sys/clock.h"
#include "sys/regex.h"

static struct regex *made(const char *pattern, unsigned flags)
{
	struct regex *re = NULL;
	struct fail why = FAIL_INIT;
	assert_ok(regex_new(str_c(pattern), flags, &re, &why), &why);
	return re;
}

static void test_match(void **state)
{
	(void)state;
	struct regex_groups g;
	struct regex *re = made("^(a+)(x)?b$", 0);
	assert_int_equal(regex_match(re, STR("AAb"), &g), 1);
	assert_str(g.p[0], "AAb");
	assert_str(g.p[1], "AA");
	assert_null(g.p[2].p);
	assert_int_equal(regex_match(re, STR("b"), &g), 0);
	assert_int_equal(regex_match(re, (struct str){0}, NULL), 0);
	regex_free(re);
	re = made("^ab$", REGEX_CASE);
	assert_int_equal(regex_match(re, STR("AB"), NULL), 0);
	assert_int_equal(regex_match(re, STR("ab"), NULL), 1);
	regex_free(re);
	re = made("(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)", 0);
	assert_int_equal(regex_match(re, STR("abcdefghijkl"), &g), 1);
	assert_str(g.p[9], "i");
	regex_free(re);
	regex_free(NULL);
}

static void test_bad(void **state)
{
	(void)state;
	struct regex *re = NULL;
	struct fail why = FAIL_INIT;
	assert_int_equal(regex_new(STR("a(b"), 0, &re, &why), -FAIL_SYNTAX);
	assert_non_null(strstr(why.detail, "at character 4"));
	assert_null(re);
}

/* A subject made to keep the expression busy for ever is given up on. */
static void test_bounds(void **state)
{
	(void)state;
	char text[200];
	memset(text, 'a', sizeof text);
	struct regex *re = made("^(a+)+b(c+)+$", 0);
	struct mono_ns begun = clock_mono();
	text[sizeof text - 1] = '!';
	/* 2.10's start optimisation sees that there is no b. */
	assert_int_equal(regex_match(re, str_make(text, sizeof text), NULL), 0);
	text[sizeof text - 1] = 'b';
	assert_int_equal(regex_match(re, str_make(text, sizeof text), NULL), 0);
	regex_free(re);
	re = made("^(([a-z])+.)+[A-Z]([a-z])+$", REGEX_CASE);
	text[sizeof text - 1] = 'a';
	text[0] = 'B';
	assert_int_not_equal(regex_match(re, str_make(text + 1, sizeof text - 1), NULL), 1);
	regex_free(re);
	re = made("^(\\w+\\s?)*\\$$", 0);
	memset(text, 'a', sizeof text);
	text[100] = '$'; /* not at the end */
	assert_int_equal(regex_match(re, str_make(text, sizeof text), NULL), -FAIL_LIMIT);
	regex_free(re);
	assert_true(clock_mono().v - begun.v < INT64_C(20) * 1000 * MS_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_match), cmocka_unit_test(test_bad),
					   cmocka_unit_test(test_bounds)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
