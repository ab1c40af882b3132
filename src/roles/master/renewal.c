/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan processes do not grow old: each is replaced when its time is over, one at a time, at a
 * moment without work. Its peers keep what comes next to themselves, or ask another scan. Scan is
 * not asked: one that somebody has taken over would say no.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "roles/role/session_protocol.h"
#include "sys/clock.h"
#include "sys/log.h"
#include <signal.h>
#include <stdlib.h>

#define LOOK_MS	  5000
#define SETTLE_MS 10000 /* a message may be long */
#define STOP_MS	  2000

struct renewal {
	struct master *m;
	struct child *now; /* or NULL */
	pid_t pid;
	unsigned asked; /* peers that have not answered, and us while we ask */
	bool stopping;
	struct mono_ns begun;
	struct loop_timer look;
};
static struct renewal renewal;

static bool is_old(const struct child *c, struct mono_ns now)
{
	uint64_t ms = c->master->conf->scan_lifetime_ms;
	return child_is(c, "scan") && c->state == CHILD_READY && ms > 0 &&
	       now.v - c->spawned.v > (int64_t)ms * MS_NS;
}

static void stop_it(struct renewal *r)
{
	static const struct msg_stop stop = {0};
	if (r->now->pid != r->pid || r->now->replacing || r->m->stopping)
		return;
	r->stopping = true;
	r->begun = clock_mono();
	r->now->replacing = true;
	log_event(LOG_INFO, "role.renew", log_c("role", r->now->kind->name),
		  log_u64("index", r->now->index), log_u64("pid", (uint64_t)r->pid));
	(void)ipc_send(r->now->control, (struct trace_id){0}, IPC_STOP, &stop);
}

static void answered(struct ipc_ask *a, int result, struct ipc_packet *p, const struct fail *why)
{
	(void)result;
	(void)why;
	ipc_packet_free(p);
	free(a);
	if (--renewal.asked == 0 && renewal.now)
		stop_it(&renewal);
}

static void begin(struct renewal *r, struct child *c)
{
	struct msg_standby m = {
		.role = str_c(c->kind->name), .index = (uint16_t)c->index, .how = HOLD_ALL};
	struct ipc_question q = {.type = IPC_STANDBY,
				 .msg = &m,
				 .want = IPC_OK,
				 .only_while_up = true,
				 .deadline_ms = SETTLE_MS};
	r->now = c;
	r->pid = c->pid;
	r->stopping = false;
	r->asked = 1;
	for (size_t i = 0; i < r->m->children_n; i++) {
		struct child *peer = &r->m->children[i];
		if (!peer->wired || !wired_together(peer, c))
			continue;
		struct ipc_ask *one = xcalloc(1, sizeof *one);
		one->done = answered;
		r->asked++;
		ipc_ask(peer->control, &q, one);
	}
	if (--r->asked == 0)
		stop_it(r);
}

/* One that was told to stop and does not is ended. */
static void insist(struct renewal *r)
{
	if (r->now->pid != r->pid)
		r->now = NULL; /* its successor is there, or on its way */
	else if (r->stopping && clock_mono().v - r->begun.v > STOP_MS * MS_NS)
		(void)kill(r->pid, SIGKILL);
}

static void look(struct loop_timer *t)
{
	struct renewal *r = CONTAINER_OF(t, struct renewal, look);
	struct mono_ns now = clock_mono();
	loop_timer_in(r->m->loop, t, LOOK_MS);
	if (r->now)
		insist(r);
	/* Upgrades replace everybody, and count who answers. */
	if (r->now || r->asked || r->m->stopping || r->m->upgrade || r->m->rolling)
		return;
	for (size_t i = 0; i < r->m->children_n; i++)
		if (is_old(&r->m->children[i], now)) {
			begin(r, &r->m->children[i]);
			return;
		}
}

void renewal_begin(struct master *m)
{
	renewal = (struct renewal){.m = m, .look.fire = look};
	loop_timer_in(m->loop, &renewal.look, LOOK_MS);
}
