/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMTP at the edge: lines into batches, and the SASL exchange. The message after DATA or BDAT is
 * taken by edge_smtp_body.c.
 *
 * Pipelined commands travel to mta together, and one batch is under way at a time: so a reply
 * never overtakes another, and when mta dies, the batch under way is said again to its successor,
 * which starts from the state before it. Only a message that was handed over is different: its
 * fate is unknown, so the connection ends without a reply and the client will send it again.
 */
#include "codec/smtp/smtp_batch.h"
#include "codec/smtp/smtp_cmd.h"
#include "codec/smtp/xclient.h"
#include "roles/edge/edge.h"
#include "sys/crash.h"
#include "sys/log.h"

#define LINE_MAX_BYTES                                                                             \
	4096 /* RFC 5321 4.5.3.1.4 with the extensions' parameters; AUTH has its own */
#define BATCH_MAX KIB(32)
#define PATIENCE  MIB(1)   /* of one endless line */
#define OUT_HIGH  KIB(256) /* a client that does not read its replies is not read either */
#define OUT_LOW	  KIB(64)

OFFENCE(endless_line, "endless_line", "SMTP lines of more than a megabyte");
OFFENCE(slow_command, "slow_command", "SMTP clients that were silent too long between commands");
OFFENCE(slow_message, "slow_message", "clients that sent a message too slowly");

static const struct conf *conf_of(const struct session *s)
{
	return s->edge->role->conf;
}

static bool in_content(const struct session *s)
{
	return s->smtp.input == SMTP_INPUT_DATA || s->smtp.input == SMTP_INPUT_BDAT;
}

/*
 * A message may pause for data_timeout, in one piece or in many: who is further behind what
 * data_rate_min asks for does not want to send, but to stay.
 */
static uint64_t content_ms(const struct session *s)
{
	uint64_t pause = conf_of(s)->smtp_data_timeout_ms, rate = conf_of(s)->data_rate_min;
	if (!rate)
		return pause;
	int64_t past = (loop_now(s->edge->role->loop).v - s->smtp.content_since.v) / MS_NS;
	int64_t earned = (int64_t)(pause + s->smtp.content_octets * 1000 / rate);
	return (uint64_t)MAX(MIN((int64_t)pause, earned - past), INT64_C(1));
}

/* For the next command, or the next piece of a message. */
static void arm_timeout(struct session *s)
{
	conn_timeout(s->conn, in_content(s) ? content_ms(s) : conf_of(s)->smtp_command_timeout_ms);
}

static void init(struct session *s)
{
	struct smtp_edge *m = &s->smtp;
	m->frame = FRAME_LINE_INIT(LOGIN_SASL_LINE_MAX);
	m->batch = BUF_INIT(BATCH_MAX + LOGIN_SASL_LINE_MAX + 16);
	m->body = BUF_INIT(BODY_INLINE_MAX + CONN_READ_SIZE);
	m->last = BUF_INIT(BATCH_MAX + LOGIN_SASL_LINE_MAX + 16);
	m->body_fd = -1;
	m->busy = true; /* until the greeting is there */
}

static void begin(struct session *s)
{
	s->phase = SESSION_RUNNING;
	s->backend = role_peer(s->edge->role, "mta", 0);
	session_open_at_backend(s);
	arm_timeout(s);
}

static void forget_initial(struct smtp_edge *m)
{
	if (m->initial.p)
		explicit_bzero(m->initial.p, m->initial.n);
	buf_clear(&m->initial);
	m->has_initial = false;
}

/* --- lines
 * -------------------------------------------------------------------------------------------------
 */

static int send_now(struct session *s, enum ipc_type type, struct str content)
{
	if (type == IPC_SESSION_COMMAND) {
		struct msg_session_command msg = {
			.session = s->id.v, .seq = ++s->seq, .input = content};
		return session_send(s, type, &msg);
	}
	if (type == IPC_SESSION_TLS) {
		AUTO(buf) struct buf names = BUF_INIT(200);
		struct login_offer offer = session_offer(s);
		struct tls_client_names client;
		login_sasl_names(&offer, " ", true, &names);
		conn_client_names(s->conn, &client);
		struct msg_session_tls msg = {.session = s->id.v,
					      .seq = ++s->seq,
					      .tls_text = content,
					      .mechanisms = buf_str(&names),
					      .cert_subject = str_c(client.subject),
					      .cert_issuer = str_c(client.issuer)};
		return session_send(s, type, &msg);
	}
	if (type == IPC_SESSION_WAITED) {
		struct msg_session_waited msg = {
			.session = s->id.v, .seq = ++s->seq, .said = content};
		return session_send(s, type, &msg);
	}
	CHECK(type == IPC_SESSION_AUTH);
	struct msg_session_auth msg = {
		.session = s->id.v, .seq = ++s->seq, .outcome = (uint8_t)content.p[0]};
	return session_send(s, type, &msg);
}

