/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every unfinished recipient has an entry in memory: in a lane's list when it is due, in the heap
 * until then, in neither while it is held. The rows are the truth; this is how they are found in
 * time.
 */
#include "spool_int.h"

#include "sys/clock.h"

static uint64_t map_key(struct spool_key k)
{
	return k.number * SPOOL_RCPTS_MAX + k.rcpt;
}

void schedule_init(struct spool *sp)
{
	struct schedule *s = &sp->schedule;

	(void)pthread_mutex_init(&s->lock, NULL);
	s->n_lanes = sp->c.lanes + 2;
	s->lanes = xcalloc(s->n_lanes, sizeof *s->lanes);
	for (unsigned i = 0; i < s->n_lanes; i++) {
		list_init(&s->lanes[i].flows);
		list_init(&s->lanes[i].suspects);
		list_init(&s->lanes[i].flying);
	}
}

void schedule_clear(struct spool *sp)
{
	struct schedule *s = &sp->schedule;

	MAP_EACH (&s->by_key, i)
		free(s->by_key.slots[i].value);
	map_clear(&s->by_key);
	for (unsigned i = 0; i < s->n_lanes; i++) {
		LIST_EACH (&s->lanes[i].flows, n)
			free(CONTAINER_OF(n, struct flow, link));
		map_clear(&s->lanes[i].by_source);
	}
	vec_clear(&s->heap);
	free(s->lanes);
	(void)pthread_mutex_destroy(&s->lock);
}

unsigned schedule_lane(const struct spool *sp, struct account_id account, enum spool_state state)
{
	if (state == SPOOL_ROUTING)
		return LANE_ROUTING(sp);
	if (account.v == 0)
		return LANE_REMOTE(sp);
	if (!sp->c.lane_of)
		return (unsigned)(account.v % sp->c.lanes);
	return MIN(sp->c.lane_of(sp->c.ctx, account), sp->c.lanes - 1);
}

/* ---- heap ---- */

static void heap_set(struct schedule *s, size_t at, struct entry *e)
{
	s->heap.p[at] = e;
	e->heap_at = at;
}

