/* SPDX-License-Identifier: Apache-2.0 */
/* Replies and the Received field. */
#include "base/test.h"
#include "codec/smtp/received.h"
#include "codec/smtp/smtp_reply.h"

static void test_simple(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	smtp_reply(&b, 250, "2.0.0", STR("Ok"));
	smtp_reply(&b, 354, NULL, STR("Go ahead"));
	smtp_reply_status(&b, (struct smtp_status){550, "5.1.1", "No such user"});
	smtp_replyf(&b, 221, "2.0.0", "%s closing", "host");
	smtp_reply(&b, 250, NULL, STR_NULL);
	assert_str(buf_str(&b), "250 2.0.0 Ok\r\n354 Go ahead\r\n550 5.1.1 No such user\r\n"
				"221 2.0.0 host closing\r\n250 \r\n");
}

static void test_lines(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	smtp_reply(&b, 250, NULL, STR("host\nSIZE 10\nDSN"));
	smtp_reply(&b, 451, "4.3.0", STR("one\ntwo\r\tthree"));
	assert_str(buf_str(&b), "250-host\r\n250-SIZE 10\r\n250 DSN\r\n"
				"451-4.3.0 one\r\n451 4.3.0 two??three\r\n");
}

static void test_long(void **state)
{
	(void)state;
	AUTO(buf) struct buf text = BUF_INIT(KIB(8));
	AUTO(buf) struct buf b = BUF_INIT(KIB(16));
	for (int i = 0; i < 300; i++)
		buf_addf(&text, "word%d ", i);
	for (int i = 0; i < 400; i++)
		buf_add(&text, STR("\xc3\xbc"));
	assert_int_equal(smtp_reply(&b, 550, "5.7.1", buf_str(&text)), 0);
	struct str rest = buf_str(&b), line;
	size_t lines = 0;
	while (str_cut(&rest, '\n', &line) && line.n) {
		bool last = rest.n == 0;
		assert_true(line.n + 1 <= SMTP_REPLY_LINE_MAX);
		assert_true(str_starts(line, last ? STR("550 5.7.1 ") : STR("550-5.7.1 ")));
		assert_true((unsigned char)line.p[line.n - 2] != 0xc3); /* not inside a character */
		lines++;
	}
	assert_true(lines > 5);
	struct buf small = BUF_INIT(20);
	assert_int_equal(smtp_reply(&small, 550, "5.7.1", STR("this is too long")), -FAIL_LIMIT);
	buf_clear(&small);
}

static const struct received plain = {
	.helo = STR("client.example"),
	.rdns = STR("mail.client.example"),
	.ip = STR("192.0.2.1"),
	.by = STR("mx.example.test"),
	.id = STR("1f"),
	.esmtp = true,
	.when = {INT64_C(1763719200) * SEC_US},
};

static void test_received(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	struct received r = plain;
	assert_int_equal(received_write(&b, &r), 0);
	assert_str(buf_str(&b),
		   "Received: from client.example (mail.client.example [192.0.2.1])\r\n"
		   "\tby mx.example.test with ESMTP id 1f; Fri, 21 Nov 2025 10:00:00 +0000\r\n");
	buf_reset(&b);
	r.ip = STR("2001:db8::1");
	r.rdns = STR_NULL;
	r.rcpt = STR("bob@example.test");
	r.tls_version = STR("TLSv1.3");
	r.tls_cipher = STR("TLS_AES_256_GCM_SHA384");
	r.authenticated = true;
	received_write(&b, &r);
	assert_str(buf_str(&b), "Received: from client.example (unknown [IPv6:2001:db8::1])\r\n"
				"\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
				"\tby mx.example.test with ESMTPSA id 1f\r\n"
				"\tfor <bob@example.test>; Fri, 21 Nov 2025 10:00:00 +0000\r\n");
}

static void test_received_protocols(void **state)
{
	(void)state;
	static const struct {
		bool esmtp, lmtp, tls, auth, utf8;
		const char *want;
	} rows[] = {
		{.want = " with SMTP id"},
		{.esmtp = true, .tls = true, .want = " with ESMTPS id"},
		{.esmtp = true, .auth = true, .want = " with ESMTPA id"},
		{.esmtp = true, .utf8 = true, .want = " with UTF8SMTP id"},
		{.esmtp = true,
		 .utf8 = true,
		 .tls = true,
		 .auth = true,
		 .want = " with UTF8SMTPSA id"},
		{.lmtp = true, .want = " with LMTP id"},
		{.lmtp = true, .tls = true, .want = " with LMTPS id"},
		{.lmtp = true, .utf8 = true, .want = " with UTF8LMTP id"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(KIB(4));
		struct received r = plain;
		r.esmtp = rows[i].esmtp;
		r.lmtp = rows[i].lmtp;
		r.authenticated = rows[i].auth;
		r.utf8 = rows[i].utf8;
		r.tls_version = rows[i].tls ? STR("TLSv1.2") : STR_NULL;
		received_write(&b, &r);
		if (str_find_str(buf_str(&b), 0, str_c(rows[i].want)) == b.n)
			fail_msg("no \"%s\" in %s", rows[i].want, buf_c(&b));
	}
}

/* What a client says cannot leave its place, and lines stay short where words allow. */
static void test_received_hostile(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	struct received r = plain;
	r.helo = STR("a)\r\nX-Evil: (1;\"\xff");
	r.rdns = STR("averyveryveryverylongname.of-a-client.with-many-labels.example.org");
	r.ip = STR("2001:db8:1111:2222:3333:4444:5555:6666");
	received_write(&b, &r);
	struct str rest = buf_str(&b), line;
	assert_true(str_starts(rest, STR("Received: from a???X-Evil:??1???")));
	while (str_cut(&rest, '\n', &line) && line.n) {
		assert_true(line.n <= 78);
		assert_true(line.p == b.p || line.p[0] == '\t');
	}
}

static void test_date(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(1));
	rfc5322_date_write(&b, (struct wall_us){0});
	buf_addc(&b, '|');
	rfc5322_date_write(&b, (struct wall_us){INT64_C(1709164799) * SEC_US + 999999});
	assert_str(buf_str(&b), "Thu, 1 Jan 1970 00:00:00 +0000|Wed, 28 Feb 2024 23:59:59 +0000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_received_protocols),
		cmocka_unit_test(test_received_hostile),
		cmocka_unit_test(test_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
