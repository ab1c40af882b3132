/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/fuzzy.h"
#include "base/check.h"

#define WIDE	   0x2e80u
#define FIRST_JAMO 0x1100u
#define LAST_JAMO  0x11ffu
#define STEM_MIN   4u /* letters that two forms of a word have in common */
#define PREFIX_MIN 7u /* from so many letters on, an error may be in the beginning of a word */
#define ONE_ERROR  4u /* from so many letters on */
#define TWO_ERRORS 12u

/* What a place in the text is worth, before its percent. */
enum worth {
	WORTH_SAME = 100,
	WORTH_BEGINS = 90,
	WORTH_FORM = 80,
	WORTH_INSIDE = 75,
	WORTH_ERROR = 65, /* less for more errors, and for the beginning of a longer word */
	WORTH_MORE_ERRORS = 15,
	WORTH_LONGER = 10,
};
/* The least that can come out: two errors in a longer word, in a place of 80 percent. */
#define WORTH_LEAST 32u

enum kind { KIND_NONE, KIND_LETTERS, KIND_CJK };

/* Endings of forms in German and English, folded; the longest first matters nowhere. */
static const char *const endings[] = {
	"E",   "N",    "S",    "Y",    "T",    "D",	"I",	 "R",	  "EN",	 "ER",
	"ES",  "EM",   "ED",   "ET",   "TE",   "ST",	"LY",	 "NS",	  "RN",	 "IN",
	"ING", "IES",  "IED",  "IER",  "ERN",  "TEN",	"TET",	 "ERS",	  "ION", "UNG",
	"END", "INGS", "IONS", "TEST", "LICH", "UNGEN", "INNEN", "IONEN",
};

struct word {
	enum kind kind;
	bool exact; /* it has digits */
	size_t n, errors;
	uint64_t letters; /* a bit for each */
	uint32_t c[FUZZY_WORD_MAX];
};
struct fuzzy {
	size_t n;
	struct word word[FUZZY_WORDS_MAX];
};

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_mark(uint32_t cp)
{
	return cp >= 0x300 && cp <= 0x36f;
}

static bool in(uint32_t cp, uint32_t first, uint32_t last)
{
	return cp >= first && cp <= last;
}

/* Of a folded character. Punctuation, blanks and symbols that are common in texts are none. */
static enum kind kind_of(uint32_t cp)
{
	if (cp < 0x80)
		return in(cp, 'A', 'Z') || in(cp, '0', '9') ? KIND_LETTERS : KIND_NONE;
	if (cp < 0xc0)
		return cp == 0xaa || cp == 0xb5 || cp == 0xba ? KIND_LETTERS : KIND_NONE;
	if (cp < WIDE)
		return cp == 0xd7 || cp == 0xf7 || in(cp, 0x2000, 0x206f) || in(cp, 0x2190, 0x2bff)
			       ? KIND_NONE
			       : KIND_LETTERS;
	if (in(cp, 0x3000, 0x3004) || in(cp, 0x3008, 0x3020) || cp == 0x30fb ||
	    in(cp, 0xfe10, 0xfe6f) || in(cp, 0xff00, 0xff0f) || in(cp, 0xff1a, 0xff20) ||
	    in(cp, 0xff3b, 0xff40) || in(cp, 0xff5b, 0xff65) || cp == 0xfffd || cp == 0xfeff)
		return KIND_NONE;
	return KIND_CJK;
}

static uint64_t letter_bit(uint32_t cp)
{
	return UINT64_C(1) << (cp * UINT32_C(0x9e3779b1) >> 26);
}

/* ---- what is looked for ---------------------------------------------------------------------- */

static struct word *next_word(struct fuzzy *f, enum kind kind)
{
	if (f->n == FUZZY_WORDS_MAX)
		return NULL;
	f->word[f->n].kind = kind;
	return &f->word[f->n++];
}

static void finish(struct word *w)
{
	w->errors = w->exact || w->n < ONE_ERROR ? 0 : w->n < TWO_ERRORS ? 1 : 2;
}

