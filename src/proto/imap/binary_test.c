/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/imap/dialogue.h"

/* Parts 1 quoted-printable, 2 base64 of "a NUL b CRLF", 3 x-unknown, 4 a message. */
#define MIXED                                                                                      \
	"Content-Type: multipart/mixed; boundary=x\r\n\r\n"                                        \
	"--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 =\r\nau lait\r\n"     \
	"--x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"   \
	"\r\nYQBiDQo=\r\n"                                                                         \
	"--x\r\nContent-Transfer-Encoding: x-rot13\r\n\r\nuryyb\r\n"                               \
	"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n"                               \
	"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"                                    \
	"--x--\r\n"

static void parts(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX " MIXED,
		"+ INBOX (\\Seen) Subject: s\r\nContent-Transfer-Encoding: "
		"base64\r\n\r\naGVsbG8=\r\n",
		SELECT_UNSEEN("A", 2, 2, 1),
		"A: a FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.SIZE[4] BINARY.SIZE[9])",
		"A= * 1 FETCH (BINARY.SIZE[1] 13 BINARY.SIZE[2] 5 BINARY.SIZE[4] 58 "
		"BINARY.SIZE[9] 0)",
		"A= a OK ~", "A: b FETCH 1 BINARY.PEEK[1]", "A= * 1 FETCH (BINARY[1] {13}",
		"A= caf\xc3\xa9 au lait)", "A= b OK ~", "A: c FETCH 1 BINARY.PEEK[1]<3.4>",
		"A= * 1 FETCH (BINARY[1]<3> {4}", "A= \xc3\xa9 a)", "A= c OK ~",
		"A: d FETCH 1 BINARY.PEEK[1]<20.4>", "A= * 1 FETCH (BINARY[1]<20> {0}", "A= )",
		"A= d OK ~", "A: e FETCH 1 BINARY.PEEK[9]", "A= * 1 FETCH (BINARY[9] NIL)",
		"A= e OK ~", "A: f FETCH 1:2 BINARY.PEEK[3]", "A= * 2 FETCH (BINARY[3] NIL)",
		"A= f NO [UNKNOWN-CTE] ~", "A: g FETCH 1 BINARY.SIZE[3]", "A= g NO [UNKNOWN-CTE] ~",
		"A: h FETCH 1 BINARY.PEEK[4.1]", "A= * 1 FETCH (BINARY[4.1] {5}", "A= hello)",
		"A= h OK ~", "A: i FETCH 2 BINARY.PEEK[1]", "A= * 2 FETCH (BINARY[1] {5}",
		"A= hello)", "A= i OK ~", "A: j FETCH 2 (BINARY.SIZE[] BINARY[])",
		"A= * 2 FETCH (BINARY.SIZE[] 59 BINARY[] {59}", "A= Subject: s",
		"A= Content-Transfer-Encoding: base64", "A= ", "A= aGVsbG8=", "A= )", "A= j OK ~",
		/* Only without PEEK the flag is set. */
		"A: k FETCH 1 BINARY[1]<0.1>",
		"A= * 1 FETCH (FLAGS (\\Seen \\Recent) BINARY[1]<0> {1}", "A= c)", "A= k OK ~",
		NULL};
	dialogue(rows);
}

/* Bytes with NUL: not in the tables, which are C strings. */
static void send_bytes(struct world *w, struct str bytes)
{
	world_send(w, &w->player[0], bytes);
}

static void expect_bytes(struct world *w, struct str want)
{
	struct buf *got = &w->player[0].got;
	if (!str_starts(buf_str(got), want))
		fail_msg("wanted \"%.*s\", got \"%.*s\"", STR_ARG(want), STR_ARG(buf_str(got)));
	buf_drop(got, want.n);
}

#define BYTES(literal) ((struct str){(literal), sizeof(literal) - 1})
#define WITH_NUL                                                                                   \
	"Subject: n\r\nContent-Type: application/octet-stream\r\n"                                 \
	"Content-Transfer-Encoding: binary\r\n\r\nab\0cd\r\n"

static void nul_is_kept_in(unsigned mode)
{
	static const char *const rows[] = {"A: sel SELECT INBOX",
					   OPENED("A"),
					   "A= * 1 EXISTS",
					   "A= * 1 RECENT",
					   "A= * OK [UNSEEN 1] ~",
					   OPENED_END("A"),
					   "A: b FETCH 1 (BODY.PEEK[] BINARY.SIZE[1])",
					   NULL};
	struct world w;
	world_open(&w, mode);
	send_bytes(&w, BYTES("a APPEND INBOX ~{96}\r\n" WITH_NUL "\r\n"));
	world_row(&w, "A= a OK [APPENDUID ~ 1] ~");
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	expect_bytes(&w, STR("* 1 FETCH (BODY[] {103}\r\n"
			     "Subject: n\r\nContent-Type: application/octet-stream\r\n"
			     "Content-Transfer-Encoding: base64\r\n\r\nYWIAY2QNCg==\r\n"
			     " BINARY.SIZE[1] 7)\r\nb OK"));
	buf_reset(&w.player[0].got);
	world_row(&w, "A: c FETCH 1 BINARY.PEEK[1]");
	expect_bytes(&w, BYTES("* 1 FETCH (BINARY[1] ~{7}\r\nab\0cd\r\n)\r\nc OK"));
	buf_reset(&w.player[0].got);
	world_row(&w, "A: d FETCH 1 BINARY.PEEK[1]<3.2>");
	expect_bytes(&w, BYTES("* 1 FETCH (BINARY[1]<3> {2}\r\ncd)\r\nd OK"));
	buf_reset(&w.player[0].got);
	world_close(&w);
}

