/* SPDX-License-Identifier: Apache-2.0 */
/* An answer that comes in pieces is the same as the whole, and no longer than what came. */
#include "base/check.h"
#include "base/fail.h"
#include "codec/http/http_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	struct http_reply whole, part;
	AUTO(buf) struct buf a = BUF_INIT(KIB(4)), b = BUF_INIT(KIB(4));
	int r = http_reply_parse(s, true, &whole, &a);
	CHECK(r != 0);
	if (r == 1)
		CHECK(a.n <= s.n && whole.status >= 200 && whole.status <= 999);
	for (size_t n = 0; n < s.n; n += 1 + s.n / 16) {
		int early = http_reply_parse(str_sub(s, 0, n), false, &part, &b);
		if (early == 1)
			CHECK(r == 1 && part.status == whole.status &&
			      str_eq(buf_str(&a), buf_str(&b)));
		if (early == -FAIL_SYNTAX)
			CHECK(r < 0);
	}
	return 0;
}
