/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/edge/edge.h"
#include "base/check.h"
#include "runtime/cert.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"
#include "sys/proc.h"
#include "sys/rand.h"
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPT_BURST	    64
#define STOP_MS		    800
#define NO_DESCRIPTORS_MS   200
#define ACCEPT_BURST_SHARED 4 /* several edges have the same sockets: each takes a few */
#define YIELD_MS	    5
#define FILES_APART	    64
#define FLUSH_BYTES	    KIB(64)

const struct service edge_services[SERVICES] = {
	[SERVICE_SMTP] = {&service_defs[SERVICE_SMTP], &edge_smtp_ops, NULL},
	[SERVICE_SUBMISSION] = {&service_defs[SERVICE_SUBMISSION], &edge_smtp_ops, NULL},
	[SERVICE_SUBMISSIONS] = {&service_defs[SERVICE_SUBMISSIONS], &edge_smtp_ops, NULL},
	[SERVICE_IMAP] = {&service_defs[SERVICE_IMAP], &edge_imap_ops, "imap"},
	[SERVICE_IMAPS] = {&service_defs[SERVICE_IMAPS], &edge_imap_ops, "imap"},
	[SERVICE_POP3] = {&service_defs[SERVICE_POP3], &edge_pop3_ops, "pop3"},
	[SERVICE_POP3S] = {&service_defs[SERVICE_POP3S], &edge_pop3_ops, "pop3"},
	[SERVICE_MANAGESIEVE] = {&service_defs[SERVICE_MANAGESIEVE], &edge_managesieve_ops, NULL},
	[SERVICE_METRICS] = {&service_defs[SERVICE_METRICS], &edge_http_ops, NULL},
	[SERVICE_LMTP] = {&service_defs[SERVICE_LMTP], &edge_smtp_ops, NULL},
	[SERVICE_REINJECT] = {&service_defs[SERVICE_REINJECT], &edge_smtp_ops, NULL},
	[SERVICE_REINJECT_LISTS] = {&service_defs[SERVICE_REINJECT_LISTS], &edge_smtp_ops, NULL},
	[SERVICE_SENDMAIL] = {&service_defs[SERVICE_SENDMAIL], &edge_smtp_ops, NULL},
	[SERVICE_SRS_FORWARD] = {&service_defs[SERVICE_SRS_FORWARD], &edge_ask_ops, NULL},
	[SERVICE_SRS_REVERSE] = {&service_defs[SERVICE_SRS_REVERSE], &edge_ask_ops, NULL},
	[SERVICE_POLICY] = {&service_defs[SERVICE_POLICY], &edge_ask_ops, NULL},
	[SERVICE_QUOTA_STATUS] = {&service_defs[SERVICE_QUOTA_STATUS], &edge_ask_ops, NULL},
};

struct accepting {
	struct loop_io io;
	struct edge *edge;
	const struct service *service;
	char address[64]; /* as the configuration says it */
};

struct edge edge;

/* --- accepting
 * --------------------------------------------------------------------------------------------- */

static void want_accepts(struct edge *e, uint32_t events)
{
	for (size_t i = 0; i < e->listeners.n; i++)
		loop_want(e->role->loop, &e->listeners.p[i]->io, events);
}

static void accept_again(struct loop_timer *t)
{
	want_accepts(CONTAINER_OF(t, struct edge, accept_again), EPOLLIN);
}

/* Who knocks stays in the kernel's queue, or another edge takes it; the loop does not spin. */
static void rest(struct edge *e, int64_t ms)
{
	want_accepts(e, 0);
	e->accept_again.fire = accept_again;
	loop_timer_in(e->role->loop, &e->accept_again, ms);
}

