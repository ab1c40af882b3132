/* SPDX-License-Identifier: Apache-2.0 */
/* STORE, COPY, MOVE, EXPUNGE, APPEND, CONDSTORE, and two sessions on one mailbox. */
#include "proto/imap/dialogue.h"

#define THREE "+ INBOX (\\Seen) " PLAIN, "+ INBOX (\\Seen) " PLAIN, "+ INBOX (\\Seen) " PLAIN

static void store_flags(void **state)
{
	(void)state;
	static const char *const rows[] = {
		THREE,
		SELECT_SEEN("A", 3, 3),
		"A: a STORE 1,3 FLAGS (\\Flagged)",
		"A= * 1 FETCH (FLAGS (\\Flagged \\Recent))",
		"A= * 3 FETCH (FLAGS (\\Flagged \\Recent))",
		"A= a OK STORE completed.",
		"A: b STORE 1 +FLAGS.SILENT (\\Answered)",
		"A= b OK STORE completed.",
		"A: c UID STORE 1 -FLAGS (\\Flagged)",
		"A= * 1 FETCH (UID 1 FLAGS (\\Answered \\Recent))",
		"A= c OK UID STORE completed.",
		/* A new keyword is announced before it is used. */
		"A: d STORE 2 +FLAGS ($Forwarded)",
		"A= * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)",
		"A= * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded "
		"\\*)] ~",
		"A= * 2 FETCH (FLAGS (\\Seen \\Recent $Forwarded))",
		"A= d OK STORE completed.",
		"A: e STORE 2 +FLAGS ($FORWARDED)",
		"A= * 2 FETCH (FLAGS (\\Seen \\Recent $Forwarded))",
		"A= e OK STORE completed.",
		"A: f STORE 4 +FLAGS (\\Seen)",
		"A= f BAD ~",
		"A: g UID STORE 4:9 +FLAGS (\\Seen)",
		"A= g OK UID STORE completed.",
		"A: h STORE 1 +FLAGS (\\Nonsense)",
		"A= h BAD ~",
		"A: i SEARCH KEYWORD $forwarded",
		"A= * SEARCH 2",
		"A= i OK SEARCH completed.",
		NULL,
	};
	dialogue(rows);
}

static void copy_and_move(void **state)
{
	(void)state;
	static const char *const rows[] = {
		THREE,
		SELECT_SEEN("A", 3, 3),
		"A: a COPY 1:2 Nowhere",
		"A= a NO [TRYCREATE] ~",
		"A: b COPY 1,3 Archive",
		"A= b OK [COPYUID ~ 1,3 1:2] Copy completed.",
		"A: c UID COPY 9 Archive",
		"A= c OK No matching messages.",
		"A: d UID COPY 2:* INBOX",
		"A= * 5 EXISTS",
		"A= * 5 RECENT",
		"A= d OK [COPYUID ~ 2:3 4:5] Copy completed.",
		"A: e MOVE 1:2 Nowhere",
		"A= e NO [TRYCREATE] ~",
		"A: f MOVE 1:2 Trash",
		"A= * OK [COPYUID ~ 1:2 1:2] ~",
		"A= * 2 EXPUNGE",
		"A= * 1 EXPUNGE",
		"A= * 3 RECENT",
		"A= f OK MOVE completed.",
		"A: g UID MOVE 5 Trash",
		"A= * OK [COPYUID ~ 5 3] ~",
		"A= * 3 EXPUNGE",
		"A= * 2 RECENT",
		"A= g OK UID MOVE completed.",
		"A: h STATUS Trash (MESSAGES UIDNEXT)",
		"A= * STATUS Trash (MESSAGES 3 UIDNEXT 4)",
		"A= h OK STATUS completed.",
		"A: i UID FETCH 1:* FLAGS",
		"A= * 1 FETCH (UID 3 FLAGS (\\Seen \\Recent))",
		"A= * 2 FETCH (UID 4 FLAGS (\\Seen \\Recent))",
		"A= i OK UID FETCH completed.",
		NULL,
	};
	dialogue(rows);
}

