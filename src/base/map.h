/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - hash tables: 64-bit keys or string keys to pointers.                 [base]
 *
 * Open addressing with linear probing. Values are borrowed pointers, never NULL. String keys are
 * borrowed: they must live as long as their entry (usually inside the value). Seeded per process,
 * so a peer cannot choose colliding keys.
 *
 *     struct map m = {0};
 *     map_put(&m, id, session);
 *     struct session *s = map_get(&m, id);
 *     MAP_EACH (&m, i) use(m.slots[i].value);       no put or remove inside
 */
#ifndef BARID_BASE_MAP_H
#define BARID_BASE_MAP_H

#include "str.h"

struct map_slot {
	uint64_t key;
	void *value; /* NULL = free */
};
struct map {
	struct map_slot *slots;
	size_t n;
	size_t cap; /* power of two or 0 */
};

void *map_get(const struct map *m, uint64_t key);
/* Insert or replace; returns the value that was there, or NULL. */
void *map_put(struct map *m, uint64_t key, void *value);
void *map_remove(struct map *m, uint64_t key);
void map_clear(struct map *m); /* frees the table, not the values */

struct strmap_slot {
	struct str key;
	uint64_t hash;
	void *value;
};
struct strmap {
	struct strmap_slot *slots;
	size_t n;
	size_t cap;
};

void *strmap_get(const struct strmap *m, struct str key);
void *strmap_put(struct strmap *m, struct str key, void *value);
void *strmap_remove(struct strmap *m, struct str key);
void strmap_clear(struct strmap *m);

#define MAP_EACH(m, i)                                                                             \
	for (size_t i = 0; i < (m)->cap; i++)                                                      \
		if ((m)->slots[i].value)

#endif
