/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any header block: fields lie within it in order, parameters are bounded, and dates and base
 * subjects are canonical: written and read again they are the same.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/mime/date.h"
#include "codec/mime/header.h"
#include "codec/mime/param.h"
#include "codec/mime/subject.h"
#include "codec/mime/text.h"
#include "codec/mime/word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void date(struct str value)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(1));
	struct wall_us t, again;
	int zone, zone_again;
	if (!date_parse(value, &t, &zone))
		return;
	CHECK(date_write(&text, t, zone) == 0);
	CHECK(date_parse(buf_str(&text), &again, &zone_again));
	CHECK(again.v == t.v && zone_again == zone);
}

static void subject(struct str value)
{
	AUTO(buf) struct buf decoded = BUF_INIT(MIB(1)), base = BUF_INIT(MIB(1));
	AUTO(buf) struct buf again = BUF_INIT(MIB(1));
	word_decode(&decoded, value);
	subject_base(&base, buf_str(&decoded));
	CHECK(base.n <= decoded.n && utf8_valid(buf_str(&base)));
	subject_base(&again, buf_str(&base));
	CHECK(str_eq(buf_str(&base), buf_str(&again)));
}

static void params(struct str value)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(4));
	struct lex x = {.s = value};
	struct params p;
	(void)lex_run(&x, lex_is_token);
	params_parse(&x, &arena, &p);
	CHECK(p.n <= PARAM_COUNT_MAX && x.at <= value.n);
	for (size_t i = 0; i < p.n; i++) {
		CHECK(p.p[i].name.n > 0 && p.p[i].name.n <= value.n);
		CHECK(p.p[i].value.n <= PARAM_VALUE_MAX);
		CHECK(params_find(&p, p.p[i].name).p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(text_needle) struct text_needle *needle = text_needle_new(STR("e\xcc\x81x"));
	AUTO(buf) struct buf line = BUF_INIT(MIB(1));
	struct str all = str_make((const char *)data, size), rest = all;
	struct header_field f;
	const char *last = all.p;
	if (size == 0 || size > KIB(64))
		return 0;
	while (header_next(&rest, &f)) {
		CHECK(f.whole.p >= last && f.whole.p + f.whole.n <= all.p + all.n);
		CHECK(f.name.n > 0 && f.name.p >= f.whole.p);
		CHECK(f.value.p + f.value.n <= f.whole.p + f.whole.n);
		CHECK(header_name(f.whole, NULL) == f.name.n);
		last = f.whole.p + f.whole.n;
		buf_reset(&line);
		header_unfold(&line, f.value);
		CHECK(!memchr(buf_c(&line), '\n', line.n) && !memchr(buf_c(&line), '\0', line.n));
		date(buf_str(&line));
		subject(buf_str(&line));
		params(f.value);
		(void)text_header_contains(all, f.name, needle);
	}
	return 0;
}