/*
 * What is under way is kept in m->last: its type, then what it says. While mta is down it waits
 * there for backend_back.
 */
static void say(struct session *s, enum ipc_type type, struct str content)
{
	struct smtp_edge *m = &s->smtp;
	buf_reset(&m->last);
	(void)buf_put_u8(&m->last, (uint8_t)type);
	(void)buf_add(&m->last, content);
	m->busy = true;
	conn_pause(s->conn);
	int r = send_now(s, type, content);
	if (r < 0 && r != -FAIL_PEER)
		conn_close(s->conn); /* mta takes no more */
}

static void say_batch(struct session *s, bool more)
{
	struct smtp_edge *m = &s->smtp;
	/* Bytes behind the batch are a sign of pipelining where it is not allowed (RFC 2920 3.1).
	 */
	(void)buf_addc(&m->batch, more ? 1 : 0);
	AUTO(buf) struct buf batch = m->batch;
	m->batch = BUF_INIT(m->batch.max);
	say(s, IPC_SESSION_COMMAND, buf_str(&batch));
	CRASH_POINT("edge.smtp-sent");
}

/*
 * An initial response of AUTH holds a password: mta gets the line without it, and it may be longer
 * than other lines (RFC 4954 4).
 */
static void keep_secret(struct smtp_edge *m, enum smtp_line_kind *kind, struct str *line)
{
	struct str rest, initial;
	if (!smtp_cmd_split_auth(*line, &rest, &initial))
		return;
	*kind = SMTP_LINE_OK;
	*line = rest;
	forget_initial(m);
	m->initial = BUF_INIT(LOGIN_SASL_LINE_MAX);
	m->has_initial = true;
	(void)buf_add(&m->initial, initial);
}

static void take_lines(struct session *s, struct str *in)
{
	struct smtp_edge *m = &s->smtp;
	struct str line = STR_NULL;
	while (in->n) {
		enum frame_line_event e = frame_line_feed(&m->frame, in, &line);
		if (m->frame.dropped > PATIENCE) {
			session_offence(s, &endless_line, "");
			conn_close(s->conn);
			return;
		}
		if (e == FRAME_LINE_MORE)
			break;
		enum smtp_line_kind kind = e == FRAME_LINE_READY && line.n <= LINE_MAX_BYTES
						   ? SMTP_LINE_OK
					   : e == FRAME_LINE_MALFORMED ? SMTP_LINE_MALFORMED
								       : SMTP_LINE_TOO_LONG;
		if (e == FRAME_LINE_READY)
			keep_secret(m, &kind, &line);
		(void)smtp_batch_add(&m->batch, kind, line);
		if (smtp_batch_ends(kind, line) || m->batch.n >= BATCH_MAX) {
			say_batch(s, in->n > 0);
			return;
		}
	}
	if (m->batch.n)
		say_batch(s, false);
}

/* --- AUTH
 * --------------------------------------------------------------------------------------------------------
 */

/* Numbers of enum smtp_auth (proto/smtp/smtp_session.h), which edge does not link. */
enum { AUTH_GRANTED, AUTH_REFUSED, AUTH_MALFORMED, AUTH_CANCELLED, AUTH_UNKNOWN, AUTH_UNAVAILABLE };

static void forget_sasl(struct smtp_edge *m)
{
	if (m->sasl)
		login_sasl_clear(m->sasl);
	free(m->sasl);
	m->sasl = NULL;
}

static void auth_outcome(struct session *s, char outcome)
{
	forget_sasl(&s->smtp);
	frame_line_wipe(&s->smtp.frame);
	s->smtp.input = SMTP_INPUT_LINES;
	say(s, IPC_SESSION_AUTH, (struct str){&outcome, 1});
}

