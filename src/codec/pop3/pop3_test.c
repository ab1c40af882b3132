/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/pop3/pop3_capa.h"
#include "codec/pop3/pop3_cmd.h"
#include "codec/pop3/pop3_text.h"
#include "codec/pop3/pop3_uidl.h"

static void commands(void **state)
{
	static const struct {
		const char *line;
		int r;
		struct pop3_cmd cmd;
	} rows[] = {
		{"USER alice", 0, {POP3_USER, STR("alice")}},
		{"user alice  ", 0, {POP3_USER, STR("alice")}},
		{"USER", -FAIL_SYNTAX, {POP3_USER, STR("")}},
		{"USER a b", -FAIL_SYNTAX, {POP3_USER, STR("a")}},
		{"PASS  se cret ", 0, {POP3_PASS, STR(" se cret ")}},
		{"PASS ", -FAIL_SYNTAX, {POP3_PASS, STR("")}},
		{"AUTH", 0, {POP3_AUTH, STR("")}},
		{"AUTH plain", 0, {POP3_AUTH, STR("plain")}},
		{"AUTH PLAIN =", 0, {POP3_AUTH, STR("PLAIN"), STR("=")}},
		{"AUTH PLAIN a b", -FAIL_SYNTAX, {POP3_AUTH, STR("PLAIN"), STR("a")}},
		{"CAPA", 0, {POP3_CAPA, STR("")}},
		{"CAPA x", -FAIL_SYNTAX, {POP3_CAPA, STR("")}},
		{"LANG", 0, {POP3_LANG, STR("")}},
		{"LANG de", 0, {POP3_LANG, STR("de")}},
		{"LIST", 0, {POP3_LIST, STR("")}},
		{"LIST  7", 0, {POP3_LIST, STR(""), .number = 7}},
		{"UIDL 0", -FAIL_SYNTAX, {POP3_UIDL, STR("")}},
		{"RETR 1", 0, {POP3_RETR, STR(""), .number = 1}},
		{"RETR", -FAIL_SYNTAX, {POP3_RETR, STR("")}},
		{"RETR -1", -FAIL_SYNTAX, {POP3_RETR, STR("")}},
		{"RETR 99999999999", 0, {POP3_RETR, STR(""), .number = UINT32_MAX}},
		{"TOP 3 0", 0, {POP3_TOP, STR(""), .number = 3}},
		{"TOP 3 99999999999", 0, {POP3_TOP, STR(""), .number = 3, .lines = UINT32_MAX}},
		{"TOP 3", -FAIL_SYNTAX, {POP3_TOP, STR(""), .number = 3}},
		{"DELE 2 3", -FAIL_SYNTAX, {POP3_DELE, STR(""), .number = 2}},
		{"LAST", -FAIL_UNSUPPORTED, {POP3_KINDS, STR("")}},
		{"APOP a b", -FAIL_UNSUPPORTED, {POP3_KINDS, STR("")}},
		{"", -FAIL_UNSUPPORTED, {POP3_KINDS, STR("")}},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pop3_cmd c;
		assert_int_equal(pop3_cmd_parse(str_c(rows[i].line), &c), rows[i].r);
		assert_int_equal(c.kind, rows[i].cmd.kind);
		if (rows[i].r < 0)
			continue;
		assert_true(str_eq(c.arg, rows[i].cmd.arg));
		assert_true(str_eq(c.initial, rows[i].cmd.initial));
		assert_int_equal(!c.initial.p, !rows[i].cmd.initial.p);
		assert_int_equal(c.number, rows[i].cmd.number);
		assert_int_equal(c.lines, rows[i].cmd.lines);
	}
}

