/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_line.h - one command per CRLF line, with a maximum.                    [codec, pure]
 *
 * RFC 5321 sections 2.3.8 and 4.5.3.1: only CRLF ends a line. Whatever the chunks in which the
 * bytes arrive, the events are the same. One thread at a time per framer.
 */
#ifndef BARID_CODEC_FRAME_LINE_H
#define BARID_CODEC_FRAME_LINE_H

#include "base/buf.h"

enum frame_line_event {
	FRAME_LINE_MORE,      /* all input is used, no line yet */
	FRAME_LINE_READY,     /* a line */
	FRAME_LINE_TOO_LONG,  /* a line over the maximum has ended and was dropped */
	FRAME_LINE_MALFORMED, /* ended by a bare LF, or held a bare CR or NUL; dropped up to its end
			       */
};

struct frame_line {
	struct buf text;
	size_t max; /* bytes of a line without CRLF */
	uint64_t
		dropped; /* bytes of the current line that were not kept: for a caller's patience */
	bool after_cr;
	bool too_long;
	bool malformed;
	bool taken; /* text is a line that was handed out */
};

#define FRAME_LINE_INIT(maximum)                                                                   \
	((struct frame_line){.max = (maximum), .text = BUF_INIT((maximum) + 2)})

/*
 * Take bytes from the front of *in until something is to be reported; *in becomes the rest. With
 * FRAME_LINE_READY, *ret_line is the line without CRLF, valid until the next call.
 */
enum frame_line_event frame_line_feed(struct frame_line *f, struct str *in, struct str *ret_line);
/* Overwrite and forget what is held: secrets, or plaintext from before STARTTLS. */
void frame_line_wipe(struct frame_line *f);
void frame_line_clear(struct frame_line *f);
DEFINE_AUTO(frame_line, struct frame_line, frame_line_clear);

#endif
