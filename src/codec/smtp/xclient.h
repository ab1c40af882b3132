/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xclient.h - the arguments of XCLIENT: for whom a proxy or filter speaks. [codec, pure]
 *
 * Postfix's XCLIENT_README: attribute=value pairs parted by blanks, each value in xtext (RFC 3461
 * 4) or the word [UNAVAILABLE] (it is not known) or [TEMPUNAVAIL] (nor could it be found out now).
 */
#ifndef BARID_CODEC_SMTP_XCLIENT_H
#define BARID_CODEC_SMTP_XCLIENT_H

#include "base/str.h"
#include "codec/proxy/endpoint.h"

enum {
	XCLIENT_NAME = 1u << 0,
	XCLIENT_ADDR = 1u << 1,
	XCLIENT_PORT = 1u << 2,
	XCLIENT_PROTO = 1u << 3,
	XCLIENT_HELO = 1u << 4,
	XCLIENT_LOGIN = 1u << 5,
	XCLIENT_DESTADDR = 1u << 6,
	XCLIENT_DESTPORT = 1u << 7,
};
/* For EHLO, without and with LOGIN. */
#define XCLIENT_KEYWORD	      "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT"
#define XCLIENT_KEYWORD_LOGIN XCLIENT_KEYWORD " LOGIN"

#define XCLIENT_TEXT_MAX  255
#define XCLIENT_LOGIN_MAX 320

/* What was given; of what is [UNAVAILABLE] the text is empty, the family ENDPOINT_NONE, the port 0.
 */
struct xclient {
	unsigned given; /* XCLIENT_* */
	struct endpoint addr, dest;
	uint16_t port, dest_port;
	bool esmtp; /* PROTO=ESMTP */
	char name[XCLIENT_TEXT_MAX + 1];
	char helo[XCLIENT_TEXT_MAX + 1];
	char login[XCLIENT_LOGIN_MAX + 1];
	uint64_t ident; /* XFORWARD IDENT that is a trace id of ours; 0: none, or another */
};

/* NULL when the arguments are good; else what is wrong, as text for a 501 reply. */
MUST_CHECK const char *xclient_parse(struct str args, struct xclient *ret);

/*
 * XFORWARD (Postfix's XFORWARD_README): the same for the log and for filters alone, with NAME ADDR
 * PORT PROTO HELO; IDENT when it looks like a trace id; SOURCE
 * is looked at and dropped. xforward_take: one pair, which may
 * have been given before.
 */
#define XFORWARD_KEYWORD "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"
MUST_CHECK const char *xforward_parse(struct str args, struct xclient *ret);
MUST_CHECK const char *xforward_take(struct xclient *x, struct str pair);

#endif
