/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to another server: TCP, then greeting and hello.
 */
#include "base/check.h"
#include "roles/relay/relay.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

COUNTER(connected, "relay.connected", "connections made to other servers");
COUNTER(unreachable, "relay.unreachable",
	"hosts that could not be connected to, or had no greeting");

#define LOOK_MS 1000 /* a clock that tests bend is looked at so often */

/* ---- bytes ---- */

/* 1 = ready, 0 = the time is over, else a code. */
static int wait_for(int fd, short events, struct mono_ns deadline, struct fail *why)
{
	for (;;) {
		int64_t left = (deadline.v - clock_mono().v) / MS_NS;
		struct pollfd p = {.fd = fd, .events = events};
		if (left < 0 || atomic_load(&relay.stopping))
			left = 0;
		int n = poll(&p, 1, (int)MIN(left, LOOK_MS));
		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return fail_errno(why, FAIL_PEER, "poll");
		if (n == 0 && left <= LOOK_MS && clock_mono().v >= deadline.v)
			return 0;
	}
}

static int too_late(struct fail *why)
{
	return fail_set(why, FAIL_DEADLINE, NULL, "nothing came in time");
}

static int wire_read(void *ctx, char *to, size_t size, struct mono_ns deadline, size_t *ret_n,
		     struct fail *why)
{
	struct link *l = ctx;
	int r = wait_for(l->fd, POLLIN, deadline, why);
	if (r <= 0)
		return r < 0 ? r : too_late(why);
	ssize_t n = recv(l->fd, to, size, 0);
	if (n < 0)
		return fail_errno(why, FAIL_PEER, "recv");
	*ret_n = (size_t)n;
	return 0;
}

static int wire_write(void *ctx, struct str bytes, struct mono_ns deadline, struct fail *why)
{
	struct link *l = ctx;
	while (bytes.n > 0) {
		ssize_t n = send(l->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n > 0) {
			bytes = str_skip(bytes, (size_t)n);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return fail_errno(why, FAIL_PEER, "send");
		int r = wait_for(l->fd, POLLOUT, deadline, why);
		if (r <= 0)
			return r < 0 ? r : too_late(why);
	}
	return 0;
}

/* ---- the life of a link ---- */

static void free_link(struct link *l)
{
	pthread_mutex_lock(&relay.lock);
	list_remove(&l->all);
	pthread_mutex_unlock(&relay.lock);
	if (l->fd >= 0)
		(void)close(l->fd);
	smtp_client_clear(&l->client);
	free(l);
}

void link_close(struct link *l)
{
	if (!l)
		return;
	smtp_client_quit(&l->client);
	free_link(l);
}

void links_abort(void)
{
	pthread_mutex_lock(&relay.lock);
	LIST_EACH (&relay.open, it)
		(void)shutdown(CONTAINER_OF(it, struct link, all)->fd, SHUT_RDWR);
	pthread_mutex_unlock(&relay.lock);
}

static struct link *new_link(const struct link_wish *w, int fd)
{
	struct link *l = xcalloc(1, sizeof *l);
	char text[NETADDR_TEXT_MAX];
	const struct conf *c = w->conf;
	struct smtp_client_times times = {.greeting = c->relay_greeting_timeout_ms,
					  .hello = c->relay_command_timeout_ms,
					  .mail = c->relay_command_timeout_ms,
					  .rcpt = c->relay_command_timeout_ms,
					  .data_init = c->relay_data_init_timeout_ms,
					  .data_block = c->relay_data_timeout_ms,
					  .data_done = c->relay_data_done_timeout_ms};
	l->fd = fd;
	l->wire = (struct smtp_wire){.ctx = l, .read = wire_read, .write = wire_write};
	smtp_client_init(&l->client, &l->wire, w->hop->protocol == NEXTHOP_LMTP, &times);
	(void)snprintf(l->key, sizeof l->key, "%s", w->key);
	(void)snprintf(l->host, sizeof l->host, "%s", w->target->host);
	struct str ip = netaddr_text(&w->target->address, false, text);
	(void)snprintf(l->ip, sizeof l->ip, "%.*s", STR_ARG(ip));
	l->born = clock_mono();
	list_init(&l->idle);
	pthread_mutex_lock(&relay.lock);
	list_append(&relay.open, &l->all);
	pthread_mutex_unlock(&relay.lock);
	return l;
}

static int not_connected(const struct target *t, const char *reason, struct smtp_answer *answer)
{
	char place[NETADDR_TEXT_MAX], text[400];
	struct str where = netaddr_text(&t->address, true, place);
	(void)snprintf(text, sizeof text, "connecting to %s (%.*s): %s", t->host, STR_ARG(where),
		       reason);
	smtp_answer_own(answer, "4.4.1", str_c(text));
	counter_add(&unreachable, 1);
	return -FAIL_PEER;
}

static int tcp_connect(const struct link_wish *w, int *ret_fd, struct smtp_answer *answer)
{
	struct fail why = FAIL_INIT;
	AUTO_FD int fd = -1;
	char text[128];
	int r = sock_connect(&w->target->address, &fd, &why);
	if (r < 0)
		return not_connected(w->target, strerror_r(why.saved_errno, text, sizeof text),
				     answer);
	if (r == 0) {
		struct mono_ns deadline =
			mono_add_ms(clock_mono(), w->conf->relay_connect_timeout_ms);
		r = wait_for(fd, POLLOUT, deadline, &why);
		if (r == 0)
			return not_connected(w->target, "no answer in time", answer);
		int error = r < 0 ? why.saved_errno : sock_error(fd);
		if (error)
			return not_connected(w->target, strerror_r(error, text, sizeof text),
					     answer);
	}
	sock_nodelay(fd);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int link_open(const struct link_wish *w, struct link **ret, struct smtp_answer *answer,
	      enum link_stage *ret_stage)
{
	int fd = -1;
	*ret_stage = LINK_CONNECT;
	int r = tcp_connect(w, &fd, answer);
	if (r < 0)
		return r;
	struct link *l = new_link(w, fd);
	counter_add(&connected, 1);
	*ret_stage = LINK_GREETING;
	r = smtp_client_greeting(&l->client);
	if (r == 0) {
		*ret_stage = LINK_HELLO;
		r = smtp_client_hello(&l->client, str_c(w->conf->hostname));
	}
	if (r < 0) {
		*answer = l->client.answer;
		counter_add(&unreachable, 1);
		link_close(l);
		return r;
	}
	*ret = l;
	return 0;
}
