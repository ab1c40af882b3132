/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/imap/imap_url.h"

#define TOKEN ":INTERNAL:0123456789abcdef0123456789abcdef"

static int parse(const char *text, bool signed_, struct arena *a, struct imap_url *ret)
{
	return imap_url_parse(str_c(text), signed_, a, ret, NULL);
}

static void everything(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct imap_url u;
	const char *text = "imap://fred%40a.test;AUTH=*@mail.a.test:143/Dr%C3%A4fts/x;UIDVALIDITY="
			   "17/;UID=20/;SECTION=1.2.MIME/;PARTIAL=5.100;EXPIRE=2026-11-22T12:27:00"
			   "+01:00;URLAUTH=submit+joe%40a.test" TOKEN;
	(void)state;
	assert_int_equal(parse(text, true, &a, &u), 0);
	assert_true(str_eq(u.user, STR("fred@a.test")));
	assert_true(str_eq(u.host, STR("mail.a.test:143")));
	assert_true(str_eq(u.mailbox, STR("Dr\xc3\xa4"
					  "fts/x")));
	assert_int_equal(u.uidvalidity, 17);
	assert_int_equal(u.uid, 20);
	assert_int_equal(u.section.part_count, 2);
	assert_int_equal(u.section.text, IMAP_SECTION_MIME);
	assert_true(u.partial && u.offset == 5 && u.count == 100);
	assert_true(u.expires && u.expire.v == INT64_C(1795346820) * SEC_US);
	assert_int_equal(u.access, IMAP_URL_SUBMIT);
	assert_true(str_eq(u.for_user, STR("joe@a.test")));
	assert_int_equal(u.rump.n + strlen(TOKEN), strlen(text));
	assert_true(str_eq(u.mechanism, STR("INTERNAL")));
	assert_int_equal(u.token.n, 32);
	assert_true(parse(text, false, &a, &u) < 0);
}

static void little(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct imap_url u;
	(void)state;
	assert_int_equal(parse("IMAP://f@h/INBOX/;uid=1;urlauth=anonymous", false, &a, &u), 0);
	assert_int_equal(u.access, IMAP_URL_ANYBODY);
	assert_true(!u.partial && !u.expires && u.uidvalidity == 0 && u.section.part_count == 0);
	assert_int_equal(
		parse("imap://f@h/INBOX/;UID=1/;PARTIAL=7;URLAUTH=authuser" TOKEN, true, &a, &u),
		0);
	assert_true(u.offset == 7 && u.count == UINT64_MAX);
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"",
		"imap://",
		"http://f@h/INBOX/;UID=1;URLAUTH=anonymous",
		"imap://f@h/INBOX/;UID=1",
		"imap://h/INBOX/;UID=1;URLAUTH=anonymous",
		"imap://f@/INBOX/;UID=1;URLAUTH=anonymous",
		"imap://f@h/;UID=1;URLAUTH=anonymous",
		"imap://f@h/INBOX;URLAUTH=anonymous",
		"imap://f@h/INBOX/;UID=0;URLAUTH=anonymous",
		"imap://f@h/INBOX/;UID=4294967296;URLAUTH=anonymous",
		"imap://f@h/INBOX/;UID=1/;SECTION=;URLAUTH=anonymous",
		"imap://f@h/INBOX/;UID=1/;SECTION=HEADERS;URLAUTH=anonymous",
		"imap://f@h/INBOX/;UID=1/;PARTIAL=1.0;URLAUTH=anonymous",
		"imap://f@h/INBOX/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous",
		"imap://f@h/INBOX/;UID=1;URLAUTH=submit+",
		"imap://f@h/INBOX/;UID=1;URLAUTH=nobody",
		"imap://f@h/IN%0aBOX/;UID=1;URLAUTH=anonymous",
		"imap://f@h/INBOX%4/;UID=1;URLAUTH=anonymous",
		"imap://f@h/INBOX%ff/;UID=1;URLAUTH=anonymous",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
		struct imap_url u;
		assert_true(parse(bad[i], false, &a, &u) < 0);
	}
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct imap_url u;
	assert_true(parse("imap://f@h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:01", true, &a, &u) <
		    0);
	assert_true(parse("imap://f@h/INBOX/;UID=1;URLAUTH=anonymous", true, &a, &u) < 0);
}

static void relative(void **state)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct imap_url u;
	struct fail why = FAIL_INIT;
	(void)state;
	assert_int_equal(imap_url_parse_relative(
				 STR("/My%20Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME"),
				 &a, &u, &why),
			 0);
	assert_true(str_eq(u.mailbox, STR("My Drafts")) && u.uidvalidity == 385759045);
	assert_true(u.uid == 20 && u.section.part_count == 1);
	assert_int_equal(imap_url_parse_relative(STR(";uid=7/;PARTIAL=0.1"), &a, &u, &why), 0);
	assert_true(!u.mailbox.p && u.uid == 7 && u.partial && u.count == 1);
	static const char *const bad[] = {
		"",
		"/",
		"/;UID=1",
		"/Drafts",
		"/Drafts/",
		"Drafts/;UID=1",
		";UID=0",
		";UID=1/",
		"imap://a@b/Drafts/;UID=1",
		"//a@b/Drafts/;UID=1",
		"/Drafts/;UID=1;URLAUTH=anonymous",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(imap_url_parse_relative(str_c(bad[i]), &a, &u, &why) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything),
		cmocka_unit_test(little),
		cmocka_unit_test(refused),
		cmocka_unit_test(relative),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
