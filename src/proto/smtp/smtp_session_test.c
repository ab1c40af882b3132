/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, failures inside, what reaches the queue, and the state of a session. */
#include "proto/smtp/smtp_run.h"
#include "proto/smtp/smtp_session.h"
#include "proto/smtp/smtp_session_int.h"
#include "sys/log.h"

static void test_greeting(void **state)
{
	(void)state;
	struct run r;
	run_begin(&r, MX, 0, false);
	smtp_session_greet(r.s, &r.text);
	assert_text(&r, "greeting", "220 mx.example.test ESMTP barid\n");
	run_end(&r);
}

/* What reaches the queue. */
static void test_envelope(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
		struct run r;
		run_begin(&r, MX, variant, false);
		run_dialogue(
			&r,
			"EHLO c.example\n"
			"MAIL FROM:<x@remote.example> RET=HDRS ENVID=Q+2BQ BODY=8BITMIME\n"
			"RCPT TO:<bob@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;B@x.y\n"
			"RCPT TO:<BOB@example.test>\nRCPT TO:<bob+Work@example.test> NOTIFY=NEVER\n"
			"RCPT TO:<bob+work@example.test>\nRCPT TO:<list@example.test>\n"
			"DATA\n!body A: b");
		assert_str(
			buf_str(&r.fake.last),
			"from <x@remote.example> envid=Q+2BQ ret=2 utf8=0 8bit=1 login= account=0 "
			"size=4 sha=7 map=1\n"
			"for <bob@example.test> (2 bob@example.test+) notify=10 "
			"orcpt=rfc822;B@x.y\n"
			"for <bob+Work@example.test> (2 bob@example.test+Work) notify=1 orcpt=\n"
			"for <list@example.test> (1 alice@example.test+) notify=0 orcpt=\n"
			"for <list@example.test> (0 carol@remote.example+) notify=0 orcpt=\n"
			"Received: from c.example (client.example [192.0.2.1])\r\n"
			"\tby mx.example.test with ESMTP id 1f; Fri, 21 Nov 2025 10:00:00 "
			"+0000\r\n");
		run_end(&r);
	}
}

static void test_submission_prefix(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
		struct run r;
		run_begin(&r, SUB, variant, false);
		r.config.null_sender = true;
		run_dialogue(&r,
			     LOGIN "MAIL FROM:<alice@example.test>\nRCPT TO:<x@remote.example>\n"
				   "DATA\n!body Subject: x");
		assert_str(buf_str(&r.fake.last),
			   "from <alice@example.test> envid= ret=0 utf8=0 8bit=0 "
			   "login=alice@example.test account=1 size=38 sha=7 map=1\n"
			   "for <x@remote.example> (0 x@remote.example+) notify=0 orcpt=\n"
			   "Received: from c (client.example [192.0.2.1])\r\n"
			   "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
			   "\tby mx.example.test with ESMTPSA id 1f\r\n"
			   "\tfor <x@remote.example>; Fri, 21 Nov 2025 10:00:00 +0000\r\n"
			   "Date: Fri, 21 Nov 2025 10:00:00 +0000\r\n"
			   "Message-ID: <64417e0664800.1f@mx.example.test>\r\n");
		/* The second message of the connection; only what is missing is added. */
		run_dialogue(
			&r, "MAIL FROM:<>\nRCPT TO:<x@remote.example>\nRCPT TO:<y@remote.example>\n"
			    "DATA\n!body Message-ID: <a@b>");
		assert_true(
			str_find_str(buf_str(&r.fake.last), 0,
				     STR("ESMTPSA id 1f-2;\r\n\tFri, 21 Nov 2025 10:00:00 +0000\r\n"
					 "Date: Fri, 21 Nov 2025 10:00:00 +0000\r\n")) <
			r.fake.last.n);
		assert_true(str_find_str(buf_str(&r.fake.last), 0, STR("Message-ID")) ==
			    r.fake.last.n);
		run_end(&r);
	}
}

static void test_hops(void **state)
{
	(void)state;
	struct run r;
	AUTO(buf) struct buf body = BUF_INIT(KIB(8));
	run_begin(&r, MX, 0, false);
	r.config.size_max = 5000;
	r.config.hops_max = 3;
	for (int i = 0; i < 4; i++) {
		run_dialogue(&r, READY "DATA\n");
		buf_reset(&r.text);
		buf_add(&body, STR("Received: by x\r\n"));
		send_body(&r, (struct smtp_body){.bytes = buf_str(&body), .size = body.n});
		if (i < 3)
			assert_true(str_starts(buf_str(&r.text), STR("250 2.0.0")));
	}
	assert_text(&r, "hops", "554 5.4.6 Too many hops, the mail seems to loop\n");
	run_end(&r);
}

