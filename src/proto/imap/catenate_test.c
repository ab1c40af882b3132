/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catenate_test.c - APPEND ... CATENATE (RFC 4469) and REPLACE (RFC 8508), as dialogues, in all the
 * modes of dialogue.h: large literals in files, exports between commands, small windows.
 */
#include "proto/imap/dialogue.h"

#define MAIL	  "From: a@b\r\nSubject: one\r\n\r\nbody"
#define MAIL_SIZE "31"

/* Every test: a second mode in which literals above 8 bytes lie in files. */
static void both(const char *const *rows)
{
	dialogue(rows);
	dialogue_in_mode(rows, MODE_EXTERNAL);
}

static void parts_stand_behind_one_another(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " MAIL,
		"+ Drafts " MAIL,
		"A: a APPEND Drafts (\\Draft) \"17-Jul-1996 02:44:25 -0700\" CATENATE (URL "
		"\"/INBOX/;UID=1/;SECTION=HEADER\" TEXT {5+}\r\nhello URL "
		"/Drafts/;UID=1/;SECTION=TEXT TEXT {10+}\r\n, goodbye\n)",
		"A= a OK [APPENDUID ~ 2] ~",
		SELECT_UNSEEN("A", 1, 1, 1),
		/* relative to the mailbox that is selected; nothing becomes \Seen by it */
		"A: b APPEND INBOX CATENATE (URL ;UID=1/;PARTIAL=0.11 URL ;uid=1/;partial=9)",
		"A= * 2 EXISTS",
		"A= * 2 RECENT",
		"A= b OK [APPENDUID ~ 2] ~",
		"A: c FETCH 1:2 (FLAGS BODY.PEEK[])",
		"A= * 1 FETCH (FLAGS (\\Recent) BODY[] {" MAIL_SIZE "}",
		"A= From: a@b",
		"A= Subject: one",
		"A= ",
		"A= body)",
		"A= * 2 FETCH (FLAGS (\\Recent) BODY[] {33}",
		"A= From: a@b",
		"A= ",
		"A= Subject: one",
		"A= ",
		"A= body)",
		"A= c OK ~",
		NULL,
	};
	static const char *const drafts[] = {
		"+ INBOX " MAIL,
		"+ Drafts " MAIL,
		"A: a APPEND Drafts (\\Draft) \"17-Jul-1996 02:44:25 -0700\" CATENATE (URL "
		"\"/INBOX/;UID=1/;SECTION=HEADER\" TEXT {5+}\r\nhello URL "
		"/Drafts/;UID=1/;SECTION=TEXT TEXT {10+}\r\n, goodbye\n)",
		"A= a OK [APPENDUID ~ 2] ~",
		"A: s EXAMINE Drafts",
		OPENED("A"),
		"A= * 2 EXISTS",
		"A= * 2 RECENT",
		"A= * OK [UNSEEN 1] ~",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT 3] ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= s OK [READ-ONLY] ~",
		"A: c FETCH 2 (FLAGS INTERNALDATE BODY[TEXT] ENVELOPE)",
		"A= * 2 FETCH (FLAGS (\\Draft \\Recent) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\""
		" BODY[TEXT] {19}",
		"A= hellobody, goodbye\n ENVELOPE (NIL \"one\" ((NIL NIL \"a\" \"b\"))~",
		"A= c OK ~",
		NULL,
	};
	both(rows);
	both(drafts);
}

static void wrong_urls_are_told(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " MAIL,
		/* nothing is selected */
		"A: a APPEND INBOX CATENATE (URL ;UID=1)",
		"A= a NO [BADURL ;UID=1] ~",
		"A: b APPEND INBOX CATENATE (URL /INBOX/;UID=9 URL /none/;UID=1)",
		"A= b NO [BADURL /INBOX/;UID=9] ~",
		"A: c APPEND INBOX CATENATE (TEXT {1+}\r\nx URL /none/;UID=1)",
		"A= c NO [BADURL /none/;UID=1] ~",
		"A: d APPEND INBOX CATENATE (URL \"/INBOX/;UID=1/;SECTION=7\")",
		"A= d NO [BADURL /INBOX/;UID=1/;SECTION=7] ~",
		"A: e APPEND INBOX CATENATE (URL \"/INBOX;UIDVALIDITY=1/;UID=1\")",
		"A= e NO [BADURL ~",
		"A: f APPEND INBOX CATENATE (URL \"imap://a@b/INBOX/;UID=1 ]x\")",
		"A= f NO [BADURL imap://a@b/INBOX/;UID=1%20%5Dx] ~",
		"A: g APPEND INBOX CATENATE (TEXT {0+}\r\n)",
		"A= g NO [CANNOT] ~",
		"A: h APPEND none CATENATE (URL /INBOX/;UID=1)",
		"A= h NO [TRYCREATE] ~",
		/* with MULTIAPPEND: all or none */
		"A: i APPEND INBOX CATENATE (URL /INBOX/;UID=1) {1+}\r\nx CATENATE (URL "
		"/INBOX/;UID=2)",
		"A= i NO [BADURL /INBOX/;UID=2] ~",
		"A: j APPEND INBOX CATENATE (URL /INBOX/;UID=1) (\\Seen) {1+}\r\nx CATENATE (URL "
		"/INBOX/;UID=1/;PARTIAL=0.2)",
		"A= j OK [APPENDUID ~ 2:4] ~",
		"A: k STATUS INBOX (MESSAGES UNSEEN SIZE)",
		"A= * STATUS INBOX (MESSAGES 4 UNSEEN 3 SIZE 65)",
		"A= k OK ~",
		NULL,
	};
	both(rows);
}

