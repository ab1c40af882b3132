/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/sts/tlsrpt.h"

#define AT(seconds) ((struct wall_us){INT64_C(seconds) * SEC_US})

static void records(void **state)
{
	(void)state;
	static const struct {
		const char *text, *places; /* NULL: it is none */
	} rows[] = {
		{"v=TLSRPTv1;rua=mailto:a@b.test", "a@b.test "},
		{"v=TLSRPTv1; rua=mailto:a@b.test,https://r.b.test/v1?x=y",
		 "a@b.test https://r.b.test/v1?x=y "},
		{"v=TLSRPTv1; x=y; rua= mailto:a@b.test?subject=x , ftp://b.test/; "
		 "rua=mailto:c@d.test;",
		 "a@b.test "},
		{"v=TLSRPTv1; rua=https://a:b@c.test/", NULL},
		{"v=TLSRPTv1; rua=https://c.test:0/", NULL},
		{"v=TLSRPTv1; rua=https://c.test:8443", "https://c.test:8443 "},
		{"v=TLSRPTv1; rua=mailto:nobody", NULL},
		{"v=TLSRPTv1; rua=mailto:a%0a@b.test", NULL},
		{"v=TLSRPTv1", NULL},
		{"v=TLSRPTv2; rua=mailto:a@b.test", NULL},
		{"", NULL},
		{"v=TLSRPTv1; rua=mailto:a\r\n@b.test", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tlsrpt_record r;
		AUTO(buf) struct buf all = BUF_INIT(KIB(2));
		bool good = tlsrpt_record_parse(str_c(rows[i].text), &r);
		if (good != (rows[i].places != NULL))
			fail_msg("%s", rows[i].text);
		for (size_t k = 0; good && k < r.n; k++)
			buf_addf(&all, "%s ", r.v[k].text);
		if (good)
			assert_string_equal(buf_c(&all), rows[i].places);
	}
	struct tlsrpt_url u;
	assert_true(tlsrpt_url_parse(STR("HTTPS://r.test:8443/a/b?c#d"), &u));
	assert_str(u.host, "r.test");
	assert_int_equal(u.port, 8443);
	assert_str(u.path, "/a/b?c");
	assert_true(tlsrpt_url_parse(STR("https://r.test"), &u));
	assert_str(u.path, "/");
	assert_false(tlsrpt_url_parse(STR("https://r.test/ HTTP/1.1"), &u));
	assert_false(tlsrpt_url_parse(STR("http://r.test/"), &u));
	assert_false(tlsrpt_url_parse(STR("https://localhost/"), &u));
}

static const struct tlsrpt_count counts[] = {
	{STR("no-policy-found"), STR("ok"), STR(""), STR(""), STR(""), 7},
	{STR("sts"), STR("ok"), STR(""), STR(""), STR(""), 5326},
	{STR("sts"), STR("certificate-expired"), STR("mx.b.test"), STR("192.0.2.1"),
	 STR("it \"is\"\r\nold \xff"), 100},
	{STR("sts"), STR("starttls-not-supported"), STR("mx2.b.test"), STR(""), STR(""), 3},
};
static const struct tlsrpt_report report = {
	.organization = STR("mail.a.test"),
	.contact = STR("postmaster@a.test"),
	.domain = STR("b.test"),
	.from = AT(1763683200),
	.to = AT(1763769599),
	.sts_policy = STR("version: STSv1\r\nmode: testing\r\nmx: mx.b.test\r\nmx: *.m.b.test\r\n"),
	.counts = counts,
	.n = ARRAY_LEN(counts),
};

static void documents(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(16));
	assert_int_equal(tlsrpt_json_write(&b, &report), 0);
	assert_string_equal(
		buf_c(&b),
		"{\"organization-name\":\"mail.a.test\","
		"\"date-range\":{\"start-datetime\":\"2025-11-21T00:00:00Z\","
		"\"end-datetime\":\"2025-11-21T23:59:59Z\"},"
		"\"contact-info\":\"postmaster@a.test\","
		"\"report-id\":\"1763683200-b.test@mail.a.test\",\"policies\":["
		"{\"policy\":{\"policy-type\":\"no-policy-found\",\"policy-domain\":\"b.test\"},"
		"\"summary\":{\"total-successful-session-count\":7,\"total-failure-session-count\":"
		"0}},"
		"{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"version: STSv1\","
		"\"mode: testing\",\"mx: mx.b.test\",\"mx: *.m.b.test\"],"
		"\"policy-domain\":\"b.test\",\"mx-host\":[\"mx.b.test\",\"*.m.b.test\"]},"
		"\"summary\":{\"total-successful-session-count\":5326,"
		"\"total-failure-session-count\":103},\"failure-details\":["
		"{\"result-type\":\"certificate-expired\",\"receiving-mx-hostname\":\"mx.b.test\","
		"\"receiving-ip\":\"192.0.2.1\",\"failed-session-count\":100,"
		"\"failure-reason-code\":\"it \\\"is\\\"?\?old ?\"},"
		"{\"result-type\":\"starttls-not-supported\",\"receiving-mx-hostname\":\"mx2.b."
		"test\","
		"\"failed-session-count\":3}]}]}");
	AUTO(buf) struct buf little = BUF_INIT(100);
	assert_int_equal(tlsrpt_json_write(&little, &report), -FAIL_LIMIT);
}

static void messages(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(16));
	assert_int_equal(
		tlsrpt_mail_write(&b, &report, STR("tls@b.test"), AT(1763773200), STR("packed")),
		0);
	static const char *const parts[] = {
		"From: <postmaster@a.test>\r\nTo: <tls@b.test>\r\n",
		"Subject: Report Domain: b.test\r\n\tSubmitter: mail.a.test\r\n"
		"\tReport-ID: <1763683200-b.test@mail.a.test>\r\n",
		"\r\nTLS-Report-Domain: b.test\r\nTLS-Report-Submitter: mail.a.test\r\n"
		"TLS-Required: No\r\n",
		"multipart/report; report-type=\"tlsrpt\";",
		"filename=\"mail.a.test!b.test!1763683200!1763769599.json.gz\"\r\n\r\n"
		"cGFja2Vk\r\n--barid-tlsrpt-1763683200--\r\n"};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (str_find_str(buf_str(&b), 0, str_c(parts[i])) == b.n)
			fail_msg("no \"%s\" in:\n%s", parts[i], buf_c(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(records), cmocka_unit_test(documents),
					   cmocka_unit_test(messages)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
