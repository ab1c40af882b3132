/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regex.h - Perl-compatible regular expressions of the operator (libpcre2).                [sys]
 *
 * The expression is the operator's, the subject comes from anybody. A match takes a bounded number
 * of steps, depth and memory: an expression that would need more says FAIL_LIMIT, and its rule
 * counts as one that did not match. No just-in-time compiler: no role has memory that can be
 * written and executed. Bytes, not characters, unless REGEX_UTF8 says otherwise: a name in UTF-8
 * matches as it is written.
 */
#ifndef BARID_SYS_REGEX_H
#define BARID_SYS_REGEX_H

#include "base/buf.h"
#include "base/fail.h"

struct regex;

enum {
	REGEX_CASE = 1u << 0,	   /* upper and lower case differ */
	REGEX_MULTILINE = 1u << 1, /* ^ and $ match at line ends */
	REGEX_DOTALL = 1u << 2,	   /* . matches line ends */
	REGEX_EXTENDED = 1u << 3,  /* blanks and # comments in the expression mean nothing */
	REGEX_ANCHORED = 1u << 4,  /* it matches at the beginning only */
	REGEX_DOLLAR_END =
		1u << 5,	  /* $ matches at the very end only, not before a line end there */
	REGEX_UNGREEDY = 1u << 6, /* as little as possible, and as much as possible with ? */
	REGEX_UTF8 = 1u << 7, /* characters, not bytes; broken UTF-8 in a subject never matches */
};

#define REGEX_GROUPS 10
/* What matched: group 0 is all of it; those that took no part are NULL. Borrowed from the subject.
 */
struct regex_groups {
	struct str p[REGEX_GROUPS];
};

/* FAIL_SYNTAX with what is wrong and where in why->detail. */
MUST_CHECK int regex_new(struct str pattern, unsigned flags, struct regex **ret, struct fail *why);
void regex_free(struct regex *re); /* NULL is fine */
/* 1 it matches, 0 it does not, -FAIL_LIMIT nobody knows. ret may be NULL. Any thread. */
MUST_CHECK int regex_match(const struct regex *re, struct str subject, struct regex_groups *ret);

#endif
