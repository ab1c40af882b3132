/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tls/tls_client.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "runtime/tls/tls_internal.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define KEPT_MAX  200
#define KEPT_S	  600
#define PLACE_MAX KIB(4)

/* A session that may be resumed. */
struct kept {
	struct list link; /* the oldest first */
	SSL_SESSION *session;
	char key[];
};
struct tls_clients {
	SSL_CTX *ctx;
	pthread_mutex_t lock;
	struct strmap kept;
	struct list order;
	size_t kept_n;
};

/* Does this connection check anything? Its app data belongs to the stream. */
static int checks_index(void)
{
	static int index = -1;
	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

/* ---- sessions ---- */

static void drop(struct tls_clients *c, struct kept *k)
{
	(void)strmap_remove(&c->kept, str_c(k->key));
	list_remove(&k->link);
	c->kept_n--;
	SSL_SESSION_free(k->session);
	free(k);
}

static void free_key(void *parent, void *key, CRYPTO_EX_DATA *data, int index, long l, void *p)
{
	(void)parent, (void)data, (void)index, (void)l, (void)p;
	free(key);
}

/* Under which its sessions are kept; the connection's. */
static int key_index(void)
{
	static int index = -1;
	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_key);
	return index;
}

/* OpenSSL: a session that could be resumed. A copy is kept, as it spoils its own when a connection
 * is cut off (which TLS 1.1 has done away with). */
static int keep(SSL *ssl, SSL_SESSION *session)
{
	struct tls_clients *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const char *key = SSL_get_ex_data(ssl, key_index());
	if (!key || !SSL_SESSION_is_resumable(session))
		return 0;
	SSL_SESSION *copy = SSL_SESSION_dup(session);
	if (!copy)
		return 0;
	size_t n = strlen(key) + 1;
	struct kept *k = xcalloc(1, sizeof *k + n);
	memcpy(k->key, key, n);
	k->session = copy;
	list_init(&k->link);
	(void)pthread_mutex_lock(&c->lock);
	struct kept *before = strmap_get(&c->kept, str_c(key));
	if (before)
		drop(c, before);
	while (c->kept_n >= KEPT_MAX)
		drop(c, CONTAINER_OF(c->order.next, struct kept, link));
	(void)strmap_put(&c->kept, str_c(k->key), k);
	list_append(&c->order, &k->link);
	c->kept_n++;
	(void)pthread_mutex_unlock(&c->lock);
	return 0;
}

/* Each is used once: whoever saw it on the wire shall not find two connections to be one's. */
static void resume(struct tls_clients *c, SSL *ssl, const struct tls_expect *e)
{
	AUTO(buf) struct buf key = BUF_INIT(PLACE_MAX);
	if (!e->place || e->check == TLS_CHECK_TLSA)
		return;
	buf_addf(&key, "%s\n%d\n%s", e->place, (int)e->check, e->server_name ? e->server_name : "");
	for (size_t i = 0; i < e->names_n; i++)
		buf_addf(&key, "\n%s", e->names[i]);
	if (key.failed)
		return;
	CHECK(SSL_set_ex_data(ssl, key_index(), xstrdup(buf_c(&key))) == 1);
	(void)pthread_mutex_lock(&c->lock);
	struct kept *k = strmap_get(&c->kept, buf_str(&key));
	if (k && time(NULL) - SSL_SESSION_get_time(k->session) <= KEPT_S)
		(void)SSL_set_session(ssl, k->session);
	if (k)
		drop(c, k);
	(void)pthread_mutex_unlock(&c->lock);
}

bool tls_stream_resumed(const struct tls_stream *s)
{
	return SSL_session_reused(tls_stream_ssl(s)) == 1;
}

/* ---- what is shared ---- */

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
	CHECK(ctx && checks_index() >= 0 && key_index() >= 0);
	CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					    SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					       SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_session_cache_mode(ctx,
					     SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep);
	/* The verdict is asked for afterwards; the chain is checked all the same. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	CHECK(SSL_CTX_dane_enable(ctx) > 0);
	(void)SSL_CTX_dane_set_flags(ctx, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	int r = load(ctx, authorities, why);
	if (r < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	struct tls_clients *c = xcalloc(1, sizeof *c);
	c->ctx = ctx;
	(void)pthread_mutex_init(&c->lock, NULL);
	list_init(&c->order);
	(void)SSL_CTX_set_app_data(ctx, c);
	*ret = c;
	return 0;
}

void tls_clients_free(struct tls_clients *c)
{
	if (!c)
		return;
	while (c->kept_n > 0)
		drop(c, CONTAINER_OF(c->order.next, struct kept, link));
	strmap_clear(&c->kept);
	(void)pthread_mutex_destroy(&c->lock);
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
	resume(c, ssl, e);
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