static void too_much_is_refused(void **state)
{
	struct world w;
	(void)state;
	world_open(&w, 0);
	world_row(&w, "+ INBOX " MAIL);
	w.config.append_max = 40;
	for (size_t i = 0; i < PLAYERS; i++)
		imap_session_configure(w.player[i].session, &w.config);
	world_row(&w, "A: a APPEND INBOX CATENATE (URL /INBOX/;UID=1 TEXT {10+}\r\n1234567890)");
	world_row(&w, "A= a NO [TOOBIG] ~");
	world_row(&w, "A: b APPEND INBOX CATENATE (TEXT {10+}\r\n1234567890 URL /INBOX/;UID=1)");
	world_row(&w, "A= b NO [TOOBIG] ~");
	world_row(&w, "A: c APPEND INBOX CATENATE (TEXT {8+}\r\n12345678 URL /INBOX/;UID=1)");
	world_row(&w, "A= c OK [APPENDUID ~ 2] ~");
	expect_silence(&w);
	world_close(&w);
}

static void a_draft_takes_the_place_of_another(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " MAIL,
		"+ INBOX (\\Seen) " MAIL,
		"A: z REPLACE 1 INBOX {1+}\r\nx",
		"A= z BAD ~",
		SELECT_SEEN("A", 2, 2),
		SELECT_SEEN("B", 2, 0),
		"A: a REPLACE 1 inbox (\\Draft) {6+}\r\nsecond",
		"A= * OK [APPENDUID ~ 3] ~",
		"A= * 1 EXPUNGE",
		"A= * 2 EXISTS",
		"A= * 2 RECENT",
		"A= a OK REPLACE completed.",
		"A: b FETCH 1:2 (UID FLAGS)",
		"A= * 1 FETCH (UID 2 FLAGS (\\Seen \\Recent))",
		"A= * 2 FETCH (UID 3 FLAGS (\\Draft \\Recent))",
		"A= b OK ~",
		"B: c NOOP",
		"B= * 1 EXPUNGE",
		"B= * 2 EXISTS",
		"B= c OK ~",
		NULL,
	};
	static const char *const others[] = {
		"+ INBOX (\\Seen) " MAIL,
		SELECT_SEEN("A", 1, 1),
		/* with CATENATE, out of the message that goes, into another mailbox */
		"A: a UID REPLACE 1 Sent CATENATE (TEXT {3+}\r\nX:  URL ;UID=1)",
		"A= * OK [APPENDUID ~ 1] ~",
		"A= * 1 EXPUNGE",
		"A= * 0 RECENT",
		"A= a OK UID REPLACE completed.",
		"A: b UID REPLACE 1 Sent {1+}\r\nx",
		"A= b NO ~",
		"A: c REPLACE 1 Sent {1+}\r\nx",
		"A= c BAD ~",
		"A: d STATUS Sent (MESSAGES SIZE)",
		"A= * STATUS Sent (MESSAGES 1 SIZE 34)",
		"A= d OK ~",
		NULL,
	};
	both(rows);
	both(others);
}

/* Whatever is refused changes nothing. */
static void nothing_is_lost(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " MAIL,
		SELECT_SEEN("A", 1, 1),
		"A: a REPLACE 1 none {1+}\r\nx",
		"A= a NO [TRYCREATE] ~",
		"A: b REPLACE 1 Sent CATENATE (URL ;UID=2)",
		"A= b NO [BADURL ;UID=2] ~",
		"A: c REPLACE 1 Sent {0+}\r\n",
		"A= c NO [CANNOT] ~",
		"A: d EXAMINE INBOX",
		"A= * OK [CLOSED] ~",
		OPENED("A"),
		"A= * 1 EXISTS",
		"A= * 0 RECENT",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT 2] ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= d OK [READ-ONLY] ~",
		"A: e REPLACE 1 Sent {1+}\r\nx",
		"A= e NO [READ-ONLY] ~",
		"A: f STATUS Sent (MESSAGES)",
		"A= * STATUS Sent (MESSAGES 0)",
		"A= f OK ~",
		NULL,
	};
	both(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_stand_behind_one_another),
		cmocka_unit_test(wrong_urls_are_told),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(a_draft_takes_the_place_of_another),
		cmocka_unit_test(nothing_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
