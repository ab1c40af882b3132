/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of messages: what is understood has all that it must have, and signs a beginning of it. */
#include "base/check.h"
#include "codec/imap/imap_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make((const char *)data, size);
	for (int signed_ = 0; signed_ < 2; signed_++) {
		AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
		struct imap_url u;
		if (imap_url_parse(text, signed_, &a, &u, NULL) < 0)
			continue;
		CHECK(u.uid > 0 && u.user.n > 0 && u.mailbox.n > 0);
		CHECK(u.rump.p == text.p && u.rump.n <= text.n);
		CHECK(!signed_ || (u.token.n >= 32 && u.mechanism.n > 0));
		CHECK((u.access <= IMAP_URL_USER) == (u.for_user.n > 0));
	}
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct imap_url u;
	if (imap_url_parse_relative(text, &a, &u, NULL) == 0)
		CHECK(u.uid > 0 && u.user.n == 0 && (!u.mailbox.p || u.mailbox.n > 0));
	return 0;
}
