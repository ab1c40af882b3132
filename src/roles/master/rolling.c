/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roles of the last generation are replaced by those of this one, one at a time and in order:
 *
 *     its peers      finish what they have begun with it, and keep what comes next to themselves
 *     the role       is told to stop; closes its files, ends
 *     its successor  opens the files (migrating them), and gets what waited
 *
 * The edge is last: the new one takes all new connections, the old one keeps its own until the
 * clients leave (drain). A peer that cannot finish in time is not waited for any longer.
 *
 * A role that dies meanwhile is started as one of this generation anyway.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "roles/role/role.h"
#include "roles/role/session_protocol.h"
#include "sys/crash.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define BODIES_MS 10000 /* wait so long for a moment without a large body on its way */
#define SETTLE_MS 10000 /* and so long for what was begun */
#define STOP_MS	  15000 /* then it is killed */
#define TROUBLE	  3u	/* times that a successor may end before we say it loudly */

enum phase { ROLLING_BODIES, ROLLING_CLIENTS, ROLLING_SETTLE, ROLLING_STOP, ROLLING_START };

struct rolling {
	struct master *m;
	struct child *now;
	enum phase phase;
	unsigned asked;	 /* peers that have not answered */
	unsigned serial; /* of the round of questions */
	unsigned failures;
	struct loop_timer deadline;
	struct loop_task step;
	bool posted;
};

struct question {
	struct ipc_ask ask;
	struct master *m;
	unsigned serial;
};

static void next(struct rolling *r);

static void post_step(struct rolling *r)
{
	if (!r->posted)
		loop_post(r->m->loop, &r->step);
	r->posted = true;
}

/* --- asking the peers
 * ------------------------------------------------------------------------------------- */

static void answered(struct ipc_ask *a, int result, struct ipc_packet *p, const struct fail *why)
{
	struct question *q = CONTAINER_OF(a, struct question, ask);
	struct rolling *r = q->m->rolling;
	bool counts = r && q->serial == r->serial;
	if (result == -FAIL_DEADLINE)
		log_event(LOG_WARN, "upgrade.not-settled", log_fail(why));
	ipc_packet_free(p);
	free(q);
	if (counts && --r->asked == 0)
		post_step(r);
}

static void ask(struct rolling *r, struct child *who, const struct child *about, enum hold_how how,
		unsigned ms)
{
	struct msg_standby m = {.role = str_c(about->kind->name),
				.index = (uint16_t)about->index,
				.how = (uint8_t)how};
	struct ipc_question q = {.type = IPC_STANDBY,
				 .msg = &m,
				 .want = IPC_OK,
				 .only_while_up = true,
				 .deadline_ms = ms};
	struct question *one = xcalloc(1, sizeof *one);
	*one = (struct question){.ask.done = answered, .m = r->m, .serial = r->serial};
	r->asked++;
	ipc_ask(who->control, &q, &one->ask);
}

static bool talk(const struct child *a, const struct child *b)
{
	for (size_t i = 0; a->kind->talks_to[i]; i++)
		if (strcmp(a->kind->talks_to[i], b->kind->name) == 0)
			return true;
	for (size_t i = 0; b->kind->talks_to[i]; i++)
		if (strcmp(b->kind->talks_to[i], a->kind->name) == 0)
			return true;
	return false;
}

/* Large bodies for the queue come by mta: its clients wait, too. */
static const struct child *in_front(struct rolling *r)
{
	return child_is(r->now, "queue") ? master_child(r->m, "mta", 0) : r->now;
}

static void ask_edges(struct rolling *r, const struct child *about, enum hold_how how, unsigned ms)
{
	for (size_t i = 0; i < r->m->children_n; i++)
		if (r->m->children[i].wired && child_is(&r->m->children[i], "edge"))
			ask(r, &r->m->children[i], about, how, ms);
}

static void begin_round(struct rolling *r, enum phase phase)
{
	r->phase = phase;
	r->serial++;
	r->asked = 1; /* ours, until all are asked */
}

static void end_round(struct rolling *r)
{
	if (--r->asked == 0)
		post_step(r);
}

static bool clients_hang_on(const struct child *c)
{
	return child_is(c, "queue") || child_is(c, "mta") || child_is(c, "user");
}

