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

/*
 * Mark up to max entries of a lane as in flight. While there are suspects, the lane first runs
 * empty and then flies them one by one: whoever kills it then is found, and the others are cleared.
 */
static void pick(struct spool *sp, unsigned lane, size_t max, struct key_vec *out)
{
	LOCKED(&sp->schedule.lock);
	schedule_advance(sp, clock_wall());
	struct lane *l = &sp->schedule.lanes[lane];
	if (!list_empty(&l->suspects)) {
		if (l->n_flying > 0)
			return;
		struct entry *e = CONTAINER_OF(l->suspects.next, struct entry, link);
		schedule_fly(sp, e);
		*(struct spool_key *)vec_push(out) = e->key;
		return;
	}
	if (l->n_flying == 1 && CONTAINER_OF(l->flying.next, struct entry, link)->crashes)
		return;
	schedule_next(sp, l, max, out);
}

static int by_key(const void *a, const void *b)
{
	const struct spool_key *x = a;
	const struct spool_key *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->rcpt < y->rcpt ? -1 : x->rcpt > y->rcpt;
}

/* These were not handed out after all: due again at `due`, or held. */
static void put_back(struct spool *sp, const struct spool_key *keys, size_t n, bool hold,
		     struct wall_us due)
{
	LOCKED(&sp->schedule.lock);
	for (size_t i = 0; i < n; i++) {
		struct entry *e = schedule_find(sp, keys[i]);
		if (e && e->in_flight)
			schedule_place(sp, e, hold ? SPOOL_HELD : e->state, due);
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
	for (size_t i = 0; i < n; i++) {
		struct rcpt_row row;
		r = rows_rcpt(sp, keys[i], a, &row, why);
		if (r < 0)
			return r;
		if (r == 0) {
			forget(sp, keys[i]);
			continue;
		}
		d.due[d.n_due++] = (struct spool_due){
			.rcpt = keys[i].rcpt,
			.to = row.to,
			.original = row.original,
			.attempts = row.attempts,
		};
	}
	r = open_body(sp, &m, &fd, why);
	if (r < 0)
		return r;
	d.body_fd = fd;
	*ret = d;
	return d.n_due > 0;
}

/* A message whose body cannot be had is kept for the operator, away from the lane. */
static int hold_damaged(struct spool *sp, const struct spool_key *keys, size_t n,
			const struct fail *damage)
{
	struct fail why = FAIL_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = rows_run(sp, "UPDATE rcpt SET state = ?3 WHERE number = ?1 AND rcpt = ?2",
			     (int64_t[]){(int64_t)keys[i].number, keys[i].rcpt, SPOOL_HELD}, 3,
			     &why);
	put_back(sp, keys, n, true, clock_wall());
	spool_alert(sp, "spool: message %llu is held: %s", (unsigned long long)keys[0].number,
		    damage->detail);
	return r;
}

static size_t same_number(const struct key_vec *p, size_t from)
{
	size_t n = 1;

	while (from + n < p->n && p->p[from + n].number == p->p[from].number)
		n++;
	return n;
}

static int load_all(struct spool *sp, const struct key_vec *p, struct spool_batch *b,
		    struct fail *why)
{
	struct wall_us soon = {clock_wall().v + SEC_US};

	b->v = arena_array(&b->arena, struct spool_delivery, p->n);
	if (!b->v)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a batch");
	SPOOL_DB(sp);
	for (size_t i = 0, n; i < p->n; i += n) {
		struct fail bad = FAIL_INIT;
		n = same_number(p, i);
		int r = load(sp, &p->p[i], n, &b->arena, &b->v[b->n], &bad);
		if (r == 1) {
			b->n++;
		} else if (r == 0) {
			for (size_t k = 0; k < n; k++)
				forget(sp, p->p[i + k]);
		} else if (r == -FAIL_NOTFOUND || r == -FAIL_CORRUPT) {
			r = hold_damaged(sp, &p->p[i], n, &bad);
			if (r < 0)
				return r;
		} else {
			/* No room for more in this batch, or a passing trouble: later. */
			put_back(sp, &p->p[i], p->n - i, false, b->n > 0 ? clock_wall() : soon);
			clerk_nudge(sp);
			if (b->n > 0)
				return 0;
			if (why)
				*why = bad;
			return r;
		}
	}
	return 0;
}

int spool_take(struct spool *sp, unsigned lane, size_t max_rcpts, struct spool_batch *b,
	       struct fail *why)
{
	struct key_vec p = {0};

	if (lane >= sp->c.lanes)
		return fail_set(why, FAIL_BUG, NULL, "there is no lane %u", lane);
	pick(sp, lane, max_rcpts, &p);
	int r = 0;
	if (p.n > 1)
		qsort(p.p, p.n, sizeof *p.p, by_key);
	if (p.n > 0)
		r = load_all(sp, &p, b, why);
	vec_clear(&p);
	return r;
}

void spool_return(struct spool *sp, const struct spool_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; k < b->v[i].n_due; k++) {
			struct spool_key key = {b->v[i].number, b->v[i].due[k].rcpt};
			put_back(sp, &key, 1, false, clock_wall());
		}
	schedule_announce(sp);
}

/* ---- the taker died ---- */

static int note_crash(struct spool *sp, struct spool_key key, unsigned crashes, bool hold)
{
	struct fail why = FAIL_INIT;

	SPOOL_DB(sp);
	int r = hold ? rows_crashes(sp, key, crashes, SPOOL_HELD, &why)
		     : rows_run(sp, "UPDATE rcpt SET crashes = ?3 WHERE number = ?1 AND rcpt = ?2",
				(int64_t[]){(int64_t)key.number, key.rcpt, crashes}, 3, &why);
	if (r < 0)
		spool_alert(sp, "spool: cannot note a crash: %s", why.detail);
	return r;
}

void spool_lane_died(struct spool *sp, unsigned lane)
{
	struct key_vec flying = {0};

	if (lane >= sp->c.lanes)
		return;
	{
		LOCKED(&sp->schedule.lock);
		LIST_EACH (&sp->schedule.lanes[lane].flying, n) {
			struct entry *e = CONTAINER_OF(n, struct entry, link);
			if (!e->settling) /* its outcome is known and waits to be written */
				*(struct spool_key *)vec_push(&flying) = e->key;
		}
	}
	for (size_t i = 0; i < flying.n; i++) {
		struct spool_key key = flying.p[i];
		unsigned crashes = 0;
		bool hold = false;
		{
			LOCKED(&sp->schedule.lock);
			struct entry *e = schedule_find(sp, key);
			if (!e || !e->in_flight || e->settling)
				continue;
			crashes = ++e->crashes;
			hold = crashes >= sp->c.crash_max;
			schedule_place(sp, e, hold ? SPOOL_HELD : e->state, clock_wall());
		}
		(void)!note_crash(sp, key, crashes, hold);
		if (hold)
			spool_alert(sp,
				    "spool: message %llu is held: its delivery ended %u workers",
				    (unsigned long long)key.number, crashes);
	}
	vec_clear(&flying);
	schedule_announce(sp);
}
