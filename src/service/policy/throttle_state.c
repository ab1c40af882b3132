/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: "ROW KEY" -> what was used since the window began. */
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "service/policy/throttle.h"
#include "sys/counter.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

COUNTER(exceeded, "policy.throttled", "messages and recipients over a limit of throttling");
COUNTER(dropped, "policy.throttle-dropped",
	"counters of throttling that were forgotten because there were too many");

#define KEY_MAX	   400u
#define SWEEP_ROWS "20000"
#define SWEEP_MAX  20000u

struct counted {
	struct list use, dirty;
	int64_t row, period_s;
	int64_t messages, octets;
	int64_t began, last, told;
	uint16_t key_at, n; /* of the key in `name`, and of all */
	char name[];
};
/* On its way to the disk. */
struct copy {
	struct list link;
	struct counted c;
};

struct throttle_state {
	pthread_mutex_t lock;
	struct strmap counters;
	struct list use, dirty;
	struct list copies; /* the writer's */
	int64_t told_hour;
	unsigned told; /* in it */
	bool rehearsal;
};

static void *make(void)
{
	struct throttle_state *s = xcalloc(1, sizeof *s);
	(void)pthread_mutex_init(&s->lock, NULL);
	list_init(&s->use);
	list_init(&s->dirty);
	list_init(&s->copies);
	return s;
}

static struct str name_of(int64_t row, struct str key, char buf[KEY_MAX])
{
	int n = snprintf(buf, KEY_MAX, "%lld %.*s", (long long)row, STR_ARG(str_sub(key, 0, 330)));
	return str_make(buf, (size_t)n);
}

static void drop(struct throttle_state *s, struct counted *c)
{
	(void)strmap_remove(&s->counters, str_make(c->name, c->n));
	list_remove(&c->use);
	list_remove(&c->dirty);
	free(c);
}

