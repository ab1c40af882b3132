/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets to milters, for mta, which can make none (docs/adr/0031-milters.md). Only what the
 * configuration names is connected to, and nothing that comes by such a socket is read here. A host
 * name there is looked up by the role dns, anew for each connection: dns remembers.
 */
#include "base/check.h"
#include "codec/dns/dns.h"
#include "codec/milter/milter_name.h"
#include "roles/master/internal.h"
#include "sys/clock.h"
#include "sys/sock.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define UNDER_WAY_MAX 256u
#define TIMEOUT_MAX   60000u

/* A connection that is being made. */
struct reach {
	struct master *m;
	struct ipc_packet *request;
	struct loop_io io;
	struct loop_timer timer;
};
static unsigned under_way;

static void answer(struct ipc_packet *request, int fd)
{
	struct msg_milter_socket reply = {.socket = fd};
	(void)ipc_reply(request, IPC_MILTER_SOCKET, &reply);
	ipc_packet_free(request);
}

static void answer_fail(struct ipc_packet *request, const struct fail *why)
{
	(void)ipc_reply_fail(request, why);
	ipc_packet_free(request);
}

static void finish(struct reach *r, const struct fail *why)
{
	int fd = r->io.fd;
	loop_remove(r->m->loop, &r->io);
	loop_timer_clear(r->m->loop, &r->timer);
	if (why)
		answer_fail(r->request, why);
	else
		answer(r->request, fd);
	(void)close(fd);
	free(r);
	under_way--;
}

static void connected(struct loop_io *io, uint32_t events)
{
	struct reach *r = CONTAINER_OF(io, struct reach, io);
	struct fail why = FAIL_INIT;
	(void)events;
	int e = sock_error(io->fd);
	if (e)
		(void)fail_set(&why, FAIL_PEER, NULL, "connecting: %s", strerror(e));
	finish(r, e ? &why : NULL);
}

static void too_late(struct loop_timer *t)
{
	struct fail why = FAIL_INIT;
	(void)fail_set(&why, FAIL_DEADLINE, NULL, "connecting took too long");
	finish(CONTAINER_OF(t, struct reach, timer), &why);
}

static void wait_for(struct master *m, struct ipc_packet *request, int fd, unsigned ms)
{
	struct reach *r = xcalloc(1, sizeof *r);
	*r = (struct reach){.m = m,
			    .request = request,
			    .io = {.fd = -1, .ready = connected},
			    .timer = {.fire = too_late}};
	under_way++;
	loop_add(m->loop, &r->io, fd, EPOLLOUT);
	loop_timer_in(m->loop, &r->timer, MIN(ms, TIMEOUT_MAX));
}

static bool has(const struct conf_list *l, struct str text)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(str_c(l->p[i]), text))
			return true;
	return false;
}

/* Connected, under way, or failed: the request is taken care of. */
static void go_on(struct master *m, struct ipc_packet *request, int r, int fd, unsigned ms,
		  const struct fail *why)
{
	if (r < 0) {
		answer_fail(request, why);
	} else if (r > 0) {
		answer(request, fd);
		(void)close(fd);
	} else {
		wait_for(m, request, fd, ms);
	}
}

/* --- by name --- */

struct lookup {
	struct ipc_ask ask;
	struct master *m;
	struct ipc_packet *request;
	char host[256];
	uint16_t port, type;
	struct mono_ns until;
};

static unsigned left_ms(const struct lookup *l)
{
	int64_t ms = (l->until.v - clock_mono().v) / MS_NS;
	return (unsigned)MAX(MIN(ms, (int64_t)TIMEOUT_MAX), (int64_t)1);
}

static void ask(struct lookup *l)
{
	struct child *dns = master_child(l->m, "dns", 0);
	struct msg_resolve m = {.name = str_c(l->host), .type = l->type};
	struct ipc_question q = {
		.type = IPC_RESOLVE, .msg = &m, .want = IPC_RESOLVED, .deadline_ms = left_ms(l)};
	CHECK(dns); /* it is one of the roles that there always are */
	ipc_ask(dns->control, &q, &l->ask);
}

