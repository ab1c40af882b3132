/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/test.h"
#include "sys/deflate.h"
#include "sys/rand.h"

static struct deflater *d;

static void inflate_all(struct inflater *f, struct str in, struct buf *text)
{
	char into[1000];
	size_t n = 1;
	while (n) {
		assert_int_equal(inflater_take(f, &in, into, sizeof into, &n, NULL), 0);
		assert_int_equal(buf_add(text, (struct str){into, n}), 0);
	}
	assert_int_equal(in.n, 0);
}

static void test_pieces_go_on(void **state)
{
	(void)state;
	AUTO(buf) struct buf history = DEFLATE_HISTORY_INIT, packed = BUF_INIT(KIB(64));
	AUTO(buf) struct buf text = BUF_INIT(KIB(64)), all = BUF_INIT(KIB(64));
	AUTO(inflater) struct inflater f = INFLATER_INIT;
	size_t sizes[60];
	for (unsigned i = 0; i < 60; i++) {
		AUTO(buf) struct buf line = BUF_INIT(200);
		(void)buf_addf(&line, "* %u FETCH (UID %u FLAGS (\\Seen \\Answered))\r\n", i + 1,
			       i * 7 + 1000);
		(void)buf_add(&all, buf_str(&line));
		buf_reset(&packed);
		deflater_add(d, &history, buf_str(&line), &packed);
		sizes[i] = packed.n;
		inflate_all(&f, buf_str(&packed), &text);
		assert_null(f.z); /* at rest */
		assert_true(f.history_n <= all.n);
	}
	assert_true(str_eq(buf_str(&text), buf_str(&all)));
	assert_true(sizes[59] < sizes[0] / 2); /* the history is of use */
}

/* What cannot be compressed comes back too, and hardly larger. */
static void test_noise(void **state)
{
	(void)state;
	static char noise[DEFLATE_PIECE];
	AUTO(buf) struct buf history = DEFLATE_HISTORY_INIT, packed = BUF_INIT(KIB(64));
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	AUTO(inflater) struct inflater f = INFLATER_INIT;
	rand_bytes(noise, sizeof noise);
	deflater_add(d, &history, (struct str){noise, sizeof noise}, &packed);
	assert_true(packed.n < sizeof noise + 64);
	assert_int_equal(history.n, DEFLATE_HISTORY);
	inflate_all(&f, buf_str(&packed), &text);
	assert_true(str_eq(buf_str(&text), (struct str){noise, sizeof noise}));
}

static void test_half_a_block_is_kept(void **state)
{
	(void)state;
	AUTO(buf) struct buf history = DEFLATE_HISTORY_INIT, packed = BUF_INIT(KIB(64));
	AUTO(buf) struct buf text = BUF_INIT(KIB(64));
	AUTO(inflater) struct inflater f = INFLATER_INIT;
	deflater_add(d, &history, STR("a1 NOOP\r\na2 NOOP\r\na3 LIST \"\" *\r\n"), &packed);
	for (size_t i = 0; i < packed.n; i++) {
		inflate_all(&f, str_sub(buf_str(&packed), i, i + 1), &text);
		assert_true(f.z || i > 4); /* before that no block can have ended */
	}
	assert_null(f.z);
	assert_true(str_eq(buf_str(&text), STR("a1 NOOP\r\na2 NOOP\r\na3 LIST \"\" *\r\n")));
}

static void test_not_deflate(void **state)
{
	(void)state;
	AUTO(inflater) struct inflater f = INFLATER_INIT;
	char into[100];
	size_t n = 0;
	struct str in = STR("a1 NOOP\r\na2 NOOP\r\na3 NOOP\r\n");
	int r = 0;
	while (r == 0 && in.n)
		r = inflater_take(&f, &in, into, sizeof into, &n, NULL);
	assert_int_equal(r, -FAIL_SYNTAX);
}

/* Where plain text goes on behind a flush, wherever the packets end. */
static void test_leave(void **state)
{
	(void)state;
	const struct str text = STR("u1 UNAUTHENTICATE\r\n"), plain = STR("u2 LOGIN a b\r\n");
	AUTO(buf) struct buf history = DEFLATE_HISTORY_INIT, packed = BUF_INIT(KIB(64));
	deflater_add(d, &history, text, &packed);
	size_t end = packed.n;
	assert_int_equal(buf_add(&packed, plain), 0);
	for (size_t cut = 1; cut <= packed.n; cut++) {
		AUTO(inflater) struct inflater f = INFLATER_INIT;
		AUTO(buf) struct buf got = BUF_INIT(KIB(64));
		struct str in = str_sub(buf_str(&packed), 0, cut),
			   rest = str_skip(buf_str(&packed), cut);
		char into[100];
		size_t n = 0;
		int r = 0;
		while (got.n < text.n) {
			if (in.n == 0) {
				in = rest;
				rest = STR_NULL;
			}
			assert_int_equal(inflater_take(&f, &in, into, sizeof into, &n, NULL), 0);
			assert_int_equal(buf_add(&got, (struct str){into, n}), 0);
		}
		assert_true(str_eq(buf_str(&got), text));
		while ((r = inflater_leave(&f, &in, NULL)) == 0 && rest.n) {
			assert_int_equal(in.n, 0);
			in = rest;
			rest = STR_NULL;
		}
		assert_int_equal(r, 1);
		assert_int_equal(in.n + rest.n, packed.n - end);
	}
}

static void test_text_behind_the_end(void **state)
{
	(void)state;
	AUTO(buf) struct buf history = DEFLATE_HISTORY_INIT, packed = BUF_INIT(KIB(64));
	AUTO(inflater) struct inflater f = INFLATER_INIT;
	char into[10];
	size_t n = 0;
	deflater_add(d, &history, STR("more than ten bytes of text"), &packed);
	struct str in = buf_str(&packed);
	assert_int_equal(inflater_take(&f, &in, into, sizeof into, &n, NULL), 0);
	assert_int_equal(n, sizeof into);
	assert_int_equal(inflater_leave(&f, &in, NULL), -FAIL_SYNTAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_go_on),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_half_a_block_is_kept),
		cmocka_unit_test(test_not_deflate),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_text_behind_the_end),
	};
	d = deflater_new();
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	deflater_free(d);
	return r;
}
