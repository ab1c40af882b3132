/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/frame/frame_line.h"

#define LONGEST 10

/* All events of `in`, fed in two or more pieces, as text: "<line>" long! bad! */
static void run(struct str in, size_t chunk, size_t cut, struct buf *out)
{
	AUTO(frame_line) struct frame_line f = FRAME_LINE_INIT(LONGEST);
	buf_reset(out);
	for (size_t at = 0; at < in.n;) {
		size_t n = at < cut ? MIN(chunk, cut - at) : MIN(chunk, in.n - at);
		struct str piece = str_sub(in, at, at + n);
		at += n;
		for (;;) {
			struct str line;
			enum frame_line_event e = frame_line_feed(&f, &piece, &line);
			if (e == FRAME_LINE_MORE)
				break;
			if (e == FRAME_LINE_READY)
				buf_addf(out, "<%.*s>", STR_ARG(line));
			else
				buf_add_c(out, e == FRAME_LINE_TOO_LONG ? "long!" : "bad!");
		}
		assert_int_equal(piece.n, 0);
	}
}

static const struct {
	struct str in;
	const char *want;
} cases[] = {
	{STR("NOOP\r\nQUIT\r\n"), "<NOOP><QUIT>"},
	{STR("\r\n\r\n"), "<><>"},
	{STR("0123456789\r\nNOOP\r\n"), "<0123456789><NOOP>"},
	{STR("0123456789a\r\nNOOP\r\n"), "long!<NOOP>"},
	{STR("0123456789012345678901234567890\r\nNOOP\r\n"), "long!<NOOP>"},
	{STR("NOOP\nQUIT\r\n"), "bad!<QUIT>"},
	{STR("\n\r\n"), "bad!<>"},
	{STR("NO\rOP\r\nQUIT\r\n"), "bad!<QUIT>"},
	{STR("NOOP\r\r\nQUIT\r\n"), "bad!<QUIT>"},
	{STR("NO\0OP\r\nQUIT\r\n"), "bad!<QUIT>"},
	{STR("0123456789\r012\r\nQUIT\r\n"), "bad!<QUIT>"},
	{STR("0123456789012\nQUIT\r\n"), "bad!<QUIT>"},
	{STR("unfinished"), ""},
};

static void lines_are_the_same_in_all_chunks(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str in = cases[i].in;
		run(in, in.n, in.n, &out);
		assert_string_equal(buf_c(&out), cases[i].want);
		run(in, 1, in.n, &out);
		assert_string_equal(buf_c(&out), cases[i].want);
		for (size_t cut = 1; cut < in.n; cut++) {
			run(in, in.n, cut, &out);
			assert_string_equal(buf_c(&out), cases[i].want);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_the_same_in_all_chunks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
