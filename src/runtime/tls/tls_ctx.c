/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "runtime/cert.h"
#include "runtime/pem.h"
#include "runtime/tls/tls_internal.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdatomic.h>

/* AEAD with forward secrecy only. AES-128 first: its hash is SHA-256, and a handshake is hashing.
 */
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CIPHERS_TLS13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS	      "X25519:P-256:P-384"
#define SESSION_ID    "barid"

#define CHAIN_MAX      16
#define IDENTITIES_MAX 100

struct tls_ctx {
	_Atomic unsigned refs;
	size_t n;
	bool paired[IDENTITIES_MAX]; /* holds an RSA and an ECDSA certificate */
	SSL_CTX *each[];	     /* one per identity; connections start with the first */
};

void tls_init(void)
{
	unsigned char byte;
	(void)signal(SIGPIPE, SIG_IGN);
	CHECK(OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
			       NULL));
	CHECK(RAND_bytes(&byte, 1) == 1); /* seed while every source is reachable */
	tls_tickets_init();
}

const char *tls_error_text(char *buf, size_t size)
{
	unsigned long e = ERR_get_error();
	const char *reason = e ? ERR_reason_error_string(e) : "";
	(void)snprintf(buf, size, "%s", reason ? reason : "unknown error");
	ERR_clear_error();
	return buf;
}

/* ---- certificates ---- */

static int refused(struct fail *why, size_t at, const char *what)
{
	char text[120];
	return fail_set(why, FAIL_SYNTAX, NULL, "TLS certificate %zu: %s: %s", at + 1, what,
			tls_error_text(text, sizeof text));
}

static int use_chain(SSL_CTX *ctx, struct str pem, size_t at, struct fail *why)
{
	BIO *bio = pem_bio(pem);
	size_t n = 0;
	int ok = 1;
	X509 *cert;
	while (ok && n < CHAIN_MAX &&
	       (cert = PEM_read_bio_X509(bio, NULL, pem_no_password, NULL))) {
		ok = n == 0 ? SSL_CTX_use_certificate(ctx, cert)
			    : (int)SSL_CTX_add1_chain_cert(ctx, cert);
		X509_free(cert);
		n++;
	}
	BIO_free(bio);
	/* Reading ends with "no start line", at the end of the text too. */
	bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (!ok || n == 0 || !at_end)
		return refused(why, at,
			       n == 0 ? "no certificate in the file"
				      : "a certificate of the chain");
	ERR_clear_error();
	return 0;
}

static int use_key(SSL_CTX *ctx, struct str pem, size_t at, struct fail *why)
{
	BIO *bio = pem_bio(pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, pem_no_password, NULL);
	BIO_free(bio);
	if (!key)
		return refused(why, at, "no private key without password in the file");
	int ok = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	return ok ? 0 : refused(why, at, "the key does not belong to it");
}

/* ---- what the client asks for ---- */

static SSL_CTX *find_by_name(const struct tls_ctx *ctx, const char *name, unsigned flags)
{
	for (size_t i = 0; i < ctx->n; i++)
		if (X509_check_host(SSL_CTX_get0_certificate(ctx->each[i]), name, strlen(name),
				    flags, NULL) == 1)
			return ctx->each[i];
	return NULL;
}

static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
	const struct tls_ctx *ctx = arg;
	(void)alert;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *found = name ? find_by_name(ctx, name, X509_CHECK_FLAG_NO_WILDCARDS) : NULL;
	if (name && !found)
		found = find_by_name(ctx, name, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!found) /* the default one: the client decides what it thinks of it */
		return SSL_TLSEXT_ERR_NOACK;
	(void)SSL_set_SSL_CTX(ssl, found);
	return SSL_TLSEXT_ERR_OK;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
			   const unsigned char *in, unsigned in_n, void *arg)
{
	const char *want = tls_stream_alpn(ssl);
	(void)arg;
	if (!want)
		return SSL_TLSEXT_ERR_NOACK;
	for (unsigned at = 0; at < in_n; at += 1u + in[at]) {
		if (in[at] == strlen(want) && at + 1 + in[at] <= in_n &&
		    memcmp(in + at + 1, want, in[at]) == 0) {
			*out = in + at + 1;
			*out_n = in[at];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- contexts ---- */

static SSL_CTX *new_settings(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	CHECK(c);
	CHECK(SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1);
	CHECK(SSL_CTX_set_cipher_list(c, CIPHERS_TLS12) == 1);
	CHECK(SSL_CTX_set_ciphersuites(c, CIPHERS_TLS13) == 1);
	CHECK(SSL_CTX_set1_groups_list(c, GROUPS) == 1);
	(void)SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE |
					     SSL_OP_PRIORITIZE_CHACHA |
					     SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(c, 1); /* header and record by one system call */
	/* RELEASE: 33 KiB of buffers are there while bytes are in them, not as long as a client is.
	 */
	(void)SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_id_context(c, (const unsigned char *)SESSION_ID,
					     sizeof SESSION_ID - 1);
	SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
	tls_tickets_use(c);
	return c;
}

static size_t index_of(const struct tls_ctx *ctx, const SSL_CTX *c)
{
	size_t i = 0;
	while (ctx->each[i] != c)
		i++;
	return i;
}

/* A context that serves the same names with another kind of key: it takes this one, too. */
static SSL_CTX *beside(const struct tls_ctx *ctx, const struct tls_identity *id)
{
	struct cert_about mine, its;
	if (cert_read(id->chain, &mine, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < ctx->n; i++)
		if (cert_about(SSL_CTX_get0_certificate(ctx->each[i]), &its) == 0 &&
		    str_eq(str_c(mine.names), str_c(its.names)) && mine.kind != its.kind &&
		    !ctx->paired[i])
			return ctx->each[i];
	return NULL;
}

int tls_ctx_new(const struct tls_identity *ids, size_t n, struct tls_ctx **ret, struct fail *why)
{
	if (n == 0 || n > IDENTITIES_MAX)
		return fail_set(why, FAIL_SYNTAX, NULL, "no TLS certificate, or too many");
	AUTO(tls_ctx) struct tls_ctx *ctx = xcalloc(1, sizeof *ctx + n * sizeof ctx->each[0]);
	ctx->refs = 1;
	ERR_clear_error();
	for (size_t i = 0; i < n; i++) {
		SSL_CTX *c = beside(ctx, &ids[i]);
		if (c)
			ctx->paired[index_of(ctx, c)] = true;
		else
			c = ctx->each[ctx->n++] = new_settings();
		int r = use_chain(c, ids[i].chain, i, why);
		if (r == 0)
			r = use_key(c, ids[i].key, i, why);
		if (r < 0)
			return r;
	}
	(void)SSL_CTX_set_tlsext_servername_callback(ctx->each[0], choose_certificate);
	(void)SSL_CTX_set_tlsext_servername_arg(ctx->each[0], ctx);
	*ret = TAKE(ctx);
	return 0;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx)
{
	atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
	return ctx;
}

void tls_ctx_unref(struct tls_ctx *ctx)
{
	if (!ctx || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < ctx->n; i++)
		SSL_CTX_free(ctx->each[i]);
	free(ctx);
}

SSL *tls_ctx_new_ssl(struct tls_ctx *ctx)
{
	SSL *ssl = SSL_new(ctx->each[0]);
	CHECK(ssl);
	return ssl;
}
