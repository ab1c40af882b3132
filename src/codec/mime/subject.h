/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subject.h - the base subject: what replies and forwards of a message share.  [codec, pure]
 *
 * Two of them: one exactly as RFC 5256 section 2.1 has it, because a client computes the same for
 * SORT and THREAD, and a wider one for THREADID, which takes away the words of other languages too.
 */
#ifndef BARID_CODEC_MIME_SUBJECT_H
#define BARID_CODEC_MIME_SUBJECT_H

#include "base/buf.h"
#include "base/str.h"

/* Append the base subject of decoded text (UTF-8, as in a message map). May be empty. With the
 * reply and forward words that mail programs put there (AW, WG, SV, TR, ...); in lower case
 * (ASCII), with single blanks. */
void subject_base(struct buf *out, struct str utf8);

/* The same by RFC 5256 alone: "re", "fw" and "fwd" only, its order of steps, and case is kept. True
 * when the message is a reply or forward by these rules (section 3, REFERENCES). */
bool subject_base_exact(struct buf *out, struct str utf8);

#endif
