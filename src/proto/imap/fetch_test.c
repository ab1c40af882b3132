/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH: every attribute, sections and partials, \Seen, large bodies, windows. */
#include "proto/imap/dialogue.h"

#define NESTED                                                                                     \
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"                                                 \
	"From: a@example.test\r\n"                                                                 \
	"MIME-Version: 1.0\r\n"                                                                    \
	"Content-Type: multipart/mixed; boundary=x\r\n"                                            \
	"\r\n"                                                                                     \
	"preamble\r\n"                                                                             \
	"--x\r\n"                                                                                  \
	"Content-Type: text/plain\r\n"                                                             \
	"X-Part: one\r\n"                                                                          \
	"\r\n"                                                                                     \
	"first\r\n"                                                                                \
	"--x\r\n"                                                                                  \
	"Content-Type: message/rfc822\r\n"                                                         \
	"\r\n"                                                                                     \
	"Subject: inner\r\n"                                                                       \
	"To: b@example.test\r\n"                                                                   \
	"\r\n"                                                                                     \
	"inner body\r\n"                                                                           \
	"--x--\r\n"

static void attributes(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " PLAIN,
		SELECT_SEEN("A", 1, 1),
		"A: a FETCH 1 FAST",
		"A= * 1 FETCH (FLAGS (\\Seen \\Recent) INTERNALDATE \" 9-Sep-2001 01:46:40 +0000\" "
		"RFC822.SIZE 197)",
		"A= a OK FETCH completed.",
		"A: b FETCH 1 (UID ENVELOPE)",
		"A= * 1 FETCH (UID 1 ENVELOPE (\"Mon, 7 Feb 1994 21:52:25 -0800\" "
		"\"afternoon meeting\" ((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.COM\")) "
		"((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.COM\")) "
		"((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.COM\")) "
		"((NIL NIL \"mooch\" \"owatagu.siam.edu\")) NIL NIL NIL "
		"\"<B27397-0100000@Blurdybloop.COM>\"))",
		"A= b OK FETCH completed.",
		"A: c FETCH 1 (BODY BODYSTRUCTURE)",
		"A= * 1 FETCH (BODY (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
		"\"7bit\" 11 1) "
		"BODYSTRUCTURE (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 11 "
		"1 ~))",
		"A= c OK FETCH completed.",
		"A: d UID FETCH 1 (RFC822.SIZE)",
		"A= * 1 FETCH (UID 1 RFC822.SIZE 197)",
		"A= d OK UID FETCH completed.",
		"A: e UID FETCH 7 (FLAGS)",
		"A= e OK UID FETCH completed.",
		"A: f FETCH 2 (FLAGS)",
		"A= f BAD ~",
		"A: g FETCH 1 (RFC822.HEADER)",
		"A= * 1 FETCH (RFC822.HEADER {186}",
		"A= Date: Mon, 7 Feb 1994 21:52:25 -0800",
		"A= From: Fred Foobar <foobar@Blurdybloop.COM>",
		"A= Subject: afternoon meeting",
		"A= To: mooch@owatagu.siam.edu",
		"A= Message-Id: <B27397-0100000@Blurdybloop.COM>",
		"A= ",
		"A= )",
		"A= g OK FETCH completed.",
		"A: h FETCH 1 (RFC822.TEXT)",
		"A= * 1 FETCH (RFC822.TEXT {11}",
		"A= Hello Joe",
		"A= )",
		"A= h OK FETCH completed.",
		NULL,
	};
	dialogue(rows);
}

static void sections(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " NESTED,
		SELECT_SEEN("A", 1, 1),
		"A: a FETCH 1 BODY.PEEK[1]",
		"A= * 1 FETCH (BODY[1] {5}",
		"A= first)",
		"A= a OK FETCH completed.",
		"A: b FETCH 1 BODY.PEEK[1.MIME]",
		"A= * 1 FETCH (BODY[1.MIME] {41}",
		"A= Content-Type: text/plain",
		"A= X-Part: one",
		"A= ",
		"A= )",
		"A= b OK FETCH completed.",
		"A: c FETCH 1 (BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT])",
		"A= * 1 FETCH (BODY[2.HEADER] {38}",
		"A= Subject: inner",
		"A= To: b@example.test",
		"A= ",
		"A=  BODY[2.TEXT] {10}",
		"A= inner body)",
		"A= c OK FETCH completed.",
		"A: d FETCH 1 BODY.PEEK[2.HEADER.FIELDS (TO X-NONE)]",
		"A= * 1 FETCH (BODY[2.HEADER.FIELDS (TO X-NONE)] {22}",
		"A= To: b@example.test",
		"A= ",
		"A= )",
		"A= d OK FETCH completed.",
		"A: e FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (Subject content-type mime-version)]",
		"A= * 1 FETCH (BODY[HEADER.FIELDS.NOT (Subject content-type mime-version)] {24}",
		"A= From: a@example.test",
		"A= ",
		"A= )",
		"A= e OK FETCH completed.",
		"A: f FETCH 1 (BODY.PEEK[3] BODY.PEEK[1.HEADER] BODY.PEEK[2.2])",
		"A= * 1 FETCH (BODY[3] NIL BODY[1.HEADER] NIL BODY[2.2] NIL)",
		"A= f OK FETCH completed.",
		"A: g FETCH 1 BODY.PEEK[2.1]",
		"A= * 1 FETCH (BODY[2.1] {10}",
		"A= inner body)",
		"A= g OK FETCH completed.",
		NULL,
	};
	dialogue(rows);
}

