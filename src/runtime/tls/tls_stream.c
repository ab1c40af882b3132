/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "runtime/tls/tls_internal.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/socket.h>

struct tls_stream {
	SSL *ssl;
	struct tls_ctx *ctx;
	const char *alpn;
	char text[80];
	bool broken;	 /* after a fatal error OpenSSL forbids every further call */
	bool looked;	 /* at the first bytes; */
	bool short_look; /* they were too few */
	bool done;	 /* the handshake is over */
	unsigned asked;	 /* handshake messages of the client since */
};

/* A client may change its keys, but has no reason to do so all the time. */
#define ASKED_MAX 64
/* OpenSSL would take 128 KiB and keep them for each client that is not in a hurry. */
#define HELLO_MAX KIB(16)

/*
 * Key updates and wishes to renegotiate are answered inside of one SSL_read, as many as there are:
 * a client that sends nothing else would hold the thread for ever. Ending the socket from in here
 * is the only way out of it.
 */
static void count_message(int sent, int version, int type, const void *p, size_t n, SSL *ssl,
			  void *arg)
{
	struct tls_stream *s = SSL_get_app_data(ssl);
	(void)version, (void)p, (void)n, (void)arg;
	bool asks = s->done &&
		    ((type == SSL3_RT_HANDSHAKE && !sent) || (type == SSL3_RT_ALERT && sent));
	if (asks && ++s->asked > ASKED_MAX)
		(void)shutdown(SSL_get_fd(ssl), SHUT_RDWR);
}

static struct tls_stream *new_stream(SSL *ssl, int fd)
{
	struct tls_stream *s = xcalloc(1, sizeof *s);
	s->ssl = ssl;
	CHECK(SSL_set_fd(ssl, fd) == 1);
	CHECK(SSL_set_app_data(ssl, s) == 1);
	SSL_set_msg_callback(ssl, count_message);
	return s;
}

struct tls_stream *tls_stream_new(struct tls_ctx *ctx, int fd)
{
	struct tls_stream *s = new_stream(tls_ctx_new_ssl(ctx), fd);
	s->ctx = tls_ctx_ref(ctx);
	SSL_set_accept_state(s->ssl);
	return s;
}

struct tls_stream *tls_stream_of_client(SSL *ssl, int fd)
{
	struct tls_stream *s = new_stream(ssl, fd);
	s->looked = true; /* what a server says first, OpenSSL judges */
	SSL_set_connect_state(ssl);
	return s;
}

SSL *tls_stream_ssl(const struct tls_stream *s)
{
	return s->ssl;
}

void tls_stream_free(struct tls_stream *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	tls_ctx_unref(s->ctx); /* NULL: a client's */
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
	if (s->asked > ASKED_MAX) {
		s->broken = true;
		ERR_clear_error();
		return fail_set(why, FAIL_LIMIT, NULL,
				"TLS %s: too many key updates or renegotiations", what);
	}
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

/* How many bytes must have come before the socket counts as readable. */
static void wake_at(const struct tls_stream *s, int bytes)
{
	(void)setsockopt(SSL_get_fd(s->ssl), SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

/*
 * Is that a TLS client at all, and of what size is its first message? A record's header has 5
 * bytes, behind it are the message's type and 24 bits of length: nothing is given to OpenSSL
 * before they are there. (Where the kernel knows no low-water mark, the second look is the last.)
 */
static int look(struct tls_stream *s, struct fail *why)
{
	unsigned char b[9];
	ssize_t n = recv(SSL_get_fd(s->ssl), b, sizeof b, MSG_PEEK | MSG_DONTWAIT);
	if (n < 1)
		return TLS_OK; /* SSL_do_handshake says what that means */
	if (b[0] != SSL3_RT_HANDSHAKE) {
		s->looked = true;
		return fail_set(why, FAIL_SYNTAX, NULL, "TLS handshake: the client speaks no TLS");
	}
	if (n < (ssize_t)sizeof b && !s->short_look) {
		s->short_look = true;
		wake_at(s, sizeof b);
		return TLS_WANT_IN;
	}
	if (s->short_look)
		wake_at(s, 1);
	s->looked = true;
	if (n == (ssize_t)sizeof b && ((size_t)b[6] << 16 | (size_t)b[7] << 8 | b[8]) > HELLO_MAX) {
		s->broken = true;
		return fail_set(why, FAIL_LIMIT, NULL, "TLS handshake: the first message is huge");
	}
	return TLS_OK;
}

int tls_stream_handshake(struct tls_stream *s, struct fail *why)
{
	int r = begin(s, "handshake", why);
	if (r < 0)
		return r;
	struct fail no_tls = FAIL_INIT;
	int seen = s->looked ? TLS_OK : look(s, &no_tls);
	if (seen == TLS_WANT_IN)
		return seen;
	if (seen == -FAIL_LIMIT) {
		*why = no_tls;
		return seen;
	}
	int done = SSL_do_handshake(s->ssl);
	if (done != 1) {
		r = explain(s, done, errno, "handshake", why);
		if (seen < 0 && r < 0) /* OpenSSL has sent its alert; we know better why */
			*why = no_tls;
		return seen < 0 && r < 0 ? seen : r;
	}
	s->done = true;
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

static int take_any(int good, X509_STORE_CTX *store)
{
	(void)good;
	(void)store;
	return 1;
}

void tls_stream_ask_certificate(struct tls_stream *s)
{
	SSL_set_verify(s->ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, take_any);
}

static void common_name(const X509_NAME *name, char ret[TLS_NAME_MAX])
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	unsigned char *text = NULL;
	ret[0] = '\0';
	if (at < 0)
		return;
	const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, at);
	int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
	if (n < 0) {
		ERR_clear_error();
		return;
	}
	size_t length = MIN((size_t)n, (size_t)TLS_NAME_MAX - 1);
	for (size_t i = 0; i < length; i++)
		ret[i] = text[i] < ' ' || text[i] > '~' ? '?' : (char)text[i];
	ret[length] = '\0';
	OPENSSL_free(text);
}

void tls_stream_client_names(const struct tls_stream *s, struct tls_client_names *ret)
{
	*ret = (struct tls_client_names){{0}, {0}};
	const X509 *cert = SSL_is_init_finished(s->ssl) ? SSL_get0_peer_certificate(s->ssl) : NULL;
	if (!cert)
		return;
	common_name(X509_get_subject_name(cert), ret->subject);
	common_name(X509_get_issuer_name(cert), ret->issuer);
}
