/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is due has an entry in memory, in its lane. The rows are the truth; this is whose turn it is
 * among them. What is not due, held, or more than fits, is in the database alone (window.c).
 */
#include "spool_int.h"

#include "sys/clock.h"

/* Deaths of the relay that a recipient may see before it is a suspect; of a shard: none. */
enum { REMOTE_DEATHS = 1 };

static uint64_t map_key(struct spool_key k)
{
	return k.number * SPOOL_RCPTS_MAX + k.rcpt;
}

void schedule_lane_init(struct lane *l)
{
	list_init(&l->flows);
	list_init(&l->suspects);
	list_init(&l->flying);
	list_init(&l->parked);
}

void schedule_lane_clear(struct lane *l)
{
	LIST_EACH (&l->flows, n) {
		struct flow *f = CONTAINER_OF(n, struct flow, link);
		LIST_EACH (&f->jobs, k)
			free(CONTAINER_OF(k, struct job, link));
		free(f);
	}
	map_clear(&l->by_source);
}

void schedule_init(struct spool *sp)
{
	struct schedule *s = &sp->schedule;

	(void)pthread_mutex_init(&s->lock, NULL);
	list_init(&s->ready);
	list_init(&s->idle);
	list_init(&s->parked);
	s->n_lanes = sp->c.lanes + 1;
	s->lanes = xcalloc(s->n_lanes, sizeof *s->lanes);
	for (unsigned i = 0; i < s->n_lanes; i++)
		schedule_lane_init(&s->lanes[i]);
	for (unsigned i = 0; i < SPOOL_STATES; i++)
		s->cursors[i] = (struct cursor){.due = {INT64_MIN}, .next = {INT64_MAX}};
}

void schedule_clear(struct spool *sp)
{
	struct schedule *s = &sp->schedule;

	MAP_EACH (&s->by_key, i)
		free(s->by_key.slots[i].value);
	map_clear(&s->by_key);
	MAP_EACH (&s->hops, i)
		hop_free(s->hops.slots[i].value);
	strmap_clear(&s->hops);
	for (unsigned i = 0; i < s->n_lanes; i++)
		schedule_lane_clear(&s->lanes[i]);
	free(s->lanes);
	(void)pthread_mutex_destroy(&s->lock);
}

static struct lane *lane_for(struct spool *sp, const struct new_entry *n)
{
	if (n->state == SPOOL_ROUTING || n->stale)
		return LANE_ROUTING(sp);
	if (n->nexthop.n)
		return &hop_get(sp, n->nexthop)->lane;
	unsigned at = sp->c.lane_of ? sp->c.lane_of(sp->c.ctx, n->account)
				    : (unsigned)(n->account.v % sp->c.lanes);
	return &sp->schedule.lanes[MIN(at, sp->c.lanes - 1)];
}

/* ---- turns ---- */

/*
 * What is due in a lane goes out by turns of its sources, so that ten thousand messages of one
 * sender hold nobody else up. A turn is large enough that a message's recipients share its loading.
 */
#define TURN 16

uint64_t schedule_source(struct account_id auth_account, struct str sender)
{
	if (auth_account.v)
		return auth_account.v << 1 | 1;
	return str_hashi(str_skip(sender, str_rfind(sender, '@') + 1)) | 2;
}

/* Behind those of the same priority. */
static void flow_queue(struct lane *l, struct flow *f)
{
	struct list *at = l->flows.prev;

	while (at != &l->flows && CONTAINER_OF(at, struct flow, link)->priority < f->priority)
		at = at->prev;
	list_insert_(at, &f->link);
}

static uint64_t flow_key(uint64_t source, int priority)
{
	return (source ? source : 1) * 32 + (uint64_t)(priority + SPOOL_PRIORITY_MAX);
}

static struct flow *flow_get(struct lane *l, uint64_t source, int priority)
{
	uint64_t key = flow_key(source, priority);
	struct flow *f = map_get(&l->by_source, key);

	if (f)
		return f;
	f = xcalloc(1, sizeof *f);
	f->key = key;
	f->priority = priority;
	list_init(&f->jobs);
	flow_queue(l, f);
	(void)map_put(&l->by_source, key, f);
	return f;
}

static void flow_add(struct lane *l, struct entry *e)
{
	struct flow *f = flow_get(l, e->source, e->priority);
	struct job *j = NULL;

	/* The recipients of a message come one after the other. */
	if (!list_empty(&f->jobs))
		j = CONTAINER_OF(f->jobs.prev, struct job, link);
	if (!j || j->number != e->key.number) {
		j = xcalloc(1, sizeof *j);
		j->number = e->key.number;
		j->flow = f;
		list_init(&j->entries);
		list_append(&f->jobs, &j->link);
	}
	list_append(&j->entries, &e->link);
	e->job = j;
}

