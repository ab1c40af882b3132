/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"

int hex_encode(struct buf *out, struct str in)
{
	static const char digits[] = "0123456789abcdef";
	char *room = in.n <= SIZE_MAX / 2 ? buf_room(out, in.n * 2) : NULL;
	if (!room)
		return -FAIL_LIMIT;
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];
		room[2 * i] = digits[c >> 4];
		room[2 * i + 1] = digits[c & 15];
	}
	buf_added(out, in.n * 2);
	return 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(struct buf *out, struct str in)
{
	size_t before = out->n;
	if (in.n % 2)
		return -FAIL_SYNTAX;
	for (size_t i = 0; i < in.n; i += 2) {
		int hi = hex_value(in.p[i]);
		int lo = hex_value(in.p[i + 1]);
		if (hi < 0 || lo < 0) {
			if (out->p)
				buf_cut(out, before);
			return -FAIL_SYNTAX;
		}
		if (buf_addc(out, (char)(unsigned char)(hi << 4 | lo)) < 0)
			return -FAIL_LIMIT;
	}
	return 0;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buf *out, struct str in)
{
	size_t n = (in.n + 2) / 3 * 4;
	char *room = buf_room(out, n);
	if (!room)
		return -FAIL_LIMIT;
	for (size_t i = 0; i < in.n; i += 3, room += 4) {
		uint32_t v = (uint32_t)(unsigned char)in.p[i] << 16;
		if (i + 1 < in.n)
			v |= (uint32_t)(unsigned char)in.p[i + 1] << 8;
		if (i + 2 < in.n)
			v |= (uint32_t)(unsigned char)in.p[i + 2];
		room[0] = alphabet[v >> 18];
		room[1] = alphabet[v >> 12 & 63];
		room[2] = i + 1 < in.n ? alphabet[v >> 6 & 63] : '=';
		room[3] = i + 2 < in.n ? alphabet[v & 63] : '=';
	}
	buf_added(out, n);
	return 0;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four characters into up to three bytes; the number of bytes, or 0 when malformed. */
static size_t decode_group(const char *g, bool last, char bytes[3])
{
	size_t pad = 0;
	if (last)
		pad = g[3] == '=' ? (g[2] == '=' ? 2 : 1) : 0;
	uint32_t v = 0;
	for (size_t i = 0; i < 4; i++) {
		int d = i < 4 - pad ? base64_value(g[i]) : 0;
		if (d < 0)
			return 0;
		v = v << 6 | (uint32_t)d;
	}
	if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
		return 0; /* bits beyond the end: not canonical */
	bytes[0] = (char)(unsigned char)(v >> 16);
	bytes[1] = (char)(unsigned char)(v >> 8);
	bytes[2] = (char)(unsigned char)v;
	return 3 - pad;
}

int base64_decode(struct buf *out, struct str in)
{
	size_t before = out->n;
	if (in.n % 4)
		return -FAIL_SYNTAX;
	for (size_t i = 0; i < in.n; i += 4) {
		char bytes[3];
		size_t n = decode_group(in.p + i, i + 4 == in.n, bytes);
		if (!n) {
			if (out->p)
				buf_cut(out, before);
			return -FAIL_SYNTAX;
		}
		if (buf_add(out, (struct str){bytes, n}) < 0)
			return -FAIL_LIMIT;
	}
	return 0;
}
