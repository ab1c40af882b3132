/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ManageSieve at the edge. Before the login: the dialogue of proto/login. After it: whole commands,
 * one at a time, for the account's user process.
 *
 * A command under way when the user process dies may or may not have been carried out: the client
 * hears BYE. A quiet session goes on with its successor.
 */
#include "codec/managesieve/managesieve_write.h"
#include "codec/sieve/sieve.h"
#include "roles/edge/edge.h"
#include "sys/log.h"

#define PATIENCE MIB(4) /* of a command that is not kept */

OFFENCE(endless, "endless_managesieve_command", "ManageSieve commands of more than four megabytes");
OFFENCE(bad_commands, "bad_managesieve_commands",
	"ManageSieve clients that said nothing but nonsense before a login");
OFFENCE(not_managesieve, "not_managesieve", "other protocols spoken to a ManageSieve port");

/* A script and its name fit into a command; nothing is written elsewhere. */
static const struct frame_imap_limits limits_login = {
	.line_bytes = KIB(16), .inline_bytes = KIB(16), .literals = 4};
static const struct frame_imap_limits limits_session = {
	.line_bytes = KIB(8), .inline_bytes = MIB(1) - KIB(32), .literals = 4};

static void say(struct session *s, void (*write)(struct buf *out))
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(1));
	write(&out);
	session_write(s, buf_str(&out));
}

static void give_up(struct session *s)
{
	if (!s->mid_answer)
		say(s, login_managesieve_bye_shutdown);
	session_finish(s);
}

static void init(struct session *s)
{
	frame_imap_init(&s->managesieve.frame, &limits_login);
}

static void begin_dialogue(struct session *s)
{
	struct managesieve_edge *m = &s->managesieve;
	bool tls = conn_tls_text(s->conn).n > 0 || peer_tls_at_proxy(&s->peer);
	if (!m->extensions.max) {
		m->extensions = BUF_INIT(KIB(4));
		sieve_extensions_write(0, &m->extensions);
	}
	struct login_managesieve_config config = {.starttls = !tls,
						  .plain_allowed = s->peer.trusted,
						  .sieve = buf_str(&m->extensions),
						  .redirects = SIEVE_LIMITS_DEFAULT.redirects,
						  .language = str_c(s->edge->role->conf->language),
						  .offer = session_offer(s)};
	m->login = xcalloc(1, sizeof *m->login);
	login_managesieve_init(m->login, &config, tls);
	conn_timeout(s->conn, session_login_ms(s));
}

static void begin(struct session *s)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	begin_dialogue(s);
	login_managesieve_greet(s->managesieve.login, &out);
	session_write(s, buf_str(&out));
	conn_resume(s->conn);
	conn_flush(s->conn);
}

/* --- before the login --- */

static void act(struct session *s, enum login_managesieve_action action);

static void answer_is_in(struct session *s)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(32));
	s->phase = SESSION_LOGIN;
	enum login_managesieve_action action =
		login_managesieve_answer(s->managesieve.login, &s->answer, &out);
	session_write(s, buf_str(&out));
	act(s, action);
	if (s->conn && (s->phase == SESSION_LOGIN || s->phase == SESSION_RUNNING))
		conn_resume(s->conn);
	if (s->conn)
		conn_flush(s->conn);
}

static void verify(struct session *s)
{
	s->phase = SESSION_WAITING;
	conn_pause(s->conn);
	frame_imap_wipe(&s->managesieve.frame);
	session_login(s, &s->managesieve.login->sasl, answer_is_in);
}

static void forget_login(struct managesieve_edge *m)
{
	if (m->login)
		login_managesieve_clear(m->login);
	free(m->login);
	m->login = NULL;
	buf_clear(&m->extensions);
}

static void logged_in(struct session *s)
{
	s->phase = SESSION_RUNNING;
	s->backend = role_peer(s->edge->role, "user", s->shard);
	forget_login(&s->managesieve);
	frame_imap_set_limits(&s->managesieve.frame, &limits_session);
	session_open_at_backend(s);
	conn_timeout(s->conn, s->edge->role->conf->managesieve_idle_timeout_ms);
}

