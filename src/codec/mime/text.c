/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The needle is folded to code points once; text is folded as it comes and run through Knuth,
 * Morris and Pratt's automaton, so that a match may begin in one piece of text and end in another.
 * Inside of a long run of ASCII, only places are looked at that have the needle's first and last
 * character, which are found sixteen at a time.
 */
#include "codec/mime/text.h"
#include "base/check.h"
#include "base/fail.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "codec/mime/charset.h"
#include "codec/mime/fold.h"
#include "codec/mime/header.h"
#include "codec/mime/transfer.h"
#include "codec/mime/word.h"

#define PIECE KIB(32)

struct text_needle {
	VEC(uint32_t) cps;
	VEC(uint32_t) back; /* back[i]: longest border of the first i + 1 */
	bool ascii;
};

/* Sixteen characters; the compilers make what the machine has of it. */
#define LANES	 16
#define WORK_MAX 4096 /* characters compared before it matters how far that led */
typedef uint8_t lanes __attribute__((vector_size(LANES)));

struct matcher {
	const struct text_needle *needle;
	size_t matched;
	bool found;
	struct folds folds;
};

struct text_needle *text_needle_new(struct str utf8)
{
	struct text_needle *n = xcalloc(1, sizeof *n);
	for (size_t pos = 0; pos < utf8.n;) {
		uint32_t out[CHARSET_FOLD_MAX];
		size_t count = charset_fold(utf8_next(utf8, &pos), out);
		for (size_t i = 0; i < count; i++)
			*vec_push(&n->cps) = out[i];
	}
	for (size_t i = 0; i < n->cps.n; i++) {
		size_t k = i > 0 ? n->back.p[i - 1] : 0;
		while (k > 0 && n->cps.p[k] != n->cps.p[i])
			k = n->back.p[k - 1];
		*vec_push(&n->back) = (uint32_t)(i > 0 && n->cps.p[k] == n->cps.p[i] ? k + 1 : k);
	}
	n->ascii = n->cps.n > 0;
	for (size_t i = 0; i < n->cps.n; i++)
		n->ascii &= n->cps.p[i] < 0x80;
	return n;
}

void text_needle_free(struct text_needle *n)
{
	if (!n)
		return;
	vec_clear(&n->cps);
	vec_clear(&n->back);
	free(n);
}

static void step(struct matcher *m, uint32_t cp)
{
	const struct text_needle *n = m->needle;
	size_t k = m->matched;
	while (k > 0 && n->cps.p[k] != cp)
		k = n->back.p[k - 1];
	m->matched = k + (n->cps.p[k] == cp);
	if (m->matched == n->cps.n) {
		m->found = true;
		m->matched = 0;
	}
}

/* *work grows by the characters that were looked at. */
static bool is_at(const struct text_needle *n, const char *p, size_t *work)
{
	size_t i = n->cps.n;
	while (i > 0 && (unsigned char)ascii_upper(p[i - 1]) == n->cps.p[i - 1])
		i--;
	*work += n->cps.n - i + 1;
	return i == 0;
}

/* Letters differ from the other case in one bit, which is set in `fold`. */
static lanes spread(uint32_t cp, lanes *fold)
{
	uint8_t letter = cp >= 'A' && cp <= 'Z' ? 0x20 : 0;
	*fold = (lanes){0} + letter;
	return (lanes){0} + (uint8_t)(cp | letter);
}

static bool any(lanes v)
{
	uint64_t half[2];
	memcpy(half, &v, sizeof half);
	return half[0] | half[1];
}

static void step_ascii(struct matcher *m, struct str s)
{
	for (size_t i = 0; i < s.n && !m->found; i++)
		step(m, (unsigned char)ascii_upper(s.p[i]));
}

static bool automaton_finds(const struct text_needle *n, struct str run)
{
	struct matcher m = {.needle = n};
	step_ascii(&m, run);
	return m.found;
}

/*
 * Is it inside of this run of ASCII? Where there is a place at every turn ("ab" and many "a" in
 * many "a"), the automaton goes on: it looks at each character once.
 */
static bool run_has(const struct text_needle *n, struct str run)
{
	size_t last = n->cps.n - 1, at = 0, work = 0;
	lanes fold_first, fold_last, text, end;
	lanes want_first = spread(n->cps.p[0], &fold_first);
	lanes want_last = spread(n->cps.p[last], &fold_last);
	for (; at + last + LANES <= run.n; at += LANES) {
		if (work > WORK_MAX + 4 * at)
			return automaton_finds(n, str_skip(run, at));
		memcpy(&text, run.p + at, LANES);
		memcpy(&end, run.p + at + last, LANES);
		lanes both = (lanes)((text | fold_first) == want_first) &
			     (lanes)((end | fold_last) == want_last);
		if (!any(both))
			continue;
		for (size_t i = 0; i < LANES; i++)
			if (both[i] && is_at(n, run.p + at + i, &work))
				return true;
	}
	for (; at + last < run.n; at++)
		if (is_at(n, run.p + at, &work))
			return true;
	return false;
}

/* What began before the run ends in its first characters, what goes on behind it begins in its last
 * ones: these go through the automaton. */
static void match_run(struct matcher *m, struct str run)
{
	const struct text_needle *n = m->needle;
	size_t edge = n->cps.n - 1;
	if (run.n < 4 * n->cps.n) {
		step_ascii(m, run);
		return;
	}
	step_ascii(m, str_sub(run, 0, edge));
	m->found = m->found || (n->ascii && run_has(n, run));
	m->matched = 0;
	if (!m->found)
		step_ascii(m, str_skip(run, run.n - edge));
}

