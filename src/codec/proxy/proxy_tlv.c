/* SPDX-License-Identifier: Apache-2.0 */
/* The extensions of version 2: type, length, value. Unknown ones are skipped, as they must be. */
#include "base/utf8.h"
#include "codec/proxy/proxy_int.h"

enum {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_CRC32C = 0x03,
	TLV_SSL = 0x20,
	SSL_VERSION = 0x21,
	SSL_CN = 0x22,
	SSL_CIPHER = 0x23,
};
enum { CLIENT_SSL = 0x01, CLIENT_CERT_CONN = 0x02, CLIENT_CERT_SESS = 0x04 };

#define TLV_HEAD 3
#define SSL_HEAD 5

static int wrong(struct fail *why, const char *what)
{
	return fail_set(why, FAIL_SYNTAX, NULL, "PROXY header: %s", what);
}

/* Printable and not too long; it will be shown in logs and headers. */
static bool is_text(struct str s, bool ascii)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= 0x20 || c == 0x7f || (ascii && c >= 0x80))
			return false;
	}
	return s.n <= PROXY_TEXT_MAX && utf8_valid(s);
}

static int keep(struct str value, bool ascii, struct str *ret, struct fail *why)
{
	if (ret->p)
		return wrong(why, "an extension is given twice");
	if (!is_text(value, ascii))
		return wrong(why, "an extension is not printable, or too long");
	*ret = value.n ? value : STR("");
	return 0;
}

static bool next_tlv(struct str *rest, unsigned *ret_type, struct str *ret_value)
{
	if (rest->n < TLV_HEAD)
		return false;
	size_t n = proxy_u16(*rest, 1);
	if (n > rest->n - TLV_HEAD)
		return false;
	*ret_type = (unsigned char)rest->p[0];
	*ret_value = str_sub(*rest, TLV_HEAD, TLV_HEAD + n);
	*rest = str_skip(*rest, TLV_HEAD + n);
	return true;
}

/* --- CRC32C (RFC 3720 appendix B.4), reflected polynomial
 * ---------------------------------------------------- */

static uint32_t crc32c(uint32_t crc, struct str bytes)
{
	crc = ~crc;
	for (size_t i = 0; i < bytes.n; i++) {
		crc ^= (unsigned char)bytes.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

/* Over the whole header, the sum itself taken as zero. */
static int check_crc(struct str header, struct str value, struct fail *why)
{
	static const struct str zeros = STR("\0\0\0\0");
	if (value.n != 4)
		return wrong(why, "its checksum has not four bytes");
	size_t at = (size_t)(value.p - header.p);
	uint32_t crc = crc32c(0, str_sub(header, 0, at));
	crc = crc32c(crc, zeros);
	crc = crc32c(crc, str_skip(header, at + 4));
	return crc == proxy_u32(value, 0) ? 0 : wrong(why, "its checksum does not fit");
}

/* --- TLS at the proxy
 * -------------------------------------------------------------------------------------- */

static int read_ssl(struct str value, struct proxy_ssl *ret, struct fail *why)
{
	if (value.n < SSL_HEAD)
		return wrong(why, "the extension about TLS is too short");
	unsigned client = (unsigned char)value.p[0], type;
	ret->used = client & CLIENT_SSL;
	ret->certificate = client & (CLIENT_CERT_CONN | CLIENT_CERT_SESS);
	ret->verified = ret->certificate && proxy_u32(value, 1) == 0;
	struct str rest = str_skip(value, SSL_HEAD), one;
	while (rest.n) {
		int r = 0;
		if (!next_tlv(&rest, &type, &one))
			return wrong(why, "the extension about TLS is cut");
		if (type == SSL_VERSION)
			r = keep(one, true, &ret->version, why);
		else if (type == SSL_CIPHER)
			r = keep(one, true, &ret->cipher, why);
		else if (type == SSL_CN && !ret->common_name.p && one.n <= PROXY_TEXT_MAX &&
			 utf8_valid(one))
			ret->common_name = one.n ? one : STR(""); /* a name may hold blanks */
		if (r < 0)
			return r;
	}
	return 0;
}

int proxy_read_tlvs(struct str header, size_t at, struct proxy_header *ret, struct fail *why)
{
	struct str rest = str_skip(header, at), value;
	bool seen[256] = {false};
	unsigned type;
	while (rest.n) {
		int r = 0;
		if (!next_tlv(&rest, &type, &value))
			return wrong(why, "an extension is cut");
		if (type == TLV_ALPN)
			r = keep(value, true, &ret->alpn, why);
		else if (type == TLV_AUTHORITY)
			r = keep(value, false, &ret->authority, why);
		else if (type == TLV_CRC32C)
			r = seen[type] ? wrong(why, "its checksum is given twice")
				       : check_crc(header, value, why);
		else if (type == TLV_SSL)
			r = seen[type] ? wrong(why, "TLS is described twice")
				       : read_ssl(value, &ret->ssl, why);
		if (r < 0)
			return r;
		seen[type] = true;
	}
	return 0;
}
