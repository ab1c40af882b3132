/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sevenbit.h - a message for a server that takes seven bits alone.          [codec, pure]
 *
 * RFC 6152 3: what was accepted with 8BITMIME goes to a server without it as 7bit, or not at all.
 * Parts (RFC 2045) whose encoding is 8bit, binary or not said, and that hold octets above 127, are
 * written anew in quoted-printable; everything else stays as it is, octet by octet. A message
 * without MIME gets its fields. Header fields stay: they are SMTPUTF8's business.
 */
#ifndef BARID_CODEC_MIME_SEVENBIT_H
#define BARID_CODEC_MIME_SEVENBIT_H

#include "base/buf.h"

/*
 * Append `message`, lines ended by CRLF, to out. -FAIL_LIMIT: out is too small (four times the
 * message and 1 KiB is always enough), or parts are nested too deep to be told apart.
 */
MUST_CHECK int sevenbit_convert(struct str message, struct buf *out);

/* No octet above 127. */
bool sevenbit_is(struct str s);

#endif
