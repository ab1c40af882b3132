/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/mta/mta.h"
#include "base/check.h"
#include "base/vec.h"
#include "roles/mta/door.h"
#include "roles/mta/inquiry.h"
#include "roles/mta/rules.h"
#include "runtime/services.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include "sys/sock.h"
#include <stdlib.h>
#include <unistd.h>

COUNTER(mta_sessions, "mta.sessions", "SMTP sessions begun");
HISTOGRAM(step_time, "mta.step", "batches of commands, and messages");
COUNTER(mta_resumed, "mta.resumed", "SMTP sessions taken over from an mta that ended");

#define OUT_MAX	  KIB(512)
#define STATE_MAX KIB(500)

struct mta mta;

/* One thing that edge said, to be dealt with on the session's lane. */
struct step {
	struct job job;
	struct mta_session *s;
	struct ipc_packet *p;
	bool greet;
	struct account_id renew; /* the session is of this account: may it go on? */
};

/* --- answers
 * ---------------------------------------------------------------------------------------------------
 */

static uint8_t next_of(const struct smtp_result *r)
{
	switch (r->next) {
	case SMTP_DATA:
		return NEXT_DATA;
	case SMTP_BDAT:
		return NEXT_BDAT;
	case SMTP_STARTTLS:
		return NEXT_STARTTLS;
	case SMTP_AUTH:
		return NEXT_AUTH;
	case SMTP_XCLIENT:
		return NEXT_XCLIENT;
	case SMTP_WAIT:
		return NEXT_WAIT;
	case SMTP_CLOSE:
		return NEXT_CLOSE;
	case SMTP_CONTINUE:
		break;
	}
	return NEXT_CONTINUE;
}

/* Replies and the sealed state go out together: edge never has one without the other. */
static void answer(struct mta_session *s, uint32_t seq, struct buf *out,
		   const struct smtp_result *r)
{
	AUTO(buf) struct buf plain = BUF_INIT(STATE_MAX);
	AUTO(buf) struct buf sealed = BUF_INIT(STATE_MAX + SEAL_OVERHEAD);
	struct msg_session_done done = {
		.session = s->id.v, .seq = seq, .next = next_of(r), .delay_ms = r->delay_ms};
	done.flags = (uint8_t)((r->first ? DONE_FIRST : 0) | (r->last ? DONE_LAST : 0) |
			       (r->discard ? DONE_DISCARD : 0));
	done.arg = r->octets;
	log_event(LOG_DEBUG, "smtp.out", log_str("reply", str_trim(buf_str(out))));
	if (r->next == SMTP_AUTH)
		done.text = r->mechanism; /* edge has kept an initial response to itself */
	if (r->next == SMTP_XCLIENT)
		done.text = r->xclient;
	if (smtp_session_export(s->smtp, &plain) < 0 ||
	    role_seal(mta.role, s->id, buf_str(&plain), &sealed) < 0)
		done.flags |= DONE_STATELESS;
	else
		done.state = buf_str(&sealed);
	if (out->n <= DONE_OUT_MAX) {
		done.out = buf_str(out);
	} else {
		struct msg_session_out m = {.session = s->id.v, .text = buf_str(out), .source = -1};
		(void)ipc_send_wait(s->edge, s->trace, IPC_SESSION_OUT, &m);
	}
	if (r->fed) { /* what the client would have sent behind BDAT */
		struct msg_session_feed feed = {.session = s->id.v, .source = r->feed};
		(void)ipc_send_wait(s->edge, s->trace, IPC_SESSION_FEED, &feed);
		(void)close(r->feed);
	}
	CRASH_POINT("mta.before-answer");
	(void)ipc_send_wait(s->edge, s->trace, IPC_SESSION_DONE, &done);
	CRASH_POINT("mta.after-answer");
}

/* --- steps, on the lane
 * ------------------------------------------------------------------------------------------- */

