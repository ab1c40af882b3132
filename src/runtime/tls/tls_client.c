/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tls/tls_client.h"
#include "base/check.h"
#include "runtime/tls/tls_internal.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

struct tls_clients {
	SSL_CTX *ctx;
};

/* Does this connection check anything? Its app data belongs to the stream. */
static int checks_index(void)
{
	static int index = -1;
	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static int load(SSL_CTX *ctx, const char *file, struct fail *why)
{
	char text[120];
	if (!file[0] || access(file, R_OK) < 0)
		return 0;
	if (SSL_CTX_load_verify_file(ctx, file) == 1)
		return 0;
	return fail_set(why, FAIL_SYNTAX, NULL, "%s holds no certificates of authorities: %s", file,
			tls_error_text(text, sizeof text));
}

int tls_clients_new(const char *authorities, struct tls_clients **ret, struct fail *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	CHECK(ctx && checks_index() >= 0);
	CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					    SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					       SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* The verdict is asked for afterwards; the chain is checked all the same. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	CHECK(SSL_CTX_dane_enable(ctx) > 0);
	(void)SSL_CTX_dane_set_flags(ctx, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	int r = load(ctx, authorities, why);
	if (r < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	*ret = xcalloc(1, sizeof **ret);
	(*ret)->ctx = ctx;
	return 0;
}

void tls_clients_free(struct tls_clients *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ctx);
	free(c);
}

static void expect_names(SSL *ssl, const struct tls_expect *e)
{
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
				       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	for (size_t i = 0; i < e->names_n; i++)
		CHECK(SSL_add1_host(ssl, e->names[i]) == 1);
}

/* A record that OpenSSL cannot use fits nothing: as one that does not fit. */
static void expect_tlsa(SSL *ssl, const struct tls_expect *e)
{
	CHECK(SSL_dane_enable(ssl, e->names_n ? e->names[0] : "") > 0);
	for (size_t i = 0; i < e->tlsa_n; i++) {
		const struct tls_expected_tlsa *t = &e->tlsa[i];
		(void)SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching,
					(const unsigned char *)t->data.p, t->data.n);
	}
	ERR_clear_error();
}

struct tls_stream *tls_stream_connect(struct tls_clients *c, int fd, const struct tls_expect *e)
{
	SSL *ssl = SSL_new(c->ctx);
	CHECK(ssl);
	if (e->whole_end)
		(void)SSL_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (e->check == TLS_CHECK_TLSA)
		expect_tlsa(ssl, e);
	if (e->check != TLS_CHECK_NOTHING)
		expect_names(ssl, e);
	if (e->server_name && e->server_name[0]) {
		char name[TLSEXT_MAXLEN_host_name + 1]; /* OpenSSL's macro takes no const */
		(void)snprintf(name, sizeof name, "%s", e->server_name);
		(void)SSL_set_tlsext_host_name(ssl, name);
	}
	static const enum tls_check checks[] = {TLS_CHECK_NOTHING, TLS_CHECK_AUTHORITY,
						TLS_CHECK_TLSA};
	CHECK(SSL_set_ex_data(ssl, checks_index(), (void *)(uintptr_t)&checks[e->check]) == 1);
	return tls_stream_of_client(ssl, fd);
}

static enum tls_verdict verdict_of(long result, bool by_tlsa)
{
	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLS_BAD_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_EXPIRED;
	default:
		return by_tlsa ? TLS_TLSA_MISMATCH : TLS_UNTRUSTED;
	}
}

enum tls_verdict tls_stream_verdict(const struct tls_stream *s, const char **ret_text)
{
	SSL *ssl = tls_stream_ssl(s);
	const enum tls_check *check = SSL_get_ex_data(ssl, checks_index());
	long result = SSL_get_verify_result(ssl);
	bool by_tlsa = check && *check == TLS_CHECK_TLSA;
	const char *text = "";
	enum tls_verdict verdict = TLS_NOT_CHECKED;
	if (check && *check != TLS_CHECK_NOTHING) {
		bool good = SSL_is_init_finished(ssl) && SSL_get0_peer_certificate(ssl) &&
			    result == X509_V_OK &&
			    (!by_tlsa || SSL_get0_dane_authority(ssl, NULL, NULL) >= 0);
		verdict = good ? TLS_GOOD : verdict_of(result, by_tlsa);
		text = result != X509_V_OK ? X509_verify_cert_error_string(result)
		       : by_tlsa	   ? "no TLSA record fits"
					   : "there is no certificate";
		if (good)
			text = "";
	}
	if (ret_text)
		*ret_text = text;
	return verdict;
}
