/* SPDX-License-Identifier: Apache-2.0 */
/* What comes out fits, and done twice it stays; a message of seven bits stays so. */
#include "base/check.h"
#include "codec/mime/sevenbit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	AUTO(buf) struct buf out = BUF_INIT(64 * size + KIB(1));
	if (sevenbit_convert(in, &out) == 0 && sevenbit_is(in))
		CHECK(sevenbit_is(buf_str(&out)));
	return 0;
}
