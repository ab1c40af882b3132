/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/edge/edge_testing.h"

static int begin(void **state)
{
	(void)state;
	w_open("trusted_networks = 127.0.0.0/8\n");
	return 0;
}

static int end(void **state)
{
	(void)state;
	w_close();
	return 0;
}

/* --- helpers: one logged-in client
 * ------------------------------------------------------------------- */

static void answer_login(bool granted, uint32_t delay_ms)
{
	struct msg_login_reply r = {.granted = granted, .shard = 0, .delay_ms = delay_ms};
	struct ipc_packet *p = w_expect(&w.dir, IPC_LOGIN);
	assert_int_equal(ipc_reply(p, IPC_LOGIN_REPLY, &r), 0);
	w_step();
}

static void log_in(struct client *c)
{
	c_connect(c, SERVICE_IMAP);
	c_expect_begin(c, "* OK [CAPABILITY ");
	c_says(c, "a0 LOGIN alice secret\r\n");
	answer_login(true, 0);
	c_expect_begin(c, "a0 OK ");
	(void)w_expect(&w.user, IPC_SESSION_OPEN);
	w_done(&w.user, &(struct msg_session_done){.session = c->session, .state = STR("state0")});
}

static struct msg_session_command expect_command(const char *text)
{
	struct msg_session_command m;
	assert_int_equal(msg_session_command_read(w_expect(&w.user, IPC_SESSION_COMMAND), &m), 0);
	assert_str(m.input, text);
	return m;
}

static struct msg_session_open expect_open(const char *state)
{
	struct msg_session_open m;
	assert_int_equal(msg_session_open_read(w_expect(&w.user, IPC_SESSION_OPEN), &m), 0);
	assert_str(m.state, state);
	return m;
}

static void done(const struct client *c, uint32_t seq, enum session_next next, const char *out)
{
	w_done(&w.user, &(struct msg_session_done){.session = c->session,
						   .seq = seq,
						   .next = (uint8_t)next,
						   .out = str_c(out),
						   .state = STR("state1")});
}

static void leave(struct client *c)
{
	c_leave(c);
	fake_forget(&w.user);
	fake_forget(&w.dir);
	if (!w.user.ch)
		fake_start(&w.user, "user");
	fake_forget(&w.user);
}

/* Enter IDLE. */
static void idle(struct client *c)
{
	c_says(c, "i IDLE\r\n");
	done(c, expect_command("i IDLE").seq, NEXT_PARK, "+ idling\r\n");
	c_expect(c, "+ idling\r\n");
}

/* --- login
 * ------------------------------------------------------------------------------------------------
 */

static void login_goes_to_dir_and_opens_the_session(void **state)
{
	(void)state;
	struct client c;
	struct msg_login m;
	struct msg_session_open o;
	c_connect(&c, SERVICE_IMAP);
	c_expect_begin(&c, "* OK [CAPABILITY ");
	c_says(&c, "a0 LOGIN alice@example.test {6}\r\n");
	c_expect(&c, "+ OK\r\n");
	c_says(&c, "secret\r\na1 SELECT INBOX\r\n"); /* pipelined behind the login */
	struct ipc_packet *p = w_expect(&w.dir, IPC_LOGIN);
	assert_int_equal(msg_login_read(p, &m), 0);
	assert_int_equal(m.session, c.session);
	assert_str(m.username, "alice@example.test");
	assert_str(m.password, "secret");
	assert_str(m.service, "imap");
	assert_false(m.peer.tls);
	assert_true(m.peer.trusted);
	w_expect_nothing(&w.user);
	struct msg_login_reply r = {.granted = true};
	assert_int_equal(ipc_reply(p, IPC_LOGIN_REPLY, &r), 0);
	assert_int_equal(msg_session_open_read(w_expect(&w.user, IPC_SESSION_OPEN), &o), 0);
	assert_int_equal(o.session, c.session);
	assert_int_equal(o.state.n, 0);
	(void)expect_command("a1 SELECT INBOX");
	c_expect_begin(&c, "a0 OK ");
	leave(&c);
}