static void on_lines(struct mta_session *s, struct ipc_packet *p, struct buf *out)
{
	struct msg_session_command m;
	struct smtp_result r = {0};
	if (msg_session_command_read(p, &m) < 0 || m.input.n == 0)
		return;
	if (s->over) {
		(void)buf_add(out,
			      STR("421 4.7.0 Your access has changed, please log in again\r\n"));
		r.next = SMTP_CLOSE;
		answer(s, m.seq, out, &r);
		return;
	}
	struct str batch = str_sub(m.input, 0, m.input.n - 1);
	smtp_session_lines(s->smtp, batch, m.input.p[m.input.n - 1] == 1, out, &r);
	answer(s, m.seq, out, &r);
}

static void on_body(struct mta_session *s, struct ipc_packet *p, struct buf *out)
{
	struct msg_session_body m;
	struct smtp_result r = {0};
	if (msg_session_body_read(p, &m) < 0)
		return;
	struct smtp_body body = {.bytes = m.body, .size = m.size};
	if (m.body_id.n == sizeof body.id.b)
		memcpy(body.id.b, m.body_id.p, sizeof body.id.b);
	body.flags = (m.flags & BODY_BARE ? SMTP_BODY_BARE : 0u) |
		     (m.flags & BODY_TOO_BIG ? SMTP_BODY_TOO_BIG : 0u) |
		     (m.flags & BODY_ABORTED ? SMTP_BODY_ABORTED : 0u) |
		     (m.flags & BODY_LOST ? SMTP_BODY_LOST : 0u);
	s->outcome_unknown = false;
	CRASH_POINT("mta.body");
	smtp_session_body(s->smtp, &body, out, &r);
	if (s->outcome_unknown) {
		buf_reset(out);
		r = (struct smtp_result){.next = SMTP_CLOSE};
	}
	answer(s, m.seq, out, &r);
}

/* XCLIENT LOGIN. dir has checked that it may be claimed: without its grant nothing happens. */
static void on_claim(struct mta_session *s, uint32_t seq, struct buf *out)
{
	struct smtp_result r = {0};
	if (s->granted.v)
		smtp_session_claim(s->smtp, s->granted, str_c(s->granted_address), &r);
	answer(s, seq, out, &r);
}

static void on_auth(struct mta_session *s, struct ipc_packet *p, struct buf *out)
{
	struct msg_session_auth m;
	struct smtp_result r = {0};
	if (msg_session_auth_read(p, &m) < 0)
		return;
	if (m.outcome == AUTH_CLAIMED) {
		on_claim(s, m.seq, out);
		return;
	}
	struct smtp_auth_result a = {.outcome = m.outcome <= SMTP_AUTH_UNAVAILABLE
							? (enum smtp_auth)m.outcome
							: SMTP_AUTH_MALFORMED};
	/* Only dir's word counts: an edge that claims more finds the session without a grant. */
	if (a.outcome == SMTP_AUTH_GRANTED && !s->granted.v)
		a.outcome = SMTP_AUTH_UNAVAILABLE;
	if (a.outcome == SMTP_AUTH_GRANTED) {
		a.account = s->granted;
		a.credential = s->granted_credential;
		a.login = str_c(s->granted_address);
	}
	smtp_session_auth_done(s->smtp, &a, out, &r);
	answer(s, m.seq, out, &r);
}

static void on_tls(struct mta_session *s, struct ipc_packet *p, struct buf *out)
{
	struct msg_session_tls m;
	struct smtp_result r = {0};
	if (msg_session_tls_read(p, &m) < 0)
		return;
	smtp_session_offer(s->smtp, m.mechanisms);
	smtp_session_certificate(s->smtp, m.cert_subject, m.cert_issuer);
	smtp_session_tls_done(s->smtp, m.tls_text, &r);
	answer(s, m.seq, out, &r);
}

static void on_waited(struct mta_session *s, struct ipc_packet *p, struct buf *out)
{
	struct msg_session_waited m;
	struct smtp_result r = {0};
	if (msg_session_waited_read(p, &m) < 0)
		return;
	door_waited(s, m.said, out, &r);
	answer(s, m.seq, out, &r);
}

