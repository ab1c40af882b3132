/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/smtp_batch.h"
#include "roles/edge/edge_testing.h"
#include "runtime/ipc/wire.h" /* to look for secrets in whole messages */

static int begin(void **state)
{
	(void)state;
	w_open("[smtp]\nmessage_size_max = 1 MiB\n");
	return 0;
}

static int end(void **state)
{
	(void)state;
	w_close();
	return 0;
}

/* --- helpers
 * ------------------------------------------------------------------------------------------ */

static void leave(struct client *c)
{
	c_leave(c);
	if (!w.mta.ch)
		fake_start(&w.mta, "mta");
	fake_forget(&w.mta);
	fake_forget(&w.dir);
}

/* The lines of a batch as "KIND text\n", then how mta is told that more waits behind it. */
static void expect_batch(const char *want)
{
	struct msg_session_command m;
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	assert_int_equal(msg_session_command_read(w_expect(&w.mta, IPC_SESSION_COMMAND), &m), 0);
	assert_true(m.input.n > 0);
	struct str batch = str_sub(m.input, 0, m.input.n - 1), line;
	enum smtp_line_kind kind;
	while (smtp_batch_next(&batch, &kind, &line))
		(void)buf_addf(&text, "%c %.*s\n", (int)kind, STR_ARG(line));
	(void)buf_add_c(&text, m.input.p[m.input.n - 1] ? "more" : "");
	assert_str(buf_str(&text), want);
}

static void done(const struct client *c, enum session_next next, const char *out)
{
	w_done(&w.mta, &(struct msg_session_done){.session = c->session,
						  .seq = 1,
						  .next = (uint8_t)next,
						  .out = str_c(out),
						  .state = STR("state1")});
}

static void done_with(const struct client *c, struct msg_session_done m)
{
	m.session = c->session;
	m.state = STR("state1");
	w_done(&w.mta, &m);
}

static void greet(struct client *c, enum service_kind kind)
{
	struct msg_session_open o;
	c_connect(c, kind);
	assert_int_equal(msg_session_open_read(w_expect(&w.mta, IPC_SESSION_OPEN), &o), 0);
	assert_int_equal(o.session, c->session);
	assert_str(o.service, edge_services[kind].def->name);
	assert_int_equal(o.state.n, 0);
	done(c, NEXT_CONTINUE, "220 hello\r\n");
	c_expect(c, "220 hello\r\n");
}

/* Up to 354. */
static void begin_data(struct client *c, uint64_t octets_max)
{
	greet(c, SERVICE_SMTP);
	c_says(c, "DATA\r\n");
	expect_batch("L DATA\n");
	done_with(c, (struct msg_session_done){
			     .next = NEXT_DATA, .arg = octets_max, .out = STR("354\r\n")});
	c_expect(c, "354\r\n");
}

static struct msg_session_body expect_body(void)
{
	struct msg_session_body m;
	assert_int_equal(msg_session_body_read(w_expect(&w.mta, IPC_SESSION_BODY), &m), 0);
	return m;
}

static void expect_small_body(const char *want, unsigned flags)
{
	struct msg_session_body m = expect_body();
	assert_str(m.body, want);
	assert_int_equal(m.size, strlen(want));
	assert_int_equal(m.flags, flags);
	assert_int_equal(m.body_id.n, 0);
}

/* --- lines
 * -----------------------------------------------------------------------------------------------
 */

static void nothing_is_read_before_the_greeting(void **state)
{
	(void)state;
	struct client c;
	c_connect(&c, SERVICE_SMTP);
	(void)w_expect(&w.mta, IPC_SESSION_OPEN);
	c_says(&c, "EHLO early\r\n");
	w_expect_nothing(&w.mta);
	c_expect(&c, "");
	done(&c, NEXT_CONTINUE, "220 hello\r\n");
	c_expect(&c, "220 hello\r\n");
	expect_batch("L EHLO early\n");
	leave(&c);
}

