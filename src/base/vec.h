/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vec.h - typed growing array.                                                 [base]
 *
 *     VEC(struct rcpt) rcpts = {0};          or: struct rcpt_vec { VEC_FIELDS(struct rcpt); };
 *     struct rcpt *r = vec_push(&rcpts);     zeroed new last element; valid until the next push
 *     for (size_t i = 0; i < rcpts.n; i++) use(&rcpts.p[i]);
 *     vec_clear(&rcpts);
 *
 * For internal, bounded counts: aborts when memory is exhausted. Bound what a peer can push.
 */
#ifndef BARID_BASE_VEC_H
#define BARID_BASE_VEC_H

#include "check.h"
#include <stdlib.h>
#include <string.h>

#define VEC_FIELDS(type)                                                                           \
	type *p;                                                                                   \
	size_t n;                                                                                  \
	size_t cap
#define VEC(type)                                                                                  \
	struct {                                                                                   \
		VEC_FIELDS(type);                                                                  \
	}

/* Implementation of vec_push: memory for at least need elements of size bytes. */
void *vec_grow_(void *p, size_t *cap, size_t need, size_t size);

#define vec_push(v)                                                                                \
	({                                                                                         \
		(v)->p = vec_grow_((v)->p, &(v)->cap, (v)->n + 1, sizeof *(v)->p);                 \
		memset(&(v)->p[(v)->n], 0, sizeof *(v)->p);                                        \
		&(v)->p[(v)->n++];                                                                 \
	})
#define vec_reserve(v, need) ((v)->p = vec_grow_((v)->p, &(v)->cap, (need), sizeof *(v)->p))
#define vec_pop(v)	     (&(v)->p[--(v)->n])
#define vec_remove(v, i)                                                                           \
	(memmove(&(v)->p[i], &(v)->p[(i) + 1], ((v)->n - (i)-1) * sizeof *(v)->p), (void)(v)->n--)
/*
 * Where the first element stands whose key is not below this one, in a vec that ascends by it (n
 * when there is none): vec_lower(&m->e, .uid, uid); of plain numbers vec_lower(&uids, , uid).
 */
#define vec_lower(v, field, key) vec_lower_from(v, 0, field, key)
/* The same for who knows that it is not before `from` (at most n). */
#define vec_lower_from(v, from, field, key)                                                        \
	({                                                                                         \
		size_t low_ = (from), high_ = (v)->n;                                              \
		while (low_ < high_) {                                                             \
			size_t mid_ = low_ + (high_ - low_) / 2;                                   \
			if ((v)->p[mid_] field < (key))                                            \
				low_ = mid_ + 1;                                                   \
			else                                                                       \
				high_ = mid_;                                                      \
		}                                                                                  \
		low_;                                                                              \
	})
#define vec_clear(v) (free((v)->p), (v)->p = NULL, (v)->n = (v)->cap = 0)

#endif
