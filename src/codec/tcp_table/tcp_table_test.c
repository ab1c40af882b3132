/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/tcp_table/tcp_table.h"

static void test_lines(void **state)
{
	(void)state;
	struct str in = STR("get a@b\r\nGET c%20d\nput x y\nget \nget\n\nhelo x\nget rest");
	static const struct {
		enum tcp_table_verb verb;
		const char *key;
	} want[] = {{TCP_TABLE_GET, "a@b"},  {TCP_TABLE_GET, "c%20d"}, {TCP_TABLE_PUT, "x y"},
		    {TCP_TABLE_UNKNOWN, ""}, {TCP_TABLE_UNKNOWN, ""},  {TCP_TABLE_UNKNOWN, ""},
		    {TCP_TABLE_UNKNOWN, ""}};
	struct tcp_table_request r;
	assert_int_equal(tcp_table_whole(in), in.n - 8);
	in = str_sub(in, 0, tcp_table_whole(in));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(tcp_table_next(&in, &r));
		assert_int_equal(r.verb, want[i].verb);
		assert_str(r.key, want[i].key);
	}
	assert_false(tcp_table_next(&in, &r));
	assert_int_equal(tcp_table_whole(STR("get a")), 0);
	assert_int_equal(tcp_table_whole(STR("")), 0);
	struct str half = STR("get a");
	assert_false(tcp_table_next(&half, &r));
}

static void test_long_line(void **state)
{
	(void)state;
	char line[TCP_TABLE_LINE_MAX + 10];
	struct tcp_table_request r;
	for (size_t n = TCP_TABLE_LINE_MAX - 2; n < TCP_TABLE_LINE_MAX + 5; n++) {
		memset(line, 'x', sizeof line);
		memcpy(line, "get ", 4);
		line[n] = '\n';
		struct str in = str_make(line, n + 1);
		assert_true(tcp_table_next(&in, &r));
		assert_int_equal(r.verb,
				 n < TCP_TABLE_LINE_MAX ? TCP_TABLE_GET : TCP_TABLE_UNKNOWN);
		assert_int_equal(in.n, 0);
	}
}

static void test_encoding(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(8));
	AUTO(buf) struct buf plain = BUF_INIT(KIB(8));
	char all[256];
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)i;
	tcp_table_answer(&out, TCP_TABLE_FOUND, str_make(all, sizeof all));
	struct str line = buf_str(&out);
	assert_true(str_starts(line, STR("200 %00%01")));
	assert_int_equal(str_find(line, 0, '\n'), line.n - 1);
	assert_int_equal(tcp_table_decode(str_sub(line, 4, line.n - 1), &plain), 0);
	assert_true(str_eq(buf_str(&plain), str_make(all, sizeof all)));
	buf_reset(&plain);
	assert_int_equal(tcp_table_decode(STR("a%2b%2Fc+"), &plain), 0);
	assert_str(buf_str(&plain), "a+/c+");
	static const char *const bad[] = {"%", "a%", "%4", "%4g", "%%41", "a%-1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(tcp_table_decode(str_c(bad[i]), &plain), -FAIL_SYNTAX);
	assert_str(buf_str(&plain), "a+/c+");
}

static void test_answers(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(32));
	char big[TCP_TABLE_LINE_MAX];
	tcp_table_answer(&out, TCP_TABLE_NONE, STR("no such thing"));
	tcp_table_answer(&out, TCP_TABLE_TEMP, STR("later"));
	assert_str(buf_str(&out), "500 no%20such%20thing\n400 later\n");
	buf_reset(&out);
	memset(big, 'x', sizeof big);
	tcp_table_answer(&out, TCP_TABLE_FOUND, str_make(big, sizeof big));
	assert_str(buf_str(&out), "400 too%20long\n");
	buf_reset(&out);
	tcp_table_answer(&out, TCP_TABLE_FOUND, str_make(big, sizeof big - 5));
	assert_int_equal(out.n, TCP_TABLE_LINE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
