/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one client connection: input in pieces, output in a queue, TLS in between.    [runtime]
 *
 * Output is a queue of text and of ranges of files ("body sources"), written as the client takes
 * it. Input is handed to ops->input; what it leaves is kept and offered again by conn_resume, so
 * that a session that is busy with one command simply stops taking. While paused, nothing is
 * read: the client's own window fills and it waits.
 *
 * Lives on the loop's thread. Callbacks may call anything here, conn_close included: the
 * connection is then freed when the callback has returned.
 */
#ifndef BARID_RUNTIME_CONN_H
#define BARID_RUNTIME_CONN_H

#include "base/buf.h"
#include "base/fail.h"
#include "base/list.h"
#include "runtime/loop.h"

struct conn;
struct tls_ctx;
struct tls_stream;

#define CONN_READ_SIZE KIB(16)

enum conn_end {
	CONN_END_PEER,	  /* the client closed or vanished */
	CONN_END_TLS,	  /* handshake or record error */
	CONN_END_TIMEOUT, /* the client does not take its output */
	CONN_END_OURS,	  /* conn_close or conn_finish */
};

struct conn_ops {
	/* New input, or kept input again. Take from the front of *in; leave what is not wanted now
	 * and call conn_pause, or what is incomplete for ever must be taken. */
	void (*input)(struct conn *c, struct str *in);
	/* The TLS handshake succeeded. */
	void (*secured)(struct conn *c);
	/* Output shrank to this many bytes. May be NULL. */
	void (*drained)(struct conn *c, size_t left);
	/* Time is up (conn_timeout). */
	void (*timeout)(struct conn *c);
	/* The last call: the connection is freed behind it. `why` tells what went wrong, if anything did. */
	void (*ended)(struct conn *c, enum conn_end end, const struct fail *why);
};

struct conn {
	struct loop *loop;
	const struct conn_ops *ops;
	void *owner;
	struct loop_io io;
	struct tls_stream *tls;
	bool handshaking;
	bool paused;
	bool finishing;	 /* close when the output is written */
	bool closing;	 /* being ended: no more callbacks but `ended` */
	bool tls_wants_out; /* reading waits for the socket to take bytes */
	unsigned busy;	 /* callbacks on the stack */
	struct buf kept; /* input that was not taken */
	struct list out; /* struct out_item */
	size_t out_bytes;
	struct loop_timer timer;
	struct loop_timer stall; /* runs while output waits */
	struct loop_task again;	 /* go on reading from outside a callback */
	bool again_posted;
};

/* A connection over an accepted, non-blocking socket, which it owns. Nothing is read before conn_resume. */
struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner);
/* Begin a TLS handshake as the server; input that was kept in plain text is dropped. */
void conn_start_tls(struct conn *c, struct tls_ctx *ctx);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty; valid while the connection lives. */
struct str conn_tls_text(const struct conn *c);

void conn_write(struct conn *c, struct str text);
/* Queue length bytes at offset of fd, which the connection owns from now on. */
void conn_write_file(struct conn *c, int fd, uint64_t offset, uint64_t length);
/* Write now what can be written; to be called after a round of conn_write. */
void conn_flush(struct conn *c);

void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* ops->timeout after so long without another conn_timeout call; 0 = none. */
void conn_timeout(struct conn *c, uint64_t ms);
/* The session will be quiet for long: give back what TLS keeps for it. */
void conn_park(struct conn *c);

/* Write what is queued, then close. Input is no longer read. */
void conn_finish(struct conn *c);
/* Close at once. */
void conn_close(struct conn *c);

#endif