static void accept_some(struct loop_io *io, uint32_t events)
{
	struct accepting *a = CONTAINER_OF(io, struct accepting, io);
	(void)events;
	if (edge_yields(a->edge)) {
		rest(a->edge, YIELD_MS);
		return;
	}
	for (unsigned i = 0; i < (a->edge->board ? ACCEPT_BURST_SHARED : ACCEPT_BURST); i++) {
		struct netaddr peer = {0};
		struct fail why = FAIL_INIT;
		int fd;
		int r = sock_accept(io->fd, &fd, &peer, &why);
		if (r < 0) {
			log_event(LOG_ERROR, "edge.accept", log_fail(&why));
			rest(a->edge, NO_DESCRIPTORS_MS);
		}
		if (r <= 0)
			return;
		sock_nodelay(fd);
		edge_knock(a->edge, a->service, fd, &peer);
	}
}

static void take_listener(struct role *role, struct str service, struct str address, int fd)
{
	for (size_t i = 0; i < SERVICES; i++) {
		if (!str_eq(service, str_c(edge_services[i].def->name)))
			continue;
		struct accepting *a = xcalloc(1, sizeof *a);
		a->edge = &edge;
		a->service = &edge_services[i];
		a->io.ready = accept_some;
		(void)snprintf(a->address, sizeof a->address, "%.*s", STR_ARG(address));
		/* Served from start on: until then the kernel keeps who connects. */
		loop_add(role->loop, &a->io, fd, role->started ? EPOLLIN : 0);
		*vec_push(&edge.listeners) = a;
		return;
	}
	(void)close(fd);
}

static void unlisten(struct role *role, struct str service, struct str address)
{
	for (size_t i = 0; i < edge.listeners.n; i++) {
		struct accepting *a = edge.listeners.p[i];
		if (!str_eq(service, str_c(a->service->def->name)) ||
		    !str_eq(address, str_c(a->address)))
			continue;
		int fd = a->io.fd;
		loop_remove(role->loop, &a->io);
		(void)close(fd);
		free(a);
		vec_remove(&edge.listeners, i);
		return;
	}
}

/* --- start
 * ----------------------------------------------------------------------------------------------------
 */

static void set_networks(struct netcidrs *nets, const struct conf_list *l)
{
	free(nets->p);
	conf_networks(l, nets);
}

/* What edge takes from the configuration; open sessions keep what they have. */
void edge_configure(struct edge *e, const struct conf *c)
{
	set_networks(&e->trusted, &c->trusted_networks);
	set_networks(&e->trusted_clients, &c->trusted_clients);
	set_networks(&e->normalise, &c->normalise_clients);
	set_networks(&e->xclient, &c->xclient_from);
	set_networks(&e->xclient_login, &c->xclient_login_from);
	set_networks(&e->id_from, &c->id_from);
	set_networks(&e->relay, &c->relay_from);
	for (size_t i = 0; i < SERVICES; i++)
		set_networks(&e->proxies[i], service_proxy_from(&service_defs[i], c));
}

/* What all edges have in common. One that cannot join the board counts for itself. */
static void control(struct role *role, struct ipc_packet *p)
{
	struct msg_board b;
	struct msg_tickets t;
	struct fail why = FAIL_INIT;
	if (ipc_packet_type(p) == IPC_TICKETS) {
		if (msg_tickets_read(p, &t) == 0 && t.keys.n == 2 * TLS_TICKET_KEY)
			tls_tickets_set((const unsigned char *)t.keys.p);
		return;
	}
	if (edge.board || role->edge_workers < 2 || msg_board_read(p, &b) < 0)
		return;
	if (board_map(b.memory, &edge.board, &why) < 0 ||
	    !board_join(edge.board, (uint32_t)getpid())) {
		log_event(LOG_WARN, "edge.no-board", log_fail(&why));
		board_unmap(edge.board);
		edge.board = NULL;
	}
}

/* Of so many descriptors: some are the role's own, and some clients need a second one for a body.
 */
static size_t room(uint64_t files)
{
	uint64_t apart = files / 8 + FILES_APART;
	return files > 2 * apart ? (size_t)(files - apart) : (size_t)files / 2;
}

static int edge_open(struct role *role, struct fail *why)
{
	struct edge *e = &edge;
	(void)why;
	e->role = role;
	list_init(&e->all);
	list_init(&e->waiting);
	e->next_session = (uint64_t)role->index << SESSION_EDGE_SHIFT | rand_u64() >> 24 << 16 | 1;
	e->open_max = room(proc_files_max());
	edge_configure(e, role->conf);
	want_accepts(e, EPOLLIN);
	return 0;
}