static void partials(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " PLAIN,
		SELECT_SEEN("A", 1, 1),
		"A: a FETCH 1 BODY.PEEK[TEXT]<2.3>",
		"A= * 1 FETCH (BODY[TEXT]<2> {3}",
		"A= llo)",
		"A= a OK FETCH completed.",
		"A: b FETCH 1 (BODY.PEEK[TEXT]<9.100> BODY.PEEK[TEXT]<11.1> "
		"BODY.PEEK[]<4000000000.1>)",
		"A= * 1 FETCH (BODY[TEXT]<9> {2}",
		"A= ",
		"A=  BODY[TEXT]<11> \"\" BODY[]<4000000000> \"\")",
		"A= b OK FETCH completed.",
		"A: c FETCH 1 BODY.PEEK[]<0.4>",
		"A= * 1 FETCH (BODY[]<0> {4}",
		"A= Date)",
		"A= c OK FETCH completed.",
		"A: d FETCH 1 BODY.PEEK[]<0.0>",
		"A= d BAD ~",
		NULL,
	};
	dialogue(rows);
}

/* \Seen: set unless PEEK, told in the same FETCH, and not again. */
static void sets_seen(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " PLAIN,
		"+ INBOX (\\Seen) " PLAIN,
		SELECT_UNSEEN("A", 2, 2, 1),
		SELECT_UNSEEN("B", 2, 0, 1),
		"A: a FETCH 1:2 (BODY.PEEK[TEXT]<0.1>)",
		"A= * 1 FETCH (BODY[TEXT]<0> {1}",
		"A= H)",
		"A= * 2 FETCH (BODY[TEXT]<0> {1}",
		"A= H)",
		"A= a OK FETCH completed.",
		"A: b FETCH 1:2 (BODY[TEXT]<0.1>)",
		"A= * 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT]<0> {1}",
		"A= H)",
		"A= * 2 FETCH (BODY[TEXT]<0> {1}",
		"A= H)",
		"A= b OK FETCH completed.",
		"A: c NOOP",
		"A= c OK NOOP completed.",
		"B: c NOOP",
		"B= * 1 FETCH (FLAGS (\\Seen))",
		"B= c OK NOOP completed.",
		"A: d STORE 1:2 -FLAGS.SILENT (\\Seen)",
		"A= d OK STORE completed.",
		/* Once CONDSTORE-aware, such an answer has UID and MODSEQ (RFC 7162 3.2.4). */
		"B: e FETCH 2 (MODSEQ)",
		"B= * OK [HIGHESTMODSEQ ~] ~",
		"B= * 2 FETCH (MODSEQ (~))",
		"B= * 1 FETCH (UID 1 FLAGS () MODSEQ (~))",
		"B= * 2 FETCH (UID 2 FLAGS () MODSEQ (~))",
		"B= e OK FETCH completed.",
		"B: f FETCH 1 (RFC822.TEXT)",
		"B= * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (~) RFC822.TEXT {11}",
		"B= Hello Joe",
		"B= )",
		"B= f OK FETCH completed.",
		NULL,
	};
	dialogue(rows);
}

