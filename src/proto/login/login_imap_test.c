/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/imap/imap_capability.h"
#include "proto/login/login_imap.h"

/*
 * A dialogue: what a client sends, and everything that it gets. The verdict of dir is right for
 * tim/secret, UNAVAILABLE for down, BUSY for busy. Actions show as [TLS], [DONE], [CLOSE].
 */
struct peer {
	struct login_imap login;
	struct frame_imap framer;
	struct buf *out;
	bool over;
};

static enum login_verdict judge(const struct sasl_credentials *c)
{
	if (str_eq(c->user, STR("down")))
		return LOGIN_VERDICT_UNAVAILABLE;
	if (str_eq(c->user, STR("busy")))
		return LOGIN_VERDICT_BUSY;
	bool right = str_eq(c->user, STR("tim")) && str_eq(c->password, STR("secret"));
	return right ? LOGIN_VERDICT_OK : LOGIN_VERDICT_REFUSED;
}

static void act(struct peer *p, enum login_action a)
{
	struct login_answer answer;
	switch (a) {
	case LOGIN_ACTION_PEER:
		buf_addf(p->out, "[PEER %d:%u %d:%u]", (int)p->login.client.family,
			 p->login.client.port, (int)p->login.local.family, p->login.local.port);
		break;
	case LOGIN_ACTION_NONE:
		break;
	case LOGIN_ACTION_LINE:
		frame_imap_expect_raw(&p->framer);
		break;
	case LOGIN_ACTION_STARTTLS:
		buf_add_c(p->out, "[TLS]");
		frame_imap_wipe(&p->framer);
		login_imap_tls_started(&p->login, &p->login.config.offer);
		break;
	case LOGIN_ACTION_VERIFY:
		answer = (struct login_answer){
			.verdict = judge(&login_imap_sasl(&p->login)->credentials)};
		act(p, login_imap_answer(&p->login, &answer, p->out));
		break;
	case LOGIN_ACTION_DONE:
	case LOGIN_ACTION_CLOSE:
		buf_add_c(p->out, a == LOGIN_ACTION_DONE ? "[DONE]" : "[CLOSE]");
		p->over = true;
		break;
	}
}

/* Returns false when the rest of the input must be dropped. */
static bool handle(struct peer *p, struct frame_imap_event e)
{
	enum login_action a;
	if (e.kind == FRAME_IMAP_LITERAL) {
		buf_add_c(p->out, "+ go\r\n");
		frame_imap_accept(&p->framer);
		return true;
	}
	if (e.kind != FRAME_IMAP_COMMAND)
		a = login_imap_dropped(&p->login, e.kind, e.tag, p->out);
	else if (p->login.in_sasl)
		a = login_imap_line(&p->login, e.input.text, p->out);
	else
		a = login_imap_command(&p->login, &e.input, p->out);
	act(p, a);
	return a != LOGIN_ACTION_STARTTLS;
}

/* What is offered after login stands in the tests of the table itself. */
static void shorten(struct buf *out)
{
	const struct imap_capability_limits none = {0};
	AUTO(buf) struct buf list = BUF_INIT(KIB(4)), copy = BUF_INIT(KIB(64));
	assert_int_equal(imap_capability_write(&list, IMAP_CAP_AUTHENTICATED, &none), 0);
	struct str text = buf_str(out);
	size_t at = str_find_str(text, 0, buf_str(&list));
	if (at == text.n)
		return;
	buf_add(&copy, str_sub(text, 0, at));
	buf_add(&copy, STR("(after)"));
	buf_add(&copy, str_skip(text, at + list.n));
	buf_reset(out);
	buf_add(out, buf_str(&copy));
}

static void run(const char *input, const struct login_imap_config *config, bool tls, size_t cut,
		struct buf *out)
{
	struct peer p = {.out = out};
	struct str in = str_c(input);
	login_imap_init(&p.login, config, tls);
	frame_imap_init(&p.framer, &frame_imap_limits_login);
	buf_reset(out);
	for (size_t at = 0; at < in.n && !p.over; at += cut) {
		struct str piece = str_sub(in, at, at + cut);
		while (!p.over) {
			struct frame_imap_event e = frame_imap_feed(&p.framer, &piece);
			if (e.kind == FRAME_IMAP_MORE)
				break;
			if (!handle(&p, e))
				piece = STR_NULL;
		}
	}
	frame_imap_clear(&p.framer);
	login_imap_clear(&p.login);
	shorten(out);
}