/* A body that was refused is dropped; one that was submitted is the queue's. */
static void test_failures_inside(void **state)
{
	(void)state;
	struct run r;
	run_begin(&r, MX, 0, false);
	r.fake.scan_result = -FAIL_PEER;
	run_dialogue(&r, READY "DATA\n!stored A: b");
	assert_text(&r, "scan",
		    READY_OK GO "451 4.3.0 Temporary internal failure, please try again.\n");
	assert_int_equal(r.fake.dropped, 1);
	r.fake.scan_result = 0;
	r.fake.submit_result = -FAIL_LIMIT;
	run_dialogue(&r, READY "DATA\n!stored A: b");
	assert_text(&r, "disk full", READY_OK GO "452 4.3.1 Insufficient system storage\n");
	r.fake.submit_result = -FAIL_EXISTS;
	run_dialogue(&r, READY "DATA\n!stored A: b");
	assert_text(&r, "odd",
		    READY_OK GO "451 4.3.0 Temporary failure, please try again later.\n");
	assert_int_equal(r.fake.dropped, 1);
	r.fake.submit_result = 0;
	r.config.size_max = 3; /* the true size counts */
	run_dialogue(&r, READY "DATA\n");
	buf_reset(&r.text);
	r.fake.stored = STR("A: b");
	smtp_session_body_opened(r.s, (struct spool_body_id){{9}});
	send_body(&r, (struct smtp_body){.id = {{9}}, .size = 1});
	assert_text(&r, "true size", "552 5.3.4 Message size exceeds the limit\n");
	assert_int_equal(r.fake.dropped, 2);
	run_dialogue(&r, "!stored A: b"); /* nobody asked for it */
	assert_int_equal(r.fake.dropped, 3);
	run_end(&r);
}

/* A body file is dropped whenever its transaction ends without submit, and only then. */
static void test_open_bodies(void **state)
{
	(void)state;
	static const struct {
		const char *end;
		uint64_t dropped;
	} rows[] = {{"RSET\n", 1},	   {"EHLO c\n", 1}, {"QUIT\n", 1},
		    {"!end timeout\n", 1}, {"NOOP\n", 0},   {"BDAT 4 LAST\n!stored A: b", 0}};
	for (unsigned i = 0; i < ARRAY_LEN(rows) * 2; i++) {
		struct run r;
		run_begin(&r, MX, i % 2 ? RUN_EXPORT : 0, false);
		run_dialogue(&r, READY "BDAT 4\n");
		smtp_session_body_opened(r.s, (struct spool_body_id){{9}});
		send_body(&r, (struct smtp_body){.id = {{9}}, .size = 4});
		assert_int_equal(r.fake.dropped, 0);
		run_dialogue(&r, rows[i / 2].end);
		assert_int_equal(r.fake.dropped, rows[i / 2].dropped);
		run_end(&r);
	}
	/* A file that was opened and then not used. */
	struct run u;
	run_begin(&u, MX, 0, false);
	run_dialogue(&u, READY "DATA\n");
	smtp_session_body_opened(u.s, (struct spool_body_id){{9}});
	run_dialogue(&u, "!body A: b\n");
	assert_int_equal(u.fake.dropped, 1);
	assert_int_equal(u.fake.submitted, 1);
	run_end(&u);
	/* One that is only named when it is full. */
	run_begin(&u, MX, 0, false);
	run_dialogue(&u, READY "DATA\n");
	send_body(&u, (struct smtp_body){.id = {{9}}, .size = 4, .flags = SMTP_BODY_TOO_BIG});
	assert_int_equal(u.fake.dropped, 1);
	run_end(&u);
	/* The file of somebody else is neither taken nor dropped. */
	struct run r;
	run_begin(&r, MX, 0, false);
	run_dialogue(&r, READY "DATA\n");
	buf_reset(&r.text);
	smtp_session_body_opened(r.s, (struct spool_body_id){{9}});
	send_body(&r, (struct smtp_body){.id = {{8}}, .size = 4});
	assert_text(&r, "foreign body",
		    "421 4.3.0 mx.example.test Internal error: out of step, closing\n[close]\n");
	assert_int_equal(r.fake.dropped, 1);
	run_end(&r);
}

/* When edge begins a new body, and when it goes on with the one it has. */
static void test_first_chunk(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		bool first;
	} rows[] = {{"BDAT 1", true}, {"BDAT 1", false}, {"BDAT 1 LAST", false}, {"BDAT 1", true}};
	struct run r;
	run_begin(&r, MX, 0, false);
	run_dialogue(&r, READY);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf batch = BUF_INIT(KIB(1)), out = BUF_INIT(KIB(4));
		struct smtp_result res;
		smtp_batch_add(&batch, SMTP_LINE_OK, str_c(rows[i].line));
		smtp_session_lines(r.s, buf_str(&batch), false, &out, &res);
		assert_int_equal(res.first, rows[i].first);
		if (!res.last)
			send_body(&r, (struct smtp_body){.size = 1});
		else
			send_body(&r, (struct smtp_body){.bytes = STR("abc"), .size = 3});
		if (res.last)
			run_dialogue(&r, "RSET\n" READY);
	}
	run_end(&r);
}