static void expunge(void **state)
{
	(void)state;
	static const char *const rows[] = {
		THREE,
		THREE,
		SELECT_SEEN("A", 6, 6),
		"A: a STORE 2,4,5 +FLAGS.SILENT (\\Deleted)",
		"A= a OK STORE completed.",
		"A: b UID EXPUNGE 1:2",
		"A= * 2 EXPUNGE",
		"A= * 5 RECENT",
		"A= b OK UID EXPUNGE completed.",
		"A: c EXPUNGE",
		"A= * 4 EXPUNGE",
		"A= * 3 EXPUNGE",
		"A= * 3 RECENT",
		"A= c OK EXPUNGE completed.",
		"A: d UID SEARCH ALL",
		"A= * SEARCH 1 3 6",
		"A= d OK UID SEARCH completed.",
		"A: e EXPUNGE",
		"A= e OK EXPUNGE completed.",
		NULL,
	};
	dialogue(rows);
}

/* RFC 3501 7.4.1: no EXPUNGE in FETCH, STORE, SEARCH; all else at once. */
static void news_between_sessions(void **state)
{
	(void)state;
	static const char *const rows[] = {
		THREE,
		SELECT_SEEN("A", 3, 3),
		SELECT_SEEN("B", 3, 0),
		"B: a STORE 2 +FLAGS (\\Deleted)",
		"B= * 2 FETCH (FLAGS (\\Deleted \\Seen))",
		"B= a OK STORE completed.",
		"B: b EXPUNGE",
		"B= * 2 EXPUNGE",
		"B= b OK EXPUNGE completed.",
		"B: c APPEND INBOX {4+}\r\nX: y",
		"B= * 3 EXISTS",
		"B= * 1 RECENT",
		"B= c OK [APPENDUID ~ 4] ~",
		/* A still counts four, and reads what is gone. */
		"A: a FETCH 2 (UID BODY.PEEK[TEXT])",
		"A= * 2 FETCH (UID 2 BODY[TEXT] {11}",
		"A= Hello Joe",
		"A= )",
		"A= * 4 EXISTS",
		"A= * 2 FETCH (FLAGS (\\Deleted \\Seen \\Recent))",
		"A= a OK FETCH completed.",
		"A: b SEARCH ALL",
		"A= * SEARCH 1 2 3 4",
		"A= b OK SEARCH completed.",
		"A: c STORE 1:3 +FLAGS (\\Flagged)",
		"A= * 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent))",
		"A= * 3 FETCH (FLAGS (\\Flagged \\Seen \\Recent))",
		"A= c NO [EXPUNGEISSUED] ~",
		"A: d COPY 2 Archive",
		"A= d NO [EXPUNGEISSUED] ~",
		/* UID commands may tell it (7.4.1, Note). */
		"A: e UID FETCH 3 (FLAGS)",
		"A= * 3 FETCH (UID 3 FLAGS (\\Flagged \\Seen \\Recent))",
		"A= * 2 EXPUNGE",
		"A= * 2 RECENT",
		"A= e OK UID FETCH completed.",
		"B: d NOOP",
		"B= * 1 FETCH (FLAGS (\\Flagged \\Seen))",
		"B= * 2 FETCH (FLAGS (\\Flagged \\Seen))",
		"B= d OK NOOP completed.",
		NULL,
	};
	dialogue(rows);
}

static void idle(void **state)
{
	(void)state;
	static const char *const rows[] = {
		THREE,
		SELECT_SEEN("A", 3, 3),
		SELECT_SEEN("B", 3, 0),
		"A: i IDLE",
		"A= + idling",
		"B: a STORE 2 +FLAGS (\\Deleted)",
		"B= * 2 FETCH (FLAGS (\\Deleted \\Seen))",
		"B= a OK STORE completed.",
		"A= * 2 FETCH (FLAGS (\\Deleted \\Seen \\Recent))",
		"B: b APPEND INBOX {4+}\r\nX: y",
		"A= * 4 EXISTS",
		"B= * 4 EXISTS",
		"B= * 1 RECENT",
		"B= b OK [APPENDUID ~ 4] ~",
		"B: c EXPUNGE",
		"A= * 2 EXPUNGE",
		"A= * 2 RECENT",
		"B= * 2 EXPUNGE",
		"B= c OK EXPUNGE completed.",
		"A: DONE",
		"A= i OK IDLE completed.",
		"A: j NOOP",
		"A= j OK NOOP completed.",
		"A: k IDLE",
		"A= + idling",
		"A: l NOOP",
		"A= k BAD ~",
		"A: m UNSELECT",
		"A= m OK ~",
		"A: n IDLE",
		"A= + idling",
		"A: done",
		"A= n OK IDLE completed.",
		NULL,
	};
	dialogue(rows);
}

