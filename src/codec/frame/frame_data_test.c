/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/test.h"
#include "codec/frame/frame_data.h"

/*
 * Content, then flags: R = bare CR, L = bare LF, ! = the terminator was seen, and what was left.
 * The first `cut` bytes are one piece and the rest are pieces of `chunk` bytes.
 */
static void run(struct str in, bool normalise, size_t cut, size_t chunk, struct buf *out)
{
	struct frame_data f = FRAME_DATA_INIT(normalise);
	buf_reset(out);
	for (size_t at = 0; at < in.n && f.state != FRAME_DATA_ENDED;) {
		size_t n = at == 0 ? cut : chunk;
		struct str piece = str_sub(in, at, at + n);
		at += piece.n;
		struct str slice;
		enum frame_data_event e;
		while ((e = frame_data_feed(&f, &piece, &slice)) == FRAME_DATA_SLICE)
			buf_add(out, slice);
		at -= piece.n;
		if (e == FRAME_DATA_END)
			buf_addf(out, "|!%.*s", STR_ARG(str_skip(in, at)));
	}
	if (f.bare_cr)
		buf_addc(out, 'R');
	if (f.bare_lf)
		buf_addc(out, 'L');
}

static const struct {
	const char *in;
	const char *strict;
	const char *normal; /* NULL = the same */
} cases[] = {
	{".\r\nQUIT", "|!QUIT", NULL},
	{"a\r\n.\r\nQUIT", "a\r\n|!QUIT", NULL},
	{"a\r\nb\r\n\r\n.\r\n", "a\r\nb\r\n\r\n|!", NULL},
	{"..\r\n.x\r\n..y\r\n.\r\n", ".\r\nx\r\n.y\r\n|!", NULL},
	{"a.b\r\n.\r\n", "a.b\r\n|!", NULL},
	{"a", "a", NULL},
	/* the smuggling shapes: none of these ends the message */
	{"a\n.\nb\r\n.\r\n", "a\n.\nb\r\n|!L", "a\r\n.\r\nb\r\n|!L"},
	{"a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n|!L", "a\r\n.\r\nb\r\n|!L"},
	{"a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n|!L", "a\r\n\r\nb\r\n|!L"},
	{"a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n|!R", "a\r\n.\r\nb\r\n|!R"},
	{"a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n|!R", "a\r\n\r\nb\r\n|!R"},
	{"a\r\r\n.\r\n", "a\r\r\n|!R", "a\r\n\r\n|!R"},
	{"\r\n.\r\r\n.\r\n", "\r\n\r\r\n|!R", "\r\n\r\n\r\n|!R"},
	{"\n\r\n\r.\r\n.\r\n", "\n\r\n\r.\r\n|!RL", "\r\n\r\n\r\n.\r\n|!RL"},
	{"\r\n.\r.\r\n.\r\n", "\r\n\r.\r\n|!R", "\r\n\r\n.\r\n|!R"},
};

static void data_ends_only_at_its_end(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str in = str_c(cases[i].in);
		for (size_t cut = 1; cut <= in.n; cut++) {
			run(in, false, cut, in.n, &out);
			assert_string_equal(buf_c(&out), cases[i].strict);
			run(in, false, cut, 1, &out);
			assert_string_equal(buf_c(&out), cases[i].strict);
			const char *normal = cases[i].normal ? cases[i].normal : cases[i].strict;
			run(in, true, cut, in.n, &out);
			assert_string_equal(buf_c(&out), normal);
			run(in, true, cut, 1, &out);
			assert_string_equal(buf_c(&out), normal);
		}
	}
}

static void long_content_is_one_slice(void **state)
{
	(void)state;
	AUTO(buf) struct buf in = BUF_INIT(MIB(1));
	for (int i = 0; i < 1000; i++)
		buf_add_c(&in, "seventy-odd characters of content in a line of a message, nothing "
			       "more\r\n");
	struct frame_data f = FRAME_DATA_INIT(false);
	struct str rest = buf_str(&in);
	struct str slice;
	assert_int_equal(frame_data_feed(&f, &rest, &slice), FRAME_DATA_SLICE);
	assert_ptr_equal(slice.p, in.p);
	assert_int_equal(slice.n, in.n);
	assert_int_equal(f.size, in.n);
}

static void bdat_counts_and_sees_bare_ends(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		bool cr;
		bool lf;
	} bdat[] = {
		{"a\r\nb\r\n", false, false}, {"a\nb", false, true},	 {"a\rb", true, false},
		{"a\r\n\r", true, false},     {"\r\r\n", true, false},	 {"\n", false, true},
		{"\r\n.\r\nx", false, false}, {"\n\r\n\rx", true, true}, {"", false, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(bdat); i++) {
		struct str all = str_c(bdat[i].in);
		for (size_t cut = 0; cut <= all.n; cut++) { /* two chunks */
			struct frame_bdat f = {0};
			AUTO(buf) struct buf out = BUF_INIT(64);
			struct str in = all;
			for (int chunk = 0; chunk < 2; chunk++) {
				frame_bdat_chunk(&f, chunk ? all.n - cut : cut);
				struct str s;
				while (frame_bdat_feed(&f, &in, &s) == FRAME_DATA_SLICE)
					buf_add(&out, s);
			}
			frame_bdat_finish(&f);
			assert_string_equal(buf_c(&out), bdat[i].in);
			assert_int_equal(f.bare_cr, bdat[i].cr);
			assert_int_equal(f.bare_lf, bdat[i].lf);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_ends_only_at_its_end),
		cmocka_unit_test(long_content_is_one_slice),
		cmocka_unit_test(bdat_counts_and_sees_bare_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
