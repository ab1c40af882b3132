/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields_test.c - header blocks, dates, encoded words and parameters.
 */
#include "base/test.h"
#include "codec/mime/date.h"
#include "codec/mime/header.h"
#include "codec/mime/param.h"
#include "codec/mime/word.h"

static void test_header(void **state)
{
	(void)state;
	struct str rest = STR("A: 1\r\nB :\r\n 2\r\n\t3\r\njunk\r\nC: 4\n\r\nbody");
	struct header_field f;
	AUTO(buf) struct buf line = BUF_INIT(100);
	assert_true(header_next(&rest, &f));
	assert_str(f.name, "A");
	assert_str(f.value, " 1");
	assert_true(header_next(&rest, &f));
	assert_str(f.name, "B");
	assert_str(f.whole, "B :\r\n 2\r\n\t3\r\n");
	header_unfold(&line, f.value);
	assert_str(buf_str(&line), "2 3");
	assert_true(header_next(&rest, &f));
	assert_str(f.name, "C");
	assert_false(header_next(&rest, &f));
	assert_str(rest, "body");
}

static const struct {
	const char *text;
	int64_t seconds; /* INT64_MIN: not a date */
	int zone_min;
} dates[] = {
	{"Tue, 3 Feb 2004 12:00:00 +0100", 1075806000, 60},
	{"3 Feb 2004 12:00 -0530", 1075829400, -330},
	{"Tue, 03 Feb 04 12:00:00 GMT", 1075809600, 0},
	{"Tue, 3 Feb 2004 12:00:00 EST (Eastern)", 1075827600, -300},
	{"Tue,3(x)Feb\r\n 2004 12 :00:00 +0000", INT64_MIN, 0},
	{"Tue Feb  3 12:00:00 2004", 1075809600, 0},
	{"Tue Feb  3 12:00:00 PST 2004", 1075838400, -480},
	{"3-Feb-2004 12:00:00 +0000", 1075809600, 0},
	{"Tue, 3 Feb 104 12:00:00 +0000", 1075809600, 0},
	{"Tue, 3 Feb 99 12:00:00 +0000", 918043200, 0},
	{"Tue, 3 Feb 2004 12:00:00 -0000", 1075809600, 0},
	{"Tue, 3 February 2004 12.00.00 +01:00", 1075806000, 60},
	{"Thu, 1 Jan 1970 00:00:00 Z", 0, 0},
	{"Tue, 31 Feb 2004 12:00:00 +0000", INT64_MIN, 0},
	{"Tue, 3 Feb 2004 25:00:00 +0000", INT64_MIN, 0},
	{"Tue, 3 Foo 2004 12:00:00 +0000", INT64_MIN, 0},
	{"", INT64_MIN, 0},
	{"tomorrow", INT64_MIN, 0},
};

static void test_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		struct wall_us t = {0};
		int zone = 0;
		bool ok = date_parse(str_c(dates[i].text), &t, &zone);
		if (ok != (dates[i].seconds != INT64_MIN) ||
		    (ok && (t.v != dates[i].seconds * SEC_US || zone != dates[i].zone_min)))
			fail_msg("%s: %d %lld %d", dates[i].text, ok, (long long)(t.v / SEC_US),
				 zone);
		for (size_t n = 0; n < strlen(dates[i].text); n++)
			(void)date_parse(str_make(dates[i].text, n), &t, &zone);
	}
}

static void test_date_write(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(100);
	assert_int_equal(date_write(&out, (struct wall_us){1075806000 * SEC_US}, 60), 0);
	assert_str(buf_str(&out), "Tue, 3 Feb 2004 12:00:00 +0100");
	buf_reset(&out);
	assert_int_equal(date_write(&out, (struct wall_us){1075806000 * SEC_US}, -330), 0);
	assert_str(buf_str(&out), "Tue, 3 Feb 2004 05:30:00 -0530");
}

static const struct {
	const char *in;
	const char *want;
} words[] = {
	{"", ""},
	{"plain", "plain"},
	{"=?utf-8?q?a=C3=A9_b?=", "a\xc3\xa9 b"},
	{"=?UTF-8*en?B?w6k=?= x", "\xc3\xa9 x"},
	{"a =?iso-8859-1?q?=E9?= b", "a \xc3\xa9 b"},
	{"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
	{"=?utf-8?q?a?= x =?utf-8?q?b?= ", "a x b "},
	{"=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "\xe2\x82\xac"},
	{"=?utf-8?b?4oI=?=  =?utf-8?b?rA==?=", "\xe2\x82\xac"},
	{"=?utf-8?q?=E2=82?= =?iso-8859-1?q?=AC?=", "\xef\xbf\xbd\xc2\xac"},
	{"=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?= =?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=",
	 "\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88"},
	{"=?koi8-r?q?=F0?=", "\xd0\x9f"},
	{"=?gb2312?b?1tDOxA==?=", "\xe4\xb8\xad\xe6\x96\x87"},
	{"\xc3\xa9 \xe9", "\xc3\xa9 \xc3\xa9"},
	{"=?utf-8?x?a?=", "=?utf-8?x?a?="},
	{"=?utf-8?q?open", "=?utf-8?q?open"},
	{"=?utf-8?q?a?b?=", "=?utf-8?q?a?b?="},
	{"\"=?utf-8?q?a?=\"", "\"a\""},
	{"x=?utf-8?q?a?=y", "xay"},
	{"=?nonsense?q?=C3=A9?=", "\xc3\xa9"},
	{"=?utf-8?q?a=0D=0Ab=00c?=", "a  b c"},
	{"=?=?utf-8?q?a?=", "=?a"},
};

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		AUTO(buf) struct buf out = BUF_INIT(1000);
		word_decode(&out, str_c(words[i].in));
		if (!str_eq(buf_str(&out), str_c(words[i].want)))
			fail_msg("%s: %s", words[i].in, buf_c(&out));
	}
}

