/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "codec/frame/frame_imap.h"

static const struct frame_imap_limits limits = {
	.line_bytes = 80, .inline_bytes = 10, .external_bytes = 100, .literals = 4};
static const struct frame_imap_limits minus = {.line_bytes = 80,
					       .inline_bytes = 10,
					       .external_bytes = 100,
					       .literals = 4,
					       .nonsync_bytes = 5};
static const struct frame_imap_limits no_external = {
	.line_bytes = 80, .inline_bytes = 10, .external_bytes = 0, .literals = 4};

/*
 * Events as text: [tag:text] a command with its external literals as @pos+size; (n) a literal to
 * decide, with s = waits for "+", e = external, b = binary; {data} of an external literal;
 * !B too big, !U too big to come unasked, !R refused, !M malformed, each with its tag. Literals of
 * size 66 are refused.
 */
static void note(struct frame_imap *f, struct frame_imap_event e, bool *in_data, struct buf *out)
{
	if (e.kind == FRAME_IMAP_DATA) {
		if (!*in_data)
			buf_addc(out, '{');
		buf_add(out, e.data);
		*in_data = !e.last;
		if (e.last)
			buf_addc(out, '}');
		return;
	}
	if (e.kind == FRAME_IMAP_LITERAL) {
		buf_addf(out, "(%s%s%s%llu)", e.sync ? "s" : "", e.external ? "e" : "",
			 e.binary ? "b" : "", (unsigned long long)e.size);
		if (e.size == 66)
			frame_imap_refuse(f);
		else
			frame_imap_accept(f);
	} else if (e.kind == FRAME_IMAP_COMMAND) {
		buf_addf(out, "[%.*s:%.*s", STR_ARG(e.tag), STR_ARG(e.input.text));
		for (size_t i = 0; i < e.input.external_count; i++)
			buf_addf(out, "@%zu+%llu", e.input.external[i].pos,
				 (unsigned long long)e.input.external[i].size);
		buf_addc(out, ']');
		if (str_eq(e.input.text, STR("i IDLE")))
			frame_imap_expect_raw(f);
	} else {
		buf_addf(out, "!%c%.*s ", e.unasked ? 'U' : "....BRM"[e.kind], STR_ARG(e.tag));
	}
}

static void run(struct str in, const struct frame_imap_limits *lim, size_t cut, size_t chunk,
		struct buf *out)
{
	AUTO(frame_imap) struct frame_imap f;
	frame_imap_init(&f, lim);
	bool in_data = false;
	buf_reset(out);
	for (size_t at = 0; at < in.n;) {
		struct str piece = str_sub(in, at, at + (at == 0 ? cut : chunk));
		at += piece.n;
		for (;;) {
			struct frame_imap_event e = frame_imap_feed(&f, &piece);
			if (e.kind == FRAME_IMAP_MORE)
				break;
			note(&f, e, &in_data, out);
		}
		assert_int_equal(piece.n, 0);
	}
}

#define D10 "0123456789"
#define D50 D10 D10 D10 D10 D10

