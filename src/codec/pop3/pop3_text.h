/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3_text.h - the text of a message as a multi-line answer.                  [codec, pure]
 *
 * RFC 1939 section 3: a line that begins with a dot gets a second one. Lines end with CRLF; a
 * message with bare LFs in it (only an upload by IMAP can have them) is sent with the bytes that it
 * has, and a dot behind a bare LF is doubled too, so that no client, whatever it takes for the end
 * of a line, sees the end of the answer inside of a message.
 *
 * And TOP: the header, the empty line, and so many lines of the body.
 */
#ifndef BARID_CODEC_POP3_TEXT_H
#define BARID_CODEC_POP3_TEXT_H

#include "base/buf.h"

/* A message, in pieces of any size. */
struct pop3_text {
	bool mid_line; /* the last byte was not an LF */
	bool after_cr; /* it was a CR */
	/* TOP */
	bool top;
	bool in_body;
	bool line_empty; /* of the header: nothing but a CR yet */
	uint32_t lines;	 /* left */
	bool ended;	 /* nothing more is sent */
};

void pop3_text_begin(struct pop3_text *t);
void pop3_text_begin_top(struct pop3_text *t, uint32_t lines);

/* How many bytes of this piece, which follows the ones before, are sent at all. */
size_t pop3_text_limit(struct pop3_text *t, struct str piece);
/*
 * Where in `piece` the next dot is to be put, SIZE_MAX: nowhere. It is put before that byte. Then
 * pop3_text_pass the bytes up to and with it, and ask again with the rest.
 */
size_t pop3_text_dot(const struct pop3_text *t, struct str piece);
/* These bytes were sent. */
void pop3_text_pass(struct pop3_text *t, struct str piece);
/* Limit, dots and all: append a piece. */
void pop3_text_add(struct pop3_text *t, struct str piece, struct buf *out);
/* The line break that the last line may lack, and the final dot. */
void pop3_text_end(const struct pop3_text *t, struct buf *out);

#endif
