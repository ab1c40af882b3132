/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sieve/sieve_regex.h"
#include "base/utf8.h"
#include "sys/regex.h"

#define PATTERN_MAX 4096

_Static_assert(SIEVE_GROUPS == REGEX_GROUPS, "groups of expressions");

static int make(void *ctx, struct str pattern, bool caseless, void **ret, struct fail *why)
{
	struct regex *re;
	(void)ctx;
	if (pattern.n > PATTERN_MAX)
		return fail_set(why, FAIL_SYNTAX, NULL, "it is longer than %d octets", PATTERN_MAX);
	if (!utf8_valid(pattern))
		return fail_set(why, FAIL_SYNTAX, NULL, "it is no text in UTF-8");
	int r = regex_new(pattern,
			  REGEX_UTF8 | REGEX_DOTALL | REGEX_DOLLAR_END |
				  (caseless ? 0u : (unsigned)REGEX_CASE),
			  &re, why);
	if (r == 0)
		*ret = re;
	return r;
}

static void release(void *ctx, void *re)
{
	(void)ctx;
	regex_free(re);
}

static int match(void *ctx, const void *re, struct str subject, struct str groups[SIEVE_GROUPS])
{
	struct regex_groups g = {0};
	(void)ctx;
	int r = regex_match(re, subject, &g);
	for (size_t i = 0; i < SIEVE_GROUPS; i++)
		groups[i] = g.p[i];
	return r;
}

const struct sieve_regex_ops sieve_regex = {make, release, match, NULL};
