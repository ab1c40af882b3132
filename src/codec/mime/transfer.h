/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.h - content transfer encodings, streaming.                          [codec, pure]
 *
 * RFC 2045 sections 6.7 and 6.8. Decoders take anything: base64 skips bytes outside its alphabet
 * and ends at its padding (mailing lists put plain text behind it), quoted-printable leaves a "="
 * that makes no sense in place and drops blanks at the end of a line, which were added on the way
 * (6.7, rule 3; the last 64 of them). Other encodings pass through.
 */
#ifndef BARID_CODEC_MIME_TRANSFER_H
#define BARID_CODEC_MIME_TRANSFER_H

#include "base/buf.h"
#include "codec/mime/map.h"

struct transfer {
	enum mime_encoding encoding;
	uint32_t bits;		/* base64: bits that wait for more */
	unsigned groups;	/* base64: how many 6-bit groups they are */
	unsigned pads;		/* base64: "=" after them */
	bool done;		/* base64: the padding has come */
	unsigned char held[64]; /* quoted-printable: "=" and what follows; encoder: up to 2 bytes */
	size_t n_held;
	unsigned char blanks[65]; /* quoted-printable: at the end so far, CR at most as the last */
	size_t n_blanks;
	size_t column; /* encoder: used of this line */
};

static inline struct transfer transfer_of(enum mime_encoding e)
{
	return (struct transfer){.encoding = e};
}

/* Append the decoded form of the next bytes, cut anywhere; then of the end. */
void transfer_decode(struct transfer *t, struct str in, struct buf *out);
void transfer_decode_end(struct transfer *t, struct buf *out);

/* base64 in lines of 76, each ended by CRLF. */
void base64_lines(struct transfer *t, struct str in, struct buf *out);
void base64_lines_end(struct transfer *t, struct buf *out);

/* Quoted-printable of text with CRLF line ends, all at once; lines of at most 76. */
int qp_encode(struct buf *out, struct str in);

#endif
