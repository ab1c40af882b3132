/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/http/http_head.h"

static void heads(void **state)
{
	(void)state;
	static const struct {
		const char *head;
		int status;
		enum http_method method;
		const char *target;
		bool keep_alive;
	} cases[] = {
		{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 0, HTTP_GET, "/metrics", true},
		{"HEAD / HTTP/1.1\r\n\r\n", 0, HTTP_HEAD, "/", true},
		{"GET /a?b=c HTTP/1.0\r\n\r\n", 0, HTTP_GET, "/a", false},
		{"GET / HTTP/1.1\r\nconnection: x, Close\r\n\r\n", 0, HTTP_GET, "/", false},
		{"POST / HTTP/1.1\r\nContent-Length: 00\r\n\r\n", 0, HTTP_OTHER, "/", true},
		{"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 413, 0, NULL, false},
		{"GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, 0, NULL,
		 false},
		{"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, 0, NULL, false},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501, 0, NULL, false},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, 0, NULL, false},
		{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, 0, NULL, false},
		{"GET / HTTP/1.1\r\n folded\r\n\r\n", 400, 0, NULL, false},
		{"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400, 0, NULL, false},
		{"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", 400, 0, NULL, false},
		{"GET  / HTTP/1.1\r\n\r\n", 400, 0, NULL, false},
		{"GET http://x/ HTTP/1.1\r\n\r\n", 400, 0, NULL, false},
		{"GET / HTTP/2.0\r\n\r\n", 505, 0, NULL, false},
		{"GET /\r\n\r\n", 400, 0, NULL, false},
		{"\r\n\r\n", 400, 0, NULL, false},
		{"EHLO x\r\n\r\n", 400, 0, NULL, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_request r;
		struct str head = str_c(cases[i].head);
		assert_int_equal(http_head_length(head), head.n);
		for (size_t cut = 0; cut < head.n; cut++)
			assert_int_equal(http_head_length(str_sub(head, 0, cut)), 0);
		assert_int_equal(http_head_parse(head, &r), cases[i].status);
		if (cases[i].status)
			continue;
		assert_int_equal(r.method, cases[i].method);
		assert_str(r.target, cases[i].target);
		assert_int_equal(r.keep_alive, cases[i].keep_alive);
	}
}

static void too_many_fields(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	struct http_request r;
	(void)buf_add(&b, STR("GET / HTTP/1.1\r\n"));
	for (unsigned i = 0; i < HTTP_FIELDS_MAX; i++)
		(void)buf_addf(&b, "X-%u: y\r\n", i);
	size_t n = b.n;
	(void)buf_add(&b, STR("\r\n"));
	assert_int_equal(http_head_parse(buf_str(&b), &r), 0);
	buf_cut(&b, n);
	(void)buf_add(&b, STR("One: more\r\n\r\n"));
	assert_int_equal(http_head_parse(buf_str(&b), &r), 431);
}

static void answers(void **state)
{
	(void)state;
	AUTO(buf) struct buf b = BUF_INIT(KIB(4));
	struct http_answer a = {
		.status = 404, .type = "text/plain", .body = STR("no\n"), .keep_alive = true};
	assert_int_equal(http_answer_write(&a, &b), 0);
	assert_str(buf_str(&b), "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n"
				"Content-Length: 3\r\nCache-Control: no-store\r\n"
				"Connection: keep-alive\r\n\r\nno\n");
	buf_reset(&b);
	a.head_only = true;
	a.status = 405;
	a.keep_alive = false;
	assert_int_equal(http_answer_write(&a, &b), 0);
	assert_true(str_ends(buf_str(&b), STR("Connection: close\r\n\r\n")));
	assert_true(str_find_str(buf_str(&b), 0, STR("Allow: GET, HEAD\r\n")) < b.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),
		cmocka_unit_test(too_many_fields),
		cmocka_unit_test(answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
