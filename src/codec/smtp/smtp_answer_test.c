/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/smtp/smtp_answer.h"

static void replies(void **state)
{
	(void)state;
	static const struct {
		const char *lines; /* by '\n' */
		int result;	   /* of the last */
		unsigned code;
		const char *enhanced, *text;
	} rows[] = {
		{"250 2.0.0 Ok: queued", SMTP_ANSWER_DONE, 250, "2.0.0", "250 2.0.0 Ok: queued"},
		{"250", SMTP_ANSWER_DONE, 250, "", "250"},
		{"250 ", SMTP_ANSWER_DONE, 250, "", "250"},
		{"550-5.7.1 a\n550-5.7.1 b\n550 5.7.1 c", SMTP_ANSWER_DONE, 550, "5.7.1",
		 "550 5.7.1 a b c"},
		{"550-no\n550 5.1.1 such user", SMTP_ANSWER_DONE, 550, "5.1.1",
		 "550 no 5.1.1 such user"},
		{"550-a\n", -FAIL_SYNTAX, 550, "", "550 a"},
		{"550-a\n551 b", -FAIL_SYNTAX, 550, "", "550 a"},
		{"450 5.1.1 wrong class", SMTP_ANSWER_DONE, 450, "", "450 5.1.1 wrong class"},
		{"550 5.1. x", SMTP_ANSWER_DONE, 550, "", "550 5.1. x"},
		{"550 5..1 x", SMTP_ANSWER_DONE, 550, "", "550 5..1 x"},
		{"550 5.1234.1 x", SMTP_ANSWER_DONE, 550, "", "550 5.1234.1 x"},
		{"550 5.1.1.1 x", SMTP_ANSWER_DONE, 550, "", "550 5.1.1.1 x"},
		{"550 5.123.123", SMTP_ANSWER_DONE, 550, "5.123.123", "550 5.123.123"},
		{"250 a\tb\x01\x7f", SMTP_ANSWER_DONE, 250, "", "250 a b??"},
		{"250 \xff\xc3\xa4", SMTP_ANSWER_DONE, 250, "", "250 ???"},
		{"250 \xc3\xa4", SMTP_ANSWER_DONE, 250, "", "250 \xc3\xa4"},
		{"199 x", -FAIL_SYNTAX, 0, "", ""},
		{"600 x", -FAIL_SYNTAX, 0, "", ""},
		{"2500 x", -FAIL_SYNTAX, 0, "", ""},
		{"25", -FAIL_SYNTAX, 0, "", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct smtp_answer a = {0};
		struct str rest = str_c(rows[i].lines), line;
		int r = -1;
		while (str_cut(&rest, '\n', &line))
			r = smtp_answer_line(&a, line, NULL);
		assert_int_equal(r, rows[i].result);
		assert_int_equal(a.code, rows[i].code);
		assert_string_equal(a.enhanced, rows[i].enhanced);
		assert_string_equal(a.text, rows[i].text);
	}
}

static void bounds(void **state)
{
	(void)state;
	struct smtp_answer a = {0};
	char much[2002] = "550-";
	for (size_t i = 4; i + 1 < sizeof much; i += 2)
		memcpy(much + i, "\xc3\xa4", 2);
	assert_int_equal(smtp_answer_line(&a, (struct str){much, sizeof much}, NULL),
			 SMTP_ANSWER_MORE);
	assert_in_range(a.n, SMTP_ANSWER_TEXT_MAX - 3, SMTP_ANSWER_TEXT_MAX);
	assert_int_equal(str_find(str_c(a.text), 0, '?'), a.n);
	for (int i = 1; i < SMTP_ANSWER_LINES; i++)
		assert_int_equal(smtp_answer_line(&a, STR("550-x"), NULL), SMTP_ANSWER_MORE);
	assert_int_equal(smtp_answer_line(&a, STR("550 x"), NULL), -FAIL_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
