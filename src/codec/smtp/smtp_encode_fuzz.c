/* SPDX-License-Identifier: Apache-2.0 */
/* However a message is cut, it leaves us the same; CR and LF as CRLF alone; the dot ends it once.
 */
#include "base/check.h"
#include "codec/smtp/smtp_encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(struct str in, size_t piece, bool dots, struct buf *out)
{
	struct smtp_encoder e = {.dots = dots};
	while (in.n) {
		CHECK(smtp_encode(&e, str_sub(in, 0, piece), out) == 0);
		in = str_skip(in, piece);
	}
	CHECK(smtp_encode_end(&e, out) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	AUTO(buf) struct buf whole = BUF_INIT(3 * size + 10);
	AUTO(buf) struct buf bytes = BUF_INIT(3 * size + 10);
	AUTO(buf) struct buf plain = BUF_INIT(3 * size + 10);
	encode(in, size, true, &whole);
	encode(in, 1, true, &bytes);
	encode(in, size, false, &plain);
	struct str s = buf_str(&whole);
	CHECK(str_eq(s, buf_str(&bytes)));
	for (size_t i = 0; i < s.n; i++) {
		CHECK(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
		CHECK(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
	}
	CHECK(str_ends(s, STR(".\r\n")));
	size_t end = str_find_str(s, 0, STR("\r\n.\r\n"));
	CHECK(end == s.n || end + 5 == s.n);
	CHECK(plain.n + 3 <= whole.n);
	return 0;
}
