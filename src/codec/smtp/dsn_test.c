/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "base/utf8.h"
#include "codec/smtp/dsn_int.h"

#define AT(seconds) ((struct wall_us){INT64_C(seconds) * SEC_US})

static const struct dsn_rcpt bob = {
	.address = STR("bob@example.net"),
	.orcpt = STR("rfc822;Bob+2Bx@example.org"),
	.action = DSN_FAILED,
	.status = STR("5.1.1"),
	.remote_mta = STR("mx.example.net"),
	.diagnostic = STR("550 5.1.1 No such user"),
	.last_attempt = {INT64_C(1763719260) * SEC_US},
};

static struct dsn make(const struct dsn_rcpt *rcpts, size_t n)
{
	return (struct dsn){
		.reporting_mta = STR("mx.example.test"),
		.postmaster_domain = STR("our.example.org"),
		.to = STR("alice@example.test"),
		.envid = STR("QQ+2B314"),
		.queue_id = STR("42"),
		.unique = STR("00112233"),
		.arrival = AT(1763719200),
		.now = AT(1763719300),
		.header = STR("Subject: Hello\r\n\r\n"),
		.body = STR("Dear Bob,\r\n"),
		.rcpts = rcpts,
		.rcpt_count = n,
	};
}

static void assert_has(const struct buf *b, const char *text)
{
	if (str_find_str(buf_str(b), 0, str_c(text)) == b->n)
		fail_msg("no \"%s\" in:\n%s", text, buf_c(b));
}

static void assert_lacks(const struct buf *b, const char *text)
{
	if (str_find_str(buf_str(b), 0, str_c(text)) < b->n)
		fail_msg("\"%s\" in:\n%s", text, buf_c(b));
}

static void assert_crlf_only(const struct buf *b)
{
	for (size_t i = 0; i < b->n; i++) {
		assert_true(b->p[i] != '\n' || (i && b->p[i - 1] == '\r'));
		assert_true(b->p[i] != '\r' || (i + 1 < b->n && b->p[i + 1] == '\n'));
	}
}

static void test_failed(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct dsn d = make(&bob, 1);
	assert_int_equal(dsn_write(&b, &d), 0);
	assert_str(buf_str(&b),
		   "From: Mail Delivery System <MAILER-DAEMON@mx.example.test>\r\n"
		   "To: <alice@example.test>\r\n"
		   "Subject: Your message to bob@example.net was not delivered\r\n"
		   "Date: Fri, 21 Nov 2025 10:01:40 +0000\r\n"
		   "Message-ID: <00112233@mx.example.test>\r\n"
		   "Auto-Submitted: auto-replied\r\n"
		   "MIME-Version: 1.0\r\n"
		   "Content-Type: multipart/report; report-type=delivery-status;\r\n"
		   "\tboundary=\"barid-00112233\"\r\n"
		   "\r\n"
		   "This is a report in MIME format.\r\n"
		   "\r\n--barid-00112233\r\n"
		   "Content-Type: text/plain; charset=us-ascii\r\n"
		   "\r\n"
		   "Your message could not be delivered to:\r\n"
		   "\r\n"
		   "  bob@example.net\r\n"
		   "    There is no mailbox with this address.\r\n"
		   "    Check the spelling of the address, or ask the recipient in another\r\n"
		   "    way.\r\n"
		   "\r\n"
		   "We do not try again. You can send the message anew once the reason is\r\n"
		   "out of the way.\r\n"
		   "\r\n"
		   "This report is about the message that you sent:\r\n"
		   "\r\n"
		   "    Subject: Hello\r\n"
		   "    Sent: Friday, 21 November 2025, 10:00 (UTC)\r\n"
		   "\r\n"
		   "If you need help, write to postmaster@our.example.org and name the\r\n"
		   "number 42.\r\n"
		   "\r\n"
		   "Technical details\r\n"
		   "-----------------\r\n"
		   "bob@example.net: 5.1.1 mx.example.net answered: 550 5.1.1 No such user\r\n"
		   "\r\n--barid-00112233\r\n"
		   "Content-Type: message/delivery-status\r\n"
		   "\r\n"
		   "Original-Envelope-Id: QQ+314\r\n"
		   "Reporting-MTA: dns;mx.example.test\r\n"
		   "Arrival-Date: Fri, 21 Nov 2025 10:00:00 +0000\r\n"
		   "\r\n"
		   "Original-Recipient: rfc822;Bob+x@example.org\r\n"
		   "Final-Recipient: rfc822;bob@example.net\r\n"
		   "Action: failed\r\n"
		   "Status: 5.1.1\r\n"
		   "Remote-MTA: dns;mx.example.net\r\n"
		   "Diagnostic-Code: smtp;550 5.1.1 No such user\r\n"
		   "Last-Attempt-Date: Fri, 21 Nov 2025 10:01:00 +0000\r\n"
		   "\r\n--barid-00112233\r\n"
		   "Content-Type: text/rfc822-headers\r\n"
		   "\r\n"
		   "Subject: Hello\r\n\r\n"
		   "\r\n--barid-00112233--\r\n");
}

