/* SPDX-License-Identifier: Apache-2.0 */
/* Mailbox names, LIST patterns, dates, capabilities, and the writers of responses. */
#include "base/test.h"
#include "codec/imap/imap_capability.h"
#include "codec/imap/imap_list.h"
#include "codec/imap/imap_utf7.h"
#include "codec/imap/imap_write.h"

static void utf7_round_trips(void **state)
{
	(void)state;
	static const struct {
		const char *wire;
		const char *utf8;
	} rows[] = {
		{"", ""},
		{"INBOX", "INBOX"},
		{"A&-B&-", "A&B&"},
		{"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		 "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
		{"&AOk-", "\xc3\xa9"},
		{"&AOkA6Q-", "\xc3\xa9\xc3\xa9"},
		{"&AOkA6QDp-", "\xc3\xa9\xc3\xa9\xc3\xa9"},
		{"&AOk-&-&AOk-", "\xc3\xa9&\xc3\xa9"},
		{"&2D3eAA-", "\xf0\x9f\x98\x80"},
		{"x&2D3eANg93gA-y", "x\xf0\x9f\x98\x80\xf0\x9f\x98\x80y"},
		{"&AIA-", "\xc2\x80"},
		{"-", "-"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		assert_int_equal(imap_utf7_decode(&b, str_c(rows[i].wire)), 0);
		assert_string_equal(buf_c(&b), rows[i].utf8);
		buf_reset(&b);
		assert_int_equal(imap_utf7_encode(&b, str_c(rows[i].utf8)), 0);
		assert_string_equal(buf_c(&b), rows[i].wire);
	}
}

static void utf7_refuses_other_spellings(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"&",	    "&AOk",  "&AO-",  "&A-",   "&AOkA-",    "&AOl-",	   "&AOk=-",
		"&AOk/-",   "&AGE-", "&ACY-", "&2D0-", "&3gA-",	    "&2D3YPd4A-",  "&AOk-&AOk-",
		"\xc3\xa9", "a\tb",  "&AAk-", "&AAA-", "&AOk AOk-", "&AOkA6QDpA-",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		buf_addc(&b, '<');
		if (imap_utf7_decode(&b, str_c(bad[i])) != -FAIL_SYNTAX)
			fail_msg("%s was taken", bad[i]);
		assert_string_equal(buf_c(&b), "<");
	}
	AUTO(buf) struct buf b = BUF_INIT(KIB(1));
	assert_int_equal(imap_utf7_encode(&b, STR("\xff")), -FAIL_SYNTAX);
	assert_int_equal(imap_utf7_encode(&b, STR("a\nb")), -FAIL_SYNTAX);
}

static void patterns_match(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		const char *name;
		bool want;
	} rows[] = {
		{"*", "a/b/c", true},
		{"*", "", true},
		{"%", "a", true},
		{"%", "a/b", false},
		{"%/%", "a/b", true},
		{"%/%", "a/b/c", false},
		{"a*", "abc/d", true},
		{"a%", "abc/d", false},
		{"a%c", "abc", true},
		{"a%c", "a/c", false},
		{"*c", "a/b/c", true},
		{"*b%", "a/b/c", false},
		{"*b%", "a/bc", true},
		{"a", "A", false},
		{"inbox", "INBOX", true},
		{"iN%", "INBOX", true},
		{"inbox/x", "INBOX/x", true},
		{"inbox/X", "INBOX/x", false},
		{"inboxes", "INBOXES", false},
		{"", "", true},
		{"", "a", false},
		{"a/", "a/", true},
		{"*a*b*c*", "xaybzc", true},
		{"*a*b*c*", "xayczb", false},
		{"%a%b", "aab", true},
		{"%%", "ab", true},
		{"**%", "a/b", true},
		{"a%/b", "aaa/b", true},
		{"foo/*", "foo", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (imap_list_match(str_c(rows[i].pattern), str_c(rows[i].name)) != rows[i].want)
			fail_msg("%s and %s", rows[i].pattern, rows[i].name);
	AUTO(buf) struct buf b = BUF_INIT(KIB(8));
	for (int i = 0; i < 1000; i++)
		buf_add_c(&b, "*a");
	AUTO(buf) struct buf name = BUF_INIT(KIB(8));
	for (int i = 0; i < 2000; i++)
		buf_addc(&name, 'b');
	assert_false(imap_list_match(buf_str(&b), buf_str(&name)));

	buf_reset(&b);
	assert_int_equal(imap_list_pattern(&b, STR("a/"), STR("b%")), 0);
	assert_string_equal(buf_c(&b), "a/b%");
	buf_reset(&b);
	assert_int_equal(imap_list_pattern(&b, STR("a/"), STR("/b")), 0);
	assert_string_equal(buf_c(&b), "b");
}

static void dates_round_trip(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int64_t sec;
		const char *want;
	} rows[] = {
		{"17-Jul-1996 02:44:25 -0700", 837596665, "\"17-Jul-1996 02:44:25 -0700\""},
		{" 1-Jan-1970 00:00:00 +0000", 0, "\" 1-Jan-1970 00:00:00 +0000\""},
		{"1-jan-1970 00:00:00 +0100", -3600, "\" 1-Jan-1970 00:00:00 +0100\""},
		{"01-JAN-1970 00:00:00 -0030", 1800, "\" 1-Jan-1970 00:00:00 -0030\""},
		{"31-Dec-1969 23:59:59 +0000", -1, "\"31-Dec-1969 23:59:59 +0000\""},
		{"29-Feb-2024 12:00:00 +1400", 1709157600, "\"29-Feb-2024 12:00:00 +1400\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(64);
		struct imap_datetime t;
		assert_int_equal(imap_datetime_parse(str_c(rows[i].in), &t), 0);
		assert_int_equal(t.at.v, rows[i].sec * SEC_US);
		assert_int_equal(imap_datetime_write(&b, t), 0);
		assert_string_equal(buf_c(&b), rows[i].want);
	}
	static const char *const bad[] = {
		"",
		"17-Jul-1996",
		"17-Jul-1996 02:44:25",
		"17-Jul-1996 02:44:25 0700",
		"17-Jul-1996 02:44:25 -070",
		"17-Jul-1996 02:44:25 -07000",
		"17-Jul-1996 24:44:25 -0700",
		"30-Feb-1996 02:44:25 -0700",
		"17-Jux-1996 02:44:25 -0700",
		"  7-Jul-1996 02:44:25 -0700",
		"17-Jul-96 02:44:25 -0700",
		"17-Jul-1996 02:44:25 -0760",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct imap_datetime t;
		if (imap_datetime_parse(str_c(bad[i]), &t) != -FAIL_SYNTAX)
			fail_msg("%s was taken", bad[i]);
	}
}

static void days_are_days_of_the_zone(void **state)
{
	(void)state;
	int32_t day;
	assert_int_equal(imap_day_parse(STR("1-Jan-1970"), &day), 0);
	assert_int_equal(day, 0);
	assert_int_equal(imap_day_parse(STR("31-Dec-1969"), &day), 0);
	assert_int_equal(day, -1);
	assert_int_equal(imap_day_parse(STR(" 1-Jan-1970"), &day), -FAIL_SYNTAX);
	struct imap_datetime t;
	assert_int_equal(imap_datetime_parse(STR("01-Jan-1970 23:30:00 -0100"), &t), 0);
	assert_int_equal(imap_day_of(t), 0);
	t.zone_min = 0; /* the same moment in Greenwich */
	assert_int_equal(imap_day_of(t), 1);
	t.at.v = -1;
	assert_int_equal(imap_day_of(t), -1);
}

static const struct imap_capability_limits limits = {.append = 1000};

/* After login: which there are is for the transcripts. */
static void each_capability_once(void)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	struct str names[200], rest, one;
	size_t n = 0;
	assert_int_equal(imap_capability_write(&b, IMAP_CAP_AUTHENTICATED, &limits), 0);
	rest = buf_str(&b);
	assert_true(str_starts(rest, STR("IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE ")));
	while (str_cut(&rest, ' ', &one)) {
		for (size_t i = 0; i < n; i++)
			assert_false(str_eqi(names[i], one));
		assert_true(one.n > 0 && n < ARRAY_LEN(names));
		names[n++] = one;
	}
	assert_true(str_eq(names[n - 1], STR("APPENDLIMIT=1000")));
}

static void capabilities_by_state(void **state)
{
	(void)state;
	static const struct {
		uint32_t when;
		const char *want;
	} rows[] = {
		{IMAP_CAP_STARTTLS,
		 "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS LOGINDISABLED"},
		{IMAP_CAP_LOGIN_ALLOWED,
		 "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE AUTH=PLAIN AUTH=LOGIN"},
		{IMAP_CAP_STARTTLS | IMAP_CAP_LITERAL_MINUS,
		 "IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID ENABLE IDLE STARTTLS LOGINDISABLED"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		assert_int_equal(imap_capability_write(&b, rows[i].when, &limits), 0);
		assert_string_equal(buf_c(&b), rows[i].want);
	}
	each_capability_once();
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	struct imap_capability_limits both = {.append = 1, .messages = 2000, .saves = 3000};
	assert_int_equal(imap_capability_write(&b, IMAP_CAP_AUTHENTICATED, &both), 0);
	assert_true(str_ends(buf_str(&b), STR(" MESSAGELIMIT=2000 APPENDLIMIT=1")));
	both.messages = 0;
	assert_int_equal(imap_capability_write(&b, IMAP_CAP_AUTHENTICATED, &both), 0);
	assert_true(str_ends(buf_str(&b), STR(" SAVELIMIT=3000 APPENDLIMIT=1")));
	assert_int_equal(imap_enable_find(STR("condstore")), IMAP_ENABLE_CONDSTORE);
	assert_int_equal(imap_enable_find(STR("QRESYNC")), IMAP_ENABLE_QRESYNC);
}

static void strings_choose_their_form(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *string;
		const char *astring;
	} rows[] = {
		{STR("abc"), "\"abc\"", "abc"},
		{STR(""), "\"\"", "\"\""},
		{STR("a b"), "\"a b\"", "\"a b\""},
		{STR("NIL"), "\"NIL\"", "\"NIL\""},
		{STR("a\"\\"), "\"a\\\"\\\\\"", "\"a\\\"\\\\\""},
		{STR("a\r\nb"), "{4}\r\na\r\nb", "{4}\r\na\r\nb"},
		{STR("\xc3\xa9"), "{2}\r\n\xc3\xa9", "{2}\r\n\xc3\xa9"},
		{STR("a\0b\0"), "{2}\r\nab", "{2}\r\nab"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(1));
		assert_int_equal(imap_write_string(&b, rows[i].in), 0);
		assert_string_equal(buf_c(&b), rows[i].string);
		buf_reset(&b);
		assert_int_equal(imap_write_astring(&b, rows[i].in), 0);
		assert_string_equal(buf_c(&b), rows[i].astring);
	}
}

static void pieces_of_responses(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(1));
	struct str keywords[] = {STR("$Junk"), STR("x")};
	struct imap_flags flags = {IMAP_FLAG_SEEN | IMAP_FLAG_RECENT, keywords, 2};
	uint32_t numbers[] = {1, 5, 4294967295};
	uint32_t part[] = {1, 2};
	struct str fields[] = {STR("Date"), STR("a b")};
	struct imap_fetch_att att = {.kind = IMAP_FETCH_SECTION,
				     .section = {part, 2, IMAP_SECTION_HEADER_FIELDS, fields, 2},
				     .partial = true,
				     .offset = 7,
				     .count = 9};
	(void)imap_write_flags(&b, &flags);
	(void)buf_addc(&b, '|');
	(void)imap_write_numbers(&b, numbers, 3);
	(void)buf_addc(&b, '|');
	(void)imap_write_fetch_name(&b, &att);
	(void)buf_addc(&b, '|');
	(void)imap_write_mailbox(&b, STR("Entw\xc3\xbcrfe"));
	(void)buf_addc(&b, '|');
	(void)imap_write_nstring(&b, STR_NULL);
	(void)buf_addc(&b, '|');
	(void)imap_write_text(&b, STR("[a\r\nb\xc3\xa9"));
	(void)imap_write_text(&b, STR(""));
	assert_string_equal(buf_c(&b), "(\\Seen \\Recent $Junk x)|1 5 4294967295|"
				       "BODY[1.2.HEADER.FIELDS (Date \"a b\")]<7>|"
				       "Entw&APw-rfe|NIL|(a??b??.");
	assert_int_equal(imap_write_mailbox(&b, STR("\xff")), -FAIL_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf7_round_trips),
		cmocka_unit_test(utf7_refuses_other_spellings),
		cmocka_unit_test(patterns_match),
		cmocka_unit_test(dates_round_trip),
		cmocka_unit_test(days_are_days_of_the_zone),
		cmocka_unit_test(capabilities_by_state),
		cmocka_unit_test(strings_choose_their_form),
		cmocka_unit_test(pieces_of_responses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