static void free_state(void *state)
{
	struct throttle_state *s = state;
	LIST_EACH (&s->use, it)
		drop(s, CONTAINER_OF(it, struct counted, use));
	LIST_EACH (&s->copies, it)
		free(CONTAINER_OF(it, struct copy, link));
	strmap_clear(&s->counters);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* --- under the lock --- */

static struct counted *find(struct throttle_state *s, int64_t row, struct str key)
{
	char buf[KEY_MAX];
	return strmap_get(&s->counters, name_of(row, key, buf));
}

static struct counted *add(struct throttle_state *s, int64_t row, struct str key)
{
	char buf[KEY_MAX];
	struct str name = name_of(row, key, buf);
	if (s->counters.n >= THROTTLE_COUNTERS_MAX) {
		counter_add(&dropped, 1);
		drop(s, CONTAINER_OF(s->use.next, struct counted, use));
	}
	struct counted *c = xcalloc(1, sizeof *c + name.n);
	memcpy(c->name, name.p, name.n);
	c->n = (uint16_t)name.n;
	c->key_at = (uint16_t)(str_find(name, 0, ' ') + 1);
	c->row = row;
	list_init(&c->dirty);
	list_append(&s->use, &c->use);
	(void)strmap_put(&s->counters, str_make(c->name, c->n), c);
	return c;
}

/* A clock that was set back begins the window anew as well. */
static bool is_over(const struct counted *c, int64_t period_s, int64_t now)
{
	return now - c->began >= period_s || now < c->began;
}

static void touch(struct throttle_state *s, struct counted *c)
{
	list_remove(&c->use);
	list_append(&s->use, &c->use);
	if (list_empty(&c->dirty))
		list_append(&s->dirty, &c->dirty);
}

static struct counted *open_window(struct throttle_state *s, const struct throttle_use *u,
				   int64_t now)
{
	struct counted *c = find(s, u->row, u->key);
	if (!c)
		c = add(s, u->row, u->key);
	if (!c->began || is_over(c, u->period_s, now)) {
		c->began = now;
		c->messages = c->octets = c->told = 0;
	}
	c->period_s = u->period_s;
	return c;
}

static bool fits(int64_t used, int64_t more, int64_t max)
{
	return max < 0 || (more <= max && used <= max - more);
}

/* What another use of the same counter in this mail takes as well. */
static void earlier(const struct throttle_use *use, size_t i, int64_t *messages, int64_t *octets)
{
	for (size_t k = 0; k < i; k++)
		if (use[k].row == use[i].row && str_eq(use[k].key, use[i].key)) {
			*messages += use[k].messages;
			*octets += use[k].octets;
		}
}

static bool is_within(struct throttle_state *s, const struct throttle_use *use, size_t i,
		      int64_t now, struct throttle_excess *ret)
{
	const struct throttle_use *u = &use[i];
	const struct counted *c = find(s, u->row, u->key);
	bool over = !c || is_over(c, u->period_s, now);
	int64_t messages = over ? 0 : c->messages, octets = over ? 0 : c->octets;
	earlier(use, i, &messages, &octets);
	bool count_fits = fits(messages, u->messages, u->messages_max);
	if (count_fits && fits(octets, u->octets, u->quota_max))
		return true;
	*ret = (struct throttle_excess){.use = u,
					.limit = count_fits ? THROTTLE_QUOTA : THROTTLE_MESSAGES,
					.used = count_fits ? octets : messages,
					.left_s = over ? u->period_s : c->began + u->period_s - now,
					.first = over || !c->told};
	return false;
}

static void count(struct throttle_state *s, const struct throttle_use *u, int64_t now)
{
	struct counted *c = open_window(s, u, now);
	c->messages += u->messages;
	if (__builtin_add_overflow(c->octets, u->octets, &c->octets))
		c->octets = INT64_MAX;
	c->last = now;
	touch(s, c);
}

static bool may_tell(struct throttle_state *s, int64_t now)
{
	int64_t hour = now / 3600;
	if (s->told_hour != hour) {
		s->told_hour = hour;
		s->told = 0;
	}
	if (s->told >= THROTTLE_TOLD_MAX)
		return false;
	s->told++;
	return true;
}

bool throttle_count(struct throttle_state *s, const struct throttle_use *use, size_t n, int64_t now,
		    enum throttle_mode mode, struct throttle_excess *ret)
{
	bool within = true;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; within && i < n; i++)
		within = is_within(s, use, i, now, ret);
	for (size_t i = 0; within && mode == THROTTLE_COUNT && i < n; i++)
		count(s, &use[i], now);
	if (!within && mode != THROTTLE_DRY) {
		if (!s->rehearsal)
			counter_add(&exceeded, 1);
		struct counted *c = open_window(s, ret->use, now);
		if (ret->first) {
			c->told = now;
			ret->tell = may_tell(s, now);
			touch(s, c);
		}
	}
	ret->changed =
		within ? mode == THROTTLE_COUNT && n > 0 : mode != THROTTLE_DRY && ret->first;
	pthread_mutex_unlock(&s->lock);
	return within;
}

void throttle_rehearse(struct throttle_state *s)
{
	s->rehearsal = true;
}

/* --- the writer --- */

static void collect(struct throttle_state *s)
{
	struct list *it;
	pthread_mutex_lock(&s->lock);
	while ((it = list_pop(&s->dirty)) != NULL) {
		const struct counted *c = CONTAINER_OF(it, struct counted, dirty);
		struct copy *copy = xcalloc(1, sizeof *copy + c->n);
		memcpy(&copy->c, c, sizeof *c + c->n);
		list_append(&s->copies, &copy->link);
	}
	pthread_mutex_unlock(&s->lock);
}

