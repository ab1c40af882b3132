/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fail.h"
#include "base/test.h"
#include "base/text.h"
#include "base/text_int.h"
#include "base/utf8.h"

static const struct text_language *qps(void)
{
	const struct text_language *lang = text_find_language("qps");
	assert_non_null(lang);
	return lang;
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *name, *is;
	} cases[] = {
		{"de", "de"},
		{"DE", "de"},
		{"de_DE", "de"},
		{"de-AT", "de"},
		{"de_DE.UTF-8", "de"},
		{"de.utf8", "de"},
		{"de@euro", "de"},
		{"de_DE.utf8@euro", "de"},
		{"qps", "qps"},
		{"de_DE.ISO-8859-1", "en"},
		{"C", "en"},
		{"C.UTF-8", "en"},
		{"POSIX", "en"},
		{"en_GB.UTF-8", "en"},
		{"", "en"},
		{"d", "en"},
		{"deu", "en"},
		{".", "en"},
		{"_", "en"},
		{"a name that is much longer than the name of a language", "en"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(text_language_name(text_find_language(cases[i].name)),
				    cases[i].is);
	assert_null(text_find_language(NULL));
	assert_non_null(strstr(text_languages(), "de"));
	assert_null(strstr(text_languages(), "qps"));
}

/* Every text is found, and none is ASCII alone or shorter. */
static void test_whole_table(void **state)
{
	(void)state;
	const struct text_language *lang = qps();
	assert_true(lang->n > 300);
	for (size_t i = 0; i < lang->n; i++) {
		const char *msgid = lang->bytes + lang->rows[i].msgid;
		const char *there = text_in(lang, msgid);
		assert_ptr_equal(there, lang->bytes + lang->rows[i].text);
		assert_true(strlen(there) > strlen(msgid) && utf8_valid(str_c(there)));
		assert_false(str_is_ascii(str_c(there)));
		assert_true(i == 0 || strcmp(lang->bytes + lang->rows[i - 1].msgid, msgid) < 0);
	}
}

static void test_who_speaks(void **state)
{
	(void)state;
	const char *english = fail_public_default(FAIL_QUOTA);
	assert_string_equal(english, "The mailbox is full.");
	text_set_language(qps());
	assert_string_not_equal(fail_public_default(FAIL_QUOTA), english);
	const struct text_language *de = text_find_language("de");
	assert_null(text_speak(de));
	assert_string_equal(fail_public_default(FAIL_QUOTA), text_in(de, english));
	assert_ptr_equal(text_speak(NULL), de);
	assert_string_equal(fail_public_default(FAIL_QUOTA), text_in(qps(), english));
	text_set_language(NULL);
	assert_string_equal(fail_public_default(FAIL_QUOTA), english);
	assert_string_equal(text_in(qps(), "nobody marked this"), "nobody marked this");
	assert_string_equal(text_of(""), "");
	assert_string_equal(text_in(qps(), ""), "");
	assert_null(text_of(NULL));
}

static unsigned polish(unsigned long long n)
{
	return n == 1 ? 0 : n % 10 >= 2 && n % 10 <= 4 && (n % 100 < 10 || n % 100 >= 20) ? 1 : 2;
}

static void test_plurals(void **state)
{
	(void)state;
	static const struct text_row rows[] = {{0, sizeof "%llu letter"}};
	static const struct text_language pl = {
		.name = "pl",
		.forms = 3,
		.form = polish,
		.bytes = "%llu letter\0%llu list\0%llu listy\0%llu list\xc3\xb3w",
		.rows = rows,
		.n = 1};
	static const struct {
		unsigned long long n;
		const char *is;
	} cases[] = {{1, "1 list"},
		     {2, "2 listy"},
		     {5, "5 list\xc3\xb3w"},
		     {12, "12 list\xc3\xb3w"},
		     {22, "22 listy"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char said[50];
		(void)snprintf(said, sizeof said,
			       text_n_in(&pl, "%llu letter", "%llu letters", cases[i].n),
			       cases[i].n);
		assert_string_equal(said, cases[i].is);
	}
	assert_string_equal(text_n_in(NULL, "%d day", "%d days", 1), "%d day");
	assert_string_equal(text_n_in(NULL, "%d day", "%d days", 0), "%d days");
	assert_string_equal(text_n_in(&pl, "%d day", "%d days", 2), "%d days");
}

/* Cut between characters. */
static void test_copy(void **state)
{
	(void)state;
	static const char *const is[] = {"",
					 "a",
					 "a",
					 "a\xc3\xb6",
					 "a\xc3\xb6",
					 "a\xc3\xb6",
					 "a\xc3\xb6\xe2\x82\xac",
					 "a\xc3\xb6\xe2\x82\xac"};
	for (size_t size = 1; size <= ARRAY_LEN(is); size++) {
		char to[10];
		text_copy(to, size, "a\xc3\xb6\xe2\x82\xac");
		assert_string_equal(to, is[size - 1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	   cmocka_unit_test(test_whole_table),
		cmocka_unit_test(test_who_speaks), cmocka_unit_test(test_plurals),
		cmocka_unit_test(test_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