/* What happens while the news of a parked session wait for the window is told in the end. */
static void idle_with_a_full_window(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, MODE_TINY);
	static const char *const before[] = {
		THREE,	     SELECT_SEEN("A", 3, 3), SELECT_SEEN("B", 3, 0),
		"A: i IDLE", "A= + idling",	     NULL};
	for (size_t i = 0; before[i]; i++)
		world_row(&w, before[i]);
	struct player *a = &w.player[0], *b = &w.player[1];
	struct imap_session_input in = {
		.cmd = {.text = STR("x STORE 1:3 +FLAGS.SILENT (\\Draft)")}};
	assert_int_equal(imap_session_command(b->session, &in, &b->out), IMAP_DONE);
	assert_int_equal(imap_session_wake(a->session, &a->out), IMAP_MORE);
	player_drain(b);
	in.cmd.text = STR("y STORE 1 +FLAGS.SILENT (\\Flagged)");
	assert_int_equal(imap_session_command(b->session, &in, &b->out), IMAP_DONE);
	assert_int_equal(imap_session_wake(a->session, &a->out), IMAP_MORE); /* changes nothing */
	player_settle(a, imap_session_resume(a->session, &a->out));
	player_drain(b);
	static const char *const after[] = {
		"A= * 1 FETCH (FLAGS (\\Seen \\Draft \\Recent))",
		"A= * 2 FETCH (FLAGS (\\Seen \\Draft \\Recent))",
		"A= * 3 FETCH (FLAGS (\\Seen \\Draft \\Recent))",
		"A= * 1 FETCH (FLAGS (\\Flagged \\Seen \\Draft \\Recent))",
		"B= x OK ~",
		"B= y OK ~",
		NULL};
	for (size_t i = 0; after[i]; i++)
		world_row(&w, after[i]);
	expect_silence(&w);
	world_close(&w);
}

/* The store's watch calls the hook of a session that sleeps, and of no other. */
static void idle_is_waked(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	static const char *const before[] = {SELECT_SEEN("A", 0, 0), "A: i IDLE", "A= + idling",
					     NULL};
	static const char *const after[] = {"A: DONE", "A= * 1 EXISTS", "A= * 1 RECENT",
					    "A= i OK ~", NULL};
	for (size_t i = 0; before[i]; i++)
		world_row(&w, before[i]);
	assert_int_equal(w.player[0].wakes, 0);
	world_append(&w, STR("INBOX"), STORE_SEEN, STR_NULL, STR(PLAIN));
	for (unsigned ms = 0; ms < 5000 && w.player[0].wakes == 0; ms++)
		usleep(1000);
	assert_true(w.player[0].wakes > 0);
	for (size_t i = 0; after[i]; i++)
		world_row(&w, after[i]);
	int wakes = w.player[0].wakes;
	world_append(&w, STR("INBOX"), STORE_SEEN, STR_NULL, STR(PLAIN));
	usleep(20000);
	assert_int_equal(w.player[0].wakes, wakes);
	world_close(&w);
}

static void append(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a APPEND Nowhere {4+}\r\nX: y",
		"A= a NO [TRYCREATE] ~",
		"A: b APPEND INBOX (\\Seen $Mine) \" 7-Feb-1994 21:52:25 -0800\" {21}\r\nSubject: "
		"s\r\n\r\nbody ab",
		"A= b OK [APPENDUID ~ 1] ~",
		"A: c APPEND INBOX {10}\r\nX: y\r\n\r\nab {11}\r\nX: y\r\n\r\nabc",
		"A= c OK [APPENDUID ~ 2:3] ~",
		SELECT_UNSEEN("A", 3, 3, 2),
		"A: d FETCH 1 (FLAGS INTERNALDATE BODY[])",
		"A= * 1 FETCH (FLAGS (\\Seen \\Recent $Mine) INTERNALDATE \" 7-Feb-1994 21:52:25 "
		"-0800\" "
		"BODY[] {21}",
		"A= Subject: s",
		"A= ",
		"A= body ab)",
		"A= d OK FETCH completed.",
		"A: e APPEND INBOX {10+}\r\nX: y\r\n\r\nab",
		"A= * 4 EXISTS",
		"A= * 4 RECENT",
		"A= e OK [APPENDUID ~ 4] ~",
		"A: f FETCH 3:4 (BODY.PEEK[TEXT])",
		"A= * 3 FETCH (BODY[TEXT] {3}",
		"A= abc)",
		"A= * 4 FETCH (BODY[TEXT] {2}",
		"A= ab)",
		"A= f OK FETCH completed.",
		NULL,
	};
	dialogue(rows);
	dialogue_in_mode(rows, MODE_EXTERNAL);
	dialogue_in_mode(rows, MODE_EXTERNAL | MODE_EXPORT | MODE_TINY);
}