struct fuzzy *fuzzy_new(struct str utf8)
{
	struct fuzzy *f = xcalloc(1, sizeof *f);
	struct folds *folds = xcalloc(1, sizeof *folds);
	struct word *w = NULL;
	bool full = false;
	for (size_t pos = 0; pos < utf8.n && !full;) {
		uint32_t out[CHARSET_FOLD_MAX] = {0};
		size_t n = 1;
		if ((unsigned char)utf8.p[pos] < 0x80)
			out[0] = (uint32_t)ascii_upper(utf8.p[pos++]);
		else
			n = fold_next(folds, utf8, &pos, out);
		for (size_t i = 0; i < n && !full; i++) {
			enum kind kind = kind_of(out[i]);
			if (is_mark(out[i]))
				continue;
			if (kind == KIND_NONE || (w && w->kind != kind))
				w = NULL;
			if (kind == KIND_NONE)
				continue;
			if (!w)
				full = !(w = next_word(f, kind));
			if (!w || w->n == FUZZY_WORD_MAX)
				continue;
			w->exact |= in(out[i], '0', '9');
			w->letters |= letter_bit(out[i]);
			w->c[w->n++] = out[i];
		}
	}
	for (size_t i = 0; i < f->n; i++)
		finish(&f->word[i]);
	free(folds);
	return f;
}

void fuzzy_free(struct fuzzy *f)
{
	free(f);
}

size_t fuzzy_count(const struct fuzzy *f)
{
	return f->n;
}

static bool is_ending(const uint32_t *c, size_t n)
{
	if (n == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		size_t k = 0;
		while (k < n && endings[i][k] && (uint32_t)(unsigned char)endings[i][k] == c[k])
			k++;
		if (k == n && !endings[i][k])
			return true;
	}
	return false;
}

/* The fewest letters of the word that another form of it has, too. */
static size_t shortest_stem(const struct word *w)
{
	if (w->exact || w->kind != KIND_LETTERS)
		return w->n;
	for (size_t stem = STEM_MIN; stem < w->n; stem++)
		if (is_ending(w->c + stem, w->n - stem))
			return stem;
	return w->n;
}

void fuzzy_word(const struct fuzzy *f, size_t i, struct buf *out, size_t *ret_lack)
{
	const struct word *w = &f->word[i];
	bool jamo = false;
	for (size_t k = 0; k < w->n; k++) {
		(void)utf8_put(out, w->c[k]);
		jamo |= in(w->c[k], FIRST_JAMO, LAST_JAMO);
	}
	/* Two exchanged letters are in four runs of three; of jamo in three of two, besides. A CJK
	 * character is a run, and in two of two; three of two have one of two exchanged ones. */
	size_t spoilt = w->errors * (w->kind == KIND_CJK ? 3 : jamo ? 7 : 4);
	size_t lost = (w->n - shortest_stem(w)) * (jamo ? 2 : 1);
	*ret_lack = MAX(spoilt, lost);
}

/* ---- one word of the text -------------------------------------------------------------------- */

/* Where the word stands in it; n when it does not. */
static size_t find(const struct word *w, const uint32_t *c, size_t n)
{
	for (size_t at = 0; at + w->n <= n; at++)
		if (c[at] == w->c[0] && memcmp(c + at, w->c, w->n * sizeof *c) == 0)
			return at;
	return n;
}

static bool is_form(const struct word *w, const uint32_t *c, size_t n)
{
	size_t same = 0, most = MIN(w->n, n);
	while (same < most && w->c[same] == c[same])
		same++;
	for (; same >= STEM_MIN; same--)
		if (is_ending(w->c + same, w->n - same) && is_ending(c + same, n - same))
			return true;
	return false;
}

/* Rows of the distance of two words: what the word so far is from each beginning of the text. */
#define COLUMNS (2 * FUZZY_WORD_MAX + 1)
struct distance {
	uint8_t row[3][COLUMNS];
};

static uint8_t least(uint8_t a, uint8_t b, uint8_t c)
{
	return MIN(a, MIN(b, c));
}

