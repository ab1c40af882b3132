/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: texts stay within the block, and what is written is read back; answers are one line. */
#include "base/check.h"
#include "codec/policy/policy_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct str s, struct str block)
{
	return s.n == 0 || (s.p >= block.p && s.p + s.n <= block.p + block.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	struct policy_request r, again;
	AUTO(buf) struct buf a = BUF_INIT(KIB(64)), b = BUF_INIT(KIB(64)), c = BUF_INIT(KIB(64));
	size_t end = 0;
	if (policy_frame_end(in, &end) == 1) {
		CHECK(end > 0 && end <= size && end <= POLICY_REQUEST_MAX && data[end - 1] == '\n');
		in.n = end;
	}
	policy_answer_write(&a, in);
	CHECK(str_find(buf_str(&a), 0, '\n') == a.n - 2 && a.p[a.n - 1] == '\n');
	if (policy_request_parse(in, &r) < 0)
		return 0;
	CHECK(within(r.sender, in) && within(r.recipient, in) && within(r.instance, in));
	CHECK(within(r.client_address, in) && within(r.tls_sni, in));
	CHECK(str_find(r.sender, 0, '\n') == r.sender.n);
	policy_request_write(&r, &b);
	if (b.failed)
		return 0;
	CHECK(policy_request_parse(buf_str(&b), &again) == 0 && again.state == r.state);
	policy_request_write(&again, &c);
	CHECK(str_eq(buf_str(&b), buf_str(&c)));
	return 0;
}
