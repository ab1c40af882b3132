/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tls/tls_client.h"
#include "runtime/tls/tls_testing.h"
#include "sys/sha256.h"
#include <fcntl.h>
#include <sys/socket.h>

struct pair {
	int fd[2];
};

static struct pair make_pair(void)
{
	struct pair p;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p.fd) == 0);
	return p;
}

static void put(const char *path, struct str s)
{
	FILE *f = fopen(path, "we");
	CHECK(f && fwrite(s.p, 1, s.n, f) == s.n && fclose(f) == 0);
}

static X509 *cert_of(const struct pems *p)
{
	BIO *bio = BIO_new_mem_buf(p->cert.p, (int)p->cert.n);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	CHECK(cert);
	return cert;
}

static EVP_PKEY *key_of(const struct pems *p)
{
	BIO *bio = BIO_new_mem_buf(p->key.p, (int)p->key.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	CHECK(key);
	return key;
}

/* The certificate as DER. */
static void der_of(const struct pems *p, struct buf *out)
{
	X509 *cert = cert_of(p);
	unsigned char *der = NULL;
	int n = i2d_X509(cert, &der);
	CHECK(n > 0 && buf_add(out, str_make((const char *)der, (size_t)n)) == 0);
	OPENSSL_free(der);
	X509_free(cert);
}

/* Signed by `by`, again or as another's certificate, with one more extension. */
static void sign(struct pems *p, const struct pems *by, int extension, const char *value)
{
	X509 *cert = cert_of(p), *issuer = cert_of(by);
	EVP_PKEY *key = key_of(by);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, extension, value);
	CHECK(e && X509_add_ext(cert, e, -1) == 1);
	CHECK(X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1);
	CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
	BIO *bio = BIO_new(BIO_s_mem());
	CHECK(PEM_write_bio_X509(bio, cert) == 1);
	if (p != by)
		CHECK(PEM_write_bio_X509(bio, issuer) == 1);
	buf_reset(&p->cert);
	take_bio(bio, &p->cert);
	X509_EXTENSION_free(e);
	EVP_PKEY_free(key);
	X509_free(cert);
	X509_free(issuer);
}

/* One connection to a server with that certificate: what the client thinks of it. */
static enum tls_verdict meet(const struct pems *server, const char *authorities,
			     const struct tls_expect *e, const char *sni)
{
	struct fail why = FAIL_INIT;
	struct tls_ctx *ctx = NULL;
	struct tls_clients *clients = NULL;
	struct tls_identity id = identity(server);
	struct pair p = make_pair();
	assert_ok(tls_ctx_new(&id, 1, &ctx, &why), &why);
	assert_ok(tls_clients_new(authorities, &clients, &why), &why);
	struct tls_stream *there = tls_stream_new(ctx, p.fd[0]);
	struct tls_stream *here = tls_stream_connect(clients, p.fd[1], e);
	int a = TLS_WANT_IN, b = TLS_WANT_IN;
	for (int i = 0; i < 20 && (a > 0 || b > 0); i++) {
		b = b > 0 ? tls_stream_handshake(here, &why) : b;
		a = a > 0 ? tls_stream_handshake(there, &why) : a;
	}
	assert_int_equal(a, TLS_OK);
	assert_int_equal(b, TLS_OK);
	assert_true(str_eq(tls_stream_sni(there), str_c(sni)));
	const char *text = NULL;
	enum tls_verdict v = tls_stream_verdict(here, &text);
	assert_true((v == TLS_GOOD || v == TLS_NOT_CHECKED) == (text[0] == '\0'));
	char byte = 0;
	size_t n = 0;
	assert_int_equal(tls_stream_write(here, STR("x"), &n, &why), TLS_OK);
	assert_int_equal(tls_stream_read(there, &byte, 1, &n, &why), TLS_OK);
	assert_int_equal(byte, 'x');
	tls_stream_free(here);
	tls_stream_free(there);
	tls_clients_free(clients);
	tls_ctx_unref(ctx);
	(void)close(p.fd[0]);
	(void)close(p.fd[1]);
	return v;
}

