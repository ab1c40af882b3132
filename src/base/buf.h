/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growing byte buffer with a hard maximum.                           [base]
 *
 *     AUTO(buf) struct buf b = BUF_INIT(KIB(64));
 *     buf_add(&b, STR("* OK ")); buf_addf(&b, "%u", n);
 *     if (b.failed) return fail_set(why, FAIL_LIMIT, ...);
 *
 * Invariants: n < cap whenever cap > 0 and p[n] is NUL; n never exceeds max. An append that
 * would exceed max adds nothing, sets `failed` (sticky until buf_reset) and returns -FAIL_LIMIT,
 * so a series of appends may be checked once at the end. Memory exhaustion aborts.
 */
#ifndef BARID_BASE_BUF_H
#define BARID_BASE_BUF_H

#include "auto.h"
#include "check.h"
#include "fail.h"
#include "str.h"
#include <stdarg.h>

struct buf {
	char *p;
	size_t n;
	size_t cap;
	size_t max;
	bool failed;
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

void buf_clear(struct buf *b); /* release memory; usable afterwards with the same maximum */
void buf_reset(struct buf *b); /* forget content and failure, keep memory */
DEFINE_AUTO(buf, struct buf, buf_clear);

static inline int buf_add(struct buf *b, struct str s);
int buf_addc(struct buf *b, char c);
int buf_add_c(struct buf *b, const char *c_string);
int buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
int buf_vaddf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
int buf_add_u64(struct buf *b, uint64_t v); /* decimal, without printf */

/* Little-endian fixed-width integers, for binary formats. */
int buf_put_u8(struct buf *b, uint8_t v);
int buf_put_u16(struct buf *b, uint16_t v);
int buf_put_u32(struct buf *b, uint32_t v);
int buf_put_u64(struct buf *b, uint64_t v);

char *buf_grow(struct buf *b, size_t n); /* the longer way of buf_room */
/* Room for n bytes at the end, to be filled in by the caller and confirmed by buf_added. NULL when
 * over max. */
static inline char *buf_room(struct buf *b, size_t n)
{
	if (n >= b->cap - b->n || n > b->max - b->n || b->failed)
		return buf_grow(b, n);
	return b->p + b->n;
}
static inline void buf_added(struct buf *b, size_t n)
{
	CHECK(n < b->cap - b->n);
	b->n += n;
	b->p[b->n] = '\0';
}

static inline int buf_add(struct buf *b, struct str s)
{
	char *room = buf_room(b, s.n);
	if (!room)
		return -FAIL_LIMIT;
	if (s.n)
		memcpy(room, s.p, s.n);
	buf_added(b, s.n);
	return 0;
}

/* Drop the first n bytes, moving the rest to the front. */
void buf_drop(struct buf *b, size_t n);
/* Cut to n bytes (n <= b->n). */
void buf_cut(struct buf *b, size_t n);

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->p, b->n};
}
/* NUL-terminated content, "" when empty. Borrowed until the next change. */
static inline const char *buf_c(const struct buf *b)
{
	return b->p ? b->p : "";
}
/* Move the content out; b is empty afterwards, with the same maximum. */
static inline struct buf buf_move(struct buf *b)
{
	struct buf moved = *b;
	*b = BUF_INIT(moved.max);
	return moved;
}
/* Hand the memory (NUL-terminated, to be freed by the caller) over; b is empty afterwards. Never
 * NULL. */
char *buf_take(struct buf *b);

#endif
