/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zip.h - the two compressed streams of a connection.              [runtime, private to conn]
 *
 * Text that came is decompressed piece by piece as the session takes it: what a few bytes blow up
 * to never stands in memory at once. Text that goes out is compressed as the socket takes it.
 */
#ifndef BARID_RUNTIME_CONN_ZIP_H
#define BARID_RUNTIME_CONN_ZIP_H

#include "sys/deflate.h"

struct conn_zip {
	bool in_on;   /* what comes is compressed */
	bool leaving; /* ... up to the end of the client's last flush */
	bool out_on;  /* what is written from now on will be */
	bool out_new; /* ... as a new stream: the client has no history of it */
	struct inflater in;
	struct buf raw;	    /* came and is not decompressed yet */
	struct buf history; /* of the stream out */
	struct buf out;	    /* compressed and not sent */
	size_t out_at;	    /* what of it is sent */
};

struct conn_zip *zip_new(void);
void zip_free(struct conn_zip *z); /* NULL is fine */
void zip_start(struct conn_zip *z);
void zip_end(struct conn_zip *z);

/* The next piece of text at `into`. 0 with *ret_n = 0: more has to come first, for zip_feed;
 * ZIP_END: the client's stream is over. -FAIL_SYNTAX. Call it while in_on. */
#define ZIP_END 1
MUST_CHECK int zip_take(struct conn_zip *z, char *into, size_t room, size_t *ret_n,
			struct fail *why);
/* What came, when zip_take wanted more; or what came before all that waits. */
void zip_feed(struct conn_zip *z, struct str raw);
/* Input waits for zip_take, which also gives what is plain again. */
static inline bool zip_has_input(const struct conn_zip *z)
{
	return z->raw.n > 0;
}

/* Compress a piece; only when zip_pending is empty. Returns how much of the text was taken. `anew`:
 * a new stream begins with it. */
size_t zip_add(struct conn_zip *z, struct str text, bool anew);
struct str zip_pending(const struct conn_zip *z);
void zip_sent(struct conn_zip *z, size_t n);

#endif
