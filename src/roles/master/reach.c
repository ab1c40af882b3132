/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets to milters, for mta, which can make none (docs/adr/0031-milters.md). Only what the
 * configuration names is connected to, and nothing that comes by such a socket is read here.
 */
#include "base/check.h"
#include "codec/milter/milter_name.h"
#include "roles/master/internal.h"
#include "sys/sock.h"
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

/* 1 connected, 0 under way. */
static int begin(const struct milter_name *n, int *ret_fd, struct fail *why)
{
	struct netaddr a;
	if (n->path.n)
		return sock_connect_unix(n->path, ret_fd, why);
	struct str host = str_eqi(n->host, STR("localhost")) ? STR("127.0.0.1") : n->host;
	if (!netaddr_parse(host, &a))
		return fail_set(why, FAIL_NOTFOUND, NULL, "%.*s is no address", STR_ARG(n->host));
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
	else
		r = begin(&name, &fd, &why);
	if (r < 0) {
		answer_fail(request, &why);
	} else if (r > 0) {
		answer(request, fd);
		(void)close(fd);
	} else {
		wait_for(m, request, fd, ask.timeout_ms);
	}
}
