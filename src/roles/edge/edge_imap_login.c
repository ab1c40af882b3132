/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IMAP at the edge before login: the dialogue of proto/login, in which no other role has a part but
 * dir.
 */
#include "codec/imap/imap_cmd.h"
#include "roles/edge/edge.h"
#include "sys/log.h"

OFFENCE(bad_commands, "bad_commands", "IMAP clients that said nothing but nonsense before a login");

OFFENCE(not_imap, "not_imap", "other protocols spoken to an IMAP port");

/* A browser that was tricked, a scanner, TLS on the port for STARTTLS. */
bool edge_other_protocol(struct str in)
{
	static const struct str words[] = {
		STR("GET /"),	 STR("POST /"),	  STR("PUT /"), STR("HEAD /"), STR("PRI * "),
		STR("OPTIONS "), STR("CONNECT "), STR("SSH-"),	STR("EHLO "),  STR("\x16\x03")};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_starts(in, words[i]))
			return true;
	return false;
}

bool edge_imap_is_other(struct session *s, struct str in)
{
	struct imap_edge *m = &s->imap;
	if (m->login->said || !frame_imap_is_idle(&m->frame) || !edge_other_protocol(in)) {
		m->login->said |= in.n > 0;
		return false;
	}
	session_offence(s, &not_imap, "");
	session_write(s, STR("* BYE This is IMAP.\r\n"));
	session_finish(s);
	return true;
}

static bool literal_minus(const struct session *s)
{
	return str_eq(str_c(s->edge->role->conf->imap_literals), STR("LITERAL-"));
}

void edge_imap_init(struct session *s)
{
	s->imap.body_fd = -1;
	frame_imap_init(&s->imap.frame, literal_minus(s) ? &frame_imap_limits_login_minus
							 : &frame_imap_limits_login);
}

static void begin_dialogue(struct session *s)
{
	bool tls = conn_tls_text(s->conn).n > 0 || peer_tls_at_proxy(&s->peer);
	const struct conf *c = s->edge->role->conf;
	struct login_imap_config config = {.starttls = !tls,
					   .limits = {.append = c->append_size_max,
						      .messages = (uint32_t)c->imap_message_limit,
						      .saves = (uint32_t)c->imap_save_limit},
					   .plain_allowed = s->peer.trusted,
					   .id_trusted = s->peer.may_id,
					   .literal_minus = literal_minus(s),
					   .version = BARID_VERSION,
					   .offer = session_offer(s)};
	s->imap.login = xcalloc(1, sizeof *s->imap.login);
	login_imap_init(s->imap.login, &config, tls);
	conn_timeout(s->conn, session_login_ms(s));
}

void edge_imap_begin(struct session *s)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	begin_dialogue(s);
	login_imap_greet(s->imap.login, &out);
	session_write(s, buf_str(&out));
	conn_resume(s->conn);
	conn_flush(s->conn);
}

void edge_imap_again(struct session *s, struct str tag)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(16));
	buf_clear(&s->imap.again);
	frame_imap_set_limits(&s->imap.frame, literal_minus(s) ? &frame_imap_limits_login_minus
							       : &frame_imap_limits_login);
	begin_dialogue(s);
	login_imap_logged_out(s->imap.login, tag, &out);
	session_write(s, buf_str(&out));
}

static void act(struct session *s, enum login_action action);

static void answer_is_in(struct session *s)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	s->phase = SESSION_LOGIN;
	enum login_action action = login_imap_answer(s->imap.login, &s->answer, &out);
	session_write(s, buf_str(&out));
	act(s, action);
	if (s->phase == SESSION_LOGIN || s->phase == SESSION_RUNNING)
		conn_resume(s->conn);
	edge_imap_flush(s);
}

static void verify(struct session *s)
{
	s->phase = SESSION_WAITING;
	conn_pause(s->conn);
	frame_imap_wipe(&s->imap.frame);
	session_login(s, login_imap_sasl(s->imap.login), answer_is_in);
}

