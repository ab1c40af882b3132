/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/regex.h"
#include "base/check.h"
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A rule of a table needs a few hundred steps; a subject is a name or a line. */
#define STEPS_MAX  100000
#define DEPTH_MAX  1000
#define MEMORY_MAX 1024 /* KiB */

struct regex {
	pcre2_code *code;
	pcre2_match_context *limits;
};

int regex_new(struct str pattern, unsigned flags, struct regex **ret, struct fail *why)
{
	uint32_t options = PCRE2_NEVER_BACKSLASH_C;
	int error = 0;
	PCRE2_SIZE at = 0;
	options |= flags & REGEX_CASE ? 0 : PCRE2_CASELESS;
	options |= flags & REGEX_MULTILINE ? PCRE2_MULTILINE : 0;
	options |= flags & REGEX_DOTALL ? PCRE2_DOTALL : 0;
	options |= flags & REGEX_EXTENDED ? PCRE2_EXTENDED : 0;
	options |= flags & REGEX_ANCHORED ? PCRE2_ANCHORED : 0;
	options |= flags & REGEX_DOLLAR_END ? PCRE2_DOLLAR_ENDONLY : 0;
	options |= flags & REGEX_UNGREEDY ? PCRE2_UNGREEDY : 0;
	options |= flags & REGEX_UTF8 ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : 0;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)(pattern.p ? pattern.p : ""), pattern.n,
					 options, &error, &at, NULL);
	if (!code) {
		PCRE2_UCHAR text[120] = "";
		(void)pcre2_get_error_message(error, text, sizeof text);
		return fail_set(why, FAIL_SYNTAX, NULL, "%s, at character %zu of the expression",
				(const char *)text, at + 1);
	}
	struct regex *re = xcalloc(1, sizeof *re);
	re->code = code;
	re->limits = pcre2_match_context_create(NULL);
	CHECK(re->limits);
	(void)pcre2_set_match_limit(re->limits, STEPS_MAX);
	(void)pcre2_set_depth_limit(re->limits, DEPTH_MAX);
	(void)pcre2_set_heap_limit(re->limits, MEMORY_MAX);
	*ret = re;
	return 0;
}

void regex_free(struct regex *re)
{
	if (!re)
		return;
	pcre2_match_context_free(re->limits);
	pcre2_code_free(re->code);
	free(re);
}

int regex_match(const struct regex *re, struct str subject, struct regex_groups *ret)
{
	pcre2_match_data *data = pcre2_match_data_create(REGEX_GROUPS, NULL);
	CHECK(data);
	int r = pcre2_match(re->code, (PCRE2_SPTR)(subject.p ? subject.p : ""), subject.n, 0, 0,
			    data, re->limits);
	if (r >= 0 && ret) {
		const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
		int n = r == 0 ? REGEX_GROUPS : r; /* 0: more groups than there is room for */
		*ret = (struct regex_groups){0};
		for (int i = 0; i < n; i++)
			if (ends[2 * i] != PCRE2_UNSET && ends[2 * i] <= ends[2 * i + 1])
				ret->p[i] = str_sub(subject, ends[2 * i], ends[2 * i + 1]);
	}
	pcre2_match_data_free(data);
	return r >= 0 ? 1 : r == PCRE2_ERROR_NOMATCH ? 0 : -FAIL_LIMIT;
}