#define LOGGED_IN(tag) tag " OK [CAPABILITY (after)] Logged in.\r\n[DONE]"
#define REFUSED(tag)   tag " NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
#define PRIVACY(tag)                                                                               \
	tag " NO [PRIVACYREQUIRED] Passwords are taken with TLS only: use STARTTLS.\r\n"

static const struct {
	const char *in;
	const char *want;
} secure[] = {
	{"a LOGIN tim secret\r\n", LOGGED_IN("a")},
	{"a LOGIN {3}\r\ntim {6+}\r\nsecret\r\n", "+ go\r\n" LOGGED_IN("a")},
	{"a LOGIN tim \"secr\\\"et\"\r\n", REFUSED("a")},
	{"a LOGIN tim wrong\r\nb LOGIN nobody secret\r\nc LOGIN tim \"\"\r\n",
	 REFUSED("a") REFUSED("b") REFUSED("c")},
	{"a LOGIN down x\r\n", "a NO [UNAVAILABLE] Logins are not possible now, try later.\r\n"},
	{"a LOGIN busy x\r\n", "a NO [LIMIT] Too many sessions or attempts, try later.\r\n"},
	{"a AUTHENTICATE PLAIN\r\nAHRpbQBzZWNyZXQ=\r\n", "+ \r\n" LOGGED_IN("a")},
	{"a authenticate plain AHRpbQBzZWNyZXQ=\r\n", LOGGED_IN("a")},
	{"a AUTHENTICATE PLAIN AHRpbQB3cm9uZw==\r\n", REFUSED("a")},
	{"a AUTHENTICATE PLAIN =\r\n\r\n",
	 "+ \r\na BAD That is not a response of this mechanism.\r\n"},
	{"a AUTHENTICATE PLAIN\r\n\r\nAHRpbQBzZWNyZXQ\r\n", "+ \r\n+ \r\n" LOGGED_IN("a")},
	{"a AUTHENTICATE LOGIN\r\ndGlt\r\nc2VjcmV0\r\n",
	 "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n" LOGGED_IN("a")},
	{"a AUTHENTICATE LOGIN dGlt\r\nc2VjcmV0\r\n", "+ UGFzc3dvcmQ6\r\n" LOGGED_IN("a")},
	{"a AUTHENTICATE LOGIN\r\n*\r\nb NOOP\r\n",
	 "+ VXNlcm5hbWU6\r\na BAD Authentication cancelled.\r\nb OK Nothing done.\r\n"},
	{"a AUTHENTICATE LOGIN\r\nx {3}\r\nb NOOP\r\n",
	 "+ VXNlcm5hbWU6\r\na BAD That is not a response of this mechanism.\r\nb OK Nothing "
	 "done.\r\n"},
	{"a AUTHENTICATE LOGIN\r\nd\rGlt\r\nb NOOP\r\n",
	 "+ VXNlcm5hbWU6\r\na BAD The command holds a bare CR or a NUL.\r\nb OK Nothing done.\r\n"},
	{"a AUTHENTICATE CRAM-MD5\r\n", "a NO [CANNOT] Mechanism not offered.\r\n"},
	{"a AUTHENTICATE PLAIN VXJzZWwAS3VydAB4aXBqM3BsbXE=\r\n",
	 "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"},
	{"a CAPABILITY\r\n",
	 "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE AUTH=PLAIN "
	 "AUTH=LOGIN\r\na OK Capabilities listed.\r\n"},
	{"a STARTTLS\r\n", "a BAD TLS is active already.\r\n"},
	{"a ID NIL\r\nb ID (\"name\" \"x\")\r\n",
	 "* ID (\"name\" \"barid\" \"version\" \"7\")\r\na OK That is me.\r\n"
	 "* ID (\"name\" \"barid\" \"version\" \"7\")\r\nb OK That is me.\r\n"},
	{"a LOGOUT\r\nb NOOP\r\n", "* BYE Until next time.\r\na OK Logged out.\r\n[CLOSE]"},
	{"a ENABLE CONDSTORE\r\nb SELECT INBOX\r\n",
	 "a BAD Log in first.\r\nb BAD Log in first.\r\n"},
	{"a LOGIN x\r\n+\r\n\r\n",
	 "a BAD Expected a space at column 10.\r\n* BAD Expected a tag at column 1.\r\n"},
	{"a X {5000+}\r\n", ""},
	{"a X {5000}\r\nb NOOP\r\n", "a BAD The command is too long.\r\nb OK Nothing done.\r\n"},
	{"a FOO\r\nb FOO\r\nc FOO\r\nd FOO\r\nd NOOP\r\n",
	 "a BAD Unknown command.\r\nb BAD Unknown command.\r\nc BAD Unknown command.\r\n"
	 "d BAD Unknown command.\r\n* BYE Too many bad commands.\r\n[CLOSE]"},
};

