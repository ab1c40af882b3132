/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fail.h"
#include "base/test.h"
#include "codec/mime/index.h"
#include "codec/mime/preview.h"

struct row {
	const char *in, *want;
};

static void check_rows(const struct row *rows, size_t n, void (*make)(struct buf *, struct str))
{
	for (size_t i = 0; i < n; i++) {
		AUTO(buf) struct buf out = BUF_INIT(PREVIEW_BYTES);
		make(&out, str_c(rows[i].in));
		assert_string_equal(out.n ? buf_c(&out) : "", rows[i].want);
		assert_false(out.failed);
	}
}

static void plain(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"", ""},
		{"Hello\r\n\r\n  World\t!\r\n", "Hello World !"},
		{"> old\r\n>> older\r\nNew\r\n", "New"},
		{"Am Montag schrieb Eva:\r\n\r\n> alt\r\n\r\nNeu\r\n", "Neu"},
		{"To do:\r\nbuy milk\r\n", "To do: buy milk"},
		{"Yes\r\n-- \r\nEva, Office\r\n", "Yes"},
		{"-- \r\nOnly a signature\r\n", "-- Only a signature"},
		{"> only\r\n> a quotation\r\n", "only a quotation"},
		{"=====\r\nNews\r\n-----------\r\na--b *c*", "News a--b *c*"},
		{"a\xc2\xa0\xe2\x80\x8b\xc2\xad"
		 "b\xef\xbf\xbd",
		 "a b"},
		{"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n", ""},
		{"\x01\x02x\x1b[1m", "x [1m"},
	};
	check_rows(rows, ARRAY_LEN(rows), preview_of_plain);
}

static void html(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"<p>Hello <b>W</b>orld</p><p>again", "Hello World again"},
		{"<html><head><title>T</title><style>p{a>b}</style></head><body>x</body>", "x"},
		{"<script>if (a<b) alert('</p>')</script>x<!-- <p>no</p> -->y", "xy"},
		{"a &lt;b&gt; &amp; &#65;&#x42; &nbsp;&zwnj; &unknown; & c",
		 "a <b> & AB &unknown; & c"},
		{"1 < 2 <3", "1 < 2 <3"},
		{"<a href=\"x>y\">link</a><br>z", "link z"},
		{"Yes<blockquote>old <blockquote>older</blockquote></blockquote> no", "Yes no"},
		{"<blockquote>only</blockquote>", "only"},
		{"</blockquote>x", "x"},
		{"<td>a</td><td>b</td>", "a b"},
		{"<script>a<b</script>x", "x"},
		{"<!DOCTYPE html><?xml a?>x", "x"},
		{"<style>never closed", ""},
		{"<p never closed", ""},
		{"&#55296;&#0;&#x110000;y", "y"},
	};
	check_rows(rows, ARRAY_LEN(rows), preview_of_html);
}

static void cut(void **state)
{
	(void)state;
	AUTO(buf) struct buf in = BUF_INIT(KIB(64)), out = BUF_INIT(PREVIEW_BYTES);
	for (unsigned i = 0; i < 1000; i++)
		buf_add_c(&in, "\xf0\x9f\x98\x80 ");
	preview_of_plain(&out, buf_str(&in));
	assert_false(out.failed);
	assert_int_equal(out.n, 100 * 4 + 100);
	buf_reset(&out);
	preview_of_html(&out, buf_str(&in));
	assert_int_equal(out.n, 100 * 4 + 100);
}

/* ---- whole messages ------------------------------------------------------------------------ */

static int64_t read_text(void *ctx, uint64_t off, char *to, size_t n)
{
	struct str *text = ctx;
	n = MIN(MIN(n, (size_t)3), text->n - (size_t)off); /* in small pieces */
	memcpy(to, text->p + off, n);
	return (int64_t)n;
}

static void check_message(const char *text, const char *want)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(1));
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &arena);
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(1));
	struct str in = str_c(text);
	struct text_source source = {read_text, &in};
	struct mime_map *map, *again;
	struct fail why = FAIL_INIT;
	mime_index_feed(ix, in);
	assert_ok(mime_index_finish(ix, &map, &why), &why);
	assert_false(map->has_preview);
	assert_int_equal(preview_make(map, &source, &arena), 0);
	assert_str(map->preview, want);
	assert_int_equal(mime_map_write(map, &bytes), 0);
	assert_ok(mime_map_read(buf_str(&bytes), in.n, &arena, &again, &why), &why);
	assert_true(again->has_preview);
	assert_str(again->preview, want);
}

#define PART(type, text) "--x\r\nContent-Type: " type "\r\n\r\n" text "\r\n"
#define MULTI(kind)	 "Content-Type: multipart/" kind "; boundary=x\r\n\r\n"

static void messages(void **state)
{
	(void)state;
	check_message("Subject: s\r\n\r\nHi\r\n", "Hi");
	check_message("Subject: s\r\n\r\n", "");
	check_message("Content-Type: text/plain; charset=iso-8859-1\r\n"
		      "Content-Transfer-Encoding: quoted-printable\r\n\r\nf=FCr\r\n",
		      "f\xc3\xbcr");
	check_message(MULTI("alternative") PART("text/plain", "one")
			      PART("text/html", "<p>two") "--x--\r\n",
		      "one");
	/* A plain part without words: the HTML has them. */
	check_message(MULTI("alternative") PART("text/plain", " ")
			      PART("text/html", "<p>two") "--x--\r\n",
		      "two");
	check_message(MULTI("mixed") PART("image/png", "x")
			      PART("text/plain\r\nContent-Disposition: attachment", "no")
				      PART("text/calendar", "no")
					      PART("text/plain", "yes") "--x--\r\n",
		      "yes");
	check_message("Content-Type: image/png\r\n\r\nx", "");
	check_message(MULTI("mixed")
			      PART("message/rfc822", "Subject: in\r\n\r\nforwarded") "--x--\r\n",
		      "forwarded");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(html),
		cmocka_unit_test(cut),
		cmocka_unit_test(messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