COUNTER(certificate_ends, "tls.not-after", "when the first certificate expires");
static int64_t earliest_end;

static void describe(const struct msg_identity *id, struct buf *notes)
{
	struct cert_about about;
	char ends[CERT_DAY_MAX], text[400];
	if (cert_read(id->chain, &about, NULL) < 0)
		return;
	earliest_end = MIN(earliest_end, about.ends.v);
	bool bad = cert_complaint(&about, clock_wall(), text, sizeof text);
	log_event(bad ? LOG_WARN : LOG_INFO, "tls.certificate", log_c("names", about.names),
		  log_c("key", cert_kind_name(about.kind)), log_u64("bits", about.bits),
		  log_c("ends", cert_day(about.ends, ends)), log_c("note", text));
	if (bad)
		(void)buf_addf(notes, "%s\n", text);
}

static int take_certificates(struct role *role, const struct msg_identity *ids, size_t n,
			     struct buf *notes, struct fail *why)
{
	struct tls_ctx *fresh = NULL;
	struct tls_identity *list = xcalloc(n, sizeof *list);
	for (size_t i = 0; i < n; i++)
		list[i] = (struct tls_identity){.chain = ids[i].chain, .key = ids[i].key};
	int r = tls_ctx_new(list, n, &fresh, why);
	free(list);
	if (r < 0)
		return r;
	earliest_end = INT64_MAX;
	for (size_t i = 0; i < n; i++)
		describe(&ids[i], notes);
	if (earliest_end < INT64_MAX)
		counter_set(&certificate_ends, (uint64_t)(earliest_end / SEC_US));
	if (!role->started) { /* the first ones */
		tls_ctx_unref(edge.tls);
		edge.tls = fresh;
		return 0;
	}
	tls_ctx_unref(edge.tls_next);
	edge.tls_next = fresh;
	return 0;
}

static void reconfigure(struct role *role, const struct conf *before)
{
	(void)before;
	edge_configure(&edge, role->conf);
	if (!edge.tls_next)
		return;
	tls_ctx_unref(edge.tls);
	edge.tls = TAKE(edge.tls_next);
}

/* --- from the backends
 * ------------------------------------------------------------------------------------------ */

static struct session *session_of(struct ipc_channel *from, uint64_t id)
{
	struct session *s = map_get(&edge.sessions, id);
	return s && s->backend == from && s->opened && s->conn && s->phase != SESSION_ENDING ? s
											     : NULL;
}

static void take_output(struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_session_out m;
	if (msg_session_out_read(p, &m) < 0)
		return;
	struct session *s = session_of(from, m.session);
	if (!s)
		return;
	s->mid_answer = true;
	conn_write(s->conn, m.text);
	if (m.source >= 0)
		conn_write_file(s->conn, ipc_packet_take_fd(p, m.source), m.offset, m.length);
	if (s->conn->out_bytes >= FLUSH_BYTES) /* else with what follows */
		conn_flush(s->conn);
}

static void take_feed(struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_session_feed m;
	if (msg_session_feed_read(p, &m) < 0 || m.source < 0)
		return;
	struct session *s = session_of(from, m.session);
	if (s && s->service->ops == &edge_smtp_ops)
		smtp_feed_take(s, m.source);
}

static void take_done(struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_session_done m;
	if (msg_session_done_read(p, &m) < 0)
		return;
	struct session *s = session_of(from, m.session);
	if (!s)
		return;
	if (m.state.n) {
		buf_reset(&s->state);
		(void)buf_add(&s->state, m.state);
	}
	s->stateless = m.flags & DONE_STATELESS;
	s->mid_answer = false;
	CRASH_POINT("edge.before-answer");
	conn_write(s->conn, m.out);
	log_context(s->trace, s->id);
	s->service->ops->done(s, p, &m);
	CRASH_POINT("edge.after-answer");
	log_context((struct trace_id){0}, (struct session_id){0});
}

