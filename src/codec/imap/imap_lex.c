/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_lex.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/imap/imap_list.h"
#include "codec/imap/imap_quirks.h"
#include "codec/imap/imap_utf7.h"

const struct imap_limits imap_limits_default = {
	.set_ranges = 16384,
	.search_keys = 4096,
	.search_depth = 32,
	.fetch_atts = 256,
	.header_fields = 512,
	.part_depth = 64,
	.keywords = 128,
	.keyword_bytes = 255,
	.mailbox_bytes = 1000,
	.list_patterns = 64,
	.id_pairs = 30,
	.append_messages = 64,
	.urls = 32,
	.cat_parts = 128,
	.notify_groups = 64,
	.notify_names = 1000,
	.entries = 128,
};

int imap_lex_expected(struct imap_lex *lex, const char *what)
{
	char text[FAIL_PUBLIC_MAX];
	(void)snprintf(text, sizeof text, "expected %s at column %zu", what, lex->pos + 1);
	return fail_set(lex->why, FAIL_SYNTAX, text, "%s", text);
}

int imap_lex_too_many(struct imap_lex *lex, const char *what)
{
	char text[FAIL_PUBLIC_MAX];
	(void)snprintf(text, sizeof text, "too many %s", what);
	return fail_set(lex->why, FAIL_LIMIT, text, "%s at column %zu", text, lex->pos + 1);
}

static int arena_full(struct imap_lex *lex)
{
	return fail_set(lex->why, FAIL_LIMIT, "command too large", "arena full at column %zu",
			lex->pos + 1);
}

bool imap_is_atom_char(char c)
{
	return c > ' ' && c < 0x7f && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' &&
	       c != '"' && c != '\\' && c != ']';
}

bool imap_is_atom(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!imap_is_atom_char(s.p[i]))
			return false;
	return s.n > 0;
}

/* 8-bit bytes are not in the grammar; clients send them. */
static bool is_astring_char(char c)
{
	return imap_is_atom_char(c) || c == ']' || (c & 0x80);
}
static bool is_list_char(char c)
{
	return is_astring_char(c) || c == '%' || c == '*';
}
static bool is_tag_char(char c)
{
	return (imap_is_atom_char(c) || c == ']') && c != '+';
}
static bool is_digit(char c)
{
	return ascii_digit(c);
}

bool imap_lex_at_end(const struct imap_lex *lex)
{
	return lex->pos == lex->in.text.n;
}

char imap_lex_peek(const struct imap_lex *lex)
{
	return imap_lex_at_end(lex) ? '\0' : lex->in.text.p[lex->pos];
}

bool imap_lex_try_char(struct imap_lex *lex, char c)
{
	if (imap_lex_at_end(lex) || lex->in.text.p[lex->pos] != c)
		return false;
	lex->pos++;
	return true;
}

bool imap_lex_try_word(struct imap_lex *lex, const char *word)
{
	struct str w = str_c(word);
	struct str rest = str_skip(lex->in.text, lex->pos);
	if (!str_startsi(rest, w) || (rest.n > w.n && imap_is_atom_char(rest.p[w.n])))
		return false;
	lex->pos += w.n;
	return true;
}

int imap_lex_char(struct imap_lex *lex, char c, const char *what)
{
	return imap_lex_try_char(lex, c) ? 0 : imap_lex_expected(lex, what);
}

static void skip_blanks(struct imap_lex *lex)
{
	while (imap_lex_try_char(lex, ' '))
		continue;
}

int imap_lex_sp(struct imap_lex *lex)
{
	int r = imap_lex_char(lex, ' ', "a space");
	if (r == 0 && imap_bends(IMAP_QUIRK_BLANKS))
		skip_blanks(lex);
	return r;
}

bool imap_lex_more(const struct imap_lex *lex)
{
	size_t at = lex->pos;
	while (at < lex->in.text.n && lex->in.text.p[at] == ' ')
		at++;
	return at > lex->pos && at < lex->in.text.n &&
	       (at == lex->pos + 1 || imap_bends(IMAP_QUIRK_BLANKS));
}

int imap_lex_list_next(struct imap_lex *lex, bool *ret_more)
{
	size_t start = lex->pos;
	skip_blanks(lex);
	if (imap_lex_try_char(lex, ')')) {
		*ret_more = false;
		return 0;
	}
	lex->pos = start;
	int r = imap_lex_char(lex, ' ', "a space or \")\"");
	if (r == 0 && imap_bends(IMAP_QUIRK_BLANKS))
		skip_blanks(lex);
	*ret_more = r == 0;
	return r;
}

int imap_lex_end(struct imap_lex *lex)
{
	skip_blanks(lex);
	return imap_lex_at_end(lex) ? 0 : imap_lex_expected(lex, "the end of the command");
}

static struct str take_run(struct imap_lex *lex, bool (*allowed)(char))
{
	size_t start = lex->pos;
	while (lex->pos < lex->in.text.n && allowed(lex->in.text.p[lex->pos]))
		lex->pos++;
	return str_sub(lex->in.text, start, lex->pos);
}