/* Letter i of the word. Returns the smallest number of the row. */
static uint8_t next_row(struct distance *d, const struct word *w, size_t i, const uint32_t *c,
			size_t n)
{
	uint8_t *now = d->row[i % 3], *before = d->row[(i + 2) % 3], *two = d->row[(i + 1) % 3];
	uint8_t smallest = now[0] = (uint8_t)i;
	for (size_t k = 1; k <= n; k++) {
		now[k] = least((uint8_t)(before[k] + 1), (uint8_t)(now[k - 1] + 1),
			       (uint8_t)(before[k - 1] + (w->c[i - 1] != c[k - 1])));
		if (i > 1 && k > 1 && w->c[i - 1] == c[k - 2] && w->c[i - 2] == c[k - 1])
			now[k] = MIN(now[k], (uint8_t)(two[k - 2] + 1));
		smallest = MIN(smallest, now[k]);
	}
	return smallest;
}

/* Fills the last row and returns it, or NULL when all of it is above the word's errors.
 * `anywhere`: the match may begin at every character. */
static const uint8_t *distances(struct distance *d, const struct word *w, const uint32_t *c,
				size_t n, bool anywhere)
{
	uint8_t smallest = 0, previous = 0;
	for (size_t k = 0; k <= n; k++)
		d->row[0][k] = anywhere ? 0 : (uint8_t)k;
	for (size_t i = 1; i <= w->n; i++) {
		previous = smallest;
		smallest = next_row(d, w, i, c, n);
		if (smallest > w->errors && previous > w->errors)
			return NULL;
	}
	return d->row[w->n % 3];
}

static unsigned worth_of_errors(size_t errors, bool longer)
{
	return WORTH_ERROR - (unsigned)(errors - 1) * WORTH_MORE_ERRORS -
	       (longer ? WORTH_LONGER : 0);
}

static bool first_fits(const struct word *w, const uint32_t *c, size_t n)
{
	return c[0] == w->c[0] || (n > 1 && c[0] == w->c[1] && c[1] == w->c[0]);
}

static unsigned nearly(const struct word *w, const uint32_t *c, size_t n, uint64_t letters)
{
	struct distance d;
	bool may_be_longer = w->n >= PREFIX_MIN;
	if (!w->errors || n + w->errors < w->n || (!may_be_longer && n > w->n + w->errors) ||
	    !first_fits(w, c, n) || (size_t)__builtin_popcountll(w->letters & ~letters) > w->errors)
		return 0;
	size_t most = MIN(n, w->n + w->errors), best = w->errors + 1;
	const uint8_t *last = distances(&d, w, c, most, false);
	if (!last)
		return 0;
	if (most == n && last[n] <= w->errors && last[n] > 0)
		return worth_of_errors(last[n], false);
	for (size_t k = may_be_longer ? w->n - w->errors : most + 1; k <= most; k++)
		best = MIN(best, last[k]);
	return best > 0 && best <= w->errors ? worth_of_errors(best, true) : 0;
}

static unsigned nearly_anywhere(const struct word *w, const uint32_t *c, size_t n, uint64_t letters)
{
	struct distance d;
	size_t best = w->errors + 1;
	if (!w->errors || n + w->errors < w->n ||
	    (size_t)__builtin_popcountll(w->letters & ~letters) > w->errors)
		return 0;
	const uint8_t *last = distances(&d, w, c, n, true);
	for (size_t k = 0; last && k <= n; k++)
		best = MIN(best, last[k]);
	return best > 0 && best <= w->errors ? worth_of_errors(best, false) : 0;
}

/* What this piece of a text word is worth for a word. `ended`: the text word ends with it. */
static unsigned worth(const struct word *w, const struct fuzzy_look *l, bool ended)
{
	const uint32_t *c = l->c;
	size_t n = l->n;
	if ((w->letters & ~l->letters) == 0) {
		size_t at = find(w, c, n);
		if (at < n && w->kind == KIND_CJK)
			return WORTH_SAME;
		if (at == 0 && n > 0 && !l->inside)
			return ended && w->n == n ? WORTH_SAME : WORTH_BEGINS;
		if (at < n)
			return WORTH_INSIDE;
	}
	if (w->kind == KIND_CJK)
		return nearly_anywhere(w, c, n, l->letters);
	if (l->inside || w->exact)
		return 0;
	return ended && is_form(w, c, n) ? WORTH_FORM : nearly(w, c, n, l->letters);
}

