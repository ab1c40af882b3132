/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/text.h"
#include "roles/edge/edge.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include "sys/log_gate.h"
#include <stdio.h>

COUNTER(sessions_opened, "edge.sessions", "connections accepted");
LOG_GATE(session_lines, "session.begin");
LOG_GATE(busy_lines, "login");

#define BUSY_HOLD_MS 3000 /* who is told to try later shall not do so at once */

OFFENCE(not_tls, "not_tls", "something else than TLS where TLS was to begin");
OFFENCE(not_deflate, "not_deflate", "something else than DEFLATE where it was agreed on");
OFFENCE(tls_failed, "tls_failed", "TLS handshakes that failed");
OFFENCE(tls_flood, "tls_flood",
	"key updates or renegotiations without end, or a huge first message");
OFFENCE(slow_handshake, "slow_handshake", "TLS handshakes that were not finished in time");
OFFENCE(slow_login, "slow_login", "clients that did not log in in time");
OFFENCE(slow_reader, "slow_reader", "clients that did not take what they had asked for");

/* --- end
 * -------------------------------------------------------------------------------------------------
 */

static void session_free(struct session *s)
{
	struct edge *e = s->edge;
	s->service->ops->clear(s);
	loop_timer_clear(e->role->loop, &s->hold);
	buf_clear(&s->state);
	buf_clear(&s->challenge);
	buf_clear(&s->ticket);
	peer_clear(&s->peer);
	free(s);
}

/* One answer less to wait for. */
static void release(struct session *s)
{
	CHECK(s->asks > 0);
	if (--s->asks == 0 && s->detached)
		session_free(s);
}

static void reap(struct loop_task *task)
{
	release(CONTAINER_OF(task, struct session, reap));
}

/* To dir, which keeps an eye on every session that it has granted. */
static void tell_over(const struct session *s)
{
	struct msg_login_over m = {.session = s->id.v};
	(void)ipc_send(role_peer(s->edge->role, "dir", 0), s->trace, IPC_LOGIN_OVER, &m);
}

void session_offence(const struct session *s, const struct offence *o, const char *why)
{
	char ip[NETADDR_TEXT_MAX];
	log_context(s->trace, s->id);
	offence_note(o,
		     &(struct offender){.ip = netaddr_text(&s->peer.addr, false, ip),
					.service = str_c(s->service->def->name)},
		     why);
	log_context((struct trace_id){0}, (struct session_id){0});
}

bool session_late(struct session *s)
{
	if (s->conn->handshaking) {
		session_offence(s, &slow_handshake, "");
		conn_close(s->conn);
		return true;
	}
	if (s->phase == SESSION_LOGIN)
		session_offence(s, &slow_login, "");
	return false;
}

uint64_t session_handshake_ms(const struct session *s)
{
	uint64_t most = s->edge->role->conf->handshake_timeout_ms;
	return s->phase == SESSION_LOGIN ? MIN(most, session_login_ms(s)) : most;
}

/* Did the client do something wrong, or just go? */
static void judge_end(const struct session *s, bool handshaking, enum conn_end end,
		      const struct fail *why)
{
	const char *text = why ? why->detail : "";
	if (end == CONN_END_STALLED)
		session_offence(s, &slow_reader, text);
	else if (end == CONN_END_ZIP)
		session_offence(s, &not_deflate, text);
	else if (end == CONN_END_TLS && why && why->code == FAIL_LIMIT)
		session_offence(s, &tls_flood, text);
	else if (end == CONN_END_TLS && why && why->code == FAIL_SYNTAX)
		session_offence(s, &not_tls, text);
	else if (end == CONN_END_TLS && handshaking && why && why->code == FAIL_PEER &&
		 why->saved_errno == 0)
		session_offence(s, &tls_failed, text);
}

/* And tell dir that a login is over. */
static void close_at_backend(struct session *s)
{
	if (s->backend && s->opened) {
		struct msg_session_close m = {.session = s->id.v};
		(void)ipc_send(s->backend, s->trace, IPC_SESSION_CLOSE, &m);
	}
	if (s->ticket.n > 0)
		tell_over(s);
}

/* Another id: the others may not mix up what they still know of the old session with the new one.
 */
static void renumber(struct session *s)
{
	struct edge *e = s->edge;
	(void)map_remove(&e->sessions, s->id.v);
	s->id.v = e->next_session++;
	(void)map_put(&e->sessions, s->id.v, s);
}

bool session_logged_out(struct session *s)
{
	close_at_backend(s);
	log_event(LOG_INFO, "session.logged-out", log_c("service", s->service->def->name));
	renumber(s);
	buf_clear(&s->state);
	buf_clear(&s->ticket);
	buf_clear(&s->challenge);
	s->backend = NULL;
	s->opened = s->stateless = s->over = false;
	s->seq = 0;
	s->phase = SESSION_LOGIN;
	s->since = loop_now(s->edge->role->loop);
	if (edge_recount(s))
		return true;
	session_write(s, edge_too_many(s->service));
	session_finish(s);
	return false;
}

