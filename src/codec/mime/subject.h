/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subject.h - the base subject: what replies and forwards of a message share.  [codec, pure]
 *
 * RFC 5256 section 2.1, with the reply and forward words of other languages that mail programs put
 * there (AW, WG, SV, TR, ...), and always in lower case (ASCII) with single blanks.
 */
#ifndef BARID_CODEC_MIME_SUBJECT_H
#define BARID_CODEC_MIME_SUBJECT_H

#include "base/buf.h"
#include "base/str.h"

/* Append the base subject of decoded text (UTF-8, as in a message map). May be empty. */
void subject_base(struct buf *out, struct str utf8);

#endif