static void act(struct session *s, enum login_managesieve_action action)
{
	switch (action) {
	case LOGIN_MANAGESIEVE_NONE:
		break;
	case LOGIN_MANAGESIEVE_STARTTLS:
		frame_imap_wipe(&s->managesieve.frame);
		conn_start_tls(s->conn, s->edge->tls, s->service->alpn);
		if (s->conn)
			conn_timeout(s->conn, session_handshake_ms(s));
		break;
	case LOGIN_MANAGESIEVE_VERIFY:
		verify(s);
		break;
	case LOGIN_MANAGESIEVE_DONE:
		logged_in(s);
		break;
	case LOGIN_MANAGESIEVE_CLOSE:
		session_finish(s);
		break;
	}
}

static void secured(struct session *s)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	struct login_offer offer = session_offer(s);
	login_managesieve_tls_started(s->managesieve.login, &offer, &out);
	session_write(s, buf_str(&out));
	conn_timeout(s->conn, session_login_ms(s));
	conn_resume(s->conn);
}

/* One that ended here; dir logs those that it has decided. */
static void log_attempt(struct session *s)
{
	struct login_managesieve *l = s->managesieve.login;
	if (l->attempt)
		session_log_login(s, LOGIN_OUTCOME_INCOMPLETE, STR(""),
				  l->sasl.mechanism ? l->sasl.mechanism : "AUTHENTICATE",
				  l->attempt);
	l->attempt = NULL;
}

static void before_login(struct session *s, const struct frame_imap_event *e)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(32));
	struct login_managesieve *l = s->managesieve.login;
	bool in_sasl = l->in_sasl;
	enum login_managesieve_action action =
		e->kind == FRAME_IMAP_COMMAND ? login_managesieve_command(l, &e->input, &out)
					      : login_managesieve_dropped(l, &out);
	if (l->command)
		log_event(LOG_DEBUG, "login.in", log_c("command", l->command));
	if (in_sasl && !l->in_sasl && action == LOGIN_MANAGESIEVE_NONE)
		session_login_drop(s, &l->sasl);
	log_attempt(s);
	if (l->bad >= l->config.bad_max)
		session_offence(s, &bad_commands, "");
	session_write(s, buf_str(&out));
	act(s, action);
}

static bool is_other(struct session *s, struct str in)
{
	struct managesieve_edge *m = &s->managesieve;
	bool other = !m->login->said && edge_other_protocol(in);
	m->login->said |= in.n > 0;
	if (!other)
		return false;
	session_offence(s, &not_managesieve, "");
	session_write(s, STR("BYE \"This is ManageSieve.\"\r\n"));
	session_finish(s);
	return true;
}

/* --- after it --- */

/* RFC 5804 2.14.1: it is about the connection, of which the user process knows nothing. */
static bool unauthenticates(struct session *s, struct str text)
{
	if (!str_eqi(str_trim(text), STR("UNAUTHENTICATE")))
		return false;
	if (!session_logged_out(s))
		return true;
	frame_imap_set_limits(&s->managesieve.frame, &limits_login);
	begin_dialogue(s);
	session_write(s, STR("OK\r\n"));
	return true;
}

static void send_command(struct session *s, const struct frame_imap_event *e)
{
	if (e->kind != FRAME_IMAP_COMMAND) {
		session_write(s,
			      e->kind == FRAME_IMAP_TOO_BIG
				      ? STR("NO (QUOTA/MAXSIZE) \"The command is too large.\"\r\n")
				      : STR("NO \"The command is malformed.\"\r\n"));
		return;
	}
	if (unauthenticates(s, e->input.text))
		return;
	struct msg_session_command msg = {
		.session = s->id.v, .seq = ++s->seq, .input = e->input.text};
	s->managesieve.busy = true;
	int r = session_send(s, IPC_SESSION_COMMAND, &msg);
	if (r < 0)
		give_up(s);
}

static bool may_take(const struct session *s)
{
	if (!s->conn || s->conn->handshaking || !session_may_begin(s))
		return false;
	if (s->phase == SESSION_LOGIN)
		return true;
	/* While the backend restarts, what comes waits for it. */
	return s->phase == SESSION_RUNNING && !s->managesieve.busy && s->opened;
}

