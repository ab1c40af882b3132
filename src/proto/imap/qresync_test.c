/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/imap/dialogue.h"

#define ENABLED(p) p ": q ENABLE QRESYNC", p "= * ENABLED QRESYNC", p "= q OK ~"

static void enabling(void **state)
{
	(void)state;
	static const char *const rows[] = {"A: a SELECT INBOX (QRESYNC (1 1))",
					   "A= a BAD QRESYNC must be enabled first.",
					   "A: b ENABLE QRESYNC CONDSTORE XYZZY",
					   "A= * ENABLED QRESYNC CONDSTORE",
					   "A= b OK ~",
					   "A: c ENABLE QRESYNC",
					   "A= * ENABLED",
					   "A= c OK ~",
					   "B: d ENABLE qresync",
					   "B= * ENABLED QRESYNC",
					   "B= d OK ~",
					   "B: e ENABLE CONDSTORE",
					   "B= * ENABLED",
					   "B= e OK ~",
					   NULL};
	dialogue(rows);
}

static void refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX x", SELECT_UNSEEN("A", 1, 1, 1),
		"A: a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
		"A= a BAD VANISHED needs QRESYNC.", ENABLED("B"), "B: sel EXAMINE INBOX",
		OPENED("B"), "B= * 1 EXISTS", "B= * 0 RECENT", "B= * OK [UNSEEN 1] ~",
		"B= * OK [UIDVALIDITY ~", "B= * OK [UIDNEXT ~", "B= * OK [HIGHESTMODSEQ ~",
		"B= * OK [MAILBOXID ~", "B= sel OK [READ-ONLY] ~",
		"B: b FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)",
		"B= b BAD VANISHED goes with UID FETCH and CHANGEDSINCE.",
		"B: c UID FETCH 1 (FLAGS) (VANISHED)",
		"B= c BAD VANISHED goes with UID FETCH and CHANGEDSINCE.",
		/* A refused SELECT leaves the selected mailbox alone. */
		"A: d SELECT Trash (QRESYNC (1 1))", "A= d BAD QRESYNC must be enabled first.",
		"A: e FETCH 1 (UID)", "A= * 1 FETCH (UID 1)", "A= e OK ~", NULL};
	dialogue(rows);
}

/* VANISHED takes the place of EXPUNGE everywhere, and HIGHESTMODSEQ is told behind it. */
static void instead_of_expunge(void **state)
{
	(void)state;
	static const char *const rows[] = {"+ INBOX a",
					   "+ INBOX b",
					   "+ INBOX c",
					   "+ INBOX d",
					   "+ INBOX e",
					   "+ INBOX f",
					   ENABLED("A"),
					   SELECT_UNSEEN("A", 6, 6, 1),
					   "A: a STORE 2:3,5 +FLAGS.SILENT (\\Deleted)",
					   "A= * 2 FETCH (UID 2 MODSEQ (~))",
					   "A= * 3 FETCH (UID 3 MODSEQ (~))",
					   "A= * 5 FETCH (UID 5 MODSEQ (~))",
					   "A= a OK ~",
					   "A: b UID EXPUNGE 5:9",
					   "A= * VANISHED 5",
					   "A= * 5 RECENT",
					   "A= b OK [HIGHESTMODSEQ ~] UID EXPUNGE completed.",
					   "A: c EXPUNGE",
					   "A= * VANISHED 2:3",
					   "A= * 3 RECENT",
					   "A= c OK [HIGHESTMODSEQ ~] EXPUNGE completed.",
					   "A: d EXPUNGE",
					   "A= d OK EXPUNGE completed.",
					   "A: e MOVE 1 Trash",
					   "A= * OK [COPYUID ~ 1 1] Moved",
					   "A= * VANISHED 1",
					   "A= * 2 RECENT",
					   "A= e OK [HIGHESTMODSEQ ~] MOVE completed.",
					   "A: f STORE 1 +FLAGS.SILENT (\\Deleted)",
					   "A= * 1 FETCH (UID 4 MODSEQ (~))",
					   "A= f OK ~",
					   "A: g CLOSE",
					   "A= g OK CLOSE completed.",
					   NULL};
	dialogue(rows);
}

