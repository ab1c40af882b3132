/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What falls due without anybody asking: lanes to be announced, mail for other servers (there is
 * no relay yet: it waits, and fails when its lifetime is over), and reports to be routed.
 */
#include "spool_int.h"

#include "sys/clock.h"
#include "sys/crash.h"
#include <errno.h>
#include <time.h>

enum { CLERK_BATCH = 100, POLL_MS = 1000, ROUTE_AGAIN_S = 60 };

static void pick(struct spool *sp, unsigned lane, struct key_vec *out)
{
	LOCKED(&sp->schedule.lock);
	struct lane *l = &sp->schedule.lanes[lane];
	schedule_next(sp, l, CLERK_BATCH, out);
	while (out->n < CLERK_BATCH && !list_empty(&l->suspects)) {
		struct entry *e = CONTAINER_OF(l->suspects.next, struct entry, link);
		schedule_fly(sp, e);
		*(struct spool_key *)vec_push(out) = e->key;
	}
}

/* ---- other servers ---- */

static bool defer_remote(struct spool *sp)
{
	static const struct spool_result no_relay = {
		.outcome = SPOOL_DEFERRED,
		.status = "4.4.1",
		.text = {"no relay yet", sizeof "no relay yet" - 1},
	};
	struct key_vec k = {0};

	pick(sp, LANE_REMOTE(sp), &k);
	for (size_t i = 0; i < k.n; i++)
		spool_done(sp, k.p[i], &no_relay);
	bool more = k.n == CLERK_BATCH;
	vec_clear(&k);
	return more;
}

/* ---- routing ---- */

static void again_later(struct spool *sp, struct spool_key key)
{
	LOCKED(&sp->schedule.lock);
	struct entry *e = schedule_find(sp, key);
	if (e)
		schedule_place(sp, e, SPOOL_ROUTING,
			       (struct wall_us){clock_wall().v + ROUTE_AGAIN_S * SEC_US});
}

static int write_map(struct spool *sp, uint64_t number, struct str map, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db, "UPDATE message SET map = ?2 WHERE number = ?1", &st, why);

	if (r < 0)
		return r;
	db_bind_u64(st, 1, number);
	db_bind_blob(st, 2, map);
	return db_run(st, why);
}

/* Replace the recipient that waited for its route by where the route leads. */
static int write_route(struct spool *sp, const struct rcpt_row *row,
		       const struct spool_route *route, struct str map,
		       struct spool_body_id *ret_body, struct fail *why)
{
	int r = db_begin(sp->db, why);

	if (r < 0)
		return r;
	r = rows_delete_rcpt(sp, row->key, why);
	for (size_t i = 0; r == 0 && i < route->n; i++) {
		char hop[HOP_NAME_MAX];
		struct rcpt_row to = *row;
		to.key.rcpt = (uint32_t)i;
		to.state = SPOOL_QUEUED;
		to.to = route->dests[i];
		to.nexthop = hop_name(&to.to, STR(""), hop);
		to.due = clock_wall();
		r = rows_insert_rcpt(sp, &to, why);
	}
	if (r == 0 && map.n > 0)
		r = write_map(sp, row->key.number, map, why);
	if (r == 0)
		r = rows_delete_empty(sp, row->key.number, ret_body, why);
	CRASH_POINT("spool.before-route-commit");
	if (r >= 0)
		r = db_commit(sp->db, why);
	CRASH_POINT("spool.after-route-commit");
	if (r < 0)
		db_rollback(sp->db);
	return r;
}

static void reschedule(struct spool *sp, const struct rcpt_row *row,
		       const struct spool_route *route)
{
	LOCKED(&sp->schedule.lock);
	struct entry *e = schedule_find(sp, row->key);
	if (e)
		schedule_remove(sp, e);
	for (size_t i = 0; i < route->n; i++)
		(void)schedule_add(sp, (struct spool_key){row->key.number, (uint32_t)i},
				   &(struct new_entry){.account = route->dests[i].account,
						       .state = SPOOL_QUEUED,
						       .due = clock_wall()});
}