static void a_refused_login_waits_its_time(void **state)
{
	(void)state;
	struct client c;
	c_connect(&c, SERVICE_IMAP);
	c_expect_begin(&c, "* OK ");
	c_says(&c, "a0 LOGIN alice wrong\r\n");
	answer_login(false, 1000);
	c_expect(&c, "");
	clock_bend_us(2 * SEC_US);
	c_expect_begin(&c, "a0 NO [AUTHENTICATIONFAILED]");
	clock_bend_us(0);
	c_says(&c, "a1 LOGIN alice secret\r\n");
	answer_login(true, 0);
	c_expect_begin(&c, "a1 OK ");
	leave(&c);
}

/* Else dir would keep each of them for ever. */
static void a_login_that_nobody_waits_for_is_given_back(void **state)
{
	(void)state;
	struct client c;
	struct msg_login_over over;
	c_connect(&c, SERVICE_IMAP);
	c_expect_begin(&c, "* OK ");
	c_says(&c, "a0 LOGIN alice secret\r\n");
	struct ipc_packet *p = w_expect(&w.dir, IPC_LOGIN);
	struct session *s = map_get(&edge.sessions, c.session);
	assert_non_null(s);
	conn_close(s->conn); /* reset by the client */
	struct msg_login_reply r = {.granted = true, .ticket = STR("ticket")};
	assert_int_equal(ipc_reply(p, IPC_LOGIN_REPLY, &r), 0);
	w_step();
	assert_int_equal(msg_login_over_read(w_expect(&w.dir, IPC_LOGIN_OVER), &over), 0);
	assert_int_equal(over.session, c.session);
	w_expect_nothing(&w.user);
	leave(&c);
}

static void no_dir_is_no_refusal(void **state)
{
	(void)state;
	struct client c;
	c_connect(&c, SERVICE_IMAP);
	c_expect_begin(&c, "* OK ");
	c_says(&c, "a0 LOGIN alice secret\r\n");
	(void)w_expect(&w.dir, IPC_LOGIN);
	fake_die(&w.dir);
	c_expect_begin(&c, "a0 NO [UNAVAILABLE]");
	fake_start(&w.dir, "dir");
	leave(&c);
}

static void a_client_may_leave_while_dir_thinks(void **state)
{
	(void)state;
	struct client c;
	struct msg_login_reply r = {.granted = true};
	c_connect(&c, SERVICE_IMAP);
	c_expect_begin(&c, "* OK ");
	c_says(&c, "a0 LOGIN alice secret\r\n");
	struct ipc_packet *p = w_expect(&w.dir, IPC_LOGIN);
	c_leave(&c);
	assert_int_equal(edge.open, 0);
	assert_int_equal(ipc_reply(p, IPC_LOGIN_REPLY, &r), 0);
	w_step();
	w_expect_nothing(&w.user);
	leave(&c);
}

static void the_time_for_a_login_is_not_prolonged(void **state)
{
	(void)state;
	struct client c;
	c_connect(&c, SERVICE_IMAP);
	c_expect_begin(&c, "* OK ");
	for (int s = 0; s < 240; s += 60) {
		clock_bend_us(s * SEC_US);
		c_listen(&c);
		if (s < 180)
			c_says(&c, "a NOOP\r\n");
	}
	c_expect_end(&c);
	clock_bend_us(0);
	leave(&c);
}

static void starttls_drops_what_was_pipelined(void **state)
{
	(void)state;
	struct client c;
	c_connect(&c, SERVICE_IMAP);
	c_expect_begin(&c, "* OK ");
	c_says(&c, "a0 STARTTLS\r\na1 LOGIN evil evil\r\n");
	c_expect_begin(&c, "a0 OK ");
	c_shake(&c);
	w_expect_nothing(&w.dir);
	c_says(&c, "a2 LOGIN alice secret\r\n");
	struct msg_login m;
	assert_int_equal(msg_login_read(w_expect(&w.dir, IPC_LOGIN), &m), 0);
	assert_true(m.peer.tls);
	assert_str(m.username, "alice");
	leave(&c);
}

