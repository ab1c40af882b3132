/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"
#include "base/test.h"
#include "proto/smtp_client/fake_wire.h"
#include "proto/smtp_client/smtp_client_int.h"
#include <stdio.h>
#include <sys/mman.h>

#define GREET "220 mx.example ESMTP\r\n"
#define FULL                                                                                       \
	"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-DSN\r\n"         \
	"250 SMTPUTF8\r\n"

struct talk {
	struct fake_wire fake;
	struct smtp_client c;
	struct smtp_client_rcpt rcpts[300];
	struct smtp_client_message m;
	bool unsure;
};

/* The server's side of a whole connection. */
static void begin(struct talk *t, const char *server, bool lmtp)
{
	struct smtp_client_times times = smtp_client_times_default();
	memset(t, 0, sizeof *t);
	fake_init(&t->fake, str_c(server), 1000000);
	smtp_client_init(&t->c, &t->fake.wire, lmtp, &times);
	t->m = (struct smtp_client_message){.sender = STR("a@example.org"),
					    .prefix = STR("P: 1\r\n"),
					    .body = STR("Subject: x\r\n\r\n.hi\r\n"),
					    .size = 19,
					    .file = -1,
					    .rcpts = t->rcpts,
					    .n = 1};
	t->rcpts[0].address = STR("b@example.net");
	t->rcpts[1].address = STR("c@example.net");
	t->rcpts[2].address = STR("d@example.net");
}

static void hello(struct talk *t)
{
	assert_int_equal(smtp_client_greeting(&t->c), 0);
	assert_int_equal(smtp_client_hello(&t->c, STR("me.example")), 0);
	buf_reset(&t->fake.client);
}

static void done(struct talk *t)
{
	smtp_client_clear(&t->c);
	buf_clear(&t->fake.client);
}

static int send_it(struct talk *t)
{
	return smtp_client_send(&t->c, &t->m, &t->unsure);
}

static void assert_client(struct talk *t, const char *want)
{
	assert_str(buf_str(&t->fake.client), want);
}

#define CONTENT "P: 1\r\nSubject: x\r\n\r\n..hi\r\n.\r\n"

static void what_is_offered(void **state)
{
	(void)state;
	struct talk t;
	begin(&t,
	      "220-mx.example welcomes\r\n220 you\r\n"
	      "250-mx.example\r\n250-PIPELINING\r\n250-size 35882577\n250-AUTH=LOGIN\r\n"
	      "250-AUTH PLAIN  LOGIN\r\n250-STARTTLS\r\n250-DELIVERBY 240\r\n"
	      "250-XFORWARD NAME ADDR\r\n250-8BITMIMEX\r\n250 CHUNKING\r\n",
	      false);
	for (t.fake.piece = 1; t.fake.piece < 3; t.fake.piece++) {
		struct str all = t.fake.server;
		assert_int_equal(smtp_client_greeting(&t.c), 0);
		assert_string_equal(t.c.name, "mx.example");
		assert_int_equal(smtp_client_hello(&t.c, STR("me.example")), 0);
		assert_int_equal(t.c.offers, SMTP_OFFERS_PIPELINING | SMTP_OFFERS_SIZE |
						     SMTP_OFFERS_AUTH | SMTP_OFFERS_STARTTLS |
						     SMTP_OFFERS_DELIVERBY | SMTP_OFFERS_XFORWARD |
						     SMTP_OFFERS_CHUNKING);
		assert_int_equal(t.c.size_max, 35882577);
		assert_int_equal(t.c.deliver_by_min, 240);
		assert_int_equal(t.c.xforward, SMTP_XFORWARD_NAME | SMTP_XFORWARD_ADDR);
		assert_string_equal(t.c.mechanisms, "PLAIN  LOGIN");
		assert_client(&t, "EHLO me.example\r\n");
		buf_reset(&t.fake.client);
		t.fake.server = all;
	}
	smtp_client_secured(&t.c);
	assert_int_equal(t.c.offers, 0);
	done(&t);
}

