/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/csv/csv.h"

#define FIELDS 8

static int split(const char *text, char separator, const char *joined)
{
	struct arena a = ARENA_INIT(KIB(64));
	struct str f[FIELDS];
	char got[400] = "";
	int n = csv_split(str_c(text), separator, &a, f, FIELDS);
	for (int i = 0; i < n; i++)
		(void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%.*s", i ? "|" : "",
			       STR_ARG(f[i]));
	if (n >= 0)
		assert_string_equal(got, joined);
	arena_clear(&a);
	return n;
}

static void records(void **state)
{
	(void)state;
	assert_int_equal(split("a,b,c", ',', "a|b|c"), 3);
	assert_int_equal(split("a, b ,c\r\n", ',', "a|b|c"), 3);
	assert_int_equal(split("a,,", ',', "a||"), 3);
	assert_int_equal(split("", ',', ""), 1);
	assert_int_equal(split("\xef\xbb\xbf"
			       "a;b",
			       ';', "a|b"),
			 2);
	assert_int_equal(split("\"x, y\",\"say \"\"hi\"\"\" ,\" z \"", ',', "x, y|say \"hi\"| z "),
			 3);
	assert_int_equal(split("\"two\nlines\",b", ',', "two\nlines|b"), 2);
	assert_int_equal(split("a\tb c\t", '\t', "a|b c|"), 3);
}

static void refusals(void **state)
{
	(void)state;
	assert_int_equal(split("\"open,b", ',', ""), -FAIL_SYNTAX);
	assert_int_equal(split("\"a\"b,c", ',', ""), -FAIL_SYNTAX);
	assert_int_equal(split("1,2,3,4,5,6,7,8,9", ',', ""), -FAIL_LIMIT);
}

static void lines_and_separators(void **state)
{
	(void)state;
	assert_true(csv_complete(STR("a,\"b\"\"c\"")));
	assert_false(csv_complete(STR("a,\"b\"\"c")));
	assert_int_equal(csv_separator(STR("a,b,c")), ',');
	assert_int_equal(csv_separator(STR("\"a,b,c\";d")), ';');
	assert_int_equal(csv_separator(STR("a\tb\tc,d")), '\t');
	assert_int_equal(csv_separator(STR("address")), ',');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(refusals),
		cmocka_unit_test(lines_and_separators),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
