/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one client connection: input in pieces, output in a queue, TLS in between.    [runtime]
 *
 * Output is a queue of text and of ranges of files ("body sources"), written as the client takes
 * it. Input is handed to ops->input; what it leaves is kept, the connection pauses, and the rest is
 * offered again after conn_resume: so a session that is busy with one command simply stops taking.
 * While paused, nothing is read: the client's own window fills and it waits.
 *
 * A client may close its sending side and still wait for our answers: ops->eof hears of it once
 * everything it has sent was taken. When we close first and the client has sent more, that is read
 * and thrown away for a moment: closing on unread input would destroy our last words on their way.
 *
 * Lives on the loop's thread. Callbacks may call anything here, conn_close included: the
 * connection is then freed when the callback has returned.
 *
 * Compression (zip.h) costs a quiet connection what it has sent and seen last, not a compressor.
 */
#ifndef BARID_RUNTIME_CONN_H
#define BARID_RUNTIME_CONN_H

#include "base/buf.h"
#include "base/fail.h"
#include "base/list.h"
#include "runtime/loop.h"

struct conn;
struct conn_zip;
struct tls_ctx;
struct tls_stream;

#define CONN_READ_SIZE KIB(16)

enum conn_end {
	CONN_END_PEER,	  /* the client closed or vanished */
	CONN_END_TLS,	  /* handshake or record error */
	CONN_END_ZIP,	  /* what came is no compressed stream */
	CONN_END_STALLED, /* the client does not take its output */
	CONN_END_OURS,	  /* conn_close or conn_finish */
};

struct conn_ops {
	/* New input, or kept input again. Take from the front of *in; what is left pauses the
	 * connection. */
	void (*input)(struct conn *c, struct str *in);
	/* The client sends no more. NULL = end. Nothing is read any more, output goes on. */
	void (*eof)(struct conn *c);
	/* The TLS handshake succeeded. */
	void (*secured)(struct conn *c);
	/* Output shrank to this many bytes. May be NULL. */
	void (*drained)(struct conn *c, size_t left);
	/* Time is up (conn_timeout). */
	void (*timeout)(struct conn *c);
	/* The last call: the connection is freed behind it. `why` tells what went wrong, if
	 * anything did. */
	void (*ended)(struct conn *c, enum conn_end end, const struct fail *why);
};

struct conn {
	struct loop *loop;
	const struct conn_ops *ops;
	void *owner;
	struct loop_io io;
	struct tls_stream *tls;
	struct conn_zip *zip; /* NULL: never compressed */
	bool handshaking;
	bool paused;
	bool eof;	    /* the client sends no more */
	bool finishing;	    /* close when the output is written */
	bool lingering;	    /* all is written; input is read and thrown away for a moment */
	bool closing;	    /* being ended: no more callbacks but `ended` */
	bool tls_wants_out; /* reading waits for the socket to take bytes */
	bool offering;	    /* ops->input is running */
	bool resumed;	    /* by that call */
	unsigned busy;	    /* callbacks on the stack */
	size_t discarded;   /* bytes thrown away while lingering */
	struct buf kept;  /* input that was not taken: at most one piece; nothing is read before it
			     is taken */
	struct list out;  /* struct out_item */
	size_t out_bytes; /* before compression */
	size_t held;	  /* what of it costs memory; while that is much, nothing is read */
	uint64_t sent;	  /* on the wire */
	struct loop_timer timer;
	struct loop_timer stall; /* runs while output waits */
	struct loop_task again;	 /* go on reading from outside a callback */
	bool again_posted;
};

/* A connection over an accepted, non-blocking socket, which it owns. Nothing is read before
 * conn_resume. */
struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner);
/*
 * Begin a TLS handshake as the server; input that was kept in plain text is dropped. The answer to
 * STARTTLS is queued before: a client that does not take it is closed. `alpn`: as in
 * tls_stream_expect_alpn, or NULL.
 */
void conn_start_tls(struct conn *c, struct tls_ctx *ctx, const char *alpn);
/* "TLSv1.3 TLS_AES_128_GCM_SHA256", or empty; valid while the connection lives. */
struct str conn_tls_text(const struct conn *c);
/* Behind conn_start_tls: the client is asked for a certificate (tls_stream_ask_certificate). */
void conn_ask_certificate(struct conn *c);
/* Whose it is; empty names without one, or without TLS. */
struct tls_client_names;
void conn_client_names(const struct conn *c, struct tls_client_names *ret);
/* While conn_tls_text is not empty: the server name that the client asked for, and whether channel
 * binding is sound (tls_stream_ems). */
void conn_tls_details(const struct conn *c, struct str *ret_sni, bool *ret_ems);

/* Whether the connection has a channel binding; and what it is (tls_stream_exporter). */
bool conn_tls_binds(const struct conn *c);
bool conn_tls_exporter(const struct conn *c, unsigned char out[32]);

/*
 * From here on both directions are raw DEFLATE streams (RFC 4978): what is written behind this
 * call, and what the client has sent behind what was taken. TLS stays around it.
 */
void conn_start_zip(struct conn *c);
/* Plain again, likewise; the client's last flush is passed over (RFC 8437 section 4.1). */
void conn_end_zip(struct conn *c);
bool conn_zip_is_on(const struct conn *c);
/* False also while the client's old stream has not come to its end. */
bool conn_zip_may_begin(const struct conn *c);

void conn_write(struct conn *c, struct str text);
/* Queue length bytes at offset of fd, which the connection owns from now on. */
void conn_write_file(struct conn *c, int fd, uint64_t offset, uint64_t length);
/* Write now what can be written; to be called after a round of conn_write. */
void conn_flush(struct conn *c);

void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* ops->timeout after so long without another conn_timeout call; 0 = none. Not after conn_finish. */
void conn_timeout(struct conn *c, uint64_t ms);

/* Write what is queued, then close; at once while a handshake runs. Input is no longer offered. */
void conn_finish(struct conn *c);
/* Close at once. */
void conn_close(struct conn *c);

#endif