static void pipelined_lines_travel_together(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	c_says(&c, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n");
	expect_batch("L MAIL FROM:<a@b>\nL RCPT TO:<c@d>\nL RCPT TO:<e@f>\nL DATA\n");
	c_says(&c, "NOOP\r\n"); /* waits: one batch at a time */
	w_expect_nothing(&w.mta);
	done(&c, NEXT_CONTINUE, "250\r\n250\r\n550\r\n503\r\n");
	c_expect(&c, "250\r\n250\r\n550\r\n503\r\n");
	expect_batch("L NOOP\n");
	leave(&c);
}

static void a_batch_ends_where_something_else_may_begin(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	c_says(&c, "DATA\r\nNOOP\r\n");
	expect_batch("L DATA\nmore"); /* the client speaks before 354: mta is told */
	done(&c, NEXT_CONTINUE, "503\r\n");
	expect_batch("L NOOP\n");
	leave(&c);
}

static void broken_lines_say_how(void **state)
{
	(void)state;
	struct client c;
	char longer[5000];
	greet(&c, SERVICE_SMTP);
	c_says(&c, "NOOP\nNOOP\r\n");
	expect_batch("M \nL NOOP\n");
	done(&c, NEXT_CONTINUE, "500\r\n250\r\n");
	memset(longer, 'x', sizeof longer);
	c_say(&c, str_make(longer, sizeof longer));
	c_says(&c, "\r\n");
	expect_batch("T \n");
	leave(&c);
}

static void a_line_has_its_time(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	for (int s = 0; s < 360; s += 60) { /* a byte a minute does not prolong it */
		clock_bend_us(s * SEC_US);
		w_step();
		if (s < 300)
			c_says(&c, "x");
	}
	c_expect_begin(&c, "421 4.4.2 ");
	c_expect_end(&c);
	clock_bend_us(0);
	leave(&c);
	/* In a message each piece starts the clock anew. */
	begin_data(&c, 1000);
	for (int s = 0; s < 600; s += 100) {
		clock_bend_us(s * SEC_US);
		c_says(&c, "x");
	}
	c_expect(&c, "");
	clock_bend_us(0);
	leave(&c);
}

static void answers_may_be_held_back(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	c_says(&c, "RCPT TO:<x@y>\r\n");
	expect_batch("L RCPT TO:<x@y>\n");
	done_with(&c, (struct msg_session_done){.delay_ms = 1000, .out = STR("550\r\n")});
	c_says(&c, "NOOP\r\n");
	c_expect(&c, "");
	w_expect_nothing(&w.mta);
	clock_bend_us(2 * SEC_US);
	c_expect(&c, "550\r\n");
	expect_batch("L NOOP\n");
	clock_bend_us(0);
	leave(&c);
}

static void a_client_that_does_not_read_its_answers(void **state)
{
	(void)state;
	struct client c;
	AUTO(buf) struct buf much = BUF_INIT(KIB(600));
	for (int i = 0; i < 60000; i++)
		(void)buf_add(&much, STR("250 good\r\n"));
	greet(&c, SERVICE_SMTP);
	c_says(&c, "DATA\r\n");
	expect_batch("L DATA\n");
	w_out(&w.mta, c.session, buf_str(&much));
	done_with(&c,
		  (struct msg_session_done){.next = NEXT_DATA, .arg = 1000, .out = STR("354\r\n")});
	c_says(&c, "x\r\n.\r\n");
	w_expect_nothing(&w.mta);
	c_listen(&c); /* now it reads, and is read */
	expect_small_body("x\r\n", 0);
	leave(&c);
}

/* --- the message
 * ------------------------------------------------------------------------------------------- */

static void only_crlf_dot_crlf_ends_data(void **state)
{
	(void)state;
	struct client c;
	begin_data(&c, 10000);
	c_says(&c, "Subject: x\r\n\r\n..dot\r\n.\nno\n.\nend\r\n.x\r\n.\r\nQUIT\r\n");
	expect_small_body("Subject: x\r\n\r\n.dot\r\n\nno\n.\nend\r\nx\r\n", BODY_BARE);
	done(&c, NEXT_CLOSE, "550 5.5.2\r\n");
	c_expect(&c, "550 5.5.2\r\n");
	c_expect_end(&c);
	leave(&c);
	/* Byte by byte it is the same. */
	begin_data(&c, 10000);
	const char *text = "a\r\n..\r\n.b\r\n\r\n.\r\n";
	for (size_t i = 0; i < strlen(text); i++)
		c_say(&c, str_make(text + i, 1));
	expect_small_body("a\r\n.\r\nb\r\n\r\n", 0);
	done(&c, NEXT_CONTINUE, "250\r\n");
	c_says(&c, "NOOP\r\n");
	expect_batch("L NOOP\n");
	leave(&c);
}

static void an_empty_message(void **state)
{
	(void)state;
	struct client c;
	begin_data(&c, 10000);
	c_says(&c, ".\r\n");
	expect_small_body("", 0);
	leave(&c);
}

static void too_large_is_read_to_its_end_and_told(void **state)
{
	(void)state;
	struct client c;
	char line[1002];
	begin_data(&c, 3000);
	memset(line, 'x', sizeof line);
	memcpy(line + 1000, "\r\n", 2);
	for (int i = 0; i < 200; i++)
		c_say(&c, str_make(line, sizeof line));
	w_expect_nothing(&w.mta);
	c_says(&c, ".\r\n");
	struct msg_session_body m = expect_body();
	assert_int_equal(m.flags, BODY_TOO_BIG);
	leave(&c);
}

static int give_file(struct ipc_packet *asked)
{
	struct msg_body_file r = {.body_id = STR("0123456789abcdef"),
				  .file = memfd_create("body", MFD_CLOEXEC)};
	assert_true(r.file >= 0);
	assert_int_equal(ipc_reply(asked, IPC_BODY_FILE, &r), 0);
	w_step();
	return r.file;
}

static void say_lines(struct client *c, int n)
{
	char line[1002];
	memset(line, 'x', sizeof line);
	memcpy(line + 1000, "\r\n", 2);
	for (int i = 0; i < n; i++)
		c_say(c, str_make(line, sizeof line));
}

static void a_large_message_goes_into_a_file(void **state)
{
	(void)state;
	struct client c;
	begin_data(&c, MIB(1));
	say_lines(&c, 60);
	w_expect_nothing(&w.mta);
	say_lines(&c, 40);
	struct ipc_packet *p = w_expect(&w.mta, IPC_BODY_OPEN);
	int fd = give_file(p);
	say_lines(&c, 20);
	c_says(&c, ".\r\n");
	struct msg_session_body m = expect_body();
	assert_int_equal(m.size, 120 * 1002);
	assert_int_equal(m.body.n, 0);
	assert_str(m.body_id, "0123456789abcdef");
	assert_int_equal(m.flags, 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 120 * 1002);
	(void)close(fd);
	leave(&c);
}

static void without_a_file_the_body_is_lost_and_told(void **state)
{
	(void)state;
	struct client c;
	struct fail why = FAIL_INIT;
	begin_data(&c, MIB(1));
	say_lines(&c, 70);
	(void)fail_set(&why, FAIL_IO, NULL, "disk full");
	assert_int_equal(ipc_reply_fail(w_expect(&w.mta, IPC_BODY_OPEN), &why), 0);
	c_says(&c, ".\r\n");
	assert_int_equal(expect_body().flags, BODY_LOST);
	leave(&c);
	/* The client leaves while the file is opened. */
	begin_data(&c, MIB(1));
	say_lines(&c, 70);
	struct ipc_packet *p = w_expect(&w.mta, IPC_BODY_OPEN);
	c_leave(&c);
	(void)close(give_file(p));
	(void)w_expect(&w.mta, IPC_SESSION_CLOSE);
	leave(&c);
}

/* --- BDAT
 * --------------------------------------------------------------------------------------------------
 */

static void bdat(struct client *c, const char *command, unsigned flags, uint64_t octets)
{
	AUTO(buf) struct buf line = BUF_INIT(100);
	(void)buf_addf(&line, "%s\r\n", command);
	c_say(c, buf_str(&line));
	(void)w_expect(&w.mta, IPC_SESSION_COMMAND);
	done_with(c, (struct msg_session_done){
			     .next = NEXT_BDAT, .flags = (uint8_t)flags, .arg = octets});
}

static void chunks_are_joined(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	bdat(&c, "BDAT 4", DONE_FIRST, 4);
	c_says(&c, "ab\r\n");
	struct msg_session_body m = expect_body();
	assert_int_equal(m.body.n, 0); /* comes with the last one */
	assert_int_equal(m.size, 4);
	done(&c, NEXT_CONTINUE, "250\r\n");
	bdat(&c, "BDAT 3", 0, 3);
	c_says(&c, "cd\r");
	(void)expect_body();
	done(&c, NEXT_CONTINUE, "250\r\n");
	bdat(&c, "BDAT 3 LAST", DONE_LAST, 3);
	c_says(&c, "\n.\nNOOP\r\n"); /* a dot is content; LF completes CR of the chunk before */
	expect_small_body("ab\r\ncd\r\n.\n", BODY_BARE);
	done(&c, NEXT_CONTINUE, "250\r\n");
	expect_batch("L NOOP\n");
	c_expect(&c, "250\r\n250\r\n250\r\n");
	leave(&c);
}

static void rset_between_chunks_forgets_them(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	bdat(&c, "BDAT 5", DONE_FIRST, 5);
	c_says(&c, "old\n.");
	(void)expect_body();
	done(&c, NEXT_CONTINUE, "250\r\n");
	c_says(&c, "RSET\r\n");
	expect_batch("L RSET\n");
	done(&c, NEXT_CONTINUE, "250\r\n");
	bdat(&c, "BDAT 3 LAST", DONE_FIRST | DONE_LAST, 3);
	c_says(&c, "new");
	expect_small_body("new", 0);
	leave(&c);
}

static void an_empty_last_chunk_needs_no_input(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	bdat(&c, "BDAT 2", DONE_FIRST, 2);
	c_says(&c, "ab");
	(void)expect_body();
	done(&c, NEXT_CONTINUE, "250\r\n");
	bdat(&c, "BDAT 0 LAST", DONE_LAST, 0);
	expect_small_body("ab", 0);
	leave(&c);
}

static void a_chunk_may_be_thrown_away(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	bdat(&c, "BDAT 100000", DONE_FIRST | DONE_DISCARD, 100000);
	char bytes[1000];
	memset(bytes, 'x', sizeof bytes);
	for (int i = 0; i < 100; i++)
		c_say(&c, str_make(bytes, sizeof bytes));
	c_says(&c, "NOOP\r\n");
	expect_batch("L NOOP\n");
	leave(&c);
}

/* --- TLS and AUTH
 * -------------------------------------------------------------------------------------------- */

static void secure(struct client *c)
{
	struct msg_session_tls t;
	greet(c, SERVICE_SUBMISSION);
	c_says(c, "STARTTLS\r\nMAIL FROM:<evil@x>\r\n");
	expect_batch("L STARTTLS\nmore");
	done(c, NEXT_STARTTLS, "220 go\r\n");
	c_expect(c, "220 go\r\n");
	c_shake(c);
	assert_int_equal(msg_session_tls_read(w_expect(&w.mta, IPC_SESSION_TLS), &t), 0);
	assert_true(str_starts(t.tls_text, STR("TLSv1.3 ")));
	done(c, NEXT_CONTINUE, "");
}

static void starttls_forgets_what_was_pipelined(void **state)
{
	(void)state;
	struct client c;
	secure(&c);
	w_expect_nothing(&w.mta);
	c_says(&c, "EHLO x\r\n");
	expect_batch("L EHLO x\n");
	done(&c, NEXT_CONTINUE, "250\r\n");
	c_expect(&c, "250\r\n");
	leave(&c);
}

static void nobody_but_dir_sees_the_password(void)
{
	struct fake *f = &w.mta;
	for (size_t i = 0; i < f->n; i++)
		assert_null(
			memmem(f->got[i]->body.p, f->got[i]->body.n, "AGFsaWNlAHNlY3JldA==", 8));
}

static void expect_login(bool granted)
{
	struct msg_login m;
	struct ipc_packet *p = w_expect(&w.dir, IPC_LOGIN);
	struct msg_login_reply r = {.granted = granted};
	assert_int_equal(msg_login_read(p, &m), 0);
	assert_str(m.username, "alice");
	assert_str(m.password, "secret");
	assert_str(m.service, "submission");
	assert_true(m.peer.tls);
	assert_int_equal(ipc_reply(p, IPC_LOGIN_REPLY, &r), 0);
}

static void expect_outcome(unsigned outcome)
{
	struct msg_session_auth m;
	assert_int_equal(msg_session_auth_read(w_expect(&w.mta, IPC_SESSION_AUTH), &m), 0);
	assert_int_equal(m.outcome, outcome);
}

static void an_initial_response_never_leaves_edge(void **state)
{
	(void)state;
	struct client c;
	secure(&c);
	c_says(&c, "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
	struct msg_session_command m;
	assert_int_equal(msg_session_command_read(w_expect(&w.mta, IPC_SESSION_COMMAND), &m), 0);
	nobody_but_dir_sees_the_password();
	done_with(&c, (struct msg_session_done){.next = NEXT_AUTH, .text = STR("PLAIN")});
	expect_login(true);
	expect_outcome(0); /* granted */
	nobody_but_dir_sees_the_password();
	done(&c, NEXT_CONTINUE, "235\r\n");
	c_expect(&c, "235\r\n");
	/* Refused by mta already: nothing of it is kept. */
	c_says(&c, "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
	(void)w_expect(&w.mta, IPC_SESSION_COMMAND);
	done(&c, NEXT_CONTINUE, "503\r\n");
	struct session *s = map_get(&edge.sessions, c.session);
	assert_int_equal(s->smtp.initial.cap, 0);
	assert_null(s->smtp.sasl);
	leave(&c);
}

static void auth_line_by_line(void **state)
{
	(void)state;
	struct client c;
	secure(&c);
	c_says(&c, "AUTH LOGIN\r\n");
	expect_batch("L AUTH LOGIN\n");
	done_with(&c, (struct msg_session_done){.next = NEXT_AUTH, .text = STR("LOGIN")});
	c_expect(&c, "334 VXNlcm5hbWU6\r\n");
	c_says(&c, "YWxpY2U=\r\n");
	c_expect(&c, "334 UGFzc3dvcmQ6\r\n");
	c_says(&c, "c2VjcmV0\r\n");
	expect_login(false);
	expect_outcome(1); /* refused */
	done(&c, NEXT_CONTINUE, "535\r\n");
	c_expect(&c, "535\r\n");
	/* Cancelled. */
	c_says(&c, "AUTH PLAIN\r\n");
	expect_batch("L AUTH PLAIN\n");
	done_with(&c, (struct msg_session_done){.next = NEXT_AUTH, .text = STR("PLAIN")});
	c_expect(&c, "334 \r\n");
	c_says(&c, "*\r\n");
	w_expect_nothing(&w.dir);
	(void)w_expect(&w.mta, IPC_SESSION_AUTH);
	done(&c, NEXT_CONTINUE, "501\r\n");
	c_expect(&c, "501\r\n");
	leave(&c);
}

static void a_client_may_leave_while_dir_thinks(void **state)
{
	(void)state;
	struct client c;
	secure(&c);
	c_says(&c, "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
	(void)w_expect(&w.mta, IPC_SESSION_COMMAND);
	done_with(&c, (struct msg_session_done){.next = NEXT_AUTH, .text = STR("PLAIN")});
	struct ipc_packet *p = w_expect(&w.dir, IPC_LOGIN);
	struct msg_login_reply r = {.granted = true};
	c_leave(&c);
	(void)w_expect(&w.mta, IPC_SESSION_CLOSE);
	assert_int_equal(ipc_reply(p, IPC_LOGIN_REPLY, &r), 0);
	w_expect_nothing(&w.mta);
	leave(&c);
}

/* --- mta dies
 * ---------------------------------------------------------------------------------------------- */

static void expect_reopened(const char *with_state)
{
	struct msg_session_open o;
	assert_int_equal(msg_session_open_read(w_expect(&w.mta, IPC_SESSION_OPEN), &o), 0);
	assert_str(o.state, with_state);
}

static void a_batch_is_said_again(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	c_says(&c, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
	expect_batch("L MAIL FROM:<a@b>\nL RCPT TO:<c@d>\n");
	fake_die(&w.mta);
	c_says(&c, "NOOP\r\n");
	fake_start(&w.mta, "mta");
	expect_reopened("state1");
	expect_batch("L MAIL FROM:<a@b>\nL RCPT TO:<c@d>\n");
	done(&c, NEXT_CONTINUE, "250\r\n250\r\n");
	c_expect(&c, "250\r\n250\r\n");
	expect_batch("L NOOP\n");
	/* Said while nobody is there: heard by the next. */
	done(&c, NEXT_CONTINUE, "250\r\n");
	fake_die(&w.mta);
	c_says(&c, "RSET\r\n");
	fake_start(&w.mta, "mta");
	expect_reopened("state1");
	expect_batch("L RSET\n");
	leave(&c);
}

static void a_greeting_waits_for_mta(void **state)
{
	(void)state;
	struct client c;
	fake_die(&w.mta);
	c_connect(&c, SERVICE_SMTP);
	fake_start(&w.mta, "mta");
	expect_reopened("");
	done(&c, NEXT_CONTINUE, "220 hello\r\n");
	c_expect(&c, "220 hello\r\n");
	leave(&c);
	/* It dies with the greeting in hand: the next one greets. */
	c_connect(&c, SERVICE_SMTP);
	fake_die(&w.mta);
	fake_start(&w.mta, "mta");
	expect_reopened("");
	done(&c, NEXT_CONTINUE, "220 hello\r\n");
	c_expect(&c, "220 hello\r\n");
	leave(&c);
}

static void a_message_that_is_still_coming_goes_on(void **state)
{
	(void)state;
	struct client c;
	begin_data(&c, 10000);
	c_says(&c, "first\r\n");
	fake_die(&w.mta);
	c_says(&c, "second\r\n.\r\n");
	fake_start(&w.mta, "mta");
	expect_reopened("state1");
	expect_small_body("first\r\nsecond\r\n", 0);
	leave(&c);
	/* An empty chunk that came between death and rebirth. */
	greet(&c, SERVICE_SMTP);
	c_says(&c, "BDAT 0 LAST\r\n");
	expect_batch("L BDAT 0 LAST\n");
	done_with(&c, (struct msg_session_done){.next = NEXT_BDAT,
						.flags = DONE_FIRST | DONE_LAST,
						.delay_ms = 1000,
						.out = STR("")});
	fake_die(&w.mta);
	clock_bend_us(2 * SEC_US);
	w_step();
	fake_start(&w.mta, "mta");
	expect_reopened("state1");
	expect_small_body("", 0);
	clock_bend_us(0);
	leave(&c);
}

static void a_message_in_hand_ends_without_a_word(void **state)
{
	(void)state;
	struct client c;
	begin_data(&c, 10000);
	c_says(&c, "x\r\n.\r\n");
	expect_small_body("x\r\n", 0);
	fake_die(&w.mta);
	c_expect(&c, "");
	c_expect_end(&c);
	leave(&c);
	/* Its file died with mta's session. */
	begin_data(&c, MIB(1));
	say_lines(&c, 70);
	(void)close(give_file(w_expect(&w.mta, IPC_BODY_OPEN)));
	fake_die(&w.mta);
	c_expect_end(&c);
	leave(&c);
	/* A part of the answer has gone out already. */
	greet(&c, SERVICE_SMTP);
	c_says(&c, "EHLO x\r\n");
	expect_batch("L EHLO x\n");
	w_out(&w.mta, c.session, STR("250-half\r\n"));
	fake_die(&w.mta);
	c_expect_end(&c);
	leave(&c);
}

static void auth_survives_mta(void **state)
{
	(void)state;
	struct client c;
	secure(&c);
	c_says(&c, "AUTH LOGIN\r\n");
	expect_batch("L AUTH LOGIN\n");
	done_with(&c, (struct msg_session_done){.next = NEXT_AUTH, .text = STR("LOGIN")});
	c_expect(&c, "334 VXNlcm5hbWU6\r\n");
	fake_die(&w.mta);
	c_says(&c, "*\r\n");
	fake_start(&w.mta, "mta");
	expect_reopened("state1");
	(void)w_expect(&w.mta, IPC_SESSION_AUTH);
	leave(&c);
}

static void mta_dies_during_the_handshake(void **state)
{
	(void)state;
	struct client c;
	greet(&c, SERVICE_SMTP);
	c_says(&c, "STARTTLS\r\n");
	expect_batch("L STARTTLS\n");
	done(&c, NEXT_STARTTLS, "220 go\r\n");
	c_expect(&c, "220 go\r\n");
	fake_die(&w.mta);
	fake_start(&w.mta, "mta");
	expect_reopened("state1");
	c_shake(&c);
	(void)w_expect(&w.mta, IPC_SESSION_TLS);
	done(&c, NEXT_CONTINUE, "");
	c_says(&c, "NOOP\r\n");
	expect_batch("L NOOP\n");
	leave(&c);
}

/* --- the end of the server
 * ------------------------------------------------------------------------------- */

static void a_stop_waits_for_the_message_in_hand(void **state)
{
	(void)state;
	struct client quiet, busy;
	greet(&quiet, SERVICE_SMTP);
	begin_data(&busy, 10000);
	c_says(&busy, "x\r\n.\r\n");
	expect_small_body("x\r\n", 0);
	edge_role_ops.stop(&w.role);
	c_expect_begin(&quiet, "421 4.3.2 ");
	c_expect_end(&quiet);
	c_expect(&busy, "");
	done(&busy, NEXT_CONTINUE, "250 queued\r\n");
	c_expect_begin(&busy, "250 queued\r\n421 4.3.2 ");
	c_expect_end(&busy);
	leave(&quiet);
	leave(&busy);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_is_read_before_the_greeting),
		T(pipelined_lines_travel_together),
		T(a_batch_ends_where_something_else_may_begin),
		T(broken_lines_say_how),
		T(a_line_has_its_time),
		T(answers_may_be_held_back),
		T(a_client_that_does_not_read_its_answers),
		T(only_crlf_dot_crlf_ends_data),
		T(an_empty_message),
		T(too_large_is_read_to_its_end_and_told),
		T(a_large_message_goes_into_a_file),
		T(without_a_file_the_body_is_lost_and_told),
		T(chunks_are_joined),
		T(rset_between_chunks_forgets_them),
		T(an_empty_last_chunk_needs_no_input),
		T(a_chunk_may_be_thrown_away),
		T(starttls_forgets_what_was_pipelined),
		T(an_initial_response_never_leaves_edge),
		T(auth_line_by_line),
		T(a_client_may_leave_while_dir_thinks),
		T(a_batch_is_said_again),
		T(a_greeting_waits_for_mta),
		T(a_message_that_is_still_coming_goes_on),
		T(a_message_in_hand_ends_without_a_word),
		T(auth_survives_mta),
		T(mta_dies_during_the_handshake),
		T(a_stop_waits_for_the_message_in_hand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
