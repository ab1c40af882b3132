/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front door: who may come in, how many of one address, and whom a proxy has brought.
 *
 * A connection of a proxy that speaks the PROXY protocol waits here until its header has come. Of
 * the bytes only the header is taken; what follows (perhaps the client's TLS handshake) stays in
 * the socket for the session. Whoever is no such proxy and sends a header has said something that
 * no protocol of ours knows.
 */
#include "base/check.h"
#include "roles/edge/edge.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"
#include "sys/log_gate.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

COUNTER(refused_busy, "edge.refused-busy", "connections refused: too many in all");
COUNTER(refused_files, "edge.refused-files",
	"connections refused: an edge process may open no more files");
COUNTER(refused_address, "edge.refused-address", "connections refused: too many of one address");
COUNTER(refused_internal, "edge.refused-internal",
	"connections refused: internal service, client not in trusted_clients");
COUNTER(vanished, "edge.vanished", "connections that were reset before they were served");
COUNTER(refused_proxy, "edge.refused-proxy", "connections refused: no good PROXY header");

OFFENCE(made_room, "made_room",
	"connections without a login that were ended to make room for others");
LOG_GATE(refusals, "session.refused");

#define YIELD_ABOVE 4

/* --- limits
 * ------------------------------------------------------------------------------------------------
 */

/*
 * How many connections an address has to a service is kept as the "value" of a map entry. An IPv6
 * client owns at least a /64: that is what counts as one address.
 */
uint64_t edge_who(const struct netaddr *peer)
{
	size_t n = peer->family == AF_INET ? 4 : 8;
	return str_hash((struct str){(const char *)peer->bytes, n});
}

static uint64_t address_key(const struct service *service, const struct peer *p)
{
	uint64_t who = p->local_user ? p->uid : edge_who(&p->addr);
	return (who * SERVICES + (uint64_t)(service - edge_services)) | 1; /* never 0 */
}

static uint64_t open_from(const struct edge *e, uint64_t key)
{
	return e->board ? board_open_key(e->board, key) : (uintptr_t)map_get(&e->per_address, key);
}

static uint64_t open_in_all(const struct edge *e)
{
	return e->board ? board_open(e->board) : e->open;
}

static void count_one(struct edge *e, int change)
{
	e->open += (size_t)change;
	if (e->board)
		board_count(e->board, change);
}

static void count_address(struct edge *e, uint64_t key, int change)
{
	if (e->board) {
		board_count_key(e->board, key, change);
		return;
	}
	uintptr_t n = (uintptr_t)map_get(&e->per_address, key) + (uintptr_t)change;
	if (n)
		(void)map_put(&e->per_address, key, (void *)n);
	else
		(void)map_remove(&e->per_address, key);
}

static bool refused(const struct service *service, const struct peer *p, struct counter *count,
		    const char *setting)
{
	char ip[NETADDR_TEXT_MAX];
	counter_add(count, 1);
	if (!log_gate_passes(&refusals, edge_who(&p->addr)))
		return false;
	log_event(LOG_INFO, "session.refused", log_c("service", service->def->name),
		  log_str("ip", netaddr_text(&p->addr, false, ip)), log_c("limit", setting));
	return false;
}

/* Filters and other mail servers of ours use many connections, and proxies speak for many. */
static bool counts(const struct service *service, const struct peer *p)
{
	return !service->def->internal && !peer_is_front_end(p);
}

static bool may_be_counted(const struct edge *e, const struct service *service,
			   const struct peer *p)
{
	if (!service_admits(service->def, &e->trusted_clients, &p->addr))
		return refused(service, p, &refused_internal, "trusted_clients");
	if (counts(service, p) &&
	    open_from(e, address_key(service, p)) >= e->role->conf->connections_per_address_max)
		return refused(service, p, &refused_address, "connections_per_address_max");
	return true;
}

/* --- room
 * --------------------------------------------------------------------------------------------------
 */

#define ROOM_SILENT_MS 10000
#define ROOM_LOGIN_MS  20000
#define ROOM_AT_A_TIME 16
#define ROOM_AGAIN_MS  1000

/* Nobody has logged in here, and a good client would have done so, or said something, by now. */
static bool loiters(const struct session *s, struct mono_ns now)
{
	if (s->ticket.n || s->service->def->internal || !s->conn || s->phase == SESSION_ENDING ||
	    peer_is_front_end(&s->peer))
		return false;
	if (s->phase == SESSION_LOGIN)
		return !mono_before(now, mono_add_ms(s->since, ROOM_LOGIN_MS));
	return s->service->ops->quiet(s) &&
	       !mono_before(now, mono_add_ms(s->heard, ROOM_SILENT_MS));
}

static void send_off(struct session *s)
{
	session_offence(s, &made_room, "all places are taken");
	if (!s->conn->handshaking)
		session_write(s, edge_too_many(s->service));
	conn_flush(s->conn);
	if (s->conn)
		conn_close(s->conn);
}

/*
 * All places are taken. Those who sit there and do nothing leave, the longest-sitting first: else
 * a few hundred addresses that say nothing would keep everybody out.
 */
static bool make_room(struct edge *e)
{
	struct mono_ns now = loop_now(e->role->loop);
	unsigned sent = 0;
	if (e->full_since.v && mono_before(now, mono_add_ms(e->full_since, ROOM_AGAIN_MS)))
		return false;
	LIST_EACH (&e->all, link) {
		struct session *s = CONTAINER_OF(link, struct session, link);
		if (!loiters(s, now))
			continue;
		send_off(s);
		if (++sent == ROOM_AT_A_TIME)
			break;
	}
	e->full_since = sent ? (struct mono_ns){0} : now;
	return sent > 0;
}

static bool no_descriptors(const struct edge *e)
{
	return e->open_max && e->open >= e->open_max;
}

static bool has_place(struct edge *e, const struct service *service, const struct peer *p)
{
	if (open_in_all(e) >= e->role->conf->connections_max && !make_room(e))
		return refused(service, p, &refused_busy, "connections_max");
	if (no_descriptors(e) && !make_room(e))
		return refused(service, p, &refused_files, "descriptors");
	return true;
}

static bool admit(struct edge *e, const struct service *service, const struct peer *p)
{
	return has_place(e, service, p) && may_be_counted(e, service, p);
}

static void count(struct session *s)
{
	s->counted = counts(s->service, &s->peer) ? address_key(s->service, &s->peer) : 0;
	if (s->counted)
		count_address(s->edge, s->counted, 1);
}

static void uncount(struct session *s)
{
	if (s->counted)
		count_address(s->edge, s->counted, -1);
	s->counted = 0;
}

void edge_session_known(struct session *s)
{
	uncount(s);
}

void edge_session_began(struct session *s)
{
	count_one(s->edge, 1);
	count(s);
}

static void gone(struct edge *e)
{
	count_one(e, -1);
	if ((e->stopping || e->draining) && e->open == 0)
		role_end(e->role);
}

void edge_session_ended(struct session *s)
{
	uncount(s);
	gone(s->edge);
}

bool edge_recount(struct session *s)
{
	uncount(s);
	if (!may_be_counted(s->edge, s->service, &s->peer))
		return false;
	count(s);
	return true;
}

struct str edge_too_many(const struct service *service)
{
	if (service->ops == &edge_http_ops)
		return STR("");
	if (service->ops == &edge_pop3_ops)
		return STR("-ERR [SYS/TEMP] Too many connections, please try again later.\r\n");
	if (service->ops == &edge_managesieve_ops)
		return STR("BYE (TRYLATER) \"Too many connections, please try again "
			   "later.\"\r\n");
	return service->ops == &edge_smtp_ops
		       ? STR("421 4.7.0 Too many connections, please try again later.\r\n")
		       : STR("* BYE [LIMIT] Too many connections, please try again later.\r\n");
}

static void send_away(int fd, const struct service *service)
{
	struct str text = edge_too_many(service);
	if (!service->def->tls_at_once)
		(void)!write(fd, text.p, text.n);
	(void)close(fd);
}

static void let_in(struct edge *e, const struct service *service, int fd, struct peer *p,
		   struct mono_ns since)
{
	/* In a flood of these the session, and what others have to do for it, would be the cost. */
	if (sock_is_reset(fd)) {
		counter_add(&vanished, 1);
		(void)close(fd);
		peer_clear(p);
		return;
	}
	if (admit(e, service, p)) {
		(void)session_begin(e, service, fd, p, since);
		return;
	}
	send_away(fd, service);
	peer_clear(p);
}

/* --- behind a proxy
 * ---------------------------------------------------------------------------------------- */

struct waiting {
	struct list link;
	struct edge *edge;
	const struct service *service;
	struct netaddr addr; /* the proxy's */
	struct mono_ns since;
	struct loop_io io;
	struct loop_timer timer;
	struct buf head; /* of the header */
};

/* The descriptor is the caller's from now on. */
static int release(struct waiting *w)
{
	int fd = w->io.fd;
	loop_remove(w->edge->role->loop, &w->io);
	loop_timer_clear(w->edge->role->loop, &w->timer);
	list_remove(&w->link);
	buf_clear(&w->head);
	return fd;
}

static void drop(struct waiting *w, const char *why)
{
	struct edge *e = w->edge;
	char ip[NETADDR_TEXT_MAX];
	if (why) {
		counter_add(&refused_proxy, 1);
		log_event(LOG_WARN, "session.proxy-header", log_c("service", w->service->def->name),
			  log_str("proxy", netaddr_text(&w->addr, false, ip)), log_c("why", why));
	}
	(void)close(release(w));
	free(w);
	gone(e);
}

/* A protocol that client and proxy agreed upon must be ours: no browser is led here. */
static bool alpn_fits(const struct service *service, struct str alpn)
{
	const char *ours = service->alpn ? service->alpn : "smtp";
	return alpn.n == 0 || str_eq(alpn, str_c(ours));
}

static void arrived(struct waiting *w, const struct proxy_header *h)
{
	struct edge *e = w->edge;
	const struct service *service = w->service;
	struct mono_ns since = w->since;
	struct peer p;
	if (!alpn_fits(service, h->alpn)) {
		drop(w, "the client spoke another protocol to the proxy (ALPN)");
		return;
	}
	peer_from_socket(&p, e, w->io.fd, &w->addr);
	peer_from_proxy(&p, e, h);
	int fd = release(w); /* what h borrowed is gone now */
	free(w);
	count_one(e, -1); /* it counts as a session from now on */
	let_in(e, service, fd, &p, since);
	if ((e->stopping || e->draining) && e->open == 0)
		role_end(e->role);
}

/* 1: bytes were taken. 0: none are there. -1: the connection is over. */
static int take(struct waiting *w)
{
	char bytes[PROXY_HEADER_MAX];
	ssize_t n = recv(w->io.fd, bytes, sizeof bytes, MSG_PEEK);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	struct str so_far = w->head.n ? buf_str(&w->head) : STR("");
	size_t ours = proxy_take(so_far, (struct str){bytes, (size_t)n});
	n = recv(w->io.fd, bytes, ours, 0);
	if (n <= 0 || buf_add(&w->head, (struct str){bytes, (size_t)n}) < 0)
		return -1;
	return 1;
}

static void readable(struct loop_io *io, uint32_t events)
{
	struct waiting *w = CONTAINER_OF(io, struct waiting, io);
	struct proxy_header h;
	struct fail why = FAIL_INIT;
	(void)events;
	for (;;) {
		int r = take(w);
		if (r == 0)
			return;
		/* Health checks connect and go: that is not worth a line. */
		if (r < 0) {
			drop(w, w->head.n ? "the connection ended inside of it" : NULL);
			return;
		}
		r = proxy_parse(buf_str(&w->head), &h, &why);
		if (r != 0) {
			if (r < 0)
				drop(w, why.detail);
			else
				arrived(w, &h);
			return;
		}
	}
}

static void too_late(struct loop_timer *t)
{
	drop(CONTAINER_OF(t, struct waiting, timer), "it did not come in time");
}

static void await_header(struct edge *e, const struct service *service, int fd,
			 const struct netaddr *addr)
{
	struct peer p = {.addr = *addr};
	if (!has_place(e, service, &p)) {
		send_away(fd, service);
		return;
	}
	struct waiting *w = xcalloc(1, sizeof *w);
	*w = (struct waiting){.edge = e,
			      .service = service,
			      .addr = *addr,
			      .since = loop_now(e->role->loop),
			      .io.ready = readable,
			      .timer.fire = too_late,
			      .head = BUF_INIT(PROXY_HEADER_MAX + 1)};
	count_one(e, 1);
	list_append(&e->waiting, &w->link);
	loop_add(e->role->loop, &w->io, fd, EPOLLIN);
	loop_timer_in(e->role->loop, &w->timer, (int64_t)e->role->conf->login_timeout_ms);
}

/*
 * All edges wake when somebody knocks. One that has clearly more to do than another leaves it to
 * the others; if nobody has taken it a moment later, it does.
 */
bool edge_yields(struct edge *e)
{
	if (!e->board)
		return false;
	uint64_t least = board_least_other(e->board);
	if (no_descriptors(e) && e->open > least)
		return true; /* it could only send the client away */
	e->yielded = !e->yielded && least != UINT64_MAX && e->open > least + YIELD_ABOVE;
	return e->yielded;
}

void edge_drop_waiting(struct edge *e)
{
	LIST_EACH (&e->waiting, link)
		drop(CONTAINER_OF(link, struct waiting, link), NULL);
}

void edge_knock(struct edge *e, const struct service *service, int fd, const struct netaddr *addr)
{
	struct peer p;
	if (netcidrs_have(&e->proxies[service - edge_services], addr)) {
		await_header(e, service, fd, addr);
		return;
	}
	peer_from_socket(&p, e, fd, addr);
	let_in(e, service, fd, &p, loop_now(e->role->loop));
}
