/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/test.h"
#include "codec/smtp/smtp_addr.h"
#include "codec/smtp/xtext.h"

#define LOCAL_64 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234"
#define LABEL_60 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"

/* in, normalised (NULL: refused with `r`), octets used (0: all). */
static const struct {
	const char *in;
	const char *want;
	int r;
	size_t used;
} paths[] = {
	{"<a@b.example>", "a@b.example", 0, 0},
	{"<a@b.example> SIZE=1", "a@b.example", 0, 13},
	{"<>", "", 0, 0},
	{"<> RET=HDRS", "", 0, 2},
	{"<postmaster>", "postmaster", 0, 0},
	{"<POSTmaster>", "POSTmaster", 0, 0},
	{"a@b.example", "a@b.example", 0, 0},
	{"a@b.example SIZE=1", "a@b.example", 0, 11},
	{"<John.Q+tag@EXAMPLE.Test>", "John.Q+tag@example.test", 0, 0},
	{"<!#$%&'*+-/=?^_`{|}~@b.c>", "!#$%&'*+-/=?^_`{|}~@b.c", 0, 0},
	{"<\"a\"@b.c>", "a@b.c", 0, 0},
	{"<\"a.b\"@b.c>", "a.b@b.c", 0, 0},
	{"<\"a b\"@b.c>", "\"a b\"@b.c", 0, 0},
	{"<\"a\\b\"@b.c>", "ab@b.c", 0, 0},
	{"<\"a\\\"b\"@b.c>", "\"a\\\"b\"@b.c", 0, 0},
	{"<\"a@b>c\"@b.c>", "\"a@b>c\"@b.c", 0, 0},
	{"<\"a..b\"@b.c>", "\"a..b\"@b.c", 0, 0},
	{"<@one.example,@two.example:a@b.c>", "a@b.c", 0, 0},
	{"<@[IPv6:::1]:a@b.c>", "a@b.c", 0, 0},
	{"<a@[192.0.2.1]>", "a@[192.0.2.1]", 0, 0},
	{"<a@[IPv6:2001:DB8:0:0::1]>", "a@[IPv6:2001:db8::1]", 0, 0},
	{"<a@localhost>", "a@localhost", 0, 0},
	{"<'a@b.c'>", "a@b.c", 0, 0},
	{"<'a'@b.c>", "'a'@b.c", 0, 0},
	{"<'a@b.c>", "'a@b.c", 0, 0},
	{"<j\xc3\xbcrgen@b.c>", "j\xc3\xbcrgen@b.c", 0, 0},
	{"<a@B\xc3\x9c"
	 "CHER.example>",
	 "a@xn--bcher-kva.example", 0, 0},
	{"<" LOCAL_64 "@b.c>", LOCAL_64 "@b.c", 0, 0},
	{"<a@" LABEL_60 "." LABEL_60 "." LABEL_60 "." LABEL_60 ".abcdefgh>",
	 "a@" LABEL_60 "." LABEL_60 "." LABEL_60 "." LABEL_60 ".abcdefgh", 0, 0},

	{"", NULL, -FAIL_SYNTAX, 0},
	{"<", NULL, -FAIL_SYNTAX, 0},
	{"<a", NULL, -FAIL_SYNTAX, 0},
	{"<alice>", NULL, -FAIL_NOTFOUND, 0},
	{"<a@b.c", NULL, -FAIL_SYNTAX, 0},
	{"<a@b.c>x", NULL, -FAIL_SYNTAX, 0},
	{"a@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a@>", NULL, -FAIL_SYNTAX, 0},
	{"<@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<@b.c:>", NULL, -FAIL_SYNTAX, 0},
	{"<@b.c,:a@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<.a@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a.@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a..b@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a b@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<\"a@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<\"\"@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<\"a\tb\"@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a@b..c>", NULL, -FAIL_SYNTAX, 0},
	{"<a@b.c.>", NULL, -FAIL_SYNTAX, 0},
	{"<a@.b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a@-b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a@b-.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a@b_c.d>", NULL, -FAIL_SYNTAX, 0},
	{"<a@b@c.d>", NULL, -FAIL_SYNTAX, 0},
	{"<a@[192.0.2.256]>", NULL, -FAIL_SYNTAX, 0},
	{"<a@[192.0.2.1>", NULL, -FAIL_SYNTAX, 0},
	{"<a@[IPv6:12345::]>", NULL, -FAIL_SYNTAX, 0},
	{"<a@[x-new:abc]>", NULL, -FAIL_SYNTAX, 0},
	{"<a\xff@b.c>", NULL, -FAIL_SYNTAX, 0},
	{"<a@b\xff.c>", NULL, -FAIL_SYNTAX, 0},
	{"<" LOCAL_64 "5@b.c>", NULL, -FAIL_TOOBIG, 0},
	{"<a@" LABEL_60 "1234.c>", NULL, -FAIL_TOOBIG, 0},
	{"<a@" LABEL_60 "." LABEL_60 "." LABEL_60 "." LABEL_60 ".abcdefghi>", NULL, -FAIL_TOOBIG,
	 0},
	{"<a@" LABEL_60 "." LABEL_60 "." LABEL_60 "." LABEL_60 ".abcdefghij>", NULL, -FAIL_TOOBIG,
	 0},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct smtp_addr a = {.n = 99};
		size_t used = 0;
		int r = smtp_path_parse(str_c(paths[i].in), SMTP_PATH_NULL | SMTP_PATH_POSTMASTER,
					&a, &used);
		if (r != paths[i].r)
			fail_msg("%s: result %d, not %d", paths[i].in, r, paths[i].r);
		if (r < 0) {
			assert_int_equal(a.n, 99);
			continue;
		}
		assert_str(smtp_addr_str(&a), paths[i].want);
		assert_int_equal(used, paths[i].used ? paths[i].used : strlen(paths[i].in));
	}
}