static void append_is_refused(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode <= MODE_EXTERNAL; mode += MODE_EXTERNAL) {
		struct world w;
		world_open(&w, mode);
		world_close(&w);
		world_open(&w, mode);
		w.player[0].session->config.append_max = 20;
		world_row(&w, "A: a APPEND INBOX {21+}\r\nSubject: sss\r\n\r\nbody ");
		world_row(&w, "A= a NO [TOOBIG] ~");
		w.player[0].session->config.append_max = MIB(1);
		w.quota.bytes = 30;
		world_row(&w, "A: b APPEND INBOX {43+}\r\nSubject: sss\r\n\r\nbody "
			      "4567890123456789012345");
		world_row(&w, "A= b NO [OVERQUOTA] ~");
		w.quota.bytes = 0;
		world_send(&w, &w.player[0], STR("c APPEND INBOX {12+}\r\nX: y\r\n\r\n\0abc\r\n"));
		world_row(&w, "A= c NO [CANNOT] ~");
		world_row(&w, "A: d APPEND INBOX {12+}\r\nX: y\r\n\r\nabcd");
		world_row(&w, "A= d OK [APPENDUID ~ 1] ~");
		world_close(&w);
	}
}

static void condstore(void **state)
{
	(void)state;
	static const char *const rows[] = {
		THREE,
		SELECT_SEEN("A", 3, 3),
		SELECT_SEEN("B", 3, 0),
		/* The first CONDSTORE enabling command tells HIGHESTMODSEQ. */
		"A: a STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)",
		"A= * OK [HIGHESTMODSEQ ~] ~",
		"A= a OK [MODIFIED 1] ~",
		"A: b UID STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)",
		"A= b OK [MODIFIED 1] ~",
		"A: c STORE 2 (UNCHANGEDSINCE 1000000000) +FLAGS.SILENT (\\Flagged)",
		"A= * 2 FETCH (UID 2 MODSEQ (~))",
		"A= c OK STORE completed.",
		"A: d STORE 3 +FLAGS (\\Flagged)",
		"A= * 3 FETCH (UID 3 FLAGS (\\Flagged \\Seen \\Recent) MODSEQ (~))",
		"A= d OK STORE completed.",
		"B: a NOOP",
		"B= * 2 FETCH (FLAGS (\\Flagged \\Seen))",
		"B= * 3 FETCH (FLAGS (\\Flagged \\Seen))",
		"B= a OK NOOP completed.",
		"B: b SEARCH MODSEQ 1",
		"B= * OK [HIGHESTMODSEQ ~] ~",
		"B= * SEARCH 1 2 3 (MODSEQ ~)",
		"B= b OK SEARCH completed.",
		"B: c SEARCH MODSEQ 1000000000",
		"B= * SEARCH",
		"B= c OK SEARCH completed.",
		"B: d FETCH 1:* (FLAGS) (CHANGEDSINCE 1000000000)",
		"B= d OK FETCH completed.",
		"B: e UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
		"B= * 1 FETCH (UID 1 MODSEQ (~) FLAGS (\\Seen))",
		"B= * 2 FETCH (UID 2 MODSEQ (~) FLAGS (\\Flagged \\Seen))",
		"B= * 3 FETCH (UID 3 MODSEQ (~) FLAGS (\\Flagged \\Seen))",
		"B= e OK UID FETCH completed.",
		"B: f STORE 1 -FLAGS (\\Seen)",
		"B= * 1 FETCH (UID 1 FLAGS () MODSEQ (~))",
		"B= f OK STORE completed.",
		"A: e NOOP",
		"A= * 1 FETCH (UID 1 FLAGS (\\Recent) MODSEQ (~))",
		"A= e OK NOOP completed.",
		"B: g STATUS INBOX (HIGHESTMODSEQ)",
		"B= * STATUS INBOX (HIGHESTMODSEQ ~)",
		"B= g OK STATUS completed.",
		"B: h UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
		"B= h BAD ~",
		NULL,
	};
	dialogue(rows);
}

