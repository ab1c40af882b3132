/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - bump allocation for one command, message or session.               [base]
 *
 * Everything taken from an arena lives until arena_reset or arena_clear; nothing is freed by
 * itself. `max` bounds the sum of all requests: an allocation beyond it returns NULL, which the
 * caller turns into FAIL_LIMIT. Memory is zeroed and aligned to 16. Under ASan, unused and reset
 * memory is poisoned. One thread at a time.
 */
#ifndef BARID_BASE_ARENA_H
#define BARID_BASE_ARENA_H

#include "auto.h"
#include "str.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used; /* sum of requests, counted against max */
	size_t max;
	size_t first_block; /* size of the first block, grows by doubling up to 64 KiB */
};

#define ARENA_INIT(maximum) ((struct arena){.max = (maximum), .first_block = 1024})

void arena_clear(struct arena *a); /* release all memory */
void arena_reset(struct arena *a); /* forget everything, keep one block */
DEFINE_AUTO(arena, struct arena, arena_clear);

void *arena_alloc(struct arena *a, size_t size);
void *arena_alloc_array(struct arena *a, size_t count, size_t size);
#define arena_new(a, type)	    ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc_array((a), (count), sizeof(type)))

/* Copies: the result's p is NULL when the arena is full and s.n > 0. The copy ends in NUL. */
struct str arena_str(struct arena *a, struct str s);
char *arena_c(struct arena *a, struct str s);
/* printf into the arena; NULL p when full. */
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