static void tls_from_the_first_byte(void **state)
{
	(void)state;
	struct client c;
	c_connect(&c, SERVICE_IMAPS);
	c_expect(&c, "");
	c_shake(&c);
	c_expect_begin(&c, "* OK ");
	leave(&c);
	/* One that never shakes hands is cleared like others. */
	c_connect(&c, SERVICE_IMAPS);
	leave(&c);
	c_connect(&c, SERVICE_IMAPS);
	c_says(&c, "a0 LOGIN alice secret\r\n");
	leave(&c);
}

/* --- commands
 * ---------------------------------------------------------------------------------------------- */

static void pipelined_commands_go_on_in_order(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "a1 NOOP\r\na2 SELECT INBOX\r\na3 FET");
	uint32_t one = expect_command("a1 NOOP").seq;
	uint32_t two = expect_command("a2 SELECT INBOX").seq;
	assert_true(two == one + 1);
	w_expect_nothing(&w.user);
	c_says(&c, "CH 1 UID\r\n");
	uint32_t three = expect_command("a3 FETCH 1 UID").seq;
	done(&c, one, NEXT_CONTINUE, "a1 OK\r\n");
	w_out(&w.user, c.session, STR("* 1 EXISTS\r\n"));
	done(&c, two, NEXT_CONTINUE, "a2 OK\r\n");
	done(&c, three, NEXT_CONTINUE, "a3 OK\r\n");
	c_expect(&c, "a1 OK\r\n* 1 EXISTS\r\na2 OK\r\na3 OK\r\n");
	leave(&c);
}

static void only_so_many_are_under_way(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	for (int i = 0; i < 20; i++)
		c_says(&c, "a NOOP\r\n");
	uint32_t seq = 0;
	for (int i = 0; i < 16; i++)
		seq = expect_command("a NOOP").seq;
	w_expect_nothing(&w.user);
	done(&c, seq, NEXT_CONTINUE, "a OK\r\n");
	(void)expect_command("a NOOP");
	w_expect_nothing(&w.user);
	leave(&c);
}

static void a_small_literal_is_part_of_its_command(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "a1 SEARCH TEXT {3}\r\n");
	c_expect(&c, "+ OK\r\n");
	c_says(&c, "xyz UNSEEN\r\n");
	uint32_t one = expect_command("a1 SEARCH TEXT {3}\r\nxyz UNSEEN").seq;
	/* While an answer is under way, ours waits: it must not land inside of it. */
	w_out(&w.user, c.session, STR("* SEARCH "));
	c_says(&c, "a2 SEARCH TEXT {1}\r\n");
	c_expect(&c, "* SEARCH ");
	done(&c, one, NEXT_CONTINUE, "1\r\na1 OK\r\n");
	c_expect(&c, "1\r\na1 OK\r\n+ OK\r\n");
	c_says(&c, "x\r\n");
	(void)expect_command("a2 SEARCH TEXT {1}\r\nx");
	leave(&c);
}

static void what_is_malformed_never_reaches_the_user_role(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_say(&c, str_make("a1 NO\0OP\r\na2 NOOP\r\n", 19));
	c_expect_begin(&c, "a1 BAD");
	(void)expect_command("a2 NOOP");
	leave(&c);
}

/* --- large literals
 * ------------------------------------------------------------------------------------------ */

static int give_file(struct ipc_packet *asked)
{
	struct msg_body_file r = {.body_id = STR("0123456789abcdef"),
				  .file = memfd_create("body", MFD_CLOEXEC)};
	assert_true(r.file >= 0);
	assert_int_equal(ipc_reply(asked, IPC_BODY_FILE, &r), 0);
	w_step();
	return r.file;
}

