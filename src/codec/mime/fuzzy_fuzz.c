/* SPDX-License-Identifier: Apache-2.0 */
/* What is found has the grams that fuzzy_word promises, and the words themselves are always found.
 * The first two bytes say which part of the rest is the needle, the third what is changed in it. */
#include "base/check.h"
#include "codec/mime/fuzzy.h"
#include "codec/mime/grams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has(const struct grams *g, uint32_t gram)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->gram[i] == gram)
			return true;
	return false;
}

static unsigned look(const struct fuzzy *f, struct str text, size_t cut, bool scored)
{
	struct fuzzy_look l;
	fuzzy_look_init(&l, f, scored);
	fuzzy_look_begin(&l, 100);
	while (cut < text.n && ((unsigned char)text.p[cut] & 0xc0) == 0x80)
		cut++;
	if (!fuzzy_look_take(&l, str_sub(text, 0, cut)))
		(void)fuzzy_look_take(&l, str_sub(text, cut, text.n));
	return fuzzy_look_end(&l);
}

static void check_grams(const struct fuzzy *f, struct str text)
{
	AUTO(grams) struct grams all;
	grams_init(&all, GRAMS_PLAIN);
	grams_add(&all, text);
	for (size_t i = 0; i < fuzzy_count(f) && !all.full; i++) {
		AUTO(buf) struct buf word = BUF_INIT(4 * FUZZY_WORD_MAX + 1);
		AUTO(grams) struct grams few;
		size_t lack = 0, missing = 0;
		grams_init(&few, GRAMS_PLAIN | GRAMS_SHORT);
		fuzzy_word(f, i, &word, &lack);
		grams_add(&few, buf_str(&word));
		for (size_t k = 0; k < few.n; k++)
			missing += !has(&all, few.gram[k]);
		CHECK(missing <= lack);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > 2000)
		return 0;
	struct str text = {(const char *)data + 3, size - 3};
	size_t from = data[0] % text.n;
	struct str part = str_sub(text, from, from + 1 + data[1] % 80);
	AUTO(buf) struct buf needle = BUF_INIT(200);
	(void)buf_add(&needle, part);
	needle.p[data[2] % needle.n] ^= data[2] & 1;
	AUTO(fuzzy) struct fuzzy *f = fuzzy_new(buf_str(&needle));
	unsigned score = look(f, text, data[1] % text.n, true);
	CHECK(score <= 100 && (score > 0) == (look(f, text, data[0] % text.n, false) > 0));
	if (score)
		check_grams(f, text);
	AUTO(fuzzy) struct fuzzy *all = fuzzy_new(text);
	CHECK(fuzzy_count(all) == 0 || look(all, text, 0, true) > 0);
	return 0;
}
