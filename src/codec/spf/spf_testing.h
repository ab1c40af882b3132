/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spf_testing.h - a small name service out of lines of text, for tests of this folder.
 *
 *     NAME TYPE DATA          A, AAAA, MX ("10 host"), PTR, CNAME, TXT ("\x20" for any octet)
 *     NAME TIMEOUT            what it has no record for is not answered
 *
 * Names in lower case; the fields are parted by tabs.
 */
#ifndef BARID_CODEC_SPF_SPF_TESTING_H
#define BARID_CODEC_SPF_SPF_TESTING_H

#include "base/num.h"
#include "codec/spf/spf.h"
#include <arpa/inet.h>

struct spf_zone {
	struct str text;
	unsigned asked;
};

static inline void zone_name(struct str name, struct buf *ret)
{
	struct str label;
	while (str_cut(&name, '.', &label)) {
		buf_put_u8(ret, (uint8_t)label.n);
		buf_add(ret, label);
	}
	buf_put_u8(ret, 0);
}

static inline void zone_txt(struct str data, struct buf *ret)
{
	AUTO(buf) struct buf raw = BUF_INIT(65536);
	for (size_t i = 0; i < data.n; i++) {
		uint64_t octet;
		if (data.p[i] == '\\' && i + 3 < data.n &&
		    num_parse_hex_u64(str_sub(data, i + 2, i + 4), &octet)) {
			buf_put_u8(&raw, (uint8_t)octet);
			i += 3;
		} else {
			buf_addc(&raw, data.p[i]);
		}
	}
	struct str s = buf_str(&raw);
	do {
		struct str piece = str_sub(s, 0, 255);
		buf_put_u8(ret, (uint8_t)piece.n);
		buf_add(ret, piece);
		s = str_skip(s, piece.n);
	} while (s.n);
}

static inline struct str zone_record(enum dns_type type, struct str data, struct arena *a)
{
	AUTO(buf) struct buf b = BUF_INIT(65536);
	char c[64];
	uint8_t ip[16];
	uint32_t preference;
	struct str word;
	snprintf(c, sizeof(c), "%.*s", STR_ARG(str_sub(data, 0, 60)));
	if (type == DNS_TXT) {
		zone_txt(data, &b);
	} else if (type == DNS_A || type == DNS_AAAA) {
		if (inet_pton(type == DNS_A ? AF_INET : AF_INET6, c, ip) == 1)
			buf_add(&b, str_make((const char *)ip, type == DNS_A ? 4 : 16));
	} else {
		if (type == DNS_MX && str_cut(&data, ' ', &word) &&
		    num_parse_u32(word, &preference)) {
			buf_put_u8(&b, (uint8_t)(preference >> 8));
			buf_put_u8(&b, (uint8_t)preference);
		}
		zone_name(data, &b);
	}
	return arena_str(a, buf_str(&b));
}

static inline void zone_look(struct spf_zone *z, struct str name, enum dns_type type,
			     struct arena *a, struct dns_answer *ret, unsigned depth)
{
	static const char *const types[] = {
		[DNS_A] = "A",	 [DNS_CNAME] = "CNAME", [DNS_PTR] = "PTR",
		[DNS_MX] = "MX", [DNS_TXT] = "TXT",	[DNS_AAAA] = "AAAA"};
	struct str rest = z->text, line, who, kind;
	bool dead = false;
	*ret = (struct dns_answer){.outcome = DNS_NXDOMAIN, .ttl = 300, .canonical = name};
	ret->records = arena_array(a, struct str, 50);
	if (!ret->records)
		rest = STR_NULL, ret->outcome = DNS_FAILED;
	while (str_cut(&rest, '\n', &line)) {
		if (!str_cut(&line, '\t', &who) || !str_eqi(who, name))
			continue;
		if (ret->outcome == DNS_NXDOMAIN)
			ret->outcome = DNS_NODATA;
		str_cut(&line, '\t', &kind);
		dead = dead || str_eq(kind, STR("TIMEOUT"));
		if (str_eq(kind, STR("CNAME")) && type != DNS_CNAME && depth < 10) {
			zone_look(z, line, type, a, ret, depth + 1);
			return;
		}
		if (!str_eq(kind, str_c(types[type])) || ret->n == 50)
			continue;
		ret->records[ret->n++] = zone_record(type, line, a);
		ret->outcome = DNS_FOUND;
	}
	if (dead && ret->n == 0)
		ret->outcome = DNS_TIMEOUT;
}

static inline void zone_ask(void *ctx, struct str name, enum dns_type type, struct arena *a,
			    struct dns_answer *ret)
{
	struct spf_zone *z = ctx;
	z->asked++;
	zone_look(z, name, type, a, ret, 0);
}

#endif
