/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/smtp/nexthop.h"

static void forms(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum nexthop_kind kind;
		enum nexthop_protocol protocol;
		unsigned port;	    /* to connect to, with 2525 for SMTP */
		const char *normal; /* NULL: as it is */
	} rows[] = {
		{"example.net", NEXTHOP_DOMAIN, NEXTHOP_SMTP, 2525, NULL},
		{" Example.NET. ", NEXTHOP_DOMAIN, NEXTHOP_SMTP, 2525, "example.net"},
		{"example.net:2526", NEXTHOP_DOMAIN, NEXTHOP_SMTP, 2526, NULL},
		{"example.net:submission", NEXTHOP_DOMAIN, NEXTHOP_SMTP, 587, "example.net:587"},
		{"b\xc3\xbc"
		 "cher.example",
		 NEXTHOP_DOMAIN, NEXTHOP_SMTP, 2525, "xn--bcher-kva.example"},
		{"[Mail.example.net]:25", NEXTHOP_HOST, NEXTHOP_SMTP, 25, "[mail.example.net]"},
		{"[localhost]", NEXTHOP_HOST, NEXTHOP_SMTP, 2525, NULL},
		{"[192.0.2.1]:25", NEXTHOP_ADDRESS, NEXTHOP_SMTP, 25, "[192.0.2.1]"},
		{"[192.0.2.1]:26", NEXTHOP_ADDRESS, NEXTHOP_SMTP, 26, NULL},
		{"smtp:[H.example]:587", NEXTHOP_HOST, NEXTHOP_SMTP, 587, "[h.example]:587"},
		{"smtps:[h.example]:465", NEXTHOP_HOST, NEXTHOP_SMTPS, 465, "smtps:[h.example]"},
		{"[IPv6:2001:DB8::1]:25", NEXTHOP_ADDRESS, NEXTHOP_SMTP, 25, "[IPv6:2001:db8::1]"},
		{"[2001:db8::1]", NEXTHOP_ADDRESS, NEXTHOP_SMTP, 2525, "[IPv6:2001:db8::1]"},
		{"smtp:example.net", NEXTHOP_DOMAIN, NEXTHOP_SMTP, 2525, "example.net"},
		{"RELAY:[h.example]", NEXTHOP_HOST, NEXTHOP_SMTP, 2525, "[h.example]"},
		{"smtps:[h.example]", NEXTHOP_HOST, NEXTHOP_SMTPS, 465, NULL},
		{"lmtp:[127.0.0.1]:2003", NEXTHOP_ADDRESS, NEXTHOP_LMTP, 2003, NULL},
		{"lmtp:inet:h.example", NEXTHOP_HOST, NEXTHOP_LMTP, 24, "lmtp:[h.example]"},
		{"lmtp:inet:[h.example]:24", NEXTHOP_HOST, NEXTHOP_LMTP, 24, "lmtp:[h.example]"},
		{"lmtp:inet:h.example:2003", NEXTHOP_HOST, NEXTHOP_LMTP, 2003,
		 "lmtp:[h.example]:2003"},
		{"lmtp:inet:127.0.0.1", NEXTHOP_ADDRESS, NEXTHOP_LMTP, 24, "lmtp:[127.0.0.1]"},
		{"lmtp:inet:127.0.0.1:24", NEXTHOP_ADDRESS, NEXTHOP_LMTP, 24, "lmtp:[127.0.0.1]"},
		{"", NEXTHOP_RECIPIENT, NEXTHOP_SMTP, 2525, NULL},
		{"smtp:", NEXTHOP_RECIPIENT, NEXTHOP_SMTP, 2525, ""},
		{"smtp::2526", NEXTHOP_RECIPIENT, NEXTHOP_SMTP, 2526, NULL},
		{"lmtp:", NEXTHOP_RECIPIENT, NEXTHOP_LMTP, 24, NULL},
		{"smtps.:1", NEXTHOP_DOMAIN, NEXTHOP_SMTP, 1, "smtp:smtps:1"},
		{"smtp:hold:26", NEXTHOP_DOMAIN, NEXTHOP_SMTP, 26, NULL},
		{"discard:", NEXTHOP_DISCARD, NEXTHOP_SMTP, 2525, NULL},
		{"hold: look at it", NEXTHOP_HOLD, NEXTHOP_SMTP, 2525, "hold:look at it"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf normal = BUF_INIT(KIB(1));
		struct nexthop h;
		if (nexthop_parse(str_c(rows[i].text), &h) < 0)
			fail_msg("%s", rows[i].text);
		assert_int_equal(h.kind, rows[i].kind);
		assert_int_equal(h.protocol, rows[i].protocol);
		assert_int_equal(nexthop_port(&h, 2525), rows[i].port);
		assert_int_equal(nexthop_write(&h, &normal), 0);
		assert_string_equal(buf_c(&normal), rows[i].normal ? rows[i].normal : rows[i].text);
	}
}

