/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/smtp/xtext.h"
#include "base/num.h"
#include "base/utf8.h"

/* xchar of RFC 3461: printable ASCII but '+' and '='. */
static bool is_xchar(unsigned char c)
{
	return c > 0x20 && c < 0x7f && c != '+' && c != '=';
}

int xtext_encode(struct buf *out, struct str in)
{
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];
		if (is_xchar(c))
			buf_addc(out, (char)c);
		else
			buf_addf(out, "+%02X", c);
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

/* Value of an upper-case hexadecimal digit (lower case is not xtext), or -1. */
static int hex_value(char c)
{
	if (ascii_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int xtext_decode(struct buf *out, struct str in)
{
	for (size_t i = 0; i < in.n; i++) {
		if (is_xchar((unsigned char)in.p[i])) {
			buf_addc(out, in.p[i]);
			continue;
		}
		if (in.p[i] != '+' || i + 2 >= in.n)
			return -FAIL_SYNTAX;
		int high = hex_value(in.p[i + 1]), low = hex_value(in.p[i + 2]);
		if (high < 0 || low < 0)
			return -FAIL_SYNTAX;
		buf_addc(out, (char)(high * 16 + low));
		i += 2;
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

bool xtext_valid(struct str in)
{
	AUTO(buf) struct buf plain = BUF_INIT(in.n + 1);
	return xtext_decode(&plain, in) == 0;
}

/* QCHAR of RFC 6533: as xchar, without the backslash. */
static bool is_qchar(uint32_t c)
{
	return c < 0x80 && is_xchar((unsigned char)c) && c != '\\';
}

int utf8_addr_encode(struct buf *out, struct str in)
{
	for (size_t at = 0; at < in.n;) {
		uint32_t c = utf8_next(in, &at);
		if (is_qchar(c))
			buf_addc(out, (char)c);
		else
			buf_addf(out, "\\x{%02X}", c);
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

/* The character of an "\x{HEX}" at in[*at], moving *at behind it. */
static bool take_embedded(struct str in, size_t *at, uint32_t *ret)
{
	uint64_t c;
	size_t end = str_find(in, *at, '}');
	if (!str_starts(str_skip(in, *at), STR("\\x{")) || end == in.n)
		return false;
	struct str hex = str_sub(in, *at + 3, end);
	if (hex.n < 2 || hex.n > 6 || !num_parse_hex_u64(hex, &c) || c == 0 || c > 0x10ffff)
		return false;
	*at = end + 1;
	*ret = (uint32_t)c;
	return true;
}

int utf8_addr_decode(struct buf *out, struct str in)
{
	if (!utf8_valid(in))
		return -FAIL_SYNTAX;
	for (size_t at = 0; at < in.n;) {
		uint32_t c;
		if (in.p[at] == '\\') {
			if (!take_embedded(in, &at, &c))
				return -FAIL_SYNTAX;
		} else {
			c = utf8_next(in, &at);
			/* '+' and '=' occur in the utf-8-address form; blanks and controls in none.
			 */
			if (c <= 0x20 || c == 0x7f)
				return -FAIL_SYNTAX;
		}
		utf8_put(out, c);
	}
	return out->failed ? -FAIL_LIMIT : 0;
}
