/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of LIST against names, first line and rest of the input: the fast matcher says what RFC
 * 3501 section 6.3.8 says, read one character at a time.
 */
#include "base/check.h"
#include "codec/imap/imap_list.h"

#define MODEL_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(char p, char c, bool fold)
{
	return fold ? ascii_lower(p) == ascii_lower(c) : p == c;
}

/* ways[i][k]: pattern from i on matches the name from k on. From the ends to the beginnings. */
static bool model(struct str pattern, struct str name)
{
	static bool ways[MODEL_MAX + 1][MODEL_MAX + 1];
	size_t level = str_find(name, 0, IMAP_SEPARATOR);
	bool inbox = level == 5 && str_eqi(str_sub(name, 0, level), STR("INBOX"));
	for (size_t i = pattern.n + 1; i-- > 0;)
		for (size_t k = name.n + 1; k-- > 0;) {
			char p = i < pattern.n ? pattern.p[i] : '\0';
			bool *w = &ways[i][k];
			if (i == pattern.n)
				*w = k == name.n;
			else if (p == '*')
				*w = ways[i + 1][k] || (k < name.n && ways[i][k + 1]);
			else if (p == '%')
				*w = ways[i + 1][k] ||
				     (k < name.n && name.p[k] != IMAP_SEPARATOR && ways[i][k + 1]);
			else
				*w = k < name.n && same(p, name.p[k], inbox && k < 5) &&
				     ways[i + 1][k + 1];
		}
	return ways[0][0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str name = str_make((const char *)data, size), pattern;
	AUTO(buf) struct buf joined = BUF_INIT(KIB(64));
	if (size == 0 || size > KIB(4) || !str_cut(&name, '\n', &pattern))
		return 0;
	bool matches = imap_list_match(pattern, name);
	if (pattern.n <= MODEL_MAX && name.n <= MODEL_MAX)
		CHECK(matches == model(pattern, name));
	CHECK(imap_list_pattern(&joined, pattern, name) == 0);
	CHECK(joined.n <= pattern.n + name.n);
	return 0;
}