static void test_full_and_8bit(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct dsn d = make(&bob, 1);
	d.full = true;
	d.body = STR("Gr\xc3\xbc\xc3\x9f"
		     "e\r\n");
	assert_int_equal(dsn_write(&b, &d), 0);
	assert_has(&b, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
		       "Subject: Hello\r\n\r\nGr\xc3\xbc\xc3\x9f"
		       "e\r\n\r\n--barid-00112233--\r\n");
	assert_has(&b, "boundary=\"barid-00112233\"\r\nContent-Transfer-Encoding: 8bit\r\n");
	assert_crlf_only(&b);
}

static void test_delayed(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct dsn_rcpt r = {.address = STR("bob@example.net"),
			     .action = DSN_DELAYED,
			     .diagnostic = STR("no relay yet"),
			     .will_retry_until = AT(1764151200)};
	struct dsn d = make(&r, 1);
	d.envid = STR_NULL;
	assert_int_equal(dsn_write(&b, &d), 0);
	assert_has(&b, "Subject: Your message to bob@example.net is delayed\r\n");
	assert_has(&b, "has not been delivered yet to:\r\n\r\n  bob@example.net\r\n");
	assert_has(&b, "You do not need to do anything");
	assert_has(&b, "    We keep trying until Wednesday, 26 November 2025, 10:00 (UTC).\r\n");
	assert_has(&b,
		   "Action: delayed\r\nStatus: 4.0.0\r\nDiagnostic-Code: x-barid;no relay yet\r\n"
		   "Will-Retry-Until: Wed, 26 Nov 2025 10:00:00 +0000\r\n");
	assert_lacks(&b, "Original-Envelope-Id");
	assert_lacks(&b, "Future-Release-Request");
	d.hold_until = AT(1764151200);
	buf_reset(&b);
	assert_int_equal(dsn_write(&b, &d), 0);
	assert_has(&b, "\r\nFuture-Release-Request: until;2025-11-26T10:00:00Z\r\n");
	assert_lacks(&b, "Original-Recipient");
	assert_lacks(&b, "Remote-MTA");
	assert_lacks(&b, "Last-Attempt-Date");
}

static void test_several(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct dsn_rcpt r[] = {{.address = STR("one@a.example"), .action = DSN_DELIVERED},
			       {.address = STR("two@a.example"), .action = DSN_DELIVERED},
			       {.address = STR("three@a.example"), .action = DSN_RELAYED},
			       {.address = STR("four@a.example"), .action = DSN_EXPANDED}};
	struct dsn d = make(r, ARRAY_LEN(r));
	assert_int_equal(dsn_write(&b, &d), 0);
	assert_has(&b, "Subject: Your message to one@a.example and 1 more was delivered\r\n");
	assert_has(&b, "was delivered to:\r\n\r\n  one@a.example\r\n\r\n  two@a.example\r\n\r\n"
		       "You asked");
	assert_has(&b, "passed on to the next server for:\r\n\r\n  three@a.example\r\n");
	assert_has(&b, "\r\n\r\nFinal-Recipient: rfc822;four@a.example\r\nAction: expanded\r\n"
		       "Status: 2.0.0\r\n");
	assert_has(&b, "Action: relayed\r\n");
}

