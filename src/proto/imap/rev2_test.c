/* SPDX-License-Identifier: Apache-2.0 */
/* What ENABLE IMAP4rev2 changes (RFC 9051, appendix E), and the extended LIST. */
#include "proto/imap/dialogue.h"

#define ENABLED(p) p ": en ENABLE IMAP4rev2", p "= * ENABLED IMAP4rev2", p "= en OK ~"
#define REV2_OPEN(p, box, n)                                                                       \
	p ": sel SELECT " box, OPENED(p), p "= * " #n " EXISTS", p "= * OK [UIDVALIDITY ~",        \
		p "= * OK [UIDNEXT ~", p "= * OK [HIGHESTMODSEQ ~", p "= * OK [MAILBOXID ~",       \
		p "= * LIST () \"/\" " box, p "= sel OK [READ-WRITE] ~"

static void nothing_is_recent(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " PLAIN,
		"+ INBOX " PLAIN,
		ENABLED("A"),
		"A: a0 ENABLE imap4REV2",
		"A= * ENABLED",
		"A= a0 OK ~",
		REV2_OPEN("A", "INBOX", 2),
		"A: a1 FETCH 1 FLAGS",
		"A= * 1 FETCH (FLAGS (\\Seen))",
		"A= a1 OK ~",
		"A: a2 SEARCH OR RECENT NEW",
		"A= * ESEARCH (TAG \"a2\")",
		"A= a2 OK ~",
		"A: a3 SEARCH OLD",
		"A= * ESEARCH (TAG \"a3\") ALL 1:2",
		"A= a3 OK ~",
		"A: a4 UID SEARCH UNSEEN",
		"A= * ESEARCH (TAG \"a4\") UID ALL 2",
		"A= a4 OK ~",
		"A: a5 SEARCH RETURN (SAVE) ALL",
		"A= a5 OK ~",
		"+ INBOX " PLAIN,
		"A: a6 NOOP",
		"A= * 3 EXISTS",
		"A= a6 OK ~",
		"A: a7 STATUS INBOX (MESSAGES RECENT UNSEEN DELETED SIZE)",
		"A= * STATUS INBOX (MESSAGES 3 RECENT 0 UNSEEN 2 DELETED 0 SIZE ~)",
		"A= a7 OK ~",
		SELECT_UNSEEN("B", 3, 0, 2),
		"B: b1 STORE 2 +FLAGS (\\Flagged)",
		"B= * 2 FETCH (FLAGS (\\Flagged))",
		"B= b1 OK ~",
		"A: a8 NOOP",
		"A= * 2 FETCH (UID 2 FLAGS (\\Flagged))",
		"A= a8 OK ~",
		"A: a9 EXAMINE Sent",
		"A= * OK [CLOSED] ~",
		OPENED("A"),
		"A= * 0 EXISTS",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= * LIST (\\Sent) \"/\" Sent",
		"A= a9 OK [READ-ONLY] ~",
		NULL,
	};
	dialogue(rows);
}