/* What begins now works with the running configuration; what runs keeps the one before. */
static void renew_conf(struct mta_session *s)
{
	const struct conf *now = role_conf_hold(mta.role);
	smtp_session_configure(s->smtp, conf_extra(now));
	conf_drop(s->conf);
	s->conf = now;
}

/* From here on it only says goodbye. */
static void on_renew(struct mta_session *s, struct account_id account)
{
	struct fail why = FAIL_INIT;
	s->refused = right_renew(mta.role, s->id.v, account, &s->right, &why) < 0;
	if (s->refused)
		log_event(LOG_WARN, "mta.resume-failed", log_fail(&why));
}

static void say_refused(struct mta_session *s, struct buf *out)
{
	struct smtp_result r = {.next = SMTP_CLOSE};
	(void)buf_add(out, STR("421 4.7.0 Your access has changed, please log in again\r\n"));
	answer(s, 0, out, &r);
}

static void run(struct job *job)
{
	struct step *step = CONTAINER_OF(job, struct step, job);
	struct mta_session *s = step->s;
	renew_conf(s);
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
	struct mono_ns begun = clock_mono();
	log_context(s->trace, s->id);
	if (step->renew.v) {
		on_renew(s, step->renew);
		if (s->refused)
			say_refused(s, &out);
	} else if (s->refused) {
		log_event(LOG_DEBUG, "smtp.refused-session");
	} else if (step->greet) {
		struct smtp_result r = {0};
		door_greet(s, &out, &r);
		answer(s, 0, &out, &r);
	} else if (ipc_packet_type(step->p) == IPC_SESSION_COMMAND) {
		on_lines(s, step->p, &out);
	} else if (ipc_packet_type(step->p) == IPC_SESSION_BODY) {
		on_body(s, step->p, &out);
	} else if (ipc_packet_type(step->p) == IPC_SESSION_AUTH) {
		on_auth(s, step->p, &out);
	} else if (ipc_packet_type(step->p) == IPC_SESSION_TLS) {
		on_tls(s, step->p, &out);
	} else if (ipc_packet_type(step->p) == IPC_SESSION_WAITED) {
		on_waited(s, step->p, &out);
	}
	histogram_add(step_time, (uint64_t)(clock_mono().v - begun.v) / 1000);
	log_context((struct trace_id){0}, (struct session_id){0});
	ipc_packet_free(step->p);
	free(step);
}

/* --- sessions, on the loop
 * ------------------------------------------------------------------------------------------ */

static void submit(struct step what)
{
	struct step *step = xcalloc(1, sizeof *step);
	*step = what;
	step->job.run = run;
	lane_submit(&what.s->lane, &step->job);
}

static void reap(struct loop_task *task)
{
	struct mta_session *s = CONTAINER_OF(task, struct mta_session, reap);
	if (!lane_idle(&s->lane)) {
		loop_post(mta.role->loop, task);
		return;
	}
	AUTO(buf) struct buf none = BUF_INIT(KIB(4));
	if (!map_get(&mta.sessions, s->id.v)) /* its renewal may have come after its end */
		right_over(mta.role, s->id.v, &s->right);
	log_context(s->trace, s->id);
	smtp_session_end(s->smtp, SMTP_END_LOST, &none);
	log_context((struct trace_id){0}, (struct session_id){0});
	smtp_session_free(s->smtp);
	conf_drop(s->conf);
	free(s);
}

struct end_step {
	struct job job;
	struct mta_session *s;
};

static void last_step(struct job *job)
{
	struct end_step *e = CONTAINER_OF(job, struct end_step, job);
	loop_post(mta.role->loop, &e->s->reap);
	free(e);
}

static void end_session(struct mta_session *s)
{
	(void)map_remove(&mta.sessions, s->id.v);
	role_sessions_leave(&mta.by_edge, s->id.v);
	right_over(mta.role, s->id.v, &s->right);
	s->closing = true;
	s->reap.run = reap;
	struct end_step *e = xcalloc(1, sizeof *e);
	*e = (struct end_step){.job.run = last_step, .s = s};
	lane_submit(&s->lane, &e->job);
}

