/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grams.h - which short runs of characters a text has.                         [codec, pure]
 *
 * For an index of substrings. A gram is a number for a run of one to four characters, folded as
 * SEARCH compares them (text.h), so "CAF" of "café" is the one of "Cafe". Runs:
 *
 *     three	of characters below U+2E80: alphabets
 *     four	of the same: most texts have "ATI" and "TIO", fewer have "ATIO"
 *     two	where one of them is wide: CJK, or the parts of a Hangul syllable
 *     one	of U+2E80 and above: CJK
 *
 * Promise: when a text has a needle as a substring (text_contains), then it has every gram of the
 * needle. Not the other way round: different runs may share a number, and their order is lost.
 * A needle of one or two letters of an alphabet has no gram.
 *
 * With GRAMS_PLAIN, marks (U+0300..U+036F) are left out, too: runs that would span one are there
 * without it, in addition. So the grams of "resume" are those of "résumé", for fuzzy search. With
 * GRAMS_SHORT, there are none of four: a wrong letter spoils fewer.
 */
#ifndef BARID_CODEC_MIME_GRAMS_H
#define BARID_CODEC_MIME_GRAMS_H

#include "codec/mime/fold.h"

enum { GRAMS_PLAIN = 1u << 0, GRAMS_SHORT = 1u << 1 };

#define GRAMS_MAX 100000u /* of one text, different ones */

struct grams {
	uint32_t *gram; /* each once */
	size_t n;
	bool full;    /* it has more than GRAMS_MAX: some are missing */
	unsigned how; /* GRAMS_ bits */

	/* the last four characters, the last one last; and the same without marks */
	uint32_t last[4], bare[4];
	size_t cap;
	/* of three ASCII characters: a bit for each, 21 bits; of four: 21 bits of a hash */
	uint64_t *seen, *seen_four;
	uint32_t *other; /* of all others: a hash set */
	size_t other_cap, other_n;
	struct folds folds;
};

/* Memory comes with the first text; about 600 KiB. */
void grams_init(struct grams *g, unsigned how);
void grams_clear(struct grams *g);
DEFINE_AUTO(grams, struct grams, grams_clear);
/* Forget all, keep memory. */
void grams_reset(struct grams *g);

/* Another text begins: no run spans it and what was before. */
void grams_begin(struct grams *g);
/* The text goes on. UTF-8; what is malformed counts as U+FFFD. */
void grams_add(struct grams *g, struct str utf8);

#endif
