/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two old hashes that libcrypto does not give us in the form needed: MD4 whole (NTLM), and the
 * bare compression function of MD5 (CRAM-MD5 secrets are its inner state).
 */
#include "password_int.h"

static uint32_t rotl(uint32_t v, unsigned by)
{
	return v << by | v >> (32 - by);
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store_state(const uint32_t s[4], uint8_t out[16])
{
	for (unsigned i = 0; i < 16; i++)
		out[i] = (uint8_t)(s[i / 4] >> 8 * (i % 4));
}

static const uint32_t initial[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

/* RFC 1320 3.4. Round r uses function, order and shifts of its row. */
static void md4_block(uint32_t s[4], const uint8_t *p)
{
	static const uint8_t order[3][16] = {
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
		{0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15},
	};
	static const uint8_t shift[3][4] = {{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}};
	static const uint32_t add[3] = {0, 0x5a827999, 0x6ed9eba1};
	uint32_t v[4] = {s[0], s[1], s[2], s[3]};

	for (unsigned i = 0; i < 48; i++) {
		unsigned r = i / 16;
		uint32_t b = v[1];
		uint32_t c = v[2];
		uint32_t d = v[3];
		uint32_t f = r == 0   ? (b & c) | (~b & d)
			     : r == 1 ? (b & c) | (b & d) | (c & d)
				      : b ^ c ^ d;
		uint32_t t =
			rotl(v[0] + f + load32(p + 4 * order[r][i % 16]) + add[r], shift[r][i % 4]);
		v[0] = d;
		v[3] = c;
		v[2] = b;
		v[1] = t;
	}
	for (unsigned i = 0; i < 4; i++)
		s[i] += v[i];
}

void md4(const uint8_t *p, size_t n, uint8_t out[16])
{
	uint32_t s[4];
	uint8_t tail[128] = {0};
	size_t whole = n / 64 * 64;
	size_t rest = n - whole;
	size_t tail_len = rest < 56 ? 64 : 128;

	memcpy(s, initial, sizeof s);
	for (size_t at = 0; at < whole; at += 64)
		md4_block(s, p + at);
	if (rest > 0)
		memcpy(tail, p + whole, rest);
	tail[rest] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		tail[tail_len - 8 + i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
	for (size_t at = 0; at < tail_len; at += 64)
		md4_block(s, tail + at);
	store_state(s, out);
	explicit_bzero(tail, sizeof tail);
}

/* RFC 1321 3.4: floor(2^32 * abs(sin(i + 1))). */
static const uint32_t sines[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613,
	0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193,
	0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d,
	0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
	0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122,
	0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
	0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244,
	0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
	0xeb86d391,
};

void md5_block_state(const uint8_t block[64], uint8_t out[16])
{
	static const uint8_t shift[4][4] = {
		{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
	uint32_t v[4] = {initial[0], initial[1], initial[2], initial[3]};

	for (unsigned i = 0; i < 64; i++) {
		uint32_t b = v[1];
		uint32_t c = v[2];
		uint32_t d = v[3];
		uint32_t f = 0;
		unsigned k = 0;
		switch (i / 16) {
		case 0:
			f = (b & c) | (~b & d);
			k = i;
			break;
		case 1:
			f = (b & d) | (c & ~d);
			k = (5 * i + 1) % 16;
			break;
		case 2:
			f = b ^ c ^ d;
			k = (3 * i + 5) % 16;
			break;
		default:
			f = c ^ (b | ~d);
			k = 7 * i % 16;
		}
		uint32_t t =
			b + rotl(v[0] + f + sines[i] + load32(block + 4 * k), shift[i / 16][i % 4]);
		v[0] = d;
		v[3] = c;
		v[2] = b;
		v[1] = t;
	}
	for (unsigned i = 0; i < 4; i++)
		v[i] += initial[i];
	store_state(v, out);
}
