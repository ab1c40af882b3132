/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/mailfile/maildir.h"
#include "codec/mailfile/mbox.h"

static void names_of_messages(void **state)
{
	(void)state;
	struct maildir_name n;
	assert_true(
		maildir_name_parse(STR("1276528487.M364837P9451.host,S=1355,W=1394:2,FPSab"), &n));
	assert_str(n.unique, "1276528487.M364837P9451.host");
	assert_str(n.base, "1276528487.M364837P9451.host,S=1355,W=1394");
	assert_int_equal(n.flags, MAILFILE_FLAGGED | MAILFILE_SEEN);
	assert_true(n.passed);
	assert_int_equal(n.keywords, 3);
	assert_int_equal(n.time, 1276528487);
	assert_true(maildir_name_parse(STR("x"), &n));
	assert_str(n.base, "x");
	assert_int_equal(n.time, 0);
	/* Letters behind a comma belong to somebody else. */
	assert_true(maildir_name_parse(STR("1.a:2,S,T"), &n));
	assert_int_equal(n.flags, MAILFILE_SEEN);
	assert_false(maildir_name_parse(STR(".nfs0001"), &n));
	assert_false(maildir_name_parse(STR(""), &n));
	assert_false(maildir_name_parse(STR(":2,S"), &n));
}

static void flags_are_written_in_order(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(100);
	assert_int_equal(maildir_flags_write(&b, 0x1f, true, 5), 0);
	assert_str(buf_str(&b), ":2,DFPRSTac");
}

static void uid_lists(void **state)
{
	(void)state;
	struct uidlist_head h;
	struct uidlist_entry e;
	assert_true(uidlist_head_parse(
		STR("3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"), &h));
	assert_int_equal(h.version, 3);
	assert_int_equal(h.uidvalidity, 1275660208);
	assert_int_equal(h.uidnext, 25022);
	assert_true(uidlist_head_parse(STR("1 1100 17"), &h));
	assert_int_equal(h.uidnext, 17);
	static const char *const bad[] = {"", "2 1 1", "3 V1", "3 N1", "3 V0 N1", "1 5", "3 Vx N1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(uidlist_head_parse(str_c(bad[i]), &h));
	assert_true(uidlist_entry_parse(STR("25006 :1276528487.M3.kurkku,S=1355:2,\n"), 3, &e));
	assert_int_equal(e.uid, 25006);
	assert_str(e.file, "1276528487.M3.kurkku,S=1355:2,");
	assert_true(uidlist_entry_parse(STR("7 W12 S10 :a b"), 3, &e));
	assert_str(e.file, "a b");
	assert_true(uidlist_entry_parse(STR("7 name"), 1, &e));
	assert_str(e.file, "name");
	assert_false(uidlist_entry_parse(STR("0 :x"), 3, &e));
	assert_false(uidlist_entry_parse(STR("4294967296 :x"), 3, &e));
	assert_false(uidlist_entry_parse(STR("5 W3"), 3, &e));
	assert_false(uidlist_entry_parse(STR("5"), 1, &e));
}

static void keywords(void **state)
{
	(void)state;
	unsigned i;
	struct str name;
	assert_true(maildir_keyword_parse(STR("2 $Forwarded\n"), &i, &name));
	assert_int_equal(i, 2);
	assert_str(name, "$Forwarded");
	assert_false(maildir_keyword_parse(STR("26 x"), &i, &name));
	assert_false(maildir_keyword_parse(STR("1 a b"), &i, &name));
	assert_false(maildir_keyword_parse(STR("1 a]"), &i, &name));
	assert_false(maildir_keyword_parse(STR("x"), &i, &name));
}

static void folders(void **state)
{
	(void)state;
	static const struct {
		const char *folder, *name;
	} rows[] = {{".Work.2026", "Work/2026"},
		    {".Entw&APw-rfe", "Entw\xc3\xbcrfe"},
		    {".Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe"},
		    {".A&-B", "A&B"},
		    {".A&B", "A&B"},
		    {".a..b", NULL},
		    {".", NULL},
		    {"..", NULL},
		    {"cur", NULL},
		    {".a\001", NULL},
		    {".\xff", NULL}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(1000);
		bool good = maildir_folder_name(str_c(rows[i].folder), &b);
		assert_int_equal(good, rows[i].name != NULL);
		if (good)
			assert_str(buf_str(&b), rows[i].name);
	}
	AUTO(buf) struct buf b = BUF_INIT(1000);
	assert_int_equal(maildir_folder_write(STR("Entw\xc3\xbcrfe/v1.2"), &b), 0);
	assert_str(buf_str(&b), ".Entw&APw-rfe.v1_2");
}

static void subscriptions(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		bool v2;
		const char *name;
	} rows[] = {{"Work\t2026\n", true, "Work/2026"},
		    {"Work.2026", false, "Work/2026"},
		    {"Work/v.2", false, "Work/v.2"},
		    {"a\001tb", true, NULL},
		    {"", true, NULL},
		    {"a\001", true, NULL}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(1000);
		bool good = maildir_subscription_parse(str_c(rows[i].line), rows[i].v2, &b);
		assert_int_equal(good, rows[i].name != NULL);
		if (good)
			assert_str(buf_str(&b), rows[i].name);
	}
}

