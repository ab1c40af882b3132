/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deflate.h - a connection whose two directions are raw DEFLATE streams (zlib).            [sys]
 *
 * RFC 1951, as RFC 4978 uses it. What a connection costs while nothing is under way is the point:
 *
 *  - Out: one compressor serves all connections of a thread. It begins anew with each piece, is
 *    given what the other side has seen last (the connection's history, at most 4 KiB) as its
 *    dictionary, and ends the piece at a byte (a sync flush), where the next one can go on.
 *  - In: the decompressor (40 KiB) lives while a block is half read. At the end of what the other
 *    side has flushed only the text that it may refer back to is kept: as much as came, at most 32
 *    KiB.
 *
 * One thread at a time per object.
 */
#ifndef BARID_SYS_DEFLATE_H
#define BARID_SYS_DEFLATE_H

#include "base/buf.h"

/* ---- out --------------------------------------------------------------------------------- */

#define DEFLATE_PIECE	KIB(16) /* at most so much at a time */
#define DEFLATE_HISTORY KIB(4)

/* What the other side has seen last. */
#define DEFLATE_HISTORY_INIT BUF_INIT(DEFLATE_HISTORY + DEFLATE_PIECE)

struct deflater;
struct deflater *deflater_new(void);
void deflater_free(struct deflater *d); /* NULL is fine */
/*
 * Append the compressed form of `plain` (at most DEFLATE_PIECE) to *out; all of it can be read at
 * the other side. *history (DEFLATE_HISTORY_INIT, empty for a new stream) is brought up to date.
 */
void deflater_add(struct deflater *d, struct buf *history, struct str plain, struct buf *out);

/* All of it at once, as a file of gzip (RFC 1952). -FAIL_LIMIT: *out is full. */
MUST_CHECK int gzip_write(struct buf *out, struct str plain);

/* ---- in ---------------------------------------------------------------------------------- */

struct inflater {
	struct z_stream_s *z; /* NULL: between two blocks, at a byte */
	char *history;	      /* while z is NULL */
	size_t history_n;
	bool over; /* the other side has ended its stream */
};
#define INFLATER_INIT ((struct inflater){0})
void inflater_clear(struct inflater *f); /* usable afterwards, for a new stream */
DEFINE_AUTO(inflater, struct inflater, inflater_clear);

/*
 * Take from the front of *in what gives at most `room` bytes, and put these at `into`. *ret_n = 0:
 * *in is used up, or the stream is over. -FAIL_SYNTAX: not DEFLATE. Behind the end of a block it
 * stops, so that inflater_leave can find where the text began that is not compressed any more.
 */
MUST_CHECK int inflater_take(struct inflater *f, struct str *in, char *into, size_t room,
			     size_t *ret_n, struct fail *why);
/*
 * The other side compresses no further: take what belongs to its last flush. 1 = that is over, and
 * *in is plain; 0 = *in is used up, and what comes next decides. -FAIL_SYNTAX: there is more text.
 */
MUST_CHECK int inflater_leave(struct inflater *f, struct str *in, struct fail *why);

#endif
