/* SPDX-License-Identifier: Apache-2.0 */
/* An address is taken in one way of writing it: as the C library writes it, or with capitals or
 * zeros that change nothing of it; and what the C library does not take, is not taken. */
#include "base/check.h"
#include "codec/proxy/endpoint.h"
#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make((const char *)data, size);
	struct endpoint e = {0};
	uint16_t port = 0;
	char text[64], again[64];
	unsigned char bytes[16] = {0};
	if (endpoint_parse_port(in, &port)) {
		(void)snprintf(text, sizeof text, "%u", port);
		CHECK(str_eq(in, str_c(text)));
	}
	if (!endpoint_parse(in, &e))
		return 0;
	CHECK(in.n > 0 && in.n < sizeof text && !memchr(in.p, '\0', in.n));
	memcpy(text, in.p, in.n);
	text[in.n] = '\0';
	int family = e.family == ENDPOINT_V4 ? AF_INET : AF_INET6;
	CHECK(inet_pton(family, text, bytes) == 1 && memcmp(bytes, e.bytes, sizeof bytes) == 0);
	CHECK(inet_ntop(family, e.bytes, again, sizeof again));
	CHECK(family == AF_INET6 || strcmp(text, again) == 0);
	return 0;
}
