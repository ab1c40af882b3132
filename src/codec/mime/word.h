/* SPDX-License-Identifier: Apache-2.0 */
/*
 * word.h - encoded words in header text.                                       [codec, pure]
 *
 * RFC 2047 with the RFC 2231 section 5 language suffix. Decoding is lenient: words may touch other
 * text or stand inside quoted strings, may be longer than 75 bytes, and a character may be split
 * across adjacent words of one charset. What is no encoded word is taken as UTF-8 or else
 * windows-1252.
 */
#ifndef BARID_CODEC_MIME_WORD_H
#define BARID_CODEC_MIME_WORD_H

#include "base/buf.h"
#include "base/str.h"

/* Append the decoded form of unfolded text: UTF-8 without NUL, at most four times as long. */
void word_decode(struct buf *out, struct str in);
/*
 * The same for words in UTF-8, US-ASCII, iso-8859-1 and windows-1252 alone, for programs that do
 * not load ICU: words in another charset stay as they are.
 */
void word_decode_known(struct buf *out, struct str in);

/*
 * Append UTF-8 text for an unstructured field or a display name: as it is when it is printable
 * ASCII, otherwise as encoded words of at most 75 bytes joined by CRLF SP. `column` is how much of
 * the first line is already used.
 */
int word_encode(struct buf *out, struct str utf8, size_t column);

#endif
