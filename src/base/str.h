/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.h - borrowed bytes: a pointer and a length, passed by value.             [base]
 *
 * A struct str never owns memory and need not end in NUL. It is how everything that is read
 * (network input, files, database columns) is handed around. Case folding is ASCII only.
 */
#ifndef BARID_BASE_STR_H
#define BARID_BASE_STR_H

#include "attr.h"
#include <stdbool.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NULL     ((struct str){NULL, 0})
/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)MIN((s).n, (size_t)INT32_MAX), (s).n ? (s).p : ""

static inline struct str str_make(const char *p, size_t n)
{
	return (struct str){p, n};
}
static inline struct str str_c(const char *c)
{
	return (struct str){c, c ? strlen(c) : 0};
}
static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eqi(struct str a, struct str b); /* ASCII case-insensitive */
int str_cmp(struct str a, struct str b);  /* bytewise order, shorter first on a tie */
bool str_starts(struct str s, struct str prefix);
bool str_startsi(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_endsi(struct str s, struct str suffix);

/* Index of the first c in s at or after `from`; s.n if there is none. */
size_t str_find(struct str s, size_t from, char c);
/* Index of the last c; s.n if there is none. */
size_t str_rfind(struct str s, char c);
/* Index of needle in s at or after `from`; s.n if absent (an empty needle is found at `from`). */
size_t str_find_str(struct str s, size_t from, struct str needle);
/* The same, ASCII case-insensitive. */
size_t str_find_stri(struct str s, size_t from, struct str needle);

/* s[from, to), clamped to s. */
struct str str_sub(struct str s, size_t from, size_t to);
static inline struct str str_skip(struct str s, size_t n)
{
	return str_sub(s, n, s.n);
}
/* Without leading and trailing SP, TAB, CR and LF. */
struct str str_trim(struct str s);

/*
 * Cut the text before the first `sep` off the front of *rest into *ret_head. When no sep is left,
 * the head is all of it and *rest becomes {NULL, 0}. Returns false when *rest was {NULL, 0}.
 * So `while (str_cut(&rest, ',', &head))` sees "a,,b" as "a", "", "b".
 */
bool str_cut(struct str *rest, char sep, struct str *ret_head);

uint64_t str_hash(struct str s);  /* for tables in memory; not stable between versions */
uint64_t str_hashi(struct str s); /* the same for ASCII-case-insensitive keys */

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
static inline bool ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

#endif
