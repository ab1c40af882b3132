/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What falls due without anybody asking: rows to be read and lanes to be announced, mail of next
 * hops that need no server or are dead, and what is to be routed: reports, and mail that the
 * operator wants routed again.
 */
#include "spool_int.h"

#include "sys/clock.h"
#include "sys/crash.h"
#include <errno.h>
#include <time.h>

enum { CLERK_BATCH = 100, POLL_MS = 1000, LOOK_MS = 5000 };

static void pick(struct spool *sp, struct lane *l, struct key_vec *out)
{
	LOCKED(&sp->schedule.lock);
	schedule_next(sp, l, CLERK_BATCH, out);
	while (out->n < CLERK_BATCH && !list_empty(&l->suspects)) {
		struct entry *e = CONTAINER_OF(l->suspects.next, struct entry, link);
		schedule_fly(sp, e);
		*(struct spool_key *)vec_push(out) = e->key;
	}
}

/* ---- routing ---- */

static void again_later(struct spool *sp, struct spool_key key)
{
	struct wall_us due = {clock_wall().v + ROUTE_AGAIN_S * SEC_US};
	struct fail why = FAIL_INIT;

	SPOOL_DB(sp);
	if (rows_run(sp, "UPDATE rcpt SET due = ?3 WHERE number = ?1 AND rcpt = ?2",
		     (int64_t[]){(int64_t)key.number, key.rcpt, due.v}, 3, &why) < 0)
		spool_alert(sp, "spool: putting a report off: %s", why.detail);
	LOCKED(&sp->schedule.lock);
	struct entry *e = schedule_find(sp, key);
	if (e)
		schedule_remove(sp, e);
	window_note(sp, SPOOL_ROUTING, due, key);
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

/* Recipient numbers are never used twice: the first of n new ones. */
static int new_numbers(struct spool *sp, uint64_t number, size_t n, uint32_t *ret, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(sp->db,
			"UPDATE message SET given = given + ?2 WHERE number = ?1 RETURNING given",
			&st, why);

	if (r < 0)
		return r;
	db_bind_u64(st, 1, number);
	db_bind_u64(st, 2, n);
	r = db_step(st, why);
	uint64_t given = r == 1 ? db_col_u64(st, 0) : 0;
	db_reset(st);
	if (r == 1 && given > SPOOL_RCPTS_MAX)
		return fail_set(
			why, FAIL_LIMIT, NULL,
			"message %llu has been sent to more places than one message may have",
			(unsigned long long)number);
	if (r == 1)
		*ret = (uint32_t)(given - n);
	return MIN(r, 0);
}

/* A message that was routed: where its recipient goes, with the keys that they got. */
struct routed {
	const struct spool_route *route;
	struct str filter;
	VEC(struct rcpt_row) rows;
};

static int write_dests(struct spool *sp, const struct rcpt_row *row, struct routed *to,
		       struct fail *why)
{
	uint32_t next = 0;
	size_t n = to->route->n;
	int r = n > 1 ? new_numbers(sp, row->key.number, n - 1, &next, why) : 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		char hop[HOP_NAME_MAX];
		struct rcpt_row *one = vec_push(&to->rows);
		*one = *row;
		/* It was not delivered: its own number is free. */
		one->key.rcpt = i == 0 ? row->key.rcpt : next + (uint32_t)i - 1;
		one->state = SPOOL_QUEUED;
		one->to = to->route->dests[i];
		one->nexthop = hop_name(&one->to, to->filter, hop);
		one->due = (struct wall_us){0};
		one->routed = clock_wall();
		one->text = STR("");
		r = rows_insert_rcpt(sp, one, why);
	}
	return r;
}

/* Replace the recipient that waited for its route by where the route leads. */
static int write_route(struct spool *sp, const struct rcpt_row *row, struct routed *to,
		       struct str map, struct spool_body_id *ret_body, struct fail *why)
{
	int r = db_begin(sp->db, why);

