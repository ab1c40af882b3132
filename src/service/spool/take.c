/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handing out what is due, and what happens when the one who took it dies.
 */
#include "spool_int.h"

#include "sys/clock.h"
#include <errno.h>
#include <fcntl.h>

void spool_batch_clear(struct spool_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].body_fd >= 0)
			(void)close(b->v[i].body_fd);
	arena_clear(&b->arena);
	*b = SPOOL_BATCH_INIT;
}

/* What is handed out together: recipients of one message. */
struct pick {
	struct hop *hop; /* busy with it, so it lives; NULL: a user process */
	size_t at;
	size_t n;
};
struct picks {
	struct key_vec keys;
	VEC(struct pick) v;
};

static void picks_clear(struct picks *p)
{
	vec_clear(&p->keys);
	vec_clear(&p->v);
}

static int by_key(const void *a, const void *b)
{
	const struct spool_key *x = a;
	const struct spool_key *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->rcpt < y->rcpt ? -1 : x->rcpt > y->rcpt;
}

/*
 * Mark up to max entries of a lane as in flight. While there are suspects, the lane first runs
 * empty and then flies them one by one: whoever kills it then is found, and the others are cleared.
 */
static void pick(struct spool *sp, unsigned lane, size_t max, struct key_vec *out)
{
	LOCKED(&sp->schedule.lock);
	struct lane *l = &sp->schedule.lanes[lane];
	if (!list_empty(&l->suspects)) {
		if (l->n_flying > 0)
			return;
		struct entry *e = CONTAINER_OF(l->suspects.next, struct entry, link);
		*(struct spool_key *)vec_push(out) = e->key;
		schedule_fly(sp, e);
		return;
	}
	if (l->n_flying == 1 && CONTAINER_OF(l->flying.next, struct entry, link)->crashes)
		return;
	schedule_next(sp, l, max, out);
}

static void pick_local(struct spool *sp, unsigned lane, size_t max, struct picks *out)
{
	pick(sp, lane, max, &out->keys);
	if (out->keys.n > 1)
		qsort(out->keys.p, out->keys.n, sizeof *out->keys.p, by_key);
	for (size_t i = 0, n; i < out->keys.n; i += n) {
		for (n = 1; i + n < out->keys.n; n++)
			if (out->keys.p[i + n].number != out->keys.p[i].number)
				break;
		*(struct pick *)vec_push(&out->v) = (struct pick){.at = i, .n = n};
	}
}

static void pick_remote(struct spool *sp, size_t max, struct picks *out)
{
	LOCKED(&sp->schedule.lock);
	while (out->v.n < max) {
		size_t at = out->keys.n;
		struct hop *h = hop_next(sp, &out->keys);
		if (!h)
			break;
		*(struct pick *)vec_push(&out->v) =
			(struct pick){.hop = h, .at = at, .n = out->keys.n - at};
	}
}

static void pick_over(struct spool *sp, const struct pick *p)
{
	LOCKED(&sp->schedule.lock);
	if (p->hop)
		hop_over(sp, p->hop, SPOOL_CONTACT_UNKNOWN, NULL, STR(""));
}

/* These were not handed out after all: due again at once. */
static void put_back(struct spool *sp, const struct spool_key *keys, size_t n)
{
	LOCKED(&sp->schedule.lock);
	for (size_t i = 0; i < n; i++) {
		struct entry *e = schedule_find(sp, keys[i]);
		if (e && e->in_flight)
			schedule_again(sp, e);
	}
}

/* The same, but not before `due`. */
static void put_aside(struct spool *sp, const struct spool_key *keys, size_t n, struct wall_us due)
{
	LOCKED(&sp->schedule.lock);
	for (size_t i = 0; i < n; i++) {
		struct entry *e = schedule_find(sp, keys[i]);
		if (!e || !e->in_flight)
			continue;
		enum spool_state state = e->state;
		window_note(sp, state, e->due, keys[i]);
		sp->schedule.cursors[state].next = due;
		schedule_remove(sp, e);
	}
}

static void forget(struct spool *sp, struct spool_key key)
{
	LOCKED(&sp->schedule.lock);
	struct entry *e = schedule_find(sp, key);
	if (e)
		schedule_remove(sp, e);
}

