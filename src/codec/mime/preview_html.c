/* SPDX-License-Identifier: Apache-2.0 */
/*
 * preview_html.c - the words of an HTML text, for a preview. No parser of HTML: tags are skipped,
 * some with what they hold, in one pass; whatever the markup is like, the time is linear and the
 * worst result is a strange word.
 */
#include "base/num.h"
#include "base/utf8.h"
#include "codec/mime/preview_int.h"

#define NAME_MAX_BYTES 16

/* Elements whose content nobody sees. */
static const char *const hidden[] = {"head",	 "script", "style", "title",
				     "template", "object", "svg",   "noscript"};
/* Elements that do not part words; all others do. */
static const char *const inline_tags[] = {
	"a",	"abbr", "b",	 "big",	 "cite",   "code", "em",  "font", "i", "ins", "kbd",
	"mark", "s",	"small", "span", "strong", "sub",  "sup", "tt",	  "u", "wbr", "o:p"};
static const struct {
	const char *name;
	uint32_t c;
} entities[] = {
	{"amp", '&'},	    {"lt", '<'},       {"gt", '>'},	  {"quot", '"'},
	{"apos", '\''},	    {"nbsp", ' '},     {"ensp", ' '},	  {"emsp", ' '},
	{"thinsp", ' '},    {"zwnj", 0x200c},  {"zwj", 0x200d},	  {"shy", 0xad},
	{"lrm", 0x200e},    {"rlm", 0x200f},   {"mdash", 0x2014}, {"ndash", 0x2013},
	{"hellip", 0x2026}, {"bull", 0x2022},  {"middot", 0xb7},  {"lsquo", 0x2018},
	{"rsquo", 0x2019},  {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"bdquo", 0x201e},
	{"laquo", 0xab},    {"raquo", 0xbb},   {"copy", 0xa9},	  {"reg", 0xae},
	{"trade", 0x2122},  {"euro", 0x20ac},  {"pound", 0xa3},	  {"yen", 0xa5},
	{"cent", 0xa2},	    {"deg", 0xb0},     {"sect", 0xa7},	  {"times", 0xd7},
	{"auml", 0xe4},	    {"ouml", 0xf6},    {"uuml", 0xfc},	  {"Auml", 0xc4},
	{"Ouml", 0xd6},	    {"Uuml", 0xdc},    {"szlig", 0xdf},	  {"eacute", 0xe9},
	{"egrave", 0xe8},   {"agrave", 0xe0},  {"aacute", 0xe1},  {"ccedil", 0xe7},
	{"ntilde", 0xf1},   {"oacute", 0xf3},  {"iacute", 0xed},  {"uacute", 0xfa},
	{"ecirc", 0xea},    {"aring", 0xe5},   {"oslash", 0xf8},  {"aelig", 0xe6},
};

struct html {
	struct str in;
	size_t pos;
	struct preview_writer w;
	bool quotes_too;
	unsigned quote_depth;
	struct str hidden; /* inside of this element; empty: of none */
};

static bool is_one_of(struct str name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqi(name, str_c(list[i])))
			return true;
	return false;
}

/* ---- entities ------------------------------------------------------------------------------ */

static bool number_of(struct str name, uint32_t *ret)
{
	uint64_t v;
	bool hex = name.n > 1 && (name.p[1] == 'x' || name.p[1] == 'X');
	struct str digits = str_skip(name, hex ? 2 : 1);
	if (!(hex ? num_parse_hex_u64(digits, &v) : num_parse_u64(digits, &v)))
		return false;
	bool valid = v > 0 && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff);
	*ret = valid ? (uint32_t)v : 0xfffd;
	return true;
}

