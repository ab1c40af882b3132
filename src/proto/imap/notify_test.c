/* SPDX-License-Identifier: Apache-2.0 */
/* NOTIFY (RFC 5465): A has asked, B does something; in every mode of the dialogues. */
#include "proto/imap/dialogue.h"
#include "proto/imap/notify.h"

#define APPEND(box) "B: b APPEND " box " {26+}\r\nSubject: two\r\n\r\n0123456789"
#define APPENDED    "B= b OK [APPENDUID ~] ~"

static void grammar(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a NOTIFY",
		"A= a BAD ~",
		"A: b NOTIFY SET (selected MessageNew)",
		"A= b BAD ~",
		"A: c NOTIFY SET (selected (MessageNew))",
		"A= c BAD ~",
		"A: d NOTIFY SET (personal (FlagChange))",
		"A= d BAD ~",
		"A: e NOTIFY SET (selected (MailboxName))",
		"A= e BAD ~",
		"A: f NOTIFY SET (selected NONE) (selected-delayed NONE)",
		"A= f BAD ~",
		"A: g NOTIFY SET (personal (MessageNew (uid) MessageExpunge))",
		"A= g BAD ~",
		"A: h NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))",
		"A= h NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName "
		"SubscriptionChange MailboxMetadataChange ServerMetadataChange)] ~",
		"A: i NOTIFY SET (mailboxes INBOX (WhatElse))",
		"A= i NO [BADEVENT ~",
		"A: j NOTIFY SET status (Subtree (a \"b c\") (mailboxname)) (inboxes NONE)",
		"A= j OK NOTIFY completed.",
		"A: k NOTIFY NONE",
		"A= k OK NOTIFY completed.",
		NULL,
	};
	dialogue(rows);
}

static void selected(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " PLAIN,
		"+ INBOX () " PLAIN,
		"A: a SELECT INBOX",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= a OK ~",
		"A: c NOTIFY SET (selected (MessageNew (uid flags body.peek[header.fields "
		"(subject)]) "
		"MessageExpunge FlagChange))",
		"A= c OK NOTIFY completed.",
		APPEND("INBOX"),
		APPENDED,
		"A= * 3 EXISTS",
		"A= * 3 RECENT",
		"A= * 3 FETCH (UID 3 FLAGS (\\Recent) BODY[HEADER.FIELDS (subject)] {16}",
		"A= Subject: two",
		"A= ",
		"A= )",
		"B: s SELECT INBOX",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= s OK ~",
		"B: t STORE 1 +FLAGS.SILENT (\\Deleted)",
		"B= t OK STORE completed.",
		"A= * 1 FETCH (FLAGS (\\Deleted \\Seen \\Recent))",
		"B: u EXPUNGE",
		"B= * 1 EXPUNGE",
		"B= u OK EXPUNGE completed.",
		"A= * 1 EXPUNGE",
		"A= * 2 RECENT",
		/* what it has put there itself has no FETCH */
		"A: d APPEND INBOX {26+}\r\nSubject: two\r\n\r\n0123456789",
		"A= * 3 EXISTS",
		"A= * 3 RECENT",
		"A= d OK [APPENDUID ~] ~",
		"B: v NOOP",
		"B= * 3 EXISTS",
		"B= v OK NOOP completed.",
		NULL,
	};
	dialogue(rows);
}

static void delayed(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " PLAIN,
		"+ INBOX " PLAIN,
		"A: a EXAMINE INBOX",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= a OK ~",
		"A: c NOTIFY SET (selected-delayed (MessageNew MessageExpunge))",
		"A= c OK NOTIFY completed.",
		"B: s SELECT INBOX",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= s OK ~",
		"B: t STORE 1 +FLAGS.SILENT (\\Deleted)", /* not asked for */
		"B= t OK STORE completed.",
		"B: u EXPUNGE",
		"B= * 1 EXPUNGE",
		"B= * 1 RECENT",
		"B= u OK EXPUNGE completed.",
		APPEND("INBOX"),
		"B= * 2 EXISTS",
		"B= * 2 RECENT",
		APPENDED,
		"A= * 3 EXISTS",
		"A: d FETCH 2 UID",
		"A= * 2 FETCH (UID 2)",
		"A= d OK FETCH completed.",
		"A: e NOOP",
		"A= * 1 EXPUNGE",
		"A= * 1 RECENT",
		"A= e OK NOOP completed.",
		"A: f IDLE",
		"A= + idling",
		"B: w STORE 1 +FLAGS.SILENT (\\Deleted)",
		"B= w OK STORE completed.",
		"B: x EXPUNGE",
		"B= * 1 EXPUNGE",
		"B= * 1 RECENT",
		"B= x OK EXPUNGE completed.",
		"A= * 1 EXPUNGE",
		"A= * 0 RECENT",
		"A: DONE",
		"A= f OK IDLE completed.",
		NULL,
	};
	dialogue(rows);
}

