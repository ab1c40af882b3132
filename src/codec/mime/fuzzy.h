/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzzy.h - find words that are nearly what was typed (IMAP SEARCH=FUZZY).     [codec, pure]
 *
 * What is looked for is cut into words: letters and digits, and runs of CJK characters. Case and
 * marks (U+0300..U+036F) count nowhere. A message fits when each word is found, in whatever order.
 * A word is found where the text has, from the best to the worst:
 *
 *     the word itself, alone; at the beginning of a longer word; inside of one
 *     another form of it: the same four letters or more, and behind them on both sides an ending
 *         of the table in fuzzy.c, or nothing
 *     a word that is one error away (two, from 12 letters on): a letter too many, too few, another
 *         one, or two exchanged, but not another first letter. Words of up to three letters and
 *         those with digits have no errors; of seven or more letters, the error may be in the
 *         beginning of a longer word.
 *
 * CJK runs may stand anywhere in a run, and from four characters on with an error, too.
 *
 * The same words in the same texts always find the same. Memory and time: nothing grows with the
 * text; a text word costs little unless it resembles what is looked for.
 */
#ifndef BARID_CODEC_MIME_FUZZY_H
#define BARID_CODEC_MIME_FUZZY_H

#include "codec/mime/fold.h"

#define FUZZY_WORDS_MAX 16 /* of a needle; those behind them do not count */
#define FUZZY_WORD_MAX	64 /* characters; more do not count */

struct fuzzy;

/* UTF-8; what is malformed counts as U+FFFD. Never NULL. Immutable: any thread. */
struct fuzzy *fuzzy_new(struct str utf8);
void fuzzy_free(struct fuzzy *f);
DEFINE_AUTO_PTR(fuzzy, struct fuzzy, fuzzy_free);

/* How many words it has; 0: there is only punctuation in it, or nothing, and it is in no text. */
size_t fuzzy_count(const struct fuzzy *f);
/* A word as it is compared, for an index by grams (grams.h, GRAMS_PLAIN and GRAMS_SHORT): of its
 * grams a text may lack at most `ret_lack`. Appends UTF-8. */
void fuzzy_word(const struct fuzzy *f, size_t i, struct buf *out, size_t *ret_lack);

/* Looking, through the texts of a message one after the other. */
struct fuzzy_look {
	const struct fuzzy *f;
	bool scored;		       /* else a match is enough, whatever it is worth */
	unsigned percent;	       /* of the place */
	uint8_t best[FUZZY_WORDS_MAX]; /* of the words; 0: not found */
	size_t row;		       /* words found one behind the other */
	bool phrase;		       /* all of them were */

	unsigned kind; /* of the word that is being read */
	bool inside;
	size_t n;
	uint64_t letters;
	uint32_t c[2 * FUZZY_WORD_MAX];
	struct folds folds;
};
void fuzzy_look_init(struct fuzzy_look *l, const struct fuzzy *f, bool scored);
/* Another text begins: no word spans it and what was before. What is found in it is worth `percent`
 * (1 to 100) of a match; texts that are worth more come first. */
void fuzzy_look_begin(struct fuzzy_look *l, unsigned percent);
/* The next piece, UTF-8, cut between characters. True: the rest cannot make it better. */
bool fuzzy_look_take(struct fuzzy_look *l, struct str utf8);
/* The texts end. 0: it does not fit; else how well it does, 1 to 100. */
unsigned fuzzy_look_end(struct fuzzy_look *l);

#endif
