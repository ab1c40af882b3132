/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/test.h"
#include "codec/proxy/proxy.h"
#include <arpa/inet.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static void assert_endpoint(const struct endpoint *e, const char *want)
{
	char text[64] = "-";
	if (e->family)
		(void)inet_ntop(e->family == ENDPOINT_V4 ? AF_INET : AF_INET6, e->bytes, text,
				sizeof text);
	size_t n = strlen(text);
	(void)snprintf(text + n, sizeof text - n, " %u", e->port);
	assert_string_equal(text, want);
}

/* Feed `wire` and three bytes of somebody else, in pieces of `chunk`; returns what was taken. */
static int feed(struct str wire, size_t chunk, struct proxy_header *ret, struct buf *taken)
{
	AUTO(buf) struct buf all = BUF_INIT(KIB(8));
	struct fail why = FAIL_INIT;
	(void)buf_add(&all, wire);
	(void)buf_add(&all, STR("\x16\x03\x01"));
	struct str left = buf_str(&all);
	buf_reset(taken);
	for (;;) {
		int r = proxy_parse(taken->n ? buf_str(taken) : STR(""), ret, &why);
		struct str waiting = str_sub(left, 0, chunk);
		if (r != 0 || waiting.n == 0)
			return r;
		size_t n = proxy_take(taken->n ? buf_str(taken) : STR(""), waiting);
		assert_true(n > 0 && n <= waiting.n);
		(void)buf_add(taken, str_sub(waiting, 0, n));
		left = str_skip(left, n);
	}
}

static void version_1(void **state)
{
	(void)state;
	static const struct {
		const char *line, *from, *to; /* NULL: wrong */
	} rows[] = {
		{"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n", "192.0.2.1 56324",
		 "198.51.100.2 25"},
		{"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", "2001:db8::1 65535", "::1 0"},
		{"PROXY UNKNOWN\r\n", "- 0", "- 0"},
		{"PROXY UNKNOWN ffff::1 whatever it is\r\n", "- 0", "- 0"},
		{"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1 "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff2 65535 65535\r\n",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1 65535",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff2 65535"},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\n", NULL, NULL},
		{"PROXY TCP4  192.0.2.1 198.51.100.2 56324 25\r\n", NULL, NULL},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25 \r\n", NULL, NULL},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n", NULL, NULL},
		{"PROXY TCP4 192.0.2.01 198.51.100.2 56324 25\r\n", NULL, NULL},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", NULL, NULL},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 056 25\r\n", NULL, NULL},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n", NULL, NULL},
		{"PROXY TCP4 ::1 ::1 1 25\r\n", NULL, NULL},
		{"PROXY TCP6 192.0.2.1 198.51.100.2 1 25\r\n", NULL, NULL},
		{"PROXY UDP4 192.0.2.1 198.51.100.2 1 25\r\n", NULL, NULL},
		{"PROXY \r\n", NULL, NULL},
		{"PROXY\r\n", NULL, NULL},
		{"proxy TCP4 192.0.2.1 198.51.100.2 1 25\r\n", NULL, NULL},
		{"EHLO client.example\r\n", NULL, NULL},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 1 25"
		 "                                                                        \r\n",
		 NULL, NULL},
	};
	AUTO(buf) struct buf taken = BUF_INIT(KIB(8));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t chunk = 1; chunk < strlen(rows[i].line) + 9; chunk++) {
			struct proxy_header h = {0};
			int r = feed(str_c(rows[i].line), chunk, &h, &taken);
			if (r != (rows[i].from ? 1 : -FAIL_SYNTAX))
				fail_msg("%s: %d", rows[i].line, r);
			if (r < 0)
				continue;
			assert_str(buf_str(&taken), rows[i].line); /* and nothing behind it */
			assert_int_equal(h.version, 1);
			assert_endpoint(&h.from, rows[i].from);
			assert_endpoint(&h.to, rows[i].to);
			assert_int_equal(h.local, rows[i].from[0] == '-');
		}
}

#define V4 "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x00\x19"
#define V6                                                                                         \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                               \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"                                                       \
	"\x01\x02\x03\xe1"