static void wait_for_bodies(struct rolling *r)
{
	begin_round(r, ROLLING_BODIES);
	if (clients_hang_on(r->now))
		ask_edges(r, in_front(r), HOLD_BODIES, BODIES_MS);
	end_round(r);
}

/* First the clients alone: what they have begun may need the others, as a login needs dir. */
static void settle_clients(struct rolling *r)
{
	begin_round(r, ROLLING_CLIENTS);
	if (clients_hang_on(r->now))
		ask_edges(r, in_front(r), HOLD_ALL, SETTLE_MS);
	end_round(r);
}

static void settle(struct rolling *r)
{
	begin_round(r, ROLLING_SETTLE);
	for (size_t i = 0; i < r->m->children_n; i++) {
		struct child *c = &r->m->children[i];
		bool asked = child_is(c, "edge") && clients_hang_on(r->now);
		if (c->wired && c != r->now && !asked && talk(c, r->now))
			ask(r, c, r->now, HOLD_ALL, SETTLE_MS);
	}
	end_round(r);
}

/* Who was told to wait for it has its new socket; those in front of it have not. */
static void release(struct rolling *r)
{
	const struct child *front = in_front(r);
	struct msg_standby m = {.role = str_c(front->kind->name),
				.index = (uint16_t)front->index,
				.how = HOLD_RELEASE};
	if (front == r->now)
		return;
	for (size_t i = 0; i < r->m->children_n; i++)
		if (r->m->children[i].wired && child_is(&r->m->children[i], "edge"))
			(void)ipc_send(r->m->children[i].control, (struct trace_id){0}, IPC_STANDBY,
				       &m);
}

/* --- one role
 * --------------------------------------------------------------------------------------------- */

static void stop_took_too_long(struct loop_timer *t)
{
	struct rolling *r = CONTAINER_OF(t, struct rolling, deadline);
	if (r->phase != ROLLING_STOP || !r->now || r->now->pid <= 0 || !r->now->replacing)
		return;
	log_event(LOG_WARN, "role.kill", log_c("role", r->now->kind->name),
		  log_u64("index", r->now->index));
	(void)kill(r->now->pid, SIGKILL);
}

static void stop_role(struct rolling *r)
{
	static const struct msg_stop stop = {0};
	struct child *c = r->now;
	CRASH_POINT("master.rolling.settled");
	r->phase = ROLLING_STOP;
	if (c->generation == r->m->generation || c->state != CHILD_READY)
		return; /* it died: its successor is on the way */
	c->replacing = true;
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_STOP, &stop);
	r->deadline.fire = stop_took_too_long;
	loop_timer_in(r->m->loop, &r->deadline, STOP_MS);
}

static void replace(struct rolling *r, struct child *c)
{
	r->now = c;
	r->failures = 0;
	log_event(LOG_INFO, "upgrade.replace", log_c("role", c->kind->name),
		  log_u64("index", c->index));
	wait_for_bodies(r);
}

/* --- the edge
 * -----------------------------------------------------------------------------------------------
 */

struct child *master_edge(struct master *m)
{
	struct child *found = master_child(m, "edge", 0);
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (child_is(c, "edge") && !c->draining && c->state != CHILD_SPARE &&
		    (found->draining || found->state == CHILD_SPARE ||
		     c->generation > found->generation))
			found = c;
	}
	return found;
}

static void drain(struct child *old)
{
	const struct conf *c = old->master->conf;
	struct msg_drain m = {.grace_ms = (uint32_t)c->drain_grace_ms,
			      .deadline_ms = (uint32_t)c->drain_deadline_ms};
	old->draining = true;
	(void)ipc_send(old->control, (struct trace_id){0}, IPC_DRAIN, &m);
	log_event(LOG_INFO, "upgrade.drain", log_u64("index", old->index),
		  log_u64("pid", (uint64_t)old->pid));
}

static struct child *spare_edge(struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state == CHILD_SPARE && child_is(&m->children[i], "edge"))
			return &m->children[i];
	return NULL;
}

/* So many generations at once are enough: the eldest says goodbye to its clients. */
static void make_room(struct master *m)
{
	static const struct msg_stop stop = {0};
	struct child *eldest = NULL;
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (child_is(c, "edge") && c->draining &&
		    (!eldest || c->generation < eldest->generation))
			eldest = c;
	}
	if (!eldest)
		return;
	log_event(LOG_WARN, "upgrade.drain-ends", log_u64("index", eldest->index));
	(void)ipc_send(eldest->control, (struct trace_id){0}, IPC_STOP, &stop);
}

