/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes: SELECT and its relatives, CREATE to LSUB, STATUS, and what needs no mailbox. */
#include "proto/imap/dialogue.h"

static void any_state(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a CAPABILITY",
		"A= * CAPABILITY IMAP4rev1 ~",
		"A= a OK CAPABILITY completed.",
		"A: b NOOP",
		"A= b OK NOOP completed.",
		"A: c NAMESPACE",
		"A= * NAMESPACE ((\"\" \"/\")) NIL NIL",
		"A= c OK NAMESPACE completed.",
		"A: d ID (\"name\" \"test\" \"version\" NIL)",
		"A= * ID (\"name\" \"barid\")",
		"A= d OK ID completed.",
		"A: e ENABLE CONDSTORE X-NOTHING",
		"A= * ENABLED CONDSTORE",
		"A= e OK ENABLE completed.",
		"A: f ENABLE CONDSTORE",
		"A= * ENABLED",
		"A= f OK ENABLE completed.",
		"A: g LOGIN alice secret",
		"A= g BAD You are logged in already.",
		"A: h STARTTLS",
		"A= h BAD You are logged in already.",
		"A: i AUTHENTICATE PLAIN",
		"A= i BAD You are logged in already.",
		"A: j FETCH 1 FLAGS",
		"A= j BAD No mailbox is selected.",
		"A: k FROBNICATE",
		"A= k BAD ~",
		"A: l",
		"A= l BAD ~",
		"A: m CLOSE",
		"A= m BAD No mailbox is selected.",
		"A: z LOGOUT",
		"A= * BYE Logging out.",
		"A= z OK LOGOUT completed.",
		NULL,
	};
	dialogue(rows);
}

static void select_and_examine(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " PLAIN,
		"+ INBOX " PLAIN,
		"A: a SELECT inbox",
		"A= * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
		"A= * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] ~",
		"A= * 2 EXISTS",
		"A= * 2 RECENT",
		"A= * OK [UNSEEN 2] ~",
		"A= * OK [UIDVALIDITY ~] ~",
		"A= * OK [UIDNEXT 3] ~",
		"A= * OK [HIGHESTMODSEQ ~] ~",
		"A= * OK [MAILBOXID ~",
		"A= a OK [READ-WRITE] ~",
		/* The recent ones were told to A (RFC 3501 2.3.2). */
		"B: a EXAMINE INBOX",
		"B= * FLAGS ~",
		"B= * OK [PERMANENTFLAGS ()] ~",
		"B= * 2 EXISTS",
		"B= * 0 RECENT",
		"B= * OK [UNSEEN 2] ~",
		"B= * OK [UIDVALIDITY ~] ~",
		"B= * OK [UIDNEXT 3] ~",
		"B= * OK [HIGHESTMODSEQ ~] ~",
		"B= * OK [MAILBOXID ~",
		"B= a OK [READ-ONLY] ~",
		"B: b STORE 1 +FLAGS (\\Flagged)",
		"B= b NO [READ-ONLY] ~",
		"B: c EXPUNGE",
		"B= c NO [READ-ONLY] ~",
		/* A failed SELECT leaves none selected; CLOSED bounds the old one. */
		"A: b SELECT Nowhere",
		"A= * OK [CLOSED] ~",
		"A= b NO [NONEXISTENT] ~",
		"A: c CHECK",
		"A= c BAD No mailbox is selected.",
		"A: d SELECT Sent (CONDSTORE)",
		"A= * FLAGS ~",
		"A= * OK [PERMANENTFLAGS ~",
		"A= * 0 EXISTS",
		"A= * 0 RECENT",
		"A= * OK [UIDVALIDITY ~] ~",
		"A= * OK [UIDNEXT 1] ~",
		"A= * OK [HIGHESTMODSEQ ~] ~",
		"A= * OK [MAILBOXID ~",
		"A= d OK [READ-WRITE] ~",
		"A: e CHECK",
		"A= e OK CHECK completed.",
		"A: f UNSELECT",
		"A= f OK UNSELECT completed.",
		"A: g UNSELECT",
		"A= g BAD No mailbox is selected.",
		NULL,
	};
	dialogue(rows);
}