static void prefix_is_part_of_the_message(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	world_append(&w, STR("INBOX"), STORE_SEEN, STR("Return-Path: <x@y>\r\n"),
		     STR("Subject: s\r\n\r\nbody"));
	static const char *const rows[] = {
		SELECT_SEEN("A", 1, 1),
		"A: a FETCH 1 (RFC822.SIZE BODY[])",
		"A= * 1 FETCH (RFC822.SIZE 38 BODY[] {38}",
		"A= Return-Path: <x@y>",
		"A= Subject: s",
		"A= ",
		"A= body)",
		"A= a OK FETCH completed.",
		"A: b FETCH 1 (BODY[HEADER] BODY[TEXT])",
		"A= * 1 FETCH (BODY[HEADER] {34}",
		"A= Return-Path: <x@y>",
		"A= Subject: s",
		"A= ",
		"A=  BODY[TEXT] {4}",
		"A= body)",
		"A= b OK FETCH completed.",
		"A: c FETCH 1 BODY[HEADER.FIELDS (return-path)]",
		"A= * 1 FETCH (BODY[HEADER.FIELDS (return-path)] {22}",
		"A= Return-Path: <x@y>",
		"A= ",
		"A= )",
		"A= c OK FETCH completed.",
		"A: s SEARCH HEADER Return-Path x@y TEXT x@y",
		"A= * SEARCH 1",
		"A= s OK SEARCH completed.",
		/* A partial that starts in the prefix and ends in the body. */
		"A: d FETCH 1 BODY[]<13.15>",
		"A= * 1 FETCH (BODY[]<13> {15}",
		"A= <x@y>",
		"A= Subject:)",
		"A= d OK FETCH completed.",
		NULL,
	};
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	expect_silence(&w);
	world_close(&w);
}

/* The same commands with a window of one byte and with a large one give the same bytes. */
static void windows_do_not_show(void **state)
{
	(void)state;
	struct world w;
	AUTO(buf) struct buf wide = BUF_INIT(MIB(4));
	world_open(&w, 0);
	for (unsigned i = 0; i < 30; i++)
		world_append(&w, STR("INBOX"), STORE_SEEN, STR_NULL, STR(NESTED));
	for (unsigned tiny = 0; tiny < 2; tiny++) {
		struct player *p = &w.player[0];
		if (tiny)
			p->out.window = 1;
		world_send(&w, p, STR("a EXAMINE INBOX\r\n"));
		world_send(&w, p, STR("b FETCH 1:* (FLAGS UID BODY[] BODYSTRUCTURE)\r\n"));
		world_send(&w, p, STR("c UID SEARCH ALL\r\n"));
		world_send(&w, p, STR("d UNSELECT\r\n"));
		if (!tiny)
			buf_add(&wide, buf_str(&p->got));
		else
			assert_true(str_eq(buf_str(&wide), buf_str(&p->got)));
		assert_true(p->got.n > 30 * sizeof NESTED);
		buf_reset(&p->got);
	}
	world_close(&w);
}

/* A body of its own file is sent as a range of it, with the prefix as text before. */
static void large_bodies_are_ranges(void **state)
{
	(void)state;
	struct world w;
	AUTO(buf) struct buf big = BUF_INIT(MIB(2)), command = BUF_INIT(MIB(2));
	buf_add(&big, STR("Subject: big\r\n\r\n"));
	while (big.n < KIB(200))
		buf_addf(&big, "line %zu of a large message\r\n", big.n);
	world_open(&w, MODE_EXTERNAL);
	struct player *p = &w.player[0];
	buf_addf(&command, "a APPEND INBOX (\\Seen) {%zu+}\r\n", big.n);
	buf_add(&command, buf_str(&big));
	buf_add(&command, STR("\r\n"));
	world_send(&w, p, buf_str(&command));
	world_row(&w, "A= a OK [APPENDUID ~ 1] ~");
	static const char *const rows[] = {SELECT_SEEN("A", 1, 1), NULL};
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	struct imap_session_input in = {
		.cmd = {.text = STR("b FETCH 1 (UID BODY[] BODY[TEXT]<10.20>)")}};
	assert_int_equal(imap_session_command(p->session, &in, &p->out), IMAP_DONE);
	assert_int_equal(p->out.pieces.n, 1);
	assert_true(p->out.text.n < 300);
	player_drain(p);
	struct str got = buf_str(&p->got);
	size_t at = str_find_str(got, 0, STR("\r\n")) + 2;
	assert_true(str_eq(str_sub(got, at, at + big.n), buf_str(&big)));
	AUTO(buf) struct buf rest = BUF_INIT(1024);
	buf_addf(&rest, " BODY[TEXT]<10> {20}\r\n%.*s)\r\nb OK FETCH completed.\r\n", 20,
		 big.p + 26);
	assert_true(str_eq(str_skip(got, at + big.n), buf_str(&rest)));
	buf_reset(&p->got);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes),
		cmocka_unit_test(sections),
		cmocka_unit_test(partials),
		cmocka_unit_test(sets_seen),
		cmocka_unit_test(prefix_is_part_of_the_message),
		cmocka_unit_test(windows_do_not_show),
		cmocka_unit_test(large_bodies_are_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
