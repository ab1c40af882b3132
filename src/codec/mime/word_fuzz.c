/* SPDX-License-Identifier: Apache-2.0 */
/*
 * word_fuzz.c - decoding gives UTF-8 without NUL within the promised length, and what was encoded
 * decodes to itself.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/mime/header.h"
#include "codec/mime/word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make((const char *)data, size);
	AUTO(buf) struct buf text = BUF_INIT(4 * size + 64);
	AUTO(buf) struct buf line = BUF_INIT(4 * size + 64);
	AUTO(buf) struct buf coded = BUF_INIT(64 * size + 64);
	AUTO(buf) struct buf unfolded = BUF_INIT(64 * size + 64);
	AUTO(buf) struct buf back = BUF_INIT(64 * size + 64);
	header_unfold(&line, in);
	AUTO(buf) struct buf known = BUF_INIT(4 * size + 64);
	word_decode_known(&known, in);
	CHECK(!known.failed && (known.n == 0 || !memchr(known.p, '\0', known.n)));
	word_decode(&text, in);
	CHECK(!text.failed && utf8_valid(buf_str(&text)));
	CHECK(text.n == 0 || !memchr(text.p, '\0', text.n));
	if (text.n == 0 || str_trim(buf_str(&text)).n != text.n)
		return 0;
	CHECK(word_encode(&coded, buf_str(&text), 9) == 0);
	header_unfold(&unfolded, buf_str(&coded));
	word_decode(&back, buf_str(&unfolded));
	CHECK(str_eq(buf_str(&text), buf_str(&back)));
	return 0;
}