static void test_utf8(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct dsn_rcpt r = {.address = STR("j\xc3\xbc@example.net"),
			     .orcpt = STR("utf-8;j\\x{FC}@example.net"),
			     .action = DSN_FAILED};
	struct dsn d = make(&r, 1);
	d.utf8 = true;
	d.header = STR("Subject: \xc3\xbc\r\n\r\n");
	assert_int_equal(dsn_write(&b, &d), 0);
	assert_has(&b, "report-type=global-delivery-status;");
	assert_has(&b, "charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n");
	assert_has(&b, "Content-Type: message/global-delivery-status\r\n");
	assert_has(&b, "Original-Recipient: utf-8;j\xc3\xbc@example.net\r\n");
	assert_has(&b, "Final-Recipient: utf-8;j\xc3\xbc@example.net\r\n");
	assert_has(&b, "Content-Type: message/global-headers\r\n");

	/* A sender without SMTPUTF8 gets the same in ASCII (RFC 6533 section 3). */
	buf_reset(&b);
	d.utf8 = false;
	d.header = STR("Subject: x\r\n\r\n");
	assert_int_equal(dsn_write(&b, &d), 0);
	assert_has(&b, "Content-Type: message/delivery-status\r\n");
	assert_has(&b, "Original-Recipient: utf-8;j\\x{FC}@example.net\r\n");
	assert_has(&b, "Final-Recipient: utf-8;j\\x{FC}@example.net\r\n");
	for (size_t i = 0; i < b.n; i++)
		assert_true((unsigned char)b.p[i] < 0x80);
}

static void test_hostile_texts(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct dsn_rcpt r = bob;
	r.diagnostic = STR("550-no\r\n\r\n--barid-00112233\r\nX: \x01\xff");
	r.orcpt = STR("rfc822;a+0D+0AX-Evil:+20yes");
	struct dsn d = make(&r, 1);
	assert_int_equal(dsn_write(&b, &d), 0);
	assert_has(&b, "Diagnostic-Code: smtp;550-no    --barid-00112233  X: ??\r\n");
	assert_has(&b, "Original-Recipient: rfc822;a  X-Evil: yes\r\n");
	assert_crlf_only(&b);
}

/* Each status has its words; failed and delayed differ. */
static void test_reasons(void **state)
{
	(void)state;
	static const struct {
		const char *status, *failed, *delayed;
	} cases[] = {
		{"5.1.1", "no mailbox with this address", NULL},
		{"5.1.2", "does not exist, or takes no", NULL},
		{"5.1.10", "takes no mail", NULL},
		{"5.1.99", "does not accept this address", "at the moment"},
		{"5.2.1", "switched off", "switched off for now"},
		{"4.2.2", "mailbox is full", "mailbox is full"},
		{"5.3.4", "too large", "does not take the message at the moment"},
		{"5.3.0", "has a fault", "has a fault at the moment"},
		{"4.4.1", "could not be reached", "cannot be reached at the moment"},
		{"5.4.6", "in a circle", NULL},
		{"4.4.7", "could not be reached for days", NULL},
		{"5.7.1", "refused the message by its rules",
		 "does not take the message at the moment"},
		{"5.7.30", "encryption", "encryption"},
		{"5.5.2", "did not take the message", "at the moment"},
		{"5", "did not take the message", "at the moment"},
		{"", "did not take the message", "at the moment"},
		{"nonsense", "did not take the message", "at the moment"},
	};
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		bool delayed = i % 2;
		struct dsn_rcpt r = bob;
		AUTO(buf) struct buf b = BUF_INIT(KIB(64));
		struct dsn d = make(&r, 1);
		r.status = str_c(cases[i / 2].status);
		r.action = delayed ? DSN_DELAYED : DSN_FAILED;
		dsn_text_write(&b, &d);
		const char *words = delayed ? cases[i / 2].delayed : cases[i / 2].failed;
		if (words)
			assert_has(&b, words);
	}
}