/* Each field by itself: one that is missing from the state is missed here. */
static void test_every_field(void **state)
{
	(void)state;
	struct fake fake = {0};
	struct smtp_backend backend = fake_backend(&fake);
	struct smtp_config config = fake_config();
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct smtp_session *s = smtp_session_alloc(&config, &backend), *c = NULL;
	struct spool_rcpt rcpt = {{{5}, STR("a@b.c"), STR("d"), STR("smtp:[x]")},
				  STR("o@b.c"),
				  STR("rfc822;o"),
				  SMTP_NOTIFY_DELAY};

	s->service = SMTP_SERVICE_SUBMISSION;
	s->mode = SMTP_MODE_BDAT;
	s->trace.v = 11;
	s->trusted = s->esmtp = s->xclient = s->xclient_login = true;
	s->account.v = 12;
	s->errors = 13;
	s->junk = 14;
	s->messages = 15;
	smtp_keep(&s->ip, STR("ip"));
	smtp_keep(&s->rdns, STR("rdns"));
	smtp_keep(&s->tls, STR("tls"));
	smtp_keep(&s->helo, STR("helo"));
	smtp_keep(&s->login, STR("login"));
	smtp_keep(&s->forward, STR("NAME=x"));
	smtp_keep(&s->local_ip, STR("192.0.2.9"));
	s->local_port = 25;
	s->early = true;
	smtp_session_certificate(s, STR("subject"), STR("issuer"));
	s->t.open = s->t.bdat = s->t.bdat_last = s->t.smtputf8 = true;
	s->t.body = SMTP_BODY_8BITMIME;
	s->t.ret = SMTP_RET_HDRS;
	s->t.accepted = 16;
	s->t.size = 17;
	s->t.chunk = 18;
	s->t.bdat_size = 19;
	s->t.body_id.b[3] = 20;
	s->t.from = STR("f@b.c");
	s->t.envid = STR("envid");
	s->t.orders = (struct smtp_orders){true,	   STR("held"),	    STR("filter"),
					   STR("prepend"), STR("redirect"), STR("bcc")};
	assert_int_equal(smtp_transaction_add(&s->t, &rcpt), 1);
	assert_int_equal(smtp_session_export(s, &b), 0);
	assert_int_equal(smtp_session_import(&config, &backend, buf_str(&b), &c, NULL), 0);

	assert_int_equal(c->service, s->service);
	assert_int_equal(c->mode, s->mode);
	assert_int_equal(c->trace.v, 11);
	assert_true(c->trusted && c->esmtp && c->xclient && c->xclient_login);
	assert_int_equal(c->account.v, 12);
	assert_int_equal(c->errors, 13);
	assert_int_equal(c->junk, 14);
	assert_int_equal(c->messages, 15);
	assert_str(buf_str(&c->ip), "ip");
	assert_str(buf_str(&c->rdns), "rdns");
	assert_str(buf_str(&c->tls), "tls");
	assert_str(buf_str(&c->helo), "helo");
	assert_str(buf_str(&c->login), "login");
	assert_str(buf_str(&c->forward), "NAME=x");
	assert_str(buf_str(&c->local_ip), "192.0.2.9");
	assert_int_equal(c->local_port, 25);
	assert_true(c->early);
	assert_str(buf_str(&c->cert_subject), "subject");
	assert_str(buf_str(&c->cert_issuer), "issuer");
	assert_true(c->t.open && c->t.bdat && c->t.bdat_last && c->t.smtputf8);
	assert_int_equal(c->t.body, SMTP_BODY_8BITMIME);
	assert_int_equal(c->t.ret, SMTP_RET_HDRS);
	assert_int_equal(c->t.accepted, 16);
	assert_int_equal(c->t.size, 17);
	assert_int_equal(c->t.chunk, 18);
	assert_int_equal(c->t.bdat_size, 19);
	assert_int_equal(c->t.body_id.b[3], 20);
	assert_str(c->t.from, "f@b.c");
	assert_str(c->t.envid, "envid");
	assert_true(c->t.orders.discard);
	assert_str(c->t.orders.held, "held");
	assert_str(c->t.orders.filter, "filter");
	assert_str(c->t.orders.prepend, "prepend");
	assert_str(c->t.orders.redirect, "redirect");
	assert_str(c->t.orders.bcc, "bcc");
	assert_int_equal(c->t.rcpts.n, 1);
	const struct spool_rcpt *r = &c->t.rcpts.p[0];
	assert_int_equal(r->to.account.v, 5);
	assert_str(r->to.address, "a@b.c");
	assert_str(r->to.detail, "d");
	assert_str(r->to.transport, "smtp:[x]");
	assert_str(r->original, "o@b.c");
	assert_str(r->orcpt, "rfc822;o");
	assert_int_equal(r->notify, SMTP_NOTIFY_DELAY);
	assert_int_equal(smtp_transaction_add(&c->t, r), 0); /* known as a duplicate */
	smtp_session_free(s);
	smtp_session_free(c);
}

