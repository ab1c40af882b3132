/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/managesieve/managesieve_cmd.h"
#include "codec/managesieve/managesieve_write.h"

static int parse(struct arena *a, const char *text, struct managesieve_cmd *c)
{
	struct imap_input in = {.text = str_c(text)};
	struct fail why = FAIL_INIT;
	return managesieve_parse(&in, a, c, &why);
}

static void commands(void **state)
{
	(void)state;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct managesieve_cmd c;
	assert_int_equal(parse(&a, "putscript \"a\\\"b\" {6+}\r\nkeep;\n", &c), 0);
	assert_int_equal(c.verb, MANAGESIEVE_PUTSCRIPT);
	assert_str(c.name, "a\"b");
	assert_str(c.script, "keep;\n");
	assert_int_equal(parse(&a, "HAVESPACE \"x\" 4294967295", &c), 0);
	assert_int_equal(c.size, UINT32_MAX);
	assert_int_equal(parse(&a, "RENAMESCRIPT {1+}\r\nx \"y z\"", &c), 0);
	assert_str(c.name, "x");
	assert_str(c.to, "y z");
	assert_int_equal(parse(&a, "SETACTIVE \"\"", &c), 0);
	assert_int_equal(c.verb, MANAGESIEVE_SETACTIVE);
	assert_int_equal(c.name.n, 0);
	assert_int_equal(parse(&a, "AUTHENTICATE \"PLAIN\" \"AGEAYg==\"", &c), 0);
	assert_str(c.text, "PLAIN");
	assert_str(c.script, "AGEAYg==");
	assert_int_equal(parse(&a, "AUTHENTICATE \"PLAIN\"", &c), 0);
	assert_null(c.script.p);
	assert_int_equal(parse(&a, "NOOP", &c), 0);
	assert_null(c.text.p);
	assert_int_equal(parse(&a, "NOOP \"tag\"", &c), 0);
	assert_str(c.text, "tag");
	for (int v = 0; v < MANAGESIEVE_VERBS; v++)
		assert_non_null(managesieve_verb_name((enum managesieve_verb)v));
}

static void what_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{"", FAIL_UNSUPPORTED},
		{"PUTSCRIPTS \"a\" \"b\"", FAIL_UNSUPPORTED},
		{"PUTSCRIPT", FAIL_SYNTAX},
		{"PUTSCRIPT a \"b\"", FAIL_SYNTAX},
		{"PUTSCRIPT \"a\"", FAIL_SYNTAX},
		{"PUTSCRIPT \"\" \"b\"", FAIL_SYNTAX},
		{"GETSCRIPT \"a\x1f\"", FAIL_SYNTAX},
		{"GETSCRIPT \"a\xc2\x85\"", FAIL_SYNTAX},
		{"GETSCRIPT \"a\xe2\x80\xa8\"", FAIL_SYNTAX},
		{"GETSCRIPT \"a\xff\"", FAIL_SYNTAX},
		{"GETSCRIPT \"a\" \"b\"", FAIL_SYNTAX},
		{"LISTSCRIPTS \"a\"", FAIL_SYNTAX},
		{"HAVESPACE \"a\" 4294967296", FAIL_SYNTAX},
		{"HAVESPACE \"a\" -1", FAIL_SYNTAX},
		{"GETSCRIPT {9+}\r\nx", FAIL_SYNTAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
		struct managesieve_cmd c;
		if (parse(&a, rows[i].text, &c) != -rows[i].code)
			fail_msg("%s", rows[i].text);
	}
}

static void names(void **state)
{
	(void)state;
	char longest[MANAGESIEVE_NAME_MAX + 1];
	memset(longest, 'x', sizeof longest);
	assert_true(managesieve_name_is_good(STR("Gr\xc3\xbc\xc3\x9f"
						 "e \"1\"")));
	assert_true(managesieve_name_is_good(str_make(longest, MANAGESIEVE_NAME_MAX)));
	assert_false(managesieve_name_is_good(str_make(longest, MANAGESIEVE_NAME_MAX + 1)));
	assert_false(managesieve_name_is_good(STR("")));
	assert_false(managesieve_name_is_good(STR("a\x7f")));
}

static void responses(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	assert_int_equal(managesieve_write_capability(&out, "SASL", STR("PLAIN")), 0);
	assert_int_equal(managesieve_write_capability(&out, "STARTTLS", STR_NULL), 0);
	assert_int_equal(managesieve_write_listed(&out, STR("a\"b"), true), 0);
	assert_int_equal(managesieve_write_listed(&out, STR("c"), false), 0);
	assert_int_equal(managesieve_write_reply(&out, MANAGESIEVE_NO, STR("NONEXISTENT"),
						 STR("line 1\nline 2")),
			 0);
	assert_int_equal(managesieve_write_reply(&out, MANAGESIEVE_OK, STR(""), STR("")), 0);
	assert_int_equal(managesieve_write_reply(&out, MANAGESIEVE_BYE, STR(""), STR("Bye")), 0);
	assert_str(buf_str(&out),
		   "\"SASL\" \"PLAIN\"\r\n\"STARTTLS\"\r\n\"a\\\"b\" ACTIVE\r\n\"c\"\r\n"
		   "NO (NONEXISTENT) {13}\r\nline 1\nline 2\r\nOK\r\nBYE \"Bye\"\r\n");
	assert_false(out.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(names),
		cmocka_unit_test(responses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
