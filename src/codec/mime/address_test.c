/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/mime/address.h"

/* One line an address: name|route|mailbox|host, "!" when broken; "name:" and ";" for groups. */
static void list_put(struct buf *out, struct str value)
{
	AUTO(addr_parser) struct addr_parser p;
	struct addr a;
	addr_begin(&p, value);
	while (addr_next(&p, &a)) {
		if (a.kind == ADDR_GROUP_END)
			(void)buf_add(out, STR(";\n"));
		else if (a.kind == ADDR_GROUP)
			(void)buf_addf(out, "%.*s:\n", STR_ARG(a.name));
		else
			(void)buf_addf(out, "%.*s|%.*s|%.*s|%.*s%s\n", STR_ARG(a.name),
				       STR_ARG(a.route), STR_ARG(a.mailbox), STR_ARG(a.host),
				       a.broken ? "!" : "");
	}
}

static const struct {
	const char *value;
	const char *want;
} lists[] = {
	{"", ""},
	{" ,, ,", ""},
	{"a@b", "||a|b\n"},
	{"a@b, c@d", "||a|b\n||c|d\n"},
	{"A B <a@b>", "A B||a|b\n"},
	{"\"A, B\" <a@b>", "A, B||a|b\n"},
	{"\"A \\\"x\\\" B\" C <a@b>", "A \"x\" B C||a|b\n"},
	{"John Q. Public <j@b>", "John Q. Public||j|b\n"},
	{"a@b (The Name)", "The Name||a|b\n"},
	{"(c) A (d) <a@b> (e)", "A||a|b\n"},
	{"a (x (nested) \\) y) @ b . (z) c", "x (nested) ) y||a|b.c\n"},
	{"\"quoted local\"@b", "||quoted local|b\n"},
	{"a.b . c@d", "||a.b.c|d\n"},
	{"a@[127.0.0.1]", "||a|[127.0.0.1]\n"},
	{"<@r1,@r2:a@b>", "|@r1,@r2|a|b\n"},
	{"X <@r1 , , @r2 : a@b>", "X|@r1,@r2|a|b\n"},
	{"g: a@b, C <c@d>;", "g:\n||a|b\nC||c|d\n;\n"},
	{"My Group:;", "My Group:\n;\n"},
	{"g: a@b", "g:\n||a|b\n;\n"},
	{"g:;, x@y", "g:\n;\n||x|y\n"},
	{"user", "||user|!\n"},
	{"user (Name)", "Name||user|!\n"},
	{"Just A Name", "Just A Name|||!\n"},
	{"<>", "|||!\n"},
	{"N <user>", "N||user|!\n"},
	{"N <a@b", "N||a|b!\n"},
	{"N <a@b, c@d", "N||a|b!\n||c|d\n"},
	{"John Doe john@x", "John Doe||john|x\n"},
	{"a@b c@d", "||a|b\n||c|d\n"},
	{"a@b; c@d", "||a|b\n||c|d\n"},
	{"a@b some junk, c@d", "||a|b\n||c|d\n"},
	{"=?utf-8?q?J=C3=B6rg?= <j@b>", "=?utf-8?q?J=C3=B6rg?=||j|b\n"},
	{"J\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc>", "J\xc3\xb6rg||j\xc3\xb6rg|b\xc3\xbc\n"},
	{"A\r\n B <a@b>,\r\n\tc@d", "A B||a|b\n||c|d\n"},
	{"\"open <a@b>", "open <a@b>|||!\n"},
	{"(open a@b", ""},
	{"<a b@c>", "||a b|c!\n"},
	{"@b", "|||b!\n"},
	{"a@b@c", "||a|b\n|||c!\n"},
};

static void test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		AUTO(buf) struct buf got = BUF_INIT(KIB(64));
		list_put(&got, str_c(lists[i].value));
		if (!str_eq(buf_str(&got), str_c(lists[i].want)))
			fail_msg("%s: %s", lists[i].value, buf_c(&got));
	}
}

/* Each cut of each list ends, and stays within the text. */
static void test_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (size_t n = 0; n <= strlen(lists[i].value); n++) {
			AUTO(buf) struct buf got = BUF_INIT(KIB(64));
			char *copy = malloc(n + 1); /* so that ASan sees the end */
			memcpy(copy, lists[i].value, n);
			list_put(&got, str_make(copy, n));
			free(copy);
		}
	}
}

/* Work is linear, whatever is repeated. */
static void test_long(void **state)
{
	(void)state;
	static const char *const units[] = {"(", "\"", "<",    "@",  ":",  ";", ",",
					    ".", "a ", "a@b ", "<@", "\\", "[", "g:;"};
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		AUTO(buf) struct buf in = BUF_INIT(MIB(4));
		AUTO(buf) struct buf got = BUF_INIT(MIB(64));
		for (size_t n = 0; n < 300000; n++)
			(void)buf_add_c(&in, units[i]);
		list_put(&got, buf_str(&in));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