static void an_old_server(void **state)
{
	(void)state;
	struct talk t;
	begin(&t,
	      GREET "502 what?\r\n250 mx.example\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n"
		    "250 taken\r\n",
	      false);
	assert_int_equal(smtp_client_greeting(&t.c), 0);
	assert_int_equal(smtp_client_hello(&t.c, STR("me.example")), 0);
	assert_int_equal(t.c.offers, 0);
	t.m.n = 2;
	t.m.eightbit = true; /* not offered, so not said */
	t.m.envid = STR("x");
	t.rcpts[0].notify = SMTP_NOTIFY_SUCCESS;
	assert_int_equal(send_it(&t), 0);
	assert_client(&t, "EHLO me.example\r\nHELO me.example\r\nMAIL FROM:<a@example.org>\r\n"
			  "RCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n" CONTENT);
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT);
	assert_false(t.rcpts[0].dsn_passed);
	assert_int_equal(t.rcpts[1].sent, SMTP_SENT_REFUSED);
	assert_string_equal(t.rcpts[1].answer.text, "550 no");
	assert_true(t.rcpts[1].said);
	assert_false(t.unsure);
	assert_true(smtp_client_is_quiet(&t.c));
	done(&t);
}

static void together(void **state)
{
	(void)state;
	struct talk t;
	begin(&t,
	      GREET FULL "250 2.1.0 ok\r\n250 2.1.5 ok\r\n550-5.1.1 No\r\n550 5.1.1 such user\r\n"
			 "451 4.7.1 later\r\n354 go\r\n250 2.0.0 queued as 7\r\n",
	      false);
	hello(&t);
	t.m.n = 3;
	t.m.eightbit = true;
	t.m.ret = SMTP_RET_HDRS;
	t.m.envid = STR("QQ+2B1");
	t.rcpts[0].notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE;
	t.rcpts[0].orcpt = STR("rfc822;B@example.net");
	t.rcpts[1].notify = SMTP_NOTIFY_NEVER;
	assert_int_equal(send_it(&t), 0);
	assert_client(&t,
		      "MAIL FROM:<a@example.org> SIZE=25 BODY=8BITMIME RET=HDRS ENVID=QQ+2B1\r\n"
		      "RCPT TO:<b@example.net> NOTIFY=SUCCESS,FAILURE "
		      "ORCPT=rfc822;B@example.net\r\n"
		      "RCPT TO:<c@example.net> NOTIFY=NEVER\r\n"
		      "RCPT TO:<d@example.net>\r\nDATA\r\n" CONTENT);
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT);
	assert_true(t.rcpts[0].dsn_passed);
	assert_string_equal(t.rcpts[0].answer.text, "250 2.0.0 queued as 7");
	assert_int_equal(t.rcpts[1].sent, SMTP_SENT_REFUSED);
	assert_string_equal(t.rcpts[1].answer.enhanced, "5.1.1");
	assert_string_equal(t.rcpts[1].answer.text, "550 5.1.1 No such user");
	assert_int_equal(t.rcpts[2].sent, SMTP_SENT_LATER);
	assert_false(t.c.in_transaction);
	done(&t);
}

