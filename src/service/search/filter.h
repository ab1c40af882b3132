/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - a set of grams as a bit array (a Bloom filter).          [service/search, private]
 *
 * Two bits are set for each gram, in an array whose length fits their number: about one gram in
 * twelve seems to be there and is not. Arrays come in lengths of 256, 384, 512, 768, ... bits, the
 * classes, so that those of one kind can be stored side by side, turned: one row has bit i of all
 * of them. To ask for a gram is to read two rows, however many messages there are.
 */
#ifndef BARID_SERVICE_SEARCH_FILTER_H
#define BARID_SERVICE_SEARCH_FILTER_H

#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_HASHES  2
#define FILTER_CLASSES 23 /* up to 512 Kibit */

/* A text of more is not narrowed. */
#define FILTER_GRAMS_MAX 110000u

uint32_t filter_bits(unsigned kind);
unsigned filter_class(size_t n_grams); /* n_grams <= FILTER_GRAMS_MAX */
void filter_rows(uint32_t gram, uint32_t bits, uint32_t ret[FILTER_HASHES]);
/* `array` is zeroed, of filter_bits(kind) / 8 bytes. */
void filter_fill(uint8_t *array, unsigned kind, const uint32_t *gram, size_t n);
bool filter_has(const uint8_t *array, unsigned kind, uint32_t gram);

/*
 * Turn: column[i] are bits [0, rows) of array i, rows is a multiple of 8; out gets `rows` rows of
 * (n + 7) / 8 bytes.
 */
void filter_turn(const uint8_t *const *column, size_t n, size_t rows, uint8_t *out);

#endif
