/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: patterns, actions, the first that matches, what is wrong and where; and the one for HELO.
 */
#include "base/test.h"
#include "service/access/access.h"
#include "service/access/action.h"

static struct access_table *table(const char *text)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	struct access_table *t = NULL;
	int r = access_parse("t", str_c(text), &t, &errors);
	if (r < 0)
		print_error("%s", buf_c(&errors));
	assert_int_equal(r, 0);
	return t;
}

/* "REFUSE 554 5.7.1 text", "OK", "-" when nothing matches. */
static const char *look(const struct access_table *t, const struct access_key *key)
{
	static const char *const names[] = {
		[ACCESS_DUNNO] = "DUNNO",     [ACCESS_OK] = "OK",
		[ACCESS_REFUSE] = "REFUSE",   [ACCESS_DISCARD] = "DISCARD",
		[ACCESS_HOLD] = "HOLD",	      [ACCESS_WARN] = "WARN",
		[ACCESS_PREPEND] = "PREPEND", [ACCESS_REDIRECT] = "REDIRECT",
		[ACCESS_BCC] = "BCC",	      [ACCESS_FILTER] = "FILTER",
		[ACCESS_IGNORE] = "IGNORE",   [ACCESS_STRIP] = "STRIP",
		[ACCESS_REPLACE] = "REPLACE", [ACCESS_PASS] = "PASS"};
	static char text[600];
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct access_hit hit;
	if (!access_find(t, key, &a, &hit))
		return "-";
	int n = snprintf(text, sizeof text, "%s", names[hit.act]);
	if (hit.act == ACCESS_REFUSE)
		n += snprintf(text + n, sizeof text - (size_t)n, " %u %s", hit.code, hit.status);
	if (hit.text.n)
		(void)snprintf(text + n, sizeof text - (size_t)n, " %.*s", STR_ARG(hit.text));
	return text;
}

static const char *address(const struct access_table *t, const char *a)
{
	return look(t, &(struct access_key){.texts = {str_c(a)}, .is_address = true});
}

static const char *host(const struct access_table *t, const char *name, const char *ip)
{
	struct access_key key = {.texts = {str_c(name), ip ? str_c(ip) : STR_NULL}};
	if (ip)
		assert_true(netaddr_parse(str_c(ip), &key.addr));
	return look(t, &key);
}

static void test_addresses(void **state)
{
	(void)state;
	AUTO(access_table)
	struct access_table *t = table("# comment\n"
				       "Boss@Example.org OK\n"
				       "abuse@ DUNNO\n"
				       ".example.org DISCARD\n"
				       "example.org REJECT\n"
				       "@only.example HOLD\n"
				       "<> WARN bounce\n"
				       "192.0.2.0/24 OK\n"
				       "* 450 4.2.1 not you\n");
	assert_int_equal(access_count(t), 8);
	assert_string_equal(address(t, "boss@example.ORG"), "OK");
	assert_string_equal(address(t, "boss+list@example.org"), "OK");
	assert_string_equal(address(t, "abuse@anywhere.example"), "DUNNO");
	assert_string_equal(address(t, "x@a.example.org"), "DISCARD");
	assert_string_equal(address(t, "x@example.org"), "REFUSE 554 5.7.1");
	assert_string_equal(address(t, "x@notexample.org"), "REFUSE 450 4.2.1 not you");
	assert_string_equal(address(t, "x@only.example"), "HOLD");
	assert_string_equal(address(t, ""), "WARN bounce");
}

static void test_hosts(void **state)
{
	(void)state;
	AUTO(access_table)
	struct access_table *t = table("192.0.2.7 OK\n192.0.2.0/24 REJECT your net\n"
				       "2001:db8::/32 DEFER\nexample.org DUNNO\n"
				       "/^mx\\d+\\.(.+)$/ PREPEND X-Of: $1 ${1} $$5\n"
				       "!/\\./ 550 no dot\n");
	assert_string_equal(host(t, "unknown.example", "192.0.2.7"), "OK");
	assert_string_equal(host(t, "unknown.example", "192.0.2.8"), "REFUSE 554 5.7.1 your net");
	assert_string_equal(host(t, "a.b", "2001:db8::1"), "REFUSE 450 4.7.1");
	assert_string_equal(host(t, "mail.example.org", NULL), "DUNNO");
	assert_string_equal(host(t, "mx12.big.example", NULL),
			    "PREPEND X-Of: big.example big.example $5");
	assert_string_equal(host(t, "nodot", NULL), "REFUSE 550 5.7.1 no dot");
	assert_string_equal(host(t, "a.b", NULL), "-");
	assert_string_equal(host(t, "x", "198.51.100.1"), "REFUSE 550 5.7.1 no dot");
}

