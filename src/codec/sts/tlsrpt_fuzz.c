/* SPDX-License-Identifier: Apache-2.0 */
/* Records: each place is one line that can be written into a request or an address. */
#include "base/check.h"
#include "codec/sts/tlsrpt.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tlsrpt_record r;
	struct tlsrpt_url u;
	if (!tlsrpt_record_parse((struct str){(const char *)data, size}, &r))
		return 0;
	CHECK(r.n > 0 && r.n <= TLSRPT_PLACES_MAX);
	for (size_t i = 0; i < r.n; i++) {
		struct str s = str_c(r.v[i].text);
		CHECK(str_find(s, 0, '\r') == s.n && str_find(s, 0, '\n') == s.n);
		if (!r.v[i].https)
			continue;
		CHECK(tlsrpt_url_parse(s, &u) && u.path.p[0] == '/' && u.port > 0);
		CHECK(str_find(u.path, 0, ' ') == u.path.n && str_find(u.host, 0, '@') == u.host.n);
	}
	return 0;
}