/* Counts for connections from now on; what a client was told holds for it. */
static void take_offer(struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_login_offer m;
	if (strcmp(ipc_channel_name(from), "dir") == 0 && msg_login_offer_read(p, &m) == 0)
		edge.mechanisms = m.mechanisms;
}

/* A password was changed, an account switched off: who was let in by it goes. */
static void take_over(struct ipc_channel *from, struct ipc_packet *p)
{
	struct msg_session_over m;
	if (strcmp(ipc_channel_name(from), "dir") != 0 || msg_session_over_read(p, &m) < 0)
		return;
	struct session *s = map_get(&edge.sessions, m.session);
	if (!s || !s->conn || s->phase == SESSION_ENDING)
		return;
	log_context(s->trace, s->id);
	s->over = true;
	s->service->ops->revoked(s);
	log_context((struct trace_id){0}, (struct session_id){0});
}

/* A dir that was restarted does not know who is logged in. */
static void show_tickets(struct ipc_channel *dir)
{
	struct msg_ticket t[100];
	struct msg_login_again m = {.tickets = t};
	LIST_EACH (&edge.all, link) {
		const struct session *s = CONTAINER_OF(link, struct session, link);
		if (s->ticket.n == 0)
			continue;
		t[m.tickets_n++] = (struct msg_ticket){s->id.v, buf_str(&s->ticket)};
		if (m.tickets_n == ARRAY_LEN(t)) {
			(void)ipc_send(dir, (struct trace_id){0}, IPC_LOGIN_AGAIN, &m);
			m.tickets_n = 0;
		}
	}
	if (m.tickets_n > 0)
		(void)ipc_send(dir, (struct trace_id){0}, IPC_LOGIN_AGAIN, &m);
}

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	(void)role;
	if (ipc_packet_type(p) == IPC_SESSION_OUT)
		take_output(from, p);
	else if (ipc_packet_type(p) == IPC_SESSION_FEED &&
		 strcmp(ipc_channel_name(from), "mta") == 0)
		take_feed(from, p);
	else if (ipc_packet_type(p) == IPC_SESSION_DONE)
		take_done(from, p);
	else if (ipc_packet_type(p) == IPC_LOGIN_OFFER)
		take_offer(from, p);
	else if (ipc_packet_type(p) == IPC_SESSION_OVER)
		take_over(from, p);
	else
		role_refused(from, ipc_packet_type(p), "not its business");
	ipc_packet_free(p);
}

static void for_backend(struct ipc_channel *peer, bool back)
{
	LIST_EACH (&edge.all, link) {
		struct session *s = CONTAINER_OF(link, struct session, link);
		if (s->backend != peer || !s->conn || s->phase == SESSION_ENDING)
			continue;
		if (back && !s->opened)
			s->service->ops->backend_back(s);
		else if (!back)
			s->service->ops->backend_lost(s);
	}
}

static void peer_up(struct role *role, struct ipc_channel *peer)
{
	if (edge.held == peer)
		edge_hold(role, peer, HOLD_RELEASE);
	if (strcmp(ipc_channel_name(peer), "dir") == 0)
		show_tickets(peer);
	for_backend(peer, true);
}

static void peer_down(struct role *role, struct ipc_channel *peer)
{
	(void)role;
	for_backend(peer, false);
}

/* --- end
 * -------------------------------------------------------------------------------------------------------------
 */

static void stop_now(struct loop_timer *t)
{
	(void)t;
	role_end(edge.role);
}

void edge_stop_accepting(struct edge *e)
{
	loop_timer_clear(e->role->loop, &e->accept_again);
	if (e->board)
		board_close(e->board);
	for (size_t i = 0; i < e->listeners.n; i++) {
		int fd = e->listeners.p[i]->io.fd;
		loop_remove(e->role->loop, &e->listeners.p[i]->io);
		(void)close(fd);
		free(e->listeners.p[i]);
	}
	vec_clear(&e->listeners);
}

