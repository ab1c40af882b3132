/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_capability.h - what this server says it can do: one table for both sides of login.
 *                                                                              [codec, pure]
 * RFC 3501 section 6.1.1 and 7.2.1. Advertising something means that it is implemented.
 */
#ifndef BARID_CODEC_IMAP_CAPABILITY_H
#define BARID_CODEC_IMAP_CAPABILITY_H

#include "base/buf.h"

enum imap_capability_when {
	IMAP_CAP_STARTTLS = 1u << 0,	  /* before login: TLS can be started now */
	IMAP_CAP_LOGIN_ALLOWED = 1u << 1, /* before login: AUTH=..., otherwise LOGINDISABLED */
	IMAP_CAP_AUTHENTICATED = 1u << 2, /* after login; the other two mean nothing then */
	IMAP_CAP_LITERAL_MINUS = 1u << 3, /* LITERAL- instead of LITERAL+ (RFC 7888) */
};

/* RFC 7888 section 5: with LITERAL- a larger non-synchronizing literal is refused. */
#define IMAP_LITERAL_MINUS_MAX 4096

/* Numbers that are told after login. */
struct imap_capability_limits {
	uint64_t append;   /* bytes of one appended message (RFC 7889) */
	uint32_t messages; /* of one command (RFC 9738); 0: no limit */
	uint32_t saves;	   /* of COPY and APPEND; told when there is no other limit; 0: none */
};
/* "IMAP4rev1 LITERAL+ ...": without "CAPABILITY". `when`: enum imap_capability_when bits. */
int imap_capability_write(struct buf *out, uint32_t when,
			  const struct imap_capability_limits *limits);

/* Names that ENABLE may switch on (RFC 5161). Bit values are stable: exported sessions hold them.
 */
enum imap_enable_bit {
	IMAP_ENABLE_CONDSTORE = 1u << 0,
	IMAP_ENABLE_QRESYNC = 1u << 1,	 /* brings CONDSTORE along (RFC 7162 3.2.3) */
	IMAP_ENABLE_IMAP4REV2 = 1u << 2, /* RFC 9051 */
	IMAP_ENABLE_UTF8 = 1u << 3,	 /* UTF8=ACCEPT (RFC 6855) */
	IMAP_ENABLE_UIDONLY = 1u << 4,	 /* RFC 9586 */
	IMAP_ENABLE_ALL = IMAP_ENABLE_CONDSTORE | IMAP_ENABLE_QRESYNC | IMAP_ENABLE_IMAP4REV2 |
			  IMAP_ENABLE_UTF8 | IMAP_ENABLE_UIDONLY,
};
/* 0 when this name cannot be enabled, which is not an error. */
uint32_t imap_enable_find(struct str name);
/* The name of one bit, as ENABLED tells it. */
struct str imap_enable_name(uint32_t bit);

#endif