static int resume(struct mta_session *s, struct str sealed, struct fail *why)
{
	AUTO(buf) struct buf plain = BUF_INIT(STATE_MAX);
	int r = role_unseal(mta.role, s->id, sealed, &plain);
	return r < 0 ? r
		     : smtp_session_import(conf_extra(s->conf), &s->backend, buf_str(&plain),
					   &s->smtp, why);
}

/* Clients of one address (IPv6: one /64) share the threads that they may take. */
static uint64_t network_of(struct str ip)
{
	struct netaddr a = {0};
	(void)netaddr_parse(ip, &a);
	return str_hash((struct str){(const char *)a.bytes, 8}) | 1;
}

/* An edge may only claim what is served: a port that is switched off lets nobody in. */
static bool service_of(const struct msg_session_open *m, enum smtp_service *ret)
{
	static const struct {
		enum service_kind kind;
		enum smtp_service smtp;
	} services[] = {{SERVICE_SMTP, SMTP_SERVICE_MX},
			{SERVICE_SUBMISSION, SMTP_SERVICE_SUBMISSION},
			{SERVICE_SUBMISSIONS, SMTP_SERVICE_SUBMISSION},
			{SERVICE_LMTP, SMTP_SERVICE_LMTP},
			{SERVICE_REINJECT, SMTP_SERVICE_REINJECT},
			{SERVICE_REINJECT_LISTS, SMTP_SERVICE_REINJECT_LISTS},
			{SERVICE_SENDMAIL, SMTP_SERVICE_LOCAL}};
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct service_def *d = &service_defs[services[i].kind];
		*ret = services[i].smtp;
		if (!str_eq(m->service, str_c(d->name)))
			continue;
		bool known = d->local ? m->peer.user.n > 0 : m->peer.trusted_client;
		return (!d->internal && !d->local) ||
		       (known && service_listen(d, mta.role->conf)->n > 0);
	}
	return false;
}

static void open_session(struct ipc_channel *from, struct ipc_packet *p)
{
	enum smtp_service service;
	struct msg_session_open m;
	struct fail why = FAIL_INIT;
	if (msg_session_open_read(p, &m) < 0 ||
	    session_edge(m.session) != ipc_channel_index(from) ||
	    map_get(&mta.sessions, m.session)) {
		role_refused(from, IPC_SESSION_OPEN,
			     "a session of another edge, or one that is open");
		return;
	}
	if (!service_of(&m, &service) && !m.state.n) {
		struct msg_session_done done = {.session = m.session, .next = NEXT_CLOSE};
		log_event(LOG_WARN, "mta.no-such-service", log_str("service", m.service));
		(void)ipc_send(from, ipc_packet_trace(p), IPC_SESSION_DONE, &done);
		return;
	}
	if (!role_sessions_enter(mta.role, &mta.by_edge, m.session)) {
		role_refused(from, IPC_SESSION_OPEN, "more sessions than there can be clients");
		return;
	}
	struct mta_session *s = xcalloc(1, sizeof *s);
	s->id.v = m.session;
	s->trace = ipc_packet_trace(p);
	s->edge = from;
	s->backend = mta_backend(s);
	s->conf = role_conf_hold(mta.role);
	lane_init(&s->lane, mta.pool);
	lane_tenants(&s->lane, (const uint64_t[LANE_TENANTS]){network_of(m.peer.ip), 0});
	if (m.state.n && resume(s, m.state, &why) < 0) {
		struct msg_session_done done = {.session = m.session, .next = NEXT_CLOSE};
		log_event(LOG_WARN, "mta.resume-failed", log_fail(&why));
		(void)ipc_send(from, s->trace, IPC_SESSION_DONE, &done);
		role_sessions_leave(&mta.by_edge, m.session);
		conf_drop(s->conf);
		free(s);
		return;
	}
	(void)map_put(&mta.sessions, s->id.v, s);
	door_open(s, m.peer.ip, service != SMTP_SERVICE_MX || m.peer.may_relay,
		  m.peer.source == PEER_XCLIENT);
	if (m.state.n) {
		struct account_id account = smtp_session_account(s->smtp);
		counter_add(&mta_resumed, 1);
		(void)right_set(&s->right, m.ticket);
		if (account.v)
			submit((struct step){.s = s, .renew = account});
		return;
	}
	struct smtp_peer peer = {.trace = s->trace,
				 .ip = m.peer.ip,
				 .rdns = m.peer.rdns,
				 .helo = m.peer.helo,
				 .esmtp = m.peer.esmtp,
				 .trusted = m.peer.trusted,
				 .mechanisms = m.mechanisms,
				 .user = m.peer.user,
				 .may_relay = m.peer.may_relay,
				 .port = m.peer.port,
				 .local_ip = m.peer.local_ip,
				 .local_port = m.peer.local_port,
				 .cert_subject = m.cert_subject,
				 .cert_issuer = m.cert_issuer,
				 .xclient = m.peer.may_xclient,
				 .xclient_login = m.peer.may_xclient_login,
				 .tls_text = m.peer.tls_text};
	s->smtp = smtp_session_new(conf_extra(s->conf), &s->backend, service, &peer);
	counter_add(&mta_sessions, 1);
	submit((struct step){.s = s, .greet = true});
}