static void nul_is_kept(void **state)
{
	(void)state;
	nul_is_kept_in(0);
	nul_is_kept_in(MODE_EXTERNAL);
	nul_is_kept_in(MODE_TINY | MODE_EXPORT);
}

static void nul_is_refused(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, MODE_EXTERNAL);
	send_bytes(&w, BYTES("a APPEND INBOX {5}\r\n\r\na\0b\r\n"));
	world_row(&w, "A= a NO [CANNOT] ~");
	send_bytes(&w, BYTES("b APPEND INBOX ~{16}\r\nSubject: \0\r\n\r\nab\r\n"));
	world_row(&w, "A= b NO [UNKNOWN-CTE] ~");
	send_bytes(&w, BYTES("c APPEND INBOX ~{42}\r\nContent-Transfer-Encoding: "
			     "base64\r\n\r\na\0=\r\n\r\n"));
	world_row(&w, "A= c NO [UNKNOWN-CTE] ~");
	world_row(&w, "A: d STATUS INBOX (MESSAGES)");
	world_row(&w, "A= * STATUS INBOX (MESSAGES 0)");
	world_row(&w, "A= d OK ~");
	world_close(&w);
}

/* A part of several MiB: decoded through a file, the window apart. */
static void large_part(void **state)
{
	(void)state;
	struct world w;
	struct fail why = FAIL_INIT;
	AUTO(buf) struct buf message = BUF_INIT(MIB(8)), map = BUF_INIT(MIB(1));
	AUTO(store_body) struct store_body body = STORE_BODY_INIT;
	world_open(&w, 0);
	buf_add_c(&message, "Content-Transfer-Encoding: base64\r\n\r\n");
	for (unsigned i = 0; i < 60000; i++)
		buf_add_c(&message,
			  "MDEyMzQ1Njc4OWFiMDEyMzQ1Njc4OWFiMDEyMzQ1Njc4OWFiMDEyMzQ1Njc4OWFi\r\n");
	assert_ok(store_body_create(w.store, 0, &body, &why), &why);
	assert_int_equal(write(body.fd, message.p, message.n), (ssize_t)message.n);
	assert_ok(store_body_seal(w.store, &body, &why), &why);
	struct store_append_message m = {.content = {.file = &body}};
	assert_ok(world_scan(NULL, &m.content, &map, &why), &why);
	m.content.map = buf_str(&map);
	struct store_append a = {
		.account = w.account, .mailbox = STR("INBOX"), .messages = &m, .n = 1};
	struct store_append_result result;
	assert_ok(store_append(w.store, &a, &result, &why), &why);
	static const char *const rows[] = {SELECT_UNSEEN("A", 1, 1, 1),
					   "A: a FETCH 1 BINARY.SIZE[1]",
					   "A= * 1 FETCH (BINARY.SIZE[1] 2880000)",
					   "A= a OK ~",
					   "A: b FETCH 1 BINARY.PEEK[1]<2879990.100>",
					   "A= * 1 FETCH (BINARY[1]<2879990> {10}",
					   "A= 23456789ab)",
					   "A= b OK ~",
					   "A: c FETCH 1 BINARY.PEEK[1]",
					   NULL};
	for (size_t i = 0; rows[i]; i++)
		world_row(&w, rows[i]);
	struct buf *got = &w.player[0].got;
	expect_bytes(&w, STR("* 1 FETCH (BINARY[1] {2880000}\r\n"));
	for (unsigned i = 0; i < 2880000 / 12; i++)
		if (memcmp(got->p + 12 * (size_t)i, "0123456789ab", 12) != 0)
			fail_msg("piece %u differs", i);
	buf_drop(got, 2880000);
	expect_bytes(&w, STR(")\r\nc OK"));
	buf_reset(got);
	world_close(&w);
}

/* All or none, one UID after the other. */
static void several_at_once(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"A: a APPEND INBOX (\\Seen) {1+}\r\nx (\\Flagged) \"7-Feb-1994 21:52:25 -0800\" "
		"{1+}\r\ny ~{1+}\r\nz",
		"A= a OK [APPENDUID ~ 1:3] ~",
		"A: b APPEND INBOX {1+}\r\nx {0+}\r\n",
		"A= b NO [CANNOT] ~",
		"A: c APPEND Nowhere {1+}\r\nx {1+}\r\ny",
		"A= c NO [TRYCREATE] ~",
		"A: d STATUS INBOX (MESSAGES APPENDLIMIT)",
		"A= * STATUS INBOX (MESSAGES 3 APPENDLIMIT 67108864)",
		"A= d OK ~",
		NULL};
	dialogue(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts),	   cmocka_unit_test(nul_is_kept),
		cmocka_unit_test(nul_is_refused),  cmocka_unit_test(large_part),
		cmocka_unit_test(several_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
