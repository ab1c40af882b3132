/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POP3 at the edge. Before the login: the dialogue of proto/login. After it: lines into batches for
 * the account's user process, one batch under way at a time.
 *
 * What the client sent in one piece travels in one piece (RFC 2449 6.6). When the user process
 * dies, the batch under way is said again to its successor, which starts from the state before it:
 * no command changes the mailbox but QUIT, and a QUIT that was carried out already finds nothing
 * more to remove. Only an answer of which a part has gone out cannot be given again: the connection
 * ends.
 */
#include "codec/smtp/smtp_batch.h"
#include "roles/edge/edge.h"
#include "sys/log.h"

#define BATCH_MAX   KIB(16)
#define PATIENCE    MIB(1)   /* of one endless line */
#define HELD_HIGH   MIB(256) /* of an answer that is kept for a client while its backend changes */
#define DRAINED_LOW KIB(512) /* a long answer goes on while no more is left to send */

OFFENCE(endless_line, "endless_pop3_line", "POP3 lines of more than a megabyte");
OFFENCE(bad_commands, "bad_pop3_commands",
	"POP3 clients that said nothing but nonsense before a login");
OFFENCE(not_pop3, "not_pop3", "other protocols spoken to a POP3 port");

static void flush(struct session *s)
{
	if (s->conn)
		conn_flush(s->conn);
}

static void say(struct session *s, void (*write)(struct buf *out))
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	write(&out);
	session_write(s, buf_str(&out));
}

/* What was under way may or may not have happened: say so by ending, never guess. */
static void give_up(struct session *s)
{
	if (!s->mid_answer && !s->pop3.more && !s->pop3.answered)
		session_write(s, STR("-ERR [SYS/TEMP] The mailbox server restarted, please connect "
				     "again.\r\n"));
	session_finish(s);
}

static void init(struct session *s)
{
	s->pop3.frame = FRAME_LINE_INIT(LOGIN_SASL_LINE_MAX);
}

static void begin(struct session *s)
{
	const struct conf *c = s->edge->role->conf;
	bool tls = conn_tls_text(s->conn).n > 0 || peer_tls_at_proxy(&s->peer);
	struct login_pop3_config config = {.stls = !tls,
					   .plain_allowed = s->peer.trusted,
					   .login_delay_s =
						   (uint32_t)(c->pop3_login_delay_ms / 1000),
					   .usual = c->language,
					   .offer = session_offer(s)};
	s->pop3.login = xcalloc(1, sizeof *s->pop3.login);
	login_pop3_init(s->pop3.login, &config, tls);
	conn_timeout(s->conn, session_login_ms(s));
	say(s, login_pop3_greet);
	conn_resume(s->conn);
	conn_flush(s->conn);
}

/* --- before the login --- */

static void act(struct session *s, enum login_pop3_action action);

static void answer_is_in(struct session *s)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	s->phase = SESSION_LOGIN;
	enum login_pop3_action action = login_pop3_answer(s->pop3.login, &s->answer, &out);
	session_write(s, buf_str(&out));
	act(s, action);
	if (s->phase == SESSION_LOGIN)
		conn_resume(s->conn);
	flush(s);
}

static void verify(struct session *s)
{
	s->phase = SESSION_WAITING;
	conn_pause(s->conn);
	frame_line_wipe(&s->pop3.frame);
	session_login(s, &s->pop3.login->sasl, answer_is_in);
}

/* The client hears of it from the user process, which opens and locks the mailbox. */
static void logged_in(struct session *s)
{
	struct pop3_edge *m = &s->pop3;
	s->phase = SESSION_RUNNING;
	s->backend = role_peer(s->edge->role, "user", s->shard);
	m->choice = m->login->choice;
	login_pop3_clear(m->login);
	free(m->login);
	m->login = NULL;
	m->busy = true;
	conn_pause(s->conn);
	session_open_at_backend(s);
	conn_timeout(s->conn, s->edge->role->conf->pop3_idle_timeout_ms);
}

static void act(struct session *s, enum login_pop3_action action)
{
	switch (action) {
	case LOGIN_POP3_NONE:
		break;
	case LOGIN_POP3_STLS:
		frame_line_wipe(&s->pop3.frame);
		conn_start_tls(s->conn, s->edge->tls, s->service->alpn);
		if (s->conn)
			conn_timeout(s->conn, session_handshake_ms(s));
		break;
	case LOGIN_POP3_VERIFY:
		verify(s);
		break;
	case LOGIN_POP3_DONE:
		logged_in(s);
		break;
	case LOGIN_POP3_CLOSE:
		session_finish(s);
		break;
	}
}