static void close_expunges_in_silence(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " PLAIN,
		"+ INBOX (\\Seen) " PLAIN,
		SELECT_SEEN("A", 2, 2),
		"A: b STORE 1 +FLAGS.SILENT (\\Deleted)",
		"A= b OK STORE completed.",
		/* UNSELECT and a read-only CLOSE keep it. */
		"A: c UNSELECT",
		"A= c OK ~",
		"A: d EXAMINE INBOX",
		"A= * FLAGS ~",
		"A= * OK [PERMANENTFLAGS ()] ~",
		"A= * 2 EXISTS",
		"A= * 0 RECENT",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT 3] ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= d OK ~",
		"A: e CLOSE",
		"A= e OK CLOSE completed.",
		"A: f STATUS INBOX (MESSAGES UIDNEXT UNSEEN RECENT UIDVALIDITY)",
		"A= * STATUS INBOX (MESSAGES 2 RECENT 0 UIDNEXT 3 UIDVALIDITY ~ UNSEEN 0)",
		"A= f OK STATUS completed.",
		SELECT_SEEN("A", 2, 0),
		"A: h CLOSE",
		"A= h OK CLOSE completed.",
		"A: i STATUS INBOX (MESSAGES)",
		"A= * STATUS INBOX (MESSAGES 1)",
		"A= i OK STATUS completed.",
		NULL,
	};
	dialogue(rows);
}

static void create_rename_delete(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a CREATE Work/2026/",
		"A= a OK [MAILBOXID ~] CREATE completed.",
		"A: b CREATE Work/2026",
		"A= b NO [ALREADYEXISTS] ~",
		"A: c CREATE inbox",
		"A= c NO [ALREADYEXISTS] ~",
		"A: d CREATE \"a*b\"",
		"A= d NO [CANNOT] ~",
		"A: e CREATE \"a//b\"",
		"A= e NO [CANNOT] ~",
		"A: e2 CREATE \"/a\"",
		"A= e2 NO [CANNOT] ~",
		"A: f LIST \"\" Work*",
		"A= * LIST (\\HasChildren) \"/\" Work",
		"A= * LIST (\\HasNoChildren) \"/\" Work/2026",
		"A= f OK LIST completed.",
		"A: g DELETE Nowhere",
		"A= g NO [NONEXISTENT] ~",
		"A: h DELETE INBOX",
		"A= h NO [CANNOT] ~",
		"A: i DELETE Work",
		"A= i OK DELETE completed.",
		"A: j LIST \"\" Work*",
		"A= * LIST (\\Noselect \\HasChildren) \"/\" Work",
		"A= * LIST (\\HasNoChildren) \"/\" Work/2026",
		"A= j OK LIST completed.",
		"A: k SELECT Work",
		"A= k NO [NONEXISTENT] ~",
		"A: k2 STATUS Work (MESSAGES)",
		"A= k2 NO [NONEXISTENT] ~",
		"A: l DELETE Work",
		"A= l NO [HASCHILDREN] ~",
		"A: m RENAME Work Play",
		"A= m OK RENAME completed.",
		"A: n LIST \"Play/\" \"%\"",
		"A= * LIST (\\HasNoChildren) \"/\" Play/2026",
		"A= n OK LIST completed.",
		"A: o RENAME Play Play/In",
		"A= o NO [CANNOT] ~",
		"A: p RENAME Play Sent",
		"A= p NO [ALREADYEXISTS] ~",
		"A: q RENAME Nowhere X",
		"A= q NO [NONEXISTENT] ~",
		/* Modified UTF-7 on the wire: Größe. */
		"A: r CREATE \"Gr&APYA3w-e\"",
		"A= r OK [MAILBOXID ~] CREATE completed.",
		"A: s LIST \"\" G*",
		"A= * LIST (\\HasNoChildren) \"/\" Gr&APYA3w-e",
		"A= s OK LIST completed.",
		"A: t CREATE \"Gr&APYA3w\"",
		"A= t BAD ~",
		NULL,
	};
	dialogue(rows);
}