static void heap_up(struct schedule *s, size_t at)
{
	struct entry *e = s->heap.p[at];

	while (at > 0 && s->heap.p[(at - 1) / 2]->due.v > e->due.v) {
		heap_set(s, at, s->heap.p[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(s, at, e);
}

static void heap_down(struct schedule *s, size_t at)
{
	struct entry *e = s->heap.p[at];

	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= s->heap.n)
			break;
		if (child + 1 < s->heap.n && s->heap.p[child + 1]->due.v < s->heap.p[child]->due.v)
			child++;
		if (s->heap.p[child]->due.v >= e->due.v)
			break;
		heap_set(s, at, s->heap.p[child]);
		at = child;
	}
	heap_set(s, at, e);
}

static void heap_add(struct schedule *s, struct entry *e)
{
	*(struct entry **)vec_push(&s->heap) = e;
	e->heap_at = s->heap.n - 1;
	heap_up(s, e->heap_at);
}

static void heap_remove(struct schedule *s, struct entry *e)
{
	size_t at = e->heap_at;

	if (at == SIZE_MAX)
		return;
	struct entry *last = *vec_pop(&s->heap);
	e->heap_at = SIZE_MAX;
	if (last == e)
		return;
	heap_set(s, at, last);
	heap_up(s, at);
	heap_down(s, last->heap_at);
}

/* ---- flows ---- */

/* Of one source at a time: large enough that a message's recipients share its loading. */
#define TURN 16

uint64_t schedule_source(struct account_id auth_account, struct str sender)
{
	if (auth_account.v)
		return auth_account.v << 1 | 1;
	return str_hashi(str_skip(sender, str_rfind(sender, '@') + 1)) | 2;
}

static void flow_add(struct lane *l, struct entry *e)
{
	struct flow *f = map_get(&l->by_source, e->source);
	if (!f) {
		f = xcalloc(1, sizeof *f);
		f->source = e->source;
		list_init(&f->entries);
		list_append(&l->flows, &f->link);
		(void)map_put(&l->by_source, e->source, f);
	}
	list_append(&f->entries, &e->link);
	e->flow = f;
}

/* Behind the removal of one of its entries. */
static void flow_trim(struct lane *l, struct flow *f)
{
	if (!list_empty(&f->entries))
		return;
	list_remove(&f->link);
	(void)map_remove(&l->by_source, f->source);
	free(f);
}

bool schedule_lane_is_quiet(const struct lane *l)
{
	return list_empty(&l->flows) && list_empty(&l->suspects);
}

void schedule_next(struct spool *sp, struct lane *l, size_t max, struct key_vec *out)
{
	size_t turn = 0;
	struct flow *last = NULL;

	while (out->n < max && !list_empty(&l->flows)) {
		struct flow *f = CONTAINER_OF(l->flows.next, struct flow, link);
		struct entry *e = CONTAINER_OF(f->entries.next, struct entry, link);
		turn = f == last ? turn + 1 : 1;
		last = f;
		bool rest = f->entries.next->next != &f->entries;
		schedule_fly(sp, e);
		*(struct spool_key *)vec_push(out) = e->key;
		if (!rest) {
			last = NULL; /* it is gone */
		} else if (turn == TURN) {
			list_remove(&f->link);
			list_append(&l->flows, &f->link);
			last = NULL;
		}
	}
	/* Who had a part of a turn comes last, too: small batches must not favour the first. */
	if (last && turn > 0) {
		list_remove(&last->link);
		list_append(&l->flows, &last->link);
	}
}

/* ---- entries ---- */

struct entry *schedule_find(struct spool *sp, struct spool_key key)
{
	return map_get(&sp->schedule.by_key, map_key(key));
}

/* Out of every list, no longer in flight. */
static void detach(struct schedule *s, struct entry *e)
{
	struct lane *l = &s->lanes[e->lane];

	heap_remove(s, e);
	list_remove(&e->link);
	if (e->flow)
		flow_trim(l, e->flow);
	e->flow = NULL;
	if (e->in_flight) {
		l->n_flying--;
		s->counts.in_flight--;
		/* Suspects, and what waits behind one, may go now that the lane is empty. */
		if (l->n_flying == 0 && !schedule_lane_is_quiet(l))
			l->woken = true;
	}
	e->in_flight = false;
	e->settling = false;
}

static void make_ready(struct schedule *s, struct entry *e)
{
	struct lane *l = &s->lanes[e->lane];

	if (e->crashes)
		list_append(&l->suspects, &e->link);
	else
		flow_add(l, e);
	l->woken = true;
}

/*
 * No pause is longer than retry_max_s. What is due later than that was written while the clock was
 * ahead, and the clock has been put right since: it has waited long enough.
 */
static bool is_due(const struct spool *sp, struct wall_us due, struct wall_us now)
{
	return due.v <= now.v || due.v > now.v + (int64_t)sp->c.retry_max_s * SEC_US;
}

void schedule_place(struct spool *sp, struct entry *e, enum spool_state state, struct wall_us due)
{
	struct schedule *s = &sp->schedule;

	detach(s, e);
	s->counts.by_state[e->state]--;
	s->counts.by_state[state]++;
	e->state = state;
	e->due = due;
	e->lane = schedule_lane(sp, e->account, state);
	if (state == SPOOL_HELD)
		return;
	if (is_due(sp, due, clock_wall()))
		make_ready(s, e);
	else
		heap_add(s, e);
}

struct entry *schedule_add(struct spool *sp, struct spool_key key, const struct new_entry *n)
{
	struct schedule *s = &sp->schedule;
	struct entry *e = xcalloc(1, sizeof *e);

	e->key = key;
	e->account = n->account;
	e->crashes = n->crashes;
	e->source = n->source ? n->source : 1;
	e->heap_at = SIZE_MAX;
	e->state = n->state;
	list_init(&e->link);
	s->counts.by_state[n->state]++;
	(void)map_put(&s->by_key, map_key(key), e);
	schedule_place(sp, e, n->state, n->due);
	return e;
}

void schedule_remove(struct spool *sp, struct entry *e)
{
	struct schedule *s = &sp->schedule;

	detach(s, e);
	s->counts.by_state[e->state]--;
	(void)map_remove(&s->by_key, map_key(e->key));
	free(e);
}

void schedule_fly(struct spool *sp, struct entry *e)
{
	struct schedule *s = &sp->schedule;

	detach(s, e);
	e->in_flight = true;
	list_append(&s->lanes[e->lane].flying, &e->link);
	s->lanes[e->lane].n_flying++;
	s->counts.in_flight++;
}

void schedule_advance(struct spool *sp, struct wall_us now)
{
	struct schedule *s = &sp->schedule;

	while (s->heap.n > 0 && is_due(sp, s->heap.p[0]->due, now)) {
		struct entry *e = s->heap.p[0];
		heap_remove(s, e);
		make_ready(s, e);
	}
}

void schedule_announce(struct spool *sp)
{
	struct schedule *s = &sp->schedule;

	for (unsigned i = 0; i < s->n_lanes; i++) {
		(void)pthread_mutex_lock(&s->lock);
		bool woken = s->lanes[i].woken;
		s->lanes[i].woken = false;
		(void)pthread_mutex_unlock(&s->lock);
		if (!woken)
			continue;
		if (i >= sp->c.lanes)
			clerk_nudge(sp);
		else if (sp->c.ready)
			sp->c.ready(sp->c.ctx, i);
	}
}

int schedule_load(struct spool *sp, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(
		sp->db,
		"SELECT r.number, r.rcpt, r.account, r.state, r.due, r.crashes,"
		" m.auth_account, m.sender FROM rcpt r JOIN message m ON m.number = r.number",
		&st, why);

	if (r < 0)
		return r;
	LOCKED(&sp->schedule.lock);
	while ((r = db_step(st, why)) == 1) {
		int64_t state = db_col_i64(st, 3);
		if (state < 0 || state >= SPOOL_STATES) {
			db_reset(st);
			return fail_set(why, FAIL_CORRUPT, NULL, "recipient in state %lld",
					(long long)state);
		}
		(void)schedule_add(
			sp, (struct spool_key){db_col_u64(st, 0), (uint32_t)db_col_u64(st, 1)},
			&(struct new_entry){
				.account = {db_col_u64(st, 2)},
				.state = (enum spool_state)state,
				.due = {db_col_i64(st, 4)},
				.crashes = (unsigned)db_col_i64(st, 5),
				.source = schedule_source((struct account_id){db_col_u64(st, 6)},
							  db_col_text(st, 7))});
	}
	return r;
}

struct wall_us spool_next_due(struct spool *sp)
{
	struct schedule *s = &sp->schedule;

	LOCKED(&s->lock);
	for (unsigned i = 0; i < s->n_lanes; i++)
		if (!schedule_lane_is_quiet(&s->lanes[i]))
			return clock_wall();
	return s->heap.n > 0 ? s->heap.p[0]->due : (struct wall_us){INT64_MAX};
}

void spool_count(struct spool *sp, struct spool_counts *ret)
{
	LOCKED(&sp->schedule.lock);
	*ret = sp->schedule.counts;
}
