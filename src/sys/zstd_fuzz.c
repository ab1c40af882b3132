/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a compressed block, within a bound; and what was packed is unpacked the same. */
#include "base/check.h"
#include "sys/zstd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make((const char *)data, size);
	AUTO(buf) struct buf packed = BUF_INIT(KIB(128)), plain = BUF_INIT(KIB(128));
	AUTO(buf) struct buf small = BUF_INIT(KIB(4)), again = BUF_INIT(KIB(128));
	if (size > KIB(64))
		return 0;
	CHECK(zstd_pack(in, &packed, NULL) == 0);
	CHECK(zstd_unpack(buf_str(&packed), &plain, NULL) == 0);
	CHECK(str_eq(buf_str(&plain), in));
	int r = zstd_unpack(in, &small, NULL);
	CHECK(r == 0 || small.n == 0);
	CHECK(small.n <= KIB(4));
	if (r == 0) {
		CHECK(zstd_unpack(in, &again, NULL) == 0);
		CHECK(str_eq(buf_str(&small), buf_str(&again)));
	}
	return 0;
}
