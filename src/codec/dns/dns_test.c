/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/dns/dns.h"

#define BYTES(literal) ((struct str){literal, sizeof(literal) - 1})

static void names_that_may_be_asked(void **state)
{
	(void)state;
	static const char *const good[] = {"example.org", "_25._tcp.mx.example.org", "a",
					   "1.0/25.2.in-addr.arpa", "xn--bcher-kva.example"};
	static const char *const bad[] = {"",	   ".",	     "a..b",	    "a.",  ".a",  "a b",
					  "a\\.b", "a\tb.c", "b\303\274.c", "a*b", "a\"b"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!dns_name_ok(str_c(good[i])))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (dns_name_ok(str_c(bad[i])))
			fail_msg("%s", bad[i]);
	char text[300];
	memset(text, 'a', sizeof text);
	assert_true(dns_name_ok(str_make(text, 63)));
	assert_false(dns_name_ok(str_make(text, 64)));
	for (size_t i = 50; i < sizeof text; i += 50)
		text[i] = '.';
	assert_true(dns_name_ok(str_make(text, 253)));
	assert_false(dns_name_ok(str_make(text, 254)));
}

static void mx(void **state)
{
	(void)state;
	struct dns_mx m;
	assert_true(dns_read_mx(BYTES("\001\002\002Mx\007EXAMPLE\003org\000"), &m));
	assert_int_equal(m.preference, 258);
	assert_string_equal(m.host, "mx.example.org");
	assert_true(dns_read_mx(BYTES("\000\000\000"), &m)); /* RFC 7505 */
	assert_string_equal(m.host, "");
	const struct str whole = BYTES("\000\012\002mx\007example\003org\000");
	for (size_t n = 0; n < whole.n; n++)
		if (dns_read_mx(str_sub(whole, 0, n), &m))
			fail_msg("cut at %zu", n);
	assert_false(dns_read_mx(BYTES("\000\012\002mx\000x"), &m));
	assert_false(dns_read_mx(BYTES("\000\012\300\014"), &m));    /* a pointer */
	assert_false(dns_read_mx(BYTES("\000\012\003a.b\000"), &m)); /* a dot in a label */
	assert_false(dns_read_mx(BYTES("\000\012\003a\nb\000"), &m));
}

static void long_names(void **state)
{
	(void)state;
	char rdata[300], name[DNS_NAME_MAX];
	size_t at = 0;
	for (int i = 0; i < 4; i++) { /* 3 labels of 63 and one of 61: 253 characters */
		size_t n = i < 3 ? 63 : 61;
		rdata[at++] = (char)n;
		memset(rdata + at, 'x', n);
		at += n;
	}
	rdata[at++] = '\0';
	assert_true(dns_read_name(str_make(rdata, at), name));
	assert_int_equal(strlen(name), 253);
	rdata[192] = 62; /* one more than a name may have */
	rdata[at - 1] = 'x';
	rdata[at] = '\0';
	assert_false(dns_read_name(str_make(rdata, at + 1), name));
}

static void txt_and_tlsa(void **state)
{
	(void)state;
	AUTO(buf) struct buf text = BUF_INIT(100);
	assert_true(dns_read_txt(BYTES("\004v=ST\000\003Sv1"), &text));
	assert_true(str_eq(buf_str(&text), STR("v=STSv1")));
	assert_false(dns_read_txt(BYTES("\005v=ST"), &text));
	assert_false(dns_read_txt(BYTES(""), &text));
	struct dns_tlsa t;
	assert_true(dns_read_tlsa(BYTES("\003\001\002abc"), &t));
	assert_int_equal(t.usage, 3);
	assert_int_equal(t.selector, 1);
	assert_int_equal(t.matching, 2);
	assert_true(str_eq(t.data, STR("abc")));
	assert_false(dns_read_tlsa(BYTES("\003\001\002"), &t));
}

static void reverse(void **state)
{
	(void)state;
	const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x1a};
	char name[DNS_NAME_MAX], zone[250];
	assert_true(dns_reverse_name((const uint8_t *)"\177\000\000\002", 4, NULL, name));
	assert_string_equal(name, "2.0.0.127.in-addr.arpa");
	assert_true(dns_reverse_name((const uint8_t *)"\377\377\377\377", 4, "bl.example", name));
	assert_string_equal(name, "255.255.255.255.bl.example");
	assert_true(dns_reverse_name(six, 16, NULL, name));
	assert_string_equal(
		name, "a.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	memset(zone, 'z', sizeof zone - 1);
	zone[sizeof zone - 1] = '\0';
	assert_false(dns_reverse_name(six, 16, zone, name));
}

static void as_text(void **state)
{
	(void)state;
	static const struct {
		uint16_t type;
		struct str rdata;
		const char *text;
	} rows[] = {
		{DNS_A, {"\x7f\x00\x00\x02", 4}, "127.0.0.2"},
		{DNS_AAAA, {" \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16}, "2001:db8:0:0:0:0:0:1"},
		{DNS_MX, {"\0\0\0", 3}, "0 ."},
		{DNS_TXT, {"\005a\"\\\n\377", 6}, "\"a\\\"\\\\\\010\\255\""},
		{DNS_TLSA, {"\3\1\1\xab\xcd", 5}, "3 1 1 abcd"},
		{DNS_PTR, {"\1a\0", 3}, "a"},
		{DNS_A, {"\x7f", 1}, "\\# 1 7f"},
		{99, {"\1a\0", 3}, "\\# 3 016100"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf text = BUF_INIT(1000);
		dns_record_text(rows[i].type, rows[i].rdata, &text);
		assert_string_equal(buf_c(&text), rows[i].text);
	}
	assert_int_equal(dns_type_parse(STR("tlsa")), 52);
	assert_int_equal(dns_type_parse(STR("65535")), 65535);
	assert_int_equal(dns_type_parse(STR("65536")), 0);
	assert_int_equal(dns_type_parse(STR("NONSENSE")), 0);
	assert_true(dns_is_known(DNS_NXDOMAIN) && !dns_is_known(DNS_FAILED));
	assert_string_equal(dns_outcome_name(DNS_BOGUS), "bogus");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_may_be_asked),
		cmocka_unit_test(mx),
		cmocka_unit_test(long_names),
		cmocka_unit_test(txt_and_tlsa),
		cmocka_unit_test(reverse),
		cmocka_unit_test(as_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
