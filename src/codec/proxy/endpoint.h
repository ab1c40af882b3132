/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - an internet address and port as proxies write them.        [codec, pure]
 */
#ifndef BARID_CODEC_PROXY_ENDPOINT_H
#define BARID_CODEC_PROXY_ENDPOINT_H

#include "base/str.h"

enum endpoint_family { ENDPOINT_NONE, ENDPOINT_V4, ENDPOINT_V6 };

struct endpoint {
	enum endpoint_family family;
	uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest is 0 */
	uint16_t port;
};

/* "192.0.2.1" without leading zeros, or "2001:db8::1"; no port, no zone, no brackets. */
bool endpoint_parse(struct str text, struct endpoint *ret);
/* 0 to 65535, digits only, no leading zeros. */
bool endpoint_parse_port(struct str text, uint16_t *ret);

#endif
