/* SPDX-License-Identifier: Apache-2.0 */
/*
 * charset.h - bytes in some charset to UTF-8; the only file that knows ICU.    [codec, pure]
 *
 * Labels as in the WHATWG Encoding Standard (iso-8859-1 and us-ascii are windows-1252, gb2312 is
 * gb18030, ...) plus those that only mail has: utf-7, iso-2022-kr, iso-2022-cn, hz, DOS code pages.
 * Text that claims to be us-ascii, has no label or an unknown one is read as UTF-8, and
 * each byte that does not fit as windows-1252. Nothing fails: what cannot be decoded is U+FFFD.
 * UTF-8 and windows-1252 are done here, so that ordinary mail never touches ICU's tables.
 *
 * Thread: one at a time per object.
 */
#ifndef BARID_CODEC_MIME_CHARSET_H
#define BARID_CODEC_MIME_CHARSET_H

#include "base/buf.h"
#include "base/str.h"

struct charset;

/* Begin to decode text with this label (case-insensitive; may be empty). Never NULL. */
struct charset *charset_new(struct str label);
void charset_free(struct charset *c);
DEFINE_AUTO_PTR(charset, struct charset, charset_free);

/* Append the UTF-8 of the next bytes, cut anywhere. A full @out drops the rest. */
void charset_feed(struct charset *c, struct str in, struct buf *out);
/* Are these bytes, that come next, their own UTF-8, and need not be fed? Of most mail they are. */
bool charset_keeps(const struct charset *c, struct str in);
/*
 * The text goes on in a piece that begins in the charset's initial state, as each RFC 2047 word
 * does; an unfinished character is kept for it.
 */
void charset_next_piece(struct charset *c);
/* The text ends: what is left of an unfinished character becomes U+FFFD. */
void charset_finish(struct charset *c, struct buf *out);

/* All at once. */
void charset_to_utf8(struct buf *out, struct str label, struct str in);

/* Append @in, whose charset is not known, as UTF-8 (see above), with U+FFFD for NUL. */
void charset_guess(struct buf *out, struct str in);

/*
 * i;unicode-casemap (RFC 5051 2.2) of one character: simple title case, then its full
 * decomposition, and (beyond the RFC) title case of these; into out. Returns how
 * many, 1..CHARSET_FOLD_MAX.
 */
#define CHARSET_FOLD_MAX 18
size_t charset_fold(uint32_t cp, uint32_t out[CHARSET_FOLD_MAX]);

/* Another number may mean that charset_fold or decoding make something else of a text. */
uint32_t charset_version(void);

/* Is this UTF-8 in normalization form C, as Net-Unicode wants names (RFC 5198)? Of a text longer
 * than CHARSET_NFC_MAX bytes, or malformed, it is not said. */
#define CHARSET_NFC_MAX 2048
bool charset_is_nfc(struct str utf8);

#endif