static void parts(void **state)
{
	(void)state;
	struct nexthop h;
	assert_int_equal(nexthop_parse(STR("[192.0.2.7]:26"), &h), 0);
	assert_int_equal(h.address.family, ENDPOINT_V4);
	assert_memory_equal(h.address.bytes, "\xc0\x00\x02\x07", 4);
	assert_int_equal(nexthop_parse(STR("[h.example]"), &h), 0);
	assert_string_equal(h.name, "h.example");
	assert_int_equal(nexthop_parse(STR("error:5.1.2 No such  domain"), &h), 0);
	assert_string_equal(h.status, "5.1.2");
	assert_str(h.text, "No such  domain");
	assert_int_equal(nexthop_parse(STR("Error: moved away"), &h), 0);
	assert_string_equal(h.status, "5.0.0");
	assert_str(h.text, "moved away");
	assert_int_equal(nexthop_parse(STR("error:4.3.0"), &h), 0);
	assert_string_equal(h.status, "4.3.0");
	assert_str(h.text, "");
	assert_int_equal(nexthop_parse(STR("error:2.0.0 fine"), &h), 0);
	assert_string_equal(h.status, "5.0.0");
	assert_str(h.text, "2.0.0 fine");
}

static void what_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{"192.0.2.1", FAIL_SYNTAX},
		{"\xc2\xb3", FAIL_SYNTAX}, /* superscript three: a 3 once it is normal */
		{"lmtp:192.0.2.256", FAIL_SYNTAX},
		{"[", FAIL_SYNTAX},
		{"[]", FAIL_SYNTAX},
		{"[192.0.2.256]", FAIL_SYNTAX},
		{"[IPv6:192.0.2.1]", FAIL_SYNTAX},
		{"[IPv6:h.example]", FAIL_SYNTAX},
		{"[h.example]25", FAIL_SYNTAX},
		{"[h.example]:", FAIL_SYNTAX},
		{"[h.example]:0", FAIL_SYNTAX},
		{"[h.example]:65536", FAIL_SYNTAX},
		{"h.example:x", FAIL_SYNTAX},
		{"h example", FAIL_SYNTAX},
		{"h.example\r\nQUIT", FAIL_SYNTAX},
		{"2001:db8::1", FAIL_SYNTAX},
		{"-.example", FAIL_SYNTAX},
		{"lmtp:unix:/var/run/lmtp", FAIL_UNSUPPORTED},
		{"dovecot:", FAIL_UNSUPPORTED},
		{"mlmmj:example.com/list", FAIL_UNSUPPORTED},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct nexthop h;
		int r = nexthop_parse(str_c(rows[i].text), &h);
		if (r != -rows[i].code)
			fail_msg("%s: %d", rows[i].text, r);
	}
	char much[NEXTHOP_TEXT_MAX + 2];
	struct nexthop h;
	memset(much, 'a', sizeof much);
	assert_int_equal(nexthop_parse(str_make(much, sizeof much), &h), -FAIL_TOOBIG);
	assert_int_equal(nexthop_parse(str_make(much, 300), &h), -FAIL_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(parts),
		cmocka_unit_test(what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
