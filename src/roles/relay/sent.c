/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/sent.h"
#include "base/check.h"
#include "base/map.h"

/* A number is used again when a spool is made anew: the arrival tells them apart. */
struct sent_key {
	uint64_t number;
	int64_t arrival_us;
	uint32_t rcpt;
};
struct sent_entry {
	struct sent_key key;
	uint64_t hash;
	bool under_way, taken;
	struct list ring; /* of those that are taken, the oldest first */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t over;
	struct map all; /* by hash; one that collides takes the place of the other */
	struct list ring;
	size_t ring_n;
} sent = {.lock = PTHREAD_MUTEX_INITIALIZER,
	  .over = PTHREAD_COND_INITIALIZER,
	  .ring = {&sent.ring, &sent.ring}};

static struct sent_key key_of(const struct msg_relay *m, size_t i)
{
	return (struct sent_key){m->number, m->arrival_us, m->rcpts[i].rcpt};
}

static uint64_t hash_of(const struct sent_key *k)
{
	uint64_t h = k->number * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)k->arrival_us;
	h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9) + k->rcpt;
	return (h ^ h >> 32) * UINT64_C(0x94d049bb133111eb);
}

static bool same(const struct sent_key *a, const struct sent_key *b)
{
	return a->number == b->number && a->arrival_us == b->arrival_us && a->rcpt == b->rcpt;
}

static struct sent_entry *find(const struct sent_key *k)
{
	struct sent_entry *e = map_get(&sent.all, hash_of(k));
	return e && same(&e->key, k) ? e : NULL;
}

static void forget(struct sent_entry *e)
{
	if (!list_empty(&e->ring)) {
		list_remove(&e->ring);
		sent.ring_n--;
	}
	if (map_get(&sent.all, e->hash) == e)
		(void)map_remove(&sent.all, e->hash);
	free(e);
}

static struct sent_entry *add(const struct sent_key *k)
{
	struct sent_entry *e = xcalloc(1, sizeof *e);
	*e = (struct sent_entry){.key = *k, .hash = hash_of(k)};
	list_init(&e->ring);
	struct sent_entry *before = map_put(&sent.all, e->hash, e);
	if (before && !before->under_way)
		forget(before);
	return e;
}

static bool any_under_way(const struct msg_relay *m)
{
	for (size_t i = 0; i < m->rcpts_n; i++) {
		struct sent_key k = key_of(m, i);
		const struct sent_entry *e = find(&k);
		if (e && e->under_way)
			return true;
	}
	return false;
}

void sent_begin(const struct msg_relay *m, bool *already)
{
	pthread_mutex_lock(&sent.lock);
	while (any_under_way(m))
		pthread_cond_wait(&sent.over, &sent.lock);
	for (size_t i = 0; i < m->rcpts_n; i++) {
		struct sent_key k = key_of(m, i);
		struct sent_entry *e = find(&k);
		already[i] = e && e->taken;
		e = e ? e : add(&k);
		e->under_way = true;
	}
	pthread_mutex_unlock(&sent.lock);
}

static void end_one(struct sent_entry *e, bool taken)
{
	e->under_way = false;
	if (!taken) {
		forget(e);
		return;
	}
	e->taken = true;
	if (list_empty(&e->ring)) {
		list_append(&sent.ring, &e->ring);
		sent.ring_n++;
	}
}

void sent_end(const struct msg_relay *m, const bool *taken)
{
	pthread_mutex_lock(&sent.lock);
	for (size_t i = 0; i < m->rcpts_n; i++) {
		struct sent_key k = key_of(m, i);
		struct sent_entry *e = find(&k);
		if (e)
			end_one(e, taken[i]);
	}
	while (sent.ring_n > SENT_MAX) {
		struct sent_entry *oldest = CONTAINER_OF(sent.ring.next, struct sent_entry, ring);
		if (oldest->under_way)
			break;
		forget(oldest);
	}
	pthread_cond_broadcast(&sent.over);
	pthread_mutex_unlock(&sent.lock);
}