void edge_stop(struct role *role)
{
	if (edge.stopping)
		return;
	edge.stopping = true;
	loop_timer_clear(role->loop, &edge.drain_tick);
	edge_stop_accepting(&edge);
	LIST_EACH (&edge.all, link) {
		struct session *s = CONTAINER_OF(link, struct session, link);
		s->service->ops->shutdown(s);
	}
	edge_drop_waiting(&edge);
	if (edge.open == 0) {
		role_end(role);
		return;
	}
	edge.stop_timer.fire = stop_now;
	loop_timer_in(role->loop, &edge.stop_timer, STOP_MS);
}

COUNTER(open_smtp, "edge.open.smtp", "open connections, smtp");
COUNTER(open_submission, "edge.open.submission", "open connections, submission");
COUNTER(open_submissions, "edge.open.submissions", "open connections, submissions");
COUNTER(open_imap, "edge.open.imap", "open connections, imap");
COUNTER(open_imaps, "edge.open.imaps", "open connections, imaps");
COUNTER(open_pop3, "edge.open.pop3", "open connections, pop3");
COUNTER(open_pop3s, "edge.open.pop3s", "open connections, pop3s");
COUNTER(open_managesieve, "edge.open.managesieve", "open connections, managesieve");
COUNTER(open_metrics, "edge.open.metrics", "open connections, metrics");
COUNTER(open_lmtp, "edge.open.lmtp", "open connections, lmtp");
COUNTER(open_reinject, "edge.open.reinject", "open connections, reinject");
COUNTER(open_reinject_lists, "edge.open.reinject_lists", "open connections, reinject_lists");
COUNTER(open_sendmail, "edge.open.sendmail", "open connections, sendmail");
COUNTER(open_srs_forward, "edge.open.srs_forward", "open connections, srs_forward");
COUNTER(open_srs_reverse, "edge.open.srs_reverse", "open connections, srs_reverse");
COUNTER(open_policy, "edge.open.policy", "open connections, policy");
COUNTER(open_quota_status, "edge.open.quota_status", "open connections, quota_status");

static void count_open(struct role *role)
{
	static struct counter *const gauges[SERVICES] = {
		[SERVICE_SMTP] = &open_smtp,
		[SERVICE_SUBMISSION] = &open_submission,
		[SERVICE_SUBMISSIONS] = &open_submissions,
		[SERVICE_IMAP] = &open_imap,
		[SERVICE_IMAPS] = &open_imaps,
		[SERVICE_POP3] = &open_pop3,
		[SERVICE_POP3S] = &open_pop3s,
		[SERVICE_MANAGESIEVE] = &open_managesieve,
		[SERVICE_METRICS] = &open_metrics,
		[SERVICE_LMTP] = &open_lmtp,
		[SERVICE_REINJECT] = &open_reinject,
		[SERVICE_REINJECT_LISTS] = &open_reinject_lists,
		[SERVICE_SENDMAIL] = &open_sendmail,
		[SERVICE_SRS_FORWARD] = &open_srs_forward,
		[SERVICE_SRS_REVERSE] = &open_srs_reverse,
		[SERVICE_POLICY] = &open_policy,
		[SERVICE_QUOTA_STATUS] = &open_quota_status};
	uint64_t n[SERVICES] = {0};
	(void)role;
	LIST_EACH (&edge.all, link)
		n[CONTAINER_OF(link, struct session, link)->service - edge_services]++;
	for (size_t i = 0; i < SERVICES; i++)
		if (gauges[i])
			counter_set(gauges[i], n[i]);
}

static const char *const peers[] = {"mta", "dir", "user", "admin", NULL};
const struct role_ops edge_role_ops = {
	.name = "edge",
	.sandbox_flags = SANDBOX_ACCEPT,
	.peers = peers,
	.open = edge_open,
	.message = message,
	.peer_up = peer_up,
	.peer_down = peer_down,
	.listener = take_listener,
	.log_peer = log_peer_add,
	.stats = count_open,
	.certificates = take_certificates,
	.reconfigure = reconfigure,
	.unlisten = unlisten,
	.stop = edge_stop,
	.drain = edge_drain,
	.control = control,
	.hold = edge_hold,
	.held = edge_held,
};