/* The first address of the answer. */
static bool address_of(const struct lookup *l, const struct msg_resolved *m, struct netaddr *ret)
{
	*ret = (struct netaddr){.family = l->type == DNS_A ? AF_INET : AF_INET6, .port = l->port};
	return m->outcome == DNS_FOUND && m->records_n > 0 &&
	       (l->type == DNS_A ? dns_read_a(m->records[0].b, ret->bytes)
				 : dns_read_aaaa(m->records[0].b, ret->bytes));
}

static void answered(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct lookup *l = CONTAINER_OF(a, struct lookup, ask);
	struct fail none = FAIL_INIT;
	struct msg_resolved m = {0};
	struct netaddr address;
	int fd = -1;
	bool read = r == 0 && msg_resolved_read(p, &m) == 0;
	bool found = read && address_of(l, &m, &address);
	if (read && !found && l->type == DNS_A && dns_is_known((enum dns_outcome)m.outcome)) {
		l->type = DNS_AAAA;
		ask(l);
		ipc_packet_free(p);
		return;
	}
	if (!read)
		none = *why;
	else if (!found)
		(void)fail_set(&none, FAIL_DNS, NULL, "%s has no address: %.*s", l->host,
			       STR_ARG(m.why));
	r = found ? sock_connect(&address, &fd, &none) : -FAIL_DNS;
	under_way--;
	go_on(l->m, l->request, r, fd, left_ms(l), &none);
	ipc_packet_free(p);
	free(l);
}

static void look_up(struct master *m, struct ipc_packet *request, const struct milter_name *n,
		    unsigned ms)
{
	struct lookup *l = xcalloc(1, sizeof *l);
	*l = (struct lookup){.ask.done = answered,
			     .m = m,
			     .request = request,
			     .port = n->port,
			     .type = DNS_A,
			     .until = mono_add_ms(clock_mono(), MIN(ms, TIMEOUT_MAX))};
	(void)snprintf(l->host, sizeof l->host, "%.*s", STR_ARG(n->host));
	under_way++;
	ask(l);
}

static bool is_name(const struct milter_name *n)
{
	struct netaddr a;
	return !n->path.n && !str_eqi(n->host, STR("localhost")) && !netaddr_parse(n->host, &a);
}

/* 1 connected, 0 under way. */
static int begin(const struct milter_name *n, int *ret_fd, struct fail *why)
{
	struct netaddr a;
	if (n->path.n)
		return sock_connect_unix(n->path, ret_fd, why);
	struct str host = str_eqi(n->host, STR("localhost")) ? STR("127.0.0.1") : n->host;
	if (!netaddr_parse(host, &a)) /* look_up has those */
		return fail_set(why, FAIL_BUG, NULL, "%.*s is no address", STR_ARG(n->host));
	a.port = n->port;
	return sock_connect(&a, ret_fd, why);
}

void reach_milter(struct master *m, struct ipc_packet *request)
{
	struct msg_milter_connect ask;
	struct milter_name name;
	struct fail why = FAIL_INIT;
	int fd = -1, r;
	if (msg_milter_connect_read(request, &ask) < 0)
		r = fail_set(&why, FAIL_BUG, NULL, "bad request");
	else if ((!has(&m->conf->smtp_milters, ask.milter) &&
		  !has(&m->conf->submission_milters, ask.milter)) ||
		 !milter_name_parse(ask.milter, &name))
		r = fail_set(&why, FAIL_NOTFOUND, NULL, "no milter of the configuration");
	else if (under_way >= UNDER_WAY_MAX)
		r = fail_set(&why, FAIL_BUSY, NULL, "too many connections are being made");
	else if (is_name(&name)) {
		look_up(m, request, &name, ask.timeout_ms);
		return;
	} else
		r = begin(&name, &fd, &why);
	go_on(m, request, r, fd, ask.timeout_ms, &why);
}
