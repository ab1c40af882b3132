/* SPDX-License-Identifier: Apache-2.0 */
/* A good specification lets some answer through, has a zone and a weight in bounds. */
#include "base/check.h"
#include "codec/smtp/dnsbl.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dnsbl_site s;
	if (dnsbl_parse((struct str){(const char *)data, size}, &s))
		return 0;
	CHECK(s.weight >= -100 && s.weight <= 100);
	CHECK(strnlen(s.zone, sizeof s.zone) < sizeof s.zone && s.zone[0]);
	uint8_t answer[4];
	for (unsigned i = 0; i < 4; i++) {
		unsigned n = 0;
		while (n < 256 && !(s.part[i][n / 8] & (1u << (n % 8))))
			n++;
		CHECK(n < 256);
		answer[i] = (uint8_t)n;
	}
	CHECK(dnsbl_matches(&s, answer));
	return 0;
}
