/* SPDX-License-Identifier: Apache-2.0 */
/* Both messages of a client: what is accepted lies inside the message and is put together again. */
#include "base/check.h"
#include "codec/sasl/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct str part, struct str whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void first(struct str s)
{
	struct scram_client_first f;
	AUTO(buf) struct buf name = BUF_INIT(SCRAM_MESSAGE_MAX);
	if (scram_client_first_parse(s, &f) < 0)
		return;
	CHECK(inside(f.gs2, s) && inside(f.bare, s) && inside(f.user, s) && inside(f.nonce, s));
	CHECK(inside(f.authzid, s) && inside(f.binding_name, s));
	CHECK(f.gs2.n + f.bare.n == s.n && f.user.n > 0 && f.nonce.n > 0);
	if (scram_name_decode(f.user, &name) == 0)
		CHECK(name.n > 0 && name.n <= f.user.n);
}

static void final(struct str s)
{
	struct scram_client_final f;
	if (scram_client_final_parse(s, &f) < 0)
		return;
	CHECK(inside(f.binding, s) && inside(f.nonce, s) && inside(f.proof, s));
	CHECK(f.without_proof.n + 3 + f.proof.n == s.n);
	(void)scram_binding_is(f.binding, STR("n,,"), STR(""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	first(s);
	final(s);
	return 0;
}