static void special_use(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a LIST \"\" \"*\"",
		"A= * LIST (\\HasNoChildren) \"/\" INBOX",
		"A= * LIST (\\HasNoChildren \\Archive) \"/\" Archive",
		"A= * LIST (\\HasNoChildren \\Drafts) \"/\" Drafts",
		"A= * LIST (\\HasNoChildren \\Junk) \"/\" Junk",
		"A= * LIST (\\HasNoChildren \\Sent) \"/\" Sent",
		"A= * LIST (\\HasNoChildren \\Trash) \"/\" Trash",
		"A= a OK LIST completed.",
		"A: b CREATE More (USE (\\Archive))",
		"A= b OK [MAILBOXID ~] CREATE completed.",
		"A: c LIST \"\" More",
		"A= * LIST (\\HasNoChildren \\Archive) \"/\" More",
		"A= c OK LIST completed.",
		"A: d CREATE Stars (USE (\\Flagged))",
		"A= d NO [USEATTR] ~",
		"A: e CREATE Else (USE (\\Else))",
		"A= e NO [USEATTR] ~",
		"A: f LIST \"\" \"\"",
		"A= * LIST (\\Noselect) \"/\" \"\"",
		"A= f OK LIST completed.",
		NULL,
	};
	dialogue(rows);
}

static void subscriptions(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a UNSUBSCRIBE Junk",
		"A= a OK UNSUBSCRIBE completed.",
		"A: b SUBSCRIBE Lists/c/barid",
		"A= b OK SUBSCRIBE completed.",
		"A: c LSUB \"\" \"*\"",
		"A= * LSUB (\\HasNoChildren) \"/\" INBOX",
		"A= * LSUB (\\HasNoChildren \\Archive) \"/\" Archive",
		"A= * LSUB (\\HasNoChildren \\Drafts) \"/\" Drafts",
		"A= * LSUB (\\Noselect) \"/\" Lists/c/barid",
		"A= * LSUB (\\HasNoChildren \\Sent) \"/\" Sent",
		"A= * LSUB (\\HasNoChildren \\Trash) \"/\" Trash",
		"A= c OK LSUB completed.",
		/* RFC 3501 6.3.9: % stops at a level that is not subscribed itself. */
		"A: d LSUB \"\" \"L%\"",
		"A= * LSUB (\\Noselect) \"/\" Lists",
		"A= d OK LSUB completed.",
		"A: e LSUB \"Lists/\" \"%\"",
		"A= * LSUB (\\Noselect) \"/\" Lists/c",
		"A= e OK LSUB completed.",
		"A: f LIST \"\" \"Lists*\"",
		"A= f OK LIST completed.",
		NULL,
	};
	dialogue(rows);
}

static void list_extended(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a CREATE Deep/Er",
		"A= a OK ~",
		"A: b SUBSCRIBE Deep/Er",
		"A= b OK ~",
		"A: c SUBSCRIBE Gone",
		"A= c OK ~",
		"A: d LIST (SUBSCRIBED) \"\" (\"D%\" \"G%\")",
		"A= * LIST (\\HasNoChildren \\Subscribed \\Drafts) \"/\" Drafts",
		"A= * LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" Gone",
		"A= d OK LIST completed.",
		"A: e LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"De%\"",
		"A= * LIST (\\HasChildren) \"/\" Deep (\"CHILDINFO\" (\"SUBSCRIBED\"))",
		"A= e OK LIST completed.",
		"A: f LIST (SPECIAL-USE) \"\" \"*\" RETURN (STATUS (MESSAGES))",
		"A= * LIST (\\HasNoChildren \\Archive) \"/\" Archive",
		"A= * STATUS Archive (MESSAGES 0)",
		"A= * LIST (\\HasNoChildren \\Drafts) \"/\" Drafts",
		"A= * STATUS Drafts (MESSAGES 0)",
		"A= * LIST (\\HasNoChildren \\Junk) \"/\" Junk",
		"A= * STATUS Junk (MESSAGES 0)",
		"A= * LIST (\\HasNoChildren \\Sent) \"/\" Sent",
		"A= * STATUS Sent (MESSAGES 0)",
		"A= * LIST (\\HasNoChildren \\Trash) \"/\" Trash",
		"A= * STATUS Trash (MESSAGES 0)",
		"A= f OK LIST completed.",
		NULL,
	};
	dialogue(rows);
}