static void one_round_trip(void **state)
{
	(void)state;
	struct talk t;
	const char *answers = GREET "250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
				    "250 ok\r\n250 ok\r\n250 taken\r\n";
	begin(&t, answers, false);
	hello(&t);
	t.m.body = STR("Subject: x\r\n\r\n.hi"); /* the last line without its end */
	t.m.size = 17;
	assert_int_equal(send_it(&t), 0);
	assert_client(&t, "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"
			  "BDAT 25 LAST\r\nP: 1\r\nSubject: x\r\n\r\n.hi\r\n");
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT);
	assert_false(t.unsure);
	done(&t);
	/* A connection that has rested shows first that it lives. */
	begin(&t, answers, false);
	hello(&t);
	t.c.rested = true;
	assert_int_equal(send_it(&t), -FAIL_PEER); /* 250 to DATA is not SMTP */
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT_NOTHING);
	assert_client(&t, "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n");
	assert_true(t.c.broken);
	assert_false(t.unsure);
	done(&t);
	/* All refused: the message's own answer means nothing. */
	begin(&t,
	      GREET "250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 ok\r\n550 no\r\n"
		    "503 nobody\r\n250 reset\r\n",
	      false);
	hello(&t);
	assert_int_equal(send_it(&t), 0);
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT_REFUSED);
	assert_false(t.unsure);
	assert_true(t.c.in_transaction);
	assert_int_equal(smtp_client_reset(&t.c), 0);
	assert_false(t.c.in_transaction);
	done(&t);
	/* Lost before the answer: who knows. */
	begin(&t, GREET "250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 ok\r\n250 ok\r\n",
	      false);
	hello(&t);
	assert_int_equal(send_it(&t), -FAIL_PEER);
	assert_true(t.unsure);
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT_NOTHING);
	done(&t);
}

static void sender_refused(void **state)
{
	(void)state;
	static const struct {
		const char *answers;
		int result;
		const char *text;
		bool broken;
	} rows[] = {
		{"550 5.7.1 not you\r\n503 x\r\n503 x\r\n", -FAIL_PERM, "550 5.7.1 not you", false},
		{"450 4.1.8 later\r\n503 x\r\n354 go\r\n554 none\r\n", -FAIL_TEMP,
		 "450 4.1.8 later", false},
		{"550 5.7.1 not you\r\n503 x\r\n", -FAIL_PERM, "550 5.7.1 not you", true},
		{"421 4.3.2 closing\r\n", -FAIL_TEMP, "421 4.3.2 closing", true},
		{"hello\r\n", -FAIL_PEER, "the server did not speak SMTP while the sender", true},
		{"250-x\r\n251 y\r\n", -FAIL_PEER, "the server did not speak SMTP while the sender",
		 true},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct talk t;
		AUTO(buf) struct buf all = BUF_INIT(KIB(4));
		buf_addf(&all, "%s%s%s", GREET, FULL, rows[i].answers);
		begin(&t, buf_c(&all), false);
		hello(&t);
		assert_int_equal(send_it(&t), rows[i].result);
		assert_int_equal(t.c.broken, rows[i].broken);
		assert_false(t.unsure);
		if (i < 4)
			assert_string_equal(t.c.answer.text, rows[i].text);
		assert_int_equal(t.rcpts[0].sent, SMTP_SENT_NOTHING);
		done(&t);
	}
}

static void data_refused_and_lost(void **state)
{
	(void)state;
	struct talk t;
	begin(&t, GREET FULL "250 ok\r\n250 ok\r\n451 4.3.0 full\r\n", false);
	hello(&t);
	assert_int_equal(send_it(&t), -FAIL_TEMP);
	assert_string_equal(t.c.answer.enhanced, "4.3.0");
	assert_true(t.c.in_transaction);
	assert_false(t.c.broken);
	done(&t);
	/* The end was sent, nobody answers. */
	begin(&t, GREET FULL "250 ok\r\n250 ok\r\n354 go\r\n", false);
	t.fake.silent = true;
	hello(&t);
	assert_int_equal(send_it(&t), -FAIL_DEADLINE);
	assert_true(t.unsure);
	assert_true(t.c.broken);
	assert_int_equal(t.c.answer.code, 0);
	assert_string_equal(t.c.answer.enhanced, "4.4.2");
	done(&t);
	/* It is lost on the way: the end cannot have arrived. */
	begin(&t, GREET FULL "250 ok\r\n250 ok\r\n354 go\r\n", false);
	hello(&t);
	t.fake.write_most = 90;
	assert_int_equal(send_it(&t), -FAIL_PEER);
	assert_false(t.unsure);
	done(&t);
	/* 421 to a recipient ends it for the rest. */
	begin(&t, GREET FULL "250 ok\r\n250 ok\r\n421 4.7.0 too many\r\n", false);
	hello(&t);
	t.m.n = 3;
	assert_int_equal(send_it(&t), -FAIL_TEMP);
	assert_true(t.c.broken);
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT_NOTHING);
	assert_int_equal(t.rcpts[1].sent, SMTP_SENT_LATER);
	assert_int_equal(t.rcpts[2].sent, SMTP_SENT_NOTHING);
	done(&t);
}