/* decode(unfold(encode(x))) == x, in lines of at most 76. */
static void test_word_encode(void **state)
{
	(void)state;
	AUTO(buf) struct buf text = BUF_INIT(1000);
	for (int i = 0; i < 120; i++) {
		AUTO(buf) struct buf coded = BUF_INIT(10000);
		AUTO(buf) struct buf line = BUF_INIT(10000);
		AUTO(buf) struct buf back = BUF_INIT(10000);
		(void)buf_add_c(&text, i % 3 == 0   ? "\xe2\x82\xac"
				       : i % 3 == 1 ? " a"
						    : "\xf0\x9f\x93\xa7");
		assert_int_equal(word_encode(&coded, buf_str(&text), 9), 0);
		struct str rest = buf_str(&coded);
		struct str one;
		for (size_t first = 9; str_cut(&rest, '\n', &one); first = 0)
			assert_true(first + one.n <= 77);
		header_unfold(&line, buf_str(&coded));
		word_decode(&back, buf_str(&line));
		assert_true(str_eq(buf_str(&back), buf_str(&text)));
	}
}

static const struct {
	const char *in;
	const char *want; /* "name=value|..." */
} params[] = {
	{"", ""},
	{"; a=b", "a=b|"},
	{" ; a = b ;; c=\"d; \\\"e\"", "a=b|c=d; \"e|"},
	{"; name=my file.txt; x=y", "name=my file.txt|x=y|"},
	{"; a=1; A=2", "a=1|"},
	{"; a*=utf-8'en'%C3%A9", "a=\xc3\xa9|"},
	{"; a*0=x; a*1=y", "a=xy|"},
	{"; a*1=y; a*0=x", "a=xy|"},
	{"; a*0*=iso-8859-1''%E9; a*1*=%E9; a*2=z", "a=\xc3\xa9\xc3\xa9z|"},
	{"; a*0=x; a*2=z", "a=x|"},
	{"; a*=utf-8''new; a=old", "a=old|"},
	{"; a*=%zz", "a=%zz|"},
	{"; a*=''%41", "a=A|"},
	{"; =x; y; a=b", "a=b|"},
	{"; a=", "a=|"},
	{"; a=\"open", "a=open|"},
	{"; a=b (comment); c=d", "a=b|c=d|"},
	{"; a=\"x\" c=d", "a=x|c=d|"},
	{"; a==?utf-8?q?x?=", "a==?utf-8?q?x?=|"},
	{"; a=\"x\r\n y\"", "a=x y|"},
	{"; *=utf-8''x; *0=y; a=b", "*=utf-8''x|*0=y|a=b|"},
};

static void test_params(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		for (size_t n = strlen(params[i].in) + 1; n-- > 0;) {
			AUTO(arena) struct arena arena = ARENA_INIT(MIB(1));
			AUTO(buf) struct buf got = BUF_INIT(1000);
			struct lex x = {.s = str_make(params[i].in, n)};
			struct params p;
			params_parse(&x, &arena, &p);
			for (size_t k = 0; k < p.n; k++)
				(void)buf_addf(&got, "%.*s=%.*s|", STR_ARG(p.p[k].name),
					       STR_ARG(p.p[k].value));
			if (n == strlen(params[i].in) &&
			    !str_eq(buf_str(&got), str_c(params[i].want)))
				fail_msg("%s: %s", params[i].in, buf_c(&got));
		}
	}
}

static void words_without_charset_tables(void **state)
{
	static const struct {
		const char *in, *out;
	} known[] = {
		{"plain text", "plain text"},
		{"=?utf-8?q?Caf=C3=A9?= at noon", "Caf\xc3\xa9 at noon"},
		{"=?utf-8?q?Caf=C3?= =?UTF-8?B?qQ==?=", "Caf\xc3\xa9"},
		{"a =?iso-8859-1?q?=E9t=E9?= b", "a \xc3\xa9t\xc3\xa9 b"},
		{"=?koi8-r?b?8NLJ18XU?= ok", "=?koi8-r?b?8NLJ18XU?= ok"},
		{"=?utf-8?q?=FF?=", "=?utf-8?q?=FF?="},
		{"raw \xe9", "raw \xc3\xa9"},
		{"=?us-ascii?q?a=0Ab?=", "a b"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		AUTO(buf) struct buf out = BUF_INIT(1000);
		word_decode_known(&out, str_c(known[i].in));
		assert_string_equal(buf_c(&out), known[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_date_write),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_word_encode),
		cmocka_unit_test(test_params),
		cmocka_unit_test(words_without_charset_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