	if (r < 0)
		return r;
	r = rows_delete_rcpt(sp, row->key, why);
	if (r == 0)
		r = write_dests(sp, row, to, why);
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

static void reschedule(struct spool *sp, const struct rcpt_row *row, const struct message_row *m,
		       const struct routed *to)
{
	LOCKED(&sp->schedule.lock);
	struct entry *e = schedule_find(sp, row->key);
	if (e)
		schedule_remove(sp, e);
	schedule_count_gone(sp, row->state, 1);
	schedule_count_new(sp, SPOOL_QUEUED, to->rows.n);
	for (size_t i = 0; i < to->rows.n; i++) {
		char hop[HOP_NAME_MAX];
		const struct rcpt_row *one = &to->rows.p[i];
		(void)schedule_add(
			sp, one->key,
			&(struct new_entry){
				.account = one->to.account,
				.nexthop = hop_name(&one->to, to->filter, hop),
				.state = SPOOL_QUEUED,
				.source = m->sender.n ? schedule_source(m->auth_account, m->sender)
						      : 0,
				.priority = m->wish.priority},
			true);
	}
}

/* What waits: its recipient, and the body of the report. 1, or 0: it is gone. */
static int read_report(struct spool *sp, struct spool_key key, struct arena *a,
		       struct rcpt_row *row, struct message_row *m, struct fail *why)
{
	SPOOL_DB(sp);
	int r = rows_rcpt(sp, key, a, row, why);
	return r == 1 ? rows_message(sp, key.number, true, a, m, why) : r;
}

/* RFC 3464 1, RFC 5321 6.1: a report that cannot be delivered ends here. */
static void drop_report(struct spool *sp, const struct message_row *m, const struct rcpt_row *row,
			const struct spool_route *route)
{
	struct spool_event e;

	event_fill(&e, m, row, "", route->note);
	e.kind = SPOOL_EVENT_DROPPED;
	if (sp->c.event)
		sp->c.event(sp->c.ctx, &e);
}

/* Mail that was routed again, and has no way any more, fails like any other. */
static void fail_routed(struct spool *sp, struct spool_key key, const struct spool_route *route)
{
	struct spool_result r = {.outcome = SPOOL_FAILED, .status = "5.1.1", .text = route->note};

	spool_done(sp, key, &r);
}

/* An address that was looked up again and again, and leads to thousands each time. */
static void fail_too_many(struct spool *sp, struct spool_key key, const struct fail *why)
{
	struct spool_result r = {
		.outcome = SPOOL_FAILED,
		.status = "5.5.3",
		.text = STR("its address leads to more places than one message may "
			    "have")};

	spool_alert(sp, "spool: %s", why->detail);
	spool_done(sp, key, &r);
}

static void forget(struct spool *sp, struct spool_key key)
{
	LOCKED(&sp->schedule.lock);
	struct entry *e = schedule_find(sp, key);
	if (e)
		schedule_remove(sp, e);
}

/* The address with its detail, as it would have come. 1, or a failure. */
static int ask_route(struct spool *sp, const struct rcpt_row *row, const struct message_row *m,
		     struct arena *a, struct spool_route *ret, struct fail *why)
{
	struct str address = row->to.address;
	size_t at = str_rfind(address, '@');

	if (row->to.detail.n)
		address = arena_printf(a, "%.*s+%.*s%.*s", STR_ARG(str_sub(address, 0, at)),
				       STR_ARG(row->to.detail), STR_ARG(str_skip(address, at)));
	struct spool_question q = {
		.address = address, .sender = m->sender, .again = m->kind == KIND_MAIL};
	int r = sp->c.route(sp->c.ctx, &q, a, ret, why);
	return r < 0 ? r : 1;
}

static int replace(struct spool *sp, const struct rcpt_row *row, const struct message_row *m,
		   const struct spool_route *route, struct str map, struct fail *why)
{
	struct routed to = {.route = route, .filter = m->wish.filter};
	struct spool_body_id body = {0};
	int r = 0;

	{
		SPOOL_DB(sp);
		r = write_route(sp, row, &to, map, &body, why);
		if (r >= 0)
			reschedule(sp, row, m, &to);
	}
	vec_clear(&to.rows);
	if (r >= 0 && body_id_is_set(body))
		body_unlink(sp, body);
	return MIN(r, 0);
}

/* ---- mail that waited ---- */

static bool same_way(const struct rcpt_row *row, const struct spool_route *route)
{
	char room[HOP_NAME_MAX];
	const struct destination *to = route->dests;

	return route->n == 1 && !destination_is_local(to) &&
	       str_eqi(to->address, row->to.address) &&
	       str_eq(hop_name(to, STR(""), room), row->nexthop);
}

/* Its way has been looked at: now it waits for its next hop. */
static void go_on(struct spool *sp, const struct rcpt_row *row, const struct message_row *m,
		  struct wall_us routed)
{
	bool placed = true;
	struct fail why = FAIL_INIT;
	{
		LOCKED(&sp->schedule.lock);
		struct entry *e = schedule_find(sp, row->key);
		if (!e)
			return;
		schedule_remove(sp, e);
		placed = schedule_add(
			sp, row->key,
			&(struct new_entry){.nexthop = row->nexthop,
					    .state = row->state,
					    .due = row->due,
					    .crashes = row->crashes,
					    .source = schedule_source(m->auth_account, m->sender),
					    .priority = m->wish.priority,
					    .routed = routed},
			false);
	}
	if (placed || !routed.v)
		return;
	/* Its lane is full. The row that will be found again says that its way was looked at. */
	SPOOL_DB(sp);
	if (rows_run(sp, "UPDATE rcpt SET routed = ?3 WHERE number = ?1 AND rcpt = ?2",
		     (int64_t[]){(int64_t)row->key.number, row->key.rcpt, routed.v}, 3, &why) < 0)
		spool_alert(sp, "spool: noting a way: %s", why.detail);
}

/*
 * It is due, and ways have changed since its own was looked up. What has no way any more, or too
 * many, keeps the one it had: that nobody takes it there will be said by who does not.
 */
static void route_again(struct spool *sp, const struct rcpt_row *row, const struct message_row *m,
			struct arena *a)
{
	struct spool_route route = {0};
	struct fail why = FAIL_INIT;
	struct wall_us now = clock_wall();
	int r = ask_route(sp, row, m, a, &route, &why);