/* CHANGEDSINCE chooses before \Seen gives new MODSEQs. */
static void changedsince_and_seen(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	static const char *const before[] = {"+ INBOX " PLAIN, "+ INBOX " PLAIN,
					     SELECT_UNSEEN("A", 2, 2, 1), NULL};
	for (size_t i = 0; before[i]; i++)
		world_row(&w, before[i]);
	unsigned long long first =
		store_view_get_info(w.player[0].session->view)->highestmodseq.v - 1;
	char command[100];
	snprintf(command, sizeof command, "A: a FETCH 1:* (BODY[TEXT]<0.1>) (CHANGEDSINCE %llu)",
		 first);
	world_row(&w, command);
	world_row(&w, "A= * OK [HIGHESTMODSEQ ~");
	world_row(&w, "A= * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent) MODSEQ (~) BODY[TEXT]<0> {1}");
	world_row(&w, "A= H)");
	world_row(&w, "A= a OK FETCH completed.");
	world_row(&w, "A: b SEARCH UNSEEN");
	world_row(&w, "A= * SEARCH 1");
	world_row(&w, "A= b OK ~");
	world_close(&w);
}

static void broken_exports_are_refused(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	static const char *const rows[] = {THREE, SELECT_SEEN("A", 3, 3), "A: i IDLE",
					   "A= + idling", NULL};
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(1));
	struct fail why = FAIL_INIT;
	struct imap_session *again = NULL;
	struct imap_session_args args = world_args(&w);
	assert_ok(imap_session_export(w.player[0].session, &bytes, &why), &why);
	for (size_t n = 0; n < bytes.n; n++) {
		struct str cut = str_sub(buf_str(&bytes), 0, n);
		assert_int_equal(imap_session_import(&args, cut, &again, &why), -FAIL_CONFLICT);
	}
	args.account.v++;
	assert_int_equal(imap_session_import(&args, buf_str(&bytes), &again, &why), -FAIL_CONFLICT);
	args.account.v--;
	bytes.p[0]++;
	assert_int_equal(imap_session_import(&args, buf_str(&bytes), &again, &why), -FAIL_CONFLICT);
	world_close(&w);
}

/* A worker of the build before had the session: its export had no "$". */
static void an_older_export_is_read(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	static const char *const rows[] = {THREE, SELECT_SEEN("A", 3, 3), NULL};
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	AUTO(buf) struct buf old = BUF_INIT(MIB(1)), now = BUF_INIT(MIB(1));
	AUTO(imap_session) struct imap_session *again = NULL;
	struct fail why = FAIL_INIT;
	struct imap_session_args args = world_args(&w);
	assert_ok(imap_session_export(w.player[0].session, &now, &why), &why);
	buf_add(&old, buf_str(&now));
	buf_cut(&old, old.n - 4);
	old.p[0] = 1;
	assert_ok(imap_session_import(&args, buf_str(&old), &again, &why), &why);
	buf_reset(&old);
	assert_ok(imap_session_export(again, &old, &why), &why);
	assert_true(str_eq(buf_str(&old), buf_str(&now)));
	imap_session_free(TAKE(again));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(store_flags),
		cmocka_unit_test(copy_and_move),
		cmocka_unit_test(expunge),
		cmocka_unit_test(news_between_sessions),
		cmocka_unit_test(idle),
		cmocka_unit_test(idle_with_a_full_window),
		cmocka_unit_test(idle_is_waked),
		cmocka_unit_test(append),
		cmocka_unit_test(append_is_refused),
		cmocka_unit_test(condstore),
		cmocka_unit_test(changedsince_and_seen),
		cmocka_unit_test(broken_exports_are_refused),
		cmocka_unit_test(an_older_export_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
