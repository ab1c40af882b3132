/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/smtp/xclient.h"

static void attributes(void **state)
{
	(void)state;
	struct xclient x;
	assert_non_null(xclient_parse(STR("HELO=me+20x"), &x)); /* a blank would forge a log */
	assert_null(xclient_parse(STR("NAME=spike.example.org ADDR=168.100.189.2 PORT=42 "
				      "proto=ESMTP HELO=a+2Bb LOGIN=joe+40example.org "
				      "DESTADDR=IPV6:2001:db8::1 DESTPORT=25"),
				  &x));
	assert_string_equal(x.name, "spike.example.org");
	assert_string_equal(x.helo, "a+b");
	assert_string_equal(x.login, "joe@example.org");
	assert_int_equal(x.addr.family, ENDPOINT_V4);
	assert_memory_equal(x.addr.bytes, "\xa8\x64\xbd\x02", 4);
	assert_int_equal(x.port, 42);
	assert_true(x.esmtp);
	assert_int_equal(x.dest.family, ENDPOINT_V6);
	assert_int_equal(x.dest_port, 25);
	assert_int_equal(x.given, 0xff);
	assert_null(xclient_parse(STR("NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAIL] PORT=[unavailable] "
				      "HELO=[UNAVAILABLE]"),
				  &x));
	assert_int_equal(x.given, XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_HELO);
	assert_int_equal(x.addr.family, ENDPOINT_NONE);
	assert_string_equal(x.name, "");
	assert_null(xclient_parse(STR("PROTO=SMTP"), &x));
	assert_false(x.esmtp);
}

static void what_filters_pass_on(void **state)
{
	(void)state;
	struct xclient x;
	assert_null(xforward_parse(STR("ADDR=192.0.2.1 IDENT=1f-2 SOURCE=REMOTE"), &x));
	assert_int_equal(x.ident, 0x1f);
	assert_null(xforward_parse(STR("ADDR=192.0.2.1 IDENT=4XyZ"), &x));
	assert_int_equal(x.ident, 0);
	assert_null(xforward_parse(STR("ADDR=192.0.2.1 IDENT=[UNAVAILABLE]"), &x));
	assert_int_equal(x.ident, 0);
}

static void what_is_wrong(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",
		" ",
		"NAME",
		"NAME=",
		"=x",
		"COLOUR=red",
		"NAME=a NAME=b",
		"ADDR=1.2.3",
		"ADDR=IPV6:1.2.3.4",
		"ADDR=fe80::1%eth0",
		"PORT=65536",
		"PORT=-1",
		"PORT=x",
		"PROTO=LMTP",
		"PROTO=[UNAVAILABLE]",
		"HELO=a+0Ab",
		"HELO=a+00b",
		"HELO=a+7Fb",
		"HELO=a+4",
		"HELO=a+zz",
		"HELO=a=b",
		"HELO=+FF",
		"NAME="
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaa"
		"aaaaaa",
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct xclient x;
		if (!xclient_parse(str_c(rows[i]), &x))
			fail_msg("%s", rows[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes),
		cmocka_unit_test(what_filters_pass_on),
		cmocka_unit_test(what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
