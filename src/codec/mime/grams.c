/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail is ASCII most of the time: three of its characters are 21 bits, of which a bit map tells
 * whether they were seen; four are hashed to as many. Everything else goes through a hash set.
 */
#include "codec/mime/grams.h"
#include "base/check.h"

#define NONE	   UINT32_MAX /* no character: the beginning of a text */
#define SEEN_BITS  (1u << 21)
#define SEEN_WORDS (SEEN_BITS / 64)
#define WIDE	   0x2e80u
#define OTHER	   0x80000000u /* bit of a gram that is neither three nor four ASCII characters */
#define FOUR	   0x40000000u /* bit of one of four */
#define CHUNK	   4096u

void grams_init(struct grams *g, unsigned how)
{
	*g = (struct grams){.how = how};
	grams_begin(g);
}

void grams_clear(struct grams *g)
{
	unsigned how = g->how;
	free(g->gram);
	free(g->seen);
	free(g->seen_four);
	free(g->other);
	grams_init(g, how);
}

void grams_reset(struct grams *g)
{
	for (size_t i = 0; i < g->n; i++) {
		uint32_t gram = g->gram[i];
		if (gram & FOUR)
			g->seen_four[(gram & (SEEN_BITS - 1)) / 64] = 0;
		else if (!(gram & OTHER))
			g->seen[gram / 64] = 0;
	}
	if (g->other_n)
		memset(g->other, 0, g->other_cap * sizeof *g->other);
	g->other_n = 0;
	g->n = 0;
	g->full = false;
	grams_begin(g);
}

void grams_begin(struct grams *g)
{
	for (size_t i = 0; i < 4; i++)
		g->last[i] = g->bare[i] = NONE;
}

/* Room for `n` more in the list: false when there is none. */
static bool reserve(struct grams *g, size_t n)
{
	if (!g->seen) {
		g->seen = xcalloc(SEEN_WORDS, sizeof *g->seen);
		g->seen_four = xcalloc(SEEN_WORDS, sizeof *g->seen_four);
	}
	if (g->n >= GRAMS_MAX) {
		g->full = true;
		return false;
	}
	if (g->n + n <= g->cap)
		return true;
	size_t cap = MAX(g->cap * 2, (size_t)CHUNK * 4);
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
	return ((uint32_t)(z >> 32) & ~FOUR) | OTHER;
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

static uint32_t hash_four(uint32_t run)
{
	return run * UINT32_C(0x9e3779b1) >> 11;
}

static void put_seen(struct grams *g, uint64_t *seen, uint32_t bit, uint32_t gram)
{
	if (seen[bit / 64] >> (bit % 64) & 1)
		return;
	seen[bit / 64] |= UINT64_C(1) << (bit % 64);
	g->gram[g->n++] = gram;
}

/* The runs that end with the last of these. */
static void put_runs(struct grams *g, const uint32_t c[4])
{
	if (c[1] == NONE || c[1] >= WIDE || c[2] >= WIDE || c[3] >= WIDE || !reserve(g, 2))
		return;
	uint32_t three = c[1] << 14 | c[2] << 7 | c[3];
	bool ascii = (c[1] | c[2] | c[3]) < 0x80;
	if (ascii)
		put_seen(g, g->seen, three, three);
	else
		put_other(g, mix(c[1], c[2], c[3]));
	if (c[0] >= WIDE || (g->how & GRAMS_SHORT)) /* NONE is, too */
		return;
	uint32_t hash = hash_four(c[0] << 21 | three);
	if (ascii && c[0] < 0x80)
		put_seen(g, g->seen_four, hash, hash | FOUR);
	else
		put_other(g, mix(mix(c[0], c[1], 0x1ffffc), c[2], c[3]));
}

static void shift(uint32_t last[4], uint32_t cp)
{
	memmove(last, last + 1, 3 * sizeof *last);
	last[3] = cp;
}

static void put_pair(struct grams *g, const uint32_t c[4])
{
	if (c[2] != NONE && (is_wide(c[3]) || is_wide(c[2])))
		put_other(g, mix(0x1ffffe, c[2], c[3]));
}

/* One folded character. */
static void push(struct grams *g, uint32_t cp)
{
	shift(g->last, cp);
	if (cp >= WIDE)
		put_other(g, mix(0x1ffffd, 0, cp));
	put_pair(g, g->last);
	put_runs(g, g->last);
	if (!(g->how & GRAMS_PLAIN) || is_mark(cp))
		return;
	shift(g->bare, cp);
	if (memcmp(g->bare, g->last, sizeof g->last) == 0)
		return;
	put_pair(g, g->bare);
	put_runs(g, g->bare);
}

/* One of ASCII characters: the bit of `seen` is set, and a new one goes to *list. */
static inline uint32_t *note(uint64_t *seen, uint32_t bit, uint32_t gram, uint32_t *list)
{
	uint64_t *word = &seen[bit / 64];
	uint64_t old = *word >> (bit % 64) & 1;
	*list = gram;
	*word |= UINT64_C(1) << (bit % 64);
	return list + !old;
}

/* ASCII behind ASCII, without marks nearby: the usual case. Returns how many bytes it took; there
 * is room for twice as many. */
static size_t push_ascii(struct grams *g, const unsigned char *p, size_t n)
{
	uint32_t run = g->last[1] << 14 | g->last[2] << 7 | g->last[3];
	uint32_t *list = g->gram + g->n;
	bool four = !(g->how & GRAMS_SHORT);
	size_t i = 0;
	for (; i < n && p[i] < 0x80; i++) {
		uint32_t up = (unsigned char)ascii_upper((char)p[i]);
		run = (run << 7 & 0xfffffffu) | up;
		list = note(g->seen, run & 0x1fffffu, run & 0x1fffffu, list);
		if (four)
			list = note(g->seen_four, hash_four(run), hash_four(run) | FOUR, list);
	}
	g->n = (size_t)(list - g->gram);
	for (size_t k = i < 4 ? 0 : i - 4; k < i; k++) {
		shift(g->last, (unsigned char)ascii_upper((char)p[k]));
		shift(g->bare, (unsigned char)ascii_upper((char)p[k]));
	}
	return i;
}

static bool all_ascii(const struct grams *g)
{
	return (g->last[1] | g->last[2] | g->last[3]) < 0x80 &&
	       (!(g->how & GRAMS_PLAIN) || memcmp(g->bare, g->last, sizeof g->last) == 0);
}

void grams_add(struct grams *g, struct str utf8)
{
	for (size_t pos = 0; pos < utf8.n && !g->full;) {
		unsigned char b = (unsigned char)utf8.p[pos];
		if (b < 0x80 && all_ascii(g)) {
			size_t n = MIN(utf8.n - pos, (size_t)CHUNK);
			if (reserve(g, 2 * n))
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
