/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drain: a successor serves the ports, and the clients that are here leave one by one.
 *
 * Nobody is interrupted: a client is sent away (BYE, 421) when it is between two commands and has
 * been silent for the grace time, a few at a time, so that not all of them connect again in one
 * moment. At the deadline whoever is left goes as at a stop.
 */
#include "roles/edge/edge.h"
#include "sys/log.h"

#define TICK_MS	  250
#define PER_TICK  50u /* at least so many may be sent away each tick; */
#define TICKS_ALL 40u /* at most, so many that all are gone after ten seconds */

static bool may_go(const struct edge *e, const struct session *s, struct mono_ns now)
{
	return s->conn && s->phase != SESSION_ENDING && s->service->ops->quiet(s) &&
	       now.v - s->heard.v >= e->drain_grace_ms * MS_NS;
}

static void send_some_away(struct edge *e)
{
	struct mono_ns now = loop_now(e->role->loop);
	size_t most = MAX(PER_TICK, e->open / TICKS_ALL);
	LIST_EACH (&e->all, link) {
		struct session *s = CONTAINER_OF(link, struct session, link);
		if (!may_go(e, s, now))
			continue;
		s->service->ops->shutdown(s);
		if (--most == 0)
			return;
	}
}

static void tick(struct loop_timer *t)
{
	struct edge *e = CONTAINER_OF(t, struct edge, drain_tick);
	if (loop_now(e->role->loop).v >= e->drain_deadline.v) {
		log_event(LOG_WARN, "edge.drain-deadline", log_u64("sessions", e->open));
		edge_stop(e->role);
		return;
	}
	send_some_away(e);
	if (e->open)
		loop_timer_in(e->role->loop, t, TICK_MS);
}

void edge_drain(struct role *role, uint32_t grace_ms, uint32_t deadline_ms)
{
	struct edge *e = &edge;
	if (e->stopping)
		return;
	log_event(LOG_INFO, "edge.drain", log_u64("sessions", e->open));
	e->draining = true;
	e->drain_grace_ms = grace_ms;
	e->drain_deadline.v = loop_now(role->loop).v + deadline_ms * MS_NS;
	edge_stop_accepting(e);
	if (e->open == 0) {
		role_end(role);
		return;
	}
	e->drain_tick.fire = tick;
	loop_timer_in(role->loop, &e->drain_tick, 0);
}
