/* SPDX-License-Identifier: Apache-2.0 */
/* SEARCH: every key, on four messages. */
#include "proto/imap/dialogue.h"

#define HTML                                                                                       \
	"Date: Tue, 8 Feb 1994 23:30:00 -0800\r\n"                                                 \
	"From: =?iso-8859-1?q?J=F6rg?= <joerg@example.test>\r\n"                                   \
	"Cc: cc@example.test\r\n"                                                                  \
	"Subject: =?utf-8?b?R3LDvMOfZQ==?= aus Ulm\r\n"                                            \
	"X-Empty:\r\n"                                                                             \
	"MIME-Version: 1.0\r\n"                                                                    \
	"Content-Type: multipart/mixed; boundary=b\r\n"                                            \
	"\r\n"                                                                                     \
	"--b\r\n"                                                                                  \
	"Content-Type: text/plain; charset=utf-8\r\n"                                              \
	"Content-Transfer-Encoding: base64\r\n"                                                    \
	"\r\n"                                                                                     \
	"VW5ib3dlZCwgw5xiZXJhbGwgaGlkZGVu\r\n"                                                     \
	"--b\r\n"                                                                                  \
	"Content-Type: application/octet-stream\r\n"                                               \
	"Content-Transfer-Encoding: base64\r\n"                                                    \
	"\r\n"                                                                                     \
	"YmluYXJ5c2VjcmV0\r\n"                                                                     \
	"--b--\r\n"

#define NO_DATE                                                                                    \
	"From: plain@example.test\r\nBcc: hidden@example.test\r\n\r\nsoft line=\r\n break\r\n"

#define QP                                                                                         \
	"Date: Thu, 10 Feb 1994 01:00:00 +0000\r\n"                                                \
	"To: joerg@example.test\r\n"                                                               \
	"Content-Transfer-Encoding: quoted-printable\r\n"                                          \
	"\r\n"                                                                                     \
	"soft li=\r\nne break\r\n"

struct query {
	const char *key;
	const char *hits; /* "" or " 1 2" */
};

static const struct query queries[] = {
	{"ALL", " 1 2 3 4"},
	{"1,3:*", " 1 3 4"},
	{"4:9", " 4"},
	{"UID 2:3", " 2 3"},
	{"UID 77", ""},
	{"SEEN (UID 1:2 ALL)", " 1"}, /* a set that all hits are in narrows what is looked at */
	{"UID 2:4 1:3", " 2 3"},
	{"9:12", ""},
	{"OR UID 1 UID 3", " 1 3"}, /* these do not */
	{"OR 2 SEEN", " 1 2"},
	{"NOT UID 1:3", " 4"},
	{"SEEN", " 1"},
	{"UNSEEN", " 2 3 4"},
	{"RECENT", " 1 2 3 4"},
	{"NEW", " 2 3 4"},
	{"OLD", ""},
	{"ANSWERED", ""},
	{"UNANSWERED SEEN", " 1"},
	{"FLAGGED", " 2"},
	{"UNFLAGGED", " 1 3 4"},
	{"DELETED", ""},
	{"UNDELETED", " 1 2 3 4"},
	{"DRAFT", ""},
	{"UNDRAFT", " 1 2 3 4"},
	{"KEYWORD $Later", " 2"},
	{"UNKEYWORD $Later", " 1 3 4"},
	{"KEYWORD $Never", ""},
	{"LARGER 250", " 2"},
	{"SMALLER 201", " 1 3 4"},
	{"LARGER 200", " 2"},
	{"ON 9-Sep-2001", " 1 2 3 4"},
	{"BEFORE 9-Sep-2001", ""},
	{"SINCE 9-Sep-2001", " 1 2 3 4"},
	{"SINCE 10-Sep-2001", ""},
	{"SENTON 7-Feb-1994", " 1"},
	{"SENTON 8-Feb-1994", " 2"}, /* the sender's day, not UTC's */
	{"SENTBEFORE 9-Feb-1994", " 1 2"},
	{"SENTSINCE 8-Feb-1994", " 2 4"},
	{"FROM foobar", " 1"},
	{"FROM \"FRED F\"", " 1"},
	{"TO joerg", " 4"},
	{"CC example", " 2"},
	{"BCC hidden", " 3"},
	{"SUBJECT MEETING", " 1"},
	{"HEADER Message-ID B27397", " 1"},
	{"HEADER X-Empty \"\"", " 2"},
	{"HEADER Subject \"\"", " 1 2"},
	{"HEADER X-None \"\"", ""},
	{"HEADER Content-Type multipart", " 2"},
	{"HEADER Date 1994", " 1 2 4"},
	{"CHARSET UTF-8 SUBJECT {7+}\r\ngr\xc3\xbc\xc3\x9f"
	 "e",
	 " 2"},
	{"CHARSET UTF-8 FROM {5+}\r\nJ\xc3\x96rg", " 2"},
	{"BODY hello", " 1"},
	{"BODY hidden", " 2"}, /* decoded; a Bcc is no body */
	{"CHARSET UTF-8 BODY {9+}\r\n\xc3\xbc"
	 "berall ",
	 " 2"},
	{"BODY binarysecret", ""},
	{"BODY \"soft line break\"", " 4"},
	{"BODY joerg", ""},
	{"TEXT joerg", " 2 4"},
	{"TEXT hidden", " 2 3"},
	{"TEXT \"\"", " 1 2 3 4"},
	{"OR FROM foobar TO joerg", " 1 4"},
	{"NOT TEXT joerg", " 1 3"},
	{"NOT (SEEN FROM foobar)", " 2 3 4"},
	{"OR (SEEN BODY hello) (FLAGGED BODY nothing)", " 1"},
	{"2:3 NOT BODY hidden", " 3"},
	{"OR FLAGGED TEXT hello", " 1 2"}, /* 2 is known before 1 */
	{"MODSEQ 1 SEEN", " 1 (MODSEQ ~)"},
};

