/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_utf7.h - mailbox names on the wire: modified UTF-7.                     [codec, pure]
 *
 * RFC 3501 section 5.1.3. Inside barid mailbox names are UTF-8; only here do they change.
 */
#ifndef BARID_CODEC_IMAP_UTF7_H
#define BARID_CODEC_IMAP_UTF7_H

#include "base/buf.h"

/*
 * Append `in` as UTF-8. Strict: -FAIL_SYNTAX, with nothing appended, for an unfinished or empty
 * shift, bits beyond the last character, unpaired surrogates, printable ASCII inside a shift,
 * two adjacent shifts ("&...-&...-"), control characters and bytes above 126. So one name has one
 * spelling. -FAIL_LIMIT when out is full.
 */
int imap_utf7_decode(struct buf *out, struct str in) MUST_CHECK;

/* Append `in` (UTF-8) as modified UTF-7. -FAIL_SYNTAX when `in` is not UTF-8 or has a control
 * character. */
int imap_utf7_encode(struct buf *out, struct str in) MUST_CHECK;

#endif
