/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator does.
 */
#include "spool_int.h"

#include "sys/clock.h"
#include "sys/crash.h"

/* So many recipients are changed in one transaction. */
enum { AT_ONCE = 2000 };

#define BIT(state) (1u << (state))

static const struct deed {
	unsigned from; /* states, as bits */
	enum spool_state to;
} deeds[] = {
	[SPOOL_HOLD] = {BIT(SPOOL_QUEUED) | BIT(SPOOL_DEFER), SPOOL_HELD},
	[SPOOL_RELEASE] = {BIT(SPOOL_HELD), SPOOL_QUEUED},
	[SPOOL_FLUSH] = {BIT(SPOOL_DEFER), SPOOL_QUEUED},
	[SPOOL_REQUEUE] = {BIT(SPOOL_QUEUED) | BIT(SPOOL_DEFER) | BIT(SPOOL_HELD), SPOOL_ROUTING},
	[SPOOL_DELETE] = {BIT(SPOOL_QUEUED) | BIT(SPOOL_DEFER) | BIT(SPOOL_HELD) |
				  BIT(SPOOL_ROUTING),
			  SPOOL_STATES},
};

struct target {
	struct spool_key key;
	enum spool_state was;
	bool done;
};
struct targets {
	VEC_FIELDS(struct target);
	unsigned from;
	unsigned max; /* 0: all */
	bool any;     /* the query named a row */
};

static int add_target(void *ctx, const struct spool_row *row)
{
	struct targets *t = ctx;

	t->any = true;
	if (!row->in_flight && (BIT(row->state) & t->from))
		*(struct target *)vec_push(t) = (struct target){.key = row->key, .was = row->state};
	return t->max && t->n == t->max;
}

static bool flies(struct spool *sp, struct spool_key key)
{
	LOCKED(&sp->schedule.lock);
	const struct entry *e = schedule_find(sp, key);
	return e && e->in_flight;
}

static int write_one(struct spool *sp, enum spool_order order, const struct target *t,
		     struct settled *out, struct fail *why)
{
	int64_t v[] = {(int64_t)t->key.number, t->key.rcpt, t->was, deeds[order].to};
	struct spool_body_id body = {0};

	if (order == SPOOL_REQUEUE)
		return rows_run(sp,
				"UPDATE rcpt SET state = ?4, due = 0, crashes = 0, nexthop = NULL"
				" WHERE number = ?1 AND rcpt = ?2 AND state = ?3",
				v, 4, why);
	if (order != SPOOL_DELETE)
		return rows_run(sp,
				"UPDATE rcpt SET state = ?4, due = 0, crashes = 0"
				" WHERE number = ?1 AND rcpt = ?2 AND state = ?3",
				v, 4, why);
	int r = rows_delete_rcpt(sp, t->key, why);
	bool gone = r == 0 && db_changes(sp->db) == 1;
	if (r == 0 && gone)
		r = rows_delete_empty(sp, t->key.number, &body, why);
	if (r == 1 && body_id_is_set(body))
		*(struct spool_body_id *)vec_push(&out->bodies) = body;
	return MIN(r, 0);
}

static int write_some(struct spool *sp, enum spool_order order, struct target *t, size_t n,
		      struct settled *out, struct fail *why)
{
	int r = db_begin(sp->db, why);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (flies(sp, t[i].key))
			continue;
		r = write_one(sp, order, &t[i], out, why);
		t[i].done = r == 0 && db_changes(sp->db) > 0;
	}
	CRASH_POINT("spool.before-change-commit");
	if (r == 0)
		r = db_commit(sp->db, why);
	CRASH_POINT("spool.after-change-commit");
	if (r < 0)
		db_rollback(sp->db);
	return r;
}

static int publish(struct spool *sp, enum spool_order order, const struct target *t, size_t n)
{
	enum spool_state to = deeds[order].to;
	int done = 0;

	LOCKED(&sp->schedule.lock);
	for (size_t i = 0; i < n; i++) {
		struct entry *e = t[i].done ? schedule_find(sp, t[i].key) : NULL;
		done += t[i].done;
		if (e)
			schedule_remove(sp, e);
		if (t[i].done && to < SPOOL_STATES) {
			schedule_count(sp, t[i].was, to);
			if (to != SPOOL_HELD)
				window_note(sp, to, (struct wall_us){0}, t[i].key);
		} else if (t[i].done) {
			schedule_count_gone(sp, t[i].was, 1);
		}
	}
	return done;
}

static int change_some(struct spool *sp, enum spool_order order, struct target *t, size_t n,
		       struct fail *why)
{
	struct settled s = {0};
	int done = 0;
	int r = 0;

	{
		SPOOL_DB(sp);
		r = write_some(sp, order, t, n, &s, why);
		if (r == 0)
			done = publish(sp, order, t, n);
	}
	for (size_t i = 0; r == 0 && i < s.bodies.n; i++)
		body_unlink(sp, s.bodies.p[i]);
	settled_clear(&s);
	return r < 0 ? r : done;
}

static int change_all(struct spool *sp, enum spool_order order, struct targets *t, struct fail *why)
{
	int done = 0;

	for (size_t i = 0; i < t->n; i += AT_ONCE) {
		int r = change_some(sp, order, &t->p[i], MIN(t->n - i, (size_t)AT_ONCE), why);
		if (r < 0)
			return r;
		done += r;
	}
	return done;
}

int spool_carry_out(struct spool *sp, enum spool_order order, const struct spool_query *q,
		    bool dry_run, struct fail *why)
{
	struct targets t = {.from = deeds[order].from, .max = q->max};
	int r = MIN(spool_each(sp, q, add_target, &t, why), 0);

	if (r == 0 && q->number && !t.any)
		r = fail_set(why, FAIL_NOTFOUND, "There is no such message in the queue.",
			     "no message %llu", (unsigned long long)q->number);
	if (r == 0 && order == SPOOL_FLUSH && !dry_run)
		clerk_look(sp, true);
	if (r == 0)
		r = dry_run ? (int)t.n : change_all(sp, order, &t, why);
	vec_clear(&t);
	if (r < 0 || dry_run)
		return r;
	if (order == SPOOL_FLUSH) {
		LOCKED(&sp->schedule.lock);
		hop_revive(sp, (struct mono_ns){INT64_MAX});
	}
	window_load(sp);
	schedule_announce(sp);
	return r;
}