static int open_body(struct spool *sp, const struct message_row *m, int *ret_fd, struct fail *why)
{
	AUTO(fs_file) struct fs_file *f = NULL;

	if (!body_id_is_set(m->body_id))
		return 0;
	int r = body_open(sp, m->body_id, &f, why);
	if (r < 0)
		return r;
	*ret_fd = fcntl(fs_file_fd(f), F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? fail_errno(why, FAIL_LIMIT, "duplicating a body's descriptor") : 0;
}

/* Those of its recipients that are in keys. */
static int load_due(struct spool *sp, const struct spool_key *keys, size_t n, struct arena *a,
		    struct spool_delivery *d, struct fail *why)
{
	for (size_t i = 0; i < n; i++) {
		struct rcpt_row row;
		int r = rows_rcpt(sp, keys[i], a, &row, why);
		if (r < 0)
			return r;
		if (r == 0) {
			forget(sp, keys[i]);
			continue;
		}
		/* The operator's order was written between our choice and this look. */
		if (row.state == SPOOL_HELD || row.state == SPOOL_ROUTING)
			continue;
		d->due[d->n_due++] = (struct spool_due){
			.rcpt = keys[i].rcpt,
			.to = row.to,
			.original = row.original,
			.orcpt = row.orcpt,
			.notify = row.notify,
			.attempts = row.attempts,
		};
	}
	return 0;
}

/* One message and those of its recipients that are in keys. 1, or 0: none exists any more. */
static int load(struct spool *sp, const struct spool_key *keys, size_t n, struct arena *a,
		struct spool_delivery *ret, struct fail *why)
{
	struct message_row m;
	int fd = -1;
	int r = rows_message(sp, keys[0].number, true, a, &m, why);

	if (r <= 0)
		return r;
	struct spool_delivery d = {
		.number = m.number,
		.trace = m.trace,
		.sender = m.sender,
		.smtputf8 = m.smtputf8,
		.eightbit = m.eightbit,
		.auth_account = m.auth_account,
		.envid = m.envid,
		.ret = m.ret,
		.wish = m.wish,
		.prefix = m.prefix,
		.body = m.body,
		.body_id = m.body_id,
		.body_size = m.body_size,
		.map = m.map,
		.arrival = m.arrival,
		.due = arena_array(a, struct spool_due, n),
	};
	memcpy(d.sha256, m.sha256, SPOOL_HASH_LEN);
	if (!d.due)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a delivery");
	r = load_due(sp, keys, n, a, &d, why);
	if (r == 0 && d.n_due > 0)
		r = open_body(sp, &m, &fd, why);
	if (r < 0)
		return r;
	d.body_fd = fd;
	*ret = d;
	return d.n_due > 0;
}

static int write_hold(struct spool *sp, const struct spool_key *keys, size_t n, struct str reason,
		      struct fail *why)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct db_stmt *st = NULL;
		r = db_stmt(sp->db,
			    "UPDATE rcpt SET state = 2, text = ?3 WHERE number = ?1 AND rcpt = ?2",
			    &st, why);
		if (r < 0)
			return r;
		db_bind_u64(st, 1, keys[i].number);
		db_bind_i64(st, 2, keys[i].rcpt);
		db_bind_text(st, 3, reason);
		r = db_run(st, why);
	}
	return r;
}

/* In memory: they are no longer due. */
static void held(struct spool *sp, const struct spool_key *keys, size_t n)
{
	LOCKED(&sp->schedule.lock);
	for (size_t i = 0; i < n; i++) {
		struct entry *e = schedule_find(sp, keys[i]);
		if (!e)
			continue;
		schedule_count(sp, e->state, SPOOL_HELD);
		schedule_remove(sp, e);
	}
}

int hold_rows(struct spool *sp, const struct spool_key *keys, size_t n, struct str reason,
	      struct fail *why)
{
	SPOOL_DB(sp);
	int r = db_begin(sp->db, why);
	if (r == 0)
		r = write_hold(sp, keys, n, reason, why);
	if (r == 0)
		r = db_commit(sp->db, why);
	if (r < 0)
		db_rollback(sp->db);
	else
		held(sp, keys, n);
	return r;
}

