/* SPDX-License-Identifier: Apache-2.0 */
/* A text that has a needle has all grams of the needle. The first two bytes say which part of the
 * rest is the needle; it is looked for as it stands there, and in other case. */
#include "base/check.h"
#include "codec/mime/fold.h"
#include "codec/mime/grams.h"
#include "codec/mime/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has(const struct grams *g, uint32_t gram)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->gram[i] == gram)
			return true;
	return false;
}

static void check(struct str text, struct str needle, unsigned how)
{
	AUTO(text_needle) struct text_needle *n = text_needle_new(needle);
	AUTO(grams) struct grams all, few;
	grams_init(&all, how);
	grams_init(&few, how & GRAMS_SHORT);
	grams_begin(&all);
	grams_add(&all, text);
	grams_add(&few, needle);
	if (text_contains(n, text))
		for (size_t i = 0; i < few.n && !all.full; i++)
			CHECK(has(&all, few.gram[i]));
	grams_reset(&all);
	CHECK(all.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3 || size > 2000)
		return 0;
	struct str text = {(const char *)data + 2, size - 2};
	size_t from = data[0] % text.n;
	struct str needle = str_sub(text, from, from + 1 + data[1] % 40);
	AUTO(buf) struct buf lower = BUF_INIT(64);
	for (size_t i = 0; i < needle.n; i++)
		(void)buf_addc(&lower, ascii_lower(needle.p[i]));
	check(text, needle, data[0] & 3);
	check(text, buf_str(&lower), data[0] & 3);
	return 0;
}
