/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of strangers as hexadecimal, base64, UTF-8 and numbers: only the canonical form is taken,
 * and it comes back the same.
 */
#include "base/check.h"
#include "base/encode.h"
#include "base/num.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encodings(struct str in)
{
	AUTO(buf) struct buf bytes = BUF_INIT(KIB(64)), text = BUF_INIT(KIB(64));
	if (hex_decode(&bytes, in) == 0) {
		CHECK(hex_encode(&text, buf_str(&bytes)) == 0);
		CHECK(str_eqi(buf_str(&text), in));
	}
	buf_reset(&bytes);
	buf_reset(&text);
	if (base64_decode(&bytes, in) == 0) {
		CHECK(base64_encode(&text, buf_str(&bytes)) == 0);
		CHECK(str_eq(buf_str(&text), in));
	} else {
		CHECK(bytes.n == 0);
	}
	buf_reset(&bytes);
	buf_reset(&text);
	CHECK(base64_encode(&text, in) == 0 && base64_decode(&bytes, buf_str(&text)) == 0);
	CHECK(str_eq(buf_str(&bytes), in));
	buf_reset(&bytes);
	buf_reset(&text);
	CHECK(hex_encode(&text, in) == 0 && hex_decode(&bytes, buf_str(&text)) == 0);
	CHECK(str_eq(buf_str(&bytes), in));
}

/* Stepping and writing again: the same text when it is valid, a valid one in any case. */
static void characters(struct str in)
{
	AUTO(buf) struct buf again = BUF_INIT(KIB(64));
	for (size_t pos = 0, before = 0; pos < in.n; before = pos) {
		uint32_t c = utf8_next(in, &pos);
		CHECK(pos > before && pos <= in.n && pos - before <= 4);
		CHECK(c <= 0x10ffff && (c < 0xd800 || c > 0xdfff));
		CHECK(utf8_put(&again, c) == 0);
	}
	CHECK(utf8_valid(buf_str(&again)));
	CHECK(utf8_valid(in) == str_eq(buf_str(&again), in));
	CHECK(!str_is_ascii(in) || utf8_valid(in));
}

static void numbers(struct str in)
{
	uint64_t n = 0, hex = 0;
	uint32_t small = 0;
	char text[24];
	bool wide = num_parse_u64(in, &n);
	bool narrow = num_parse_u32(in, &small);
	struct str digits = in;
	while (digits.n > 1 && digits.p[0] == '0')
		digits = str_skip(digits, 1);
	CHECK(narrow == (wide && n <= UINT32_MAX) && (!narrow || small == n));
	if (wide) {
		(void)snprintf(text, sizeof text, "%llu", (unsigned long long)n);
		CHECK(str_eq(str_c(text), digits));
	}
	if (num_parse_hex_u64(in, &hex)) {
		(void)snprintf(text, sizeof text, "%llx", (unsigned long long)hex);
		CHECK(str_eqi(str_c(text), digits));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make((const char *)data, size);
	if (size > KIB(8))
		return 0;
	encodings(in);
	characters(in);
	numbers(in);
	return 0;
}
