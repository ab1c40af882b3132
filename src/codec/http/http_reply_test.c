/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fail.h"
#include "base/test.h"
#include "codec/http/http_reply.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"

static void bodies(void **state)
{
	(void)state;
	static const struct {
		const char *text, *body;
		bool needs_end;
	} rows[] = {
		{HEAD "Content-Length: 5\r\n\r\nhello", "hello", false},
		{HEAD "Content-Length: 5\r\n\r\nhello, and more", "hello", false},
		{HEAD "Content-Length: 0\r\n\r\n", "", false},
		{HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
		 "hello", false},
		{HEAD "\r\nhello", "hello", true},
		{"HTTP/1.0 200\r\nContent-Type: text/plain\r\n\r\nhello", "hello", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str s = str_c(rows[i].text);
		AUTO(buf) struct buf body = BUF_INIT(100);
		struct http_reply reply;
		int early = http_reply_parse(s, false, &reply, &body);
		if (early != (rows[i].needs_end ? 0 : 1))
			fail_msg("row %zu: %d", i, early);
		assert_int_equal(http_reply_parse(s, true, &reply, &body), 1);
		assert_int_equal(reply.status, 200);
		assert_true(str_eq(reply.type, STR("text/plain")));
		assert_true(str_eq(buf_str(&body), str_c(rows[i].body)));
		for (size_t n = 0; !rows[i].needs_end && n < str_find_str(s, 0, STR("\r\n\r\n"));
		     n++)
			assert_int_equal(http_reply_parse(str_sub(s, 0, n), false, &reply, &body),
					 0);
	}
}

static void what_is_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int want;
	} rows[] = {
		{"", -FAIL_SYNTAX},
		{"HTTP/1.1 100 Continue\r\n\r\n", -FAIL_SYNTAX},
		{"HTTP/2 200\r\n\r\n", -FAIL_SYNTAX},
		{"220 mx ESMTP\r\n\r\n", -FAIL_SYNTAX},
		{HEAD "Content-Length: 5\r\n\r\nhell", -FAIL_SYNTAX},
		{HEAD "Content-Length: -5\r\n\r\nhello", -FAIL_SYNTAX},
		{HEAD "Content-Length: 4\r\nContent-Length: 5\r\n\r\nhello", -FAIL_SYNTAX},
		{HEAD "Transfer-Encoding: gzip\r\n\r\nhello", -FAIL_SYNTAX},
		{HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", -FAIL_SYNTAX},
		{HEAD "Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n", -FAIL_SYNTAX},
		{HEAD "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello\r\n",
		 -FAIL_LIMIT},
		{HEAD "Content-Length: 11\r\n\r\nhello hello", -FAIL_LIMIT},
		{HEAD "\r\nhello hello", -FAIL_LIMIT},
		{"\r\n\r\nhello", -FAIL_SYNTAX},
		{HEAD " folded: line\r\n\r\n", -FAIL_SYNTAX},
		{HEAD "no colon\r\n\r\n", -FAIL_SYNTAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(buf) struct buf body = BUF_INIT(10);
		struct http_reply reply;
		int r = http_reply_parse(str_c(rows[i].text), true, &reply, &body);
		if (r != rows[i].want)
			fail_msg("row %zu: %d", i, r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