static void names_are_utf8(void **state)
{
	(void)state;
	static const char *const rows[] = {
		ENABLED("A"),
		"A: a1 CREATE \"Entw\xc3\xbcrfe\"",
		"A= a1 OK ~",
		"A: a2 CREATE R&D",
		"A= a2 OK ~",
		"A: a3 CREATE \"e\xcc\x81\"", /* e and a combining accent: not form C */
		"A= a3 NO [CANNOT] ~",
		"A: a4 CREATE \"\xff\"",
		"A= a4 BAD ~",
		"A: a5 STATUS {9+}\r\nEntw\xc3\xbcrfe (MESSAGES)",
		"A= * STATUS \"Entw\xc3\xbcrfe\" (MESSAGES 0)",
		"A= a5 OK ~",
		"A: a6 LIST \"\" *%\xc3\xbc%*",
		"A= * LIST (\\HasNoChildren) \"/\" \"Entw\xc3\xbcrfe\"",
		"A= a6 OK ~",
		"A: a7 LIST \"\" R%",
		"A= * LIST (\\HasNoChildren) \"/\" R&D",
		"A= a7 OK ~",
		/* the other client sees the same mailboxes in modified UTF-7 */
		"B: b1 LIST \"\" (R% E%)",
		"B= * LIST (\\HasNoChildren) \"/\" Entw&APw-rfe",
		"B= * LIST (\\HasNoChildren) \"/\" R&-D",
		"B= b1 OK ~",
		"B: b2 CREATE &AGU-x", /* what can stand for itself may not be shifted */
		"B= b2 BAD ~",
		"B: b3 CREATE e&AwE-",
		"B= b3 OK ~",
		"A: a8 SELECT \"e\xcc\x81\"", /* which is there, so it can be opened */
		OPENED("A"),
		"A= * 0 EXISTS",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= * LIST () \"/\" \"e\xcc\x81\"",
		"A= a8 OK ~",
		"A: a9 RENAME Entw\xc3\xbcrfe \"K\xc3\xb6rbe/1\"",
		"A= * LIST () \"/\" \"K\xc3\xb6rbe/1\" (\"OLDNAME\" (\"Entw\xc3\xbcrfe\"))",
		"A= a9 OK ~",
		"A: b0 CREATE slash/",
		"A= * LIST () \"/\" slash (\"OLDNAME\" (slash/))",
		"A= b0 OK ~",
		NULL,
	};
	dialogue(rows);
}

#define MAKE(box)      "A: c CREATE " box, "A= c OK ~"
#define SUBSCRIBE(box) "A: s SUBSCRIBE " box, "A= s OK ~"
#define LEAVE(box)     "A: u UNSUBSCRIBE " box, "A= u OK ~"

/* RFC 5258, section 5, examples 8 to 10. */
static void recursive_match(void **state)
{
	(void)state;
	static const char *const rows[] = {
		LEAVE("INBOX"),
		LEAVE("Sent"),
		LEAVE("Drafts"),
		LEAVE("Junk"),
		LEAVE("Trash"),
		LEAVE("Archive"),
		MAKE("foo2/bar1"),
		MAKE("foo2/bar2"),
		MAKE("baz2/bar2"),
		MAKE("baz2/bar22"),
		MAKE("eps2/mamba"),
		SUBSCRIBE("foo2/bar1"),
		SUBSCRIBE("foo2/bar2"),
		SUBSCRIBE("baz2/bar2"),
		SUBSCRIBE("baz2/bar22"),
		SUBSCRIBE("eps2"),
		SUBSCRIBE("eps2/mamba"),
		SUBSCRIBE("qux2/bar2"),
		"A: d3 LIST (RECURSIVEMATCH SUBSCRIBED) \"\" *2",
		"A= * LIST (\\HasNoChildren \\Subscribed) \"/\" baz2/bar2",
		"A= * LIST (\\HasNoChildren \\Subscribed) \"/\" baz2/bar22",
		"A= * LIST (\\HasChildren \\Subscribed) \"/\" eps2 (\"CHILDINFO\" "
		"(\"SUBSCRIBED\"))",
		"A= * LIST (\\HasChildren) \"/\" foo2 (\"CHILDINFO\" (\"SUBSCRIBED\"))",
		"A= * LIST (\\HasNoChildren \\Subscribed) \"/\" foo2/bar2",
		"A= * LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" qux2/bar2",
		"A= d3 OK ~",
		/* a level that is in no list */
		"A: d4 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" q%",
		"A= * LIST (\\NonExistent \\HasNoChildren) \"/\" qux2 (\"CHILDINFO\" "
		"(\"SUBSCRIBED\"))",
		"A= d4 OK ~",
		MAKE("inbox/deep"),
		SUBSCRIBE("inbox/deep"),
		"A: d5 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" i%",
		"A= * LIST (\\HasChildren) \"/\" INBOX (\"CHILDINFO\" (\"SUBSCRIBED\"))",
		"A= d5 OK ~",
		"A: d6 LIST (RECURSIVEMATCH REMOTE) \"\" *",
		"A= d6 BAD ~",
		/* by use, and by both */
		"A: d7 CREATE \"box/old\" (USE (\\Archive))",
		"A= d7 OK ~",
		"A: d8 LIST (SPECIAL-USE RECURSIVEMATCH) \"\" b%",
		"A= * LIST (\\HasChildren) \"/\" box (\"CHILDINFO\" (\"SPECIAL-USE\"))",
		"A= d8 OK ~",
		"A: d9 LIST (SPECIAL-USE SUBSCRIBED RECURSIVEMATCH) \"\" b%",
		"A= d9 OK ~",
		SUBSCRIBE("box/old"),
		"A: e1 LIST (SPECIAL-USE SUBSCRIBED RECURSIVEMATCH) \"\" b%",
		"A= * LIST (\\HasChildren) \"/\" box (\"CHILDINFO\" (\"SUBSCRIBED\" "
		"\"SPECIAL-USE\"))",
		"A= e1 OK ~",
		"A: e2 LIST (SPECIAL-USE SUBSCRIBED) \"\" *",
		"A= * LIST (\\HasNoChildren \\Subscribed \\Archive) \"/\" box/old",
		"A= e2 OK ~",
		NULL,
	};
	dialogue(rows);
}