static void assert_said(const struct run *r, const char *reply)
{
	if (!str_ends(buf_str(&r->text), str_c(reply)))
		fail_msg("%s", buf_c(&r->text));
}

static void test_recipient_limits(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
		struct run r;
		run_begin(&r, MX, variant, false);
		r.config.rcpts_max = 2;
		run_dialogue(&r,
			     READY "RCPT TO:<bob@example.test>\nRCPT TO:<alice@example.test>\n");
		assert_text(&r, "RCPTs", READY_OK "250 2.1.5 Ok\n452 4.5.3 Too many recipients\n");
		r.config.destinations_max = 2;
		run_dialogue(&r, "RSET\n" READY "RCPT TO:<list@example.test>\n");
		assert_text(&r, "destinations",
			    "250 2.0.0 Ok\n" READY_OK "452 4.5.3 Too many recipients\n");
		assert_int_equal(smtp_session_recipients(r.s), 1);
		/* One that is there already is not one more. */
		r.config.destinations_max = 1;
		run_dialogue(&r, "RSET\n" READY "RCPT TO:<BOB@example.test>\n");
		assert_text(&r, "the same again", "250 2.0.0 Ok\n" READY_OK "250 2.1.5 Ok\n");
		run_end(&r);
		run_begin(&r, SMTP_SERVICE_LMTP, variant, false);
		r.config.destinations_max = 1;
		run_dialogue(&r,
			     "LHLO c\nMAIL FROM:<>\nRCPT TO:<bob@example.test>\nDATA\n!body A: b");
		assert_said(&r, "250 2.0.0 <bob@example.test> Ok: queued as 1\r\n");
		run_end(&r);
	}
}

static void test_errors(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < RUN_VARIANTS; variant++) {
		struct run r;
		run_begin(&r, MX, variant, false);
		r.config.errors_soft = 2;
		r.config.errors_hard = 4;
		run_dialogue(&r, "FOO\n");
		assert_int_equal(r.delay_ms, 0);
		run_dialogue(&r, "FOO\nFOO\n");
		assert_int_equal(r.delay_ms, 2000);
		run_dialogue(&r, "FOO\n");
		assert_text(&r, "errors",
			    "500 5.5.2 Command not recognized\n500 5.5.2 Command not recognized\n"
			    "500 5.5.2 Command not recognized\n500 5.5.2 Command not recognized\n"
			    "421 4.7.0 mx.example.test Too many errors, closing\n[close]\n");
		run_end(&r);

		/* A message that is accepted makes up for them. */
		run_begin(&r, MX, variant, false);
		r.config.errors_hard = 2;
		run_dialogue(&r, "FOO\n" READY "DATA\n!body A: b\nFOO\n");
		assert_text(&r, "reset",
			    "500 5.5.2 Command not recognized\n" READY_OK GO
			    "250 2.0.0 Ok: queued as 1\n500 5.5.2 Command not recognized\n");
		r.config.junk_max = 2;
		run_dialogue(&r, "NOOP\nRSET\nNOOP\n");
		assert_text(&r, "junk",
			    "250 2.0.0 Ok\n250 2.0.0 Ok\n250 2.0.0 Ok\n"
			    "421 4.7.0 mx.example.test Too many commands without a message, "
			    "closing\n[close]\n");
		run_end(&r);
	}
}

static void test_early_data(void **state)
{
	(void)state;
	struct run r;
	AUTO(buf) struct buf batch = BUF_INIT(KIB(1));
	run_begin(&r, MX, 0, false);
	run_dialogue(&r, READY);
	buf_reset(&r.text);
	smtp_batch_add(&batch, SMTP_LINE_OK, STR("DATA"));
	send_batch(&r, &batch, true);
	assert_text(&r, "early",
		    "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP "
		    "command pipelining\n[close]\n");
	run_end(&r);
	/* Commands behind STARTTLS are not looked at. */
	run_begin(&r, MX, 0, false);
	smtp_batch_add(&batch, SMTP_LINE_OK, STR("STARTTLS"));
	smtp_batch_add(&batch, SMTP_LINE_OK, STR("NOOP"));
	send_batch(&r, &batch, true);
	assert_text(&r, "injection", "220 2.0.0 Ready to start TLS\n[starttls]\n");
	run_end(&r);
}

