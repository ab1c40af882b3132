/* SPDX-License-Identifier: Apache-2.0 */
/* However the header comes in pieces, it is the same; nothing behind it is taken. */
#include "base/buf.h"
#include "base/check.h"
#include "codec/proxy/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(struct str in, size_t chunk, struct proxy_header *ret, struct buf *taken)
{
	struct fail why = FAIL_INIT;
	for (;;) {
		struct str so_far = taken->n ? buf_str(taken) : STR("");
		int r = proxy_parse(so_far, ret, &why);
		struct str waiting = str_sub(in, 0, chunk);
		if (r != 0 || waiting.n == 0)
			return r;
		size_t n = proxy_take(so_far, waiting);
		CHECK(n > 0 && n <= waiting.n);
		CHECK(buf_add(taken, str_sub(waiting, 0, n)) == 0);
		CHECK(taken->n <= PROXY_HEADER_MAX);
		in = str_skip(in, n);
	}
}

static void inside(struct str part, const struct buf *whole)
{
	CHECK(!part.n || (part.p >= whole->p && part.p + part.n <= whole->p + whole->n));
	CHECK(part.n <= PROXY_TEXT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	struct proxy_header a = {0}, b = {0};
	AUTO(buf) struct buf whole = BUF_INIT(KIB(8));
	AUTO(buf) struct buf bytes = BUF_INIT(KIB(8));
	int r = run(in, size + 1, &a, &whole);
	CHECK(run(in, 1, &b, &bytes) == r);
	if (r != 1)
		return 0;
	CHECK(str_eq(buf_str(&whole), buf_str(&bytes)));
	CHECK(a.local == (a.from.family == ENDPOINT_NONE) && a.from.family == a.to.family);
	CHECK(memcmp(&a.from, &b.from, sizeof a.from) == 0);
	inside(a.alpn, &whole);
	inside(a.authority, &whole);
	inside(a.ssl.version, &whole);
	inside(a.ssl.cipher, &whole);
	inside(a.ssl.common_name, &whole);
	return 0;
}
