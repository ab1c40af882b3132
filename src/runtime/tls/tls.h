/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - TLS 1.2 and 1.3 for servers, over non-blocking sockets.                 [runtime]
 *
 * The only includer of libssl. A struct tls_ctx is an immutable set of certificates and settings,
 * shared by reference: a reload makes a new one, connections keep theirs. A struct tls_stream is
 * one connection, used by one thread at a time. It keeps record buffers (33 KiB) only while bytes
 * are in them: a quiet client costs about 14 KiB.
 *
 * No renegotiation, no compression, no early data. Session tickets are stateless; their keys live
 * in memory only and outlive a reload. They are this process's own and rotate every hour, unless
 * tls_tickets_set gives those that several processes share.
 * A client that asks for new keys or a renegotiation again and again fails with -FAIL_LIMIT, so
 * does one whose first message is huge; one that speaks no TLS fails with -FAIL_SYNTAX. A
 * connection that ends without close_notify reads as TLS_EOF: our protocols mark their own ends.
 */
#ifndef BARID_RUNTIME_TLS_TLS_H
#define BARID_RUNTIME_TLS_TLS_H

#include "base/auto.h"
#include "base/fail.h"
#include "base/str.h"

struct tls_ctx;
struct tls_stream;

/*
 * Call once at start-up, before the sandbox: loads what OpenSSL would otherwise read later, and
 * ignores SIGPIPE, which OpenSSL's socket writes can raise.
 */
void tls_init(void);

/* Keys of tickets from now on: two of TLS_TICKET_KEY bytes; the first one makes tickets, the second
 * is accepted as well. Whoever shares them changes them. */
#define TLS_TICKET_KEY 80
void tls_tickets_set(const unsigned char keys[2 * TLS_TICKET_KEY]);

struct tls_identity {
	struct str chain; /* PEM: the certificate, then its issuers */
	struct str key;	  /* PEM, not encrypted */
};
/*
 * A context with one or more certificates: the client's server name (SNI) chooses by the names in
 * the certificates, a full name before a wildcard; the first is the default. Certificates of the
 * same names and different kinds of key (RSA, ECDSA) are offered beside each other. -FAIL_SYNTAX
 * with a text for the operator when a certificate or key is no good or they do not belong together.
 * One that has expired is good: it may be the only one.
 */
MUST_CHECK int tls_ctx_new(const struct tls_identity *ids, size_t n, struct tls_ctx **ret,
			   struct fail *why);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);
void tls_ctx_unref(struct tls_ctx *ctx); /* NULL is fine */
DEFINE_AUTO_PTR(tls_ctx, struct tls_ctx, tls_ctx_unref);

/* Results of the calls below, beside 0 and negative fail codes. */
enum tls_result {
	TLS_OK = 0,
	TLS_WANT_IN = 1,  /* call again when the socket is readable */
	TLS_WANT_OUT = 2, /* call again when the socket is writable */
	TLS_EOF = 3,	  /* the peer has ended the connection */
};

/*
 * Server side of a connection over fd, which stays the caller's. Takes a reference on ctx. Never
 * NULL.
 */
struct tls_stream *tls_stream_new(struct tls_ctx *ctx, int fd);
void tls_stream_free(struct tls_stream *s); /* NULL is fine */
DEFINE_AUTO_PTR(tls_stream, struct tls_stream, tls_stream_free);
/*
 * Before the handshake: a client that negotiates an application protocol (ALPN, RFC 7301) must
 * offer this one ("imap"), or the handshake fails; so a browser cannot be turned against a mail
 * port. `name` is borrowed as long as the stream. A client without ALPN is always fine.
 */
void tls_stream_expect_alpn(struct tls_stream *s, const char *name);

/*
 * Before the handshake of a server: the client is asked for a certificate. Any will do, and none,
 * too: nobody verifies it.
 */
void tls_stream_ask_certificate(struct tls_stream *s);
/*
 * The common names of the client's certificate and of who issued it, not verified; empty without
 * one. What is not printable is '?'.
 */
#define TLS_NAME_MAX 200
struct tls_client_names {
	char subject[TLS_NAME_MAX], issuer[TLS_NAME_MAX];
};
void tls_stream_client_names(const struct tls_stream *s, struct tls_client_names *ret);

MUST_CHECK int tls_stream_handshake(struct tls_stream *s, struct fail *why);
/* TLS_OK with 1..size bytes. */
MUST_CHECK int tls_stream_read(struct tls_stream *s, char *into, size_t size, size_t *ret_n,
			       struct fail *why);
/* Does a read find bytes without asking the socket? epoll knows nothing of them. */
bool tls_stream_pending(const struct tls_stream *s);
/*
 * TLS_OK with 1..n bytes taken (partial writes happen; the rest may be offered from another
 * address). After TLS_WANT_*, the next call must offer the same bytes again, with or without more.
 */
MUST_CHECK int tls_stream_write(struct tls_stream *s, struct str bytes, size_t *ret_n,
				struct fail *why);
/* Tell the peer that we end; one attempt. */
void tls_stream_close_notify(struct tls_stream *s);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384": for Received and logs; borrowed. Empty before the handshake. */
struct str tls_stream_text(const struct tls_stream *s);
/* The name the client asked for, or empty; borrowed. */
struct str tls_stream_sni(const struct tls_stream *s);
/* TLS 1.3, or 1.2 with extended master secret (RFC 7627): channel binding means something. */
bool tls_stream_ems(const struct tls_stream *s);
/*
 * Channel binding tls-exporter (RFC 9266), 32 bytes. -FAIL_UNSUPPORTED on TLS 1.2 without extended
 * master secret.
 */
MUST_CHECK int tls_stream_exporter(struct tls_stream *s, unsigned char out[32], struct fail *why);

#endif
