/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

/* Length of the well-formed character at s.p[pos], or 0; stores its value. RFC 3629 section 4. */
static size_t decode(struct str s, size_t pos, uint32_t *ret_cp)
{
	const unsigned char *p = (const unsigned char *)s.p + pos;
	size_t left = s.n - pos;
	uint32_t cp;
	size_t n;
	if (p[0] < 0x80) {
		*ret_cp = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		n = 2;
		cp = p[0] & 0x1fu;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		n = 3;
		cp = p[0] & 0x0fu;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		n = 4;
		cp = p[0] & 0x07u;
	} else {
		return 0;
	}
	if (left < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3fu);
	}
	bool overlong = (n == 3 && cp < 0x800) || (n == 4 && cp < 0x10000);
	if (overlong || (cp >= 0xd800 && cp <= 0xdfff) || cp > 0x10ffff)
		return 0;
	*ret_cp = cp;
	return n;
}

bool utf8_valid(struct str s)
{
	uint32_t cp;
	for (size_t pos = 0; pos < s.n;) {
		size_t n = decode(s, pos, &cp);
		if (!n)
			return false;
		pos += n;
	}
	return true;
}

size_t str_ascii_run(struct str s)
{
	size_t i = 0;
	for (uint64_t w; i + 8 <= s.n; i += 8) {
		memcpy(&w, s.p + i, 8);
		if (w & UINT64_C(0x8080808080808080))
			break;
	}
	while (i < s.n && (unsigned char)s.p[i] < 0x80)
		i++;
	return i;
}

bool str_is_ascii(struct str s)
{
	return str_ascii_run(s) == s.n;
}

uint32_t utf8_next(struct str s, size_t *pos)
{
	uint32_t cp = 0xfffd;
	size_t n = decode(s, *pos, &cp);
	*pos += n ? n : 1;
	return cp;
}

int utf8_put(struct buf *b, uint32_t cp)
{
	if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		cp = 0xfffd;
	if (cp < 0x80)
		return buf_addc(b, (char)cp);
	char out[4];
	size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	for (size_t i = n; i-- > 1; cp >>= 6)
		out[i] = (char)(unsigned char)(0x80 | (cp & 0x3f));
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	out[0] = (char)(unsigned char)(lead[n] | cp);
	return buf_add(b, (struct str){out, n});
}