static void ended(struct conn *c, enum conn_end end, const struct fail *why)
{
	struct session *s = c->owner;
	struct edge *e = s->edge;
	static const char *const ends[] = {[CONN_END_PEER] = "peer",
					   [CONN_END_TLS] = "tls",
					   [CONN_END_ZIP] = "zip",
					   [CONN_END_STALLED] = "stalled",
					   [CONN_END_OURS] = "us"};
	judge_end(s, c->handshaking, end, why);
	log_context(s->trace, s->id);
	if (s->told)
		log_event(
			s->service->def->internal ? LOG_DEBUG : LOG_INFO, "session.end",
			log_c("service", s->service->def->name), log_c("by", ends[end]),
			log_str("why", why && end != CONN_END_OURS ? str_c(why->detail) : STR("")));
	log_context((struct trace_id){0}, (struct session_id){0});
	close_at_backend(s);
	(void)map_remove(&e->sessions, s->id.v);
	list_remove(&s->link);
	edge_session_ended(s);
	s->conn = NULL;
	s->phase = SESSION_ENDING;
	s->detached = true;
	loop_timer_clear(e->role->loop, &s->hold);
	/* Never here: a connection may end under any call of ours, and the callers look at s. */
	s->asks++;
	s->reap.run = reap;
	loop_post(e->role->loop, &s->reap);
}

void session_finish(struct session *s)
{
	s->phase = SESSION_ENDING;
	if (s->conn)
		conn_finish(s->conn);
}

bool session_answered(struct session *s)
{
	bool alive = !s->detached;
	release(s);
	return alive;
}

void session_ask(struct session *s, struct ipc_channel *ch, const struct ipc_question *q,
		 struct ipc_ask *a)
{
	s->asks++;
	ipc_ask(ch, q, a);
}

/* --- connection callbacks
 * ----------------------------------------------------------------------------------- */

static void input(struct conn *c, struct str *in)
{
	struct session *s = c->owner;
	s->heard = loop_now(s->edge->role->loop);
	log_context(s->trace, s->id);
	s->service->ops->input(s, in);
	log_context((struct trace_id){0}, (struct session_id){0});
	if (!c->closing)
		conn_flush(c);
}

static void eof(struct conn *c)
{
	struct session *s = c->owner;
	log_context(s->trace, s->id);
	if (s->service->ops->eof)
		s->service->ops->eof(s);
	else
		session_finish(s);
	log_context((struct trace_id){0}, (struct session_id){0});
}

static void secured(struct conn *c)
{
	struct session *s = c->owner;
	log_context(s->trace, s->id);
	log_event(LOG_DEBUG, "session.tls", log_str("tls", conn_tls_text(c)));
	log_context((struct trace_id){0}, (struct session_id){0});
	if (s->phase == SESSION_LOGIN && s->service->def->tls_at_once)
		s->service->ops->begin(s);
	else
		s->service->ops->secured(s);
}

static void timeout(struct conn *c)
{
	struct session *s = c->owner;
	if (!session_late(s))
		s->service->ops->timeout(s);
}

static void drained(struct conn *c, size_t left)
{
	struct session *s = c->owner;
	if (s->service->ops->drained)
		s->service->ops->drained(s, left);
}

static const struct conn_ops conn_ops = {.input = input,
					 .eof = eof,
					 .secured = secured,
					 .drained = drained,
					 .timeout = timeout,
					 .ended = ended};

static void log_peer(const struct session *s, const char *event)
{
	static const char *const sources[] = {[PEER_SOCKET] = "socket",
					      [PEER_PROXY] = "proxy",
					      [PEER_XCLIENT] = "xclient",
					      [PEER_ID] = "id"};
	const struct peer *p = &s->peer;
	const struct log_field none = {.kind = LOG_KIND_NONE};
	char ip[NETADDR_TEXT_MAX], proxy[NETADDR_TEXT_MAX];
	bool claimed = p->source != PEER_SOCKET;
	log_context(s->trace, s->id);
	log_event(s->service->def->internal ? LOG_DEBUG : LOG_INFO, event,
		  log_c("service", s->service->def->name),
		  log_str("peer", netaddr_text(&p->addr, true, ip)),
		  claimed ? log_str("proxy", netaddr_text(&p->proxy, true, proxy)) : none,
		  claimed ? log_c("by", sources[p->source]) : none);
	log_context((struct trace_id){0}, (struct session_id){0});
}

void session_tell(struct session *s)
{
	if (!s->told)
		log_peer(s, "session.begin");
	s->told = true;
}