/* Without SELECTED, and with NONE, not even NOOP tells; but what EXPUNGE does is told. */
static void snapshot(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " PLAIN,
		"A: a SELECT INBOX",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= a OK ~",
		"A: b STORE 1 +FLAGS.SILENT (\\Deleted)",
		"A= b OK STORE completed.",
		"A: c NOTIFY NONE",
		"A= c OK NOTIFY completed.",
		APPEND("INBOX"),
		APPENDED,
		"A: d NOOP",
		"A= d OK NOOP completed.",
		"A: e IDLE",
		"A= + idling",
		APPEND("INBOX"),
		APPENDED,
		"A: DONE",
		"A= e OK IDLE completed.",
		"A: f EXPUNGE",
		"A= * 1 EXPUNGE",
		"A= * 2 EXISTS",
		"A= * 2 RECENT",
		"A= f OK EXPUNGE completed.",
		APPEND("INBOX"),
		APPENDED,
		"A: g NOTIFY SET (personal (MailboxName))",
		"A= * 3 EXISTS",
		"A= * 3 RECENT",
		"A= g OK NOTIFY completed.",
		NULL,
	};
	dialogue(rows);
}

static void others(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a CREATE Lists/One",
		"A= a OK ~",
		"A: b SELECT Drafts",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= ~",
		"A= b OK ~",
		"A: c NOTIFY SET STATUS (subtree Lists (MessageNew MessageExpunge FlagChange)) "
		"(mailboxes (INBOX Drafts Nowhere) (MessageNew MessageExpunge))",
		"A= * STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ~)",
		"A= * STATUS Lists (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ~ UNSEEN 0)",
		"A= * STATUS Lists/One (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ~ UNSEEN 0)",
		"A= c OK NOTIFY completed.",
		APPEND("INBOX"),
		APPENDED,
		"A= * STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ~)",
		APPEND("Lists/One"),
		APPENDED,
		"A= * STATUS Lists/One (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ~ UNSEEN 1)",
		APPEND("Sent"),
		APPENDED,
		APPEND("Drafts"), /* selected, and SELECTED was not asked for */
		APPENDED,
		"B: s SELECT Lists/One",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= ~",
		"B= s OK ~",
		"B: t STORE 1 +FLAGS.SILENT (\\Seen \\Deleted)",
		"B= t OK STORE completed.",
		"A= * STATUS Lists/One (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ~ UNSEEN 0)",
		"A: d ENABLE CONDSTORE",
		"A= * ENABLED CONDSTORE",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= d OK ENABLE completed.",
		"A: e IDLE",
		"A= + idling",
		"B: u EXPUNGE",
		"B= * 1 EXPUNGE",
		"B= * 0 RECENT",
		"B= u OK EXPUNGE completed.",
		"A= * STATUS Lists/One (MESSAGES 0 UIDNEXT 2 UIDVALIDITY ~ UNSEEN 0 HIGHESTMODSEQ "
		"~)",
		"A: DONE",
		"A= e OK IDLE completed.",
		NULL,
	};
	dialogue(rows);
}

static void names(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a NOTIFY SET (personal (MailboxName SubscriptionChange))",
		"A= a OK NOTIFY completed.",
		"B: b CREATE Lists",
		"B= b OK ~",
		"A= * LIST (\\HasNoChildren) \"/\" Lists",
		"B: c CREATE Lists/One",
		"B= c OK ~",
		"A= * LIST (\\HasNoChildren) \"/\" Lists/One",
		"A= * LIST (\\HasChildren) \"/\" Lists",
		"B: d SUBSCRIBE Lists/One",
		"B= d OK SUBSCRIBE completed.",
		"A= * LIST (\\HasNoChildren \\Subscribed) \"/\" Lists/One",
		"B: e RENAME Lists Groups",
		"B= e OK RENAME completed.",
		"A= * LIST (\\HasChildren) \"/\" Groups (\"OLDNAME\" (Lists))",
		"B: f DELETE Groups",
		"B= f OK DELETE completed.",
		"A= * LIST (\\Noselect \\HasChildren) \"/\" Groups",
		"B: g DELETE Groups/One",
		"B= g OK DELETE completed.",
		"A= * LIST (\\NonExistent \\HasNoChildren) \"/\" Groups/One",
		"A= * LIST (\\Noselect \\HasNoChildren) \"/\" Groups",
		"B: h UNSUBSCRIBE Sent",
		"B= h OK UNSUBSCRIBE completed.",
		"A= * LIST (\\HasNoChildren \\Sent) \"/\" Sent",
		/* one's own is no news */
		"A: i CREATE Mine/Too",
		"A= i OK ~",
		"A: j RENAME Mine Yours",
		"A= j OK RENAME completed.",
		"A: k DELETE Yours/Too",
		"A= k OK DELETE completed.",
		"A: l SUBSCRIBE Sent",
		"A= l OK SUBSCRIBE completed.",
		"A: m IDLE",
		"A= + idling",
		"B: n CREATE During",
		"B= n OK ~",
		"A= * LIST (\\HasNoChildren) \"/\" During",
		"A: DONE",
		"A= m OK IDLE completed.",
		NULL,
	};
	dialogue(rows);
}

