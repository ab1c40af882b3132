/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay - takes mail to other servers: the only role that connects to them.
 *
 * Each request of queue runs on a thread of its own, at most relay.connections at a time; the rest
 * waits. No files: a body comes with the request, or as a descriptor that can be read only.
 */
#include "roles/relay/relay.h"
#include "roles/role/relay_protocol.h"
#include "roles/role/task.h"
#include "runtime/tls/tls_client.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_MS 1000
#define CUT_MS	 50

COUNTER(open_now, "relay.connections", "connections to other servers that are open now");
COUNTER(idle_now, "relay.idle", "those of them that wait for another message");

struct relay relay = {.lock = PTHREAD_MUTEX_INITIALIZER, .cut_fd = -1};

static void sweep(struct loop_timer *t)
{
	idle_sweep(relay.role->conf);
	loop_timer_in(relay.role->loop, t, SWEEP_MS);
}

/*
 * Stopping, and what was nearly done has had its time: whoever waits for a socket or an answer of
 * another role goes on now. Again and again, as somebody may just have begun to.
 */
static void cut(struct loop_timer *t)
{
	if (atomic_load(&relay.cut)) {
		(void)eventfd_write(relay.cut_fd, 1);
		links_abort();
		ipc_channel_cancel(role_peer(relay.role, "dns", 0));
		ipc_channel_cancel(role_peer(relay.role, "dir", 0));
	}
	loop_timer_in(relay.role->loop, t, CUT_MS);
}

/* What the kernel's files have to give is read before the sandbox. */
static int prepare(struct role *role, const struct conf *fresh, struct fail *why)
{
	(void)role;
	if (relay.tls)
		return 0;
	relay.cut_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (relay.cut_fd < 0)
		return fail_errno(why, FAIL_IO, "eventfd");
	tls_init();
	for (size_t i = 0; i < fresh->relay_source.n; i++) {
		struct netcidr one;
		if (!netcidr_parse(str_c(fresh->relay_source.p[i]), &one) ||
		    one.bits != (one.addr.family == AF_INET6 ? 128 : 32))
			return fail_set(why, FAIL_SYNTAX, NULL,
					"relay.source: %s is not one address",
					fresh->relay_source.p[i]);
		*(one.addr.family == AF_INET6 ? &relay.from6 : &relay.from4) = one.addr;
	}
	return tls_clients_new(fresh->tls_authorities, &relay.tls, why);
}

static int relay_open(struct role *role, struct fail *why)
{
	(void)why;
	relay.role = role;
	list_init(&relay.open);
	list_init(&relay.idle);
	relay.pool = pool_new("relay", (unsigned)role->conf->relay_connections, 0);
	relay.sweep.fire = sweep;
	relay.cutter.fire = cut;
	loop_timer_in(role->loop, &relay.sweep, SWEEP_MS);
	return 0;
}

static void message(struct role *role, struct ipc_channel *from, struct ipc_packet *p)
{
	bool post = ipc_packet_type(p) == IPC_TLS_POST;
	if ((ipc_packet_type(p) != IPC_RELAY && !post) ||
	    strcmp(ipc_channel_name(from), "queue") != 0) {
		role_refuse(from, p, "not its business");
		return;
	}
	role_task(role, relay.pool, p, post ? post_run : attempt_run);
}

static void stats(struct role *role)
{
	(void)role;
	size_t n = 0;
	pthread_mutex_lock(&relay.lock);
	LIST_EACH (&relay.open, it)
		n++;
	counter_set(&open_now, n);
	counter_set(&idle_now, relay.idle_n);
	pthread_mutex_unlock(&relay.lock);
}

static bool all_idle(void)
{
	bool none = true;
	pthread_mutex_lock(&relay.lock);
	LIST_EACH (&relay.open, it)
		none = none && !list_empty(&CONTAINER_OF(it, struct link, all)->idle);
	pthread_mutex_unlock(&relay.lock);
	return none;
}

/* What is nearly done may end; the rest is cut off, and queue hears what became of it. */
static void finish(struct role *role)
{
	static const struct timespec moment = {.tv_nsec = 10 * MS_NS};
	(void)role;
	for (int i = 0; i < RELAY_STOP_MS / 10 && !all_idle(); i++)
		(void)nanosleep(&moment, NULL);
	atomic_store(&relay.cut, true);
	pool_free(relay.pool);
	idle_clear();
}

static void stop(struct role *role)
{
	atomic_store(&relay.stopping, true);
	loop_timer_clear(role->loop, &relay.sweep);
	loop_timer_in(role->loop, &relay.cutter, CUT_MS);
	role_stop_aside(role, finish);
}

static const char *const peers[] = {"queue", "dns", "dir", NULL};
static const struct role_ops ops = {.name = "relay",
				    .sandbox_flags = SANDBOX_TCP_CONNECT | SANDBOX_THREADS,
				    .peers = peers,
				    .prepare = prepare,
				    .open = relay_open,
				    .message = message,
				    .stats = stats,
				    .stop = stop};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
