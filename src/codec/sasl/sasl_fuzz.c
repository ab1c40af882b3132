/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a client through both mechanisms: complete credentials keep their promises. */
#include "base/check.h"
#include "base/utf8.h"
#include "codec/sasl/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(struct str s)
{
	CHECK(s.n > 0 && s.n <= SASL_MESSAGE_MAX && utf8_valid(s) && str_find(s, 0, '\0') == s.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct str rest = {(const char *)data + 1, size - 1};
	struct str line = STR_NULL;
	struct sasl s;
	struct sasl_credentials c;
	if (data[0] & 2)
		(void)str_cut(&rest, '\n', &line);
	int r = sasl_start(&s, data[0] & 1 ? SASL_PLAIN : SASL_LOGIN, line, &c);
	while (r == SASL_STEP_CHALLENGE && str_cut(&rest, '\n', &line)) {
		CHECK(sasl_challenge(&s).p);
		r = sasl_continue(&s, line);
	}
	if (r == SASL_STEP_DONE) {
		check_part(c.user);
		check_part(c.password);
	} else if (r < 0) {
		CHECK(c.used == 0 && c.user.n == 0 && c.bytes[0] == 0);
	}
	return 0;
}