static void from_lines(void **state)
{
	(void)state;
	struct wall_us t;
	assert_true(mbox_is_from(STR("From ann@example.org Thu Nov  5 10:20:30 2026\n"), &t));
	assert_int_equal(t.v, INT64_C(1793874030) * 1000000);
	assert_true(mbox_is_from(STR("From - Thu Nov 05 10:20:30 +0000 2026\r\n"), &t));
	assert_true(mbox_is_from(STR("From \"a b\"@x Thu Nov 5 10:20 2026"), &t));
	assert_true(mbox_is_from(STR("From a@x Thu Nov  5 10:20:30 2026 remote from b"), NULL));
	assert_false(mbox_is_from(STR("From here on it is easy"), &t));
	assert_false(mbox_is_from(STR("From: a@x Thu Nov  5 10:20:30 2026"), &t));
	assert_false(mbox_is_from(STR(">From a@x Thu Nov  5 10:20:30 2026"), &t));
	assert_false(mbox_is_from(STR("From a@x Thu Nov 55 10:20:30 2026"), &t));
	assert_false(mbox_is_from(STR("From a@x Thu Nov 5 25:20:30 2026"), &t));
}

static void quoting(void **state)
{
	(void)state;
	assert_int_equal(mbox_unquote(STR(">From x")), 1);
	assert_int_equal(mbox_unquote(STR(">>>From x")), 1);
	assert_int_equal(mbox_unquote(STR("From x")), 0);
	assert_int_equal(mbox_unquote(STR("> From x")), 0);
	assert_true(mbox_needs_quote(STR("From x")));
	assert_true(mbox_needs_quote(STR(">From x")));
	assert_false(mbox_needs_quote(STR("Fromx")));
}

static void state_in_fields(void **state)
{
	(void)state;
	struct mbox_state s;
	mbox_state_init(&s);
	assert_true(s.recent);
	assert_true(mbox_state_line(&s, STR("Status: RO\r\n")));
	assert_true(mbox_state_line(&s, STR("x-status: AFT\n")));
	assert_true(mbox_state_line(&s, STR("X-Keywords: $Work  two (bad) \n")));
	assert_true(mbox_state_line(&s, STR("X-UID: 17\n")));
	assert_true(mbox_state_line(&s, STR("X-IMAPbase: 1100 42 $Work\n")));
	assert_true(mbox_state_line(&s, STR("Content-Length: 300\n")));
	assert_false(mbox_state_line(&s, STR("Subject: Status: R\n")));
	assert_false(mbox_state_line(&s, STR("no field\n")));
	assert_int_equal(s.flags,
			 MAILFILE_SEEN | MAILFILE_ANSWERED | MAILFILE_FLAGGED | MAILFILE_DRAFT);
	assert_string_equal(s.keywords, "$Work two");
	assert_int_equal(s.uid, 17);
	assert_int_equal(s.uidvalidity, 1100);
	assert_int_equal(s.uidlast, 42);
	assert_int_equal(s.content_length, 300);
	assert_false(s.recent);
	assert_true(mbox_state_line(&s, STR("X-UID: 99999999999\n")));
	assert_int_equal(s.uid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_messages), cmocka_unit_test(flags_are_written_in_order),
		cmocka_unit_test(uid_lists),	     cmocka_unit_test(keywords),
		cmocka_unit_test(folders),	     cmocka_unit_test(subscriptions),
		cmocka_unit_test(from_lines),	     cmocka_unit_test(quoting),
		cmocka_unit_test(state_in_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
