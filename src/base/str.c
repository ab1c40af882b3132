/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

bool str_eqi(struct str a, struct str b)
{
	return a.n == b.n && str_startsi(a, b);
}

int str_cmp(struct str a, struct str b)
{
	size_t n = MIN(a.n, b.n);
	int r = n ? memcmp(a.p, b.p, n) : 0;
	if (r)
		return r;
	return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_startsi(struct str s, struct str prefix)
{
	if (s.n < prefix.n)
		return false;
	for (size_t i = 0; i < prefix.n; i++)
		if (ascii_lower(s.p[i]) != ascii_lower(prefix.p[i]))
			return false;
	return true;
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_skip(s, s.n - suffix.n), suffix);
}

bool str_endsi(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eqi(str_skip(s, s.n - suffix.n), suffix);
}

size_t str_find(struct str s, size_t from, char c)
{
	if (from >= s.n)
		return s.n;
	const char *hit = memchr(s.p + from, c, s.n - from);
	return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_rfind(struct str s, char c)
{
	const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;
	return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_find_str(struct str s, size_t from, struct str needle)
{
	if (from > s.n)
		return s.n;
	if (needle.n == 0)
		return from;
	if (s.n - from < needle.n)
		return s.n;
	const char *hit = memmem(s.p + from, s.n - from, needle.p, needle.n);
	return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_find_stri(struct str s, size_t from, struct str needle)
{
	if (from > s.n)
		return s.n;
	for (size_t i = from; i + needle.n <= s.n; i++)
		if (str_startsi(str_skip(s, i), needle))
			return i;
	return s.n;
}

struct str str_sub(struct str s, size_t from, size_t to)
{
	to = MIN(to, s.n);
	from = MIN(from, to);
	return s.p ? (struct str){s.p + from, to - from} : STR_NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n && is_blank(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool str_cut(struct str *rest, char sep, struct str *ret_head)
{
	if (!rest->p)
		return false;
	size_t at = str_find(*rest, 0, sep);
	*ret_head = (struct str){rest->p, at};
	*rest = at < rest->n ? (struct str){rest->p + at + 1, rest->n - at - 1} : STR_NULL;
	return true;
}

/* FNV-1a with a final mix: keys are short and tables are seeded in map.c. */
uint64_t str_hash(struct str s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
	return h ^ (h >> 32);
}

uint64_t str_hashi(struct str s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)ascii_lower(s.p[i])) * UINT64_C(0x100000001b3);
	return h ^ (h >> 32);
}