/* Behind "&": a name and its semicolon. False: "&" stands for itself. */
static bool take_entity(struct html *h)
{
	size_t end = h->pos;
	while (end < h->in.n && end - h->pos < NAME_MAX_BYTES &&
	       (ascii_alpha(h->in.p[end]) || ascii_digit(h->in.p[end]) || h->in.p[end] == '#'))
		end++;
	struct str name = str_sub(h->in, h->pos, end);
	uint32_t c = 0;
	if (name.n == 0 || end == h->in.n || h->in.p[end] != ';')
		return false;
	if (name.p[0] == '#' && !number_of(name, &c))
		return false;
	for (size_t i = 0; c == 0 && i < ARRAY_LEN(entities); i++)
		if (str_eq(name, str_c(entities[i].name)))
			c = entities[i].c;
	if (c == 0)
		return false;
	h->pos = end + 1;
	preview_put(&h->w, c);
	return true;
}

/* ---- tags ---------------------------------------------------------------------------------- */

/* To behind the ">" of a tag; quoted attribute values may hold one. */
static void skip_tag(struct html *h)
{
	char quote = '\0';
	for (; h->pos < h->in.n; h->pos++) {
		char c = h->in.p[h->pos];
		if (quote) {
			quote = c == quote ? '\0' : quote;
		} else if (c == '>') {
			h->pos++;
			return;
		} else if ((c == '"' || c == '\'') && h->pos > 0 && h->in.p[h->pos - 1] == '=') {
			quote = c;
		}
	}
}

static void skip_comment(struct html *h)
{
	size_t end = str_find_str(h->in, h->pos, STR("-->"));
	h->pos = MIN(end + 3, h->in.n);
}

static void apply_tag(struct html *h, struct str name, bool closing)
{
	if (h->hidden.n > 0) {
		if (closing && str_eqi(name, h->hidden))
			h->hidden = STR_NULL;
		return;
	}
	if (!closing && is_one_of(name, hidden, ARRAY_LEN(hidden)))
		h->hidden = name;
	if (str_eqi(name, STR("blockquote"))) {
		if (!closing)
			h->quote_depth++;
		else if (h->quote_depth > 0)
			h->quote_depth--;
	}
	if (!is_one_of(name, inline_tags, ARRAY_LEN(inline_tags)))
		preview_put(&h->w, ' ');
}

/* Behind "<". False: it stands for itself. */
static bool take_tag(struct html *h)
{
	struct str rest = str_skip(h->in, h->pos);
	if (str_starts(rest, STR("!--"))) {
		h->pos += 3;
		skip_comment(h);
		return true;
	}
	bool closing = rest.n > 0 && rest.p[0] == '/';
	size_t start = h->pos + closing, end = start;
	while (end < h->in.n && end - start < NAME_MAX_BYTES &&
	       (ascii_alpha(h->in.p[end]) || ascii_digit(h->in.p[end]) || h->in.p[end] == ':'))
		end++;
	struct str name = str_sub(h->in, start, end);
	bool markup = rest.n > 0 && (rest.p[0] == '!' || rest.p[0] == '?');
	if (h->hidden.n > 0 && !closing) /* scripts compare with it */
		return false;
	if (!markup && (name.n == 0 || !ascii_alpha(name.p[0])))
		return false;
	h->pos = end;
	skip_tag(h);
	if (!markup)
		apply_tag(h, name, closing);
	return true;
}

static void take_all(struct html *h)
{
	while (h->pos < h->in.n && !preview_full(&h->w)) {
		size_t at = h->pos;
		uint32_t c = utf8_next(h->in, &h->pos);
		if (c == '<' && take_tag(h))
			continue;
		if (h->hidden.n > 0 || (h->quote_depth > 0 && !h->quotes_too))
			continue;
		if (c == '&' && take_entity(h))
			continue;
		if (h->pos == at) /* never: it moves by one byte at least */
			h->pos++;
		preview_put(&h->w, c);
	}
	preview_end(&h->w);
}

void preview_of_html(struct buf *out, struct str utf8)
{
	struct html h = {.in = utf8, .w = {.out = out}};
	take_all(&h);
	if (h.w.chars > 0)
		return;
	h = (struct html){.in = utf8, .w = {.out = out}, .quotes_too = true};
	take_all(&h);
}
