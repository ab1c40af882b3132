/* SPDX-License-Identifier: Apache-2.0 */
/* Every reply of the dialogue, as text (smtp_run.h). */
#include "proto/smtp/smtp_run.h"
#include "sys/log.h"

struct dialogue {
	const char *name;
	enum smtp_service service;
	const char *in;
	const char *out;
};

/* clang-format off */
static const struct dialogue dialogues[] = {
	{"one message", MX, "EHLO c\n" "MAIL FROM:<x@remote.example> SIZE=10\n"
	 "RCPT TO:<bob@example.test>\nDATA\n!body A: b\nQUIT",
	 EHLO_MX "250 2.1.0 Ok\n250 2.1.5 Ok\n" GO "250 2.0.0 Ok: queued as 1\n"
	 "221 2.0.0 Bye\n[close]\n"},
	{"two messages, null sender", MX, READY "DATA\n!body A: b\n"
	 "MAIL FROM:<>\nRCPT TO:<alice@example.test>\nDATA\n!stored B: c\n",
	 READY_OK GO "250 2.0.0 Ok: queued as 1\n250 2.1.0 Ok\n250 2.1.5 Ok\n" GO
	 "250 2.0.0 Ok: queued as 2\n"},
	{"order", MX, "MAIL FROM:<x@y.z>\nRCPT TO:<bob@example.test>\nDATA\nHELO c\nDATA\n"
	 "MAIL FROM:<x@y.z>\nMAIL FROM:<x@y.z>\nDATA\nRSET\nRCPT TO:<bob@example.test>\n",
	 "503 5.5.1 Send HELO or EHLO first\n503 5.5.1 Send MAIL first\n503 5.5.1 Send MAIL first\n"
	 "250 mx.example.test\n503 5.5.1 Send MAIL first\n250 2.1.0 Ok\n503 5.5.1 Nested MAIL command\n"
	 "554 5.5.1 No valid recipients\n250 2.0.0 Ok\n503 5.5.1 Send MAIL first\n"},
	{"EHLO resets", MX, READY "EHLO c\nDATA\n", READY_OK EHLO_MX "503 5.5.1 Send MAIL first\n"},
	{"recipients", MX, OPEN "RCPT TO:<nobody@example.test>\nRCPT TO:<a@remote.example>\n"
	 "RCPT TO:<full@example.test>\nRCPT TO:<down@example.test>\nRCPT TO:<loop@example.test>\n"
	 "RCPT TO:<bad@example.test>\nRCPT TO:<nowhere@example.test>\nRCPT TO:<a@b>\nRCPT TO:<a>\n"
	 "RCPT TO:<postmaster>\nRCPT TO:<'bob@example.test'>\n",
	 OPEN_OK "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown\n"
	 "554 5.7.1 <a@remote.example>: Relay access denied\n"
	 "552 5.2.2 Mailbox is full\n"
	 "451 4.3.0 Temporary storage failure, please try again later.\n"
	 "451 4.6.0 Recipient expands to too many addresses\n553 5.1.3 Bad recipient address\n"
	 "451 4.3.0 Recipient leads nowhere\n"
	 "554 5.7.1 <a@b>: Relay access denied\n"
	 "504 5.5.2 Address rejected: need a fully-qualified address\n250 2.1.5 Ok\n250 2.1.5 Ok\n"},
	{"senders", MX, "HELO c\nMAIL FROM:<x@y.z> SIZE=1001\nMAIL FROM:<x@y.z> BODY=BINARYMIME\n"
	 "MAIL FROM:<x@y.z> FOO=1\nMAIL FROM:<j\xc3\xbc@y.z>\nMAIL FROM:<alice@example.test>\n",
	 "250 mx.example.test\n"
	 "552 5.3.4 Message size exceeds the limit\n504 5.5.4 BODY=BINARYMIME is not offered\n"
	 "555 5.5.4 Unknown MAIL parameter\n553 5.6.7 Non-ASCII address needs the SMTPUTF8 parameter\n"
	 "250 2.1.0 Ok\n"},
	{"SMTPUTF8", MX, OPEN "RCPT TO:<j\xc3\xbc@example.test>\nRSET\n"
	 "MAIL FROM:<j\xc3\xbc@y.z> SMTPUTF8\nRCPT TO:<j\xc3\xbc@example.test>\n",
	 OPEN_OK "553 5.6.7 Non-ASCII address needs SMTPUTF8 with MAIL\n250 2.0.0 Ok\n"
	 "250 2.1.0 Ok\n250 2.1.5 Ok\n"},
	{"bare LF", MX, READY "DATA\n!flags 1 A: b\n", READY_OK GO
	 "550 5.5.2 Message holds a bare CR or LF (RFC 5321 2.3.8), closing\n[close]\n"},
	{"too big", MX, READY "DATA\n!flags 2 A: b\nDATA\n", READY_OK GO
	 "552 5.3.4 Message size exceeds the limit\n503 5.5.1 Send MAIL first\n"},
	{"edge lost it", MX, READY "DATA\n!flags 8 A: b\n", READY_OK GO
	 "452 4.3.1 Insufficient system storage\n"},
	{"client lost in DATA", MX, READY "DATA\n!flags 4 A: b\n", READY_OK GO "[close]\n"},
	{"chunks", MX, READY "BDAT 10\n!chunk 10\nBDAT 0\n!chunk 0\nDATA\nMAIL FROM:<a@b.c>\n"
	 "RCPT TO:<bob@example.test>\nBDAT 4 LAST\n!stored A: b, c: d....\nBDAT 1\n",
	 READY_OK "[bdat 10]\n250 2.0.0 10 octets received\n[bdat 0]\n250 2.0.0 0 octets received\n"
	 "503 5.5.1 DATA after BDAT\n503 5.5.1 Nested MAIL command\n503 5.5.1 Not after BDAT\n"
	 "[bdat 4 last]\n250 2.0.0 Ok: queued as 1\n503 5.5.1 Send MAIL first\n[bdat 1 discard]\n"},
	{"one chunk", MX, READY "BDAT 4 LAST\n!body A: b\n",
	 READY_OK "[bdat 4 last]\n250 2.0.0 Ok: queued as 1\n"},
	{"chunks too big", MX, READY "BDAT 600\n!chunk 600\nBDAT 600\nBDAT 5 LAST\nBDAT 99999999\n",
	 READY_OK "[bdat 600]\n250 2.0.0 600 octets received\n552 5.3.4 Message size exceeds the limit\n"
	 "[bdat 600 discard]\n503 5.5.1 Send MAIL first\n[bdat 5 last discard]\n"
	 "503 5.5.1 Send MAIL first\n[close]\n"},
	{"bare LF in a chunk", MX, READY "BDAT 3\n!flags 1 abc\n", READY_OK
	 "[bdat 3]\n550 5.5.2 Message holds a bare CR or LF (RFC 5321 2.3.8), closing\n[close]\n"},
	{"BDAT without recipients", MX, OPEN "BDAT 3 LAST\n",
	 OPEN_OK "554 5.5.1 No valid recipients\n[bdat 3 last discard]\n"},
	{"BDAT that nobody understands", MX, READY "BDAT x\n",
	 READY_OK "501 5.5.4 Syntax: BDAT count [LAST]\n[close]\n"},
	{"other commands", MX, "NOOP\nVRFY bob\nEXPN list\nHELP\nLHLO x\nFOO\nNOOP x\nRSET x\nQUIT\n",
	 "250 2.0.0 Ok\n252 2.0.0 Send mail to it to find out\n502 5.5.1 EXPN is not offered\n"
	 "214 2.0.0 See RFC 5321\n500 5.5.1 This is not LMTP, send EHLO\n"
	 "500 5.5.2 Command not recognized\n250 2.0.0 Ok\n501 5.5.4 Syntax: RSET\n"
	 "221 2.0.0 Bye\n[close]\n"},
	{"lines that are none", MX, "TOO LONG\nMALFORMED\nNOOP\n", "500 5.5.2 Line too long\n"
	 "500 5.5.2 Lines must end in CR LF, and hold neither of them nor NUL\n250 2.0.0 Ok\n"},
	{"other protocols", MX, "GET / HTTP/1.1\n",
	 "500 5.5.2 This is SMTP, closing\n[close]\n"},
	{"a TLS hello", MX, "\x16\x03\x01\n", "500 5.5.2 This is SMTP, closing\n[close]\n"},
	{"AUTH on 25", MX, "EHLO c\nAUTH PLAIN\n",
	 EHLO_MX "503 5.5.1 Authentication is not offered here\n"},
	{"STARTTLS on 25", MX, READY "STARTTLS\n!tls\nMAIL FROM:<>\nEHLO c\nSTARTTLS\n",
	 READY_OK "220 2.0.0 Ready to start TLS\n[starttls]\n503 5.5.1 Send HELO or EHLO first\n"
	 EHLO_TLS "503 5.5.1 TLS is active already\n"},
	{"timeout", MX, READY "!end timeout\n", READY_OK "421 4.4.2 mx.example.test Timeout, closing\n"},
	{"shutdown", MX, "!end shutdown\n",
	 "421 4.3.2 mx.example.test Service is stopping, please come back\n"},
	{"body out of step", MX, "!body A: b\n",
	 "421 4.3.0 mx.example.test Internal error: out of step, closing\n[close]\n"},
	{"lines out of step", MX, READY "DATA\nNOOP\n", READY_OK GO
	 "421 4.3.0 mx.example.test Internal error: out of step, closing\n[close]\n"},
	{"TLS out of step", MX, "NOOP\n!tls\n", "250 2.0.0 Ok\n[close]\n"},

	{"submission before TLS", SUB, "EHLO c\nMAIL FROM:<alice@example.test>\nRCPT TO:<a@b.c>\nDATA\n"
	 "VRFY x\nAUTH PLAIN\nNOOP\nBDAT 3\n",
	 EHLO_MX "530 5.7.0 Must issue a STARTTLS command first\n"
	 "530 5.7.0 Must issue a STARTTLS command first\n530 5.7.0 Must issue a STARTTLS command first\n"
	 "530 5.7.0 Must issue a STARTTLS command first\n530 5.7.0 Must issue a STARTTLS command first\n"
	 "250 2.0.0 Ok\n530 5.7.0 Must issue a STARTTLS command first\n[bdat 3 discard]\n"},
	{"submission before AUTH", SUB, "EHLO c\nSTARTTLS\n!tls\nAUTH PLAIN\nHELO c\nAUTH PLAIN\nEHLO c\n"
	 "MAIL FROM:<alice@example.test>\nRCPT TO:<a@b.c>\nDATA\n",
	 EHLO_MX "220 2.0.0 Ready to start TLS\n[starttls]\n503 5.5.1 Send EHLO first\n"
	 "250 mx.example.test\n503 5.5.1 Send EHLO first\n" EHLO_AUTH
	 "530 5.7.0 Authentication required\n530 5.7.0 Authentication required\n"
	 "530 5.7.0 Authentication required\n"},
	{"AUTH", SUB, "EHLO c\nSTARTTLS\n!tls\nEHLO c\nAUTH CRAM-MD5\nAUTH PLAIN =\n!auth refused\n"
	 "auth login\n!auth malformed\nAUTH LOGIN\n!auth cancelled\nAUTH LOGIN\n!auth unavailable\n"
	 "AUTH LOGIN\n!auth unknown\nAUTH LOGIN\n!auth granted\nAUTH PLAIN\nEHLO c\n",
	 EHLO_MX "220 2.0.0 Ready to start TLS\n[starttls]\n" EHLO_AUTH
	 "504 5.5.4 Unrecognized authentication type\n[auth PLAIN =]\n"
	 "535 5.7.8 Authentication credentials invalid\n[auth login ]\n501 5.5.2 Cannot decode the response\n"
	 "[auth LOGIN ]\n501 5.7.0 Authentication cancelled\n[auth LOGIN ]\n"
	 "454 4.7.0 Temporary authentication failure\n[auth LOGIN ]\n"
	 "504 5.5.4 Unrecognized authentication type\n[auth LOGIN ]\n"
	 "235 2.7.0 Authentication successful\n503 5.5.1 Already authenticated\n" EHLO_USER},
	{"wishes that cannot be", SUB, LOGIN "MAIL FROM:<alice@example.test> HOLDFOR=2592001\n"
	 "MAIL FROM:<alice@example.test> HOLDUNTIL=2025-12-21T11:00:01+01:00\n"
	 "MAIL FROM:<alice@example.test> HOLDFOR=1 BY=5;R\n",
	 LOGIN_OK "501 5.5.4 Held longer than FUTURERELEASE allows\n"
	 "501 5.5.4 Held longer than FUTURERELEASE allows\n"
	 "501 5.5.4 A message is held or urgent, not both\n"},
	{"wishes of strangers", MX, "EHLO c\nMAIL FROM:<x@remote.example> HOLDFOR=1\n"
	 "MAIL FROM:<x@remote.example> BY=1;N\nMAIL FROM:<x@remote.example> MT-PRIORITY=1\n"
	 "MAIL FROM:<x@remote.example> REQUIRETLS\nSTARTTLS\n!tls\nEHLO c\n"
	 "MAIL FROM:<x@remote.example> REQUIRETLS\n",
	 EHLO_MX "555 5.5.4 This parameter is not offered to you\n"
	 "555 5.5.4 This parameter is not offered to you\n555 5.5.4 This parameter is not offered to you\n"
	 "530 5.7.10 REQUIRETLS needs TLS here\n220 2.0.0 Ready to start TLS\n[starttls]\n"
	 EHLO_TLS "250 2.1.0 Ok\n"},
	{"submission", SUB, LOGIN "MAIL FROM:<>\nMAIL FROM:<bob@example.test>\nMAIL FROM:<down@example.test>\n"
	 "MAIL FROM:<alice@example.test>\nRCPT TO:<x@remote.example>\nRCPT TO:<nobody@example.test>\n"
	 "DATA\n!body A: b\n",
	 LOGIN_OK "554 5.7.1 Sender address rejected: Policy rejection due to null sender\n"
	 "554 5.7.1 Sender address rejected: Sender is not same as SMTP authenticate username\n"
	 "451 4.3.2 The server is busy, please try again in a moment.\n250 2.1.0 Ok\n250 2.1.5 Ok\n"
	 "550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown\n" GO "250 2.0.0 Ok: queued as 1\n"},
};
/* clang-format on */

static void test_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dialogues); i++) {
		for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
			struct run r;
			run_begin(&r, dialogues[i].service, variant, false);
			run_dialogue(&r, dialogues[i].in);
			assert_text(&r, dialogues[i].name, dialogues[i].out);
			run_end(&r);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_dialogues)};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
