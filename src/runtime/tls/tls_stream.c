/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "runtime/tls/tls_internal.h"
#include <errno.h>
#include <openssl/err.h>

struct tls_stream {
	SSL *ssl;
	struct tls_ctx *ctx;
	const char *alpn;
	char text[80];
	bool broken; /* after a fatal error OpenSSL forbids every further call */
};

struct tls_stream *tls_stream_new(struct tls_ctx *ctx, int fd)
{
	struct tls_stream *s = xcalloc(1, sizeof *s);
	s->ctx = tls_ctx_ref(ctx);
	s->ssl = tls_ctx_new_ssl(ctx);
	CHECK(SSL_set_fd(s->ssl, fd) == 1);
	CHECK(SSL_set_app_data(s->ssl, s) == 1);
	SSL_set_accept_state(s->ssl);
	return s;
}

void tls_stream_free(struct tls_stream *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	tls_ctx_unref(s->ctx);
	ERR_clear_error();
	free(s);
}

void tls_stream_expect_alpn(struct tls_stream *s, const char *name)
{
	s->alpn = name;
}

const char *tls_stream_alpn(const SSL *ssl)
{
	const struct tls_stream *s = SSL_get_app_data(ssl);
	return s->alpn;
}

/* What a call that did not succeed means. OpenSSL's error queue was empty before it. */
static int explain(struct tls_stream *s, int ssl_result, int errnum, const char *what,
		   struct fail *why)
{
	char text[120];
	switch (SSL_get_error(s->ssl, ssl_result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_IN;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_OUT;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_EOF;
	case SSL_ERROR_SYSCALL:
		s->broken = true;
		ERR_clear_error();
		if (errnum == 0)
			return TLS_EOF;
		errno = errnum;
		return fail_errno(why, FAIL_PEER, "TLS %s", what);
	default:
		s->broken = true;
		return fail_set(why, FAIL_PEER, NULL, "TLS %s: %s", what,
				tls_error_text(text, sizeof text));
	}
}

static int begin(struct tls_stream *s, const char *what, struct fail *why)
{
	if (s->broken)
		return fail_set(why, FAIL_PEER, NULL, "TLS %s after an error", what);
	ERR_clear_error();
	errno = 0;
	return 0;
}

int tls_stream_handshake(struct tls_stream *s, struct fail *why)
{
	int r = begin(s, "handshake", why);
	if (r < 0)
		return r;
	int done = SSL_do_handshake(s->ssl);
	if (done != 1)
		return explain(s, done, errno, "handshake", why);
	(void)snprintf(s->text, sizeof s->text, "%s %s", SSL_get_version(s->ssl),
		       SSL_get_cipher_name(s->ssl));
	return TLS_OK;
}

int tls_stream_read(struct tls_stream *s, char *into, size_t size, size_t *ret_n, struct fail *why)
{
	size_t n = 0;
	int r = begin(s, "read", why);
	if (r < 0)
		return r;
	int done = SSL_read_ex(s->ssl, into, size, &n);
	if (done != 1)
		return explain(s, done, errno, "read", why);
	*ret_n = n;
	return TLS_OK;
}

int tls_stream_write(struct tls_stream *s, struct str bytes, size_t *ret_n, struct fail *why)
{
	size_t n = 0;
	int r = begin(s, "write", why);
	if (r < 0)
		return r;
	CHECK(bytes.n > 0);
	int done = SSL_write_ex(s->ssl, bytes.p, bytes.n, &n);
	if (done != 1)
		return explain(s, done, errno, "write", why);
	*ret_n = n;
	return TLS_OK;
}

bool tls_stream_pending(const struct tls_stream *s)
{
	return SSL_has_pending(s->ssl) == 1;
}

void tls_stream_close_notify(struct tls_stream *s)
{
	/* During a handshake there is nothing to end; OpenSSL calls that an error. */
	if (s->broken || SSL_in_init(s->ssl))
		return;
	(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
}

struct str tls_stream_text(const struct tls_stream *s)
{
	return str_c(s->text);
}

struct str tls_stream_sni(const struct tls_stream *s)
{
	return str_c(SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name));
}

bool tls_stream_ems(const struct tls_stream *s)
{
	return SSL_is_init_finished(s->ssl) &&
	       (SSL_version(s->ssl) >= TLS1_3_VERSION || SSL_get_extms_support(s->ssl) == 1);
}

int tls_stream_exporter(struct tls_stream *s, unsigned char out[32], struct fail *why)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	/* RFC 9266 section 3: without extended master secret a TLS 1.2 binding could be forged. */
	if (!tls_stream_ems(s))
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"no channel binding on this connection");
	if (SSL_export_keying_material(s->ssl, out, 32, label, sizeof label - 1,
				       (const unsigned char *)"", 0, 1) != 1)
		return fail_set(why, FAIL_BUG, NULL, "SSL_export_keying_material");
	return 0;
}
