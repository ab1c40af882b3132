/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/csv/csv.h"

bool csv_complete(struct str text)
{
	size_t quotes = 0;
	for (size_t i = 0; i < text.n; i++)
		quotes += text.p[i] == '"';
	return quotes % 2 == 0;
}

char csv_separator(struct str header)
{
	static const char candidates[] = {',', ';', '\t'};
	size_t best = 0, best_n = 0;
	for (size_t k = 0; k < ARRAY_LEN(candidates); k++) {
		bool quoted = false;
		size_t n = 0;
		for (size_t i = 0; i < header.n; i++) {
			quoted ^= header.p[i] == '"';
			n += !quoted && header.p[i] == candidates[k];
		}
		if (n > best_n) {
			best = k;
			best_n = n;
		}
	}
	return candidates[best];
}

/* The quoted field at s[*at], which is '"'; *at goes behind its closing quote. */
static int unquote(struct str s, size_t *at, struct arena *a, struct str *ret)
{
	char *out = arena_alloc(a, s.n - *at + 1);
	size_t n = 0;
	if (!out)
		return -FAIL_LIMIT;
	for (size_t i = *at + 1; i < s.n; i++) {
		bool quote = s.p[i] == '"';
		if (quote && (i + 1 == s.n || s.p[i + 1] != '"')) {
			*at = i + 1;
			out[n] = '\0';
			*ret = str_make(out, n);
			return 0;
		}
		i += quote; /* two stand for one */
		out[n++] = s.p[i];
	}
	return -FAIL_SYNTAX;
}

static size_t skip_blanks(struct str s, size_t at, char separator)
{
	while (at < s.n && s.p[at] != separator && (s.p[at] == ' ' || s.p[at] == '\t'))
		at++;
	return at;
}

/* The field at s[*at]; *at goes to the separator behind it, or to the end. */
static int take_field(struct str s, char separator, size_t *at, struct arena *a, struct str *ret)
{
	*at = skip_blanks(s, *at, separator);
	if (*at < s.n && s.p[*at] == '"') {
		int r = unquote(s, at, a, ret);
		*at = skip_blanks(s, *at, separator);
		return r == 0 && *at < s.n && s.p[*at] != separator ? -FAIL_SYNTAX : r;
	}
	size_t end = str_find(s, *at, separator);
	struct str field = str_trim(str_sub(s, *at, end));
	*ret = field.n ? arena_str(a, field) : STR("");
	*at = end;
	return ret->p ? 0 : -FAIL_LIMIT;
}

int csv_split(struct str record, char separator, struct arena *a, struct str *fields, size_t max)
{
	struct str s = record;
	size_t n = 0, at = 0;
	if (str_starts(s, STR("\xef\xbb\xbf")))
		s = str_skip(s, 3);
	while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
		s.n--;
	for (;;) {
		if (n == max)
			return -FAIL_LIMIT;
		int r = take_field(s, separator, &at, a, &fields[n++]);
		if (r < 0)
			return r;
		if (at >= s.n)
			return (int)n;
		at++; /* the separator */
	}
}