static void secured(struct session *s)
{
	struct login_offer offer = session_offer(s);
	login_pop3_tls_started(s->pop3.login, &offer);
	conn_timeout(s->conn, session_login_ms(s));
	conn_resume(s->conn);
}

/* One that ended here; dir logs those that it has decided. */
static void log_attempt(struct session *s)
{
	struct login_pop3 *l = s->pop3.login;
	if (l->attempt)
		session_log_login(s, LOGIN_OUTCOME_INCOMPLETE, str_c(l->attempt_user),
				  l->sasl.mechanism ? l->sasl.mechanism : "USER", l->attempt);
	l->attempt = NULL;
}

static void before_login(struct session *s, struct str line, bool bad)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(16));
	struct login_pop3 *l = s->pop3.login;
	bool in_sasl = l->in_sasl;
	enum login_pop3_action action = login_pop3_line(l, line, bad, &out);
	if (l->command)
		log_event(LOG_DEBUG, "login.in", log_c("command", l->command));
	if (in_sasl && !l->in_sasl && action == LOGIN_POP3_NONE)
		session_login_drop(s, &l->sasl);
	log_attempt(s);
	if (l->bad >= l->config.bad_max)
		session_offence(s, &bad_commands, "");
	session_write(s, buf_str(&out));
	act(s, action);
}

static bool is_other(struct session *s, struct str in)
{
	struct pop3_edge *m = &s->pop3;
	bool other = !m->login->said && edge_other_protocol(in);
	m->login->said |= in.n > 0;
	if (!other)
		return false;
	session_offence(s, &not_pop3, "");
	session_write(s, STR("-ERR This is POP3.\r\n"));
	session_finish(s);
	return true;
}

/* --- after it: towards the user process --- */

static void send_batch(struct session *s)
{
	struct pop3_edge *m = &s->pop3;
	struct msg_session_command msg = {
		.session = s->id.v, .seq = s->seq, .input = buf_str(&m->again)};
	int r = session_send(s, IPC_SESSION_COMMAND, &msg);
	if (r < 0 && r != -FAIL_PEER) /* else it waits for backend_back */
		give_up(s);
}

static void say_batch(struct session *s)
{
	struct pop3_edge *m = &s->pop3;
	buf_clear(&m->again);
	m->again = buf_move(&m->batch);
	m->busy = true;
	m->repeated = false;
	s->seq++;
	conn_pause(s->conn);
	send_batch(s);
}

static bool may_take(const struct session *s)
{
	if (!s->conn || s->conn->handshaking || !session_may_begin(s))
		return false;
	if (s->phase == SESSION_LOGIN)
		return true;
	/* While the backend restarts, what comes waits for it. */
	return s->phase == SESSION_RUNNING && !s->pop3.busy && s->opened;
}

/* False: the session is ending. */
static bool take_line(struct session *s, struct str *in, bool *more)
{
	struct pop3_edge *m = &s->pop3;
	struct str line = STR_NULL;
	enum frame_line_event e = frame_line_feed(&m->frame, in, &line);
	*more = e != FRAME_LINE_MORE;
	if (m->frame.dropped > PATIENCE) {
		session_offence(s, &endless_line, "");
		conn_close(s->conn);
		return false;
	}
	if (e == FRAME_LINE_MORE)
		return true;
	if (s->phase == SESSION_LOGIN) {
		before_login(s, line, e != FRAME_LINE_READY);
		return true;
	}
	enum smtp_line_kind kind = e != FRAME_LINE_READY    ? SMTP_LINE_MALFORMED
				   : line.n > POP3_LINE_MAX ? SMTP_LINE_TOO_LONG
							    : SMTP_LINE_OK;
	if (!m->batch.max)
		m->batch = BUF_INIT(BATCH_MAX + POP3_LINE_MAX + 16);
	(void)smtp_batch_add(&m->batch, kind, line);
	return true;
}

static void input(struct session *s, struct str *in)
{
	bool more = true;
	if (s->phase == SESSION_LOGIN && is_other(s, *in))
		return;
	while (more && in->n && may_take(s) && s->pop3.batch.n < BATCH_MAX)
		if (!take_line(s, in, &more))
			return;
	if (s->pop3.batch.n && may_take(s))
		say_batch(s);
	if (s->conn && !may_take(s))
		conn_pause(s->conn);
}

/* `printf '...' | nc`: what was asked is still answered. */
static void eof(struct session *s)
{
	s->pop3.eof = true;
	if (!s->pop3.busy && s->phase != SESSION_WAITING)
		session_finish(s);
}

