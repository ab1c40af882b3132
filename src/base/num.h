/* SPDX-License-Identifier: Apache-2.0 */
/*
 * num.h - checked numbers.                                                     [base]
 *
 * Parsers take all of s or nothing: digits only, no sign, no blanks, no overflow. They return
 * true and store on success; *ret is untouched otherwise.
 */
#ifndef BARID_BASE_NUM_H
#define BARID_BASE_NUM_H

#include "str.h"

bool num_parse_u64(struct str s, uint64_t *ret);
bool num_parse_u32(struct str s, uint32_t *ret);
bool num_parse_hex_u64(struct str s, uint64_t *ret);

static inline bool num_add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}
static inline bool num_mul_size(size_t a, size_t b, size_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

/* Bounded little-endian reading: cursor over bytes; a short read sets `bad` and yields 0. */
struct cursor {
	const unsigned char *p;
	const unsigned char *end;
	bool bad;
};
static inline struct cursor cursor_of(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	return (struct cursor){p, s.n ? p + s.n : p, false}; /* p may be NULL */
}
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
struct str cursor_bytes(struct cursor *c, size_t n); /* borrowed from the input */
static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

#endif