static int lex_run(struct imap_lex *lex, bool (*allowed)(char), const char *what, struct str *ret)
{
	struct str s = take_run(lex, allowed);
	if (s.n == 0)
		return imap_lex_expected(lex, what);
	*ret = s;
	return 0;
}

int imap_lex_tag(struct imap_lex *lex, struct str *ret)
{
	return lex_run(lex, is_tag_char, "a tag", ret);
}

int imap_lex_atom(struct imap_lex *lex, const char *what, struct str *ret)
{
	return lex_run(lex, imap_is_atom_char, what, ret);
}

/* pos is behind the opening quote. Borrows from the input unless there is something to unescape. */
static int lex_quoted(struct imap_lex *lex, struct str *ret)
{
	struct str text = lex->in.text;
	size_t start = lex->pos;
	size_t escapes = 0;
	size_t i = start;
	for (; i < text.n && text.p[i] != '"'; i++) {
		if (text.p[i] == '\r' || text.p[i] == '\n' || text.p[i] == '\0')
			break;
		if (text.p[i] != '\\')
			continue;
		escapes++;
		i++;
		if (i < text.n && text.p[i] != '"' && text.p[i] != '\\')
			break;
	}
	if (i >= text.n || text.p[i] != '"') {
		lex->pos = MIN(i, text.n);
		return imap_lex_expected(lex, "a closing quote");
	}
	struct str raw = str_sub(text, start, i);
	if (escapes > 0) {
		char *p = arena_alloc(lex->arena, raw.n - escapes);
		if (!p)
			return arena_full(lex);
		size_t n = 0;
		for (size_t k = 0; k < raw.n; k++) {
			if (raw.p[k] == '\\')
				k++;
			p[n++] = raw.p[k];
		}
		raw = str_make(p, n);
	}
	lex->pos = i + 1;
	*ret = raw;
	return 0;
}

int imap_lex_literal(struct imap_lex *lex, struct imap_literal *ret)
{
	struct imap_literal l = {.external = IMAP_NOT_EXTERNAL};
	l.binary = imap_lex_try_char(lex, '~');
	if (!imap_lex_try_char(lex, '{'))
		return imap_lex_expected(lex, "a literal");
	if (!num_parse_u64(take_run(lex, is_digit), &l.size))
		return imap_lex_expected(lex, "the size of a literal");
	(void)imap_lex_try_char(lex, '+');
	if (!imap_lex_try_char(lex, '}') || !imap_lex_try_char(lex, '\r') ||
	    !imap_lex_try_char(lex, '\n'))
		return imap_lex_expected(lex, "the end of a literal's size");
	const struct imap_external *e = lex->next_external < lex->in.external_count
						? &lex->in.external[lex->next_external]
						: NULL;
	if (e && e->pos == lex->pos) {
		if (e->size != l.size)
			return fail_set(lex->why, FAIL_BUG, NULL,
					"external literal of another size");
		l.external = lex->next_external++;
	} else if (l.size > lex->in.text.n - lex->pos) {
		return imap_lex_expected(lex, "a whole literal");
	} else {
		l.bytes = str_sub(lex->in.text, lex->pos, lex->pos + (size_t)l.size);
		lex->pos += l.bytes.n;
	}
	*ret = l;
	return 0;
}

/* Where a string is wanted: no NUL, and not so large that it is external. */
static int lex_literal_string(struct imap_lex *lex, struct str *ret)
{
	struct imap_literal l;
	if (imap_lex_peek(lex) == '~')
		return imap_lex_expected(lex, "a string");
	int r = imap_lex_literal(lex, &l);
	if (r < 0)
		return r;
	if (l.external != IMAP_NOT_EXTERNAL)
		return fail_set(lex->why, FAIL_LIMIT, "string too long",
				"external literal as string");
	if (str_find(l.bytes, 0, '\0') < l.bytes.n)
		return imap_lex_expected(lex, "a string without NUL");
	*ret = l.bytes;
	return 0;
}

static int lex_any_string(struct imap_lex *lex, bool (*allowed)(char), const char *what,
			  struct str *ret)
{
	if (imap_lex_try_char(lex, '"'))
		return lex_quoted(lex, ret);
	if (imap_lex_peek(lex) == '{')
		return lex_literal_string(lex, ret);
	return allowed ? lex_run(lex, allowed, what, ret) : imap_lex_expected(lex, what);
}

static int lex_string_or(struct imap_lex *lex, bool (*allowed)(char), const char *what,
			 struct str *ret)
{
	size_t start = lex->pos;
	bool literal = imap_lex_peek(lex) == '{';
	struct str s;
	int r = lex_any_string(lex, allowed, what, &s);
	if (r < 0)
		return r;
	/* RFC 6855 section 3; a literal may be in the charset that SEARCH names. */
	if ((lex->in.syntax & IMAP_SYNTAX_UTF8) && !literal && !utf8_valid(s)) {
		lex->pos = start;
		return imap_lex_expected(lex, "UTF-8");
	}
	*ret = s;
	return 0;
}