static void version_2(void **state)
{
	(void)state;
	static const struct {
		struct str wire;
		const char *from, *to; /* NULL: wrong */
	} rows[] = {
		{STR(SIG "\x21\x11\x00\x0c" V4), "192.0.2.1 56324", "198.51.100.2 25"},
		{STR(SIG "\x21\x21\x00\x24" V6), "2001:db8::1 258", "::1 993"},
		{STR(SIG "\x20\x00\x00\x00"), "- 0", "- 0"},
		{STR(SIG "\x20\x11\x00\x0c" V4), "- 0", "- 0"}, /* LOCAL: not to be believed */
		{STR(SIG "\x21\x00\x00\x00"), "- 0", "- 0"},
		{STR(SIG "\x21\x11\x00\x12" V4 "\x04\x00\x03\0\0\0"), "192.0.2.1 56324",
		 "198.51.100.2 25"}, /* NOOP */
		{STR(SIG "\x21\x11\x00\x10" V4 "\xee\x00\x01x"), "192.0.2.1 56324",
		 "198.51.100.2 25"}, /* unknown */
		{STR(SIG "\x22\x11\x00\x0c" V4), NULL, NULL},
		{STR(SIG "\x11\x11\x00\x0c" V4), NULL, NULL},
		{STR(SIG "\x21\x12\x00\x0c" V4), NULL, NULL}, /* UDP */
		{STR(SIG "\x21\x41\x00\x0c" V4), NULL, NULL}, /* no such family */
		{STR(SIG "\x21\x11\x00\x0b" V4), NULL, NULL}, /* too short */
		{STR(SIG "\x21\x21\x00\x0c" V4), NULL, NULL},
		{STR(SIG "\x21\x11\x00\x0e" V4 "\x04\x00"), NULL, NULL}, /* a cut extension */
		{STR(SIG "\x21\x11\x00\x0f" V4 "\x04\x00\x01"), NULL, NULL},
		{STR(SIG "\x21\x11\x10\x00"), NULL, NULL}, /* 4112 bytes */
		{STR("\r\n\r\n\0\r\nQUIX\n\x21\x11\x00\x0c" V4), NULL, NULL},
	};
	AUTO(buf) struct buf taken = BUF_INIT(KIB(8));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t chunk = 1; chunk < rows[i].wire.n + 9; chunk++) {
			struct proxy_header h = {0};
			int r = feed(rows[i].wire, chunk, &h, &taken);
			if (r != (rows[i].from ? 1 : -FAIL_SYNTAX))
				fail_msg("row %zu: %d", i, r);
			if (r < 0)
				continue;
			assert_int_equal(taken.n, rows[i].wire.n);
			assert_int_equal(h.version, 2);
			assert_endpoint(&h.from, rows[i].from);
			assert_endpoint(&h.to, rows[i].to);
			assert_int_equal(h.local, rows[i].from[0] == '-');
		}
}

/* The header with these extensions behind TCP4 addresses. */
static int with_tlvs(struct str tlvs, struct buf *wire, struct proxy_header *ret)
{
	struct fail why = FAIL_INIT;
	size_t n = 12 + tlvs.n;
	buf_reset(wire);
	(void)buf_add(wire, STR(SIG "\x21\x11"));
	(void)buf_addc(wire, (char)(n >> 8));
	(void)buf_addc(wire, (char)n);
	(void)buf_add(wire, STR(V4));
	(void)buf_add(wire, tlvs);
	return proxy_parse(buf_str(wire), ret, &why);
}

static void extensions(void **state)
{
	(void)state;
	AUTO(buf) struct buf wire = BUF_INIT(KIB(8));
	struct proxy_header h;
	assert_int_equal(with_tlvs(STR("\x01\x00\x04imap"
				       "\x02\x00\x0dmail.a.ex.net"
				       "\x20\x00\x28\x01\x00\x00\x00\x00"
				       "\x21\x00\x07TLSv1.3"
				       "\x23\x00\x16TLS_AES_256_GCM_SHA384"),
				   &wire, &h),
			 1);
	assert_str(h.alpn, "imap");
	assert_str(h.authority, "mail.a.ex.net");
	assert_true(h.ssl.used && !h.ssl.certificate && !h.ssl.verified);
	assert_str(h.ssl.version, "TLSv1.3");
	assert_str(h.ssl.cipher, "TLS_AES_256_GCM_SHA384");
	/* A certificate that was verified, and one that was not. */
	assert_int_equal(with_tlvs(STR("\x20\x00\x0d\x07\x00\x00\x00\x00\x22\x00\x05"
				       "A Key"),
				   &wire, &h),
			 1);
	assert_true(h.ssl.certificate && h.ssl.verified);
	assert_str(h.ssl.common_name, "A Key");
	assert_int_equal(with_tlvs(STR("\x20\x00\x05\x03\x00\x00\x00\x01"), &wire, &h), 1);
	assert_true(h.ssl.certificate && !h.ssl.verified);
	static const struct str bad[] = {
		STR("\x20\x00\x04\x01\x00\x00\x00"),	     /* cut */
		STR("\x20\x00\x06\x01\x00\x00\x00\x00\x21"), /* cut inside */
		STR("\x20\x00\x09\x01\x00\x00\x00\x00\x21\x00\x02"
		    "x"), /* longer than its frame */
		STR("\x20\x00\x0a\x01\x00\x00\x00\x00\x21\x00\x02"
		    "a\n"), /* would forge a header */
		STR("\x01\x00\x01"
		    "a\x01\x00\x01"
		    "b"), /* twice */
		STR("\x02\x00\x03"
		    "a\r\n"),
		STR("\x02\x00\x02"
		    "a\xff"),
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (with_tlvs(bad[i], &wire, &h) != -FAIL_SYNTAX)
			fail_msg("extension %zu", i);
}

/* Computed by another implementation, which gives 0xe3069283 for "123456789". */
#define CHECKSUM "\x7f\xab\x4a\xb2"

static void a_checksum_is_checked(void **state)
{
	(void)state;
	AUTO(buf) struct buf wire = BUF_INIT(KIB(8));
	struct proxy_header h;
	assert_int_equal(with_tlvs(STR("\x03\x00\x04" CHECKSUM), &wire, &h), 1);
	for (size_t at = 16; at < wire.n; at++) { /* any changed byte behind the fixed part */
		struct fail why = FAIL_INIT;
		if (at >= 28 && at < 31)
			continue; /* type and length: another extension */
		wire.p[at] ^= 1;
		assert_int_equal(proxy_parse(buf_str(&wire), &h, &why), -FAIL_SYNTAX);
		wire.p[at] ^= 1;
	}
	assert_int_equal(with_tlvs(STR("\x03\x00\x03\x00\x00\x00"), &wire, &h), -FAIL_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1),
		cmocka_unit_test(version_2),
		cmocka_unit_test(extensions),
		cmocka_unit_test(a_checksum_is_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