static void every_key(void **state)
{
	(void)state;
	struct world w;
	world_open(&w, 0);
	static const char *const before[] = {"+ INBOX (\\Seen) " PLAIN,
					     "+ INBOX " HTML,
					     "+ INBOX " NO_DATE,
					     "+ INBOX " QP,
					     SELECT_UNSEEN("A", 4, 4, 2),
					     "A: a STORE 2 +FLAGS.SILENT (\\Flagged $Later)",
					     "A= * FLAGS ~",
					     "A= * OK [PERMANENTFLAGS ~",
					     "A= a OK ~",
					     "A: e ENABLE CONDSTORE",
					     "A= * ENABLED CONDSTORE",
					     "A= * OK [HIGHESTMODSEQ ~",
					     "A= e OK ~",
					     NULL};
	for (size_t i = 0; before[i]; i++)
		world_row(&w, before[i]);
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		AUTO(buf) struct buf row = BUF_INIT(1000);
		buf_addf(&row, "A: q SEARCH %s", queries[i].key);
		world_row(&w, buf_c(&row));
		buf_reset(&row);
		buf_addf(&row, "A= * SEARCH%s", queries[i].hits);
		w.row = queries[i].key;
		expect_line(&w, &w.player[0], str_skip(buf_str(&row), 3));
		world_row(&w, "A= q OK SEARCH completed.");
	}
	world_close(&w);
}

static void by_uid(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"+ INBOX (\\Seen) " PLAIN,
		"+ INBOX (\\Seen) " PLAIN,
		"+ INBOX (\\Seen) " HTML,
		SELECT_SEEN("A", 3, 3),
		"A: a STORE 1 +FLAGS.SILENT (\\Deleted)",
		"A= a OK ~",
		"A: b EXPUNGE",
		"A= * 1 EXPUNGE",
		"A= * 2 RECENT",
		"A= b OK ~",
		"A: c UID SEARCH BODY hello",
		"A= * SEARCH 2",
		"A= c OK UID SEARCH completed.",
		"A: d SEARCH UID *",
		"A= * SEARCH 2",
		"A= d OK SEARCH completed.",
		"A: e UID SEARCH 1:*",
		"A= * SEARCH 2 3",
		"A= e OK UID SEARCH completed.",
		NULL,
	};
	dialogue(rows);
}

static void charsets(void **state)
{
	(void)state;
	static const char *const rows[] = {
		SELECT_SEEN("A", 0, 0),
		"A: a SEARCH CHARSET KOI8-R BODY x",
		"A= a NO [BADCHARSET (US-ASCII UTF-8)] ~",
		"A: b SEARCH CHARSET us-ascii BODY x",
		"A= * SEARCH",
		"A= b OK ~",
		"A: c SEARCH CHARSET UTF-8 BODY {2+}\r\n\xc3(",
		"A= c NO ~",
		"A: d SEARCH *",
		"A= * SEARCH",
		"A= d OK ~",
		NULL,
	};
	dialogue(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key),
		cmocka_unit_test(by_uid),
		cmocka_unit_test(charsets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
