/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our server against OpenSSL's client in the same thread, over a socket pair.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/test.h"
#include "runtime/tls/tls.h"
#include "runtime/tls/tls_testing.h"
#include "sys/clock.h"
#include "sys/sandbox.h"
#include "sys/sock.h"
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/wait.h>

/* ---- a connection ---- */

struct client {
	int version; /* 0 = any */
	const char *sni;
	const char *alpn; /* in wire form */
	SSL_SESSION *resume;
};

struct link {
	SSL_CTX *client_ctx;
	SSL *client;
	int fds[2];
	struct tls_stream *server;
	struct fail why;
};

static void link_clear(struct link *l)
{
	tls_stream_free(l->server);
	SSL_set_shutdown(l->client, SSL_SENT_SHUTDOWN); /* or its session could not be resumed */
	SSL_free(l->client);
	SSL_CTX_free(l->client_ctx);
	(void)close(l->fds[0]);
	(void)close(l->fds[1]);
}
DEFINE_AUTO(link, struct link, link_clear);

static int spare[4][2]; /* for use in the sandbox, which makes no sockets */
static size_t spare_n;

static void make_pair(int fds[2])
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
}

static struct link link_new(struct tls_ctx *ctx, const struct client *c)
{
	struct link l = {.client_ctx = SSL_CTX_new(TLS_client_method())};
	if (spare_n)
		memcpy(l.fds, spare[--spare_n], sizeof l.fds);
	else
		make_pair(l.fds);
	(void)SSL_CTX_set_mode(l.client_ctx,
			       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	l.client = SSL_new(l.client_ctx);
	if (c->version) {
		(void)SSL_set_min_proto_version(l.client, c->version);
		(void)SSL_set_max_proto_version(l.client, c->version);
	}
	if (c->sni)
		(void)SSL_ctrl(l.client, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			       (void *)(uintptr_t)c->sni); /* the macro casts const away */
	if (c->alpn)
		(void)SSL_set_alpn_protos(l.client, (const unsigned char *)c->alpn,
					  (unsigned)strlen(c->alpn));
	if (c->resume)
		(void)SSL_set_session(l.client, c->resume);
	(void)SSL_set_fd(l.client, l.fds[0]);
	SSL_set_connect_state(l.client);
	l.server = tls_stream_new(ctx, l.fds[1]);
	return l;
}

/* Both sides in turn until the server is done or has failed. */
static int shake(struct link *l)
{
	int server = TLS_WANT_IN, client = 0;
	for (int i = 0; i < 50 && !(server == TLS_OK && client == 1); i++) {
		ERR_clear_error();
		if (client != 1)
			client = SSL_do_handshake(l->client);
		if (server != TLS_OK)
			server = tls_stream_handshake(l->server, &l->why);
		if (server < 0)
			return server;
	}
	return server == TLS_OK && client == 1 ? TLS_OK : server;
}

/* One byte from the server reaches the client: tickets of TLS 1.3 travel before it. */
static void exchange(struct link *l)
{
	char c = 0;
	size_t n = 0;
	assert_int_equal(tls_stream_write(l->server, STR("x"), &n, &l->why), TLS_OK);
	assert_int_equal(n, 1);
	assert_int_equal(SSL_read(l->client, &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(SSL_write(l->client, "y", 1), 1);
	assert_int_equal(tls_stream_read(l->server, &c, 1, &n, &l->why), TLS_OK);
	assert_int_equal(c, 'y');
}

static bool presents(struct link *l, const char *name)
{
	X509 *cert = SSL_get1_peer_certificate(l->client);
	bool yes = cert && X509_check_host(cert, name, 0, 0, NULL) == 1;
	X509_free(cert);
	return yes;
}

static void both_versions(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:mx.example");
	const struct {
		int version;
		const char *prefix;
	} cases[] = {{TLS1_2_VERSION, "TLSv1.2 ECDHE-"}, {TLS1_3_VERSION, "TLSv1.3 TLS_"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client c = {.version = cases[i].version, .sni = "mx.example"};
		AUTO(link) struct link l = link_new(ctx, &c);
		assert_int_equal(tls_stream_text(l.server).n, 0);
		assert_ok(shake(&l), &l.why);
		exchange(&l);
		assert_true(str_starts(tls_stream_text(l.server), str_c(cases[i].prefix)));
		assert_str(tls_stream_sni(l.server), "mx.example");
	}
}

static void old_versions_are_refused(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:mx.example");
	struct client c = {.version = TLS1_1_VERSION};
	AUTO(link) struct link l = link_new(ctx, &c);
	SSL_set_security_level(l.client, 0);
	assert_int_equal(shake(&l), -FAIL_PEER);
	assert_non_null(strstr(l.why.detail, "TLS handshake: "));
	size_t n;
	assert_int_equal(tls_stream_write(l.server, STR("x"), &n, &l.why), -FAIL_PEER);
}

static void plain_text_is_refused(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:mx.example");
	struct client c = {0};
	AUTO(link) struct link l = link_new(ctx, &c);
	assert_int_equal(write(l.fds[0], "EHLO there\r\n", 12), 12);
	assert_int_equal(tls_stream_handshake(l.server, &l.why), -FAIL_SYNTAX);
	assert_non_null(strstr(l.why.detail, "speaks no TLS"));
}

/* Its memory would be taken at once, and kept as long as the client likes. */
static void a_huge_first_message_is_refused(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:mx.example");
	struct client c = {0};
	const char big[] = {22, 3, 1, 2, 0, 1, 1, (char)0x80, 0, 3, 3};
	AUTO(link) struct link l = link_new(ctx, &c);
	assert_int_equal(write(l.fds[0], big, sizeof big), (int)sizeof big);
	assert_int_equal(tls_stream_handshake(l.server, &l.why), -FAIL_LIMIT);
	AUTO(link) struct link slow = link_new(ctx, &c); /* byte by byte it is no smaller */
	assert_int_equal(write(slow.fds[0], big, 4), 4);
	assert_int_equal(tls_stream_handshake(slow.server, &slow.why), TLS_WANT_IN);
	assert_int_equal(write(slow.fds[0], big + 4, sizeof big - 4), (int)sizeof big - 4);
	assert_int_equal(tls_stream_handshake(slow.server, &slow.why), -FAIL_LIMIT);
}

static void server_names_choose(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	AUTO(pems) struct pems a = make_pems("DNS:one.example");
	AUTO(pems) struct pems b = make_pems("DNS:*.two.example,DNS:two.example");
	struct tls_identity ids[] = {identity(&a), identity(&b)};
	AUTO(tls_ctx) struct tls_ctx *ctx = NULL;
	assert_ok(tls_ctx_new(ids, 2, &ctx, &why), &why);
	const char *cases[][2] = {
		{"one.example", "one.example"},
		{"two.example", "two.example"},
		{"ONE.example", "one.example"},
		{"mx.TWO.example", "two.example"},
		{"a.b.two.example", "one.example"},
		{"other.example", "one.example"},
		{NULL, "one.example"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client c = {.sni = cases[i][0],
				   .version = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION};
		AUTO(link) struct link l = link_new(ctx, &c);
		assert_ok(shake(&l), &l.why);
		if (!presents(&l, cases[i][1]))
			fail_msg("%s did not get %s", cases[i][0], cases[i][1]);
	}
}

static void bad_identities_are_named(void **state)
{
	(void)state;
	struct fail why = FAIL_INIT;
	struct tls_ctx *ctx = NULL;
	AUTO(pems) struct pems a = make_pems("DNS:a");
	AUTO(pems) struct pems b = make_pems("DNS:b");
	struct str cut = str_sub(buf_str(&a.cert), 0, a.cert.n / 2);
	const struct {
		struct tls_identity second;
		const char *text;
	} cases[] = {
		{{buf_str(&a.cert), buf_str(&b.key)},
		 "certificate 2: the key does not belong to it"},
		{{STR(""), buf_str(&b.key)}, "certificate 2: no certificate"},
		{{cut, buf_str(&a.key)}, "certificate 2: no certificate"},
		{{buf_str(&a.cert), STR("")}, "certificate 2: no private key"},
		{{buf_str(&a.cert), buf_str(&a.cert)}, "certificate 2: no private key"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_identity ids[] = {identity(&a), cases[i].second};
		assert_int_equal(tls_ctx_new(ids, 2, &ctx, &why), -FAIL_SYNTAX);
		if (!strstr(why.detail, cases[i].text))
			fail_msg("%s", why.detail);
	}
	assert_int_equal(tls_ctx_new(NULL, 0, &ctx, &why), -FAIL_SYNTAX);
	assert_null(ctx);
	assert_int_equal(ERR_peek_error(), 0);
}

static SSL_SESSION *last_ticket;

static void keep_ticket(SSL_SESSION *session)
{
	SSL_SESSION_free(last_ticket);
	last_ticket = session;
}

/* Connects with the last ticket and keeps the one that it ends with. */
static bool resumes(struct tls_ctx *ctx, int version)
{
	struct client c = {.version = version, .resume = last_ticket};
	AUTO(link) struct link l = link_new(ctx, &c);
	assert_ok(shake(&l), &l.why);
	exchange(&l);
	keep_ticket(SSL_get1_session(l.client));
	return SSL_session_reused(l.client) == 1;
}

static bool same_ticket(const SSL_SESSION *a, const SSL_SESSION *b)
{
	const unsigned char *pa, *pb;
	size_t na, nb;
	SSL_SESSION_get0_ticket(a, &pa, &na);
	SSL_SESSION_get0_ticket(b, &pb, &nb);
	return na == nb && memcmp(pa, pb, na) == 0;
}

static void tickets_resume_and_their_keys_age(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		int64_t hour = 3600 * SEC_US, start = clock_bent_us() + 4 * hour;
		clock_bend_us(start);
		keep_ticket(NULL);
		assert_false(resumes(ctx, version));
		assert_non_null(last_ticket);
		assert_true(resumes(ctx, version));
		/* Another certificate after a reload: the keys are the process's. */
		AUTO(tls_ctx) struct tls_ctx *reloaded = one_ctx("DNS:a");
		assert_true(resumes(reloaded, version));
		/* The old key is accepted for another hour, and a new ticket comes. */
		clock_bend_us(start + hour + hour / 2);
		SSL_SESSION *old = last_ticket;
		assert_int_equal(SSL_SESSION_up_ref(old), 1);
		assert_true(resumes(ctx, version));
		assert_false(same_ticket(last_ticket, old));
		/* Later neither it nor the one after it is. */
		clock_bend_us(start + 4 * hour);
		assert_false(resumes(ctx, version));
		keep_ticket(old);
		assert_false(resumes(ctx, version));
	}
	clock_bend_us(0);
	keep_ticket(NULL);
}

static void a_reload_keeps_running_connections(void **state)
{
	(void)state;
	struct tls_ctx *old = one_ctx("DNS:old");
	struct client c = {0};
	AUTO(link) struct link l = link_new(old, &c);
	tls_ctx_unref(old);
	AUTO(tls_ctx) struct tls_ctx *fresh = one_ctx("DNS:new");
	AUTO(link) struct link m = link_new(fresh, &c);
	assert_ok(shake(&l), &l.why);
	assert_ok(shake(&m), &m.why);
	exchange(&l);
	assert_true(presents(&l, "old"));
	assert_true(presents(&m, "new"));
	struct tls_ctx *again = tls_ctx_ref(fresh);
	tls_ctx_unref(again);
	tls_ctx_unref(NULL);
}

/*
 * The client's bytes reach the server one at a time: it asks for more each time, never blocks or
 * fails.
 */
static void one_byte_at_a_time(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct client c = {.version = version};
		AUTO(link) struct link l = link_new(ctx, &c);
		int mid[2];
		char byte, got = 0;
		size_t n;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, mid), 0);
		(void)SSL_set_fd(l.client, mid[0]);
		int server = TLS_WANT_IN, client = 0;
		for (int i = 0; i < 20000 && !(server == TLS_OK && client == 1); i++) {
			if (client != 1)
				client = SSL_do_handshake(l.client);
			if (read(mid[1], &byte, 1) == 1)
				assert_int_equal(write(l.fds[0], &byte, 1), 1);
			if (server != TLS_OK) {
				server = tls_stream_handshake(l.server, &l.why);
				assert_ok(server, &l.why);
			}
			char back[4096];
			ssize_t r = read(l.fds[0], back, sizeof back);
			if (r > 0)
				assert_int_equal(write(mid[1], back, (size_t)r), r);
		}
		assert_int_equal(server, TLS_OK);
		assert_int_equal(SSL_write(l.client, "z", 1), 1);
		int want_in = 0, r = TLS_WANT_IN;
		while (r == TLS_WANT_IN && read(mid[1], &byte, 1) == 1) {
			assert_int_equal(write(l.fds[0], &byte, 1), 1);
			r = tls_stream_read(l.server, &got, 1, &n, &l.why);
			want_in += r == TLS_WANT_IN;
		}
		assert_int_equal(r, TLS_OK);
		assert_int_equal(got, 'z');
		assert_true(want_in > 15);
		(void)close(mid[0]);
		(void)close(mid[1]);
	}
}

/* A large text through a full socket, from a buffer that moves between the calls. */
static void writing_waits_and_goes_on(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	struct client c = {0};
	AUTO(link) struct link l = link_new(ctx, &c);
	assert_ok(shake(&l), &l.why);
	size_t total = MIB(3), sent = 0, received = 0, waits = 0;
	char *text = malloc(total);
	for (size_t i = 0; i < total; i++)
		text[i] = (char)(i * 7 + i / 251);
	while (received < total) {
		size_t n = 0;
		if (sent < total) {
			size_t offer = MIN(total - sent, KIB(100));
			char *moved = malloc(offer);
			memcpy(moved, text + sent, offer);
			int r = tls_stream_write(l.server, str_make(moved, offer), &n, &l.why);
			free(moved);
			assert_ok(r, &l.why);
			assert_true(r == TLS_OK || r == TLS_WANT_OUT);
			waits += r == TLS_WANT_OUT;
			sent += n;
			if (r == TLS_OK)
				continue;
		}
		char into[5000];
		while (SSL_read_ex(l.client, into, sizeof into, &n) == 1) {
			assert_memory_equal(into, text + received, n);
			received += n;
		}
	}
	assert_true(waits > 3);
	free(text);
}

static void ends_are_seen(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	for (int polite = 0; polite < 2; polite++) {
		struct client c = {0};
		AUTO(link) struct link l = link_new(ctx, &c);
		char byte;
		size_t n;
		tls_stream_close_notify(l.server); /* before the handshake: nothing happens */
		assert_ok(shake(&l), &l.why);
		assert_int_equal(tls_stream_read(l.server, &byte, 1, &n, &l.why), TLS_WANT_IN);
		if (polite)
			(void)SSL_shutdown(l.client);
		else
			(void)shutdown(l.fds[0], SHUT_WR);
		assert_int_equal(tls_stream_read(l.server, &byte, 1, &n, &l.why), TLS_EOF);
		tls_stream_close_notify(l.server);
		assert_int_equal(SSL_read(l.client, &byte, 1), 0);
		assert_int_equal(SSL_get_error(l.client, 0), SSL_ERROR_ZERO_RETURN);
	}
	struct client c = {0};
	AUTO(link) struct link l = link_new(ctx, &c);
	size_t n;
	int r = TLS_OK;
	assert_ok(shake(&l), &l.why);
	(void)shutdown(l.fds[0], SHUT_RDWR); /* writing to a socket that is gone: no SIGPIPE */
	for (int i = 0; i < 3 && r == TLS_OK; i++)
		r = tls_stream_write(l.server, STR("x"), &n, &l.why);
	assert_int_equal(r, -FAIL_PEER);
}

static void renegotiation_is_refused(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	struct client c = {.version = TLS1_2_VERSION};
	AUTO(link) struct link l = link_new(ctx, &c);
	char byte;
	size_t n;
	assert_ok(shake(&l), &l.why);
	assert_int_equal(SSL_renegotiate(l.client), 1);
	(void)SSL_do_handshake(l.client);
	(void)!tls_stream_read(l.server, &byte, 1, &n, &l.why);
	int r = SSL_do_handshake(l.client);
	assert_true(r <= 0 && SSL_get_error(l.client, r) == SSL_ERROR_SSL);
	ERR_clear_error();
}

/* Each is answered inside of one read: without a bound that read would not end. */
static void key_updates_have_a_bound(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	struct client c = {.version = TLS1_3_VERSION};
	AUTO(link) struct link l = link_new(ctx, &c);
	char byte;
	size_t n = 0;
	assert_ok(shake(&l), &l.why);
	for (unsigned i = 0; i < 20; i++) { /* a few are fine */
		assert_int_equal(SSL_key_update(l.client, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_write(l.client, "x", 1), 1);
		assert_ok(tls_stream_read(l.server, &byte, 1, &n, &l.why), &l.why);
		assert_int_equal(n, 1);
	}
	int r = TLS_WANT_IN;
	for (unsigned i = 0; i < 200 && r == TLS_WANT_IN; i++) {
		assert_int_equal(SSL_key_update(l.client, SSL_KEY_UPDATE_REQUESTED), 1);
		(void)SSL_do_handshake(l.client);
		ERR_clear_error();
		r = tls_stream_read(l.server, &byte, 1, &n, &l.why);
	}
	assert_int_equal(r, -FAIL_LIMIT);
	assert_int_equal(tls_stream_read(l.server, &byte, 1, &n, &l.why), -FAIL_PEER);
}

static void alpn_keeps_others_out(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	const struct {
		const char *offer;
		int want;
	} cases[] = {
		{"\2h2\4imap", TLS_OK}, {"\4imap", TLS_OK}, {"\2h2", -FAIL_PEER}, {NULL, TLS_OK}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client c = {.alpn = cases[i].offer};
		AUTO(link) struct link l = link_new(ctx, &c);
		tls_stream_expect_alpn(l.server, "imap");
		assert_int_equal(shake(&l), cases[i].want);
	}
	struct client c = {.alpn = "\2h2"};
	AUTO(link)
	struct link l = link_new(ctx, &c); /* nothing expected: whatever they offer is fine */
	assert_ok(shake(&l), &l.why);
}

static void use_pems(SSL *ssl, const struct pems *p)
{
	BIO *bio = BIO_new_mem_buf(p->cert.p, (int)p->cert.n);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	bio = BIO_new_mem_buf(p->key.p, (int)p->key.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert_int_equal(SSL_use_certificate(ssl, cert), 1);
	assert_int_equal(SSL_use_PrivateKey(ssl, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* One that nobody has signed is as good as any, and none is, too; who is not asked shows none. */
static void clients_are_asked_who_they_are(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:mx.example");
	AUTO(pems) struct pems p = make_pems("DNS:client.example");
	for (unsigned i = 0; i < 8; i++) {
		bool ask = i & 1, shows = i & 2;
		struct client c = {.version = i & 4 ? TLS1_3_VERSION : TLS1_2_VERSION};
		struct tls_client_names names;
		AUTO(link) struct link l = link_new(ctx, &c);
		if (ask)
			tls_stream_ask_certificate(l.server);
		if (shows)
			use_pems(l.client, &p);
		tls_stream_client_names(l.server, &names);
		assert_string_equal(names.subject, "");
		assert_ok(shake(&l), &l.why);
		exchange(&l);
		tls_stream_client_names(l.server, &names);
		assert_string_equal(names.subject, ask && shows ? "DNS:client.example" : "");
		assert_string_equal(names.issuer, names.subject);
	}
}

static void channel_binding_is_equal_on_both_ends(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	static const char label[] = "EXPORTER-Channel-Binding";
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct client c = {.version = version};
		AUTO(link) struct link l = link_new(ctx, &c);
		unsigned char ours[32], theirs[32];
		assert_int_equal(tls_stream_exporter(l.server, ours, &l.why), -FAIL_UNSUPPORTED);
		assert_ok(shake(&l), &l.why);
		assert_ok(tls_stream_exporter(l.server, ours, &l.why), &l.why);
		assert_int_equal(SSL_export_keying_material(l.client, theirs, 32, label,
							    sizeof label - 1,
							    (const unsigned char *)"", 0, 1),
				 1);
		assert_memory_equal(ours, theirs, 32);
	}
	struct client c = {.version = TLS1_2_VERSION};
	AUTO(link) struct link l = link_new(ctx, &c);
	unsigned char ours[32];
	(void)SSL_set_options(l.client, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	assert_ok(shake(&l), &l.why);
	assert_int_equal(tls_stream_exporter(l.server, ours, &l.why), -FAIL_UNSUPPORTED);
}

static size_t in_use(void)
{
	return mallinfo2().uordblks; /* 0 under AddressSanitizer */
}

/* What one more connection costs when it is quiet; the client's side is in it, too. */
static void quiet_streams_are_small(void **state)
{
	(void)state;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	struct client c = {0};
	AUTO(link) struct link l = link_new(ctx, &c);
	char bytes[3];
	size_t n;
	assert_ok(shake(&l), &l.why);
	exchange(&l);
	size_t before = in_use();
	exchange(&l);
	assert_int_equal(SSL_write(l.client, "abc", 3), 3);
	assert_int_equal(tls_stream_read(l.server, bytes, 3, &n, &l.why), TLS_OK);
	assert_int_equal(tls_stream_read(l.server, bytes, 3, &n, &l.why), TLS_WANT_IN);
	size_t after = in_use();
	(void)printf("%zd bytes more than before it spoke\n", (ssize_t)(after - before));
	assert_true(after <= before + 1000);
	/* With a record half read it must not lose it. */
	assert_int_equal(SSL_write(l.client, "abc", 3), 3);
	assert_int_equal(tls_stream_read(l.server, bytes, 1, &n, &l.why), TLS_OK);
	assert_true(in_use() == 0 || in_use() > after + KIB(15));
	assert_int_equal(tls_stream_read(l.server, bytes + 1, 2, &n, &l.why), TLS_OK);
	assert_int_equal(n, 2);
	assert_memory_equal(bytes, "abc", 3);
}

/* In a child without any right to files: everything that a handshake needs was loaded before. */
static void it_works_inside_the_sandbox(void **state)
{
	(void)state;
	int status;
	AUTO(tls_ctx) struct tls_ctx *ctx = one_ctx("DNS:a");
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_profile p = {.role = "test"};
		struct sandbox_report report;
		struct fail why = FAIL_INIT;
		while (spare_n < ARRAY_LEN(spare))
			make_pair(spare[spare_n++]);
		if (sandbox_enter(&p, &report, &why) < 0)
			_exit(1);
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
			for (int twice = 0; twice < 2; twice++)
				if (resumes(ctx, version) != (twice == 1))
					_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_versions),
		cmocka_unit_test(old_versions_are_refused),
		cmocka_unit_test(plain_text_is_refused),
		cmocka_unit_test(a_huge_first_message_is_refused),
		cmocka_unit_test(server_names_choose),
		cmocka_unit_test(bad_identities_are_named),
		cmocka_unit_test(tickets_resume_and_their_keys_age),
		cmocka_unit_test(a_reload_keeps_running_connections),
		cmocka_unit_test(one_byte_at_a_time),
		cmocka_unit_test(writing_waits_and_goes_on),
		cmocka_unit_test(ends_are_seen),
		cmocka_unit_test(renegotiation_is_refused),
		cmocka_unit_test(key_updates_have_a_bound),
		cmocka_unit_test(alpn_keeps_others_out),
		cmocka_unit_test(clients_are_asked_who_they_are),
		cmocka_unit_test(channel_binding_is_equal_on_both_ends),
		cmocka_unit_test(quiet_streams_are_small),
		cmocka_unit_test(it_works_inside_the_sandbox),
	};
	tls_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