/* Expunges of others wait for a command that may tell them; meanwhile HIGHESTMODSEQ is lower. */
static void held_back(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) a",
		"+ INBOX (\\Seen) b",
		"+ INBOX (\\Seen) c",
		ENABLED("A"),
		SELECT_SEEN("A", 3, 3),
		SELECT_SEEN("B", 3, 0),
		"B: a STORE 2 +FLAGS.SILENT (\\Deleted)",
		"B= a OK ~",
		"B: b EXPUNGE",
		"B= * 2 EXPUNGE",
		"B= b OK EXPUNGE completed.",
		"A: c STORE 3 +FLAGS.SILENT (\\Flagged)",
		"A= * 3 FETCH (UID 3 MODSEQ (~))",
		"A= * 2 FETCH (UID 2 FLAGS (\\Deleted \\Seen \\Recent) MODSEQ (~))",
		"A= * OK [HIGHESTMODSEQ ~] Expunges are held back",
		"A= c OK ~",
		"A: d FETCH 1 (UID)",
		"A= * 1 FETCH (UID 1)",
		"A= * OK [HIGHESTMODSEQ ~] Expunges are held back",
		"A= d OK ~",
		"A: e UID SEARCH 1",
		"A= * SEARCH 1",
		"A= * OK [HIGHESTMODSEQ ~] Expunges are held back",
		"A= e OK ~",
		"A: f UID SEARCH UID 1",
		"A= * SEARCH 1",
		"A= * VANISHED 2",
		"A= * 2 RECENT",
		"A= f OK ~",
		"A: g FETCH 1 (UID)",
		"A= * 1 FETCH (UID 1)",
		"A= g OK ~",
		NULL};
	dialogue(rows);
}

static void in_idle(void **state)
{
	(void)state;
	static const char *const rows[] = {"+ INBOX (\\Seen) a",
					   "+ INBOX (\\Seen) b",
					   ENABLED("A"),
					   SELECT_SEEN("A", 2, 2),
					   SELECT_SEEN("B", 2, 0),
					   "A: a IDLE",
					   "A= + idling",
					   "B: b STORE 1:2 +FLAGS.SILENT (\\Deleted)",
					   "B= b OK ~",
					   "A= * 1 FETCH (UID 1 FLAGS (~) MODSEQ (~))",
					   "A= * 2 FETCH (UID 2 FLAGS (~) MODSEQ (~))",
					   "B: c EXPUNGE",
					   "B= * 2 EXPUNGE",
					   "B= * 1 EXPUNGE",
					   "B= c OK ~",
					   "A= * VANISHED 1:2",
					   "A= * 0 RECENT",
					   "A: DONE",
					   "A= a OK ~",
					   NULL};
	dialogue(rows);
}

/* ---- coming back --------------------------------------------------------------------------- */

/* Messages 1 to 8, of which 2, 3, 6, 7 vanished; 4 was flagged after the client left. */
struct past {
	uint32_t uidvalidity;
	unsigned long long modseq;
};

static uint64_t modseq_now(struct world *w)
{
	struct store_usage usage;
	struct fail why = FAIL_INIT;
	assert_ok(store_account_usage(w->store, w->account, &usage, &why), &why);
	return usage.modseq.v;
}

static struct past world_with_past(struct world *w, unsigned mode)
{
	static const char *const before[] = {"+ INBOX a",
					     "+ INBOX b",
					     "+ INBOX c",
					     "+ INBOX d",
					     "+ INBOX e",
					     "+ INBOX f",
					     "+ INBOX g",
					     "+ INBOX h",
					     SELECT_UNSEEN("B", 8, 8, 1),
					     "B: a STORE 2 +FLAGS.SILENT (\\Deleted)",
					     "B= a OK ~",
					     "B: b EXPUNGE",
					     "B= * 2 EXPUNGE",
					     "B= * 7 RECENT",
					     "B= b OK ~",
					     NULL};
	static const char *const after[] = {"B: c UID STORE 3,6:7 +FLAGS.SILENT (\\Deleted)",
					    "B= c OK ~",
					    "B: d EXPUNGE",
					    "B= * 6 EXPUNGE",
					    "B= * 5 EXPUNGE",
					    "B= * 2 EXPUNGE",
					    "B= * 4 RECENT",
					    "B= d OK ~",
					    "B: e UID STORE 4 +FLAGS.SILENT (\\Flagged)",
					    "B= e OK ~",
					    NULL};
	world_open(w, mode);
	for (size_t i = 0; before[i]; i++)
		world_row(w, before[i]);
	struct past past = {store_view_get_info(w->player[1].session->view)->uidvalidity,
			    modseq_now(w)};
	for (size_t i = 0; after[i]; i++)
		world_row(w, after[i]);
	return past;
}

/* SELECT with these arguments behind UIDVALIDITY; `news` is what comes before the tagged line. */
static void select_again(struct world *w, uint32_t uidvalidity, const char *arguments,
			 const char *const *news)
{
	static const char *const head[] = {OPENED("A"),
					   "A= * 4 EXISTS",
					   "A= * 0 RECENT",
					   "A= * OK [UNSEEN 1] ~",
					   "A= * OK [UIDVALIDITY ~",
					   "A= * OK [UIDNEXT 9] ~",
					   "A= * OK [HIGHESTMODSEQ ~",
					   "A= * OK [MAILBOXID ~",
					   NULL};
	char row[256];
	(void)snprintf(row, sizeof row, "A: sel SELECT INBOX (QRESYNC (%u %s))", uidvalidity,
		       arguments);
	world_row(w, row);
	for (size_t i = 0; head[i]; i++)
		world_row(w, head[i]);
	for (size_t i = 0; news[i]; i++)
		world_row(w, news[i]);
	world_row(w, "A= sel OK [READ-WRITE] ~");
	world_row(w, "A: u UNSELECT");
	world_row(w, "A= u OK ~");
}