void hold_flying(struct spool *sp, const struct spool_key *keys, size_t n, struct str reason)
{
	struct fail why = FAIL_INIT;

	if (hold_rows(sp, keys, n, reason, &why) == 0)
		return;
	spool_alert(sp, "spool: cannot hold: %s", why.detail);
	put_aside(sp, keys, n, (struct wall_us){clock_wall().v + SEC_US});
}

/* A message whose body cannot be had is kept for the operator, away from the lane. */
static int hold_damaged(struct spool *sp, const struct spool_key *keys, size_t n,
			const struct fail *damage)
{
	struct fail why = FAIL_INIT;
	int r = write_hold(sp, keys, n, str_c(damage->detail), &why);

	held(sp, keys, n);
	spool_alert(sp, "spool: message %llu is held: %s", (unsigned long long)keys[0].number,
		    damage->detail);
	return r;
}

/* RFC 2852 4.1.4: its time is over before anybody was asked. */
static bool too_late(struct spool *sp, const struct spool_delivery *d)
{
	struct spool_result r = {.outcome = SPOOL_FAILED,
				 .status = "5.4.7",
				 .text = STR("the time that its sender gave is over"),
				 .untried = true};

	if (d->wish.deliver_by.v == 0 || (d->wish.by & 3u) != SPOOL_BY_RETURN ||
	    clock_wall().v < d->wish.deliver_by.v)
		return false;
	for (size_t i = 0; i < d->n_due; i++)
		spool_done(sp, (struct spool_key){d->number, d->due[i].rcpt}, &r);
	return true;
}

/* Load one pick as the next of the batch. 0 also when nothing is left of it. */
static int load_pick(struct spool *sp, const struct picks *p, const struct pick *one,
		     struct spool_batch *b, struct fail *why)
{
	const struct spool_key *keys = &p->keys.p[one->at];
	struct spool_delivery *d = &b->v[b->n];
	int r = load(sp, keys, one->n, &b->arena, d, why);

	if (r == 1 && one->hop) {
		d->nexthop = arena_str(&b->arena, str_c(one->hop->name));
		if (!d->nexthop.p || too_late(sp, d)) {
			if (d->body_fd >= 0)
				(void)close(d->body_fd);
			r = d->nexthop.p ? 0 : fail_set(why, FAIL_LIMIT, NULL, "arena full");
			if (r == 0)
				pick_over(sp, one);
			return r;
		}
	}
	if (r == 1) {
		b->n++;
		return 0;
	}
	if (r == 0) {
		for (size_t k = 0; k < one->n; k++)
			forget(sp, keys[k]);
	} else if (r == -FAIL_NOTFOUND || r == -FAIL_CORRUPT) {
		r = hold_damaged(sp, keys, one->n, why);
	} else {
		return r;
	}
	pick_over(sp, one);
	return r;
}

static int load_all(struct spool *sp, const struct picks *p, struct spool_batch *b,
		    struct fail *why)
{
	struct wall_us soon = {clock_wall().v + SEC_US};

	b->v = arena_array(&b->arena, struct spool_delivery, p->v.n);
	SPOOL_DB(sp);
	for (size_t i = 0; i < p->v.n; i++) {
		struct fail bad = FAIL_INIT;
		int r = b->v ? load_pick(sp, p, &p->v.p[i], b, &bad)
			     : fail_set(&bad, FAIL_LIMIT, NULL, "arena full at a batch");
		if (r == 0)
			continue;
		/* No room for more in this batch, or a passing trouble: later. */
		for (; i < p->v.n; i++) {
			const struct pick *one = &p->v.p[i];
			if (b->n > 0)
				put_back(sp, &p->keys.p[one->at], one->n);
			else
				put_aside(sp, &p->keys.p[one->at], one->n, soon);
			pick_over(sp, one);
		}
		clerk_nudge(sp);
		if (b->n > 0)
			return 0;
		if (why)
			*why = bad;
		return r;
	}
	return 0;
}

int spool_take(struct spool *sp, unsigned lane, size_t max_rcpts, struct spool_batch *b,
	       struct fail *why)
{
	struct picks p = {0};
	int r = 0;

	if (lane >= sp->c.lanes)
		return fail_set(why, FAIL_BUG, NULL, "there is no lane %u", lane);
	window_load(sp);
	pick_local(sp, lane, max_rcpts, &p);
	if (p.v.n > 0)
		r = load_all(sp, &p, b, why);
	picks_clear(&p);
	return r;
}

