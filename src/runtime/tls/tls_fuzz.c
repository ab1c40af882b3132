/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client says before it is a TLS client: any bytes into a handshake, in pieces that the
 * first byte chooses, with and without a protocol that is expected (ALPN), over a socket as in
 * edge.
 */
#include "runtime/tls/tls_testing.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_ctx *contexts(void)
{
	struct tls_ctx *ctx = NULL;
	AUTO(pems) struct pems a = make_pems("DNS:mx.example.test,DNS:*.wild.test");
	AUTO(pems) struct pems b = make_pems("DNS:other.example.test");
	struct tls_identity ids[2] = {identity(&a), identity(&b)};
	tls_init();
	CHECK(tls_ctx_new(ids, 2, &ctx, NULL) == 0);
	return ctx;
}

static void check(struct tls_stream *s, int r)
{
	unsigned char binding[32];
	CHECK(r < 0 || r == TLS_OK || r == TLS_WANT_IN || r == TLS_WANT_OUT || r == TLS_EOF);
	CHECK(tls_stream_sni(s).n <= 255 && tls_stream_text(s).n <= 200);
	if (r != TLS_OK)
		CHECK(tls_stream_exporter(s, binding, NULL) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tls_ctx *ctx;
	struct fail why = FAIL_INIT;
	int fds[2];
	char into[4096];
	if (!ctx)
		ctx = contexts();
	if (size == 0 || size > KIB(16))
		return 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	struct tls_stream *s = tls_stream_new(ctx, fds[0]);
	if (data[0] & 1)
		tls_stream_expect_alpn(s, "imap");
	size_t step = data[0] & 2 ? size : 1u + data[0] / 4u;
	int r = TLS_WANT_IN;
	for (size_t at = 1; at < size && r == TLS_WANT_IN; at += step) {
		size_t n = MIN(step, size - at);
		CHECK(write(fds[1], data + at, n) == (ssize_t)n);
		r = tls_stream_handshake(s, &why);
		check(s, r);
		while (read(fds[1], into, sizeof into) > 0)
			continue;
	}
	(void)shutdown(fds[1], SHUT_WR);
	if (r == TLS_WANT_IN)
		check(s, tls_stream_handshake(s, &why));
	tls_stream_close_notify(s);
	tls_stream_free(s);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return 0;
}