static void lmtp(void **state)
{
	(void)state;
	struct talk t;
	begin(&t,
	      GREET "250-h\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 ok\r\n250 ok\r\n550 no\r\n"
		    "250 ok\r\n354 go\r\n250 2.0.0 one\r\n452 4.2.2 over quota\r\n",
	      true);
	assert_int_equal(smtp_client_greeting(&t.c), 0);
	assert_int_equal(smtp_client_hello(&t.c, STR("me.example")), 0);
	t.m.n = 3;
	assert_int_equal(send_it(&t), 0);
	assert_true(str_starts(buf_str(&t.fake.client), STR("LHLO me.example\r\n")));
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT);
	assert_int_equal(t.rcpts[1].sent, SMTP_SENT_REFUSED);
	assert_int_equal(t.rcpts[2].sent, SMTP_SENT_LATER);
	assert_string_equal(t.rcpts[2].answer.text, "452 4.2.2 over quota");
	done(&t);
	/* Lost between the answers of two: one of them is known. */
	begin(&t, GREET "250 h\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 one\r\n", true);
	hello(&t);
	t.m.n = 2;
	assert_int_equal(send_it(&t), -FAIL_PEER);
	assert_true(t.unsure);
	assert_int_equal(t.rcpts[0].sent, SMTP_SENT);
	assert_int_equal(t.rcpts[1].sent, SMTP_SENT_NOTHING);
	done(&t);
}

/* More recipients than go together, and a message from a file. */
static void many(void **state)
{
	(void)state;
	struct talk t;
	static char address[300][32];
	AUTO(buf) struct buf answers = BUF_INIT(KIB(64));
	AUTO(buf) struct buf body = BUF_INIT(MIB(1));
	buf_add(&answers, STR(GREET "250-h\r\n250 PIPELINING\r\n250 ok\r\n"));
	begin(&t, "", false);
	for (int i = 0; i < 250; i++) {
		int n = snprintf(address[i], sizeof address[i], "u%d@example.net", i);
		t.rcpts[i].address = (struct str){address[i], (size_t)n};
		buf_addf(&answers, "%d x\r\n", i % 2 ? 250 : 550);
	}
	buf_add(&answers, STR("354 go\r\n250 taken\r\n"));
	t.fake.server = buf_str(&answers);
	for (int i = 0; i < 20000; i++)
		buf_addf(&body, ".line %d\r\n", i);
	t.m.n = 250;
	t.m.file = memfd_create("body", 0);
	assert_int_equal(write(t.m.file, body.p, body.n), (ssize_t)body.n);
	t.m.size = body.n;
	hello(&t);
	assert_int_equal(send_it(&t), 0);
	for (int i = 0; i < 250; i++)
		assert_int_equal(t.rcpts[i].sent, i % 2 ? SMTP_SENT : SMTP_SENT_REFUSED);
	struct str all = buf_str(&t.fake.client);
	assert_true(str_ends(all, STR("\r\n..line 19999\r\n.\r\n")));
	assert_true(str_find_str(all, 0, STR("DATA\r\nP: 1\r\n..line 0\r\n..line 1\r\n")) < all.n);
	(void)close(t.m.file);
	done(&t);
	/* A file that is shorter than it should be never gets its final dot. */
	begin(&t, GREET "250 h\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n", false);
	hello(&t);
	t.m.file = memfd_create("body", 0);
	t.m.size = 10;
	assert_int_equal(send_it(&t), -FAIL_IO);
	assert_true(t.c.broken);
	assert_false(t.unsure);
	assert_false(str_ends(buf_str(&t.fake.client), STR(".\r\n")));
	(void)close(t.m.file);
	done(&t);
}

