/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/dns/dns.h"
#include "base/check.h"
#include "base/num.h"
#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63u

static const struct {
	const char *name;
	uint16_t type;
} types[] = {{"A", DNS_A},     {"CNAME", DNS_CNAME}, {"PTR", DNS_PTR},	{"MX", DNS_MX},
	     {"TXT", DNS_TXT}, {"AAAA", DNS_AAAA},   {"TLSA", DNS_TLSA}};

const char *dns_outcome_name(enum dns_outcome o)
{
	static const char *const names[DNS_OUTCOMES] = {
		[DNS_FOUND] = "found",	 [DNS_NODATA] = "nodata", [DNS_NXDOMAIN] = "nxdomain",
		[DNS_FAILED] = "failed", [DNS_BOGUS] = "bogus",	  [DNS_TIMEOUT] = "timeout"};
	return o < DNS_OUTCOMES ? names[o] : "unknown";
}

uint16_t dns_type_parse(struct str text)
{
	uint32_t number = 0;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eqi(text, str_c(types[i].name)))
			return types[i].type;
	return num_parse_u32(text, &number) && number <= UINT16_MAX ? (uint16_t)number : 0;
}

/* --- names
 * ------------------------------------------------------------------------------------- */

static bool name_char(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '_' || c == '/';
}

bool dns_name_ok(struct str name)
{
	struct str rest = name, label;
	if (name.n == 0 || name.n >= DNS_NAME_MAX || name.p[name.n - 1] == '.')
		return false;
	while (str_cut(&rest, '.', &label)) {
		if (label.n == 0 || label.n > LABEL_MAX)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!name_char(label.p[i]))
				return false;
	}
	return true;
}

/* A name at the front of *rest, which is cut off. No pointers: whoever gave it has followed them.
 */
static bool take_name(struct str *rest, char ret[DNS_NAME_MAX])
{
	size_t at = 0;
	while (rest->n > 0) {
		size_t n = (uint8_t)rest->p[0];
		struct str label = str_sub(*rest, 1, 1 + n);
		*rest = str_skip(*rest, 1);
		if (n == 0) {
			ret[at] = '\0';
			return true;
		}
		if (n > LABEL_MAX || label.n < n || at + (at > 0) + n >= DNS_NAME_MAX)
			return false;
		if (at > 0)
			ret[at++] = '.';
		for (size_t i = 0; i < n; i++) {
			if (!name_char(label.p[i]))
				return false;
			ret[at++] = ascii_lower(label.p[i]);
		}
		*rest = str_skip(*rest, n);
	}
	return false;
}

/* --- records
 * ----------------------------------------------------------------------------------- */

bool dns_read_a(struct str rdata, uint8_t ret[4])
{
	if (rdata.n != 4)
		return false;
	memcpy(ret, rdata.p, 4);
	return true;
}

bool dns_read_aaaa(struct str rdata, uint8_t ret[16])
{
	if (rdata.n != 16)
		return false;
	memcpy(ret, rdata.p, 16);
	return true;
}

bool dns_read_name(struct str rdata, char ret[DNS_NAME_MAX])
{
	return take_name(&rdata, ret) && rdata.n == 0;
}

bool dns_read_mx(struct str rdata, struct dns_mx *ret)
{
	if (rdata.n < 3)
		return false;
	ret->preference = (uint16_t)((uint8_t)rdata.p[0] << 8 | (uint8_t)rdata.p[1]);
	return dns_read_name(str_skip(rdata, 2), ret->host);
}

bool dns_read_txt(struct str rdata, struct buf *ret)
{
	if (rdata.n == 0)
		return false;
	while (rdata.n > 0) {
		size_t n = (uint8_t)rdata.p[0];
		struct str piece = str_sub(rdata, 1, 1 + n);
		if (piece.n < n || buf_add(ret, piece) < 0)
			return false;
		rdata = str_skip(rdata, 1 + n);
	}
	return true;
}

bool dns_read_tlsa(struct str rdata, struct dns_tlsa *ret)
{
	if (rdata.n < 4)
		return false;
	*ret = (struct dns_tlsa){.usage = (uint8_t)rdata.p[0],
				 .selector = (uint8_t)rdata.p[1],
				 .matching = (uint8_t)rdata.p[2],
				 .data = str_skip(rdata, 3)};
	return true;
}

/* --- addresses
 * --------------------------------------------------------------------------------- */

bool dns_reverse_name(const uint8_t *address, size_t n, const char *zone, char ret[DNS_NAME_MAX])
{
	size_t at = 0;
	CHECK(n == 4 || n == 16);
	for (size_t i = n; i-- > 0;) {
		unsigned byte = address[i];
		at += (size_t)(n == 4 ? snprintf(ret + at, DNS_NAME_MAX - at, "%u.", byte)
				      : snprintf(ret + at, DNS_NAME_MAX - at, "%x.%x.", byte & 15u,
						 byte >> 4));
	}
	if (!zone)
		zone = n == 4 ? "in-addr.arpa" : "ip6.arpa";
	if (at + strlen(zone) >= DNS_NAME_MAX)
		return false;
	memcpy(ret + at, zone, strlen(zone) + 1);
	return true;
}

/* --- as text
 * ----------------------------------------------------------------------------------- */

static void hex_text(struct str s, struct buf *ret)
{
	for (size_t i = 0; i < s.n; i++)
		(void)buf_addf(ret, "%02x", (unsigned)(uint8_t)s.p[i]);
}

static bool address_text(uint16_t type, struct str rdata, struct buf *ret)
{
	uint8_t a[16];
	if (type == DNS_A && dns_read_a(rdata, a)) {
		(void)buf_addf(ret, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
		return true;
	}
	if (type != DNS_AAAA || !dns_read_aaaa(rdata, a))
		return false;
	for (size_t i = 0; i < 16; i += 2)
		(void)buf_addf(ret, "%s%x", i ? ":" : "", (unsigned)a[i] << 8 | a[i + 1]);
	return true;
}

static bool txt_text(struct str rdata, struct buf *ret)
{
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	if (!dns_read_txt(rdata, &text))
		return false;
	(void)buf_addc(ret, '"');
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c < ' ' || c > '~')
			(void)buf_addf(ret, "\\%03u", (unsigned)(uint8_t)c);
		else if (c == '"' || c == '\\')
			(void)buf_addf(ret, "\\%c", c);
		else
			(void)buf_addc(ret, c);
	}
	(void)buf_addc(ret, '"');
	return true;
}

static bool known_text(uint16_t type, struct str rdata, struct buf *ret)
{
	struct dns_mx mx;
	struct dns_tlsa t;
	char name[DNS_NAME_MAX];
	if (type == DNS_TXT)
		return txt_text(rdata, ret);
	if (type == DNS_MX && dns_read_mx(rdata, &mx)) {
		(void)buf_addf(ret, "%u %s", mx.preference, mx.host[0] ? mx.host : ".");
		return true;
	}
	if ((type == DNS_PTR || type == DNS_CNAME) && dns_read_name(rdata, name)) {
		(void)buf_add_c(ret, name[0] ? name : ".");
		return true;
	}
	if (type == DNS_TLSA && dns_read_tlsa(rdata, &t)) {
		(void)buf_addf(ret, "%u %u %u ", t.usage, t.selector, t.matching);
		hex_text(t.data, ret);
		return true;
	}
	return address_text(type, rdata, ret);
}

void dns_record_text(uint16_t type, struct str rdata, struct buf *ret)
{
	if (known_text(type, rdata, ret))
		return;
	(void)buf_addf(ret, "\\# %zu ", rdata.n);
	hex_text(rdata, ret);
}