	if (r == 1 && route.kind == SPOOL_ROUTE_OK && route.n > 0 && !same_way(row, &route)) {
		if (replace(sp, row, m, &route, STR_NULL, &why) == 0)
			return;
		spool_alert(sp, "spool: another way for message %llu: %s",
			    (unsigned long long)row->key.number, why.detail);
	}
	go_on(sp, row, m, r == 1 ? now : (struct wall_us){0});
}

/* ---- what is to be routed ---- */

/* 0 = settled one way or the other, negative = try again later. */
static int route_one(struct spool *sp, struct spool_key key, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(4));
	struct rcpt_row row = {.key = key};
	struct message_row m = {0};
	struct spool_route route = {0};
	struct str map = STR_NULL;
	int r = read_report(sp, key, &a, &row, &m, why);

	if (r == 0)
		forget(sp, key);
	if (r == 1 && row.state != SPOOL_ROUTING) {
		route_again(sp, &row, &m, &a);
		return 0;
	}
	if (r == 1)
		r = ask_route(sp, &row, &m, &a, &route, why);
	if (r <= 0)
		return r;
	if (route.kind == SPOOL_ROUTE_REFUSED && m.kind == KIND_MAIL) {
		fail_routed(sp, key, &route);
		return 0;
	}
	if (route.kind == SPOOL_ROUTE_REFUSED) {
		drop_report(sp, &m, &row, &route);
		route.n = 0;
	} else if (sp->c.map && m.map.n == 0 && m.body.n > 0) {
		r = sp->c.map(sp->c.ctx, m.body, &a, &map, why);
	}
	if (r >= 0)
		r = replace(sp, &row, &m, &route, map, why);
	if (r == -FAIL_LIMIT && m.kind == KIND_MAIL && route.n > 1) {
		fail_too_many(sp, key, why);
		return 0;
	}
	return r;
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

void clerk_look(struct spool *sp, bool at_once)
{
	struct schedule *s = &sp->schedule;
	struct mono_ns now = clock_mono();
	struct wall_us changed = {0};
	struct fail why = FAIL_INIT;

	{
		LOCKED(&s->lock);
		if (!sp->c.routes_changed ||
		    s->counts.by_state[SPOOL_DEFER] + s->counts.by_state[SPOOL_QUEUED] == 0 ||
		    (!at_once && mono_before(now, s->look_at)))
			return;
		s->look_at = mono_add_ms(now, LOOK_MS);
	}
	if (sp->c.routes_changed(sp->c.ctx, &changed, &why) < 0)
		return;
	LOCKED(&s->lock);
	s->changed.v = MAX(s->changed.v, changed.v);
}

void spool_tick(struct spool *sp)
{
	bool more = true;

	clerk_look(sp, false);
	while (more) {
		{
			LOCKED(&sp->schedule.lock);
			hop_revive(sp, clock_mono());
		}
		window_load(sp);
		more = hop_settle_idle(sp);
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

/* Nothing waits: sleep until nudged. Else look every second, as the clock may be bent. */
static bool wait_for_work(struct spool *sp)
{
	struct jobs *j = &sp->jobs;
	bool timers = false;
	struct timespec t;

	{
		LOCKED(&sp->schedule.lock);
		timers = window_next(sp).v != INT64_MAX || sp->schedule.counts.hops_dead > 0 ||
			 !list_empty(&sp->schedule.parked);
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