static const struct {
	const char *in;
	const char *want;
} plain[] = {
	{"a CAPABILITY\r\n",
	 "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS "
	 "LOGINDISABLED\r\na OK Capabilities listed.\r\n"},
	{"a LOGIN tim secret\r\nb AUTHENTICATE PLAIN\r\nc AUTHENTICATE PLAIN AHRpbQBzZWNyZXQ=\r\n",
	 PRIVACY("a") PRIVACY("b") PRIVACY("c")},
	{"a NOOP\r\n", "a OK Nothing done.\r\n"},
};

static const struct login_imap_config config = {.starttls = true, .version = "7", .bad_max = 4};

static void dialogues_with_tls(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(16));
	for (size_t i = 0; i < ARRAY_LEN(secure); i++)
		for (size_t cut = 1; cut <= strlen(secure[i].in); cut++) {
			run(secure[i].in, &config, true, cut, &out);
			assert_string_equal(buf_c(&out), secure[i].want);
		}
}

static void dialogues_without_tls(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(16));
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		for (size_t cut = 1; cut <= strlen(plain[i].in); cut++) {
			run(plain[i].in, &config, false, cut, &out);
			assert_string_equal(buf_c(&out), plain[i].want);
		}
	struct login_imap_config trusted = {.plain_allowed = true};
	run("a LOGIN tim secret\r\n", &trusted, false, 100, &out);
	assert_string_equal(buf_c(&out), LOGGED_IN("a"));
	run("a STARTTLS\r\nb ID NIL\r\n", &trusted, false, 100, &out);
	assert_string_equal(buf_c(&out), "a BAD TLS is not offered here.\r\n"
					 "* ID (\"name\" \"barid\")\r\nb OK That is me.\r\n");
}

/* Only from those who may; and only addresses. */
static void id_says_for_whom(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"a ID (\"x-originating-ip\" \"192.0.2.1\" \"X-Originating-Port\" \"4711\")\r\n",
		 "[PEER 1:4711 0:0]"},
		{"a ID (\"x-originating-ip\" \"2001:db8::1\" \"x-connected-ip\" \"192.0.2.2\" "
		 "\"x-connected-port\" \"993\")\r\n",
		 "[PEER 2:0 1:993]"},
		{"a ID (\"x-originating-ip\" \"192.0.2.1\" \"x-originating-port\" \"99999\")\r\n",
		 "[PEER 1:0 0:0]"},
		{"a ID (\"x-originating-ip\" \"mail.example\")\r\n", ""},
		{"a ID (\"x-originating-ip\" \"\")\r\n", ""},
		{"a ID (\"x-originating-ip\" NIL)\r\n", ""},
		{"a ID (\"x-originating-port\" \"25\")\r\n", ""},
		{"a ID (\"name\" \"x\")\r\n", ""},
		{"a ID (\"X-Session-Id\" \"front/7\" \"x-proxy-ttl\" \"5\")\r\n", "[PEER 0:0 0:0]"},
		{"a ID (\"x-session-id\" \"two words\")\r\n", ""},
		{"a ID NIL\r\n", ""},
	};
	AUTO(buf) struct buf out = BUF_INIT(KIB(16)), want = BUF_INIT(KIB(16));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct login_imap_config front = {.id_trusted = true},
					 other = {.id_trusted = false};
		buf_reset(&want);
		buf_addf(&want, "* ID (\"name\" \"barid\")\r\na OK That is me.\r\n%s",
			 rows[i].want);
		run(rows[i].in, &front, true, 100, &out);
		assert_string_equal(buf_c(&out), buf_c(&want));
		run(rows[i].in, &other, true, 100, &out);
		assert_string_equal(buf_c(&out),
				    "* ID (\"name\" \"barid\")\r\na OK That is me.\r\n");
	}
}

