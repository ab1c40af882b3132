/* SPDX-License-Identifier: Apache-2.0 */
#include "slowdown.h"

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "sys/clock.h"
#include "sys/rand.h"
#include <arpa/inet.h>
#include <pthread.h>

struct entry {
	struct list link; /* by last use */
	uint64_t key;
	unsigned failures;
	struct mono_ns last_failure;
	struct mono_ns last_success; /* pairs */
};

struct table {
	struct map by_key;
	struct list used; /* oldest first */
	unsigned max;
};

struct slowdown {
	pthread_mutex_t lock;
	struct table sources;
	struct table accounts;
	struct table pairs;
	uint64_t seed; /* so that nobody can choose names that share an entry */
	struct dir_config c;
};

static void table_init(struct table *t, unsigned max)
{
	*t = (struct table){.max = MAX(max, 16u)};
	list_init(&t->used);
}

static void table_clear(struct table *t)
{
	struct list *n;

	while ((n = list_pop(&t->used)))
		free(CONTAINER_OF(n, struct entry, link));
	map_clear(&t->by_key);
}

static struct entry *table_find(struct table *t, uint64_t key)
{
	struct entry *e = map_get(&t->by_key, key);

	if (e) {
		list_remove(&e->link);
		list_append(&t->used, &e->link);
	}
	return e;
}

__attribute__((returns_nonnull)) static struct entry *table_get(struct table *t, uint64_t key)
{
	struct entry *e = table_find(t, key);

	if (e)
		return e;
	if (t->by_key.n >= t->max) {
		struct list *oldest = list_pop(&t->used);
		CHECK(oldest);
		e = CONTAINER_OF(oldest, struct entry, link);
		(void)map_remove(&t->by_key, e->key);
		free(e);
	}
	e = xcalloc(1, sizeof *e);
	e->key = key;
	list_append(&t->used, &e->link);
	(void)map_put(&t->by_key, key, e);
	return e;
}

struct slowdown *slowdown_new(const struct dir_config *c)
{
	struct slowdown *s = xcalloc(1, sizeof *s);

	(void)pthread_mutex_init(&s->lock, NULL);
	s->c = *c;
	s->seed = rand_u64();
	table_init(&s->sources, c->slow_entries);
	table_init(&s->accounts, c->slow_entries);
	table_init(&s->pairs, c->slow_entries);
	return s;
}

void slowdown_free(struct slowdown *s)
{
	if (!s)
		return;
	table_clear(&s->sources);
	table_clear(&s->accounts);
	table_clear(&s->pairs);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	return h;
}

/* The /32 or /64 that a peer belongs to. A text that is no address counts as one source. */
static uint64_t source_key(const struct slowdown *s, struct str peer)
{
	char text[64] = "";
	uint8_t b[16] = {0};
	size_t n = 0;

	memcpy(text, peer.n ? peer.p : "", MIN(peer.n, sizeof text - 1));
	if (inet_pton(AF_INET, text, b) == 1) {
		n = 4;
	} else if (inet_pton(AF_INET6, text, b) == 1) {
		static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
		bool v4 = memcmp(b, mapped, sizeof mapped) == 0;
		if (v4)
			memmove(b, b + 12, 4);
		n = v4 ? 4 : 8;
	}
	return mix(str_hash(str_make((const char *)b, n)) ^ s->seed);
}

static uint64_t account_key(const struct slowdown *s, struct str username)
{
	return mix(str_hashi(username) + s->seed);
}

static void forget_old(const struct slowdown *s, struct entry *e, struct mono_ns now)
{
	if (e && now.v - e->last_failure.v > s->c.slow_forget_s * SEC_NS)
		e->failures = 0;
}

static uint64_t delay_ms(const struct slowdown *s, unsigned failures)
{
	uint64_t ms = s->c.slow_first_ms;

	if (failures == 0)
		return 0;
	while (--failures > 0 && ms < s->c.slow_max_ms)
		ms *= 2;
	return MIN(ms, (uint64_t)s->c.slow_max_ms);
}