bool session_peer_changed(struct session *s)
{
	session_tell(s);
	log_peer(s, "session.peer");
	if (edge_recount(s))
		return true;
	session_write(s, edge_too_many(s->service));
	session_finish(s);
	return false;
}

uint64_t session_login_ms(const struct session *s)
{
	int64_t most = (int64_t)s->edge->role->conf->login_timeout_ms;
	int64_t past = (loop_now(s->edge->role->loop).v - s->since.v) / MS_NS;
	return (uint64_t)MAX(most - past, INT64_C(1));
}

struct session *session_begin(struct edge *e, const struct service *service, int fd,
			      const struct peer *peer, struct mono_ns since)
{
	struct session *s = xcalloc(1, sizeof *s);
	s->edge = e;
	s->service = service;
	s->id.v = e->next_session++;
	s->trace = log_peer_trace(e, &peer->addr);
	s->peer = *peer;
	s->since = since;
	s->heard = loop_now(e->role->loop);
	s->state = BUF_INIT(KIB(512));
	s->challenge = BUF_INIT(KIB(8));
	s->ticket = BUF_INIT(256);
	s->phase = SESSION_LOGIN;
	service->ops->init(s);
	s->conn = conn_new(e->role->loop, fd, &conn_ops, s);
	list_append(&e->all, &s->link);
	(void)map_put(&e->sessions, s->id.v, s);
	edge_session_began(s);
	counter_add(&sessions_opened, 1);
	if (log_gate_passes(&session_lines, edge_who(&peer->addr)))
		session_tell(s);
	CRASH_POINT("edge.session");
	if (service->def->tls_at_once) {
		conn_timeout(s->conn, session_handshake_ms(s));
		session_start_tls(s);
	} else {
		service->ops->begin(s);
	}
	return s;
}

void session_write(struct session *s, struct str text)
{
	if (s->conn)
		conn_write(s->conn, text);
}

/* --- backends
 * ------------------------------------------------------------------------------------------------
 */

struct msg_peer session_peer(const struct session *s, struct peer_texts *texts)
{
	struct peer_tls tls = {.text = s->conn ? conn_tls_text(s->conn) : STR("")};
	if (tls.text.n)
		conn_tls_details(s->conn, &tls.sni, &tls.ems);
	return peer_message(&s->peer, &tls, texts);
}

void session_start_tls(struct session *s)
{
	bool asks = s->service->ops == &edge_smtp_ops &&
		    strcmp(s->edge->role->conf->ask_certificate, "on") == 0;
	conn_start_tls(s->conn, s->edge->tls, s->service->alpn);
	if (s->conn && asks)
		conn_ask_certificate(s->conn);
}

void session_open_at_backend(struct session *s)
{
	struct tls_client_names client = {{0}, {0}};
	if (s->conn)
		conn_client_names(s->conn, &client);
	struct peer_texts texts;
	AUTO(buf) struct buf names = BUF_INIT(200);
	struct login_offer offer = session_offer(s);
	login_sasl_names(&offer, " ", true, &names);
	bool pop3 = s->service->ops == &edge_pop3_ops;
	struct msg_session_open m = {.session = s->id.v,
				     .service = str_c(s->service->def->name),
				     .peer = session_peer(s, &texts),
				     .mechanisms = buf_str(&names),
				     .state = buf_str(&s->state),
				     .ticket = buf_str(&s->ticket),
				     .cert_subject = str_c(client.subject),
				     .cert_issuer = str_c(client.issuer)};
	if (pop3) {
		m.utf8 = s->pop3.choice.utf8;
		m.language = str_c(text_language_name(s->pop3.choice.lang));
	}
	if (ipc_send(s->backend, s->trace, IPC_SESSION_OPEN, &m) == 0)
		s->opened = true;
}

int session_send(struct session *s, enum ipc_type type, const void *msg)
{
	if (!s->opened)
		session_open_at_backend(s);
	return s->opened ? ipc_send(s->backend, s->trace, type, msg) : -FAIL_PEER;
}

/* --- login
 * ------------------------------------------------------------------------------------------------------
 */

static void hold_over(struct loop_timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, hold);
	s->held(s);
}

void session_hold(struct session *s, uint32_t ms, void (*then)(struct session *s))
{
	if (ms == 0) {
		then(s);
		return;
	}
	s->held = then;
	s->hold.fire = hold_over;
	loop_timer_in(s->edge->role->loop, &s->hold, ms);
}

void session_log_login(const struct session *s, enum login_outcome outcome, struct str user,
		       const char *mechanism, const char *why)
{
	struct peer_texts texts;
	struct msg_peer peer = session_peer(s, &texts);
	log_context(s->trace, s->id);
	login_log(&(struct login_line){.outcome = outcome,
				       .service = str_c(s->service->def->name),
				       .user = user,
				       .peer = peer.ip,
				       .mech = str_c(mechanism),
				       .tls = peer.tls,
				       .reason = str_c(why)});
	log_context((struct trace_id){0}, (struct session_id){0});
}