static void extended_list(void **state)
{
	(void)state;
	static const char *const rows[] = {
		MAKE("foo/bar"),
		SUBSCRIBE("foo"),
		SUBSCRIBE("gone"),
		/* an empty pattern is nothing in the extended syntax */
		"A: a1 LIST () \"\" \"\"",
		"A= a1 OK ~",
		"A: a2 LIST foo (\"\")",
		"A= a2 OK ~",
		"A: a3 LIST \"\" \"\"",
		"A= * LIST (\\Noselect) \"/\" \"\"",
		"A= a3 OK ~",
		"A: a3 LIST \"\" f&%", /* no modified UTF-7: matches nothing, and no error */
		"A= a3 OK ~",
		"A: a3 LIST \"\" (f& \"foo/%\")",
		"A= * LIST (\\HasNoChildren) \"/\" foo/bar",
		"A= a3 OK ~",
		/* a mailbox that two patterns match is listed once */
		"A: a4 LIST \"\" (foo f*) RETURN (SUBSCRIBED CHILDREN)",
		"A= * LIST (\\HasChildren \\Subscribed) \"/\" foo",
		"A= * LIST (\\HasNoChildren) \"/\" foo/bar",
		"A= a4 OK ~",
		"A: a5 LIST (REMOTE SUBSCRIBED SUBSCRIBED) \"\" (foo gone) RETURN (CHILDREN)",
		"A= * LIST (\\HasChildren \\Subscribed) \"/\" foo",
		"A= * LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" gone",
		"A= a5 OK ~",
		"A: a6 LIST (REMOTE) \"\" gone RETURN (SUBSCRIBED)",
		"A= a6 OK ~",
		/* STATUS behind its LIST; none for what cannot be selected */
		"A: a7 LIST (SUBSCRIBED) \"\" (foo gone) RETURN (STATUS (MESSAGES SIZE) CHILDREN)",
		"A= * LIST (\\HasChildren \\Subscribed) \"/\" foo",
		"A= * STATUS foo (MESSAGES 0 SIZE 0)",
		"A= * LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" gone",
		"A= a7 OK ~",
		"A: a8 DELETE foo",
		"A= a8 OK ~",
		"A: a9 LIST \"\" f* RETURN (STATUS (UNSEEN))",
		"A= * LIST (\\Noselect \\HasChildren) \"/\" foo",
		"A= * LIST (\\HasNoChildren) \"/\" foo/bar",
		"A= * STATUS foo/bar (UNSEEN 0)",
		"A= a9 OK ~",
		"A: b1 LIST (NONSENSE) \"\" *",
		"A= b1 BAD ~",
		"A: b2 LIST \"\" * RETURN (NONSENSE)",
		"A= b2 BAD ~",
		NULL,
	};
	dialogue(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_recent),
		cmocka_unit_test(names_are_utf8),
		cmocka_unit_test(recursive_match),
		cmocka_unit_test(extended_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