static bool match(struct matcher *m, struct str utf8)
{
	m->found |= m->needle->cps.n == 0;
	for (size_t pos = 0; pos < utf8.n && !m->found;) {
		size_t run = str_ascii_run(str_skip(utf8, pos));
		if (run) {
			match_run(m, str_sub(utf8, pos, pos + run));
			pos += run;
			continue;
		}
		uint32_t out[CHARSET_FOLD_MAX];
		size_t n = fold_next(&m->folds, utf8, &pos, out);
		for (size_t i = 0; i < n && !m->found; i++)
			step(m, out[i]);
	}
	return m->found;
}

static void matcher_begin(void *ctx, enum text_place place)
{
	struct matcher *m = ctx;
	(void)place;
	m->matched = 0;
}

static bool matcher_take(void *ctx, struct str utf8)
{
	return match(ctx, utf8);
}

bool text_contains(const struct text_needle *n, struct str utf8)
{
	struct matcher m = {.needle = n};
	return match(&m, utf8);
}

bool text_field_each(const struct header_field *f, bool with_name, enum text_place place,
		     const struct text_sink *sink)
{
	AUTO(buf) struct buf line = BUF_INIT(f->value.n * 3 + 16);
	AUTO(buf) struct buf text = BUF_INIT(f->value.n * 12 + f->name.n + 64);
	if (with_name) {
		(void)buf_add(&text, f->name);
		(void)buf_add(&text, STR(": "));
	}
	header_unfold(&line, f->value);
	word_decode(&text, buf_str(&line));
	sink->begin(sink->ctx, place);
	return sink->take(sink->ctx, buf_str(&text));
}

bool text_header_contains(struct str header_block, struct str name, const struct text_needle *n)
{
	struct matcher m = {.needle = n};
	struct text_sink sink = {matcher_begin, matcher_take, &m};
	struct header_field f;
	while (header_next(&header_block, &f))
		if (str_eqi(f.name, name) && text_field_each(&f, false, TEXT_IN_HEADER, &sink))
			return true;
	return false;
}

/* Read up to n bytes of a range into buf, all of them unless the source fails. */
static int read_full(const struct text_source *s, uint64_t off, size_t n, struct buf *out)
{
	buf_reset(out);
	while (out->n < n) {
		int64_t got = s->read(s->ctx, off + out->n, buf_room(out, n - out->n), n - out->n);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return -FAIL_IO;
		buf_added(out, MIN((size_t)got, n - out->n));
	}
	return 0;
}

static int header_each(const struct text_source *s, const struct mime_part *p,
		       enum text_place place, const struct text_sink *sink)
{
	AUTO(buf) struct buf block = BUF_INIT(TEXT_HEADER_MAX + 16);
	struct header_field f;
	int r = read_full(s, p->header_off, (size_t)MIN(p->header_len, TEXT_HEADER_MAX), &block);
	struct str rest = buf_str(&block);
	while (r == 0 && header_next(&rest, &f))
		r = text_field_each(&f, true, place, sink);
	return r;
}

static bool is_encoded(enum mime_encoding e)
{
	return e == MIME_ENC_BASE64 || e == MIME_ENC_QP;
}

static int body_each(const struct text_source *s, const struct mime_part *p,
		     const struct text_sink *sink)
{
	AUTO(charset) struct charset *charset = charset_new(p->charset);
	AUTO(buf) struct buf raw = BUF_INIT(PIECE + 16);
	AUTO(buf) struct buf decoded = BUF_INIT(PIECE + 256);
	AUTO(buf) struct buf text = BUF_INIT(PIECE * 8);
	struct transfer t = transfer_of(p->encoding);
	sink->begin(sink->ctx, TEXT_IN_BODY);
	for (uint64_t at = 0; at < p->body_len; at += raw.n) {
		int r = read_full(s, p->body_off + at, (size_t)MIN(p->body_len - at, PIECE), &raw);
		if (r < 0)
			return r;
		struct str bytes = buf_str(&raw);
		if (is_encoded(p->encoding)) {
			buf_reset(&decoded);
			transfer_decode(&t, bytes, &decoded);
			bytes = buf_str(&decoded);
		}
		if (!charset_keeps(charset, bytes)) {
			buf_reset(&text);
			charset_feed(charset, bytes, &text);
			bytes = buf_str(&text);
		}
		if (sink->take(sink->ctx, bytes))
			return 1;
	}
	buf_reset(&decoded);
	buf_reset(&text);
	transfer_decode_end(&t, &decoded);
	charset_feed(charset, buf_str(&decoded), &text);
	charset_finish(charset, &text);
	return sink->take(sink->ctx, buf_str(&text));
}

int text_each(const struct text_source *source, const struct mime_map *map, enum text_scope scope,
	      const struct text_sink *sink)
{
	int r = 0;
	for (uint32_t i = 0; i < map->n_parts && r == 0; i++) {
		const struct mime_part *p = &map->parts[i];
		bool embedded = i > 0 && p->flags & MIME_PART_IS_MESSAGE;
		bool leaf = !(p->flags & (MIME_PART_MULTIPART | MIME_PART_MESSAGE));
		bool readable = p->flags & MIME_PART_TEXT || str_eq(p->type, STR("message"));
		if (scope == TEXT_ALL || embedded)
			r = header_each(source, p, embedded ? TEXT_IN_BODY : TEXT_IN_HEADER, sink);
		if (r == 0 && leaf && readable && p->encoding <= MIME_ENC_QP)
			r = body_each(source, p, sink);
	}
	return r;
}

int text_search(const struct text_source *source, const struct mime_map *map,
		const struct text_needle *n, enum text_scope scope)
{
	struct matcher m = {.needle = n};
	struct text_sink sink = {matcher_begin, matcher_take, &m};
	return n->cps.n == 0 ? 1 : text_each(source, map, scope, &sink);
}
