/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oauthbearer.h - the client's message of OAUTHBEARER and XOAUTH2.             [codec, pure]
 *
 * RFC 7628 section 3.1, and the form that came before it:
 *
 *     OAUTHBEARER   n,a=USER,^Ahost=H^Aport=P^Aauth=Bearer TOKEN^A^A
 *     XOAUTH2       user=USER^Aauth=Bearer TOKEN^A^A
 *
 * The token is a JWT (RFC 7519) in compact form (RFC 7515 section 3.1), taken apart by
 * jwt_split. Texts are borrowed from the message.
 */
#ifndef BARID_CODEC_SASL_OAUTHBEARER_H
#define BARID_CODEC_SASL_OAUTHBEARER_H

#include "base/buf.h"
#include "base/fail.h"
#include "base/str.h"

#define OAUTH_MESSAGE_MAX 9216
#define JWT_PART_MAX	  6144 /* bytes of header or claims when decoded */

struct oauth_message {
	struct str user;  /* escaped as in SCRAM for OAUTHBEARER; may be empty there */
	struct str token; /* without "Bearer " */
};
/* -FAIL_SYNTAX, -FAIL_LIMIT; -FAIL_UNSUPPORTED: another scheme than Bearer. */
int oauthbearer_parse(struct str message, struct oauth_message *ret) MUST_CHECK;
int xoauth2_parse(struct str message, struct oauth_message *ret) MUST_CHECK;

/* Append what base64url text without padding stands for (RFC 7515 section 2); strict. */
int base64url_decode(struct buf *out, struct str text) MUST_CHECK;

struct jwt_parts {
	struct str signed_text; /* header "." claims, as they were signed */
	struct str header;	/* base64url, as the next two */
	struct str claims;
	struct str signature; /* may be empty: an unsigned token, which is for nobody */
};
/* Exactly three parts, each of the alphabet, header and claims not empty. */
int jwt_split(struct str token, struct jwt_parts *ret) MUST_CHECK;

#endif
