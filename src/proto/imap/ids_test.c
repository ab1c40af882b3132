/* SPDX-License-Identifier: Apache-2.0 */
/* OBJECTID, SAVEDATE, PREVIEW, QUOTA: what a client sees of them. */
#include "proto/imap/dialogue.h"

#define LUNCH "Message-ID: <1@x>\r\nSubject: Lunch\r\n\r\nToday?\r\n"
#define REPLY                                                                                      \
	"Message-ID: <2@x>\r\nSubject: Re: Lunch\r\nReferences: <1@x>\r\n\r\n> Today?\r\nYes.\r\n"

static void object_ids(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a CREATE Work", "A= a OK [MAILBOXID (F7-~)] CREATE completed.",
		"A: b STATUS Work (MAILBOXID)", "A= * STATUS Work (MAILBOXID (F7-~))", "A= b OK ~",
		"A: c RENAME Work Play", "A= c OK ~", "A: d STATUS Play (MAILBOXID MESSAGES)",
		"A= * STATUS Play (MESSAGES 0 MAILBOXID (F7-~))", "A= d OK ~", "A: e DELETE Play",
		"A= e OK ~", "A: f CREATE Work", "A= f OK [MAILBOXID (F8-~)] CREATE completed.",
		"+ INBOX (\\Seen) " LUNCH, "+ INBOX (\\Seen) " REPLY,
		"+ INBOX (\\Seen) Subject: x\r\n\r\ny", SELECT_SEEN("A", 3, 3),
		"A: g FETCH 1:3 (EMAILID THREADID)", "A= * 1 FETCH (EMAILID (M8) THREADID (T8))",
		"A= * 2 FETCH (EMAILID (Ma) THREADID (T8))",
		"A= * 3 FETCH (EMAILID (Mc) THREADID (Tc))", "A= g OK ~", "A: h SEARCH THREADID T8",
		"A= * SEARCH 1 2", "A= h OK ~", "A: i SEARCH EMAILID Ma", "A= * SEARCH 2",
		"A= i OK ~", "A: j SEARCH EMAILID ma", "A= * SEARCH", "A= j OK ~",
		"A: k SEARCH THREADID T08", "A= * SEARCH", "A= k OK ~",
		/* A copy is the same message. */
		"A: l COPY 2 Work", "A= l OK [COPYUID ~ 2 1] ~", "A: sel EXAMINE Work",
		"A= * OK [CLOSED] ~", OPENED("A"), "A= * 1 EXISTS", "A= * 1 RECENT",
		"A= * OK [UIDVALIDITY ~", "A= * OK [UIDNEXT ~", "A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID (F8-~)] ~", "A= sel OK [READ-ONLY] ~",
		"A: m FETCH 1 (EMAILID THREADID)", "A= * 1 FETCH (EMAILID (Ma) THREADID (T8))",
		"A= m OK ~", NULL};
	dialogue(rows);
}

static void save_dates(void **state)
{
	(void)state;
	static const char *const rows[] = {"+ INBOX (\\Seen) a",
					   SELECT_SEEN("A", 1, 1),
					   "A: a FETCH 1 SAVEDATE",
					   "A= * 1 FETCH (SAVEDATE \"~ +0000\")",
					   "A= a OK ~",
					   "A: b SEARCH SAVEDSINCE 1-Feb-2020",
					   "A= * SEARCH 1",
					   "A= b OK ~",
					   "A: c SEARCH SAVEDBEFORE 1-Feb-2020",
					   "A= * SEARCH",
					   "A= c OK ~",
					   "A: d SEARCH SAVEDON 9-Sep-2001",
					   "A= * SEARCH",
					   "A= d OK ~",
					   "A: e SEARCH SAVEDATESUPPORTED ON 9-Sep-2001",
					   "A= * SEARCH 1",
					   "A= e OK ~",
					   NULL};
	dialogue(rows);
}

