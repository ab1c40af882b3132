/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_encode.h - the bytes of a message as they go over the wire.         [codec, pure]
 *
 * RFC 5321 2.3.8 (lines end in CRLF, and CR or LF never stand alone), 4.5.2 (a dot at the start of
 * a line is doubled). A bare CR or LF becomes CRLF: what leaves us has one meaning for everybody
 * who reads it, whatever was kept, so that nobody finds a second message in it.
 */
#ifndef BARID_CODEC_SMTP_SMTP_ENCODE_H
#define BARID_CODEC_SMTP_SMTP_ENCODE_H

#include "base/buf.h"

struct smtp_encoder {
	bool dots;   /* for DATA: double them; off for BDAT */
	bool inside; /* a line has begun */
	bool cr;     /* a CR came last and is not written yet */
};

/* Append what `in` becomes: at most 2 * in.n + 2 octets. -FAIL_LIMIT: out is too small. */
int smtp_encode(struct smtp_encoder *e, struct str in, struct buf *out);
/* The end: a last line without its end gets one; with `dots` the final dot follows. At most 5
 * octets. */
int smtp_encode_end(struct smtp_encoder *e, struct buf *out);

#endif
