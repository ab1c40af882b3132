/* SPDX-License-Identifier: Apache-2.0 */
/* RDATA of every type: names that come out may be asked again, texts are printable. */
#include "base/check.h"
#include "codec/dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void good_name(const char *name)
{
	CHECK(strlen(name) < DNS_NAME_MAX);
	CHECK(name[0] == '\0' || dns_name_ok(str_c(name)));
	for (const char *c = name; *c; c++)
		CHECK(*c < 'A' || *c > 'Z');
}

static void as_text(uint16_t type, struct str rdata)
{
	AUTO(buf) struct buf text = BUF_INIT(MIB(1));
	dns_record_text(type, rdata, &text);
	CHECK(!text.failed && text.n > 0);
	for (size_t i = 0; i < text.n; i++)
		CHECK(text.p[i] >= ' ' && text.p[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = {DNS_A,	  DNS_CNAME, DNS_PTR,  DNS_MX,
					 DNS_TXT, DNS_AAAA,  DNS_TLSA, 99};
	struct str rdata = {(const char *)data, MIN(size, (size_t)60000)};
	struct dns_mx mx;
	struct dns_tlsa t;
	char name[DNS_NAME_MAX];
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	if (dns_read_mx(rdata, &mx))
		good_name(mx.host);
	if (dns_read_name(rdata, name))
		good_name(name);
	if (dns_read_txt(rdata, &text))
		CHECK(text.n < rdata.n);
	if (dns_read_tlsa(rdata, &t))
		CHECK(t.data.n + 3 == rdata.n && t.data.p == rdata.p + 3);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		as_text(types[i], rdata);
	(void)dns_type_parse(rdata);
	if (dns_name_ok(rdata))
		CHECK(rdata.n < DNS_NAME_MAX && rdata.p[0] != '.');
	return 0;
}
