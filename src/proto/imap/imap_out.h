/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_out.h - what a command answers: text and message bodies, in order.      [proto, imap]
 *
 * Handlers append; whoever runs the session sends and resets. Nothing here touches a socket: a
 * body that lies in a file stays a descriptor with a range, so that a large FETCH costs a few
 * bytes. The window is soft: a handler asks imap_out_full() between two messages and leaves with
 * IMAP_MORE, so the sink holds at most the window and the answer for one message.
 *
 * Invariant: the bytes of the answer are text[0, piece[0].text_end), the range of piece[0],
 * text[piece[0].text_end, piece[1].text_end), ... and the rest of text.
 */
#ifndef BARID_PROTO_IMAP_IMAP_OUT_H
#define BARID_PROTO_IMAP_IMAP_OUT_H

#include "base/buf.h"
#include "base/vec.h"

#define IMAP_OUT_WINDOW KIB(256)
/* Room for what one message or one untagged SEARCH may add to a window that is almost full. */
#define IMAP_OUT_SLACK MIB(32)

/* Bytes [offset, offset + length) of a file, behind the first text_end bytes of text. */
struct imap_out_piece {
	size_t text_end;
	int fd; /* owned by the sink until taken */
	uint64_t offset;
	uint64_t length;
};

struct imap_out {
	struct buf text; /* text.failed: the answer is not whole, the session must end */
	VEC(struct imap_out_piece) pieces;
	uint64_t file_bytes; /* sum of the pieces' lengths */
	uint64_t window;
	size_t pieces_max; /* full with so many; 0: any number */
};

#define IMAP_OUT_INIT(window_bytes)                                                                \
	((struct imap_out){.text = BUF_INIT((window_bytes) + IMAP_OUT_SLACK),                      \
			   .window = (window_bytes)})

void imap_out_clear(struct imap_out *o); /* release memory and descriptors; usable afterwards */
void imap_out_reset(struct imap_out *o); /* forget what was sent, keep memory */
DEFINE_AUTO(imap_out, struct imap_out, imap_out_clear);

/* Append a range of a file. Takes fd, also when length is 0 (then it is closed at once). */
void imap_out_file(struct imap_out *o, int fd, uint64_t offset, uint64_t length);

/* A place to go back to when the rest of a message cannot be had: what was appended since goes,
 * descriptors are closed, and a failure of `text` since then is forgotten. */
struct imap_out_mark {
	size_t text_n;
	size_t pieces_n;
};
struct imap_out_mark imap_out_mark(const struct imap_out *o);
void imap_out_rollback(struct imap_out *o, struct imap_out_mark mark);

static inline uint64_t imap_out_size(const struct imap_out *o)
{
	return o->text.n + o->file_bytes;
}
static inline bool imap_out_full(const struct imap_out *o)
{
	return imap_out_size(o) > o->window || (o->pieces_max && o->pieces.n >= o->pieces_max);
}

#endif