static void by_authorities(void **state)
{
	(void)state;
	char path[] = "/tmp/barid-tls-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
	AUTO(pems)
	struct pems good =
		make_pems("DNS:mx.example,DNS:*.wild.example,IP:192.0.2.7,IP:2001:db8::7");
	AUTO(pems) struct pems other = make_pems("DNS:other.example");
	put(path, buf_str(&good.cert)); /* it is its own authority */
	static const struct {
		const char *name;
		enum tls_verdict want;
	} rows[] = {
		{"mx.example", TLS_GOOD},	{"MX.example", TLS_GOOD},
		{"a.wild.example", TLS_GOOD},	{"a.b.wild.example", TLS_BAD_NAME},
		{"wild.example", TLS_BAD_NAME}, {"my.example", TLS_BAD_NAME},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tls_expect e = {.check = TLS_CHECK_AUTHORITY,
				       .server_name = rows[i].name,
				       .names = &rows[i].name,
				       .names_n = 1};
		if (meet(&good, path, &e, rows[i].name) != rows[i].want)
			fail_msg("%s", rows[i].name);
	}
	const char *name = "192.0.2.7";
	struct tls_expect e = {.check = TLS_CHECK_AUTHORITY, .names = &name, .names_n = 1};
	assert_int_equal(meet(&good, path, &e, ""), TLS_GOOD);
	name = "2001:DB8::7";
	assert_int_equal(meet(&good, path, &e, ""), TLS_GOOD);
	name = "192.0.2.8";
	assert_int_equal(meet(&good, path, &e, ""), TLS_BAD_NAME);
	name = "mx.example";
	assert_int_equal(meet(&good, "", &e, ""), TLS_UNTRUSTED);
	assert_int_equal(meet(&good, "/nonexistent/authorities", &e, ""), TLS_UNTRUSTED);
	assert_int_equal(meet(&other, path, &e, ""), TLS_UNTRUSTED);
	e = (struct tls_expect){.check = TLS_CHECK_NOTHING};
	assert_int_equal(meet(&other, path, &e, ""), TLS_NOT_CHECKED);
	put(path, STR("no certificate at all"));
	struct tls_clients *c = NULL;
	struct fail why = FAIL_INIT;
	assert_int_equal(tls_clients_new(path, &c, &why), -FAIL_SYNTAX);
	(void)unlink(path);
}

static void by_tlsa(void **state)
{
	(void)state;
	AUTO(pems) struct pems good = make_pems("DNS:mx.example");
	AUTO(buf) struct buf der = BUF_INIT(KIB(16));
	der_of(&good, &der);
	unsigned char hash[SHA256_LEN];
	sha256_of(buf_str(&der), hash);
	const struct str fits = {(const char *)hash, 32};
	AUTO(pems) struct pems root = make_pems("DNS:root.example");
	AUTO(buf) struct buf root_der = BUF_INIT(KIB(16));
	sign(&root, &root, NID_basic_constraints, "critical,CA:TRUE");
	der_of(&root, &root_der);
	AUTO(pems) struct pems leaf = make_pems("DNS:mx.example");
	sign(&leaf, &root, NID_key_usage, "digitalSignature");
	unsigned char root_hash[SHA256_LEN];
	sha256_of(buf_str(&root_der), root_hash);
	const struct str root_fits = {(const char *)root_hash, 32};
	const struct tls_expected_tlsa wrong = {3, 0, 1, STR("01234567890123456789012345678901")};
	const char *const right_name = "mx.example", *const bad_name = "my.example";
	const struct {
		struct tls_expected_tlsa v[2];
		size_t n;
		const char *name;
		enum tls_verdict want;
	} rows[] = {
		{{{3, 0, 1, fits}}, 1, right_name, TLS_GOOD},
		{{{3, 0, 1, fits}}, 1, bad_name, TLS_GOOD}, /* RFC 7672 3.1.1 */
		{{{3, 0, 0, buf_str(&der)}}, 1, right_name, TLS_GOOD},
		{{wrong}, 1, right_name, TLS_TLSA_MISMATCH},
		{{wrong, {3, 0, 1, fits}}, 2, right_name, TLS_GOOD},
		{{{2, 0, 1, root_fits}}, 1, right_name, TLS_GOOD},
		{{{2, 0, 1, root_fits}}, 1, bad_name, TLS_BAD_NAME},
		{{{2, 0, 1, fits}}, 1, right_name, TLS_TLSA_MISMATCH},
		{{{3, 1, 1, fits}}, 1, right_name, TLS_TLSA_MISMATCH},
		{{{3, 0, 1, STR("short")}}, 1, right_name, TLS_TLSA_MISMATCH},
		{{{3, 0, 1, STR("")}}, 0, right_name, TLS_TLSA_MISMATCH},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tls_expect e = {.check = TLS_CHECK_TLSA,
				       .server_name = "mx.example",
				       .names = &rows[i].name,
				       .names_n = 1,
				       .tlsa = rows[i].v,
				       .tlsa_n = rows[i].n};
		const struct pems *server = rows[i].v[0].usage == 2 ? &leaf : &good;
		enum tls_verdict v = meet(server, "", &e, "mx.example");
		if (v != rows[i].want)
			fail_msg("row %zu: %d", i, (int)v);
	}
}

