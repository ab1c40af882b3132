/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_utf7.h"
#include "base/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int digit_value(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;
	return p ? (int)(p - alphabet) : -1;
}

static bool is_direct(uint32_t cp)
{
	return cp >= 0x20 && cp <= 0x7e;
}
static bool is_control(uint32_t cp)
{
	return cp < 0x20 || cp == 0x7f;
}

/* UTF-16 units of one shift become UTF-8. `high` is a surrogate that waits for its other half. */
static int put_unit(struct buf *out, uint32_t unit, uint32_t *high)
{
	bool low = unit >= 0xdc00 && unit <= 0xdfff;
	if (low != (*high != 0) || is_direct(unit) || is_control(unit))
		return -FAIL_SYNTAX;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return 0;
	}
	uint32_t cp = low ? 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00) : unit;
	*high = 0;
	return utf8_put(out, cp);
}

static int decode_shift(struct buf *out, struct str digits)
{
	uint32_t bits = 0;
	uint32_t high = 0;
	unsigned have = 0;
	for (size_t i = 0; i < digits.n; i++) {
		int d = digit_value(digits.p[i]);
		if (d < 0)
			return -FAIL_SYNTAX;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have < 16)
			continue;
		have -= 16;
		int r = put_unit(out, bits >> have, &high);
		if (r < 0)
			return r;
		bits &= (1u << have) - 1;
	}
	return digits.n == 0 || high || have >= 6 || bits ? -FAIL_SYNTAX : 0;
}

static int decode(struct buf *out, struct str in)
{
	size_t shift_end = SIZE_MAX; /* where the last shift ended: no other may begin there */
	for (size_t i = 0; i < in.n; i++) {
		if (!is_direct((unsigned char)in.p[i]))
			return -FAIL_SYNTAX;
		if (in.p[i] != '&') {
			(void)buf_addc(out, in.p[i]);
			continue;
		}
		size_t end = str_find(in, i, '-');
		if (end == in.n)
			return -FAIL_SYNTAX;
		struct str digits = str_sub(in, i + 1, end);
		if (digits.n == 0) {
			(void)buf_addc(out, '&');
		} else {
			int r = i == shift_end ? -FAIL_SYNTAX : decode_shift(out, digits);
			if (r < 0)
				return r;
			shift_end = end + 1;
		}
		i = end;
	}
	return out->failed ? -FAIL_LIMIT : 0;
}

int imap_utf7_decode(struct buf *out, struct str in)
{
	size_t before = out->n;
	int r = decode(out, in);
	if (r < 0 && out->p)
		buf_cut(out, before);
	return r;
}

/* The characters from *pos on that need a shift, as its digits. */
static int encode_shift(struct buf *out, struct str in, size_t *pos)
{
	uint64_t bits = 0;
	unsigned have = 0;
	while (*pos < in.n && (unsigned char)in.p[*pos] >= 0x80) {
		uint32_t cp = utf8_next(in, pos);
		if (cp >= 0x10000) {
			cp -= 0x10000;
			bits = bits << 32 | (0xd800 + (cp >> 10)) << 16 | (0xdc00 + (cp & 0x3ff));
			have += 32;
		} else {
			bits = bits << 16 | cp;
			have += 16;
		}
		for (; have >= 6; have -= 6)
			(void)buf_addc(out, alphabet[bits >> (have - 6) & 63]);
		bits &= (1u << have) - 1;
	}
	if (have > 0)
		(void)buf_addc(out, alphabet[bits << (6 - have) & 63]);
	return buf_addc(out, '-');
}

int imap_utf7_encode(struct buf *out, struct str in)
{
	if (!utf8_valid(in))
		return -FAIL_SYNTAX;
	for (size_t i = 0; i < in.n; i++)
		if (is_control((unsigned char)in.p[i]))
			return -FAIL_SYNTAX;
	for (size_t i = 0; i < in.n;) {
		char c = in.p[i];
		(void)buf_addc(out, (c & 0x80) ? '&' : c);
		if (c == '&')
			(void)buf_addc(out, '-');
		if (c & 0x80)
			(void)encode_shift(out, in, &i);
		else
			i++;
	}
	return out->failed ? -FAIL_LIMIT : 0;
}
