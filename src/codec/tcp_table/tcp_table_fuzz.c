/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, cut anywhere: the same lines as in one piece; every answer is a line that reads back.
 */
#include "base/check.h"
#include "codec/tcp_table/tcp_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer_it(struct str key)
{
	AUTO(buf) struct buf plain = BUF_INIT(KIB(8));
	AUTO(buf) struct buf line = BUF_INIT(KIB(32));
	AUTO(buf) struct buf again = BUF_INIT(KIB(8));
	if (tcp_table_decode(key, &plain) < 0) {
		CHECK(plain.n == 0);
		return;
	}
	CHECK(plain.n <= key.n);
	tcp_table_answer(&line, TCP_TABLE_FOUND, buf_str(&plain));
	CHECK(line.n <= TCP_TABLE_LINE_MAX && line.p[line.n - 1] == '\n');
	CHECK(str_find(buf_str(&line), 0, '\n') == line.n - 1);
	if (!str_starts(buf_str(&line), STR("200 ")))
		return;
	CHECK(tcp_table_decode(str_sub(buf_str(&line), 4, line.n - 1), &again) == 0);
	CHECK(str_eq(buf_str(&plain), buf_str(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = {(const char *)data, size};
	size_t whole = tcp_table_whole(all);
	struct str in = str_sub(all, 0, whole);
	struct tcp_table_request r;
	size_t lines = 0;
	CHECK(whole <= size);
	while (tcp_table_next(&in, &r)) {
		lines++;
		CHECK(r.key.n < TCP_TABLE_LINE_MAX);
		if (r.verb == TCP_TABLE_GET)
			answer_it(r.key);
	}
	CHECK(in.n == 0);
	for (size_t i = 0; i < whole; i++)
		lines -= data[i] == '\n';
	CHECK(lines == 0);
	return 0;
}