int imap_lex_astring(struct imap_lex *lex, const char *what, struct str *ret)
{
	return lex_string_or(lex, is_astring_char, what, ret);
}

int imap_lex_string(struct imap_lex *lex, const char *what, struct str *ret)
{
	return lex_string_or(lex, NULL, what, ret);
}

int imap_lex_nstring(struct imap_lex *lex, const char *what, struct str *ret)
{
	if (imap_lex_try_word(lex, "NIL")) {
		*ret = STR_NULL;
		return 0;
	}
	return lex_string_or(lex, NULL, what, ret);
}

static int lex_number(struct imap_lex *lex, const char *what, uint64_t max, uint64_t *ret)
{
	size_t start = lex->pos;
	uint64_t v;
	if (!num_parse_u64(take_run(lex, is_digit), &v) || v > max) {
		lex->pos = start;
		return imap_lex_expected(lex, what);
	}
	*ret = v;
	return 0;
}

int imap_lex_u32(struct imap_lex *lex, const char *what, uint32_t *ret)
{
	uint64_t v;
	int r = lex_number(lex, what, UINT32_MAX, &v);
	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

int imap_lex_u64(struct imap_lex *lex, const char *what, uint64_t *ret)
{
	return lex_number(lex, what, INT64_MAX, ret);
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] & 0x80)
			return false;
	return true;
}

/* A name that is UTF-8 already. Controls of both kinds and the line and paragraph separators are
 * no part of a name (RFC 6855 section 3, RFC 5198 section 2). */
static int take_name(struct imap_lex *lex, size_t start, struct str raw, struct str *ret)
{
	bool fine = utf8_valid(raw);
	if (raw.n > lex->lim->mailbox_bytes)
		return fail_set(lex->why, FAIL_LIMIT, "mailbox name too long", "%zu bytes", raw.n);
	for (size_t i = 0; fine && i < raw.n;) {
		uint32_t cp = utf8_next(raw, &i);
		fine = cp >= 0x20 && (cp < 0x7f || cp > 0x9f) && cp != 0x2028 && cp != 0x2029;
	}
	if (!fine) {
		lex->pos = start;
		return imap_lex_expected(lex, "a mailbox name in UTF-8");
	}
	*ret = raw.n == 0 ? STR("") : raw;
	return 0;
}

/* A name from the wire: decoded when it holds a shift, otherwise checked only. */
static int decode_name(struct imap_lex *lex, size_t start, struct str raw, struct str *ret)
{
	AUTO(buf) struct buf b = BUF_INIT(lex->lim->mailbox_bytes + 1);
	int r = raw.n > 4 * lex->lim->mailbox_bytes ? -FAIL_LIMIT : imap_utf7_decode(&b, raw);
	if (r == -FAIL_LIMIT || b.n > lex->lim->mailbox_bytes)
		return fail_set(lex->why, FAIL_LIMIT, "mailbox name too long", "%zu bytes", raw.n);
	if (r < 0 && imap_bends(IMAP_QUIRK_RAW_NAME) && utf8_valid(raw) && !is_ascii(raw))
		return take_name(lex, start, raw, ret);
	if (r < 0) {
		lex->pos = start;
		return imap_lex_expected(lex, "a mailbox name in modified UTF-7");
	}
	*ret = raw.n == 0 ? STR("") : arena_str(lex->arena, buf_str(&b));
	return ret->p ? 0 : arena_full(lex);
}

static int read_name(struct imap_lex *lex, size_t start, struct str raw, struct str *ret)
{
	return lex->in.syntax & IMAP_SYNTAX_UTF8 ? take_name(lex, start, raw, ret)
						 : decode_name(lex, start, raw, ret);
}

int imap_lex_mailbox(struct imap_lex *lex, struct str *ret)
{
	size_t start = lex->pos;
	struct str raw, name;
	int r = lex_string_or(lex, is_astring_char, "a mailbox name", &raw);
	if (r == 0)
		r = read_name(lex, start, raw, &name);
	if (r < 0)
		return r;
	struct str top = str_sub(name, 0, str_find(name, 0, IMAP_SEPARATOR));
	if (imap_is_inbox(top) && !str_eq(top, STR("INBOX"))) {
		name = arena_printf(lex->arena, "INBOX%.*s", STR_ARG(str_skip(name, top.n)));
		if (!name.p)
			return arena_full(lex);
	}
	*ret = name;
	return 0;
}

int imap_lex_list_mailbox(struct imap_lex *lex, struct str *ret)
{
	size_t start = lex->pos;
	struct str raw;
	int r = lex_string_or(lex, is_list_char, "a mailbox name", &raw);
	if (r < 0)
		return r;
	size_t end = lex->pos;
	r = read_name(lex, start, raw, ret);
	if (r != -FAIL_SYNTAX)
		return r;
	lex->pos = end;
	*ret = STR_NULL;
	return 0;
}