/* One more connection between these two. What the client thinks of it, and whether it went on. */
static enum tls_verdict again(struct tls_ctx *ctx, struct tls_clients *clients,
			      const struct tls_expect *e, bool *ret_resumed)
{
	struct fail why = FAIL_INIT;
	struct pair p = make_pair();
	struct tls_stream *there = tls_stream_new(ctx, p.fd[0]);
	struct tls_stream *here = tls_stream_connect(clients, p.fd[1], e);
	int a = TLS_WANT_IN, b = TLS_WANT_IN;
	char byte;
	size_t n = 0;
	for (int i = 0; i < 20 && (a > 0 || b > 0); i++) {
		b = b > 0 ? tls_stream_handshake(here, &why) : b;
		a = a > 0 ? tls_stream_handshake(there, &why) : a;
	}
	assert_int_equal(tls_stream_write(there, STR("x"), &n, &why), TLS_OK);
	assert_int_equal(tls_stream_read(here, &byte, 1, &n, &why), TLS_OK); /* and the tickets */
	enum tls_verdict v = tls_stream_verdict(here, NULL);
	*ret_resumed = tls_stream_resumed(here);
	tls_stream_free(here);
	tls_stream_free(there);
	(void)close(p.fd[0]);
	(void)close(p.fd[1]);
	return v;
}

/* Only at the same place and under the same check; what was bad is as bad when it is resumed. */
static void sessions_resume(void **state)
{
	(void)state;
	char path[] = "/tmp/barid-tls-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
	struct fail why = FAIL_INIT;
	struct tls_ctx *ctx = NULL;
	struct tls_clients *clients = NULL;
	AUTO(pems) struct pems good = make_pems("DNS:mx.example");
	struct tls_identity id = identity(&good);
	static const char *const name = "mx.example", *const other = "my.example";
	struct tls_expect e = {.check = TLS_CHECK_AUTHORITY, .names = &name, .names_n = 1};
	bool resumed = true;
	put(path, buf_str(&good.cert));
	assert_ok(tls_ctx_new(&id, 1, &ctx, &why), &why);
	assert_ok(tls_clients_new(path, &clients, &why), &why);
	for (int i = 0; i < 2; i++) { /* without a place: never */
		assert_int_equal(again(ctx, clients, &e, &resumed), TLS_GOOD);
		assert_false(resumed);
	}
	e.place = "mx.example 192.0.2.1:25";
	for (int i = 0; i < 3; i++) { /* this server gives no new ticket for one that is good */
		assert_int_equal(again(ctx, clients, &e, &resumed), TLS_GOOD);
		assert_int_equal(resumed, i == 1);
	}
	e.names = &other; /* another check: a session that was good for the first one is none of its
			   */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(again(ctx, clients, &e, &resumed), TLS_BAD_NAME);
		assert_int_equal(resumed, i > 0);
	}
	e.names = &name;
	e.place = "mx.example 192.0.2.2:25";
	assert_int_equal(again(ctx, clients, &e, &resumed), TLS_GOOD);
	assert_false(resumed);
	for (int i = 0; i < 500; i++) { /* bounded */
		char place[40];
		(void)snprintf(place, sizeof place, "mx.example 192.0.2.%d:25", i % 250 + 3);
		e.place = place;
		assert_int_equal(again(ctx, clients, &e, &resumed), TLS_GOOD);
	}
	tls_clients_free(clients);
	tls_ctx_unref(ctx);
	(void)unlink(path);
}

/* What a client reads when the server's end is gone: with TLS's own end, or cut off. */
static int end_of(const struct pems *server, bool whole_end, bool notify)
{
	struct fail why = FAIL_INIT;
	struct tls_ctx *ctx = NULL;
	struct tls_clients *clients = NULL;
	struct tls_identity id = identity(server);
	struct pair p = make_pair();
	const struct tls_expect e = {.check = TLS_CHECK_NOTHING, .whole_end = whole_end};
	assert_ok(tls_ctx_new(&id, 1, &ctx, &why), &why);
	assert_ok(tls_clients_new("", &clients, &why), &why);
	struct tls_stream *there = tls_stream_new(ctx, p.fd[0]);
	struct tls_stream *here = tls_stream_connect(clients, p.fd[1], &e);
	int a = TLS_WANT_IN, b = TLS_WANT_IN;
	for (int i = 0; i < 20 && (a > 0 || b > 0); i++) {
		b = b > 0 ? tls_stream_handshake(here, &why) : b;
		a = a > 0 ? tls_stream_handshake(there, &why) : a;
	}
	assert_int_equal(a, TLS_OK);
	assert_int_equal(b, TLS_OK);
	if (notify)
		tls_stream_close_notify(there);
	(void)close(p.fd[0]);
	char byte;
	size_t n = 0;
	int r = tls_stream_read(here, &byte, 1, &n, &why);
	tls_stream_free(here);
	tls_stream_free(there);
	tls_clients_free(clients);
	tls_ctx_unref(ctx);
	(void)close(p.fd[1]);
	return r;
}

static void ends(void **state)
{
	(void)state;
	AUTO(pems) struct pems server = make_pems("DNS:mx.example");
	assert_int_equal(end_of(&server, false, true), TLS_EOF);
	assert_int_equal(end_of(&server, false, false), TLS_EOF);
	assert_int_equal(end_of(&server, true, true), TLS_EOF);
	assert_int_equal(end_of(&server, true, false), -FAIL_PEER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends),
		cmocka_unit_test(by_authorities),
		cmocka_unit_test(by_tlsa),
		cmocka_unit_test(sessions_resume),
	};
	tls_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
