/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail is ASCII most of the time: three of its characters are 21 bits, of which a bit map tells
 * whether they were seen. Everything else goes through a hash set.
 */
#include "codec/mime/grams.h"
#include "base/check.h"

#define NONE	   UINT32_MAX /* no character: the beginning of a text */
#define SEEN_WORDS ((1u << 21) / 64)
#define WIDE	   0x2e80u
#define OTHER	   0x80000000u /* bit of a gram that is not three ASCII characters */
#define CHUNK	   4096u

void grams_init(struct grams *g, bool plain)
{
	*g = (struct grams){.plain = plain};
	grams_begin(g);
}

void grams_clear(struct grams *g)
{
	bool plain = g->plain;
	free(g->gram);
	free(g->seen);
	free(g->other);
	grams_init(g, plain);
}

void grams_reset(struct grams *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (!(g->gram[i] & OTHER))
			g->seen[g->gram[i] / 64] = 0;
	if (g->other_n)
		memset(g->other, 0, g->other_cap * sizeof *g->other);
	g->other_n = 0;
	g->n = 0;
	g->full = false;
	grams_begin(g);
}

void grams_begin(struct grams *g)
{
	for (size_t i = 0; i < 3; i++)
		g->last[i] = g->bare[i] = NONE;
	g->marked = false;
}

/* Room for `n` more in the list: false when there is none. */
static bool reserve(struct grams *g, size_t n)
{
	if (!g->seen)
		g->seen = xcalloc(SEEN_WORDS, sizeof *g->seen);
	if (g->n >= GRAMS_MAX) {
		g->full = true;
		return false;
	}
	if (g->n + n <= g->cap)
		return true;
	size_t cap = MAX(g->cap * 2, (size_t)CHUNK * 2);
	uint32_t *list = realloc(g->gram, cap * sizeof *list);
	CHECK(list);
	g->gram = list;
	g->cap = cap;
	return true;
}

static uint32_t mix(uint32_t a, uint32_t b, uint32_t c)
{
	uint64_t z = ((uint64_t)a << 42) ^ ((uint64_t)b << 21) ^ c;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32) | OTHER;
}

static void grow_other(struct grams *g)
{
	size_t cap = MAX(g->other_cap * 2, (size_t)1024);
	uint32_t *to = xcalloc(cap, sizeof *to);
	for (size_t i = 0; i < g->other_cap; i++) {
		uint32_t gram = g->other[i];
		size_t at = gram & (cap - 1);
		while (gram && to[at])
			at = (at + 1) & (cap - 1);
		if (gram)
			to[at] = gram;
	}
	free(g->other);
	g->other = to;
	g->other_cap = cap;
}

static void put_other(struct grams *g, uint32_t gram)
{
	if (!reserve(g, 1))
		return;
	if (g->other_n * 2 >= g->other_cap)
		grow_other(g);
	size_t at = gram & (g->other_cap - 1);
	while (g->other[at] && g->other[at] != gram)
		at = (at + 1) & (g->other_cap - 1);
	if (g->other[at])
		return;
	g->other[at] = gram;
	g->other_n++;
	g->gram[g->n++] = gram;
}

static bool is_wide(uint32_t cp)
{
	return cp >= WIDE || (cp >= 0x1100 && cp <= 0x11ff);
}

static bool is_mark(uint32_t cp)
{
	return cp >= 0x300 && cp <= 0x36f;
}

static void put_three(struct grams *g, const uint32_t last[3])
{
	if (last[0] == NONE || last[0] >= WIDE || last[1] >= WIDE || last[2] >= WIDE)
		return;
	if ((last[0] | last[1] | last[2]) >= 0x80) {
		put_other(g, mix(last[0], last[1], last[2]));
		return;
	}
	uint32_t gram = last[0] << 14 | last[1] << 7 | last[2];
	uint64_t bit = UINT64_C(1) << (gram % 64);
	if (!reserve(g, 1) || (g->seen[gram / 64] & bit))
		return;
	g->seen[gram / 64] |= bit;
	g->gram[g->n++] = gram;
}

static void shift(uint32_t last[3], uint32_t cp)
{
	last[0] = last[1];
	last[1] = last[2];
	last[2] = cp;
}

/* One folded character. */
static void push(struct grams *g, uint32_t cp)
{
	shift(g->last, cp);
	if (cp >= WIDE)
		put_other(g, mix(0x1ffffd, 0, cp));
	if (g->last[1] != NONE && (is_wide(cp) || is_wide(g->last[1])))
		put_other(g, mix(0x1ffffe, g->last[1], cp));
	put_three(g, g->last);
	if (!g->plain)
		return;
	g->marked = is_mark(g->last[0]) || is_mark(g->last[1]) || is_mark(cp);
	if (is_mark(cp))
		return;
	shift(g->bare, cp);
	if (memcmp(g->bare, g->last, sizeof g->last) != 0)
		put_three(g, g->bare);
}

/* ASCII behind ASCII, without marks nearby: the usual case. Returns how many bytes it took. */
static size_t push_ascii(struct grams *g, const unsigned char *p, size_t n)
{
	uint32_t run = g->last[1] << 7 | g->last[2];
	uint32_t *list = g->gram + g->n;
	uint64_t *seen = g->seen;
	size_t i = 0;
	for (; i < n && p[i] < 0x80; i++) {
		uint32_t up = (unsigned char)ascii_upper((char)p[i]);
		run = (run << 7 & 0x1fffffu) | up;
		uint64_t *word = &seen[run / 64];
		uint64_t old = *word >> (run % 64) & 1;
		*list = run;
		list += !old;
		*word |= UINT64_C(1) << (run % 64);
	}
	g->n = (size_t)(list - g->gram);
	for (size_t k = i < 3 ? 0 : i - 3; k < i; k++) {
		shift(g->last, (uint32_t)ascii_upper((char)p[k]));
		shift(g->bare, (uint32_t)ascii_upper((char)p[k]));
	}
	return i;
}

static bool all_ascii(const struct grams *g)
{
	return g->last[1] < 0x80 && g->last[2] < 0x80 &&
	       (!g->plain || (!g->marked && g->bare[1] == g->last[1] && g->bare[2] == g->last[2]));
}

void grams_add(struct grams *g, struct str utf8)
{
	for (size_t pos = 0; pos < utf8.n && !g->full;) {
		unsigned char b = (unsigned char)utf8.p[pos];
		if (b < 0x80 && all_ascii(g)) {
			size_t n = MIN(utf8.n - pos, (size_t)CHUNK);
			if (reserve(g, n))
				pos += push_ascii(g, (const unsigned char *)utf8.p + pos, n);
			continue;
		}
		uint32_t out[CHARSET_FOLD_MAX] = {(uint32_t)ascii_upper((char)b)};
		size_t n = 1;
		if (b < 0x80)
			pos++;
		else
			n = fold_next(&g->folds, utf8, &pos, out);
		for (size_t i = 0; i < n; i++)
			push(g, out[i]);
	}
}
