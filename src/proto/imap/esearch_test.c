/* SPDX-License-Identifier: Apache-2.0 */
/* SEARCH RETURN, "$", OLDER and YOUNGER: with small windows and with every session moved after each
 * command, too. */
#include "proto/imap/dialogue.h"

#define FIVE                                                                                       \
	"+ INBOX (\\Seen) " PLAIN, "+ INBOX " PLAIN, "+ INBOX (\\Seen) " PLAIN,                    \
		"+ INBOX (\\Seen) Subject: x\r\n\r\nfourth\r\n", "+ INBOX " PLAIN

static void returns(void **state)
{
	(void)state;
	static const char *const rows[] = {
		FIVE,
		SELECT_UNSEEN("A", 5, 5, 2),
		"A: a1 SEARCH RETURN (MIN COUNT) SEEN",
		"A= * ESEARCH (TAG \"a1\") MIN 1 COUNT 3",
		"A= a1 OK ~",
		"A: a2 UID SEARCH RETURN () SEEN",
		"A= * ESEARCH (TAG \"a2\") UID ALL 1,3:4",
		"A= a2 OK ~",
		"A: a3 SEARCH RETURN (MIN MAX ALL COUNT) FLAGGED",
		"A= * ESEARCH (TAG \"a3\") COUNT 0",
		"A= a3 OK ~",
		"A: a4 UID SEARCH RETURN (MAX) TEXT joe",
		"A= * ESEARCH (TAG \"a4\") UID MAX 5",
		"A= a4 OK ~",
		"A: a5 SEARCH RETURN (MIN) TEXT fourth",
		"A= * ESEARCH (TAG \"a5\") MIN 4",
		"A= a5 OK ~",
		"A: a6 SEARCH RETURN (MIN) TEXT joe",
		"A= * ESEARCH (TAG \"a6\") MIN 1",
		"A= a6 OK ~",
		"A: a7 SEARCH RETURN (MIN) OR 3 TEXT joe",
		"A= * ESEARCH (TAG \"a7\") MIN 1",
		"A= a7 OK ~",
		"A: a8 SEARCH RETURN (ALL) OR 3 TEXT joe",
		"A= * ESEARCH (TAG \"a8\") ALL 1:3,5",
		"A= a8 OK ~",
		"A: a9 SEARCH RETURN (NONSENSE) 1",
		"A= a9 BAD ~",
		"A: b1 SEARCH RETURN (MIN COUNT) MODSEQ 1",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * ESEARCH (TAG \"b1\") MIN 1 COUNT 5 MODSEQ ~",
		"A= b1 OK ~",
		"A: b2 SEARCH OLDER 3600 NOT YOUNGER 3600",
		"A= * SEARCH 1 2 3 4 5",
		"A= b2 OK ~",
		"A: b3 SEARCH OR YOUNGER 4294967295 NOT 2:5",
		"A= * SEARCH 1 2 3 4 5",
		"A= b3 OK ~",
		NULL,
	};
	dialogue(rows);
}

static void a_result_is_saved(void **state)
{
	(void)state;
	static const char *const rows[] = {
		FIVE,
		SELECT_UNSEEN("A", 5, 5, 2),
		"A: a0 FETCH $ UID", /* nothing yet, and no error */
		"A= a0 OK ~",
		"A: a1 SEARCH RETURN (SAVE) SEEN",
		"A= a1 OK ~",
		"A: a2 UID SEARCH $ NOT 1",
		"A= * SEARCH 3 4",
		"A= a2 OK ~",
		"A: a3 SEARCH RETURN (ALL) OR UID $ 2",
		"A= * ESEARCH (TAG \"a3\") ALL 1:4",
		"A= a3 OK ~",
		"A: a4 FETCH $ UID",
		"A= * 1 FETCH (UID 1)",
		"A= * 3 FETCH (UID 3)",
		"A= * 4 FETCH (UID 4)",
		"A= a4 OK ~",
		/* what is expunged leaves the set, numbers follow */
		"A: a5 STORE 1,3 +FLAGS.SILENT (\\Deleted)",
		"A= a5 OK ~",
		"A: a6 UID EXPUNGE 1",
		"A= * 1 EXPUNGE",
		"A= * 4 RECENT",
		"A= a6 OK ~",
		"A: a7 UID FETCH $ FLAGS",
		"A= * 2 FETCH (UID 3 FLAGS (\\Deleted \\Seen \\Recent))",
		"A= * 3 FETCH (UID 4 FLAGS (\\Seen \\Recent))",
		"A= a7 OK ~",
		"A: a8 UID EXPUNGE $",
		"A= * 2 EXPUNGE",
		"A= * 3 RECENT",
		"A= a8 OK ~",
		"A: a9 COPY $ Archive",
		"A= a9 OK [COPYUID ~ 4 1] ~",
		/* ends only, table 4 */
		"A: b1 SEARCH RETURN (SAVE MIN) ALL",
		"A= * ESEARCH (TAG \"b1\") MIN 1",
		"A= b1 OK ~",
		"A: b2 UID SEARCH $",
		"A= * SEARCH 2",
		"A= b2 OK ~",
		"A: b3 SEARCH RETURN (MAX SAVE MIN) ALL",
		"A= * ESEARCH (TAG \"b3\") MIN 1 MAX 3",
		"A= b3 OK ~",
		"A: b4 SEARCH $",
		"A= * SEARCH 1 3",
		"A= b4 OK ~",
		"A: b5 SEARCH RETURN (MAX SAVE COUNT) ALL",
		"A= * ESEARCH (TAG \"b5\") MAX 3 COUNT 3",
		"A= b5 OK ~",
		"A: b6 SEARCH $",
		"A= * SEARCH 1 2 3",
		"A= b6 OK ~",
		NULL,
	};
	dialogue(rows);
}

static void what_changes_it(void **state)
{
	(void)state;
	static const char *const rows[] = {
		FIVE,
		SELECT_UNSEEN("A", 5, 5, 2),
		"A: b5 SEARCH RETURN (SAVE) 1:3",
		"A= b5 OK ~",
		/* no SAVE changes nothing, nor does a BAD */
		"A: c1 SEARCH RETURN (ALL) 1",
		"A= * ESEARCH (TAG \"c1\") ALL 1",
		"A= c1 OK ~",
		"A: c2 SEARCH RETURN (SAVE) NONSENSE",
		"A= c2 BAD ~",
		"A: c3 SEARCH CHARSET KOI8-R 1",
		"A= c3 NO [BADCHARSET ~",
		"A: c4 SEARCH $",
		"A= * SEARCH 1 2 3",
		"A= c4 OK ~",
		/* a NO to SAVE does */
		"A: d1 SEARCH RETURN (SAVE) CHARSET KOI8-R 1",
		"A= d1 NO [BADCHARSET ~",
		"A: d2 SEARCH $",
		"A= * SEARCH",
		"A= d2 OK ~",
		"A: d3 STORE $ +FLAGS (\\Deleted)",
		"A= d3 OK ~",
		"A: d4 MOVE $ Archive",
		"A= d4 OK ~",
		/* messages of later are not in it, and SELECT forgets it */
		"A: e1 SEARCH RETURN (SAVE) ALL",
		"A= e1 OK ~",
		"+ INBOX " PLAIN,
		"A: e2 NOOP",
		"A= * 6 EXISTS",
		"A= * 6 RECENT",
		"A= e2 OK ~",
		"A: e3 SEARCH RETURN (COUNT) $",
		"A= * ESEARCH (TAG \"e3\") COUNT 5",
		"A= e3 OK ~",
		"A: e4 EXAMINE INBOX",
		"A= * OK [CLOSED] ~",
		OPENED("A"),
		"A= * 6 EXISTS",
		"A= * 0 RECENT",
		"A= * OK [UNSEEN 2] ~",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= e4 OK [READ-ONLY] ~",
		"A: e5 SEARCH $",
		"A= * SEARCH",
		"A= e5 OK ~",
		NULL,
	};
	dialogue(rows);
}

/* Others' expunges stay in "$" until they are told. */
static void others_expunge(void **state)
{
	(void)state;
	static const char *const rows[] = {
		FIVE,
		SELECT_UNSEEN("A", 5, 5, 2),
		SELECT_UNSEEN("B", 5, 0, 2),
		"A: a1 SEARCH RETURN (SAVE COUNT) 2:4",
		"A= * ESEARCH (TAG \"a1\") COUNT 3",
		"A= a1 OK ~",
		"B: b1 STORE 3 +FLAGS.SILENT (\\Deleted)",
		"B= b1 OK ~",
		"B: b2 EXPUNGE",
		"B= * 3 EXPUNGE",
		"B= b2 OK ~",
		"A: a2 SEARCH RETURN (ALL) $", /* SEARCH may not tell it */
		"A= * ESEARCH (TAG \"a2\") ALL 2:4",
		"A= * 3 FETCH (FLAGS (\\Deleted \\Seen \\Recent))",
		"A= a2 OK ~",
		"A: a3 NOOP",
		"A= * 3 EXPUNGE",
		"A= * 4 RECENT",
		"A= a3 OK ~",
		"A: a4 UID SEARCH RETURN (ALL) $",
		"A= * ESEARCH (TAG \"a4\") UID ALL 2,4",
		"A= a4 OK ~",
		NULL,
	};
	dialogue(rows);
}

static void too_much_to_save(void **state)
{
	(void)state;
	struct world w;
	static const char *const rows[] = {FIVE, SELECT_UNSEEN("A", 5, 5, 2), NULL};
	static const char *const again[] = {
		"A: a1 SEARCH RETURN (SAVE) 2:3",
		"A= a1 OK ~",
		"A: a2 SEARCH RETURN (SAVE COUNT) OR 1 OR 3 5",
		"A= * ESEARCH (TAG \"a2\") COUNT 3",
		"A= a2 NO [NOTSAVED] ~",
		"A: a3 SEARCH $",
		"A= * SEARCH",
		"A= a3 OK ~",
		NULL,
	};
	world_open(&w, 0);
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	w.player[0].session->saved.max = 4; /* two ranges */
	for (size_t i = 0; again[i]; i++)
		world_row(&w, again[i]);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns),	    cmocka_unit_test(a_result_is_saved),
		cmocka_unit_test(what_changes_it),  cmocka_unit_test(others_expunge),
		cmocka_unit_test(too_much_to_save),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
