/* SPDX-License-Identifier: Apache-2.0 */
/* Modified UTF-7 has one spelling for each name: both directions are inverse. */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/imap/imap_utf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	AUTO(buf) struct buf there = BUF_INIT(MIB(4));
	AUTO(buf) struct buf back = BUF_INIT(MIB(4));
	if (imap_utf7_decode(&there, in) == 0) {
		CHECK(utf8_valid(buf_str(&there)));
		CHECK(imap_utf7_encode(&back, buf_str(&there)) == 0);
		CHECK(str_eq(buf_str(&back), in));
	}
	buf_reset(&there);
	buf_reset(&back);
	if (imap_utf7_encode(&there, in) == 0) {
		CHECK(imap_utf7_decode(&back, buf_str(&there)) == 0);
		CHECK(str_eq(buf_str(&back), in));
	}
	return 0;
}