/* Sizes, the sender's own clock, a subject in encoded words. */
static void test_in_the_senders_words(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct dsn_rcpt r = bob;
	r.status = STR("5.3.4");
	r.size_max = 10000000;
	struct dsn d = make(&r, 1);
	d.size = 17300000;
	d.header = STR("Date: Fri, 21 Nov 2025 23:30:00 +0530\r\n"
		       "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_an_alle?=\r\n\r\n");
	d.arrival = AT(1763749800);
	dsn_text_write(&b, &d);
	assert_has(&b, "    Your message has 17.3 MB; at most 10.0 MB are taken there.\r\n");
	assert_has(&b, "    Subject: Gr\xc3\xbc\xc3\x9f"
		       "e an alle\r\n");
	assert_has(&b, "    Sent: Saturday, 22 November 2025, 00:00 (UTC+05:30)\r\n");
	buf_reset(&b);
	r.size_max = 0;
	d.size = 17;
	dsn_text_write(&b, &d);
	assert_has(&b, "    Your message has 1 kB.\r\n");
}

/* Every language: nothing is lost, lines stay short, the part for programs stays as it is. */
static void test_languages(void **state)
{
	(void)state;
	static const char *const names[] = {"de", "qps"};
	struct dsn_rcpt r[] = {bob, bob};
	r[1].action = DSN_DELAYED;
	r[1].status = STR("4.4.1");
	r[1].will_retry_until = AT(1764151200);
	struct dsn d = make(r, 2);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(64)), text = BUF_INIT(KIB(64));
		d.language = text_find_language(names[i]);
		assert_non_null(d.language);
		assert_int_equal(dsn_write(&b, &d), 0);
		assert_crlf_only(&b);
		assert_true(str_is_ascii(buf_str(&b)));
		assert_lacks(&b, "Subject: Your message");
		assert_has(&b, "Content-Transfer-Encoding: quoted-printable\r\n");
		assert_has(&b, "Action: failed\r\nStatus: 5.1.1\r\n");
		assert_lacks(&b, "There is no mailbox");
		dsn_text_write(&text, &d);
		assert_false(text.failed);
		assert_true(utf8_valid(buf_str(&text)));
		struct str rest = buf_str(&text), line;
		while (rest.n && str_cut(&rest, '\n', &line))
			assert_true(line.n <= 2 * 78 + 2);
		rest = buf_str(&b);
		while (rest.n && str_cut(&rest, '\n', &line))
			assert_true(line.n <= 79);
	}
}

static void test_quoted_printable(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(1));
	dsn_qp_write(&b, STR("a=b \r\n\xc3\xbc \t.\r\n"));
	assert_str(buf_str(&b), "a=3Db=20\r\n=C3=BC =09.\r\n");
	buf_reset(&b);
	dsn_qp_write(
		&b, STR("12345678901234567890123456789012345678901234567890123456789012345678901234"
			"\xc3\xbc"));
	assert_str(buf_str(&b),
		   "1234567890123456789012345678901234567890123456789012345678901234567890"
		   "1234=\r\n=C3=BC");
}

/* An answer of many lines: no line of the report is longer than mail may have. */
static void test_long_answer(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64)), answer = BUF_INIT(KIB(8));
	struct str rest, line;
	for (size_t i = 0; i < 2000; i++)
		buf_add_c(&answer, "\xc3\xa9");
	struct dsn_rcpt r = bob;
	r.diagnostic = buf_str(&answer);
	for (int utf8 = 0; utf8 < 2; utf8++) {
		struct dsn d = make(&r, 1);
		d.utf8 = utf8;
		buf_reset(&b);
		assert_int_equal(dsn_write(&b, &d), 0);
		assert_true(utf8_valid(buf_str(&b)));
		rest = buf_str(&b);
		while (rest.n && str_cut(&rest, '\n', &line))
			assert_true(line.n <= 999);
	}
}

static void test_limit(void **state)
{
	(void)state;
	struct dsn d = make(&bob, 1);
	AUTO(buf) struct buf whole = BUF_INIT(KIB(64));
	assert_int_equal(dsn_write(&whole, &d), 0);
	AUTO(buf) struct buf small = BUF_INIT(whole.n - 1);
	assert_int_equal(dsn_write(&small, &d), -FAIL_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed),	    cmocka_unit_test(test_full_and_8bit),
		cmocka_unit_test(test_delayed),	    cmocka_unit_test(test_several),
		cmocka_unit_test(test_utf8),	    cmocka_unit_test(test_hostile_texts),
		cmocka_unit_test(test_long_answer), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_reasons),	    cmocka_unit_test(test_in_the_senders_words),
		cmocka_unit_test(test_languages),   cmocka_unit_test(test_quoted_printable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
