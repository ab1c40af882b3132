/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_capa.h - the answer to CAPA.                                            [codec, pure]
 *
 * RFC 2449 with RFC 2595 (STLS), RFC 3206 (AUTH-RESP-CODE), RFC 5034 (SASL), RFC 6856. What differs
 * before and after TLS and the login is what the RFCs let differ: STLS is there as long as TLS can
 * begin, USER and SASL only where a password may be sent.
 */
#ifndef BARID_CODEC_POP3_CAPA_H
#define BARID_CODEC_POP3_CAPA_H

#include "base/buf.h"

struct pop3_capa {
	bool stls;
	bool login;		/* a password may be sent, or was */
	uint32_t login_delay_s; /* 0 = none */
};

/* Append the whole answer, "+OK" line and final dot included. `names`: of the mechanisms, each
 * behind a blank. */
void pop3_capa_write(struct buf *out, const struct pop3_capa *c, struct str names,
		     const char *text);

#endif