static void test_flags_decide(void **state)
{
	(void)state;
	struct smtp_addr a;
	size_t used;
	assert_int_equal(smtp_path_parse(STR("<>"), SMTP_PATH_POSTMASTER, &a, &used), -FAIL_SYNTAX);
	assert_int_equal(smtp_path_parse(STR("<postmaster>"), SMTP_PATH_NULL, &a, &used),
			 -FAIL_NOTFOUND);
}

/* Cut anywhere, a path is refused or shorter, never something else. */
static void test_cut_everywhere(void **state)
{
	(void)state;
	static const char whole[] = "<@r.example:\"a \\\"b\"@[IPv6:2001:db8::1]>";
	for (size_t n = 0; n < sizeof whole - 1; n++) {
		struct smtp_addr a;
		size_t used;
		char *copy = xstrdup(whole);
		char *cut = memcpy(xcalloc(1, n), copy, n);
		assert_true(smtp_path_parse(str_make(cut, n), 0, &a, &used) < 0);
		free(cut);
		free(copy);
	}
}

static void test_parts(void **state)
{
	(void)state;
	struct smtp_addr a;
	AUTO(buf) struct buf plain = BUF_INIT(KIB(1));
	assert_int_equal(smtp_mailbox_parse(STR("\"a \\\\ b\"@B.c"), &a), 0);
	assert_str(smtp_addr_local(&a), "\"a \\\\ b\"");
	assert_str(smtp_addr_domain(&a), "b.c");
	assert_int_equal(smtp_addr_plain_local(&a, &plain), 0);
	assert_str(buf_str(&plain), "a \\ b");
	assert_false(a.utf8);
	assert_int_equal(smtp_mailbox_parse(STR("a@b\xc3\xbc.c"), &a), 0);
	assert_true(a.utf8);
	assert_int_equal(smtp_mailbox_parse(STR("a@b.c d"), &a), -FAIL_SYNTAX);
	assert_int_equal(smtp_mailbox_parse(STR("<a@b.c>"), &a), -FAIL_SYNTAX);
	assert_true(smtp_domain_is_full(STR("a.b")));
	assert_true(smtp_domain_is_full(STR("[192.0.2.1]")));
	assert_false(smtp_domain_is_full(STR("localhost")));
	assert_false(smtp_domain_is_full(STR("")));
}

static void test_domain(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	assert_int_equal(smtp_domain_normalise(STR("Fa\xc3\x9f.DE"), &out), 0);
	assert_str(buf_str(&out), "xn--fa-hia.de");
	buf_reset(&out);
	assert_int_equal(smtp_domain_normalise(STR("a b.de"), &out), -FAIL_SYNTAX);
	assert_int_equal(smtp_domain_normalise(STR("\xe2\x80\x8b.de"), &out), -FAIL_SYNTAX);
	assert_int_equal(smtp_domain_normalise(STR_NULL, &out), -FAIL_SYNTAX);
	assert_int_equal(out.n, 0);
}

static void test_xtext(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(1));
	xtext_encode(&b, STR("a+b=c d\n~"));
	assert_str(buf_str(&b), "a+2Bb+3Dc+20d+0A~");
	AUTO(buf) struct buf back = BUF_INIT(KIB(1));
	assert_int_equal(xtext_decode(&back, buf_str(&b)), 0);
	assert_str(buf_str(&back), "a+b=c d\n~");
	static const char *const bad[] = {"a b", "a=b", "+",	 "+2",
					  "+2b", "+GG", "a\x7f", "\xc3\xbc"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (xtext_valid(str_c(bad[i])))
			fail_msg("%s is not xtext", bad[i]);
}

static void test_utf8_address(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(1));
	utf8_addr_encode(&b, STR("j\xc3\xbc+\\@b.c"));
	assert_str(buf_str(&b), "j\\x{FC}\\x{2B}\\x{5C}@b.c");
	AUTO(buf) struct buf back = BUF_INIT(KIB(1));
	assert_int_equal(utf8_addr_decode(&back, buf_str(&b)), 0);
	assert_str(buf_str(&back), "j\xc3\xbc+\\@b.c");
	static const char *const bad[] = {"a b", "\\x{}",  "\\x{1}", "\\x{110000}",  "\\y",
					  "\\",	 "\\x{41", "\xff",   "\\x{0000041}", "\\x{00}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (utf8_addr_decode(&back, str_c(bad[i])) == 0)
			fail_msg("%s is not a utf-8 address", bad[i]);
}

static void made_addresses_are_addresses(void **state)
{
	(void)state;
	struct smtp_addr a;
	assert_int_equal(smtp_addr_make(STR("a b"), STR("example.org"), &a), 0);
	assert_str(smtp_addr_str(&a), "\"a b\"@example.org");
	assert_int_equal(smtp_addr_make(STR("a\xbf"), STR("example.org"), &a), -FAIL_SYNTAX);
	assert_int_equal(smtp_addr_make(STR("a\x01"), STR("example.org"), &a), -FAIL_SYNTAX);
	assert_int_equal(smtp_addr_make(STR(""), STR("example.org"), &a), -FAIL_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_addresses_are_addresses),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_flags_decide),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_utf8_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