static void what_it_lacks(void **state)
{
	(void)state;
	struct talk t;
	begin(&t, GREET "250-h\r\n250-PIPELINING\r\n250 SIZE 20\r\n", false);
	hello(&t);
	assert_int_equal(send_it(&t), -FAIL_UNSUPPORTED);
	assert_string_equal(t.c.answer.enhanced, "5.3.4");
	t.c.size_max = 0;
	t.m.smtputf8 = true;
	assert_int_equal(send_it(&t), -FAIL_UNSUPPORTED);
	assert_string_equal(t.c.answer.enhanced, "5.6.7");
	t.m.smtputf8 = false;
	t.m.requiretls = true;
	assert_int_equal(send_it(&t), -FAIL_UNSUPPORTED);
	assert_string_equal(t.c.answer.enhanced, "5.7.30");
	t.m.requiretls = false;
	/* What would end the command early is not said. */
	static const char *const bad[] = {
		"a@b>\r\nRCPT TO:<x@y", "a@b> X=Y", "a b@c", "\"a@b", "a\x7f@b", "\"\\\r\"@b", ""};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		t.rcpts[0].address = str_c(bad[i]);
		assert_int_equal(send_it(&t), -FAIL_UNSUPPORTED);
		assert_string_equal(t.c.answer.enhanced, "5.1.3");
	}
	assert_int_equal(t.fake.client.n, 0);
	assert_false(t.c.broken);
	done(&t);
}

static void whom_it_forwards_for(void **state)
{
	(void)state;
	struct talk t;
	struct smtp_forward f = {.name = STR("spike.example"),
				 .ip = STR("2001:db8::1"),
				 .helo = STR("a b"),
				 .proto = STR("ESMTP"),
				 .remote = true};
	begin(&t,
	      GREET "250-h\r\n250 XFORWARD NAME ADDR PORT PROTO HELO SOURCE\r\n250 ok\r\n250 ok\r\n"
		    "250 ok\r\n354 go\r\n250 taken\r\n",
	      false);
	hello(&t);
	t.m.forward = &f;
	assert_int_equal(send_it(&t), 0);
	assert_client(&t,
		      "XFORWARD NAME=spike.example ADDR=IPV6:2001:db8::1 PORT=[UNAVAILABLE] "
		      "PROTO=ESMTP HELO=a+20b SOURCE=REMOTE\r\n"
		      "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n" CONTENT);
	done(&t);
}

static void tls_is_not_fooled(void **state)
{
	(void)state;
	struct talk t;
	begin(&t, GREET "250-h\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n", false);
	hello(&t);
	assert_int_equal(smtp_client_starttls(&t.c), -FAIL_PEER);
	assert_true(t.c.broken);
	done(&t);
	begin(&t, GREET "250-h\r\n250 STARTTLS\r\n454 not now\r\n", false);
	hello(&t);
	assert_int_equal(smtp_client_starttls(&t.c), -FAIL_TEMP);
	assert_false(t.c.broken);
	done(&t);
}

