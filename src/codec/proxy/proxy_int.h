/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_int.h - between the files of the PROXY protocol.             [codec/proxy only] */
#ifndef BARID_CODEC_PROXY_PROXY_INT_H
#define BARID_CODEC_PROXY_PROXY_INT_H

#include "codec/proxy/proxy.h"

/* Big-endian bytes of something outside. */
static inline uint16_t proxy_u16(struct str s, size_t at)
{
	return (uint16_t)((unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1]);
}
static inline uint32_t proxy_u32(struct str s, size_t at)
{
	return (uint32_t)proxy_u16(s, at) << 16 | proxy_u16(s, at + 2);
}

/* The extensions behind the addresses, from header[at] to its end. 0 or -FAIL_SYNTAX. */
int proxy_read_tlvs(struct str header, size_t at, struct proxy_header *ret, struct fail *why);

#endif
