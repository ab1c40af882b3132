/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4314 on one's own mailboxes: the commands, and what rights a command needs. */
#include "proto/imap/acl_int.h"
#include "proto/imap/dialogue.h"

#define ME "alice@example.test"

static void lists(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a GETACL INBOX",
		"A= * ACL INBOX " ME " lrswipkxtecda",
		"A= a OK GETACL completed.",
		"A: b SETACL inbox Bob@Example.test lrx",
		"A= b OK SETACL completed.",
		"A: c SETACL INBOX -bob@example.test x",
		"A= c OK SETACL completed.",
		"A: d GETACL INBOX",
		"A= * ACL INBOX " ME " lrswipkxtecda -bob@example.test xc bob@example.test lrxc",
		"A= d OK GETACL completed.",
		"A: e SETACL INBOX bob@example.test +ste",
		"A= e OK SETACL completed.",
		"A: f SETACL INBOX bob@example.test -lc",
		"A= f OK SETACL completed.",
		"A: g DELETEACL INBOX -bob@example.test",
		"A= g OK DELETEACL completed.",
		"A: h GETACL INBOX",
		"A= * ACL INBOX " ME " lrswipkxtecda bob@example.test rsted",
		"A= h OK GETACL completed.",
		"A: i SETACL INBOX bob@example.test \"\"",
		"A= i OK SETACL completed.",
		"A: j GETACL INBOX",
		"A= * ACL INBOX " ME " lrswipkxtecda bob@example.test \"\"",
		"A= j OK GETACL completed.",
		"A: k SETACL INBOX bob@example.test lrq",
		"A= k BAD expected rights ~",
		"A: l SETACL INBOX bob lr",
		"A= l NO [CANNOT] ~",
		"A: l SETACL INBOX nobody@example.test lr",
		"A= l NO [CANNOT] ~",
		"A: l SETACL INBOX $none@example.test lr",
		"A= l NO [CANNOT] ~",
		"A: l DELETEACL INBOX nobody@example.test",
		"A= l OK DELETEACL completed.",
		"A: l SETACL INBOX group=Team@example.test lr",
		"A= l OK SETACL completed.",
		"A: l GETACL INBOX",
		"A= * ACL INBOX " ME " lrswipkxtecda $team@example.test lr bob@example.test \"\"",
		"A= l OK GETACL completed.",
		"A: l DELETEACL INBOX $team@example.test",
		"A= l OK DELETEACL completed.",
		"A: m SETACL INBOX anyone lr",
		"A= m NO [NOPERM] ~",
		"A: n SETACL INBOX -anyone lr",
		"A= n OK SETACL completed.",
		"A: o GETACL nowhere",
		"A= o NO [NONEXISTENT] ~",
		NULL,
	};
	dialogue(rows);
}

static void what_can_be_given(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a LISTRIGHTS INBOX bob@example.test",
		"A= * LISTRIGHTS INBOX bob@example.test \"\" l r s w i p k x t e a c d",
		"A= a OK LISTRIGHTS completed.",
		"A: b LISTRIGHTS INBOX Alice@example.test",
		"A= * LISTRIGHTS INBOX Alice@example.test la r s w i p k x t e c d",
		"A= b OK LISTRIGHTS completed.",
		"A: c LISTRIGHTS INBOX anyone",
		"A= * LISTRIGHTS INBOX anyone \"\"",
		"A= c OK LISTRIGHTS completed.",
		"A: d MYRIGHTS INBOX",
		"A= * MYRIGHTS INBOX lrswipkxtecda",
		"A= d OK MYRIGHTS completed.",
		"A: e SETACL Sent " ME " r",
		"A= e OK SETACL completed.",
		"A: f MYRIGHTS Sent",
		"A= * MYRIGHTS Sent lra",
		"A= f OK MYRIGHTS completed.",
		"A: g GETACL Sent",
		"A= * ACL Sent " ME " lra",
		"A= g OK GETACL completed.",
		"A: h LIST \"\" (Sent Junk) RETURN (MYRIGHTS)",
		"A= * LIST (\\HasNoChildren \\Junk) \"/\" Junk",
		"A= * MYRIGHTS Junk lrswipkxtecda",
		"A= * LIST (\\HasNoChildren \\Sent) \"/\" Sent",
		"A= * MYRIGHTS Sent lra",
		"A= h OK LIST completed.",
		NULL,
	};
	dialogue(rows);
}