static void test_mistakes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} all[] = {
		{"a.b\n", "t:1: there is no action\n"},
		{"\n/a(/ OK\n", "t:2: /a(/: missing closing parenthesis"},
		{"/a OK\n", "t:1: the expression has no / at its end\n"},
		{"/a/q OK\n", "t:1: /q: there is no such flag; allowed: i, m, s, x, A, E, U\n"},
		{"10.0.0.0/33 OK\n", "t:1: \"10.0.0.0/33\" is no pattern"},
		{"a.b FROB\n", "t:1: no such action"},
		{"a.b 200 fine\n", "t:1: a reply code must be from 400 to 599\n"},
		{"a.b PREPEND x\n", "t:1: PREPEND needs a header field"},
		{"a.b REDIRECT x\n", "t:1: REDIRECT and BCC need an address\n"},
		{"a.b FILTER\n", "t:1: FILTER needs a next hop"},
		{"a.b IGNORE\n", "t:1: no such action"},
		{"if /a/\na.b OK\n", "t:1: an if has no endif\n"},
		{"a.b OK\nendif\n", "t:2: endif without an if\n"},
		{"if /a/ OK\nendif\n", "t:1: if takes an expression, and nothing behind it\n"},
		{"if a.b\nendif\n", "t:1: if takes an expression, and nothing behind it\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
		struct access_table *t = NULL;
		assert_int_equal(access_parse("t", str_c(all[i].text), &t, &errors), -FAIL_SYNTAX);
		assert_null(t);
		assert_true(str_starts(buf_str(&errors), str_c(all[i].error)));
	}
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	struct access_table *t = NULL;
	assert_int_equal(access_parse("t", STR("a\0b OK"), &t, &errors), -FAIL_SYNTAX);
}

static void test_actions(void **state)
{
	(void)state;
	struct action a;
	assert_null(action_parse(STR("REJECT 5.1.7 gone away"), &a));
	assert_string_equal(a.status, "5.1.7");
	assert_str(a.text, "gone away");
	assert_null(action_parse(STR("reject 4.1.7 other class"), &a));
	assert_string_equal(a.status, "5.7.1");
	assert_str(a.text, "4.1.7 other class");
	assert_null(action_parse(STR("421 4.3.2"), &a));
	assert_int_equal(a.code, 421);
	assert_int_equal(a.text.n, 0);
	assert_null(action_parse(STR("BCC a@b.example"), &a));
	assert_null(action_parse(STR("FILTER smtp:[127.0.0.1]:10024"), &a));
}

static const char *line(const struct access_table *t, const char *text)
{
	return look(t, &(struct access_key){.texts = {str_c(text)}});
}

/* As administrators have them for Postfix: header_checks, body_checks. */
static void test_content(void **state)
{
	(void)state;
	static const char text[] = "# what comes from the reference\n"
				   "/^Subject:.*viagra/\tREJECT\n"
				   "/^Subject: .*money/\r\n"
				   "\r\n"
				   "   # a comment within\n"
				   "\tREJECT 4.7.1 not today\r\n"
				   "if /^X-/\n"
				   "if !/^X-Keep/\n"
				   "/^X-Spam-(\\w+): (.*)/ REPLACE X-Old-$(1): $2\n"
				   "/./ IGNORE\n"
				   "endif\n"
				   "/^x-keep-case/i DUNNO\n"
				   "endif\n"
				   "|^Url: http://bad/| DISCARD\n"
				   "/one.two/ HOLD\n"
				   "/three.four/s STRIP\n"
				   "/anchored/A PREPEND a line\n"
				   "!/^[a-z0-9-]+:/ PASS no name\n"
				   "/^mx/ OK\n"
				   "/^bcc/ BCC a@b.example\n";
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	AUTO(access_table) struct access_table *t = NULL;
	int r = access_parse_content("t", str_c(text), &t, &errors);
	assert_string_equal(buf_c(&errors), "");
	assert_int_equal(r, 0);
	assert_string_equal(line(t, "Subject: V\nIAGRA viagra"), "REFUSE 550 5.7.1");
	assert_string_equal(line(t, "subject: MONEY"), "REFUSE 450 4.7.1 not today");
	assert_string_equal(line(t, "X-Spam-Flag: YES"), "REPLACE X-Old-Flag: YES");
	assert_string_equal(line(t, "X-Other: 1"), "IGNORE");
	assert_string_equal(line(t, "X-Keep: 1"), "-");
	assert_string_equal(line(t, "Url: http://bad/x"), "DISCARD");
	assert_string_equal(line(t, "a: one\ntwo"), "HOLD");
	assert_string_equal(line(t, "a: three\nfour"), "-");
	assert_string_equal(line(t, "a: three four"), "STRIP");
	assert_string_equal(line(t, "x: anchored"), "-");
	assert_string_equal(line(t, "anchored"), "PREPEND a line");
	assert_string_equal(line(t, "no name"), "PASS no name");
	assert_string_equal(line(t, "mx: 1"), "DUNNO");
	assert_string_equal(line(t, "bcc: 1"), "BCC a@b.example");
	struct access_hit hit;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	assert_true(access_find(t, &(struct access_key){.texts = {STR("bcc: 1")}}, &a, &hit));
	assert_int_equal(hit.at.line, 20);
}

