/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with tokens, and the token's parts. */
#include "base/check.h"
#include "codec/sasl/oauthbearer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void token(struct str s)
{
	struct jwt_parts p;
	if (jwt_split(s, &p) < 0)
		return;
	CHECK(p.header.n + p.claims.n + p.signature.n + 2 == s.n);
	CHECK(p.signed_text.n == p.header.n + 1 + p.claims.n);
	AUTO(buf) struct buf out = BUF_INIT(JWT_PART_MAX);
	if (base64url_decode(&out, p.claims) == 0)
		CHECK(out.n <= p.claims.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	struct oauth_message m;
	if (oauthbearer_parse(s, &m) == 0 || xoauth2_parse(s, &m) == 0) {
		CHECK(m.token.n > 0 && m.token.p >= s.p && m.token.p + m.token.n <= s.p + s.n);
		token(m.token);
	}
	token(s);
	return 0;
}