static void deleted_under_us(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a SELECT Junk",
		"A= * FLAGS ~",
		"A= * OK [PERMANENTFLAGS ~",
		"A= * 0 EXISTS",
		"A= * 0 RECENT",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT 1] ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= a OK ~",
		"B: a SELECT Junk",
		"B= * FLAGS ~",
		"B= * OK [PERMANENTFLAGS ~",
		"B= * 0 EXISTS",
		"B= * 0 RECENT",
		"B= * OK [UIDVALIDITY ~",
		"B= * OK [UIDNEXT 1] ~",
		"B= * OK [HIGHESTMODSEQ ~",
		"B= * OK [MAILBOXID ~",
		"B= a OK ~",
		"B: b DELETE Junk",
		"B= * OK [CLOSED] ~",
		"B= b OK DELETE completed.",
		"B: c CHECK",
		"B= c BAD No mailbox is selected.",
		"A: b NOOP",
		"A= * BYE ~",
		"A= b OK NOOP completed.",
		NULL,
	};
	/* A session whose mailbox is gone cannot be exported: not in those modes. */
	dialogue_in_mode(rows, 0);
	dialogue_in_mode(rows, MODE_TINY);
}

static void read_only_login(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " PLAIN,
		"A: a SELECT INBOX",
		"A= * FLAGS ~",
		"A= * OK [PERMANENTFLAGS ()] ~",
		"A= * 1 EXISTS",
		"A= * 1 RECENT",
		"A= * OK [UNSEEN 1] ~",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT 2] ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= a OK [READ-ONLY] ~",
		"A: b CREATE X",
		"A= b NO [NOPERM] ~",
		"A: c COPY 1 Sent",
		"A= c NO [NOPERM] ~",
		"A: d FETCH 1 (BODY[TEXT] FLAGS)",
		"A= * 1 FETCH (BODY[TEXT] {11}",
		"A= Hello Joe",
		"A=  FLAGS (\\Recent))",
		"A= d OK FETCH completed.",
		NULL,
	};
	dialogue_in_mode(rows, MODE_READ_RIGHT);
	dialogue_in_mode(rows, MODE_READ_RIGHT | MODE_EXPORT);
}

static void too_many_bad_commands(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, MODE_EXPORT);
	for (unsigned i = 1; i < w.config.bad_commands_max; i++) {
		world_row(&w, "A: a NONSENSE");
		world_row(&w, "A= a BAD ~");
	}
	world_row(&w, "A: a NOOP"); /* a good one starts the count again */
	world_row(&w, "A= a OK ~");
	for (unsigned i = 1; i < w.config.bad_commands_max; i++) {
		world_row(&w, "A: a NONSENSE");
		world_row(&w, "A= a BAD ~");
	}
	assert_false(w.player[0].closed);
	world_row(&w, "A: a NONSENSE");
	world_row(&w, "A= a BAD ~");
	world_row(&w, "A= * BYE ~");
	assert_true(w.player[0].closed);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_state),
		cmocka_unit_test(select_and_examine),
		cmocka_unit_test(close_expunges_in_silence),
		cmocka_unit_test(create_rename_delete),
		cmocka_unit_test(special_use),
		cmocka_unit_test(subscriptions),
		cmocka_unit_test(list_extended),
		cmocka_unit_test(deleted_under_us),
		cmocka_unit_test(read_only_login),
		cmocka_unit_test(too_many_bad_commands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
