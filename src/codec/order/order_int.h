/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order_int.h - what a table holds (order.h).                                  [codec, private]
 */
#ifndef BARID_CODEC_ORDER_INT_H
#define BARID_CODEC_ORDER_INT_H

#include "base/vec.h"
#include "codec/order/order.h"

/* A key, once for all messages that have it; number 0 is the empty one. */
struct order_text {
	uint64_t head; /* its first eight bytes as a number that compares as they do */
	uint32_t at;   /* of t->text */
	uint32_t n;
};

struct order_row {
	uint32_t uid;
	uint32_t size;
	int64_t arrival; /* seconds since 1970 */
	int64_t sent;	 /* the same; the arrival where Date says nothing */
	uint32_t subject, from, to, cc, display_from, display_to; /* of t->texts */
	uint64_t message_id;					  /* 0: none */
	uint32_t refs; /* the first of its n_refs in t->refs */
	uint16_t n_refs;
	bool is_reply;
};

struct order_table {
	uint64_t seed[2];
	VEC(struct order_row) rows;
	VEC(struct order_text) texts;
	struct buf text;
	uint32_t *slots; /* of n_slots, a power of two: numbers of texts, 0 = free */
	size_t n_slots;
	VEC(uint64_t) refs;
	VEC(uint32_t)
	ranked;		    /* numbers of texts in their order: all, or those of before some time */
	VEC(uint32_t) rank; /* of each of these, its place there */
};

/* Do the places say the order of all texts? */
static inline bool order_is_ranked(const struct order_table *t)
{
	return t->rank.n == t->texts.n;
}

/* Below 0, 0, above 0. */
int order_text_cmp(const struct order_table *t, uint32_t a, uint32_t b);
/* Rows of the UIDs, which are ascending and there. */
void order_rows_find(const struct order_table *t, const uint32_t *uid, size_t n, uint32_t *ret);

#endif