static void names_where_asked(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a NOTIFY SET (subtree Lists (MailboxName)) (subscribed (SubscriptionChange))",
		"A= a OK NOTIFY completed.",
		"B: b CREATE Other",
		"B= b OK ~",
		"B: c CREATE Lists/One",
		"B= c OK ~",
		"A= * LIST (\\HasChildren) \"/\" Lists",
		"A= * LIST (\\HasNoChildren) \"/\" Lists/One",
		"B: d SUBSCRIBE Other",
		"B= d OK SUBSCRIBE completed.",
		"A= * LIST (\\HasNoChildren \\Subscribed) \"/\" Other",
		"B: e UNSUBSCRIBE Other",
		"B= e OK UNSUBSCRIBE completed.",
		NULL,
	};
	dialogue(rows);
}

static void metadata(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a NOTIFY SET (mailboxes INBOX (MailboxMetadataChange)) (personal "
		"(ServerMetadataChange))",
		"A= a OK NOTIFY completed.",
		"B: b SETMETADATA INBOX (/shared/comment \"x\" /private/comment \"y\")",
		"B= b OK SETMETADATA completed.",
		"A= * METADATA INBOX /shared/comment",
		"A= * METADATA INBOX /private/comment",
		"B: c SETMETADATA Sent (/shared/comment \"x\")",
		"B= c OK SETMETADATA completed.",
		"B: d SETMETADATA \"\" (/private/comment NIL)",
		"B= d OK SETMETADATA completed.",
		"A= * METADATA \"\" /private/comment",
		"A: e SETMETADATA INBOX (/shared/comment NIL)",
		"A= e OK SETMETADATA completed.",
		NULL,
	};
	/* not with an export in between: what was noted of annotations is not in it */
	dialogue_in_mode(rows, 0);
	dialogue_in_mode(rows, MODE_TINY);
}

/* More mailboxes at once than there are notes: none is forgotten. */
static void many_at_once(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	struct player *a = &w.player[0], *b = &w.player[1];
	for (unsigned i = 0; i < 40; i++) {
		char line[40];
		(void)snprintf(line, sizeof line, "c%u CREATE x%u\r\n", i, i);
		world_send(&w, b, str_c(line));
	}
	world_send(&w, a, STR("a NOTIFY SET (personal (MessageNew MessageExpunge))\r\n"));
	buf_reset(&a->got);
	for (unsigned i = 0; i < 40; i++) {
		char name[10];
		(void)snprintf(name, sizeof name, "x%u", i);
		world_append(&w, str_c(name), 0, STR_NULL, STR(PLAIN));
	}
	world_send(&w, b, STR("n NOOP\r\n"));
	unsigned lines = 0;
	for (struct str rest = buf_str(&a->got), line; str_cut(&rest, '\n', &line);)
		lines += str_starts(line, STR("* STATUS x"));
	assert_int_equal(lines, 40);
	world_close(&w);
}

/* Names that are too many to be exported and have changed: the client is told to look itself. */
static void overflow(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	struct player *a = &w.player[0], *b = &w.player[1];
	for (unsigned i = 0; i < 100; i++) {
		AUTO(buf) struct buf line = BUF_INIT(KIB(2));
		(void)buf_addf(&line, "c%u CREATE x%u", i, i);
		for (unsigned j = 0; j < 200; j++)
			(void)buf_addc(&line, 'y');
		(void)buf_add(&line, STR("\r\n"));
		world_send(&w, b, buf_str(&line));
	}
	world_send(&w, a, STR("a NOTIFY SET (personal (MailboxName))\r\n"));
	assert_true(a->session->notify->names.n > NOTIFY_NAMES_EXPORTED);
	buf_reset(&a->got);
	player_reborn(&w, a);
	world_send(&w, b, STR("m NOOP\r\n"));
	assert_int_equal(a->got.n, 0); /* nothing has happened */
	AUTO(buf) struct buf bytes = BUF_INIT(KIB(64));
	struct imap_session_args args = world_args(&w);
	assert_int_equal(imap_session_export(a->session, &bytes, NULL), 0);
	world_send(&w, b, STR("n CREATE New\r\n"));
	buf_reset(&a->got);
	imap_session_free(TAKE(a->session));
	assert_int_equal(imap_session_import(&args, buf_str(&bytes), &a->session, NULL), 0);
	world_send(&w, b, STR("o NOOP\r\n"));
	assert_string_equal(buf_c(&a->got),
			    "* OK [NOTIFICATIONOVERFLOW] Notifications are off now.\r\n");
	buf_reset(&a->got);
	world_send(&w, b, STR("p CREATE Newer\r\n"));
	assert_int_equal(a->got.n, 0);
	world_close(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(grammar),
		cmocka_unit_test(selected),
		cmocka_unit_test(delayed),
		cmocka_unit_test(snapshot),
		cmocka_unit_test(others),
		cmocka_unit_test(names),
		cmocka_unit_test(names_where_asked),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(overflow),
		cmocka_unit_test(metadata),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
