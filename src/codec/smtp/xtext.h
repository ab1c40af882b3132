/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xtext.h - the encodings of SMTP parameter values.                       [codec, pure]
 *
 * xtext (RFC 3461 section 4) for ENVID, ORCPT and AUTH=; and the forms of a "utf-8" typed address
 * in ORCPT and in delivery reports (RFC 6533 section 3).
 */
#ifndef BARID_CODEC_SMTP_XTEXT_H
#define BARID_CODEC_SMTP_XTEXT_H

#include "base/buf.h"
#include "base/str.h"

int xtext_encode(struct buf *out, struct str in);
/* FAIL_SYNTAX when `in` is not xtext; out may then hold a part of it. */
MUST_CHECK int xtext_decode(struct buf *out, struct str in);
bool xtext_valid(struct str in);

/* UTF-8 to utf-8-addr-xtext: pure ASCII, "\x{HEX}" for what is not. Malformed bytes become U+FFFD.
 */
int utf8_addr_encode(struct buf *out, struct str in);
/* Any of the three forms to plain UTF-8. FAIL_SYNTAX when it is none of them. */
MUST_CHECK int utf8_addr_decode(struct buf *out, struct str in);

#endif