static void capabilities(void **state)
{
	static const struct {
		struct pop3_capa c;
		const char *has, *lacks;
	} rows[] = {
		{{.stls = true}, "\r\nSTLS\r\n", "\r\nUSER\r\n"},
		{{.login = true}, "\r\nUSER\r\nSASL PLAIN LOGIN\r\n", "STLS"},
		{{.login = true, .login_delay_s = 60}, "\r\nLOGIN-DELAY 60\r\n", "STLS"},
		{{0}, "\r\nUTF8 USER\r\nLANG\r\n", "SASL"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(KIB(1));
		pop3_capa_write(&out, &rows[i].c, STR(" PLAIN LOGIN"), "Here it is.");
		assert_non_null(strstr(buf_c(&out), rows[i].has));
		assert_null(strstr(buf_c(&out), rows[i].lacks));
		assert_true(str_starts(buf_str(&out), STR("+OK Here it is.\r\n")));
		assert_true(str_ends(buf_str(&out), STR("\r\n.\r\n")));
	}
}

static void texts(void **state)
{
	static const struct {
		const char *message, *sent;
		int top; /* lines; -1: all */
	} rows[] = {
		{"a: b\r\n\r\nc\r\n", "a: b\r\n\r\nc\r\n.\r\n", -1},
		{".a\r\n.\r\n..b\r\n", "..a\r\n..\r\n...b\r\n.\r\n", -1},
		{"x\n.\ny", "x\n..\ny\r\n.\r\n", -1},
		{"no end", "no end\r\n.\r\n", -1},
		{"half\r", "half\r\n.\r\n", -1},
		{"", ".\r\n", -1},
		{"a: b\r\n\r\nc\r\nd\r\n", "a: b\r\n\r\n.\r\n", 0},
		{"a: b\r\n\r\n.c\r\nd\r\n", "a: b\r\n\r\n..c\r\n.\r\n", 1},
		{"a: b\r\n\r\nc\r\nd\r\n", "a: b\r\n\r\nc\r\nd\r\n.\r\n", 2},
		{"a: b\r\n\r\nc\r\nd\r\n", "a: b\r\n\r\nc\r\nd\r\n.\r\n", 9},
		{"a: b\r\n", "a: b\r\n.\r\n", 3},
		{"a: b\n\nc\nd\n", "a: b\n\nc\n.\r\n", 1},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece < 20; piece++) {
			AUTO(buf) struct buf out = BUF_INIT(KIB(1));
			struct pop3_text t;
			if (rows[i].top < 0)
				pop3_text_begin(&t);
			else
				pop3_text_begin_top(&t, (uint32_t)rows[i].top);
			for (struct str m = str_c(rows[i].message); m.n; m = str_skip(m, piece))
				pop3_text_add(&t, str_sub(m, 0, piece), &out);
			pop3_text_end(&t, &out);
			assert_string_equal(buf_c(&out), rows[i].sent);
		}
	}
}

static void names(void **state)
{
	static const struct {
		const char *format, *name; /* of UID 26 and UIDVALIDITY 4096; NULL: no format */
	} rows[] = {
		{POP3_UIDL_FORMAT, "0000001A00001000"},
		{"%v.%u", "4096.26"},
		{"%u", "26"},
		{"%Xv%Xu", "10001A"},
		{"%08xv%08xu", "000010000000001a"},
		{"UID%u-%v", "UID26-4096"},
		{"%v", NULL},
		{"%8u", NULL},
		{"%g", NULL},
		{"%u %v", NULL},
		{"", NULL},
		{"%u%", NULL},
		{"%099u", NULL},
		{"%016u%016u%016u%016u%016u", NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(KIB(1));
		assert_int_equal(pop3_uidl_format_good(str_c(rows[i].format)), !!rows[i].name);
		if (!rows[i].name)
			continue;
		pop3_uidl_write(&out, str_c(rows[i].format), 26, 4096);
		assert_string_equal(buf_c(&out), rows[i].name);
	}
	assert_true(pop3_uidl_good(STR("whqtswO00WBw418f9t5JxYwZ")));
	assert_false(pop3_uidl_good(STR("")));
	assert_false(pop3_uidl_good(STR("a b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(texts),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