static void answer_is_in(struct session *s);

static void sasl_step(struct session *s, enum login_sasl_result r, struct buf *reply)
{
	if (r == LOGIN_SASL_CONTINUE) {
		session_write(s, buf_str(reply));
		s->smtp.input = SMTP_INPUT_SASL;
		arm_timeout(s);
		conn_resume(s->conn);
		conn_flush(s->conn);
		return;
	}
	if (r == LOGIN_SASL_DECIDED) {
		enum login_verdict v = s->smtp.sasl->verdict;
		auth_outcome(s, v == LOGIN_VERDICT_OK	     ? AUTH_GRANTED
				: v == LOGIN_VERDICT_REFUSED ? AUTH_REFUSED
							     : AUTH_UNAVAILABLE);
		return;
	}
	if (r == LOGIN_SASL_FAILED) {
		session_login_drop(s, s->smtp.sasl);
		if (s->smtp.sasl->failed)
			session_log_login(s, LOGIN_OUTCOME_INCOMPLETE, STR_NULL,
					  s->smtp.sasl->mechanism, s->smtp.sasl->failed);
		/* The reply says which: 501 cancelled, 504 no such mechanism, else malformed. */
		bool unknown = str_starts(buf_str(reply), STR("504"));
		bool cancelled = str_starts(buf_str(reply), STR("501 5.7.0"));
		auth_outcome(s, unknown	    ? AUTH_UNKNOWN
				: cancelled ? AUTH_CANCELLED
					    : AUTH_MALFORMED);
		return;
	}
	s->phase = SESSION_WAITING;
	conn_pause(s->conn);
	session_login(s, s->smtp.sasl, answer_is_in);
}

static void answer_is_in(struct session *s)
{
	AUTO(buf) struct buf reply = BUF_INIT(KIB(16));
	s->phase = SESSION_RUNNING;
	sasl_step(s, login_sasl_answer(s->smtp.sasl, &s->answer, &reply), &reply);
}

static void begin_auth(struct session *s, struct str mechanism)
{
	AUTO(buf) struct buf reply = BUF_INIT(KIB(4));
	struct smtp_edge *m = &s->smtp;
	struct str initial =
		m->has_initial ? (m->initial.n ? buf_str(&m->initial) : STR("")) : STR_NULL;
	forget_sasl(m);
	m->sasl = xcalloc(1, sizeof *m->sasl);
	struct login_offer offer = session_offer(s);
	struct login_sasl_start start = {
		.dialect = LOGIN_SMTP, .mechanism = mechanism, .initial = initial, .offer = &offer};
	enum login_sasl_result r = login_sasl_begin(m->sasl, &start, &reply);
	forget_initial(m);
	sasl_step(s, r, &reply);
}

static void take_sasl(struct session *s, struct str *in)
{
	AUTO(buf) struct buf reply = BUF_INIT(KIB(4));
	struct str line = STR_NULL;
	enum frame_line_event e = frame_line_feed(&s->smtp.frame, in, &line);
	if (e == FRAME_LINE_MORE)
		return;
	s->smtp.input = SMTP_INPUT_LINES;
	if (e != FRAME_LINE_READY)
		line = STR("*not-base64*");
	sasl_step(s, login_sasl_line(s->smtp.sasl, line, &reply), &reply);
}

/* --- before the greeting
 * ------------------------------------------------------------------------------------ */

#define SAID_MAX 256

#define HELD_AGAIN_MS 100

static void was_patient(struct session *s)
{
	if (!session_may_begin(s)) { /* mta is being replaced */
		session_hold(s, HELD_AGAIN_MS, was_patient);
		return;
	}
	s->smtp.waiting = false;
	say(s, IPC_SESSION_WAITED, STR(""));
}

/* What it said stays in the input: perhaps mta lets it go on. */
static void spoke_early(struct session *s, struct str said)
{
	if (!session_may_begin(s)) {
		conn_pause(s->conn);
		return;
	}
	s->smtp.waiting = false;
	loop_timer_clear(s->edge->role->loop, &s->hold);
	say(s, IPC_SESSION_WAITED, str_sub(said, 0, SAID_MAX));
}

static void watch(struct session *s, uint64_t ms)
{
	s->smtp.waiting = true;
	conn_flush(s->conn);
	if (!s->conn)
		return;
	conn_resume(s->conn);
	session_hold(s, (uint32_t)ms, was_patient);
}

