/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/proxy/endpoint.h"
#include "base/num.h"
#include <arpa/inet.h>

bool endpoint_parse(struct str text, struct endpoint *ret)
{
	char copy[INET6_ADDRSTRLEN];
	struct endpoint e = {0};
	if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, 0, text.n))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, e.bytes) == 1)
		e.family = ENDPOINT_V4;
	else if (inet_pton(AF_INET6, copy, e.bytes) == 1)
		e.family = ENDPOINT_V6;
	else
		return false;
	*ret = e;
	return true;
}

bool endpoint_parse_port(struct str text, uint16_t *ret)
{
	uint32_t v;
	if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0') ||
	    !num_parse_u32(text, &v) || v > UINT16_MAX)
		return false;
	*ret = (uint16_t)v;
	return true;
}
