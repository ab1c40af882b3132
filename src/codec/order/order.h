/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.h - messages in an order: SORT and THREAD.                             [codec, pure]
 *
 * RFC 5256, RFC 5957, and THREAD=REFS of draft-ietf-morg-inthread. A table holds of each message
 * only what orders it: two times, the size, a few texts as keys of i;unicode-casemap (RFC 5051),
 * each text once, and its message ids as numbers. About 150 bytes a message. What is in it never
 * changes, so the table of a mailbox grows with its messages and answers every further SORT
 * or THREAD without reading them again.
 *
 * Two different message ids have the same number with a chance of 2^-64, whatever a sender does:
 * the numbers are a hash under the table's seed.
 *
 * Thread: changed by one at a time; while nobody changes it any number may ask.
 */
#ifndef BARID_CODEC_ORDER_H
#define BARID_CODEC_ORDER_H

#include "base/fail.h"
#include "codec/mime/map.h"

struct order_table;

/* `seed`: 16 secret bytes. Never NULL. */
struct order_table *order_table_new(const uint64_t seed[2]);
void order_table_free(struct order_table *t);
DEFINE_AUTO_PTR(order_table, struct order_table, order_table_free);

struct order_message {
	uint32_t uid;
	uint32_t size; /* RFC822.SIZE */
	struct wall_us internaldate;
	const struct mime_map *map; /* NULL: it cannot be read; all texts are empty then */
};
/* UIDs only grow; one that is not above order_table_last is left alone. Copies what it needs.
 * False when there is no room: ORDER_TEXT_MAX bytes of texts in all. */
#define ORDER_TEXT_MAX GIB(1)
bool order_table_add(struct order_table *t, const struct order_message *m);
uint32_t order_table_last(const struct order_table *t); /* 0: empty */
/* Are all of these (ascending) in it? */
bool order_table_has(const struct order_table *t, const uint32_t *uid, size_t n);
size_t order_table_count(const struct order_table *t);
size_t order_table_bytes(const struct order_table *t); /* of memory */

/*
 * Put the texts in order, so that order_sort compares numbers. Costs a sort of the different texts
 * the first time, and little for each new one afterwards. Never needed, only faster.
 */
void order_table_rank(struct order_table *t);

/* ---- SORT ---------------------------------------------------------------------------------- */

enum order_criterion {
	ORDER_ARRIVAL,
	ORDER_CC,
	ORDER_DATE,
	ORDER_DISPLAYFROM,
	ORDER_DISPLAYTO,
	ORDER_FROM,
	ORDER_SIZE,
	ORDER_SUBJECT,
	ORDER_TO,
	ORDER_RELEVANCY, /* the best score first */
	ORDER_CRITERION_COUNT
};
struct order_by {
	enum order_criterion what;
	bool reverse;
	const uint8_t *score; /* ORDER_RELEVANCY: of each message */
};

/*
 * Find the order of n messages by their UIDs, which are given ascending and are in the table:
 * ret[i] is the index of the message that comes i-th. Messages that are alike stay ascending.
 * Memory: 24 bytes a message while it runs.
 */
void order_sort(const struct order_table *t, const struct order_by *by, size_t n_by,
		const uint32_t *uid, size_t n, uint32_t *ret);

/* ---- THREAD -------------------------------------------------------------------------------- */

enum order_thread {
	ORDER_THREAD_ORDEREDSUBJECT,
	ORDER_THREAD_REFERENCES,
	ORDER_THREAD_REFS,
};

/*
 * Threads of n messages (given as to order_sort), written as the THREAD response has them behind
 * "THREAD ": "(2)(3 6 (4 23)(44 7 96))". `number[i]` is what is written for message i. Time and
 * memory grow with messages and references, never with their product: references that are made to
 * be expensive to follow stay unlinked.
 */
void order_thread_write(const struct order_table *t, enum order_thread how, const uint32_t *uid,
			const uint32_t *number, size_t n, struct buf *out);

#endif