static void test_content_mistakes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} all[] = {
		{"example.org REJECT\n", "t:1: what is looked for must be an expression"},
		{"/a/ FROB\n", "t:1: no such action; allowed: REJECT, DISCARD"},
		{"/a/ REPLACE\n", "t:1: PREPEND and REPLACE need a text\n"},
		{"/a/ 550 no\n", "t:1: no such action"},
		{"/a/\n/b/ OK\n", "t:1: there is no action\n"},
		{"/b/ OK\n |a OK\n|a OK\n", "t:3: the expression has no | at its end\n"},
		{"/a/ REDIRECT nobody\n", "t:1: REDIRECT and BCC need an address\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
		struct access_table *t = NULL;
		assert_int_equal(access_parse_content("t", str_c(all[i].text), &t, &errors),
				 -FAIL_SYNTAX);
		assert_null(t);
		if (!str_starts(buf_str(&errors), str_c(all[i].error)))
			print_error("%s", buf_c(&errors));
		assert_true(str_starts(buf_str(&errors), str_c(all[i].error)));
	}
}

/* What honest servers call themselves passes the table that comes with barid. */
static void test_builtin(void **state)
{
	(void)state;
	static const char *const good[] = {"mail.example.org",
					   "mx1.example.net",
					   "mail-wm1-f45.google.com",
					   "[198.51.100.7]",
					   "mout.gmx.net",
					   "out-12.smtp.github.com",
					   "smtp2.mailbox.org",
					   "a8-31.smtp-out.amazonses.com",
					   "mail-oln040092068033.outbound.protection.outlook.com",
					   "mta-128-195.sparkpostmail.com",
					   "[IPv6:2001:db8::7]",
					   "xyz.de",
					   "o1.ptr2625.sendgrid.net",
					   "sonic317-20.consmr.mail.ne1.yahoo.com"};
	static const char *const bad[] = {"localhost",
					  "LOCALHOST.localdomain",
					  "nas.local",
					  "192.0.2.7",
					  "gmail.com",
					  "yahoo.co.jp",
					  "[10.1.2.3]",
					  "[192.168.0.7]",
					  "p5B0C1D2E.dip0.t-ipconnect.de",
					  "ylmf-pc",
					  "1-2-3-4.dynamic.example.net",
					  "adsl-12.example.net",
					  "host.pool.example.com",
					  "7.2.0.192.in-addr.arpa",
					  "a b",
					  "..",
					  "2001:db8::1",
					  "12345"};
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	AUTO(access_table) struct access_table *t = NULL;
	assert_int_equal(access_parse("default", access_builtin_helo(), &t, &errors), 0);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_string_equal(host(t, good[i], NULL), "-");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *said = host(t, bad[i], NULL);
		if (!str_starts(str_c(said), STR("REFUSE 554 5.7.1 ACCESS DENIED. ")))
			print_error("%s: %s\n", bad[i], said);
		assert_true(str_starts(str_c(said), STR("REFUSE 554 5.7.1 ACCESS DENIED. ")));
		assert_true(str_ends(str_c(said), STR(")")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_mistakes),  cmocka_unit_test(test_actions),
		cmocka_unit_test(test_content),	  cmocka_unit_test(test_content_mistakes),
		cmocka_unit_test(test_builtin)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
