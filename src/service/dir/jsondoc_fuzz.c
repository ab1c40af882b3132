/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of strangers as claims and as a set of keys: bounded, and what is found is inside. */
#include "base/check.h"
#include "service/dir/jsondoc.h"
#include "service/dir/jwks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	AUTO(jsondoc) struct jsondoc *j = NULL;
	struct jwks *k = NULL;
	struct str text = STR_NULL;
	int64_t n = 0;
	if (jsondoc_read(s, &j) == 0) {
		CHECK(s.n <= JSONDOC_MAX);
		if (jsondoc_text(j, "iss", &text))
			CHECK(text.n <= s.n && jsondoc_names(j, "iss", text));
		(void)jsondoc_number(j, "exp", &n);
		(void)jsondoc_names(j, "aud", STR("x"));
	}
	if (jwks_read(s, &k, NULL) == 0) {
		CHECK(jwks_count(k) <= JWKS_KEYS_MAX);
		CHECK(!jwks_verify(k, STR("none"), STR(""), s, STR("")));
	}
	jwks_free(k);
	return 0;
}