static void revoked(struct session *s)
{
	if (s->pop3.busy || s->phase == SESSION_WAITING)
		return; /* done() comes back here */
	session_write(s, STR("-ERR [AUTH] Your access has changed, please log in again.\r\n"));
	session_finish(s);
}

/* --- back from it --- */

static void drained(struct session *s, size_t left)
{
	struct msg_session_resume m = {.session = s->id.v};
	/* When the backend is about to go, the answer is kept here rather than there. */
	if (!s->pop3.more || left > (session_may_begin(s) ? DRAINED_LOW : HELD_HIGH))
		return;
	s->pop3.more = false;
	conn_timeout(s->conn, s->edge->role->conf->pop3_idle_timeout_ms);
	if (session_send(s, IPC_SESSION_RESUME, &m) < 0)
		give_up(s);
}

static void done(struct session *s, struct ipc_packet *p, const struct msg_session_done *d)
{
	struct pop3_edge *m = &s->pop3;
	(void)p;
	if (d->next == NEXT_MORE) {
		m->more = m->answered = true;
		flush(s);
		if (s->conn)
			drained(s, s->conn->out_bytes);
		return;
	}
	/* One that was opened again, with its batch still to be answered. */
	bool reopened = d->seq == 0 && m->again.n;
	if (!reopened) {
		m->busy = m->answered = false;
		buf_clear(&m->again);
	}
	if (d->next == NEXT_CLOSE || (m->eof && !m->busy)) {
		session_finish(s);
		return;
	}
	if (s->over)
		revoked(s);
	if (!s->conn || s->phase == SESSION_ENDING)
		return;
	conn_timeout(s->conn, s->edge->role->conf->pop3_idle_timeout_ms);
	flush(s);
	if (may_take(s))
		conn_resume(s->conn);
}

static void backend_lost(struct session *s)
{
	const struct pop3_edge *m = &s->pop3;
	s->opened = false;
	if (m->more || m->answered || s->stateless || s->mid_answer || s->state.n == 0 ||
	    (m->busy && m->repeated))
		give_up(s);
}

/* Once: a command that kills must not do so for ever. */
static void backend_back(struct session *s)
{
	struct pop3_edge *m = &s->pop3;
	session_open_at_backend(s);
	if (m->busy) {
		m->repeated = true;
		send_batch(s);
	} else if (may_take(s)) {
		conn_resume(s->conn);
	}
}

static void timeout(struct session *s)
{
	/* The client takes what it has asked for, or waits for it: it is not silent. */
	if (s->phase != SESSION_LOGIN && (s->pop3.busy || s->conn->out_bytes)) {
		conn_timeout(s->conn, s->edge->role->conf->pop3_idle_timeout_ms);
		return;
	}
	say(s, login_pop3_bye_timeout);
	session_finish(s);
}

/* A line in the middle of an answer, or in the place of one, would be taken for a part of it. */
static void say_goodbye(struct session *s)
{
	if (!s->pop3.busy && s->phase != SESSION_WAITING && !s->conn->handshaking)
		say(s, login_pop3_bye_shutdown);
	session_finish(s);
}

static bool settled(const struct session *s, unsigned how)
{
	const struct pop3_edge *m = &s->pop3;
	if (how == HOLD_BODIES)
		return true;
	if (!s->backend) /* logged in or not, that is being found out */
		return s->phase != SESSION_WAITING;
	return s->stateless || (!m->busy && !s->mid_answer && s->state.n);
}

static bool quiet(const struct session *s)
{
	const struct pop3_edge *m = &s->pop3;
	return (s->phase == SESSION_LOGIN || s->phase == SESSION_RUNNING) && !m->busy &&
	       !m->batch.n && !s->conn->handshaking;
}

static void clear(struct session *s)
{
	struct pop3_edge *m = &s->pop3;
	if (m->login)
		login_pop3_clear(m->login);
	free(m->login);
	m->login = NULL;
	frame_line_wipe(&m->frame);
	frame_line_clear(&m->frame);
	buf_clear(&m->batch);
	buf_clear(&m->again);
}

const struct session_ops edge_pop3_ops = {.init = init,
					  .begin = begin,
					  .input = input,
					  .secured = secured,
					  .timeout = timeout,
					  .drained = drained,
					  .eof = eof,
					  .done = done,
					  .backend_lost = backend_lost,
					  .backend_back = backend_back,
					  .shutdown = say_goodbye,
					  .revoked = revoked,
					  .settled = settled,
					  .quiet = quiet,
					  .clear = clear};
