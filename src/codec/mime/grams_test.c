/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grams_test.c - what text_contains finds has all grams of the needle.
 */
#include "base/test.h"
#include "codec/mime/grams.h"
#include "codec/mime/text.h"

static bool has(const struct grams *text, uint32_t gram)
{
	for (size_t i = 0; i < text->n; i++)
		if (text->gram[i] == gram)
			return true;
	return false;
}

static bool has_all(struct str text, struct str needle, bool plain_text, size_t *ret_n)
{
	AUTO(grams) struct grams t, n;
	grams_init(&t, plain_text ? GRAMS_PLAIN : 0);
	grams_init(&n, 0);
	grams_add(&t, text);
	grams_add(&n, needle);
	*ret_n = n.n;
	for (size_t i = 0; i < n.n; i++)
		if (!has(&t, n.gram[i]))
			return false;
	return true;
}

static const struct {
	const char *text, *needle;
	bool found;
	size_t grams; /* of the needle */
} cases[] = {
	{"a holiday plan", "oliday", true, 7},
	{"a holiday plan", "OLIDAY", true, 7},
	{"a holiday plan", "olidaz", false, 7},
	{"ab", "ab", true, 0},
	{"x", "", true, 0},
	{"caf\xc3\xa9 noir", "cafe", true, 3},
	{"cafe noir", "caf\xc3\xa9", false, 5},
	{"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", "\xd1\x80\xd0\xb8\xd0\x92\xd0\x95",
	 true, 3},
	{"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xe6\x9c\xac", true, 1},
	{"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xe6\x9c\xac\xe8\xaa\x9e", true, 3},
	{"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "\xe6\x97\xa5\xe8\xaa\x9e", false, 3},
	{"\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", "\xea\xb5\xad", true, 3},
	{"\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", "\xec\x96\xb4", true, 1},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = 0;
		bool found = has_all(str_c(cases[i].text), str_c(cases[i].needle), false, &n);
		if (found != cases[i].found || n != cases[i].grams)
			fail_msg("%s in %s: %d, %zu grams", cases[i].needle, cases[i].text, found,
				 n);
	}
}

/* "resume" and "résumé", one way round only. */
static void test_plain(void **state)
{
	size_t n;
	(void)state;
	assert_true(has_all(STR("my r\xc3\xa9sum\xc3\xa9 here"), STR("resume"), true, &n));
	assert_true(has_all(STR("my r\xc3\xa9sum\xc3\xa9 here"), STR("sume here"), true, &n));
	assert_false(has_all(STR("my r\xc3\xa9sum\xc3\xa9 here"), STR("resume"), false, &n));
	assert_true(has_all(STR("my r\xc3\xa9sum\xc3\xa9 here"), STR("R\xc3\x89SUM\xc3\x89"), true,
			    &n));
}

static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % below;
}

/* Few different characters, so that needles repeat; some fold to several, some are malformed. */
static void random_text(uint64_t *seed, struct buf *out, size_t n)
{
	static const char *const pieces[] = {"a",
					     "B",
					     "c",
					     " ",
					     "\r\n",
					     "\xc3\xa9",
					     "\xc3\x9f",
					     "e\xcc\x81",
					     "\xd0\x96",
					     "\xe6\x97\xa5",
					     "\xe6\x9c\xac",
					     "\xed\x95\x9c",
					     "\xea\xb5\xad",
					     "\xef\xac\x83",
					     "\xf0\x9f\x98\x80",
					     "\xff",
					     "\xe6\x97",
					     "\xc4\xb0",
					     "\xe1\xbe\xb3",
					     "\xcc\x81"};
	while (out->n < n)
		(void)buf_add_c(out, pieces[draw(seed, ARRAY_LEN(pieces))]);
}

static void test_promise(void **state)
{
	(void)state;
	uint64_t seed = 42;
	unsigned found = 0;
	for (unsigned round = 0; round < 4000; round++) {
		AUTO(buf) struct buf text = BUF_INIT(1000);
		AUTO(buf) struct buf needle = BUF_INIT(1000);
		size_t n;
		random_text(&seed, &text, 60 + draw(&seed, 100));
		random_text(&seed, &needle, 1 + draw(&seed, 6));
		struct str part = str_sub(buf_str(&text), draw(&seed, 50), 50 + draw(&seed, 10));
		struct text_needle *one = text_needle_new(buf_str(&needle));
		struct text_needle *two = text_needle_new(part);
		bool first = text_contains(one, buf_str(&text));
		bool second = text_contains(two, buf_str(&text));
		found += first;
		if (first && !has_all(buf_str(&text), buf_str(&needle), round % 2, &n))
			fail_msg("round %u: a needle without its grams", round);
		if (second && !has_all(buf_str(&text), part, round % 2, &n))
			fail_msg("round %u: a part without its grams", round);
		text_needle_free(one);
		text_needle_free(two);
	}
	assert_true(found > 100);
}

/* In pieces or at once: the same. After reset, nothing is left. */
static void test_pieces(void **state)
{
	(void)state;
	uint64_t seed = 7;
	AUTO(grams) struct grams whole, cut;
	grams_init(&whole, GRAMS_PLAIN);
	grams_init(&cut, GRAMS_PLAIN);
	for (unsigned round = 0; round < 50; round++) {
		AUTO(buf) struct buf text = BUF_INIT(1000);
		random_text(&seed, &text, 300);
		grams_reset(&whole);
		grams_reset(&cut);
		grams_add(&whole, buf_str(&text));
		for (size_t pos = 0, from = 0; pos < text.n; from = pos) {
			for (unsigned k = draw(&seed, 5) + 1; k-- && pos < text.n;)
				(void)utf8_next(buf_str(&text), &pos);
			grams_add(&cut, str_sub(buf_str(&text), from, pos));
		}
		assert_int_equal(whole.n, cut.n);
		for (size_t i = 0; i < cut.n; i++)
			assert_int_equal(whole.gram[i], cut.gram[i]);
	}
	grams_reset(&cut);
	assert_int_equal(cut.n, 0);
	grams_add(&cut, STR("abcabc"));
	assert_int_equal(cut.n, 6);
}

/* A hostile text: as many different runs as there can be. */
static void test_bound(void **state)
{
	(void)state;
	uint64_t seed = 3;
	AUTO(grams) struct grams g;
	grams_init(&g, GRAMS_PLAIN);
	AUTO(buf) struct buf text = BUF_INIT(MIB(3));
	for (size_t i = 0; i < MIB(2); i++)
		(void)buf_addc(&text, (char)draw(&seed, 256));
	grams_add(&g, buf_str(&text));
	assert_true(g.full);
	assert_true(g.n <= GRAMS_MAX + 2 * 4096);
	grams_reset(&g);
	grams_add(&g, STR("one two"));
	assert_int_equal(g.n, 9);
	assert_false(g.full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),	cmocka_unit_test(test_plain),
		cmocka_unit_test(test_promise), cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