static int write_copy(struct db_stmt *st, const struct counted *c, struct fail *why)
{
	const int64_t values[] = {c->period_s, c->messages, c->octets, c->began, c->last, c->told};
	db_bind_i64(st, 1, c->row);
	db_bind_text(st, 2, str_make(c->name + c->key_at, (size_t)c->n - c->key_at));
	for (int i = 0; i < (int)ARRAY_LEN(values); i++)
		db_bind_i64(st, i + 3, values[i]);
	return db_run(st, why);
}

/* A row of throttle that was deleted takes its counters with it. */
static int flush(void *state, struct db *db, struct fail *why)
{
	struct throttle_state *s = state;
	struct db_stmt *st;
	collect(s);
	int r = db_stmt(db,
			"INSERT INTO throttle_tracking (tid, account, period, cur_msgs, cur_quota,"
			" init_time, last_time, last_notify_time)"
			" SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM throttle WHERE id = ?1"
			" ON CONFLICT (tid, account) DO UPDATE SET period = ?3, cur_msgs = ?4,"
			" cur_quota = ?5, init_time = ?6, last_time = ?7, last_notify_time = ?8",
			&st, why);
	LIST_EACH (&s->copies, it) {
		if (r == 0)
			r = write_copy(st, &CONTAINER_OF(it, struct copy, link)->c, why);
	}
	return r;
}

static void flushed(void *state, bool written)
{
	struct throttle_state *s = state;
	size_t n = 0;
	LIST_EACH (&s->copies, it) {
		n++;
		if (written || n > THROTTLE_COUNTERS_MAX) {
			list_remove(it);
			free(CONTAINER_OF(it, struct copy, link));
		}
	}
}

static int sweep(void *state, struct db *db, const struct policy_keep *keep, struct wall_us now,
		 struct fail *why)
{
	struct throttle_state *s = state;
	struct db_stmt *st;
	int64_t t = now.v / SEC_US;
	(void)keep;
	pthread_mutex_lock(&s->lock);
	LIST_EACH (&s->use, it) {
		struct counted *c = CONTAINER_OF(it, struct counted, use);
		if (is_over(c, c->period_s, t))
			drop(s, c);
	}
	pthread_mutex_unlock(&s->lock);
	int r = db_stmt(db,
			"DELETE FROM throttle_tracking WHERE id IN (SELECT id FROM"
			" throttle_tracking WHERE init_time + period <= ?1 LIMIT " SWEEP_ROWS ")",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, t);
	r = db_run(st, why);
	return r < 0 ? r : db_changes(db) >= SWEEP_MAX;
}

static int recall(void *state, struct db *db, struct wall_us now, struct fail *why)
{
	struct throttle_state *s = state;
	struct db_stmt *st;
	int r = db_stmt(db,
			"SELECT tid, account, period, cur_msgs, cur_quota, init_time, last_time,"
			" last_notify_time FROM throttle_tracking WHERE init_time + period > ?1"
			" ORDER BY last_time DESC LIMIT ?2",
			&st, why);
	if (r < 0)
		return r;
	db_bind_i64(st, 1, now.v / SEC_US);
	db_bind_i64(st, 2, THROTTLE_COUNTERS_MAX);
	pthread_mutex_lock(&s->lock);
	while ((r = db_step(st, why)) == 1) {
		struct counted *c = find(s, db_col_i64(st, 0), db_col_text(st, 1));
		if (!c)
			c = add(s, db_col_i64(st, 0), db_col_text(st, 1));
		c->period_s = db_col_i64(st, 2);
		c->messages = db_col_i64(st, 3);
		c->octets = db_col_i64(st, 4);
		c->began = db_col_i64(st, 5);
		c->last = db_col_i64(st, 6);
		c->told = db_col_i64(st, 7) >= c->began ? db_col_i64(st, 7) : 0;
		list_remove(&c->use);
		list_prepend(&s->use, &c->use);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

const struct policy_part policy_part_throttle = {.name = "throttle_tracking",
						 .make = make,
						 .recall = recall,
						 .flush = flush,
						 .flushed = flushed,
						 .sweep = sweep,
						 .free = free_state};
