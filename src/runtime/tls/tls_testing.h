/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_testing.h - certificates, and OpenSSL's client, for tests.               [runtime, tests
 * only]
 *
 * Beside the adapter, because tests of other folders must not include libssl either.
 */
#ifndef BARID_RUNTIME_TLS_TLS_TESTING_H
#define BARID_RUNTIME_TLS_TLS_TESTING_H

#include "base/buf.h"
#include "base/check.h"
#include "base/test.h"
#include "runtime/tls/tls.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct pems {
	struct buf cert;
	struct buf key;
};

static inline void pems_clear(struct pems *p)
{
	buf_clear(&p->cert);
	buf_clear(&p->key);
}
DEFINE_AUTO(pems, struct pems, pems_clear);

static inline void take_bio(BIO *bio, struct buf *out)
{
	char *p = NULL;
	long n = BIO_get_mem_data(bio, &p);
	CHECK(buf_add(out, str_make(p, (size_t)n)) == 0);
	BIO_free(bio);
}

/* A self-signed certificate for the names "DNS:a,DNS:b". */
static inline struct pems make_pems(const char *names)
{
	struct pems p = {BUF_INIT(KIB(16)), BUF_INIT(KIB(16))};
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	CHECK(key && cert);
	(void)X509_set_version(cert, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME *subject = X509_get_subject_name(cert);
	(void)X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)names,
					 -1, -1, 0);
	(void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)names,
					 -1, -1, 0);
	(void)X509_set_issuer_name(cert, subject);
	(void)X509_set_pubkey(cert, key);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	CHECK(san && X509_add_ext(cert, san, -1) == 1);
	X509_EXTENSION_free(san);
	CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
	BIO *bio = BIO_new(BIO_s_mem());
	CHECK(PEM_write_bio_X509(bio, cert) == 1);
	take_bio(bio, &p.cert);
	bio = BIO_new(BIO_s_mem());
	CHECK(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	take_bio(bio, &p.key);
	X509_free(cert);
	EVP_PKEY_free(key);
	return p;
}

static inline struct tls_identity identity(const struct pems *p)
{
	return (struct tls_identity){buf_str(&p->cert), buf_str(&p->key)};
}

static inline struct tls_ctx *one_ctx(const char *names)
{
	struct fail why = FAIL_INIT;
	struct tls_ctx *ctx = NULL;
	AUTO(pems) struct pems p = make_pems(names);
	struct tls_identity id = identity(&p);
	assert_ok(tls_ctx_new(&id, 1, &ctx, &why), &why);
	return ctx;
}

/* A client over a non-blocking socket, which stays the caller's. */
struct tls_client {
	SSL_CTX *ctx;
	SSL *ssl;
};

static inline void tls_client_open(struct tls_client *c, int fd)
{
	c->ctx = SSL_CTX_new(TLS_client_method());
	CHECK(c->ctx);
	(void)SSL_CTX_set_mode(c->ctx,
			       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	c->ssl = SSL_new(c->ctx);
	CHECK(c->ssl && SSL_set_fd(c->ssl, fd) == 1);
	SSL_set_connect_state(c->ssl);
}

static inline void tls_client_clear(struct tls_client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	*c = (struct tls_client){0};
}

/* > 0 bytes; 0 = ended; -1 = later; -2 = failed. */
static inline int tls_client_result(struct tls_client *c, int r)
{
	switch (r > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_NONE:
		return r;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return -2;
	}
}

/* 1 = done, else as above. */
static inline int tls_client_shake(struct tls_client *c)
{
	ERR_clear_error();
	return tls_client_result(c, SSL_do_handshake(c->ssl));
}

static inline int tls_client_read(struct tls_client *c, char *into, size_t size)
{
	ERR_clear_error();
	return tls_client_result(c, SSL_read(c->ssl, into, (int)size));
}

static inline int tls_client_write(struct tls_client *c, struct str s)
{
	ERR_clear_error();
	return tls_client_result(c, SSL_write(c->ssl, s.p, (int)s.n));
}

/* Say close_notify: we send no more. */
static inline void tls_client_shut(struct tls_client *c)
{
	(void)SSL_shutdown(c->ssl);
}

#endif