/* --- input and answers
 * ---------------------------------------------------------------------------------------------- */

static bool may_take(const struct session *s)
{
	/* A message that is on its way into a file comes to its end, whoever is to be replaced. */
	return s->conn && !s->smtp.busy && s->phase == SESSION_RUNNING && s->opened &&
	       s->conn->out_bytes <= OUT_HIGH && (s->smtp.body_fd >= 0 || session_may_begin(s));
}

static void input(struct session *s, struct str *in)
{
	struct smtp_edge *m = &s->smtp;
	if (m->waiting) {
		spoke_early(s, *in);
		return;
	}
	/* A line has its time, and a byte now and then does not prolong it. */
	if (in_content(s))
		arm_timeout(s);
	while (in->n && may_take(s)) {
		if (m->input == SMTP_INPUT_LINES)
			take_lines(s, in);
		else if (m->input == SMTP_INPUT_SASL)
			take_sasl(s, in);
		else
			smtp_body_take(s, in);
	}
	if (s->conn && !may_take(s))
		conn_pause(s->conn);
}

static void drained(struct session *s, size_t left)
{
	if (left <= OUT_LOW && s->conn->paused && may_take(s))
		conn_resume(s->conn);
}

static void say_goodbye(struct session *s)
{
	if (s->smtp.body_under_way || s->mid_answer)
		return; /* a reply is on the way: go_on says goodbye behind it */
	session_write(s, STR("421 4.3.2 The server stops, please come back in a minute.\r\n"));
	session_finish(s);
}

static void revoked(struct session *s)
{
	const struct smtp_edge *m = &s->smtp;
	if (m->busy || m->body_under_way || s->mid_answer || in_content(s) ||
	    s->phase == SESSION_WAITING)
		return; /* go_on comes back here */
	session_write(s, STR("421 4.7.0 Your access has changed, please log in again.\r\n"));
	session_finish(s);
}

static void take_on(struct session *s)
{
	if (s->smtp.feeding && s->smtp.input == SMTP_INPUT_BDAT) {
		smtp_feed(s);
		return;
	}
	/* A chunk of size 0 is complete without any input. */
	if (s->smtp.input == SMTP_INPUT_BDAT && s->smtp.bdat.left == 0 && may_take(s)) {
		struct str none = STR("");
		smtp_body_take(s, &none);
	}
	if (may_take(s))
		conn_resume(s->conn);
}

static void go_on(struct session *s)
{
	s->smtp.busy = false;
	conn_flush(s->conn);
	if (!s->conn)
		return;
	if (s->edge->stopping) {
		say_goodbye(s);
		return;
	}
	if (s->over) {
		revoked(s);
		return;
	}
	arm_timeout(s);
	take_on(s);
}

/* --- XCLIENT
 * -----------------------------------------------------------------------------------------------
 */

/*
 * mta has found it right. The session ends there and another one begins, for another peer: so
 * nothing of what the proxy said before is taken for the client's. The greeting follows.
 */
static void begin_again(struct session *s, struct str args)
{
	struct xclient x;
	struct msg_session_close m = {.session = s->id.v};
	if (!s->peer.may_xclient || xclient_parse(args, &x)) {
		conn_close(s->conn);
		return;
	}
	peer_from_xclient(&s->peer, s->edge, &x);
	if (!session_peer_changed(s))
		return;
	(void)ipc_send(s->backend, s->trace, IPC_SESSION_CLOSE, &m);
	buf_reset(&s->state);
	s->stateless = s->opened = false;
	smtp_body_forget(&s->smtp);
	session_open_at_backend(s);
	arm_timeout(s);
}

static void claim_is_judged(struct session *s)
{
	s->phase = SESSION_RUNNING;
	if (s->answer.verdict == LOGIN_VERDICT_OK) {
		char outcome = (char)AUTH_CLAIMED;
		say(s, IPC_SESSION_AUTH, (struct str){&outcome, 1});
		return;
	}
	session_write(s, s->answer.verdict == LOGIN_VERDICT_REFUSED
				 ? STR("421 4.7.0 The user that XCLIENT names may not send mail "
				       "here.\r\n")
				 : STR("421 4.7.0 Logins are not possible now, please try again "
				       "later.\r\n"));
	session_finish(s);
}

