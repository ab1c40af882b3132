/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_internal.h - what the files of this folder share.                        [runtime/tls]
 */
#ifndef BARID_RUNTIME_TLS_TLS_INTERNAL_H
#define BARID_RUNTIME_TLS_TLS_INTERNAL_H

#include "runtime/tls/tls.h"
#include <openssl/ssl.h>

/* OpenSSL's first queued error as text, "" when there is none; empties the queue. */
const char *tls_error_text(char *buf, size_t size);

/* A new SSL for a connection; app data is for the caller. */
SSL *tls_ctx_new_ssl(struct tls_ctx *ctx);

/* A client's end; takes ssl over. And what a stream has. */
struct tls_stream *tls_stream_of_client(SSL *ssl, int fd);
SSL *tls_stream_ssl(const struct tls_stream *s);

/* The ALPN name that the connection demands, or NULL. */
const char *tls_stream_alpn(const SSL *ssl);

void tls_tickets_init(void);
void tls_tickets_use(SSL_CTX *ctx);

#endif
