/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preview.c - which part, which bytes of it, and what plain text leaves of them.
 */
#include "base/fail.h"
#include "base/utf8.h"
#include "codec/mime/charset.h"
#include "codec/mime/preview_int.h"
#include "codec/mime/transfer.h"

#define PARTS_MAX 4 /* that are tried until one has words */

/* ---- writing words ------------------------------------------------------------------------- */

static bool is_space(uint32_t c)
{
	return c <= 0x20 || c == 0x7f || (c >= 0x80 && c <= 0xa0) || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

/* Takes no room: joiners, marks of direction, fillers of newsletters, and what is no character. */
static bool is_nothing(uint32_t c)
{
	return c == 0xad || c == 0x34f || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x2064) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c == 0xfffd || c == 0xfffe;
}

static bool is_ruler(uint32_t c)
{
	return c == '-' || c == '_' || c == '=' || c == '*' || c == '~' || c == '#' || c == '+' ||
	       c == 0x2014 || (c >= 0x2500 && c <= 0x257f);
}

static void put(struct preview_writer *w, uint32_t c)
{
	if (w->blank && w->chars > 0 && w->chars < PREVIEW_CHARS) {
		(void)buf_addc(w->out, ' ');
		w->chars++;
	}
	w->blank = false;
	if (w->chars >= PREVIEW_CHARS)
		return;
	(void)utf8_put(w->out, c);
	w->chars++;
}

/* A run of one of the ruler's characters is put out when it is short. */
static void end_run(struct preview_writer *w)
{
	unsigned n = w->run > 2 ? 0 : w->run;
	w->blank |= w->run > 2;
	for (w->run = 0; n > 0; n--)
		put(w, w->run_of);
}

void preview_put(struct preview_writer *w, uint32_t c)
{
	if (is_nothing(c))
		return;
	if (w->run > 0 && c == w->run_of) {
		w->run++;
		return;
	}
	end_run(w);
	if (is_space(c)) {
		w->blank = true;
		return;
	}
	if (is_ruler(c)) {
		w->run = 1;
		w->run_of = c;
		return;
	}
	put(w, c);
}

bool preview_full(const struct preview_writer *w)
{
	return w->chars >= PREVIEW_CHARS;
}

void preview_end(struct preview_writer *w)
{
	end_run(w);
}

/* ---- plain text ---------------------------------------------------------------------------- */

static struct str next_line(struct str *rest)
{
	size_t end = str_find(*rest, 0, '\n');
	struct str line = str_sub(*rest, 0, end);
	*rest = str_skip(*rest, MIN(end + 1, rest->n));
	if (str_ends(line, STR("\r")))
		line.n--;
	return line;
}

static bool is_quoted(struct str line)
{
	line = str_trim(line);
	return line.n > 0 && line.p[0] == '>';
}

/* "On Monday X wrote:" and what it is in other languages: ends in a colon, and a quotation follows,
 * perhaps behind empty lines. */
static bool introduces_quote(struct str line, struct str rest)
{
	if (!str_ends(str_trim(line), STR(":")))
		return false;
	while (rest.n > 0) {
		struct str next = next_line(&rest);
		if (str_trim(next).n > 0)
			return is_quoted(next);
	}
	return false;
}

static void put_line(struct preview_writer *w, struct str line)
{
	for (size_t pos = 0; pos < line.n && !preview_full(w);)
		preview_put(w, utf8_next(line, &pos));
	preview_put(w, '\n');
}

static struct str without_marks(struct str line)
{
	line = str_trim(line);
	while (line.n > 0 && (line.p[0] == '>' || line.p[0] == ' '))
		line = str_skip(line, 1);
	return line;
}

static void take_lines(struct preview_writer *w, struct str text, bool quotes_too)
{
	bool after_text = false;
	while (text.n > 0 && !preview_full(w)) {
		struct str line = next_line(&text);
		if (str_eq(line, STR("-- ")) && after_text)
			break;
		if (quotes_too) {
			put_line(w, without_marks(line));
			continue;
		}
		if (is_quoted(line) || introduces_quote(line, text))
			continue;
		after_text |= str_trim(line).n > 0;
		put_line(w, line);
	}
	preview_end(w);
}

void preview_of_plain(struct buf *out, struct str utf8)
{
	static const struct str armor = {"-----BEGIN PGP MESSAGE-----", 27};
	struct preview_writer w = {.out = out};
	if (str_starts(str_trim(utf8), armor))
		return;
	take_lines(&w, utf8, false);
	if (w.chars > 0)
		return;
	w = (struct preview_writer){.out = out};
	take_lines(&w, utf8, true);
}

/* ---- parts --------------------------------------------------------------------------------- */

static bool is_candidate(const struct mime_part *p)
{
	bool readable = str_eq(p->subtype, STR("plain")) || str_eq(p->subtype, STR("html"));
	return (p->flags & MIME_PART_TEXT) && readable && p->disposition != MIME_DISP_ATTACHMENT &&
	       p->disposition != MIME_DISP_OTHER && p->encoding != MIME_ENC_UUENCODE &&
	       p->encoding != MIME_ENC_OTHER;
}

static int read_raw(const struct mime_part *p, const struct text_source *source, struct buf *raw)
{
	size_t want = (size_t)MIN(p->body_len, PREVIEW_RAW_MAX);
	while (raw->n < want) {
		char *room = buf_room(raw, want - raw->n);
		if (!room)
			return -FAIL_LIMIT;
		int64_t n = source->read(source->ctx, p->body_off + raw->n, room, want - raw->n);
		if (n <= 0)
			return n < 0 ? (int)n : -FAIL_IO;
		buf_added(raw, (size_t)n);
	}
	return 0;
}

static int of_part(const struct mime_part *p, const struct text_source *source, struct buf *out)
{
	AUTO(buf) struct buf raw = BUF_INIT(PREVIEW_RAW_MAX);
	AUTO(buf) struct buf decoded = BUF_INIT(PREVIEW_RAW_MAX + KIB(1));
	AUTO(buf) struct buf utf8 = BUF_INIT(4 * PREVIEW_RAW_MAX);
	struct transfer t = transfer_of(p->encoding);
	int r = read_raw(p, source, &raw);
	if (r < 0)
		return r;
	transfer_decode(&t, buf_str(&raw), &decoded);
	transfer_decode_end(&t, &decoded);
	charset_to_utf8(&utf8, p->charset, buf_str(&decoded));
	if (str_eq(p->subtype, STR("html")))
		preview_of_html(out, buf_str(&utf8));
	else
		preview_of_plain(out, buf_str(&utf8));
	return 0;
}

int preview_make(struct mime_map *map, const struct text_source *source, struct arena *arena)
{
	AUTO(buf) struct buf out = BUF_INIT(PREVIEW_BYTES);
	unsigned tried = 0;
	for (uint32_t i = 0; i < map->n_parts && tried < PARTS_MAX && out.n == 0; i++) {
		if (!is_candidate(&map->parts[i]) || map->parts[i].body_len == 0)
			continue;
		int r = of_part(&map->parts[i], source, &out);
		if (r < 0)
			return r;
		tried++;
	}
	struct str text = out.n ? arena_str(arena, buf_str(&out)) : STR("");
	if (!text.p)
		return -FAIL_LIMIT;
	map->preview = text;
	map->has_preview = true;
	return 0;
}