static uint64_t session_of(struct ipc_packet *p)
{
	struct msg_session_command command;
	struct msg_session_body body;
	struct msg_session_auth auth;
	struct msg_session_tls tls;
	struct msg_session_waited waited;
	struct msg_session_close close;
	switch ((int)ipc_packet_type(p)) {
	case IPC_SESSION_COMMAND:
		return msg_session_command_read(p, &command) == 0 ? command.session : 0;
	case IPC_SESSION_BODY:
		return msg_session_body_read(p, &body) == 0 ? body.session : 0;
	case IPC_SESSION_AUTH:
		return msg_session_auth_read(p, &auth) == 0 ? auth.session : 0;
	case IPC_SESSION_TLS:
		return msg_session_tls_read(p, &tls) == 0 ? tls.session : 0;
	case IPC_SESSION_WAITED:
		return msg_session_waited_read(p, &waited) == 0 ? waited.session : 0;
	case IPC_SESSION_CLOSE:
		return msg_session_close_read(p, &close) == 0 ? close.session : 0;
	default:
		return 0;
	}
}

static void from_edge(struct ipc_channel *from, struct ipc_packet *p)
{
	uint64_t id = session_of(p);
	struct mta_session *s = map_get(&mta.sessions, id);
	if (id == 0 || session_edge(id) != ipc_channel_index(from)) {
		role_refuse(from, p, "not about a session of this edge");
		return;
	}
	if (!s || s->edge != from || s->closing) {
		ipc_packet_free(p);
		return;
	}
	if (ipc_packet_type(p) == IPC_SESSION_CLOSE) {
		end_session(s);
		ipc_packet_free(p);
		return;
	}
	submit((struct step){.s = s, .p = p});
}

/* --- body files: edge's request goes on to queue
 * ------------------------------------------------------------------------ */

struct body_request {
	struct ipc_ask ask;
	struct ipc_packet *request;
	uint64_t session;
};

/* The session is told of its file before edge is, so that it sees to its end whatever happens. */
struct opened_step {
	struct job job;
	struct mta_session *s;
	struct spool_body_id id;
};

static void note_opened(struct job *job)
{
	struct opened_step *o = CONTAINER_OF(job, struct opened_step, job);
	smtp_session_body_opened(o->s->smtp, o->id);
	free(o);
}

static void body_was_opened(uint64_t session, struct str id)
{
	struct mta_session *s = map_get(&mta.sessions, session);
	if (id.n != sizeof(struct spool_body_id))
		return;
	if (!s) { /* the client is gone: nobody else would drop it */
		struct msg_body_drop m = {.body_id = id};
		(void)ipc_send(role_peer(mta.role, "queue", 0), (struct trace_id){0}, IPC_BODY_DROP,
			       &m);
		return;
	}
	struct opened_step *o = xcalloc(1, sizeof *o);
	*o = (struct opened_step){.job.run = note_opened, .s = s};
	memcpy(o->id.b, id.p, sizeof o->id.b);
	lane_submit(&s->lane, &o->job);
}