static void a_large_literal_goes_into_a_file(void **state)
{
	(void)state;
	struct client c;
	struct msg_body_open o;
	log_in(&c);
	c_says(&c, "a1 APPEND INBOX {200000}\r\n");
	struct ipc_packet *p = w_expect(&w.user, IPC_BODY_OPEN);
	assert_int_equal(msg_body_open_read(p, &o), 0);
	assert_int_equal(o.size, 200000);
	assert_str(o.head, "a1 APPEND INBOX {200000}\r\n");
	c_expect(&c, "");
	int fd = give_file(p);
	c_expect(&c, "+ OK\r\n");
	AUTO(buf) struct buf body = BUF_INIT(200000);
	for (int i = 0; i < 200000; i++)
		(void)buf_addc(&body, (char)('a' + i % 23));
	c_say(&c, buf_str(&body));
	w_expect_nothing(&w.user);
	c_says(&c, "\r\n");
	struct msg_session_command m = expect_command("a1 APPEND INBOX {200000}\r\n");
	assert_int_equal(m.literals_n, 1);
	assert_int_equal(m.literals[0].size, 200000);
	assert_int_equal(m.literals[0].at, strlen("a1 APPEND INBOX {200000}\r\n"));
	assert_str(m.literals[0].body_id, "0123456789abcdef");
	char *back = malloc(200001);
	assert_int_equal(pread(fd, back, 200001, 0), 200000);
	assert_memory_equal(back, body.p, 200000);
	free(back);
	(void)close(fd);
	done(&c, m.seq, NEXT_CONTINUE, "a1 OK\r\n");
	c_expect(&c, "a1 OK\r\n");
	leave(&c);
}

static void a_refused_literal_is_skipped(void **state)
{
	(void)state;
	struct client c;
	struct fail why = FAIL_INIT;
	log_in(&c);
	(void)fail_set(&why, FAIL_QUOTA, "Mailbox is full.", "test");
	c_says(&c, "a1 APPEND INBOX {100000}\r\n");
	assert_int_equal(ipc_reply_fail(w_expect(&w.user, IPC_BODY_OPEN), &why), 0);
	c_expect(&c, "a1 NO [OVERQUOTA] Mailbox is full.\r\n");
	/* Non-synchronizing: the client sends it all the same. */
	c_says(&c, "a2 APPEND INBOX {100000+}\r\n");
	assert_int_equal(ipc_reply_fail(w_expect(&w.user, IPC_BODY_OPEN), &why), 0);
	for (int i = 0; i < 100; i++) {
		char bytes[1000];
		memset(bytes, 'x', sizeof bytes);
		c_say(&c, str_make(bytes, sizeof bytes));
	}
	c_says(&c, "\r\na3 NOOP\r\n");
	c_expect(&c, "a2 NO [OVERQUOTA] Mailbox is full.\r\n");
	(void)expect_command("a3 NOOP");
	leave(&c);
}

static void a_client_may_leave_while_its_file_is_opened(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "a1 APPEND INBOX {100000}\r\n");
	struct ipc_packet *p = w_expect(&w.user, IPC_BODY_OPEN);
	c_leave(&c);
	(void)close(give_file(p));
	(void)w_expect(&w.user, IPC_SESSION_CLOSE);
	leave(&c);
}

/* --- IDLE
 * ---------------------------------------------------------------------------------------------------
 */

static void idle_parks_and_done_ends_it(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "i IDLE\r\nDONE\r\na2 NOOP\r\n");
	uint32_t seq = expect_command("i IDLE").seq;
	w_expect_nothing(&w.user); /* nothing behind IDLE is framed before it is parked */
	done(&c, seq, NEXT_PARK, "+ idling\r\n");
	uint32_t ended = expect_command("DONE").seq;
	(void)expect_command("a2 NOOP");
	done(&c, ended, NEXT_CONTINUE, "i OK\r\n");
	c_expect(&c, "+ idling\r\ni OK\r\n");
	leave(&c);
}