static void take_event(struct session *s, const struct frame_imap_event *e)
{
	if (e->kind == FRAME_IMAP_LITERAL)
		frame_imap_refuse(&s->managesieve.frame); /* {n}: no client's */
	else if (s->phase == SESSION_LOGIN)
		before_login(s, e);
	else
		send_command(s, e);
}

static void input(struct session *s, struct str *in)
{
	struct managesieve_edge *m = &s->managesieve;
	if (s->phase == SESSION_LOGIN && is_other(s, *in))
		return;
	while (may_take(s)) {
		struct frame_imap_event e = frame_imap_feed(&m->frame, in);
		if (m->frame.dropped > PATIENCE) {
			session_offence(s, &endless, "");
			conn_close(s->conn);
			return;
		}
		if (e.kind == FRAME_IMAP_MORE)
			break;
		take_event(s, &e);
	}
	if (s->conn && !may_take(s))
		conn_pause(s->conn);
}

static void eof(struct session *s)
{
	s->managesieve.eof = true;
	if (!s->managesieve.busy && s->phase != SESSION_WAITING)
		session_finish(s);
}

static void revoked(struct session *s)
{
	if (s->managesieve.busy || s->phase == SESSION_WAITING)
		return; /* done() comes back here */
	session_write(s, STR("BYE \"Your access has changed, please log in again.\"\r\n"));
	session_finish(s);
}

/* --- back from it --- */

static void done(struct session *s, struct ipc_packet *p, const struct msg_session_done *d)
{
	struct managesieve_edge *m = &s->managesieve;
	(void)p;
	m->busy = false;
	if (d->next == NEXT_CLOSE || m->eof) {
		session_finish(s);
		return;
	}
	if (s->over)
		revoked(s);
	if (!s->conn || s->phase == SESSION_ENDING)
		return;
	conn_timeout(s->conn, s->edge->role->conf->managesieve_idle_timeout_ms);
	conn_flush(s->conn);
	if (may_take(s))
		conn_resume(s->conn);
}

static void backend_lost(struct session *s)
{
	s->opened = false;
	if (s->managesieve.busy || s->stateless || s->mid_answer || s->state.n == 0)
		give_up(s);
}

static void backend_back(struct session *s)
{
	session_open_at_backend(s);
	if (may_take(s))
		conn_resume(s->conn);
}

static void timeout(struct session *s)
{
	/* The client takes what it has asked for, or waits for it: it is not silent. */
	if (s->phase != SESSION_LOGIN && (s->managesieve.busy || s->conn->out_bytes)) {
		conn_timeout(s->conn, s->edge->role->conf->managesieve_idle_timeout_ms);
		return;
	}
	say(s, login_managesieve_bye_timeout);
	session_finish(s);
}

/* A line in the middle of an answer, or in the place of one, would be taken for a part of it. */
static void say_goodbye(struct session *s)
{
	if (!s->managesieve.busy && s->phase != SESSION_WAITING && !s->conn->handshaking)
		say(s, login_managesieve_bye_shutdown);
	session_finish(s);
}

static bool settled(const struct session *s, unsigned how)
{
	if (how == HOLD_BODIES)
		return true;
	if (!s->backend) /* logged in or not, that is being found out */
		return s->phase != SESSION_WAITING;
	return s->stateless || (!s->managesieve.busy && !s->mid_answer && s->state.n);
}

static bool quiet(const struct session *s)
{
	return (s->phase == SESSION_LOGIN || s->phase == SESSION_RUNNING) && !s->managesieve.busy &&
	       !s->conn->handshaking;
}

static void clear(struct session *s)
{
	struct managesieve_edge *m = &s->managesieve;
	forget_login(m);
	frame_imap_clear(&m->frame);
}

const struct session_ops edge_managesieve_ops = {.init = init,
						 .begin = begin,
						 .input = input,
						 .secured = secured,
						 .timeout = timeout,
						 .eof = eof,
						 .done = done,
						 .backend_lost = backend_lost,
						 .backend_back = backend_back,
						 .shutdown = say_goodbye,
						 .revoked = revoked,
						 .settled = settled,
						 .quiet = quiet,
						 .clear = clear};