static const struct {
	const char *in;
	const char *want;
	bool no_external;
	bool minus;
} cases[] = {
	{"a1 NOOP\r\nb2 LOGOUT\r\n", "[a1:a1 NOOP][b2:b2 LOGOUT]"},
	{"a1 NOOP\nb2 LOGOUT\r\n", "[a1:a1 NOOP][b2:b2 LOGOUT]"},
	{"\r\n", "[:]"},
	{"+ x\r\n", "[:+ x]"},
	{"a LOGIN {3}\r\nfoo {3+}\r\nbar\r\n", "(s3)[a:a LOGIN {3}\r\nfoo {3+}\r\nbar]"},
	{"a LOGIN {3}\nfoo bar\n", "(s3)[a:a LOGIN {3}\r\nfoo bar]"},
	{"a LOGIN {0+}\r\n {0}\r\n\r\n", "(s0)[a:a LOGIN {0+}\r\n {0}\r\n]"},
	{"a X {4+}\r\n\r\n\r\n y\r\n", "[a:a X {4+}\r\n\r\n\r\n y]"},
	{"a X ~{2+}\r\n\r\n y\r\n", "[a:a X ~{2+}\r\n\r\n y]"},
	{"a X {2}x\r\nb X {2\r\nc X 2}\r\nd X {}\r\ne X {+}\r\n",
	 "[a:a X {2}x][b:b X {2][c:c X 2}][d:d X {}][e:e X {+}]"},
	/* external: by itself, by sum, binary, empty rest */
	{"a APPEND x {11+}\r\n" D10 "Z\r\nb NOOP\r\n",
	 "(e11){" D10 "Z}[a:a APPEND x {11+}\r\n@18+11][b:b NOOP]"},
	{"a A {8+}\r\n" D10 "{5}\r\nABCDE z\r\n",
	 "(se5){ABCDE}[a:a A {8+}\r\n" D10 "{5}\r\n z@25+5]"},
	{"a A ~{11}\r\n" D10 "Z\r\n", "(seb11){" D10 "Z}[a:a A ~{11}\r\n@11+11]"},
	{"a A {11}\r\n" D10 "Z {12+}\r\n" D10 "YZ)\r\n",
	 "(se11){" D10 "Z}(e12){" D10 "YZ}[a:a A {11}\r\n {12+}\r\n)@10+11@18+12]"},
	/* too big: the session survives, to the byte */
	{"a A {101+}\r\n" D50 D50 "\n z\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	{"a A {101}\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	{"a A {11+}\r\n" D10 "\n z\r\nb NOOP\r\n", "!Ba [b:b NOOP]", true},
	{"a A {11+}\r\n" D10 "\n {3+}\r\n\r\n\n{200}\r\nb NOOP\r\n", "!Ba [b:b NOOP]", true},
	{"a " D50 D50 "\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	{"a " D50 D50 " {3+}\r\n\r\n\n x\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	{"a " D50 D50 " {3}\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	{D50 D50 "\r\nb NOOP\r\n", "!B [b:b NOOP]"},
	{"a " D50 D10 D10 "12345 {5+}\r\n{9+}x\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	{"a " D50 D10 D10 "12 {6+}\r\n\r\n{9+}\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	{"a A {1+}\r\nx{1+}\r\nx{1+}\r\nx{1+}\r\nx{1+}\r\n\n\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	{"a A {99999999999999999999}\r\nb NOOP\r\n", "!Ba [b:b NOOP]"},
	/* LITERAL-: only small ones may come without waiting; the session survives here, too */
	{"a A {5+}\r\n12345\r\nb NOOP\r\n", "[a:a A {5+}\r\n12345][b:b NOOP]", .minus = true},
	{"a A {6+}\r\n12345\n\r\nb NOOP\r\n", "!Ua [b:b NOOP]", .minus = true},
	{"a A {6+}\r\n12345\n {12+}\r\n" D10 "ab\r\nb NOOP\r\n", "!Ua [b:b NOOP]", .minus = true},
	{"a A {6}\r\n123456\r\nb A {11}\r\n" D10 "Z\r\n",
	 "(s6)[a:a A {6}\r\n123456](se11){" D10 "Z}[b:b A {11}\r\n@10+11]", .minus = true},
	{"a A {6}\r\n123456 ~{7+}\r\n1234567\r\nb NOOP\r\n", "(s6)!Ua [b:b NOOP]", .minus = true},
	/* refused by the caller */
	{"a A {66}\r\nb NOOP\r\n", "(se66)!Ra [b:b NOOP]"},
	{"a A {66+}\r\n" D50 D10 "12345\nxyz {2+}\r\n\r\n z\r\nb NOOP\r\n", "(e66)!Ra [b:b NOOP]"},
	/* malformed */
	{"a NO\rOP\r\nb NOOP\r\n", "!Ma [b:b NOOP]"},
	{"a NOOP\r\r\nb NOOP\r\n", "!Ma [b:b NOOP]"},
	{"a\r b {3+}\r\n\r\n\nx\r\nb NOOP\r\n", "!Ma [b:b NOOP]"},
	/* raw lines */
	{"i IDLE\r\nDONE\r\nb NOOP\r\n", "[i:i IDLE][:DONE][b:b NOOP]"},
	{"i IDLE\r\nD {3}\r\nb NOOP\r\n", "[i:i IDLE][:D {3}][b:b NOOP]"},
};

static void commands_are_the_same_in_all_chunks(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str in = str_c(cases[i].in);
		const struct frame_imap_limits *lim = cases[i].no_external ? &no_external
						      : cases[i].minus	   ? &minus
									   : &limits;
		for (size_t cut = 1; cut <= in.n; cut++) {
			run(in, lim, cut, in.n, &out);
			assert_string_equal(buf_c(&out), cases[i].want);
			run(in, lim, cut, 1, &out);
			assert_string_equal(buf_c(&out), cases[i].want);
		}
	}
}

/* Who decides later finds the event in the framer. */
static void a_literal_waits_for_its_decision(void **state)
{
	(void)state;
	AUTO(frame_imap) struct frame_imap f;
	frame_imap_init(&f, &limits);
	struct str in = STR("tag APPEND x {50}\r\n");
	assert_int_equal(frame_imap_feed(&f, &in).kind, FRAME_IMAP_LITERAL);
	assert_str(f.literal.tag, "tag");
	assert_str(f.literal.input.text, "tag APPEND x {50}\r\n");
	assert_int_equal(f.literal.input.external_count, 1);
	frame_imap_refuse(&f);
	assert_int_equal(frame_imap_feed(&f, &in).kind, FRAME_IMAP_REFUSED);
}

static void nul_is_malformed_outside_of_literals(void **state)
{
	(void)state;
	AUTO(buf) struct buf out = BUF_INIT(KIB(4));
	run(STR("a NO\0OP\r\nb X {1+}\r\n\0\r\n"), &limits, 1, 1, &out);
	assert_str(str_sub(buf_str(&out), 0, 16), "!Ma [b:b X {1+}\r");
}

static void a_huge_literal_is_dropped_without_keeping_it(void **state)
{
	(void)state;
	AUTO(frame_imap) struct frame_imap f;
	frame_imap_init(&f, &frame_imap_limits_login);
	struct str in = STR("a X {3000000+}\r\n");
	assert_int_equal(frame_imap_feed(&f, &in).kind, FRAME_IMAP_MORE);
	static const char block[10000];
	for (int i = 0; i < 300; i++) {
		in = str_make(block, sizeof block);
		assert_int_equal(frame_imap_feed(&f, &in).kind, FRAME_IMAP_MORE);
		assert_true(f.text.cap < KIB(8));
	}
	assert_false(frame_imap_is_idle(&f));
	in = STR("\r\nb NOOP\r\n");
	struct frame_imap_event e = frame_imap_feed(&f, &in);
	assert_int_equal(e.kind, FRAME_IMAP_TOO_BIG);
	assert_int_equal(e.size, 3000000);
	assert_str(e.tag, "a");
	assert_int_equal(frame_imap_feed(&f, &in).kind, FRAME_IMAP_COMMAND);
	assert_true(frame_imap_is_idle(&f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_the_same_in_all_chunks),
		cmocka_unit_test(a_literal_waits_for_its_decision),
		cmocka_unit_test(nul_is_malformed_outside_of_literals),
		cmocka_unit_test(a_huge_literal_is_dropped_without_keeping_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