/* RFC 2595 section 2.1: what came before TLS counts for nothing. */
static void starttls_forgets_what_was_pipelined(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(16));
	run("a STARTTLS\r\nb LOGIN tim secret\r\n", &config, false, 100, &out);
	assert_string_equal(buf_c(&out), "a OK Begin TLS now.\r\n[TLS]");
	run("a STARTTLS\r\nb LOGIN tim secret\r\n", &config, false, strlen("a STARTTLS\r\n"), &out);
	assert_string_equal(buf_c(&out), "a OK Begin TLS now.\r\n[TLS]" LOGGED_IN("b"));
}

static void greeting_and_farewells(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	struct login_imap l;
	login_imap_init(&l, &config, false);
	login_imap_greet(&l, &out);
	login_imap_bye_timeout(&out);
	login_imap_bye_shutdown(&out);
	assert_string_equal(
		buf_c(&out),
		"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS "
		"LOGINDISABLED] barid ready.\r\n"
		"* BYE Disconnected for inactivity.\r\n"
		"* BYE Server is going down, reconnect shortly.\r\n");
}

/* RFC 4954 section 4 and RFC 5034, line by line. */
static void other_dialects(void **state)
{
	(void)state;
	static const struct {
		enum login_dialect dialect;
		const char *mechanism;
		const char *initial;
		const char *line; /* NULL: none wanted */
		enum login_sasl_result end;
		const char *want;
	} rows[] = {
		{LOGIN_SMTP, "PLAIN", NULL, "AHRpbQBzZWNyZXQ=", LOGIN_SASL_VERIFY, "334 \r\n"},
		{LOGIN_SMTP, "PLAIN", "AHRpbQBzZWNyZXQ=", NULL, LOGIN_SASL_VERIFY, ""},
		{LOGIN_SMTP, "LOGIN", "dGlt", "c2VjcmV0", LOGIN_SASL_VERIFY,
		 "334 UGFzc3dvcmQ6\r\n"},
		{LOGIN_SMTP, "LOGIN", "dGlt", "*", LOGIN_SASL_FAILED,
		 "334 UGFzc3dvcmQ6\r\n501 5.7.0 Authentication cancelled\r\n"},
		{LOGIN_SMTP, "LOGIN", "!", NULL, LOGIN_SASL_FAILED,
		 "501 5.5.2 That is not a response of this mechanism\r\n"},
		{LOGIN_SMTP, "GSSAPI", NULL, NULL, LOGIN_SASL_FAILED,
		 "504 5.5.4 Mechanism not offered\r\n"},
		{LOGIN_POP3, "PLAIN", NULL, "*", LOGIN_SASL_FAILED,
		 "+ \r\n-ERR Authentication cancelled.\r\n"},
	};
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct login_sasl x = {0};
		struct login_offer none = {0};
		struct login_sasl_start start = {.dialect = rows[i].dialect,
						 .mechanism = str_c(rows[i].mechanism),
						 .initial = str_c(rows[i].initial),
						 .offer = &none};
		buf_reset(&out);
		enum login_sasl_result r = login_sasl_begin(&x, &start, &out);
		if (rows[i].line) {
			assert_int_equal(r, LOGIN_SASL_CONTINUE);
			r = login_sasl_line(&x, str_c(rows[i].line), &out);
		}
		assert_int_equal(r, rows[i].end);
		assert_string_equal(buf_c(&out), rows[i].want);
		if (r == LOGIN_SASL_VERIFY)
			assert_str(x.credentials.password, "secret");
		login_sasl_clear(&x);
		assert_int_equal(x.credentials.bytes[0], 0);
	}
	buf_reset(&out);
	login_sasl_verdict(&out, LOGIN_SMTP, STR_NULL, LOGIN_VERDICT_OK);
	login_sasl_verdict(&out, LOGIN_SMTP, STR_NULL, LOGIN_VERDICT_REFUSED);
	login_sasl_verdict(&out, LOGIN_SMTP, STR_NULL, LOGIN_VERDICT_UNAVAILABLE);
	assert_string_equal(buf_c(&out), "235 2.7.0 Authentication successful\r\n"
					 "535 5.7.8 Authentication failed\r\n"
					 "454 4.7.0 Logins are not possible now, try later\r\n");
}