static void body_file(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct body_request *b = CONTAINER_OF(a, struct body_request, ask);
	struct msg_body_file m;
	if (r == 0 && msg_body_file_read(p, &m) == 0) {
		body_was_opened(b->session, m.body_id);
		CRASH_POINT("mta.body-file");
		(void)ipc_reply(b->request, IPC_BODY_FILE, &m);
	} else
		(void)ipc_reply_fail(b->request, why);
	ipc_packet_free(p);
	ipc_packet_free(b->request);
	free(b);
}

static void body_open(struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_body_open m;
	if (msg_body_open_read(p, &m) < 0 || session_edge(m.session) != ipc_channel_index(from)) {
		role_refuse(from, p, "not about a session of this edge");
		return;
	}
	struct body_request *b = xcalloc(1, sizeof *b);
	b->ask.done = body_file;
	b->request = p;
	b->session = m.session;
	struct ipc_question q = {.type = IPC_BODY_OPEN,
				 .msg = &m,
				 .want = IPC_BODY_FILE,
				 .trace = ipc_packet_trace(p)};
	ipc_ask(role_peer(mta.role, "queue", 0), &q, &b->ask);
}

/* --- URLs: between two processes of user -------------------------------------------------------
 */

struct url_request {
	struct ipc_ask ask;
	struct ipc_packet *request;
};

static void url_data(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct url_request *u = CONTAINER_OF(a, struct url_request, ask);
	struct msg_url_data m;
	if (r == 0 && msg_url_data_read(p, &m) == 0)
		(void)ipc_reply(u->request, IPC_URL_DATA, &m);
	else
		(void)ipc_reply_fail(u->request, why);
	ipc_packet_free(p);
	ipc_packet_free(u->request);
	free(u);
}

/* Who gets it judges it: nothing is gained by asking us. */
static void url_pass(struct ipc_packet *p)
{
	struct msg_url_read m;
	struct fail why = FAIL_INIT;
	if (msg_url_read_read(p, &m) < 0) {
		(void)fail_set(&why, FAIL_PEER, NULL, "bad question");
		(void)ipc_reply_fail(p, &why);
		ipc_packet_free(p);
		return;
	}
	struct url_request *u = xcalloc(1, sizeof *u);
	u->ask.done = url_data;
	u->request = p;
	struct ipc_question q = {.type = IPC_URL_READ,
				 .msg = &m,
				 .want = IPC_URL_DATA,
				 .trace = ipc_packet_trace(p)};
	ipc_ask(role_user_of(mta.role, (struct account_id){m.account}), &q, &u->ask);
}

/* --- dir's grants
 * --------------------------------------------------------------------------------------------------------
 */

