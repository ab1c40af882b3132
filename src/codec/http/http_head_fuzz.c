/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: a head that is accepted has a target without control characters, within the input. */
#include "base/check.h"
#include "codec/http/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = {(const char *)data, size};
	struct http_request r;
	size_t n = http_head_length(all);
	if (n == 0 || http_head_parse(str_sub(all, 0, n), &r) != 0)
		return 0;
	CHECK(r.target.n > 0 && r.target.p[0] == '/');
	CHECK(r.target.p >= all.p && r.target.p + r.target.n <= all.p + n);
	for (size_t i = 0; i < r.target.n; i++)
		CHECK((unsigned char)r.target.p[i] > 0x20);
	return 0;
}
