/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/subject.h"

/* Those of RFC 5256 first. */
#define EXACT_WORDS 3
static const char *const words[] = {"re", "fw", "fwd", "aw",  "antw", "wg", "sv",
				    "vs", "tr", "rv",  "enc", "odp",  "ynt"};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str trim(struct str s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = str_skip(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* "[...]" and blanks behind it at the front; the same string when there is none. */
static struct str skip_blob(struct str s)
{
	if (s.n == 0 || s.p[0] != '[')
		return s;
	for (size_t i = 1; i < s.n && s.p[i] != '['; i++)
		if (s.p[i] == ']')
			return trim(str_skip(s, i + 1));
	return s;
}

/* "Re:", "Fwd [x] :" at the front. */
static struct str skip_word(struct str s, size_t n_words)
{
	for (size_t i = 0; i < n_words; i++) {
		struct str word = str_c(words[i]);
		if (s.n <= word.n || !str_eqi(str_sub(s, 0, word.n), word))
			continue;
		struct str rest = skip_blob(trim(str_skip(s, word.n)));
		if (rest.n > 0 && rest.p[0] == ':')
			return trim(str_skip(rest, 1));
	}
	return s;
}

static struct str skip_front(struct str s)
{
	struct str rest = skip_word(s, ARRAY_LEN(words));
	if (rest.n == s.n) { /* a blob goes only when something is left of the subject */
		rest = skip_blob(s);
		if (rest.n == 0)
			rest = s;
	}
	return rest;
}

/* "(fwd)" at the end, and "[fwd: ...]" around the whole. */
static struct str skip_forward(struct str s)
{
	static const struct str tail = {"(fwd)", 5}, head = {"[fwd:", 5};
	if (s.n >= tail.n && str_eqi(str_skip(s, s.n - tail.n), tail))
		return trim(str_sub(s, 0, s.n - tail.n));
	if (s.n > head.n && str_eqi(str_sub(s, 0, head.n), head) && s.p[s.n - 1] == ']')
		return trim(str_sub(s, head.n, s.n - 1));
	return s;
}

void subject_base(struct buf *out, struct str utf8)
{
	struct str s = trim(utf8);
	for (size_t before = s.n + 1; s.n < before;) {
		before = s.n;
		s = skip_front(skip_forward(s));
	}
	for (size_t i = 0; i < s.n; i++) {
		if (!is_blank(s.p[i]))
			(void)buf_addc(out, ascii_lower(s.p[i]));
		else if (!is_blank(s.p[i - 1])) /* the first byte is none */
			(void)buf_addc(out, ' ');
	}
}

/* Single blanks, none at the ends. A text without NUL is shorter or as long. */
static void squeeze(struct buf *out, struct str s)
{
	s = trim(s);
	for (size_t i = 0; i < s.n; i++) {
		if (!is_blank(s.p[i]))
			(void)buf_addc(out, s.p[i]);
		else if (!is_blank(s.p[i - 1])) /* the first byte is none */
			(void)buf_addc(out, ' ');
	}
}

/* Step 2: "(fwd)" and blanks at the end, all of them. */
static struct str skip_trailers(struct str s, bool *is_reply)
{
	static const struct str tail = {"(fwd)", 5};
	while (str_endsi(s, tail)) {
		s = trim(str_sub(s, 0, s.n - tail.n));
		*is_reply = true;
	}
	return s;
}

/* Steps 3 to 5: reply words and blobs at the front. */
static struct str skip_leaders(struct str s, bool *is_reply)
{
	for (;;) {
		struct str rest = skip_word(s, EXACT_WORDS);
		if (rest.n < s.n) {
			*is_reply = true;
			s = rest;
			continue;
		}
		rest = skip_blob(s);
		if (rest.n == 0 || rest.n == s.n)
			return s;
		s = rest;
	}
}

bool subject_base_exact(struct buf *out, struct str utf8)
{
	static const struct str head = {"[fwd:", 5};
	bool is_reply = false;
	size_t start = out->n;
	squeeze(out, utf8);
	struct str s = str_skip(buf_str(out), start);
	for (;;) {
		s = skip_leaders(skip_trailers(s, &is_reply), &is_reply);
		if (s.n <= head.n || !str_startsi(s, head) || s.p[s.n - 1] != ']')
			break;
		s = trim(str_sub(s, head.n, s.n - 1));
		is_reply = true;
	}
	/* What is left is a piece of what was written. */
	if (s.n)
		memmove(out->p + start, s.p, s.n);
	buf_cut(out, start + s.n);
	return is_reply;
}
