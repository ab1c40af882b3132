/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_data.h - the content of an SMTP message: DATA and BDAT.                [codec, pure]
 *
 * RFC 5321 sections 4.1.1.4 and 4.5.2; RFC 3030. Only CRLF "." CRLF ends DATA; a dot that begins
 * a line (after CRLF) is removed. CR and LF outside of CRLF never end anything: they are
 * remembered in bare_cr and bare_lf, so that the caller can refuse the message. With `normalise`
 * (trusted clients only) each becomes CRLF in the output instead, and still neither ends the
 * message nor starts a line for dots.
 *
 * Output is slices of the input wherever bytes pass unchanged. Whatever the chunks, the
 * concatenated output and the flags are the same. One thread at a time per object.
 */
#ifndef BARID_CODEC_FRAME_DATA_H
#define BARID_CODEC_FRAME_DATA_H

#include "base/str.h"

enum frame_data_event {
	FRAME_DATA_MORE,  /* all input is used */
	FRAME_DATA_SLICE, /* *ret_out is the next piece of content */
	FRAME_DATA_END,	  /* the terminator has been read; the rest of the input is not content */
};

enum frame_data_state {
	FRAME_DATA_LINE_START,
	FRAME_DATA_INSIDE,
	FRAME_DATA_AFTER_CR,   /* CR was given out */
	FRAME_DATA_DOT,	       /* "." at the start of a line was taken */
	FRAME_DATA_DOT_CR,     /* "." CR was taken */
	FRAME_DATA_AT_BARE_LF, /* normalise: the next byte is a bare LF */
	FRAME_DATA_ENDED,
};
struct frame_data {
	bool normalise;
	bool bare_cr; /* sticky */
	bool bare_lf; /* sticky */
	enum frame_data_state state;
	uint64_t size; /* bytes given out */
};
#define FRAME_DATA_INIT(normalise_) ((struct frame_data){.normalise = (normalise_)})

/* Take bytes from the front of *in; *ret_out borrows from the input or is constant. */
enum frame_data_event frame_data_feed(struct frame_data *f, struct str *in, struct str *ret_out);

/*
 * BDAT: counted chunks, bytes as they are. Start with frame_bdat_chunk for each BDAT command;
 * after the LAST chunk call frame_bdat_finish.
 */
struct frame_bdat {
	uint64_t left;
	bool after_cr;
	bool bare_cr; /* sticky over all chunks */
	bool bare_lf;
	uint64_t size; /* bytes given out over all chunks */
};
void frame_bdat_chunk(struct frame_bdat *f, uint64_t size);
/* FRAME_DATA_END when the chunk is complete (at once for size 0). */
enum frame_data_event frame_bdat_feed(struct frame_bdat *f, struct str *in, struct str *ret_out);
void frame_bdat_finish(struct frame_bdat *f);

#endif