#define FLAGGED "A= * 2 FETCH (UID 4 FLAGS (\\Flagged) MODSEQ (~))"

static void coming_back_in(unsigned mode)
{
	struct world w;
	struct past past = world_with_past(&w, mode);
	static const char *const hello[] = {ENABLED("A"), NULL};
	static const char *const all[] = {"A= * VANISHED (EARLIER) 3,6:7", FLAGGED, NULL};
	static const char *const some[] = {"A= * VANISHED (EARLIER) 6", NULL};
	static const char *const above[] = {"A= * VANISHED (EARLIER) 6:7", FLAGGED, NULL};
	static const char *const flags[] = {FLAGGED, NULL};
	static const char *const nothing[] = {NULL};
	char text[128];
	for (size_t i = 0; hello[i]; i++)
		world_row(&w, hello[i]);
	(void)snprintf(text, sizeof text, "%llu", past.modseq);
	select_again(&w, past.uidvalidity, text, all);
	select_again(&w, past.uidvalidity + 1, text, nothing);
	(void)snprintf(text, sizeof text, "%llu 5:6", past.modseq);
	select_again(&w, past.uidvalidity, text, some);
	/* Number 2 is UID 4 now: what is below it, the client knows. */
	(void)snprintf(text, sizeof text, "%llu 1:8 (1:2,7 1,4,8)", past.modseq);
	select_again(&w, past.uidvalidity, text, above);
	(void)snprintf(text, sizeof text, "%llu 1:8 (4 8)", past.modseq);
	select_again(&w, past.uidvalidity, text, flags);
	(void)snprintf(text, sizeof text, "%llu 1:8 (2:4,9 3:5,99)", past.modseq);
	select_again(&w, past.uidvalidity, text, all);
	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)modseq_now(&w));
	select_again(&w, past.uidvalidity, text, nothing);
	world_close(&w);
}

static void coming_back(void **state)
{
	(void)state;
	coming_back_in(0);
	coming_back_in(MODE_EXPORT);
	coming_back_in(MODE_TINY);
	coming_back_in(MODE_TINY | MODE_EXPORT);
}

static void uid_fetch_vanished(void **state)
{
	(void)state;
	struct world w;
	struct past past = world_with_past(&w, 0);
	static const char *const hello[] = {ENABLED("A"), SELECT_UNSEEN("A", 4, 0, 1), NULL};
	static const char *const got[] = {"A= * VANISHED (EARLIER) 3,6:7",
					  "A= * 2 FETCH (UID 4 MODSEQ (~) FLAGS (\\Flagged))",
					  "A= f OK ~", NULL};
	char row[128];
	for (size_t i = 0; hello[i]; i++)
		world_row(&w, hello[i]);
	(void)snprintf(row, sizeof row, "A: f UID FETCH 1:* (FLAGS) (CHANGEDSINCE %llu VANISHED)",
		       past.modseq);
	world_row(&w, row);
	for (size_t i = 0; got[i]; i++)
		world_row(&w, got[i]);
	(void)snprintf(row, sizeof row, "A: g UID FETCH 4 (UID) (CHANGEDSINCE %llu VANISHED)",
		       (unsigned long long)modseq_now(&w));
	world_row(&w, row);
	world_row(&w, "A= g OK ~");
	world_close(&w);
}

/* History is gone: every UID that is not there is told, but for what the match data covers. */
static void short_history(void **state)
{
	(void)state;
	struct world w;
	struct past past = world_with_past(&w, 0);
	struct store_purge_result result;
	struct fail why = FAIL_INIT;
	static const char *const hello[] = {"B: x LOGOUT", "B= * BYE ~", "B= x OK ~", ENABLED("A"),
					    NULL};
	static const char *const all[] = {"A= * VANISHED (EARLIER) 2:3,6:7", FLAGGED, NULL};
	static const char *const above[] = {"A= * VANISHED (EARLIER) 6:7", FLAGGED, NULL};
	char text[64];
	for (size_t i = 0; hello[i]; i++)
		world_row(&w, hello[i]);
	assert_ok(store_purge(w.store, w.account, (struct wall_us){INT64_MAX}, 100, &result, &why),
		  &why);
	assert_int_equal(result.entries, 4);
	(void)snprintf(text, sizeof text, "%llu", past.modseq);
	select_again(&w, past.uidvalidity, text, all);
	(void)snprintf(text, sizeof text, "%llu 1:8 (1,2,7 1,4,8)", past.modseq);
	select_again(&w, past.uidvalidity, text, above);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enabling),
		cmocka_unit_test(refused),
		cmocka_unit_test(instead_of_expunge),
		cmocka_unit_test(held_back),
		cmocka_unit_test(in_idle),
		cmocka_unit_test(coming_back),
		cmocka_unit_test(uid_fetch_vanished),
		cmocka_unit_test(short_history),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
