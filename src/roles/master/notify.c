/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd is told: that every role serves, what state we are in, that we live.
 *
 * The watchdog speaks for master's own loop only: a role that hangs is master's business, and a
 * restart of everything would not be the cure.
 */
#include "roles/master/internal.h"
#include "sys/clock.h"
#include <unistd.h>

#define US_PER_MS 1000u

static void feed(struct loop_timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, watchdog);
	systemd_notify(&m->systemd, "WATCHDOG=1");
	/* Twice as often as it must be. */
	loop_timer_in(m->loop, t, MAX((int64_t)(m->systemd.watchdog_us / US_PER_MS / 2), 1));
}

void notify_begin(struct master *m)
{
	systemd_notify(&m->systemd, "STATUS=Starting %zu processes.", master_processes(m));
	m->watchdog.fire = feed;
	if (m->systemd.watchdog_us)
		feed(&m->watchdog);
}

void notify_ready(struct master *m)
{
	systemd_notify(&m->systemd,
		       "READY=1\nMAINPID=%d\nSTATUS=Serving: %zu processes, %zu listening sockets.",
		       (int)getpid(), master_processes(m), m->listeners.n);
}

void notify_reloading(struct master *m)
{
	systemd_notify_reloading(&m->systemd);
}

void notify_stopping(struct master *m)
{
	systemd_notify(&m->systemd, "STOPPING=1\nSTATUS=Stopping: clients are told goodbye.");
}

void notify_child(struct child *c)
{
	struct master *m = c->master;
	if (!m->said_ready || m->stopping)
		return;
	if (c->state == CHILD_READY)
		notify_ready(m);
	else
		systemd_notify(&m->systemd, "STATUS=%s %u ended and is being started again.",
			       c->kind->name, c->index);
}