/* The greeting is written but not sent: dir must agree first that the user may send. */
static void claim(struct session *s)
{
	s->phase = SESSION_WAITING;
	session_claim_login(s, claim_is_judged);
}

static void done(struct session *s, struct ipc_packet *p, const struct msg_session_done *d)
{
	struct smtp_edge *m = &s->smtp;
	(void)p;
	m->body_under_way = false;
	buf_clear(&m->last);
	if (d->next != NEXT_AUTH)
		forget_initial(m);
	if (d->next == NEXT_CLOSE) {
		session_finish(s);
		return;
	}
	if (d->next == NEXT_DATA || d->next == NEXT_BDAT) {
		smtp_body_begin(s, d);
	} else if (d->next == NEXT_STARTTLS) {
		frame_line_wipe(&m->frame);
		smtp_body_forget(m);
		session_start_tls(s);
		if (s->conn)
			conn_timeout(s->conn, session_handshake_ms(s));
		return;
	} else if (d->next == NEXT_AUTH) {
		m->busy = false;
		conn_flush(s->conn);
		if (s->conn)
			begin_auth(s, d->text);
		return;
	}
	if (d->next == NEXT_WAIT) {
		watch(s, d->arg);
		return;
	}
	if (d->next == NEXT_XCLIENT) {
		begin_again(s, d->text);
		return;
	}
	if (d->seq == 0 && s->peer.claims && s->peer.claims->login[0]) { /* the greeting */
		claim(s);
		return;
	}
	session_hold(s, d->delay_ms, go_on);
}

static void secured(struct session *s)
{
	say(s, IPC_SESSION_TLS, conn_tls_text(s->conn));
}

/* --- mta restarts
 * ------------------------------------------------------------------------------------------------------
 */

static void backend_lost(struct session *s)
{
	s->opened = false;
	if (s->smtp.body_under_way || s->mid_answer || s->phase == SESSION_WAITING ||
	    s->smtp.body_fd >= 0 || s->stateless) {
		/* No reply: the client knows as little as we do, and sends the message again. */
		conn_close(s->conn);
		return;
	}
	conn_pause(s->conn);
}

static void backend_back(struct session *s)
{
	struct smtp_edge *m = &s->smtp;
	session_open_at_backend(s);
	if (m->last.n) {
		AUTO(buf) struct buf again = m->last;
		m->last = BUF_INIT(again.max);
		struct str content = str_skip(buf_str(&again), 1);
		say(s, (enum ipc_type)(unsigned char)again.p[0], content);
	} else if (!s->conn->handshaking) {
		take_on(s);
	}
}

static void timeout(struct session *s)
{
	session_offence(s, in_content(s) ? &slow_message : &slow_command, "");
	session_write(s, STR("421 4.4.2 You were silent too long, closing the connection.\r\n"));
	session_finish(s);
}

static bool settled(const struct session *s, unsigned how)
{
	const struct smtp_edge *m = &s->smtp;
	if (how == HOLD_BODIES)
		return m->body_fd < 0;
	return s->stateless || !s->backend ||
	       ((!m->busy || m->waiting) && !m->body_under_way && m->body_fd < 0 &&
		!s->mid_answer && s->state.n && s->phase != SESSION_WAITING);
}

static bool quiet(const struct session *s)
{
	const struct smtp_edge *m = &s->smtp;
	return s->phase == SESSION_RUNNING && m->input == SMTP_INPUT_LINES && !m->busy &&
	       !m->batch.n && !s->mid_answer && !s->conn->handshaking;
}

static void clear(struct session *s)
{
	struct smtp_edge *m = &s->smtp;
	forget_sasl(m);
	forget_initial(m);
	frame_line_wipe(&m->frame);
	frame_line_clear(&m->frame);
	buf_clear(&m->batch);
	buf_clear(&m->last);
	smtp_body_forget(m);
}

const struct session_ops edge_smtp_ops = {.init = init,
					  .begin = begin,
					  .input = input,
					  .secured = secured,
					  .timeout = timeout,
					  .drained = drained,
					  .done = done,
					  .backend_lost = backend_lost,
					  .backend_back = backend_back,
					  .shutdown = say_goodbye,
					  .revoked = revoked,
					  .settled = settled,
					  .quiet = quiet,
					  .clear = clear};