static void idle_that_is_refused_lets_the_next_command_in(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "i IDLE now\r\na2 NOOP\r\n");
	done(&c, expect_command("i IDLE now").seq, NEXT_CONTINUE, "i BAD\r\n");
	(void)expect_command("a2 NOOP");
	leave(&c);
}

static void news_may_cross_done(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	idle(&c);
	done(&c, 0, NEXT_PARK, "* 2 EXISTS\r\n");
	c_expect(&c, "* 2 EXISTS\r\n");
	/* DONE and the next IDLE are on their way; news of the first IDLE come now. */
	c_says(&c, "DONE\r\nj IDLE\r\n");
	uint32_t ended = expect_command("DONE").seq;
	uint32_t second = expect_command("j IDLE").seq;
	done(&c, 0, NEXT_PARK, "* 3 EXISTS\r\n");
	c_says(&c, "DONE\r\n");
	w_expect_nothing(&w.user); /* it is still a line behind an IDLE that is not parked */
	done(&c, ended, NEXT_CONTINUE, "i OK\r\n");
	w_expect_nothing(&w.user);
	done(&c, second, NEXT_PARK, "+ idling\r\n");
	(void)expect_command("DONE");
	leave(&c);
}

/* --- long answers
 * ---------------------------------------------------------------------------------------- */

static void a_long_command_waits_for_the_client(void **state)
{
	(void)state;
	struct client c;
	AUTO(buf) struct buf much = BUF_INIT(MIB(2));
	for (int i = 0; i < 20000; i++)
		(void)buf_add(&much, STR("0123456789012345678901234567890123456789012345678\n"));
	log_in(&c);
	c_says(&c, "a1 FETCH 1:* BODY[]\r\n");
	uint32_t seq = expect_command("a1 FETCH 1:* BODY[]").seq;
	w_out(&w.user, c.session, buf_str(&much));
	done(&c, seq, NEXT_MORE, "");
	c_says(&c, "a2 NOOP\r\n");
	w_expect_nothing(&w.user); /* neither resumed nor given the next command */
	c_listen(&c);
	assert_int_equal(c.heard.n, much.n);
	buf_reset(&c.heard);
	(void)w_expect(&w.user, IPC_SESSION_RESUME);
	w_expect_nothing(&w.user);
	done(&c, seq, NEXT_CONTINUE, "a1 OK\r\n");
	c_expect(&c, "a1 OK\r\n");
	(void)expect_command("a2 NOOP");
	leave(&c);
	/* Nothing to drain: resumed at once. */
	log_in(&c);
	c_says(&c, "a1 SEARCH ALL\r\n");
	done(&c, expect_command("a1 SEARCH ALL").seq, NEXT_MORE, "");
	(void)w_expect(&w.user, IPC_SESSION_RESUME);
	leave(&c);
}

static void half_closed_clients_hear_their_answers(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "a1 NOOP\r\na2 NOOP\r\n");
	(void)shutdown(c.fd, SHUT_WR);
	uint32_t one = expect_command("a1 NOOP").seq;
	uint32_t two = expect_command("a2 NOOP").seq;
	assert_int_equal(edge.open, 1);
	done(&c, one, NEXT_CONTINUE, "a1 OK\r\n");
	done(&c, two, NEXT_CONTINUE, "a2 OK\r\n");
	c_expect(&c, "a1 OK\r\na2 OK\r\n");
	c_expect_end(&c);
	(void)w_expect(&w.user, IPC_SESSION_CLOSE);
	leave(&c);
}