/* What waits: its recipient, and the body of the report. 1, or 0: it is gone. */
static int read_report(struct spool *sp, struct spool_key key, struct arena *a,
		       struct rcpt_row *row, struct message_row *m, struct fail *why)
{
	SPOOL_DB(sp);
	int r = rows_rcpt(sp, key, a, row, why);
	return r == 1 ? rows_message(sp, key.number, true, a, m, why) : r;
}

/* Ask the directory, and scan; both may take their time. */
static int ask(struct spool *sp, const struct rcpt_row *row, const struct message_row *m,
	       struct arena *a, struct spool_route *route, struct str *map, struct fail *why)
{
	int r = sp->c.route(sp->c.ctx, row->to.address, a, route, why);

	if (r < 0)
		return r;
	if (route->kind == SPOOL_ROUTE_REFUSED) {
		/* A report that cannot be delivered ends here: RFC 3464 1, RFC 5321 6.1. */
		struct spool_event e;
		route->n = 0;
		event_fill(&e, m, row, "", route->note);
		e.kind = SPOOL_EVENT_DROPPED;
		if (sp->c.event)
			sp->c.event(sp->c.ctx, &e);
		return 0;
	}
	*map = m->map;
	return sp->c.map && m->map.n == 0 ? sp->c.map(sp->c.ctx, m->body, a, map, why) : 0;
}

/* 0 = settled one way or the other, negative = try again later. */
static int route_one(struct spool *sp, struct spool_key key, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct rcpt_row row = {.key = key};
	struct message_row m = {0};
	struct spool_route route = {0};
	struct spool_body_id body = {0};
	struct str map = STR_NULL;
	int r = read_report(sp, key, &a, &row, &m, why);

	if (r < 0)
		return r;
	if (r == 1) {
		r = ask(sp, &row, &m, &a, &route, &map, why);
		if (r < 0)
			return r;
		SPOOL_DB(sp);
		r = write_route(sp, &row, &route, map, &body, why);
		if (r < 0)
			return r;
	}
	if (body_id_is_set(body))
		body_unlink(sp, body);
	reschedule(sp, &row, &route);
	return 0;
}

static bool route_waiting(struct spool *sp)
{
	struct key_vec k = {0};

	if (!sp->c.route)
		return false;
	pick(sp, LANE_ROUTING(sp), &k);
	for (size_t i = 0; i < k.n; i++) {
		struct fail why = FAIL_INIT;
		if (route_one(sp, k.p[i], &why) < 0)
			again_later(sp, k.p[i]);
	}
	bool more = k.n == CLERK_BATCH;
	vec_clear(&k);
	return more;
}

/* ---- the clerk's day ---- */

void spool_tick(struct spool *sp)
{
	bool more = true;

	while (more) {
		{
			LOCKED(&sp->schedule.lock);
			schedule_advance(sp, clock_wall());
		}
		more = defer_remote(sp);
		more |= route_waiting(sp);
	}
	schedule_announce(sp);
}

void clerk_nudge(struct spool *sp)
{
	LOCKED(&sp->jobs.lock);
	sp->jobs.nudged = true;
	(void)pthread_cond_signal(&sp->jobs.tick);
}

/* Nothing in the heap: sleep until nudged. Else look every second, as the clock may be bent. */
static bool wait_for_work(struct spool *sp)
{
	struct jobs *j = &sp->jobs;
	bool timers = false;
	struct timespec t;

	{
		LOCKED(&sp->schedule.lock);
		timers = sp->schedule.heap.n > 0;
	}
	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += POLL_MS / 1000;
	LOCKED(&j->lock);
	while (!j->nudged && !j->stop_clerk) {
		if (!timers)
			(void)pthread_cond_wait(&j->tick, &j->lock);
		else if (pthread_cond_timedwait(&j->tick, &j->lock, &t) == ETIMEDOUT)
			break;
	}
	j->nudged = false;
	return !j->stop_clerk;
}

void *clerk_main(void *arg)
{
	struct spool *sp = arg;
	struct fail why = FAIL_INIT;

	if (body_sweep(sp, &why) < 0)
		spool_alert(sp, "spool: sweeping the blob tree: %s", why.detail);
	do {
		if (atomic_exchange(&sp->sweep_again, false) && body_sweep(sp, &why) < 0)
			spool_alert(sp, "spool: sweeping the blob tree: %s", why.detail);
		spool_tick(sp);
	} while (wait_for_work(sp));
	return NULL;
}