static uint64_t stranger_delay_ms(const struct slowdown *s, const struct entry *account)
{
	if (!account || account->failures <= s->c.account_free)
		return 0;
	return delay_ms(s, account->failures - s->c.account_free);
}

static bool is_known(const struct slowdown *s, const struct entry *pair, struct mono_ns now)
{
	return pair && pair->last_success.v != 0 &&
	       now.v - pair->last_success.v < s->c.known_ttl_s * SEC_NS;
}

static void count_failure(struct entry *e, struct mono_ns now)
{
	e->failures += e->failures < 1000;
	e->last_failure = now;
}

/* Slips of a hand are no suspicion. */
#define SUSPECT_FAILURES 3

enum dir_turn slowdown_turn(struct slowdown *s, struct str peer, struct str username)
{
	struct mono_ns now = clock_mono();
	uint64_t source = source_key(s, peer);
	uint64_t account = account_key(s, username);

	(void)pthread_mutex_lock(&s->lock);
	struct entry *pair = table_find(&s->pairs, mix(source ^ mix(account)));
	struct entry *from = table_find(&s->sources, source);
	struct entry *target = table_find(&s->accounts, account);
	forget_old(s, from, now);
	forget_old(s, target, now);
	bool known = is_known(s, pair, now);
	bool bad = (from && from->failures >= SUSPECT_FAILURES) || stranger_delay_ms(s, target) > 0;
	(void)pthread_mutex_unlock(&s->lock);
	return known ? DIR_TURN_KNOWN : bad ? DIR_TURN_SUSPECT : DIR_TURN_NEW;
}

struct mono_ns slowdown_failed(struct slowdown *s, struct str peer, struct str username,
			       struct mono_ns start)
{
	struct mono_ns now = clock_mono();
	uint64_t source = source_key(s, peer);
	uint64_t account = account_key(s, username);

	(void)pthread_mutex_lock(&s->lock);
	struct entry *from = table_get(&s->sources, source);
	struct entry *pair = table_get(&s->pairs, mix(source ^ mix(account)));
	forget_old(s, from, now);
	forget_old(s, pair, now);
	count_failure(from, now);
	count_failure(pair, now);
	uint64_t ms = delay_ms(s, from->failures);
	if (!is_known(s, pair, now)) {
		struct entry *target = table_get(&s->accounts, account);
		forget_old(s, target, now);
		count_failure(target, now);
		ms = MAX(ms, stranger_delay_ms(s, target));
	}
	(void)pthread_mutex_unlock(&s->lock);
	return mono_add_ms(start, ms);
}

struct mono_ns slowdown_succeeded(struct slowdown *s, struct str peer, struct str username,
				  struct mono_ns start)
{
	struct mono_ns now = clock_mono();
	uint64_t source = source_key(s, peer);
	uint64_t account = account_key(s, username);
	uint64_t ms = 0;

	(void)pthread_mutex_lock(&s->lock);
	struct entry *pair = table_get(&s->pairs, mix(source ^ mix(account)));
	struct entry *from = table_find(&s->sources, source);
	struct entry *target = table_find(&s->accounts, account);
	forget_old(s, from, now);
	forget_old(s, pair, now);
	forget_old(s, target, now);
	/* A stranger's right answer takes as long as its wrong one, else haste would tell them
	 * apart. */
	if (!is_known(s, pair, now))
		ms = MAX(from ? delay_ms(s, from->failures) : 0, stranger_delay_ms(s, target));
	if (from)
		from->failures -= MIN(from->failures, pair->failures);
	pair->failures = 0;
	pair->last_success = now;
	(void)pthread_mutex_unlock(&s->lock);
	return ms > 0 ? mono_add_ms(start, ms) : (struct mono_ns){0};
}