/* INTERNALDATE keeps the zone that the client gave, and its day is the day in that zone. */
static void zones(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a APPEND INBOX (\\Seen) \"01-Jan-2020 23:30:00 -0200\" {1+}\r\nx",
		"A= a OK [APPENDUID ~ 1] ~",
		SELECT_SEEN("A", 1, 1),
		"A: b FETCH 1 INTERNALDATE",
		"A= * 1 FETCH (INTERNALDATE \" 1-Jan-2020 23:30:00 -0200\")",
		"A= b OK ~",
		"A: c SEARCH ON 1-Jan-2020",
		"A= * SEARCH 1",
		"A= c OK ~",
		"A: d SEARCH SINCE 2-Jan-2020",
		"A= * SEARCH",
		"A= d OK ~",
		NULL};
	dialogue(rows);
}

static void previews(void **state)
{
	(void)state;
	static const char *const rows[] = {"+ INBOX (\\Seen) " LUNCH,
					   "+ INBOX (\\Seen) " REPLY,
					   "+ INBOX (\\Seen) Content-Type: image/png\r\n\r\nx",
					   SELECT_SEEN("A", 3, 3),
					   "A: a FETCH 1:3 (PREVIEW)",
					   "A= * 1 FETCH (PREVIEW \"Today?\")",
					   "A= * 2 FETCH (PREVIEW \"Yes.\")",
					   "A= * 3 FETCH (PREVIEW \"\")",
					   "A= a OK ~",
					   "A: b FETCH 2 PREVIEW (LAZY)",
					   "A= * 2 FETCH (PREVIEW \"Yes.\")",
					   "A= b OK ~",
					   NULL};
	dialogue(rows);
}

/* A map of before there were previews: its last byte, and version 1. */
static void old_maps(void **state)
{
	(void)state;
	static const char *const rows[] = {SELECT_UNSEEN("A", 1, 1, 1),
					   "A: a FETCH 1 PREVIEW (LAZY)",
					   "A= * 1 FETCH (PREVIEW NIL)",
					   "A= a OK ~",
					   "A: b FETCH 1 PREVIEW",
					   "A= * 1 FETCH (PREVIEW \"Today?\")",
					   "A= b OK ~",
					   NULL};
	struct world w;
	struct fail why = FAIL_INIT;
	AUTO(buf) struct buf map = BUF_INIT(MIB(1));
	struct store_append_message m = {.content = {.bytes = STR(LUNCH)}};
	struct store_append a = {.mailbox = STR("INBOX"), .messages = &m, .n = 1};
	struct store_append_result result;
	world_open(&w, 0);
	assert_ok(world_scan(NULL, &m.content, &map, &why), &why);
	buf_cut(&map, map.n - strlen("Today?") - 1);
	map.p[1] = 1;
	m.content.map = buf_str(&map);
	a.account = w.account;
	assert_ok(store_append(w.store, &a, &result, &why), &why);
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	world_close(&w);
}

static void quotas(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX 12345",
		"A: a GETQUOTA \"\"",
		"A= * QUOTA \"\" (STORAGE 1 2 MESSAGE 1 2 MAILBOX 6 10000)",
		"A= a OK ~",
		"A: b GETQUOTAROOT Nowhere",
		"A= * QUOTAROOT Nowhere \"\"",
		"A= * QUOTA \"\" (STORAGE 1 2 MESSAGE 1 2 MAILBOX 6 10000)",
		"A= b OK ~",
		"A: c GETQUOTA other",
		"A= c NO [NONEXISTENT] ~",
		"A: d SETQUOTA \"\" (STORAGE 100000)",
		"A= * QUOTA \"\" (STORAGE 1 2 MESSAGE 1 2 MAILBOX 6 10000)",
		"A= d NO [NOPERM] Only an administrator changes limits.",
		"A: e APPEND INBOX (\\Deleted) {3+}\r\nabc",
		"A= e OK ~",
		"A: f APPEND INBOX {1+}\r\nx",
		"A= f NO [OVERQUOTA] ~",
		"A: g STATUS INBOX (DELETED DELETED-STORAGE)",
		"A= * STATUS INBOX (DELETED 1 DELETED-STORAGE 3)",
		"A= g OK ~",
		NULL};
	struct world w;
	world_open(&w, 0);
	w.quota = (struct store_quota){.bytes = 2048, .messages = 2};
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(object_ids), cmocka_unit_test(save_dates),
		cmocka_unit_test(zones),      cmocka_unit_test(previews),
		cmocka_unit_test(old_maps),   cmocka_unit_test(quotas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
