/* SPDX-License-Identifier: Apache-2.0 */
#include "saslprep.h"

#include "base/utf8.h"
#include <stringprep.h>

#define TEXT_MAX 1024

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

int saslprep(struct str text, bool stored, struct buf *out)
{
	char work[TEXT_MAX * 4 + 1]; /* normal form KC may grow a text */

	if (text.n > TEXT_MAX)
		return -FAIL_LIMIT;
	if (text.n == 0 || !utf8_valid(text) || str_find(text, 0, '\0') < text.n)
		return -FAIL_SYNTAX;
	if (is_plain(text))
		return buf_add(out, text);
	memcpy(work, text.p, text.n);
	work[text.n] = 0;
	int r = stringprep(work, sizeof work, stored ? STRINGPREP_NO_UNASSIGNED : 0,
			   stringprep_saslprep);
	if (r == STRINGPREP_OK)
		r = work[0] ? buf_add(out, str_c(work)) : -FAIL_SYNTAX;
	else
		r = r == STRINGPREP_TOO_SMALL_BUFFER ? -FAIL_LIMIT : -FAIL_SYNTAX;
	explicit_bzero(work, sizeof work);
	return r;
}
