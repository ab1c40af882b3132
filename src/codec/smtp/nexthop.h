/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexthop.h - where mail goes next, as operators write it.                 [codec, pure]
 *
 *     example.net              the mail exchangers of a domain (RFC 5321 5.1)
 *     example.net:2525         the same, on another port
 *     [mail.example.net]:587   one host by its addresses, no MX
 *     [192.0.2.1]:25           [2001:db8::1], [IPv6:2001:db8::1]:25
 *     smtp:example.net         "smtp:" and "relay:" say what is meant anyway
 *     smtps:[mail.example.net] TLS from the first byte, port 465 (RFC 8314)
 *     lmtp:[127.0.0.1]:24      LMTP (RFC 2033), port 24; "lmtp:inet:" is the same. It knows no MX:
 *                              host.example and 127.0.0.1 may stand without brackets
 *     (empty), smtp:           the mail exchangers of the recipient's domain
 *     smtp::2525               the same, on another port
 *     error:5.1.2 text         refused, with this status (5.0.0) and text
 *     discard:   hold:         thrown away; kept until the operator releases it
 *
 * Names are normalised (lower case, A-labels) without a final dot, so that equal destinations have
 * equal texts; the port of a protocol is not said. Services by name (smtp, submission, ...) become
 * ports.
 */
#ifndef BARID_CODEC_SMTP_NEXTHOP_H
#define BARID_CODEC_SMTP_NEXTHOP_H

#include "base/buf.h"
#include "codec/proxy/endpoint.h"
#include "codec/smtp/smtp_addr.h"

enum nexthop_kind {
	NEXTHOP_RECIPIENT, /* the domain of the recipient, as NEXTHOP_DOMAIN */
	NEXTHOP_DOMAIN,	   /* its MX, or else its addresses */
	NEXTHOP_HOST,	   /* its addresses */
	NEXTHOP_ADDRESS,   /* this one */
	NEXTHOP_ERROR,
	NEXTHOP_DISCARD,
	NEXTHOP_HOLD,
};
enum nexthop_protocol { NEXTHOP_SMTP, NEXTHOP_SMTPS, NEXTHOP_LMTP };

#define NEXTHOP_TEXT_MAX 330 /* octets of any text form that is taken or written */

struct nexthop {
	enum nexthop_kind kind;
	enum nexthop_protocol protocol;
	uint16_t port;			/* 0: the protocol's own */
	char name[SMTP_DOMAIN_MAX + 1]; /* DOMAIN, HOST */
	struct endpoint address;	/* ADDRESS */
	char status[12];		/* ERROR: RFC 3463, of class 4 or 5 */
	struct str text; /* ERROR, DISCARD, HOLD: borrowed from the input; may be empty */
};

/*
 * All of `s` is a next hop. -FAIL_SYNTAX: it is none; -FAIL_TOOBIG; -FAIL_UNSUPPORTED: a transport
 * that is not ours ("pipe:", "lmtp:unix:..."). Then *ret is untouched.
 */
MUST_CHECK int nexthop_parse(struct str s, struct nexthop *ret);

/* The port to connect to. `smtp`: of plain SMTP, 25 but for tests. */
uint16_t nexthop_port(const struct nexthop *h, uint16_t smtp);

/* Append the normal form: equal for equal destinations, and parsed again to the same. */
int nexthop_write(const struct nexthop *h, struct buf *out);

#endif