static void a_session_that_ends_tells_its_backend(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "a1 NOOP\r\n");
	uint32_t seq = expect_command("a1 NOOP").seq;
	c_leave(&c);
	done(&c, seq, NEXT_CONTINUE, "a1 OK\r\n"); /* finds the client gone, or nobody */
	(void)w_expect(&w.user, IPC_SESSION_CLOSE);
	w_out(&w.user, c.session, STR("nobody listens"));
	leave(&c);
	log_in(&c);
	c_says(&c, "a1 LOGOUT\r\n");
	done(&c, expect_command("a1 LOGOUT").seq, NEXT_CLOSE, "* BYE\r\na1 OK\r\n");
	c_expect(&c, "* BYE\r\na1 OK\r\n");
	c_expect_end(&c);
	leave(&c);
}

/* --- the user process dies
 * -------------------------------------------------------------------------------- */

static void restart(void)
{
	fake_die(&w.user);
	fake_start(&w.user, "user");
}

static void a_quiet_session_moves(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "a1 STORE 1 +FLAGS (x)\r\n");
	done(&c, expect_command("a1 STORE 1 +FLAGS (x)").seq, NEXT_CONTINUE, "a1 OK\r\n");
	c_expect(&c, "a1 OK\r\n");
	fake_die(&w.user);
	c_says(&c, "a2 NOOP\r\na3 NOOP\r\n"); /* while nobody is there */
	fake_start(&w.user, "user");
	(void)expect_open("state1");
	done(&c, expect_command("a2 NOOP").seq, NEXT_CONTINUE, "a2 OK\r\n");
	done(&c, expect_command("a3 NOOP").seq, NEXT_CONTINUE, "a3 OK\r\n");
	c_expect(&c, "a2 OK\r\na3 OK\r\n");
	leave(&c);
}

static void a_parked_session_moves_and_its_done_is_not_lost(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	idle(&c);
	restart();
	(void)expect_open("state1");
	done(&c, 0, NEXT_PARK, "* 5 EXISTS\r\n");
	c_expect(&c, "* 5 EXISTS\r\n");
	fake_die(&w.user);
	c_says(&c, "DONE\r\n");
	c_expect(&c, "");
	fake_start(&w.user, "user");
	(void)expect_open("state1");
	done(&c, expect_command("DONE").seq, NEXT_CONTINUE, "i OK\r\n");
	c_expect(&c, "i OK\r\n");
	leave(&c);
}

static void a_harmless_command_is_said_again_once(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "a1 FETCH 1 UID\r\n");
	uint32_t seq = expect_command("a1 FETCH 1 UID").seq;
	restart();
	(void)expect_open("state0");
	assert_int_equal(expect_command("a1 FETCH 1 UID").seq, seq);
	done(&c, 0, NEXT_CONTINUE, ""); /* its greeting does not count as the answer */
	c_says(&c, "a2 NOOP\r\n");
	(void)expect_command("a2 NOOP");
	done(&c, seq, NEXT_CONTINUE, "a1 OK\r\n");
	c_expect(&c, "a1 OK\r\n");
	leave(&c);
	/* What kills twice is not said a third time. */
	log_in(&c);
	c_says(&c, "a1 FETCH 1 UID\r\n");
	restart();
	(void)expect_open("state0");
	(void)expect_command("a1 FETCH 1 UID");
	fake_die(&w.user);
	c_expect_begin(&c, "* BYE [UNAVAILABLE]");
	c_expect_end(&c);
	leave(&c);
}

static void bye_with(struct client *c, bool text)
{
	fake_die(&w.user);
	if (text)
		c_expect_begin(c, "* BYE [UNAVAILABLE]");
	c_expect_end(c);
	leave(c);
}

