/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "base/check.h"
#include <stdlib.h>

/* Invariant: at most 3/4 of the slots are used, so every probe ends at a free slot. */

/* Address space layout randomisation seeds the tables: unknown outside, fixed for the process. */
static uint64_t mix(uint64_t key)
{
	uint64_t x = key ^ (uint64_t)(uintptr_t)&mix;
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static size_t probe(const struct map *m, uint64_t key)
{
	size_t i = mix(key) & (m->cap - 1);
	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *map_get(const struct map *m, uint64_t key)
{
	return m->cap ? m->slots[probe(m, key)].value : NULL;
}

static void map_grow(struct map *m)
{
	struct map old = *m;
	m->cap = old.cap ? old.cap * 2 : 8;
	m->slots = xcalloc(m->cap, sizeof *m->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].value)
			m->slots[probe(m, old.slots[i].key)] = old.slots[i];
	free(old.slots);
}

void *map_put(struct map *m, uint64_t key, void *value)
{
	CHECK(value);
	if (m->n + 1 > m->cap / 4 * 3)
		map_grow(m);
	struct map_slot *s = &m->slots[probe(m, key)];
	void *before = s->value;
	if (!before)
		m->n++;
	*s = (struct map_slot){key, value};
	return before;
}

void *map_remove(struct map *m, uint64_t key)
{
	if (!m->cap)
		return NULL;
	size_t hole = probe(m, key);
	void *value = m->slots[hole].value;
	if (!value)
		return NULL;
	m->n--;
	/* Close the gap: move back each follower whose home is not between the hole and itself. */
	for (size_t i = (hole + 1) & (m->cap - 1); m->slots[i].value; i = (i + 1) & (m->cap - 1)) {
		size_t home = mix(m->slots[i].key) & (m->cap - 1);
		if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole].value = NULL;
	return value;
}

void map_clear(struct map *m)
{
	free(m->slots);
	*m = (struct map){0};
}

static size_t str_probe(const struct strmap *m, struct str key, uint64_t hash)
{
	size_t i = mix(hash) & (m->cap - 1);
	while (m->slots[i].value && !(m->slots[i].hash == hash && str_eq(m->slots[i].key, key)))
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *strmap_get(const struct strmap *m, struct str key)
{
	return m->cap ? m->slots[str_probe(m, key, str_hash(key))].value : NULL;
}

static void strmap_grow(struct strmap *m)
{
	struct strmap old = *m;
	m->cap = old.cap ? old.cap * 2 : 8;
	m->slots = xcalloc(m->cap, sizeof *m->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].value)
			m->slots[str_probe(m, old.slots[i].key, old.slots[i].hash)] = old.slots[i];
	free(old.slots);
}

void *strmap_put(struct strmap *m, struct str key, void *value)
{
	CHECK(value);
	if (m->n + 1 > m->cap / 4 * 3)
		strmap_grow(m);
	uint64_t hash = str_hash(key);
	struct strmap_slot *s = &m->slots[str_probe(m, key, hash)];
	void *before = s->value;
	if (!before)
		m->n++;
	*s = (struct strmap_slot){key, hash, value};
	return before;
}

void *strmap_remove(struct strmap *m, struct str key)
{
	if (!m->cap)
		return NULL;
	size_t hole = str_probe(m, key, str_hash(key));
	void *value = m->slots[hole].value;
	if (!value)
		return NULL;
	m->n--;
	for (size_t i = (hole + 1) & (m->cap - 1); m->slots[i].value; i = (i + 1) & (m->cap - 1)) {
		size_t home = mix(m->slots[i].hash) & (m->cap - 1);
		if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole].value = NULL;
	return value;
}

void strmap_clear(struct strmap *m)
{
	free(m->slots);
	*m = (struct strmap){0};
}