static void logging_in(void **state)
{
	(void)state;
	struct talk t;
	begin(&t, GREET "250-h\r\n250 AUTH LOGIN plain\r\n235 2.7.0 welcome\r\n", false);
	hello(&t);
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("secret")), 0);
	assert_client(&t, "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n");
	done(&t);
	begin(&t,
	      GREET "250-h\r\n250 AUTH LOGIN\r\n334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"
		    "535 5.7.8 no\r\n",
	      false);
	hello(&t);
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("secret")), -FAIL_PERM);
	assert_client(&t, "AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n");
	assert_false(t.c.broken);
	done(&t);
	/* It stops where the server does. */
	begin(&t, GREET "250-h\r\n250 AUTH LOGIN\r\n334 x\r\n454 4.7.0 later\r\n", false);
	hello(&t);
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("secret")), -FAIL_TEMP);
	assert_client(&t, "AUTH LOGIN\r\nam9l\r\n");
	done(&t);
	begin(&t, GREET "250-h\r\n250 AUTH PLAIN\r\n250 so what\r\n", false);
	hello(&t);
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("secret")), -FAIL_PEER);
	done(&t);
	begin(&t, GREET "250-h\r\n250 AUTH GSSAPI PLAINER\r\n", false);
	hello(&t);
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("secret")), -FAIL_UNSUPPORTED);
	assert_int_equal(t.fake.client.n, 0);
	done(&t);
}

/* The examples of RFC 7677 section 3 and RFC 5802 section 5. */
static void scram_by_the_book(void **state)
{
	(void)state;
	static const struct {
		enum digest digest;
		const char *nonce, *challenge, *final, *signature;
	} rows[] = {
		{DIGEST_SHA256, "rOprNGfwEbeRWgbNEkqO",
		 "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
		 "i=4096",
		 "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		 "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		 "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
		{DIGEST_SHA1, "fyko+d2lbbFgONRv9qkxdawL",
		 "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
		 "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
		 "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		 "rmF9pqV8S7suAoZWja4dJRkFsKQ="}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf out = BUF_INIT(KIB(2)), v = BUF_INIT(KIB(1));
		struct client_scram s = {.digest = rows[i].digest,
					 .user = STR("user"),
					 .password = STR("pencil"),
					 .gs2 = "n,,"};
		(void)snprintf(s.nonce, sizeof s.nonce, "%s", rows[i].nonce);
		assert_int_equal(client_scram_answer(&s, str_c(rows[i].challenge), &out), 0);
		assert_string_equal(buf_c(&out), rows[i].final);
		(void)base64_encode(&v, str_make((const char *)s.signature, digest_len(s.digest)));
		assert_string_equal(buf_c(&v), rows[i].signature);
		static const char *const bad[] = {"r=another,s=QSXCR+Q6sek8bf92,i=4096",
						  "r=%s,s=QSXCR+Q6sek8bf92,i=4096",
						  "r=%sx,s=QSXCR+Q6sek8bf92,i=0",
						  "r=%sx,s=QSXCR+Q6sek8bf92,i=99999999",
						  "r=%sx,s=*,i=4096",
						  "r=%sx,s=QSXCR+Q6sek8bf92",
						  "m=x,r=%sx,s=QSXC,i=1",
						  ""};
		for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
			char text[200];
			size_t at = str_find_str(str_c(bad[k]), 0, STR("%s"));
			bool named = at < strlen(bad[k]);
			(void)snprintf(text, sizeof text, "%.*s%s%s", (int)at, bad[k],
				       named ? s.nonce : "", named ? bad[k] + at + 2 : "");
			assert_int_equal(client_scram_answer(&s, str_c(text), &out), -FAIL_SYNTAX);
		}
	}
}

/* Who cannot prove that it knows the password gets nothing; who has no keys gets it by PLAIN. */
static void scram_refused(void **state)
{
	(void)state;
	struct talk t;
	begin(&t,
	      GREET "250-h\r\n250 AUTH PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"
		    "535 5.7.8 no\r\n235 2.7.0 welcome\r\n",
	      false);
	hello(&t);
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("secret")), 0);
	struct str said = buf_str(&t.fake.client);
	assert_true(str_starts(said, STR("AUTH SCRAM-SHA-256 biwsbj1qb2Uscj"))); /* n,,n=joe,r= */
	assert_true(str_ends(said, STR("\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n")));
	done(&t);
	begin(&t,
	      GREET
	      "250-h\r\n250 AUTH PLAIN SCRAM-SHA-1\r\n334 cj14LHM9eA==\r\n501 ok\r\n535 no\r\n",
	      false);
	hello(&t);
	t.c.can_bind = true;
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("secret")), -FAIL_PERM);
	said = buf_str(&t.fake.client);
	assert_true(str_starts(said, STR("AUTH SCRAM-SHA-1 eSwsbj1qb2Uscj"))); /* y,,n=joe,r= */
	assert_true(str_find_str(said, 0, STR("\r\n*\r\n")) < said.n);
	done(&t);
	/* Passwords that would have to be prepared first. */
	begin(&t, GREET "250-h\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n235 ok\r\n", false);
	hello(&t);
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("s\xc3\xa9")), 0);
	assert_true(str_starts(buf_str(&t.fake.client), STR("AUTH PLAIN ")));
	done(&t);
	begin(&t, GREET "250-h\r\n250 AUTH SCRAM-SHA-256\r\n454 later\r\n", false);
	hello(&t);
	assert_int_equal(smtp_client_auth(&t.c, STR("joe"), STR("secret")), -FAIL_TEMP);
	done(&t);
}