static void login_answer(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct session *s = CONTAINER_OF(a, struct session, login_ask);
	struct msg_login_reply m = {0};
	bool good = r == 0 && msg_login_reply_read(p, &m) == 0;
	if (!good && (r != -FAIL_LIMIT || log_gate_passes(&busy_lines, edge_who(&s->peer.addr))))
		session_log_login(s, LOGIN_OUTCOME_UNAVAILABLE, str_c(s->login_user), s->login_mech,
				  r < 0 ? why->detail : "bad answer of dir");
	if (s->detached && good && m.granted) /* the client did not wait */
		tell_over(s);
	if (!session_answered(s)) {
		ipc_packet_free(p);
		return;
	}
	buf_reset(&s->challenge);
	(void)buf_add(&s->challenge, m.challenge);
	buf_reset(&s->ticket);
	if (m.granted) {
		(void)buf_add(&s->ticket, m.ticket);
		edge_session_known(s);
	}
	ipc_packet_free(p);
	s->answer = (struct login_answer){.verdict = r == -FAIL_LIMIT ? LOGIN_VERDICT_BUSY
						     : !good	      ? LOGIN_VERDICT_UNAVAILABLE
						     : m.granted      ? LOGIN_VERDICT_OK
								      : LOGIN_VERDICT_REFUSED,
					  .more = good && m.more,
					  .challenge = buf_str(&s->challenge)};
	s->shard = m.shard;
	session_hold(s, r == -FAIL_LIMIT ? BUSY_HOLD_MS : good ? m.delay_ms : 0, s->held);
}

static void ask_dir(struct session *s, const struct ipc_question *q, struct str user,
		    const char *mechanism, void (*then)(struct session *s))
{
	session_tell(s);
	(void)snprintf(s->login_user, sizeof s->login_user, "%.*s", STR_ARG(user));
	s->login_mech = mechanism;
	s->held = then;
	s->login_ask.done = login_answer;
	session_ask(s, role_peer(s->edge->role, "dir", 0), q, &s->login_ask);
}

struct login_offer session_offer(const struct session *s)
{
	return (struct login_offer){.mechanisms = s->edge->mechanisms,
				    .tls = (s->conn && conn_tls_text(s->conn).n > 0) ||
					   peer_tls_at_proxy(&s->peer),
				    .binding = s->conn && conn_tls_binds(s->conn)};
}

void session_login(struct session *s, const struct login_sasl *x, void (*then)(struct session *s))
{
	struct peer_texts texts;
	unsigned char binding[32];
	struct msg_peer peer = session_peer(s, &texts);
	struct str service = str_c(s->service->def->name);
	struct msg_login_sasl sasl = {.session = s->id.v,
				      .service = service,
				      .peer = peer,
				      .first = !x->begun,
				      .mechanism = str_c(x->mechanism),
				      .message = buf_str(&x->message)};
	struct msg_login plain = {.session = s->id.v,
				  .service = service,
				  .peer = peer,
				  .username = x->credentials.user,
				  .password = x->credentials.password,
				  .mechanism = str_c(x->mechanism ? x->mechanism : "LOGIN"),
				  .authzid = x->credentials.authzid};
	if (x->relayed && conn_tls_exporter(s->conn, binding))
		sasl.binding = (struct str){(const char *)binding, sizeof binding};
	struct ipc_question q = {.type = x->relayed ? IPC_LOGIN_SASL : IPC_LOGIN,
				 .msg = x->relayed ? (const void *)&sasl : &plain,
				 .want = IPC_LOGIN_REPLY,
				 .trace = s->trace};
	ask_dir(s, &q, x->credentials.user, x->mechanism ? x->mechanism : "LOGIN", then);
}

void session_claim_login(struct session *s, void (*then)(struct session *s))
{
	struct peer_texts texts;
	struct msg_login m = {.session = s->id.v,
			      .service = str_c(s->service->def->name),
			      .peer = session_peer(s, &texts),
			      .username = str_c(s->peer.claims->login),
			      .mechanism = STR("XCLIENT"),
			      .claimed = true};
	struct ipc_question q = {
		.type = IPC_LOGIN, .msg = &m, .want = IPC_LOGIN_REPLY, .trace = s->trace};
	ask_dir(s, &q, m.username, "XCLIENT", then);
}

void session_login_drop(struct session *s, const struct login_sasl *x)
{
	struct msg_login_drop m = {.session = s->id.v};
	if (x->relayed && x->begun && !x->ending)
		(void)ipc_send(role_peer(s->edge->role, "dir", 0), s->trace, IPC_LOGIN_DROP, &m);
}