static void logged_in(struct session *s)
{
	s->phase = SESSION_RUNNING;
	s->backend = role_peer(s->edge->role, "user", s->shard);
	login_imap_clear(s->imap.login);
	free(s->imap.login);
	s->imap.login = NULL;
	frame_imap_set_limits(&s->imap.frame, literal_minus(s) ? &frame_imap_limits_session_minus
							       : &frame_imap_limits_session);
	session_open_at_backend(s);
	conn_timeout(s->conn, s->edge->role->conf->imap_idle_timeout_ms);
}

static void act(struct session *s, enum login_action action)
{
	switch (action) {
	case LOGIN_ACTION_NONE:
		break;
	case LOGIN_ACTION_LINE:
		frame_imap_expect_raw(&s->imap.frame);
		break;
	case LOGIN_ACTION_STARTTLS:
		frame_imap_wipe(&s->imap.frame);
		conn_start_tls(s->conn, s->edge->tls, s->service->alpn);
		if (s->conn)
			conn_timeout(s->conn, session_handshake_ms(s));
		break;
	case LOGIN_ACTION_VERIFY:
		verify(s);
		break;
	case LOGIN_ACTION_PEER:
		if (s->imap.login->front_session[0])
			log_event(LOG_INFO, "session.front",
				  log_c("front_session", s->imap.login->front_session));
		if (!s->imap.login->client.family && !s->imap.login->local.family)
			break;
		peer_from_id(&s->peer, s->edge, &s->imap.login->client, &s->imap.login->local);
		(void)session_peer_changed(s);
		break;
	case LOGIN_ACTION_DONE:
		logged_in(s);
		break;
	case LOGIN_ACTION_CLOSE:
		session_finish(s);
		break;
	}
}

void edge_imap_secured(struct session *s)
{
	struct login_offer offer = session_offer(s);
	login_imap_tls_started(s->imap.login, &offer);
	conn_timeout(s->conn, session_login_ms(s));
	conn_resume(s->conn);
}

static const char *name_of(enum imap_cmd_kind kind)
{
	return kind < IMAP_CMD_KIND_COUNT ? imap_cmd_name(kind) : "unknown";
}

/* One that ended here; dir logs those that it has decided. */
static void log_attempt(struct session *s, bool login_command)
{
	struct login_imap *l = s->imap.login;
	if (l->attempt)
		session_log_login(s, LOGIN_OUTCOME_INCOMPLETE, str_c(l->attempt_user),
				  login_command ? "LOGIN" : l->sasl.mechanism, l->attempt);
	l->attempt = NULL;
}

void edge_imap_before_login(struct session *s, const struct frame_imap_event *e)
{
	AUTO(buf) struct buf out = BUF_INIT(KIB(16));
	enum login_action action;
	bool in_sasl = s->imap.login->in_sasl;
	if (e->kind == FRAME_IMAP_COMMAND && !s->imap.login->in_sasl) /* the rest may be secret */
		log_event(LOG_DEBUG, "login.in",
			  log_c("command", name_of(imap_cmd_peek(e->input.text))));
	edge_imap_note_drop(s, e);
	if (e->kind != FRAME_IMAP_COMMAND)
		action = login_imap_dropped(s->imap.login, e->kind, e->tag, &out);
	else if (s->imap.login->in_sasl)
		action = login_imap_line(s->imap.login, e->input.text, &out);
	else
		action = login_imap_command(s->imap.login, &e->input, &out);
	if (in_sasl && action == LOGIN_ACTION_NONE)
		session_login_drop(s, &s->imap.login->sasl);
	log_attempt(s, !in_sasl && e->kind == FRAME_IMAP_COMMAND &&
			       imap_cmd_peek(e->input.text) == IMAP_CMD_LOGIN);
	if (s->imap.login->bad >= s->imap.login->config.bad_max)
		session_offence(s, &bad_commands, "");
	session_write(s, buf_str(&out));
	act(s, action);
}
