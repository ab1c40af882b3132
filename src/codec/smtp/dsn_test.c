/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/smtp/dsn.h"

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
		   "Subject: Your message could not be delivered\r\n"
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
		   "This is the mail server of mx.example.test.\r\n"
		   "\r\n"
		   "Your message could not be delivered to the following address:\r\n"
		   "\r\n"
		   "    <bob@example.net>\r\n"
		   "    mx.example.net said: 550 5.1.1 No such user\r\n"
		   "\r\n"
		   "No further attempt will be made. Please check the address and the reason\r\n"
		   "given above before you send the message again. If you believe that the\r\n"
		   "address is right, ask its owner in another way, or the postmaster of the\r\n"
		   "destination.\r\n"
		   "\r\n"
		   "The postmaster of this server can help you; please name the id 42.\r\n"
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
	assert_has(&b, "Subject: Your message is delayed\r\n");
	assert_has(&b, "has not been delivered yet to the following address:\r\n");
	assert_has(&b, "YOU DO NOT NEED TO SEND THE MESSAGE AGAIN");
	assert_has(&b, "It tries until: Wed, 26 Nov 2025 10:00:00 +0000\r\n");
	assert_has(&b,
		   "Action: delayed\r\nStatus: 4.0.0\r\nDiagnostic-Code: x-barid;no relay yet\r\n"
		   "Will-Retry-Until: Wed, 26 Nov 2025 10:00:00 +0000\r\n");
	assert_lacks(&b, "Original-Envelope-Id");
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
	assert_has(&b, "Subject: Your message was delivered\r\n");
	assert_has(&b, "delivered to the following addresses:\r\n\r\n"
		       "    <one@a.example>\r\n    <two@a.example>\r\n\r\nYou asked");
	assert_has(&b, "passed on for the following address:\r\n");
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
	assert_has(&b, "charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n");
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
		cmocka_unit_test(test_failed),	cmocka_unit_test(test_full_and_8bit),
		cmocka_unit_test(test_delayed), cmocka_unit_test(test_several),
		cmocka_unit_test(test_utf8),	cmocka_unit_test(test_hostile_texts),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
