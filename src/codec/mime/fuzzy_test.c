/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzzy_test.c - what is nearly what was typed is found, and the better the more it is worth.
 */
#include "base/test.h"
#include "codec/mime/fuzzy.h"
#include "codec/mime/grams.h"

static unsigned look(const char *needle, const char *text)
{
	AUTO(fuzzy) struct fuzzy *f = fuzzy_new(str_c(needle));
	struct fuzzy_look l;
	fuzzy_look_init(&l, f, true);
	fuzzy_look_begin(&l, 100);
	(void)fuzzy_look_take(&l, str_c(text));
	return fuzzy_look_end(&l);
}

static const struct {
	const char *needle, *text;
	bool found;
} cases[] = {
	{"Helo", "well, hello there", true},
	{"Helo", "help", true},
	{"Helo", "a shelf", false},
	{"IMAP break", "broken IMAP", false}, /* another vowel and an ending: two errors */
	{"IMAP break", "IMAP is breaking", true},
	{"imap broke", "broken IMAP", true},
	{"wrold", "the world", true},
	{"recieve", "received yesterday", true},
	{"Rechung", "Ihre Rechnungsnummer", true},
	{"Rechnungen", "die Rechnung", true},
	{"nummer", "Rechnungsnummer", true},
	{"invoice", "invoicing", true},
	{"parties", "a party", true},
	{"meeting", "it meets", true},
	{"process", "to procure", false},
	{"test", "best", false}, /* another first letter */
	{"etst", "test", true},
	{"cat", "car", false}, /* too short for errors */
	{"2024001", "2024002", false},
	{"2024001", "no. 2024001.", true},
	{"resume", "r\xc3\xa9sum\xc3\xa9", true},
	{"M\xc3\xbcller", "Mueller", true},
	{"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", /* Cyrillic, one letter off */
	 "\xd0\x9f\xd1\x80\xd0\xb5\xd0\xb2\xd0\xb5\xd1\x82", true},
	{"\xe6\x97\xa5\xe6\x9c\xac", "\xe5\x9c\xa8\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", true},
	{"\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe8\xaa\x9e", false},
	/* four characters, one of them another */
	{"\xe6\x9d\xb1\xe4\xba\xac\xe5\xa4\xa7\xe5\xad\xa6",
	 "\xe7\xa7\x81\xe3\x81\xae\xe6\x9d\xb1\xe4\xba\xac\xe5\xa4\xaa\xe5\xad\xa6\xe3\x81\xa7",
	 true},
	{"...", "anything", false},
	{"", "anything", false},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if ((look(cases[i].needle, cases[i].text) > 0) != cases[i].found)
			fail_msg("%s in %s", cases[i].needle, cases[i].text);
}

/* From the best on. */
static void test_scores(void **state)
{
	(void)state;
	static const char *const texts[] = {"invoice",	 "invoices", "invoicing",
					    "reinvoice", "invioce",  "invoycer"};
	unsigned last = 101;
	assert_int_equal(look("invoice", texts[0]), 100);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		unsigned now = look("invoice", texts[i]);
		if (now == 0 || now >= last)
			fail_msg("%s: %u behind %u", texts[i], now, last);
		last = now;
	}
	assert_int_equal(look("lunch today", "about lunch today"), 100);
	assert_in_range(look("lunch today", "today no lunch"), 50, 99);
	assert_int_equal(look("lunch today", "no lunch"), 0);
}

/* Words that are longer than what is held of them. */
static void test_long_words(void **state)
{
	(void)state;
	AUTO(buf) struct buf text = BUF_INIT(10000);
	for (size_t before = 0; before < 400; before++) {
		buf_reset(&text);
		for (size_t i = 0; i < before; i++)
			(void)buf_addc(&text, 'x');
		(void)buf_add(&text, STR("holidayx"));
		if (!look("holiday", text.p))
			fail_msg("behind %zu letters", before);
	}
}

/* Of what is found, the text has the grams that an index asks for. */
static void test_grams(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(fuzzy) struct fuzzy *f = fuzzy_new(str_c(cases[i].needle));
		for (size_t k = 0; cases[i].found && k < fuzzy_count(f); k++) {
			AUTO(buf) struct buf word = BUF_INIT(300);
			AUTO(grams) struct grams all, few;
			size_t lack = 0, missing = 0;
			fuzzy_word(f, k, &word, &lack);
			grams_init(&all, GRAMS_PLAIN);
			grams_init(&few, GRAMS_PLAIN | GRAMS_SHORT);
			grams_add(&all, str_c(cases[i].text));
			grams_add(&few, buf_str(&word));
			for (size_t g = 0; g < few.n; g++) {
				size_t at = 0;
				while (at < all.n && all.gram[at] != few.gram[g])
					at++;
				missing += at == all.n;
			}
			assert_in_range(missing, 0, lack);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_grams),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