/* ---- texts ----------------------------------------------------------------------------------- */

void fuzzy_look_init(struct fuzzy_look *l, const struct fuzzy *f, bool scored)
{
	memset(l, 0, sizeof *l);
	l->f = f;
	l->scored = scored;
	l->percent = 100;
}

/* Are words found in the order of the needle, without others between them? */
static void note_row(struct fuzzy_look *l, const bool found[FUZZY_WORDS_MAX])
{
	size_t n = l->f->n;
	l->row = found[l->row] ? l->row + 1 : found[0];
	if (l->row == n) {
		l->phrase = true;
		l->row = 0;
	}
}

static void judge(struct fuzzy_look *l, bool ended)
{
	bool found[FUZZY_WORDS_MAX] = {false};
	for (size_t i = 0; i < l->f->n; i++) {
		const struct word *w = &l->f->word[i];
		if ((unsigned)w->kind != l->kind)
			continue;
		unsigned is = worth(w, l, ended) * l->percent / 100;
		found[i] = is > 0;
		l->best[i] = (uint8_t)MAX((unsigned)l->best[i], is);
	}
	if (ended && l->f->n)
		note_row(l, found);
}

static void end_word(struct fuzzy_look *l)
{
	if (l->n)
		judge(l, true);
	l->n = 0;
	l->letters = 0;
	l->inside = false;
	l->kind = KIND_NONE;
}

/* A word that is too long to be held: what may be in it is looked for in pieces that overlap. */
static void make_room(struct fuzzy_look *l)
{
	size_t keep = FUZZY_WORD_MAX + 2;
	judge(l, false);
	memmove(l->c, l->c + l->n - keep, keep * sizeof *l->c);
	l->n = keep;
	l->inside = true;
	l->letters = 0;
	for (size_t i = 0; i < keep; i++)
		l->letters |= letter_bit(l->c[i]);
}

static inline void push(struct fuzzy_look *l, uint32_t cp, enum kind kind)
{
	if ((unsigned)kind != l->kind)
		end_word(l);
	if (kind == KIND_NONE)
		return;
	if (l->n == ARRAY_LEN(l->c))
		make_room(l);
	l->kind = (unsigned)kind;
	l->letters |= letter_bit(cp);
	l->c[l->n++] = cp;
}

static bool is_enough(const struct fuzzy_look *l)
{
	unsigned wanted = l->scored ? l->percent : 1;
	if (l->scored && l->f->n > 1 && !l->phrase)
		return false;
	for (size_t i = 0; i < l->f->n; i++)
		if (l->best[i] < wanted)
			return false;
	return true;
}

void fuzzy_look_begin(struct fuzzy_look *l, unsigned percent)
{
	end_word(l);
	l->row = 0;
	l->percent = percent;
}

bool fuzzy_look_take(struct fuzzy_look *l, struct str utf8)
{
	for (size_t pos = 0; pos < utf8.n;) {
		uint32_t out[CHARSET_FOLD_MAX];
		unsigned char b = (unsigned char)utf8.p[pos];
		if (b < 0x80) {
			uint32_t up = (unsigned char)ascii_upper((char)b);
			push(l, up, kind_of(up));
			pos++;
			continue;
		}
		size_t n = fold_next(&l->folds, utf8, &pos, out);
		for (size_t i = 0; i < n; i++)
			if (!is_mark(out[i]))
				push(l, out[i], kind_of(out[i]));
	}
	return l->f->n == 0 || is_enough(l);
}

unsigned fuzzy_look_end(struct fuzzy_look *l)
{
	size_t n = l->f->n;
	unsigned sum = 0;
	end_word(l);
	for (size_t i = 0; i < n; i++) {
		if (l->best[i] == 0)
			return 0;
		sum += l->best[i];
	}
	if (n == 0)
		return 0;
	unsigned mean = sum / (unsigned)n;
	if (n > 1 && !l->phrase)
		mean = mean * 9 / 10;
	return mean <= WORTH_LEAST ? 1 : 1 + (mean - WORTH_LEAST) * 99 / (100 - WORTH_LEAST);
}