/* What dir speaks passes through: the client's words decoded, dir's encoded. */
static void relayed_mechanisms(void **state)
{
	static const struct login_offer plus = {SASL_OFFER_SCRAM_256, true, true};
	static const struct login_offer bare = {SASL_OFFER_SCRAM_256 | SASL_OFFER_OAUTH, false,
						false};
	struct login_sasl_start start = {
		.dialect = LOGIN_SMTP, .mechanism = STR("scram-sha-256-plus"), .offer = &plus};
	struct login_answer more = {.more = true, .challenge = STR("r=x")};
	struct login_answer ok = {.verdict = LOGIN_VERDICT_OK, .challenge = STR("v=x")};
	struct login_answer no = {.verdict = LOGIN_VERDICT_REFUSED};
	struct login_sasl x = {0};
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	(void)state;
	login_sasl_names(&plus, " ", true, &out);
	login_sasl_names(&bare, " AUTH=", false, &out);
	assert_string_equal(buf_c(&out), " SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"
					 " AUTH=SCRAM-SHA-256");
	buf_reset(&out);
	assert_int_equal(login_sasl_begin(&x, &start, &out), LOGIN_SASL_CONTINUE);
	assert_string_equal(x.mechanism, "SCRAM-SHA-256-PLUS");
	assert_int_equal(login_sasl_line(&x, STR("bixh"), &out), LOGIN_SASL_VERIFY);
	assert_str(buf_str(&x.message), "n,a");
	assert_false(x.begun);
	assert_int_equal(login_sasl_answer(&x, &more, &out), LOGIN_SASL_CONTINUE);
	assert_int_equal(x.message.n, 0);
	assert_int_equal(login_sasl_line(&x, STR("cD0="), &out), LOGIN_SASL_VERIFY);
	assert_true(x.begun);
	assert_int_equal(login_sasl_answer(&x, &ok, &out), LOGIN_SASL_CONTINUE);
	assert_int_equal(login_sasl_line(&x, STR(""), &out), LOGIN_SASL_DECIDED);
	assert_int_equal(x.verdict, LOGIN_VERDICT_OK);
	assert_string_equal(buf_c(&out), "334 \r\n334 cj14\r\n334 dj14\r\n");
	/* Refused, cancelled, not base64, not offered; a word too much at the end. */
	static const struct {
		const char *line;
		const struct login_offer *offer;
		enum login_sasl_result r;
	} ends[] = {{"*", &plus, LOGIN_SASL_FAILED},
		    {"!", &plus, LOGIN_SASL_FAILED},
		    {"*", &bare, LOGIN_SASL_FAILED},
		    {"bg==", &plus, LOGIN_SASL_VERIFY}};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		start.initial = str_c(ends[i].line);
		start.offer = ends[i].offer;
		assert_int_equal(login_sasl_begin(&x, &start, &out), ends[i].r);
	}
	assert_int_equal(login_sasl_answer(&x, &no, &out), LOGIN_SASL_DECIDED);
	assert_int_equal(x.verdict, LOGIN_VERDICT_REFUSED);
	assert_int_equal(login_sasl_begin(&x, &start, &out), LOGIN_SASL_VERIFY);
	assert_int_equal(login_sasl_answer(&x, &ok, &out), LOGIN_SASL_CONTINUE);
	assert_int_equal(login_sasl_line(&x, STR("YQ=="), &out), LOGIN_SASL_FAILED);
	login_sasl_clear(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues_with_tls),
		cmocka_unit_test(dialogues_without_tls),
		cmocka_unit_test(id_says_for_whom),
		cmocka_unit_test(starttls_forgets_what_was_pipelined),
		cmocka_unit_test(greeting_and_farewells),
		cmocka_unit_test(other_dialects),
		cmocka_unit_test(relayed_mechanisms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