/* The owner takes rights from himself, so what is said here is what is done. */
static void without_rights(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " PLAIN,
		"A: x CREATE box",
		"A= x OK ~",
		"A: x COPY 1 box",
		"A= x BAD ~",
		"A: x SETACL box " ME " r",
		"A= x OK ~",
		"A: a APPEND box {4+}\r\nabcd",
		"A= a NO [NOPERM] ~",
		"A: b CREATE box/below",
		"A= b NO [NOPERM] ~",
		"A: c DELETE box",
		"A= c NO [NOPERM] ~",
		"A: d RENAME box other",
		"A= d NO [NOPERM] ~",
		"A: e RENAME Junk box/junk",
		"A= e NO [NOPERM] ~",
		"A: f SELECT box",
		"A= * FLAGS ~",
		"A= * OK [PERMANENTFLAGS ()] ~",
		"A= * 0 EXISTS",
		"A= * 0 RECENT",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= f OK [READ-ONLY] ~",
		"A: g EXPUNGE",
		"A= g NO [READ-ONLY] ~",
		"A: h SETACL box " ME " -r",
		"A= h OK ~",
		"A: i STATUS box (MESSAGES)",
		"A= i NO [NOPERM] ~",
		"A: j SELECT box",
		"A= j NO [NOPERM] ~",
		NULL,
	};
	dialogue(rows);
}

/* Of flags only those that one may set are set. */
static void flags(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " PLAIN,
		"A: x CREATE box",
		"A= x OK ~",
		"A: x SETACL box " ME " rist",
		"A= x OK ~",
		"A: a APPEND box (\\Seen \\Deleted \\Flagged Word) {4+}\r\nabcd",
		"A= a OK [APPENDUID ~ 1] ~",
		"A: b SELECT box",
		"A= * FLAGS ~",
		"A= * OK [PERMANENTFLAGS (\\Deleted \\Seen)] ~",
		"A= * 1 EXISTS",
		"A= * 1 RECENT",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= b OK [READ-WRITE] ~",
		"A: c FETCH 1 FLAGS",
		"A= * 1 FETCH (FLAGS (\\Deleted \\Seen \\Recent))",
		"A= c OK ~",
		"A: d STORE 1 FLAGS (\\Flagged Word)",
		"A= d NO [NOPERM] ~",
		"A: e STORE 1 FLAGS (\\Flagged \\Seen)",
		"A= * 1 FETCH (FLAGS (\\Seen \\Recent))",
		"A= e OK ~",
		"A: f STORE 1 +FLAGS (\\Deleted)",
		"A= * 1 FETCH (FLAGS (\\Deleted \\Seen \\Recent))",
		"A= f OK ~",
		"A: g MOVE 1 INBOX",
		"A= g NO [NOPERM] ~",
		"A: h CLOSE",
		"A= h OK ~",
		"A: i STATUS box (MESSAGES)",
		"A= * STATUS box (MESSAGES 1)",
		"A= i OK ~",
		"A: j SETACL INBOX " ME " rt",
		"A= j OK ~",
		"A: k SELECT INBOX",
		"A= * FLAGS ~",
		"A= * OK [PERMANENTFLAGS (\\Deleted)] ~",
		"A= * 1 EXISTS",
		"A= * 1 RECENT",
		"A= * OK [UNSEEN 1] ~",
		"A= * OK [UIDVALIDITY ~",
		"A= * OK [UIDNEXT ~",
		"A= * OK [HIGHESTMODSEQ ~",
		"A= * OK [MAILBOXID ~",
		"A= k OK [READ-WRITE] ~",
		"A: l FETCH 1 BODY[TEXT]",
		"A= * 1 FETCH (BODY[TEXT] {11}",
		"A= Hello Joe",
		"A= )",
		"A= l OK ~",
		"A: m FETCH 1 FLAGS",
		"A= * 1 FETCH (FLAGS (\\Recent))",
		"A= m OK ~",
		NULL,
	};
	dialogue(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(what_can_be_given),
		cmocka_unit_test(without_rights),
		cmocka_unit_test(flags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
