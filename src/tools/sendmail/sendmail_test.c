/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "tools/sendmail/sendmail.h"

static void test_lines(void **state)
{
	(void)state;
	static const struct {
		const char *raw;
		bool dot_ends;
		const char *want;
	} rows[] = {{"a\nb\n", true, "a\r\nb\r\n"},
		    {"a\r\nb", true, "a\r\nb\r\n"},
		    {"10%\r20%\r\n", true, "10%\r\n20%\r\n"},
		    {"a\n.\nb\n", true, "a\r\n"},
		    {"a\n.\nb\n", false, "a\r\n.\r\nb\r\n"},
		    {"a\r\n.\r\nb", true, "a\r\n"},
		    {"..\n", true, "..\r\n"},
		    {"\n", true, "\r\n"},
		    {"", true, ""}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(KIB(1));
		assert_int_equal(draft_lines(str_c(rows[i].raw), rows[i].dot_ends, &out), 0);
		assert_string_equal(buf_c(&out), rows[i].want);
	}
	AUTO(buf) struct buf nul = BUF_INIT(KIB(1)), small = BUF_INIT(3);
	assert_int_equal(draft_lines((struct str){"a\0b\0\n", 5}, true, &nul), 0);
	assert_string_equal(buf_c(&nul), "ab\r\n");
	assert_int_equal(draft_lines(STR("abc"), true, &small), -FAIL_LIMIT);
}

/* argv, then what comes of a message. */
static const struct {
	const char *args; /* separated by blanks; "_" in a word is a blank */
	const char *message;
	int code;
	const char *sender;
	const char *rcpts; /* separated by blanks */
	const char *content;
} drafts[] = {
	{"sendmail root", "Subject: x\r\n\r\nhello\r\n", 0, "me@h.test", "root@h.test",
	 "From: me@h.test\r\nSubject: x\r\n\r\nhello\r\n"},
	{"sendmail -i -t",
	 "From: a@b.test\r\nTo: x@y.test, \"Y, Z\" <y@y.test>\r\nBcc: z@y.test\r\n\r\n", 0,
	 "me@h.test", "x@y.test y@y.test z@y.test",
	 "From: a@b.test\r\nTo: x@y.test, \"Y, Z\" <y@y.test>\r\n\r\n"},
	{"sendmail -t extra@y.test", "To: group: x@y.test,\r\n\tbob;\r\n\r\n", 0, "me@h.test",
	 "extra@y.test x@y.test bob@h.test", NULL},
	{"sendmail -t", "Resent-To: r@y.test\r\nTo: x@y.test\r\n\r\n", 0, "me@h.test", "r@y.test",
	 NULL},
	{"sendmail -oi -f sender@s.test -F My_\"Self\" a@b.test,c@d.test", "body only\r\n", 0,
	 "sender@s.test", "a@b.test c@d.test",
	 "From: \"My \\\"Self\\\"\" <sender@s.test>\r\n\r\nbody only\r\n"},
	{"sendmail -f <> a@b.test", "From: x@y.test\r\n\r\n", 0, "", "a@b.test",
	 "From: x@y.test\r\n\r\n"},
	{"sendmail -oem -odb -O DeliveryMode=b -L tag -G -v -- a@B.TEST A@b.test a@b.test",
	 "From me Sat Nov 21\r\nFrom: x@y.test\r\nSubject: s\r\n", 0, "me@h.test",
	 "a@b.test A@b.test", "From: x@y.test\r\nSubject: s\r\n\r\n"},
	{"sendmail -t", "Subject: to nobody\r\n\r\n", EX_USAGE, NULL, NULL, NULL},
	{"sendmail", "Subject: to nobody\r\n\r\n", EX_USAGE, NULL, NULL, NULL},
	{"sendmail -bx", "", EX_USAGE, NULL, NULL, NULL},
	{"sendmail -N sometimes x", "", EX_USAGE, NULL, NULL, NULL},
	{"sendmail -R all x", "", EX_USAGE, NULL, NULL, NULL},
	{"sendmail -f a@b.test,c@d.test x", "", EX_USAGE, NULL, NULL, NULL},
	{"sendmail x", "a\r\n", 0, "me@h.test", "x@h.test", "From: me@h.test\r\n\r\na\r\n"},
};

static int split(char *text, char **argv, int max)
{
	int n = 0;
	for (char *word = strtok_r(text, " ", &text); word && n < max - 1;
	     word = strtok_r(NULL, " ", &text)) {
		for (char *p = word; *p; p++)
			*p = *p == '_' ? ' ' : *p;
		argv[n++] = word;
	}
	argv[n] = NULL;
	return n;
}

static int make(size_t i, struct draft *d)
{
	char text[300], *argv[20];
	struct sendmail_options o;
	const char *why = NULL;
	(void)snprintf(text, sizeof text, "%s", drafts[i].args);
	int r = sendmail_options_read(split(text, argv, 20), argv, &o);
	if (r == 0)
		r = draft_make(d, &o, str_c(drafts[i].message), STR("me"), &why);
	sendmail_options_clear(&o);
	return r;
}

static void test_drafts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(drafts); i++) {
		AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
		AUTO(buf) struct buf rcpts = BUF_INIT(KIB(4));
		struct draft d = {
			.arena = &a, .origin = STR("h.test"), .content = BUF_INIT(KIB(64))};
		int r = make(i, &d);
		if (r != drafts[i].code)
			fail_msg("%s: %d is not %d", drafts[i].args, r, drafts[i].code);
		for (size_t k = 0; k < d.rcpts.v.n; k++)
			buf_addf(&rcpts, "%s%.*s", k ? " " : "", STR_ARG(d.rcpts.v.p[k]));
		if (r == 0) {
			if (!str_eq(d.sender, str_c(drafts[i].sender)))
				fail_msg("%s: sender %.*s", drafts[i].args, STR_ARG(d.sender));
			assert_string_equal(buf_c(&rcpts), drafts[i].rcpts);
		}
		if (r == 0 && drafts[i].content)
			assert_string_equal(buf_c(&d.content), drafts[i].content);
		draft_clear(&d);
	}
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *args;
		enum sendmail_mode mode;
	} rows[] = {{"/usr/bin/mailq", SENDMAIL_LIST},	 {"newaliases", SENDMAIL_ALIASES},
		    {"sendmail -bp", SENDMAIL_LIST},	 {"sendmail -bi", SENDMAIL_ALIASES},
		    {"sendmail -q30m", SENDMAIL_FLUSH},	 {"sendmail -bs", SENDMAIL_SMTP},
		    {"sendmail -bv x", SENDMAIL_VERIFY}, {"sendmail -bm x", SENDMAIL_DELIVER}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[100], *argv[20];
		struct sendmail_options o;
		(void)snprintf(text, sizeof text, "%s", rows[i].args);
		assert_int_equal(sendmail_options_read(split(text, argv, 20), argv, &o), 0);
		assert_int_equal(o.mode, rows[i].mode);
		sendmail_options_clear(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines),
					   cmocka_unit_test(test_drafts),
					   cmocka_unit_test(test_names)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
