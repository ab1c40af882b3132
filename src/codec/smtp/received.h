/* SPDX-License-Identifier: Apache-2.0 */
/*
 * received.h - the Received header field, and dates as headers write them. [codec, pure]
 *
 * RFC 5321 4.4 (trace information), RFC 3848 and 6531 4.3 ("with" protocol names), RFC 5322 3.3
 * (dates). Lines are folded before column 78 where the words allow.
 */
#ifndef BARID_CODEC_SMTP_RECEIVED_H
#define BARID_CODEC_SMTP_RECEIVED_H

#include "base/buf.h"
#include "base/ids.h"
#include "base/str.h"

struct received {
	struct str helo; /* as the client said it; hostile */
	struct str rdns; /* verified name of the client; empty: unknown */
	struct str ip;	 /* "192.0.2.1", "2001:db8::1"; empty: no address known */
	struct str by;	 /* our host name */
	struct str id;	 /* trace id as text */
	struct str rcpt; /* the only recipient; empty: none or several, then it is not named */
	struct str tls_version; /* "TLSv1.3"; empty: no TLS */
	struct str tls_cipher;	/* "TLS_AES_256_GCM_SHA384"; may be empty */
	struct str user; /* "1000": from a program of this user of the machine, not from a client */
	bool hidden;	 /* where the client is stays untold */
	bool esmtp;	 /* EHLO was used */
	bool lmtp;
	bool authenticated;
	bool utf8; /* the transaction uses SMTPUTF8 */
	struct wall_us when;
};

/* Append the whole field with its CRLF. Returns 0 or -FAIL_LIMIT. */
int received_write(struct buf *out, const struct received *r);

/* "Fri, 21 Nov 2025 10:00:00 +0000" (always UTC). */
int rfc5322_date_write(struct buf *out, struct wall_us when);

#endif
