/* SPDX-License-Identifier: Apache-2.0 */
/* Records and policies: what is read stays within its bounds, and a host never fits by accident. */
#include "base/check.h"
#include "codec/sts/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	char id[STS_ID_MAX];
	struct sts_policy p;
	if (sts_record_parse(s, id)) {
		CHECK(strlen(id) > 0 && strlen(id) < STS_ID_MAX);
		CHECK(str_find_str(s, 0, str_c(id)) < s.n);
	}
	if (!sts_policy_parse(s, &p))
		return 0;
	CHECK(p.max_age <= STS_AGE_MAX && p.n <= STS_MX_MAX && p.mode <= STS_ENFORCE);
	CHECK(p.n > 0 || p.mode == STS_NONE);
	CHECK(!sts_policy_has(&p, STR("")));
	CHECK(!sts_policy_has(&p, STR("mx.of a stranger")));
	for (size_t i = 0; i < p.n; i++) {
		CHECK(p.mx[i].p >= s.p && p.mx[i].p + p.mx[i].n <= s.p + s.n);
		if (p.mx[i].p[0] != '*')
			CHECK(sts_policy_has(&p, p.mx[i]));
	}
	return 0;
}
