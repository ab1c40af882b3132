/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seqset.h - sets of message numbers or UIDs: "2,4:7,9,12:*".                  [codec, pure]
 *
 * RFC 3501 section 9, sequence-set; RFC 5182, "$". A set is either raw, as parsed (ranges in any
 * order, `*` as SEQ_STAR), or resolved: no star, ranges ascending, disjoint, not touching. Which
 * one it is says `resolved`; seqset_contains, _count, _each and _max need a resolved one. One
 * thread at a time; the ranges live where they were made (arena or seqset_out).
 */
#ifndef BARID_CODEC_SEQSET_H
#define BARID_CODEC_SEQSET_H

#include "base/arena.h"
#include "base/buf.h"

#define SEQ_STAR 0u /* never a number of a message */

struct seqrange {
	uint32_t first;
	uint32_t last;
};
struct seqset {
	struct seqrange *r;
	size_t n; /* at least 1 after parsing, 0 with `saved` */
	bool resolved;
	bool saved; /* "$": what the last SEARCH RETURN (SAVE) found; raw, and the whole set */
};

/* Length of the longest prefix of s that could be a set: digits , : * or "$" alone. */
size_t seqset_span(struct str s);

/*
 * Parse all of s. Returns 0, -FAIL_SYNTAX (zero, overflow, empty item, foreign byte) or
 * -FAIL_LIMIT (more than max_ranges, or the arena is full).
 */
int seqset_parse(struct str s, size_t max_ranges, struct arena *arena,
		 struct seqset *ret) MUST_CHECK;

bool seqset_has_star(const struct seqset *set);
/*
 * Largest number written in a raw set, `*` not counted (0 when there is only `*`): compare with
 * the number of messages before resolving a set of message numbers.
 */
uint32_t seqset_largest(const struct seqset *set);

/*
 * Put `star` for `*`, sort and merge, in place. As RFC 3501 asks, "559:*" with star 500 is
 * 500:559. A star of 0 (empty mailbox) removes `*` and every range that has it; the set may then
 * be empty.
 */
void seqset_resolve(struct seqset *set, uint32_t star);

bool seqset_contains(const struct seqset *set, uint32_t number); /* O(log n) */
uint64_t seqset_count(const struct seqset *set);

/* for (struct seqset_iter it = {0}; seqset_next(set, &it, &number);) ... ascending. */
struct seqset_iter {
	size_t range;
	uint64_t next;
};
bool seqset_next(const struct seqset *set, struct seqset_iter *it, uint32_t *ret);

/* "2,4:7,12:*" or "$". An empty set writes nothing. */
int seqset_write(struct buf *out, const struct seqset *set);

/*
 * Write numbers that arrive one by one as a set, in the order given: ascending neighbours join
 * to a range (for COPYUID, MODIFIED, VANISHED). Call seqset_out_end after the last one.
 *     struct seqset_out o = {.out = b};
 */
struct seqset_out {
	struct buf *out;
	struct seqrange open; /* first == 0: none */
	bool comma;
};
void seqset_out_add(struct seqset_out *o, uint32_t number);
void seqset_out_end(struct seqset_out *o);

#endif