/* Postfix's XCLIENT: for whom it is offered, and what is refused to them. */
static void test_xclient(void **state)
{
	(void)state;
	static const struct {
		bool allowed, login;
		enum smtp_service service;
		const char *in, *out;
	} rows[] = {
		{false, false, MX, "XCLIENT ADDR=192.0.2.9\nXCLIENT\n",
		 "550 5.7.0 XCLIENT is not offered to you\n"
		 "501 5.5.4 Syntax: XCLIENT attribute=value ...\n"},
		{true, false, MX, "XCLIENT ADDR=192.0.2.9 PORT=4711 NAME=[UNAVAILABLE]\n",
		 "[xclient ADDR=192.0.2.9 PORT=4711 NAME=[UNAVAILABLE]]\n"},
		{true, false, MX, "XCLIENT ADDR=192.0.2\nXCLIENT COLOUR=red\nXCLIENT ADDR\n",
		 "501 5.5.4 XCLIENT attribute has a bad value\n"
		 "501 5.5.4 XCLIENT has no such attribute\n"
		 "501 5.5.4 XCLIENT takes attribute=value pairs\n"},
		{true, false, MX, OPEN "XCLIENT ADDR=192.0.2.9\nRSET\nXCLIENT ADDR=192.0.2.9\n",
		 OPEN_OK "503 5.5.1 Not within a mail transaction\n250 2.0.0 Ok\n"
			 "[xclient ADDR=192.0.2.9]\n"},
		{true, true, MX, "XCLIENT LOGIN=a@example.test\n",
		 "550 5.7.0 XCLIENT LOGIN is not offered to you\n"},
		{true, false, SUB, "XCLIENT LOGIN=a@example.test\nXCLIENT LOGIN=[UNAVAILABLE]\n",
		 "550 5.7.0 XCLIENT LOGIN is not offered to you\n[xclient LOGIN=[UNAVAILABLE]]\n"},
		{true, true, SUB, "XCLIENT LOGIN=a@example.test\n",
		 "[xclient LOGIN=a@example.test]\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows) * 2; i++) {
		struct run r;
		struct smtp_peer peer = {.trace = {0x1f},
					 .ip = STR("192.0.2.1"),
					 .xclient = rows[i / 2].allowed,
					 .xclient_login = rows[i / 2].login};
		run_begin_as(&r, rows[i / 2].service, i % 2 ? RUN_EXPORT : 0, &peer);
		run_dialogue(&r, rows[i / 2].in);
		assert_text(&r, rows[i / 2].in, rows[i / 2].out);
		run_end(&r);
	}
}

/* Who has logged in at the proxy may send, as after AUTH; HELO of the client is known. */
static void test_xclient_claims(void **state)
{
	(void)state;
	struct run r;
	struct smtp_result res;
	struct smtp_peer peer = {.trace = {0x1f},
				 .ip = STR("192.0.2.1"),
				 .helo = STR("client.example"),
				 .esmtp = true,
				 .trusted = true,
				 .xclient = true,
				 .xclient_login = true};
	run_begin_as(&r, SUB, 0, &peer);
	smtp_session_claim(r.s, (struct account_id){1}, STR("alice@example.test"), &res);
	assert_int_equal(res.next, SMTP_CONTINUE);
	run_dialogue(&r, "MAIL FROM:<alice@example.test>\n");
	assert_text(&r, "claimed", "250 2.1.0 Ok\n");
	/* Not twice, and not on port 25. */
	smtp_session_claim(r.s, (struct account_id){2}, STR("bob@example.test"), &res);
	assert_int_equal(res.next, SMTP_CLOSE);
	run_end(&r);
	run_begin_as(&r, MX, 0, &peer);
	smtp_session_claim(r.s, (struct account_id){1}, STR("alice@example.test"), &res);
	assert_int_equal(res.next, SMTP_CLOSE);
	run_end(&r);
	/* EHLO offers it. */
	run_begin_as(&r, SUB, 0, &peer);
	run_dialogue(&r, "EHLO c\n");
	assert_true(str_find_str(buf_str(&r.text), 0,
				 STR("250-XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT "
				     "LOGIN\r\n")) < r.text.n);
	run_end(&r);
}

/* smtp.relay_from: to any domain, by this service, however often the process changes. */
static void test_may_relay(void **state)
{
	(void)state;
	struct run r;
	struct smtp_peer peer = {.trace = {0x1f}, .ip = STR("192.0.2.1"), .may_relay = true};
	static const char words[] =
		"EHLO c\nMAIL FROM:<x@remote.example>\nRCPT TO:<far@away.example>\n"
		"RCPT TO:<nobody@example.test>\n";
	run_begin_as(&r, MX, RUN_EXPORT, &peer);
	run_dialogue(&r, words);
	assert_text(&r, "may relay",
		    EHLO_MX "250 2.1.0 Ok\n250 2.1.5 Ok\n"
			    "550 5.1.1 <nobody@example.test>: Recipient address rejected: "
			    "User unknown\n");
	run_end(&r);
	run_begin_as(&r, SUB, RUN_EXPORT, &peer);
	run_dialogue(&r, "EHLO c\nMAIL FROM:<x@remote.example>\n");
	assert_true(str_find_str(buf_str(&r.text), 0, STR("530 5.7.0 Must issue")) < r.text.n);
	run_end(&r);
}

static void test_trusted_and_no_tls(void **state)
{
	(void)state;
	struct run r;
	run_begin(&r, SUB, RUN_EXPORT, true);
	r.config.starttls = false;
	run_dialogue(&r,
		     "EHLO c\nSTARTTLS\nMAIL FROM:<alice@example.test>\nAUTH PLAIN\n!auth granted\n"
		     "MAIL FROM:<alice@example.test>\n");
	assert_text(&r, "trusted",
		    EHLO_BARE
		    "502 5.5.1 STARTTLS is not offered\n530 5.7.0 Authentication required\n"
		    "[auth PLAIN ]\n235 2.7.0 Authentication successful\n250 2.1.0 Ok\n");
	run_end(&r);
}

static void test_auth_replied_by_edge(void **state)
{
	(void)state;
	struct run r;
	struct smtp_result res;
	struct smtp_auth_result a = {.outcome = SMTP_AUTH_REFUSED, .replied = true};
	run_begin(&r, SUB, 0, true);
	r.config.errors_hard = 1;
	run_dialogue(&r, "EHLO c\nAUTH PLAIN\n");
	buf_reset(&r.text);
	smtp_session_auth_done(r.s, &a, &r.text, &res);
	note_next(&r, &res);
	assert_text(&r, "replied", "421 4.7.0 mx.example.test Too many errors, closing\n[close]\n");
	run_end(&r);
}

/* What is asked for a message's way reaches the queue, also when the session moves. */
static void test_wishes(void **state)
{
	(void)state;
	static const struct {
		const char *params, *reply, *noted;
	} rows[] = {
		{"HOLDFOR=60 REQUIRETLS", "250 2.1.0 Ok\n",
		 "hold=1763719260 by=0 mode=0 priority=0 requiretls=1\n"},
		{"HOLDUNTIL=2025-11-21T09:00:00-02:30", "250 2.1.0 Ok\n",
		 "hold=1763724600 by=0 mode=0 priority=0 requiretls=0\n"},
		{"BY=120;R", "250 2.1.0 Ok\n",
		 "hold=0 by=1763719320 mode=1 priority=0 requiretls=0\n"},
		{"by=-120;nt", "250 2.1.0 Ok\n",
		 "hold=0 by=1763719080 mode=6 priority=0 requiretls=0\n"},
		{"MT-PRIORITY=-9", "250 2.1.0 Ok\n",
		 "hold=0 by=0 mode=0 priority=-9 requiretls=0\n"},
		{"MT-PRIORITY=4", "250 2.1.0 Ok\n", "hold=0 by=0 mode=0 priority=4 requiretls=0\n"},
		{"MT-PRIORITY=5", "250 2.3.6 Ok, with priority 4\n",
		 "hold=0 by=0 mode=0 priority=4 requiretls=0\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct run r;
		AUTO(buf) struct buf say = BUF_INIT(KIB(4)), want = BUF_INIT(KIB(4));
		run_begin(&r, SUB, RUN_EXPORT, false);
		run_dialogue(&r, LOGIN);
		assert_text(&r, "login", LOGIN_OK);
		buf_addf(&say,
			 "MAIL FROM:<alice@example.test> %s\nRCPT TO:<bob@example.test>\nDATA\n"
			 "!body A: b",
			 rows[i].params);
		buf_addf(&want, "%s250 2.1.5 Ok\n" GO "250 2.0.0 Ok: queued as 1\n", rows[i].reply);
		run_dialogue(&r, buf_c(&say));
		assert_text(&r, rows[i].params, buf_c(&want));
		assert_non_null(strstr(buf_c(&r.fake.last), rows[i].noted));
		/* The next message asks for nothing. */
		run_dialogue(&r, "MAIL FROM:<alice@example.test>\nRCPT TO:<bob@example.test>\n"
				 "DATA\n!body A: b");
		assert_null(strstr(buf_c(&r.fake.last), "hold="));
		run_end(&r);
	}
}

/* RFC 8689 section 3: of the header, and only where MAIL does not ask for the contrary. */
static void test_tls_required_no(void **state)
{
	(void)state;
	static const struct {
		const char *param, *field;
		bool optional;
	} rows[] = {{"", "TLS-Required: No", true},
		    {"", "tls-required:\tno ", true},
		    {"", "TLS-Required: Yes", false},
		    {"", "X: TLS-Required: No", false},
		    {" REQUIRETLS", "TLS-Required: No", false}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct run r;
		AUTO(buf) struct buf say = BUF_INIT(KIB(4));
		run_begin(&r, MX, RUN_EXPORT, false);
		buf_addf(&say,
			 "STARTTLS\n!tls\nEHLO c\nMAIL FROM:<x@remote.example>%s\n"
			 "RCPT TO:<bob@example.test>\nDATA\n!body %s",
			 rows[i].param, rows[i].field);
		run_dialogue(&r, buf_c(&say));
		assert_int_equal(r.fake.submitted, 1);
		assert_int_equal(strstr(buf_c(&r.fake.last), "tls is optional") != NULL,
				 rows[i].optional);
		run_end(&r);
	}
}

/* LMTP: each recipient has its reply, also when the session moves in between. */
static void test_lmtp(void **state)
{
	(void)state;
	for (unsigned v = 0; v < RUN_VARIANTS; v++) {
		struct run r;
		run_begin(&r, SMTP_SERVICE_LMTP, v, false);
		run_dialogue(&r, "EHLO c\nLHLO c\nMAIL FROM:<nobody@example.test>\nDATA\n"
				 "RCPT TO:<bob@example.test>\nRCPT TO:<small@example.test>\n"
				 "RCPT TO:<x@remote.example>\nRCPT TO:<BOB@example.test>\nDATA\n");
		assert_text(&r, "until DATA",
			    "500 5.5.1 This is LMTP, send LHLO\n" EHLO_IN "250 2.1.0 Ok\n"
			    "503 5.5.1 No valid recipients\n250 2.1.5 Ok\n250 2.1.5 Ok\n"
			    "550 5.1.1 <x@remote.example>: Recipient address rejected: User "
			    "unknown\n250 2.1.5 Ok\n" GO);
		run_dialogue(&r, "!body A: b                       more than small has room for");
		assert_text(&r, "answers",
			    "250 2.0.0 <bob@example.test> Ok: queued as 1\n"
			    "552 5.2.2 Mailbox is full\n"
			    "250 2.0.0 <BOB@example.test> Ok: queued as 1\n");
		assert_non_null(strstr(buf_c(&r.fake.last), "for <bob@example.test>"));
		assert_null(strstr(buf_c(&r.fake.last), "small"));
		assert_non_null(strstr(buf_c(&r.fake.last), "with LMTP id"));
		run_dialogue(&r, "MAIL FROM:<>\nRCPT TO:<small@example.test>\n"
				 "RCPT TO:<small@example.test>\nBDAT 60 LAST\n"
				 "!body A: b                       more than small has room for");
		assert_text(&r, "nobody is left",
			    "250 2.1.0 Ok\n250 2.1.5 Ok\n250 2.1.5 Ok\n[bdat 60 last]\n"
			    "552 5.2.2 Mailbox is full\n552 5.2.2 Mailbox is full\n");
		assert_int_equal(r.fake.submitted, 1);
		/* Both are one mailbox: what is refused to one of them is not lost to the other. */
		run_dialogue(&r, "MAIL FROM:<>\nRCPT TO:<small@example.test>\n"
				 "RCPT TO:<bob@example.test>\nBDAT 60 LAST\n"
				 "!body A: b                       more than small has room for");
		assert_text(&r, "one mailbox, two verdicts",
			    "250 2.1.0 Ok\n250 2.1.5 Ok\n250 2.1.5 Ok\n[bdat 60 last]\n"
			    "552 5.2.2 Mailbox is full\n"
			    "250 2.0.0 <bob@example.test> Ok: queued as 2\n");
		assert_int_equal(r.fake.submitted, 2);
		run_dialogue(&r, "MAIL FROM:<>\nRCPT TO:<moved@example.test>\nBDAT 60 LAST\n"
				 "!body A: b                       more than small has room for");
		assert_text(&r, "the operator's words",
			    "250 2.1.0 Ok\n250 2.1.5 Ok\n[bdat 60 last]\n550 5.1.6 moved away\n");
		r.fake.submit_result = -FAIL_IO;
		run_dialogue(&r, "MAIL FROM:<>\nRCPT TO:<bob@example.test>\n"
				 "RCPT TO:<alice@example.test>\nDATA\n!body A: b");
		assert_text(&r, "no disk",
			    "250 2.1.0 Ok\n250 2.1.5 Ok\n250 2.1.5 Ok\n" GO
			    "451 4.3.0 Temporary storage failure, please try again later.\n"
			    "451 4.3.0 Temporary storage failure, please try again later.\n");
		run_end(&r);
	}
}

/* What filters give back: to anybody, by nobody in particular, however often they err. */
static void test_reinject(void **state)
{
	(void)state;
	struct run r;
	run_begin(&r, SMTP_SERVICE_REINJECT, RUN_EXPORT, false);
	r.config.errors_hard = 1;
	run_dialogue(&r, "LHLO c\nEHLO c\nAUTH PLAIN\nMAIL FROM:<nobody@example.test>\n"
			 "RCPT TO:<list@example.test>\nRCPT TO:<x@remote.example>\nDATA\n"
			 "!body A: b");
	assert_text(&r, "as it is",
		    "500 5.5.1 This is not LMTP, send EHLO\n" EHLO_IN
		    "503 5.5.1 Authentication is not offered here\n250 2.1.0 Ok\n"
		    "550 5.1.1 <list@example.test>: Recipient address rejected: User unknown\n"
		    "250 2.1.5 Ok\n" GO "250 2.0.0 Ok: queued as 1\n");
	run_end(&r);
	run_begin(&r, SMTP_SERVICE_REINJECT_LISTS, RUN_EXPORT, false);
	run_dialogue(&r, "EHLO c\nMAIL FROM:<nobody@example.test>\nRCPT TO:<list@example.test>\n");
	assert_text(&r, "expanded", EHLO_IN "250 2.1.0 Ok\n250 2.1.5 Ok\n");
	run_dialogue(&r, "RSET\nMAIL FROM:x@remote.example\nMAIL FROM: <x@remote.example>\n"
			 "RCPT TO:bob@example.test\nRCPT TO:<bob@example.test>\n");
	assert_text(&r, "strict",
		    "250 2.0.0 Ok\n501 5.1.7 Bad address syntax: brackets are missing\n"
		    "250 2.1.0 Ok\n501 5.1.3 Bad address syntax: brackets are missing\n"
		    "250 2.1.5 Ok\n");
	run_end(&r);
}

/* State that was cut or altered is refused or at least harmless. */
static void test_broken_state(void **state)
{
	(void)state;
	struct run r;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	run_begin(&r, MX, 0, false);
	run_dialogue(&r, "EHLO c\nMAIL FROM:<x@remote.example> ENVID=a RET=FULL\n"
			 "RCPT TO:<list@example.test> NOTIFY=DELAY ORCPT=rfc822;a@b\nBDAT 3\n");
	assert_int_equal(smtp_session_export(r.s, &b), 0);
	for (size_t n = 0; n < b.n; n++) {
		struct smtp_session *s = NULL;
		assert_int_equal(smtp_session_import(&r.config, &r.backend,
						     str_sub(buf_str(&b), 0, n), &s, NULL),
				 -FAIL_CORRUPT);
	}
	for (size_t i = 0; i < b.n; i++) {
		struct smtp_session *s = NULL;
		b.p[i] = (char)~b.p[i];
		if (smtp_session_import(&r.config, &r.backend, buf_str(&b), &s, NULL) == 0)
			smtp_session_free(s);
		b.p[i] = (char)~b.p[i];
	}
	b.p[4] = (char)(smtp_session_version() + 1);
	struct smtp_session *s = NULL;
	assert_int_equal(smtp_session_import(&r.config, &r.backend, buf_str(&b), &s, NULL),
			 -FAIL_UNSUPPORTED);
	struct buf small = BUF_INIT(b.n - 1);
	assert_int_equal(smtp_session_export(r.s, &small), -FAIL_LIMIT);
	buf_clear(&small);
	run_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_submission_prefix),
		cmocka_unit_test(test_hops),
		cmocka_unit_test(test_failures_inside),
		cmocka_unit_test(test_recipient_limits),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_early_data),
		cmocka_unit_test(test_xclient),
		cmocka_unit_test(test_xclient_claims),
		cmocka_unit_test(test_may_relay),
		cmocka_unit_test(test_trusted_and_no_tls),
		cmocka_unit_test(test_auth_replied_by_edge),
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_tls_required_no),
		cmocka_unit_test(test_lmtp),
		cmocka_unit_test(test_reinject),
		cmocka_unit_test(test_broken_state),
		cmocka_unit_test(test_open_bodies),
		cmocka_unit_test(test_first_chunk),
		cmocka_unit_test(test_every_field),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