static unsigned fresh_edges(const struct master *m)
{
	unsigned n = 0;
	for (size_t i = 0; i < m->children_n; i++)
		n += child_is(&m->children[i], "edge") && m->children[i].state != CHILD_SPARE &&
		     !m->children[i].draining && m->children[i].generation == m->generation;
	return n;
}

static void add_edge(struct rolling *r)
{
	struct child *fresh = spare_edge(r->m);
	if (!fresh) {
		make_room(r->m); /* and on, when it has ended */
		return;
	}
	CRASH_POINT("master.rolling.edge");
	r->now = fresh;
	r->failures = 0;
	r->phase = ROLLING_START;
	fresh->restarts = 0;
	log_event(LOG_INFO, "upgrade.replace", log_c("role", "edge"),
		  log_u64("index", fresh->index));
	child_spawn(fresh);
}

/* --- in order
 * -----------------------------------------------------------------------------------------------
 */

static struct child *oldest_of(struct master *m, const char *role)
{
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (child_is(c, role) && !c->draining && c->state != CHILD_SPARE &&
		    c->generation < m->generation)
			return c;
	}
	return NULL;
}

static struct child *any_other(struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (!child_is(&m->children[i], "edge") && m->children[i].generation < m->generation)
			return &m->children[i];
	return NULL;
}

static void finish(struct rolling *r)
{
	struct master *m = r->m;
	log_event(LOG_INFO, "upgrade.done", log_u64("generation", m->generation),
		  log_c("build", role_build_id()));
	loop_timer_clear(m->loop, &r->deadline);
	m->rolling = NULL;
	if (!r->posted)
		free(r);
	notify_ready(m);
}

/* Those that nobody waits for first; the edge, which clients hang on, last. */
static void next(struct rolling *r)
{
	static const char *const order[] = {"scan", "dir", "queue", "user", "mta"};
	r->now = NULL;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		struct child *c = oldest_of(r->m, order[i]);
		if (c) {
			replace(r, c);
			return;
		}
	}
	struct child *other = any_other(r->m);
	if (other) {
		replace(r, other);
		return;
	}
	if (fresh_edges(r->m) < r->m->conf->edge_workers) {
		add_edge(r);
		return;
	}
	for (struct child *old; (old = oldest_of(r->m, "edge"));)
		drain(old);
	finish(r);
}

static void step(struct loop_task *task)
{
	struct rolling *r = CONTAINER_OF(task, struct rolling, step);
	r->posted = false;
	if (r->m->rolling != r) { /* finished meanwhile */
		free(r);
		return;
	}
	if (r->m->stopping)
		return;
	if (!r->now)
		next(r);
	else if (r->phase == ROLLING_BODIES)
		settle_clients(r);
	else if (r->phase == ROLLING_CLIENTS)
		settle(r);
	else if (r->phase == ROLLING_SETTLE)
		stop_role(r);
}

void rolling_child_ready(struct child *c)
{
	struct rolling *r = c->master->rolling;
	if (!r || r->now != c || c->generation != c->master->generation)
		return;
	loop_timer_clear(r->m->loop, &r->deadline);
	release(r);
	struct child *old = child_is(c, "edge") ? oldest_of(r->m, "edge") : NULL;
	if (old)
		drain(old);
	CRASH_POINT("master.rolling.replaced");
	r->serial++; /* no answer that is still to come counts */
	next(r);
}

/* Somebody ended who was not told to, or an old edge has no clients any more. */
void rolling_child_ended(struct child *c)
{
	struct rolling *r = c->master->rolling;
	if (!r)
		return;
	if (c->state == CHILD_SPARE) {
		if (!r->now)
			next(r);
		return;
	}
	if (r->now == c && c->generation == c->master->generation && ++r->failures == TROUBLE)
		log_event(LOG_ERROR, "upgrade.in-trouble", log_c("role", c->kind->name),
			  log_c("note", c->note),
			  log_c("hint",
				"the new build does not start; it is tried again and again. "
				"Install the old package to go back"));
}

void rolling_begin(struct master *m)
{
	struct rolling *r = m->rolling = xcalloc(1, sizeof *r);
	*r = (struct rolling){.m = m, .step.run = step};
	post_step(r);
}