static void what_may_have_happened_ends_in_bye(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	c_says(&c, "a1 STORE 1 +FLAGS (x)\r\n");
	bye_with(&c, true);

	log_in(&c);
	c_says(&c, "a1 NOOP\r\na2 NOOP\r\n");
	bye_with(&c, true);

	/* Inside of an answer, where BYE would be content: no word. */
	log_in(&c);
	c_says(&c, "a1 FETCH 1 BODY[]\r\n");
	(void)w_expect(&w.user, IPC_SESSION_COMMAND);
	w_out(&w.user, c.session, STR("* 1 FETCH (BODY[] {1000}\r\nhalf of"));
	fake_die(&w.user);
	c_expect(&c, "* 1 FETCH (BODY[] {1000}\r\nhalf of");
	c_expect_end(&c);
	leave(&c);

	/* A part of the answer has gone out. */
	log_in(&c);
	c_says(&c, "a1 FETCH 1:2 UID\r\n");
	done(&c, expect_command("a1 FETCH 1:2 UID").seq, NEXT_MORE, "* 1 FETCH (UID 1)\r\n");
	c_expect(&c, "* 1 FETCH (UID 1)\r\n");
	bye_with(&c, true);

	/* A large literal: asked for, and arriving. */
	log_in(&c);
	c_says(&c, "a1 APPEND INBOX {100000}\r\n");
	(void)w_expect(&w.user, IPC_BODY_OPEN);
	bye_with(&c, false);
	log_in(&c);
	c_says(&c, "a1 APPEND INBOX {100000}\r\n");
	(void)close(give_file(w_expect(&w.user, IPC_BODY_OPEN)));
	c_says(&c, "some");
	bye_with(&c, false);

	/* Its state was too large to be kept. */
	log_in(&c);
	w_done(&w.user, &(struct msg_session_done){.session = c.session, .flags = DONE_STATELESS});
	bye_with(&c, true);

	/* Nothing is known yet. */
	c_connect(&c, SERVICE_IMAP);
	c_says(&c, "a0 LOGIN alice secret\r\n");
	answer_login(true, 0);
	c_listen(&c);
	fake_die(&w.user);
	c_expect_end(&c);
	leave(&c);
}

/* A client before login does not care. */
static void a_login_is_not_disturbed(void **state)
{
	(void)state;
	struct client c;
	c_connect(&c, SERVICE_IMAP);
	c_expect_begin(&c, "* OK ");
	restart();
	c_says(&c, "a0 NOOP\r\n");
	c_expect_begin(&c, "a0 OK");
	leave(&c);
}

static void answers_of_others_are_not_believed(void **state)
{
	(void)state;
	struct client c;
	log_in(&c);
	w_done(&w.mta, &(struct msg_session_done){
			       .session = c.session, .seq = 1, .out = STR("* evil\r\n")});
	w_out(&w.mta, c.session, STR("* evil\r\n"));
	w_done(&w.user, &(struct msg_session_done){
				.session = c.session + 1, .seq = 1, .out = STR("* evil\r\n")});
	c_expect(&c, "");
	leave(&c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(login_goes_to_dir_and_opens_the_session),
		T(a_refused_login_waits_its_time),
		T(a_login_that_nobody_waits_for_is_given_back),
		T(no_dir_is_no_refusal),
		T(a_client_may_leave_while_dir_thinks),
		T(the_time_for_a_login_is_not_prolonged),
		T(starttls_drops_what_was_pipelined),
		T(tls_from_the_first_byte),
		T(pipelined_commands_go_on_in_order),
		T(only_so_many_are_under_way),
		T(a_small_literal_is_part_of_its_command),
		T(what_is_malformed_never_reaches_the_user_role),
		T(a_large_literal_goes_into_a_file),
		T(a_refused_literal_is_skipped),
		T(a_client_may_leave_while_its_file_is_opened),
		T(idle_parks_and_done_ends_it),
		T(idle_that_is_refused_lets_the_next_command_in),
		T(news_may_cross_done),
		T(a_long_command_waits_for_the_client),
		T(half_closed_clients_hear_their_answers),
		T(a_session_that_ends_tells_its_backend),
		T(a_quiet_session_moves),
		T(a_parked_session_moves_and_its_done_is_not_lost),
		T(a_harmless_command_is_said_again_once),
		T(what_may_have_happened_ends_in_bye),
		T(a_login_is_not_disturbed),
		T(answers_of_others_are_not_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