/* Behind the removal of one of its entries. */
static void job_trim(struct lane *l, struct job *j)
{
	struct flow *f = j->flow;

	if (!list_empty(&j->entries))
		return;
	list_remove(&j->link);
	free(j);
	if (!list_empty(&f->jobs))
		return;
	list_remove(&f->link);
	(void)map_remove(&l->by_source, f->key);
	free(f);
}

bool schedule_lane_is_quiet(const struct lane *l)
{
	return list_empty(&l->flows) && list_empty(&l->suspects);
}

static void flow_rotate(struct lane *l, struct flow *f)
{
	list_remove(&f->link);
	flow_queue(l, f);
}

static void job_rotate(struct job *j)
{
	struct flow *f = j->flow;

	list_remove(&j->link);
	list_append(&f->jobs, &j->link);
}

/* Up to max of a job fly. True: it has more. */
static bool fly_job(struct spool *sp, struct job *j, size_t max, struct key_vec *out)
{
	bool more = true;

	for (size_t i = 0; more && i < max; i++) {
		struct entry *e = CONTAINER_OF(j->entries.next, struct entry, link);
		more = e->link.next != &j->entries;
		*(struct spool_key *)vec_push(out) = e->key;
		schedule_fly(sp, e); /* with the last one the job is gone */
	}
	return more;
}

void schedule_next(struct spool *sp, struct lane *l, size_t max, struct key_vec *out)
{
	while (out->n < max && !list_empty(&l->flows)) {
		struct flow *f = CONTAINER_OF(l->flows.next, struct flow, link);
		bool lives = true;
		/* Who had a part of a turn comes last, too: small batches must not favour the
		 * first. */
		for (size_t left = TURN; lives && left > 0 && out->n < max;) {
			struct job *j = CONTAINER_OF(f->jobs.next, struct job, link);
			bool last = f->jobs.next->next == &f->jobs;
			size_t before = out->n;
			bool more = fly_job(sp, j, MIN(left, max - out->n), out);
			left -= out->n - before;
			lives = more || !last;
			if (more)
				job_rotate(j);
		}
		if (lives)
			flow_rotate(l, f);
	}
}

void schedule_next_job(struct spool *sp, struct lane *l, size_t max, struct key_vec *out)
{
	struct flow *f = CONTAINER_OF(l->flows.next, struct flow, link);
	struct job *j = CONTAINER_OF(f->jobs.next, struct job, link);
	bool last = f->jobs.next->next == &f->jobs;
	bool more = fly_job(sp, j, max, out);

	if (more)
		job_rotate(j);
	if (more || !last)
		flow_rotate(l, f);
}

/* ---- entries ---- */

struct entry *schedule_find(struct spool *sp, struct spool_key key)
{
	return map_get(&sp->schedule.by_key, map_key(key));
}

static void wake(struct spool *sp, struct lane *l)
{
	l->woken = true;
	if (l->hop)
		hop_update(sp, l->hop);
}

/* Out of every list, no longer in flight. */
static void detach(struct spool *sp, struct entry *e)
{
	struct schedule *s = &sp->schedule;
	struct lane *l = e->lane;

	list_remove(&e->link);
	if (e->job)
		job_trim(l, e->job);
	e->job = NULL;
	if (e->in_flight) {
		l->n_flying--;
		s->counts.in_flight--;
		s->n_alone -= e->alone;
		/* Suspects, and what waits behind one, may go now that the lane is empty. */
		if (l->n_flying == 0 && !schedule_lane_is_quiet(l))
			l->woken = true;
	}
	bool was_alone = e->alone;
	e->in_flight = false;
	e->settling = false;
	e->alone = false;
	if (was_alone && s->n_alone == 0)
		hop_wake_suspects(sp);
}

static void make_ready(struct spool *sp, struct entry *e)
{
	struct lane *l = e->lane;

	if (e->crashes > (l->hop ? REMOTE_DEATHS : 0))
		list_append(&l->suspects, &e->link);
	else
		flow_add(l, e);
	wake(sp, l);
}

void schedule_again(struct spool *sp, struct entry *e)
{
	detach(sp, e);
	make_ready(sp, e);
}

/*
 * A lane that is full takes who has nothing there yet, and one message has a part of it: so a
 * newsletter of ten thousand recipients does not keep others out.
 */
