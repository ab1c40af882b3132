/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/sts/sts.h"

static void records(void **state)
{
	(void)state;
	static const struct {
		const char *text, *id;
	} rows[] = {
		{"v=STSv1; id=20160831085700Z;", "20160831085700Z"},
		{"v=STSv1;id=1", "1"},
		{"v=STSv1 ; x=y; id = a1 ;", "a1"},
		{"v=STSv1; id=1; id=2;", "1"},
		{"v=STSv1; id=12345678901234567890123456789012;",
		 "12345678901234567890123456789012"},
		{"v=STSv1; id=123456789012345678901234567890123;", NULL},
		{"v=STSv1; id=a-b;", NULL},
		{"v=STSv1; id=;", NULL},
		{"v=STSv1;", NULL},
		{"v=STSv2; id=1;", NULL},
		{"id=1; v=STSv1;", NULL},
		{"v=spf1 -all", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char id[STS_ID_MAX] = "?";
		bool ok = sts_record_parse(str_c(rows[i].text), id);
		if (ok != (rows[i].id != NULL) || (ok && strcmp(id, rows[i].id) != 0))
			fail_msg("%s: %s", rows[i].text, id);
	}
}

static void a_policy(void **state)
{
	(void)state;
	struct sts_policy p;
	assert_true(
		sts_policy_parse(STR("version: STSv1\r\nmode: enforce\r\nmx: Mail.example.com\r\n"
				     "mx: *.example.net\r\nfuture: x\r\nmax_age: 604800\r\n"),
				 &p));
	assert_int_equal(p.mode, STS_ENFORCE);
	assert_int_equal(p.max_age, 604800);
	assert_int_equal(p.n, 2);
	static const struct {
		const char *host;
		bool has;
	} rows[] = {{"mail.example.com", true},	      {"MAIL.EXAMPLE.COM", true},
		    {"x.mail.example.com", false},    {"a.example.net", true},
		    {"a.b.example.net", false},	      {"example.net", false},
		    {".example.net", false},	      {"example.com", false},
		    {"mail.example.com.evil", false}, {"net", false}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (sts_policy_has(&p, str_c(rows[i].host)) != rows[i].has)
			fail_msg("%s", rows[i].host);
	assert_true(sts_policy_parse(STR("version: STSv1\nmode: none\nmax_age: 99999999\n"), &p));
	assert_int_equal(p.max_age, STS_AGE_MAX);
	assert_string_equal(sts_mode_name(p.mode), "none");
	assert_true(sts_policy_parse(
		STR("version:STSv1\nmode:testing\nmode:enforce\nmx:a.test\nmax_age:0"), &p));
	assert_int_equal(p.mode, STS_TESTING);
}

static void no_policies(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",
		"<html>not found</html>",
		"version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 1",
		"mode: enforce\nmx: a.test\nmax_age: 1",
		"version: STSv1\nmx: a.test\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmx: a.test",
		"version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: -1",
		"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1 d",
		"version: STSv1\nmode: enforce\nmx: a..*\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmx: *\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmx: *.\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmx: .test\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1\nand more",
	};
	struct sts_policy p;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (sts_policy_parse(str_c(rows[i]), &p))
			fail_msg("%s", rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(a_policy),
		cmocka_unit_test(no_policies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