int spool_take_remote(struct spool *sp, size_t max, struct spool_batch *b, struct fail *why)
{
	struct picks p = {0};
	int r = 0;

	window_load(sp);
	pick_remote(sp, max, &p);
	if (p.v.n > 0)
		r = load_all(sp, &p, b, why);
	picks_clear(&p);
	return r;
}

void spool_return(struct spool *sp, const struct spool_batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct spool_delivery *d = &b->v[i];
		for (size_t k = 0; k < d->n_due; k++) {
			struct spool_key key = {d->number, d->due[k].rcpt};
			put_back(sp, &key, 1);
		}
		if (d->nexthop.n)
			spool_over(sp, d->nexthop, SPOOL_CONTACT_UNKNOWN, NULL, STR(""));
	}
	schedule_announce(sp);
}

/* ---- the taker died ---- */

struct death {
	struct spool_key key;
	unsigned crashes;
	bool hold;
};
struct deaths {
	VEC_FIELDS(struct death);
};

/* With the lock held. What has its outcome already waits to be written. */
static void collect_flying(struct lane *l, struct key_vec *out)
{
	LIST_EACH (&l->flying, n) {
		struct entry *e = CONTAINER_OF(n, struct entry, link);
		if (!e->settling)
			*(struct spool_key *)vec_push(out) = e->key;
	}
}

static int write_deaths(struct spool *sp, const struct deaths *v, struct fail *why)
{
	int r = db_begin(sp->db, why);

	for (size_t i = 0; r == 0 && i < v->n; i++) {
		const struct death *d = &v->p[i];
		r = d->hold ? rows_crashes(sp, d->key, d->crashes, SPOOL_HELD, why)
			    : rows_run(sp,
				       "UPDATE rcpt SET crashes = ?3 WHERE number = ?1 AND"
				       " rcpt = ?2",
				       (int64_t[]){(int64_t)d->key.number, d->key.rcpt, d->crashes},
				       3, why);
	}
	if (r == 0)
		r = db_commit(sp->db, why);
	if (r < 0)
		db_rollback(sp->db);
	return r;
}

/* Count the deaths that these saw; they are due again, or held. */
static void bury(struct spool *sp, const struct key_vec *flying, struct deaths *out)
{
	LOCKED(&sp->schedule.lock);
	for (size_t i = 0; i < flying->n; i++) {
		struct entry *e = schedule_find(sp, flying->p[i]);
		if (!e || !e->in_flight || e->settling)
			continue;
		e->crashes = (uint8_t)MIN(e->crashes + 1, UINT8_MAX);
		struct death d = {.key = e->key,
				  .crashes = e->crashes,
				  .hold = e->crashes >= sp->c.crash_max};
		*(struct death *)vec_push(out) = d;
		if (d.hold) {
			schedule_count(sp, e->state, SPOOL_HELD);
			schedule_remove(sp, e);
		} else {
			schedule_again(sp, e);
		}
	}
}

static void died(struct spool *sp, struct key_vec *flying)
{
	struct deaths v = {0};
	struct fail why = FAIL_INIT;

	{
		SPOOL_DB(sp);
		bury(sp, flying, &v);
		if (v.n > 0 && write_deaths(sp, &v, &why) < 0)
			spool_alert(sp, "spool: cannot note a crash: %s", why.detail);
	}
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i].hold)
			spool_alert(sp,
				    "spool: message %llu is held: its delivery ended %u workers",
				    (unsigned long long)v.p[i].key.number, v.p[i].crashes);
	vec_clear(&v);
	vec_clear(flying);
	schedule_announce(sp);
}

void spool_lane_died(struct spool *sp, unsigned lane)
{
	struct key_vec flying = {0};

	if (lane >= sp->c.lanes)
		return;
	{
		LOCKED(&sp->schedule.lock);
		collect_flying(&sp->schedule.lanes[lane], &flying);
	}
	died(sp, &flying);
}

void spool_remote_died(struct spool *sp)
{
	struct key_vec flying = {0};

	{
		LOCKED(&sp->schedule.lock);
		MAP_EACH (&sp->schedule.hops, i)
			collect_flying(&((struct hop *)sp->schedule.hops.slots[i].value)->lane,
				       &flying);
	}
	died(sp, &flying);
}