static void grant(struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_grant m;
	struct fail why = FAIL_INIT;
	if (msg_grant_read(p, &m) < 0) {
		(void)fail_set(&why, FAIL_BUG, NULL, "bad grant");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct mta_session *s = map_get(&mta.sessions, m.session);
	if (!s || !right_set(&s->right, m.ticket)) {
		(void)fail_set(&why, FAIL_GONE, NULL, "the session to be granted is gone");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	s->granted.v = m.account;
	s->granted_credential = m.credential;
	(void)snprintf(s->granted_address, sizeof s->granted_address, "%.*s", STR_ARG(m.address));
	(void)snprintf(s->granted_language, sizeof s->granted_language, "%.*s",
		       STR_ARG(m.language));
	(void)ipc_reply(p, IPC_OK, &ok);
}

/* What is under way, a message above all, comes to its end; the next command does not. */
static void session_over(struct ipc_packet *p)
{
	struct msg_session_over m;
	if (msg_session_over_read(p, &m) < 0)
		return;
	struct mta_session *s = map_get(&mta.sessions, m.session);
	if (s)
		s->over = true;
}

/* --- life
 * ------------------------------------------------------------------------------------------------------------------
 */

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	(void)role;
	bool edge = strcmp(ipc_channel_name(from), "edge") == 0;
	bool dir = strcmp(ipc_channel_name(from), "dir") == 0;
	enum ipc_type type = ipc_packet_type(p);
	if (edge && type == IPC_INQUIRY) {
		inquiry(role, from, p);
		return;
	}
	if (edge && type == IPC_INQUIRIES) {
		inquiries(role, from, p);
		return;
	}
	if (edge && type == IPC_BODY_OPEN) {
		body_open(from, p);
		return;
	}
	if (edge && type != IPC_SESSION_OPEN) {
		from_edge(from, p);
		return;
	}
	if (strcmp(ipc_channel_name(from), "user") == 0 && type == IPC_URL_READ) {
		url_pass(p);
		return;
	}
	if (edge)
		open_session(from, p);
	else if (dir && type == IPC_GRANT)
		grant(p);
	else if (dir && type == IPC_SESSION_OVER)
		session_over(p);
	else if (dir && type == IPC_POLICY_STALE)
		rules_forget_facts();
	else {
		role_refuse(from, p, "not its business");
		return;
	}
	ipc_packet_free(p);
}

/* dir was restarted. */
static void peer_up(struct role *role, struct ipc_channel *peer)
{
	static struct right_show all;
	if (strcmp(ipc_channel_name(peer), "dir") != 0)
		return;
	all.role = role;
	MAP_EACH (&mta.sessions, i) {
		const struct mta_session *s = mta.sessions.slots[i].value;
		right_show(&all, s->id.v, &s->right);
	}
	right_shown(&all);
}

static void peer_down(struct role *role, struct ipc_channel *peer)
{
	(void)role;
	if (strcmp(ipc_channel_name(peer), "edge") != 0)
		return;
	/* Only its own: other edges go on. A session that ends leaves the map. */
	VEC(struct mta_session *) gone = {0};
	MAP_EACH (&mta.sessions, i) {
		struct mta_session *s = mta.sessions.slots[i].value;
		if (s->edge == peer)
			*vec_push(&gone) = s;
	}
	for (size_t i = 0; i < gone.n; i++)
		end_session(gone.p[i]);
	vec_clear(&gone);
}

static int mta_open(struct role *role, struct fail *why)
{
	(void)why;
	mta.role = role;
	facts_begin(role);
	rules_open(role);
	mta.pool = pool_new("smtp", MTA_THREADS + mta_filters_threads(role->conf), 0);
	pool_tenant_max(mta.pool, (const unsigned[LANE_TENANTS]){MTA_THREADS / 4, 0});
	rules_refresh_begin();
	return 0;
}

static void reconfigure(struct role *role, const struct conf *before)
{
	(void)before;
	rules_reconfigure(role);
	pool_resize(mta.pool, MTA_THREADS + mta_filters_threads(role->conf));
	inquiry_reconfigure(role);
}

static void finish(struct role *role)
{
	(void)role;
	rules_finish(); /* who still asks them is heard by nobody */
}

static void stop(struct role *role)
{
	/* Edge is gone by now: what still runs has nobody to answer to, but what queue has is safe.
	 */
	role_stop_aside(role, finish);
}

static const char *const peers[] = {"edge", "dir", "scan", "queue", "dns", "user", NULL};
static const struct sandbox_path paths[] = {{"policy", SANDBOX_WRITE}};
static const struct role_format formats[] = {
	{"state", "mta", smtp_session_version},
	{"format", "policy", policy_format},
	{0},
};
static const struct role_ops ops = {.name = "mta",
				    .formats = formats,
				    .sandbox_flags = SANDBOX_FILES | SANDBOX_THREADS,
				    .peers = peers,
				    .paths = paths,
				    .n_paths = ARRAY_LEN(paths),
				    .prepare = door_prepare,
				    .admin = door_admin,
				    .open = mta_open,
				    .reconfigure = reconfigure,
				    .message = message,
				    .peer_up = peer_up,
				    .peer_down = peer_down,
				    .stop = stop};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