static void strange_greetings(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
	} rows[] = {{"554 5.7.1 go away\r\n", -FAIL_PERM},
		    {"421 busy\r\n", -FAIL_TEMP},
		    {"250 hi\r\n", -FAIL_PEER},
		    {"", -FAIL_PEER},
		    {"220", -FAIL_PEER},
		    {"SSH-2.0-x\r\n", -FAIL_PEER},
		    {"+OK POP3\r\n", -FAIL_PEER},
		    {"220 ok\r\n", 0},
		    {"220\r\n", 0},
		    {"22\r\n", -FAIL_PEER},
		    {"220x\r\n", -FAIL_PEER}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct talk t;
		begin(&t, rows[i].text, false);
		if (smtp_client_greeting(&t.c) != rows[i].result)
			fail_msg("%s", rows[i].text);
		done(&t);
	}
	/* Endless lines and endless replies. */
	AUTO(buf) struct buf endless = BUF_INIT(MIB(1));
	for (int i = 0; i < 3000; i++)
		buf_add(&endless, STR("220"));
	struct talk t;
	begin(&t, buf_c(&endless), false);
	assert_int_equal(smtp_client_greeting(&t.c), -FAIL_PEER);
	done(&t);
	buf_reset(&endless);
	for (int i = 0; i < 3000; i++)
		buf_add(&endless, STR("220-\r\n"));
	begin(&t, buf_c(&endless), false);
	assert_int_equal(smtp_client_greeting(&t.c), -FAIL_PEER);
	done(&t);
}

/* A reply has its time, even if something of it is always there to be read. */
static void byte_by_byte(void **state)
{
	struct talk t;
	(void)state;
	begin(&t, GREET FULL, false);
	t.fake.piece = 1;
	t.fake.slow_ms = 2;
	t.c.times.greeting = 10;
	assert_int_equal(smtp_client_greeting(&t.c), -FAIL_DEADLINE);
	assert_true(t.c.broken);
	done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_offered),
		cmocka_unit_test(an_old_server),
		cmocka_unit_test(together),
		cmocka_unit_test(one_round_trip),
		cmocka_unit_test(sender_refused),
		cmocka_unit_test(data_refused_and_lost),
		cmocka_unit_test(lmtp),
		cmocka_unit_test(many),
		cmocka_unit_test(what_it_lacks),
		cmocka_unit_test(whom_it_forwards_for),
		cmocka_unit_test(tls_is_not_fooled),
		cmocka_unit_test(logging_in),
		cmocka_unit_test(scram_by_the_book),
		cmocka_unit_test(scram_refused),
		cmocka_unit_test(strange_greetings),
		cmocka_unit_test(byte_by_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