static bool has_room(struct spool *sp, struct lane *l, struct spool_key key,
		     const struct new_entry *n, bool fresh)
{
	struct schedule *s = &sp->schedule;
	size_t all = fresh ? sp->c.window + sp->c.window / 2 : sp->c.window;
	size_t mine = l->hop ? sp->c.lane_window : sp->c.window / 2 / sp->c.lanes;

	if (s->by_key.n >= all)
		return false;
	if (l->n < (fresh ? 2 * mine : MAX(mine, (size_t)1)) &&
	    (!fresh || !l->hop || key.rcpt < mine / 5 + 1))
		return true;
	if (l->hop && !map_get(&l->by_source, flow_key(n->source, n->priority)))
		return true;
	if (list_empty(&l->parked))
		list_append(&s->parked, &l->parked);
	return false;
}

bool schedule_add(struct spool *sp, struct spool_key key, const struct new_entry *n, bool fresh)
{
	struct schedule *s = &sp->schedule;

	if (n->state == SPOOL_HELD || schedule_find(sp, key))
		return true;
	if (n->due.v > clock_wall().v) {
		window_note(sp, n->state, n->due, key);
		return true;
	}
	struct lane *l = lane_for(sp, n);
	if (!has_room(sp, l, key, n, fresh)) {
		if (list_empty(&l->parked))
			window_note(sp, n->state, n->due, key);
		if (l->hop)
			hop_update(sp, l->hop);
		return false;
	}
	struct entry *e = xcalloc(1, sizeof *e);
	e->key = key;
	e->account = n->account;
	e->crashes = (uint8_t)MIN(n->crashes, (unsigned)UINT8_MAX);
	e->source = n->source ? n->source : 1;
	e->priority = (int8_t)n->priority;
	e->state = n->state;
	e->due = n->due;
	e->routed = n->routed;
	e->lane = l;
	list_init(&e->link);
	(void)map_put(&s->by_key, map_key(key), e);
	l->n++;
	make_ready(sp, e);
	return true;
}

void schedule_remove(struct spool *sp, struct entry *e)
{
	struct lane *l = e->lane;

	detach(sp, e);
	(void)map_remove(&sp->schedule.by_key, map_key(e->key));
	free(e);
	l->n--;
	if (l->hop)
		hop_update(sp, l->hop);
}

void schedule_fly(struct spool *sp, struct entry *e)
{
	struct schedule *s = &sp->schedule;
	bool suspect = e->job == NULL && e->lane->hop;

	detach(sp, e);
	e->in_flight = true;
	e->alone = suspect;
	s->n_alone += suspect;
	list_append(&e->lane->flying, &e->link);
	e->lane->n_flying++;
	s->counts.in_flight++;
}

/* ---- figures, and who is told ---- */

void schedule_count(struct spool *sp, enum spool_state from, enum spool_state to)
{
	sp->schedule.counts.by_state[from]--;
	sp->schedule.counts.by_state[to]++;
}

void schedule_count_new(struct spool *sp, enum spool_state state, size_t n)
{
	sp->schedule.counts.by_state[state] += n;
}

void schedule_count_gone(struct spool *sp, enum spool_state state, size_t n)
{
	sp->schedule.counts.by_state[state] -= n;
}

static bool take_flag(struct spool *sp, bool *flag)
{
	LOCKED(&sp->schedule.lock);
	bool was = *flag;
	*flag = false;
	return was;
}

void schedule_announce(struct spool *sp)
{
	struct schedule *s = &sp->schedule;

	for (unsigned i = 0; i < s->n_lanes; i++) {
		if (!take_flag(sp, &s->lanes[i].woken))
			continue;
		if (i >= sp->c.lanes)
			clerk_nudge(sp);
		else if (sp->c.ready)
			sp->c.ready(sp->c.ctx, i);
	}
	if (take_flag(sp, &s->remote_woken) && sp->c.ready)
		sp->c.ready(sp->c.ctx, sp->c.lanes);
	if (take_flag(sp, &s->clerk_woken))
		clerk_nudge(sp);
}

struct wall_us spool_next_due(struct spool *sp)
{
	struct schedule *s = &sp->schedule;

	LOCKED(&s->lock);
	for (unsigned i = 0; i < s->n_lanes; i++)
		if (!schedule_lane_is_quiet(&s->lanes[i]))
			return clock_wall();
	if (!list_empty(&s->ready) || !list_empty(&s->idle))
		return clock_wall();
	return window_next(sp);
}

void spool_count(struct spool *sp, struct spool_counts *ret)
{
	LOCKED(&sp->schedule.lock);
	*ret = sp->schedule.counts;
	ret->in_memory = sp->schedule.by_key.n;
	ret->hops = sp->schedule.hops.n;
}
