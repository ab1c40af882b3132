/* SPDX-License-Identifier: Apache-2.0 */
#include "service/search/filter.h"
#include <string.h>

/* At least so many bits for a gram, times two. */
#define BITS_PER_GRAM_X2 9

uint32_t filter_bits(unsigned kind)
{
	return (kind % 2 ? 384u : 256u) << kind / 2;
}

unsigned filter_class(size_t n_grams)
{
	unsigned kind = 0;
	while (kind + 1 < FILTER_CLASSES && filter_bits(kind) * 2u < n_grams * BITS_PER_GRAM_X2)
		kind++;
	return kind;
}

void filter_rows(uint32_t gram, uint32_t bits, uint32_t ret[FILTER_HASHES])
{
	uint64_t z = gram * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
	z ^= z >> 32;
	uint32_t at = (uint32_t)z, step = (uint32_t)(z >> 32) | 1;
	for (unsigned i = 0; i < FILTER_HASHES; i++, at += step)
		ret[i] = (uint32_t)((uint64_t)at * bits >> 32);
}

void filter_fill(uint8_t *array, unsigned kind, const uint32_t *gram, size_t n)
{
	uint32_t bits = filter_bits(kind), row[FILTER_HASHES];
	for (size_t i = 0; i < n; i++) {
		filter_rows(gram[i], bits, row);
		for (unsigned k = 0; k < FILTER_HASHES; k++)
			array[row[k] / 8] |= (uint8_t)(1u << row[k] % 8);
	}
}

bool filter_has(const uint8_t *array, unsigned kind, uint32_t gram)
{
	uint32_t row[FILTER_HASHES];
	filter_rows(gram, filter_bits(kind), row);
	for (unsigned k = 0; k < FILTER_HASHES; k++)
		if (!(array[row[k] / 8] >> row[k] % 8 & 1))
			return false;
	return true;
}

/* Eight bytes as a square of bits, mirrored at its diagonal. */
static uint64_t mirror(uint64_t x)
{
	uint64_t t = (x ^ (x >> 7)) & UINT64_C(0x00aa00aa00aa00aa);
	x ^= t ^ (t << 7);
	t = (x ^ (x >> 14)) & UINT64_C(0x0000cccc0000cccc);
	x ^= t ^ (t << 14);
	t = (x ^ (x >> 28)) & UINT64_C(0x00000000f0f0f0f0);
	return x ^ t ^ (t << 28);
}

void filter_turn(const uint8_t *const *column, size_t n, size_t rows, uint8_t *out)
{
	size_t width = (n + 7) / 8;
	for (size_t group = 0; group < width; group++) {
		size_t here = MIN(n - group * 8, (size_t)8);
		for (size_t byte = 0; byte < rows / 8; byte++) {
			uint64_t x = 0;
			for (size_t i = 0; i < here; i++)
				x |= (uint64_t)column[group * 8 + i][byte] << i * 8;
			x = mirror(x);
			for (size_t i = 0; i < 8; i++)
				out[(byte * 8 + i) * width + group] = (uint8_t)(x >> i * 8);
		}
	}
}
