/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_test.c - transfer encodings, charsets, folding and search.
 */
#include "base/utf8.h"
#include "codec/mime/charset.h"
#include "codec/mime/mime_test.h"
#include "codec/mime/text.h"
#include "codec/mime/transfer.h"
#include <time.h>

static const struct {
	enum mime_encoding encoding;
	const char *in;
	const char *want;
} transfers[] = {
	{MIME_ENC_BASE64, "aGVsbG8=", "hello"},
	{MIME_ENC_BASE64, "aGVs\r\nbG8=\r\n", "hello"},
	{MIME_ENC_BASE64, "aGVsbG8", "hello"},
	{MIME_ENC_BASE64, "aGVsbA==\r\nplain text behind it", "hell"},
	{MIME_ENC_BASE64, "a!G-Vs=bG8=", "hello"},
	{MIME_ENC_BASE64, "", ""},
	{MIME_ENC_BASE64, "a", ""},
	{MIME_ENC_QP, "a=3Db=3d", "a=b="},
	{MIME_ENC_QP, "a=\r\nb=\nc= \t\r\nd", "abcd"},
	{MIME_ENC_QP, "a=", "a"},
	{MIME_ENC_QP, "a=4", "a=4"},
	{MIME_ENC_QP, "=zz=4z= x==", "=zz=4z= x="},
	{MIME_ENC_QP, "x =\r\n y", "x  y"},
	{MIME_ENC_QP, "a \t\r\nb =20 \nc \r d\t", "a\r\nb  \nc \r d"},
	{MIME_ENC_QP, "a  =\r\n b \r\n\r\n \r", "a   b\r\n\r\n\r"},
	{MIME_ENC_7BIT, "a=3D\r\n", "a=3D\r\n"},
	{MIME_ENC_UUENCODE, "begin 644 a\r\n", "begin 644 a\r\n"},
};

static void test_transfer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(transfers); i++) {
		struct str in = str_c(transfers[i].in);
		for (size_t cut = 0; cut <= in.n; cut++) {
			struct transfer t = transfer_of(transfers[i].encoding);
			AUTO(buf) struct buf out = BUF_INIT(1000);
			transfer_decode(&t, str_sub(in, 0, cut), &out);
			transfer_decode(&t, str_skip(in, cut), &out);
			transfer_decode_end(&t, &out);
			if (!str_eq(buf_str(&out), str_c(transfers[i].want)))
				fail_msg("%s cut at %zu: %s", transfers[i].in, cut, buf_c(&out));
		}
	}
}

/* decode(encode(x)) == x, in lines of at most 76. */
static void test_encode(void **state)
{
	(void)state;
	AUTO(buf) struct buf in = BUF_INIT(10000);
	for (unsigned i = 0; i < 600; i++) {
		AUTO(buf) struct buf coded = BUF_INIT(10000);
		AUTO(buf) struct buf back = BUF_INIT(10000);
		struct transfer to = {0};
		struct transfer from = transfer_of(MIME_ENC_BASE64);
		(void)buf_addc(&in, (char)(i * 7));
		if (i % 31 == 0)
			(void)buf_add(&in, STR(" \r\n."));
		base64_lines(&to, str_sub(buf_str(&in), 0, i / 2), &coded);
		base64_lines(&to, str_skip(buf_str(&in), i / 2), &coded);
		base64_lines_end(&to, &coded);
		transfer_decode(&from, buf_str(&coded), &back);
		assert_true(str_eq(buf_str(&in), buf_str(&back)));
		buf_reset(&coded);
		buf_reset(&back);
		from = transfer_of(MIME_ENC_QP);
		assert_int_equal(qp_encode(&coded, buf_str(&in)), 0);
		transfer_decode(&from, buf_str(&coded), &back);
		transfer_decode_end(&from, &back);
		assert_true(str_eq(buf_str(&in), buf_str(&back)));
		struct str rest = buf_str(&coded);
		struct str line;
		while (str_cut(&rest, '\n', &line))
			assert_true(line.n <= 77 && !str_ends(line, STR(" \r")));
	}
}

static const struct {
	const char *label;
	const char *in;
	const char *want;
} charsets[] = {
	{"utf-8", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xa7", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xa7"},
	{"UTF-8", "\xc3(\xe2\x82", "\xef\xbf\xbd(\xef\xbf\xbd"},
	{"utf-8", "\xed\xa0\x80\xc0\x80",
	 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	{"iso-8859-1", "\xe9\x80", "\xc3\xa9\xe2\x82\xac"},
	{"us-ascii", "\xe9 \xc3\xa9", "\xc3\xa9 \xc3\xa9"},
	{"", "\xc3\xa9\xc3", "\xc3\xa9\xc3\x83"},
	{"no-such-charset", "\xe2\x82\xac", "\xe2\x82\xac"},
	{"../../etc/passwd", "a", "a"},
	{"koi8-r", "\xf0\xd2", "\xd0\x9f\xd1\x80"},
	{"iso-8859-15", "\xa4", "\xe2\x82\xac"},
	{"Shift_JIS", "\x83\x65", "\xe3\x83\x86"},
	{"ISO-2022-JP", "\x1b$B%F%9\x1b(Bx", "\xe3\x83\x86\xe3\x82\xb9x"},
	{"gb2312", "\xd6\xd0", "\xe4\xb8\xad"},
	{"big5", "\xa4\xa4", "\xe4\xb8\xad"},
	{"euc-kr", "\xc7\xd1", "\xed\x95\x9c"},
	{"utf-7", "+IKw-", "\xe2\x82\xac"},
	{"utf-16le", "=\xd8\xe7\xdc", "\xf0\x9f\x93\xa7"},
	{"windows-1251", "\xcf", "\xd0\x9f"},
};

static void test_charsets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
		struct str in = str_c(charsets[i].in);
		for (size_t cut = 0; cut <= in.n; cut++) {
			AUTO(charset) struct charset *c = charset_new(str_c(charsets[i].label));
			AUTO(buf) struct buf out = BUF_INIT(1000);
			charset_feed(c, str_sub(in, 0, cut), &out);
			charset_feed(c, str_skip(in, cut), &out);
			charset_finish(c, &out);
			if (!str_eq(buf_str(&out), str_c(charsets[i].want)))
				fail_msg("%s cut at %zu: %s", charsets[i].label, cut, buf_c(&out));
		}
	}
}

/* Every name in the table is a converter of ICU: the text is not merely guessed. */
static void test_charset_table(void **state)
{
	(void)state;
	static const char *const labels[] = {
		"866",		"iso-8859-2",	"iso-8859-3",	"iso-8859-4",	"iso-8859-5",
		"iso-8859-6",	"iso-8859-7",	"iso-8859-8",	"iso-8859-10",	"iso-8859-13",
		"iso-8859-14",	"iso-8859-15",	"koi8-r",	"koi8-u",	"macintosh",
		"windows-874",	"windows-1250", "windows-1251", "windows-1253", "windows-1254",
		"windows-1255", "windows-1256", "windows-1257", "windows-1258", "x-mac-cyrillic",
		"gb18030",	"big5",		"euc-jp",	"sjis",		"euc-kr",
		"cp437",	"cp850",	"cp852",
	};
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		AUTO(buf) struct buf known = BUF_INIT(1000);
		AUTO(buf) struct buf guess = BUF_INIT(1000);
		struct str in = STR("\xa4\xa4\xd0\xd1\xbe\xe3\xfe\xfd\xf0\xf1");
		charset_to_utf8(&known, str_c(labels[i]), in);
		charset_to_utf8(&guess, STR(""), in);
		if (str_eq(buf_str(&known), buf_str(&guess)))
			fail_msg("%s is not known", labels[i]);
	}
	static const char *const escapes[] = {"iso-2022-jp", "iso-2022-kr", "iso-2022-cn", "hz",
					      "utf-7"};
	for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
		AUTO(buf) struct buf out = BUF_INIT(1000);
		charset_to_utf8(&out, str_c(escapes[i]), STR("\x1b$BVP\x1b(B ~{VP~} +IKw- \xff"));
		assert_false(str_eq(buf_str(&out), STR("\x1b$BVP\x1b(B ~{VP~} +IKw- \xc3\xbf")));
	}
}

static bool contains(const char *needle, const char *hay)
{
	AUTO(text_needle) struct text_needle *n = text_needle_new(str_c(needle));
	return text_contains(n, str_c(hay));
}

static void test_contains(void **state)
{
	(void)state;
	assert_true(contains("", ""));
	assert_true(contains("abc", "xxABCxx"));
	assert_true(contains("aab", "aaab"));
	assert_true(contains("ababac", "abababac"));
	assert_false(contains("abc", "ab c"));
	assert_true(contains("caf\xc3\xa9", "CAF\xc3\x89"));
	assert_true(contains("cafe", "caf\xc3\xa9"));
	assert_false(contains("caf\xc3\xa9", "cafe"));
	assert_true(contains("\xd0\xbf\xd1\x80\xd0\xb8",
			     "\xd0\x9f\xd0\xa0\xd0\x98\xd0\x92\xd0\x95\xd0\xa2"));
	assert_true(contains("\xcf\x83", "\xce\xa3"));
	assert_true(contains("\xcf\x82", "\xce\xa3"));
	assert_true(contains("\xef\xac\x81", "fine")); /* the ligature fi */
}

struct memory {
	struct str message;
	size_t step;
};

static int64_t memory_read(void *ctx, uint64_t off, char *to, size_t n)
{
	struct memory *m = ctx;
	n = MIN(MIN(n, m->step), m->message.n - off);
	memcpy(to, m->message.p + off, n);
	return (int64_t)n;
}

static int search(struct str message, const char *needle, enum text_scope scope)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	AUTO(text_needle) struct text_needle *n = text_needle_new(str_c(needle));
	struct mime_map *map = index_whole(&arena, message);
	struct memory memory = {message, 1 << 20};
	struct text_source source = {memory_read, &memory};
	int r = text_search(&source, map, n, scope);
	memory.step = 3;
	assert_int_equal(text_search(&source, map, n, scope), r);
	return r;
}

static const char mail[] =
	"Subject: =?utf-8?q?T=C3=B6pfe?=\r\nContent-Type: multipart/mixed; "
	"boundary=b\r\n\r\npreamble\r\n"
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
	"quoted-printable\r\n\r\n"
	"Gr=FC=DFe aus M=\r\n=FCnchen\r\n"
	"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	"PGI+SGVsbG8g\r\nV29ybGQ8L2I+\r\n"
	"--b\r\nContent-Type: image/gif; name=picture.gif\r\n\r\nhidden\r\n"
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nletter\r\n"
	"--b--\r\n";

static void test_search(void **state)
{
	(void)state;
	static const struct {
		const char *needle;
		int body, all;
	} wants[] = {
		{"m\xc3\xbcnchen", 1, 1}, {"GR\xc3\x9c", 1, 1}, {"hello world", 1, 1},
		{"hidden", 0, 0},	  {"preamble", 0, 0},	{"t\xc3\xb6pfe", 0, 1},
		{"subject: t", 0, 1},	  {"picture", 0, 1},	{"inner", 1, 1},
		{"letter", 1, 1},	  {"nothing", 0, 0},	{"", 1, 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
		assert_int_equal(search(str_c(mail), wants[i].needle, TEXT_BODY), wants[i].body);
		assert_int_equal(search(str_c(mail), wants[i].needle, TEXT_ALL), wants[i].all);
	}
}

static void test_search_header(void **state)
{
	(void)state;
	AUTO(text_needle) struct text_needle *n = text_needle_new(STR("t\xc3\x96P"));
	assert_true(text_header_contains(str_c(mail), STR("SUBJECT"), n));
	assert_false(text_header_contains(str_c(mail), STR("Content-Type"), n));
}

static void test_search_long(void **state)
{
	(void)state;
	AUTO(buf) struct buf m = BUF_INIT(MIB(4));
	(void)buf_add(&m, STR("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"));
	for (int i = 0; i < 200000; i++)
		(void)buf_add(&m, STR("\xc3\xa9 "));
	(void)buf_add(&m, STR("needle"));
	assert_int_equal(search(buf_str(&m), "NEEDLE", TEXT_BODY), 1);
	assert_int_equal(search(buf_str(&m), "needles", TEXT_BODY), 0);
}

/* Against the plain definition: fold both, compare at each place. */
static bool plainly_in(struct str text, struct str needle)
{
	uint32_t t[4000], n[400];
	size_t nt = 0, nn = 0;
	for (size_t pos = 0; pos < text.n;)
		nt += charset_fold(utf8_next(text, &pos), t + nt);
	for (size_t pos = 0; pos < needle.n;)
		nn += charset_fold(utf8_next(needle, &pos), n + nn);
	for (size_t at = 0; at + nn <= nt; at++)
		if (memcmp(t + at, n, nn * sizeof *n) == 0)
			return true;
	return false;
}

static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % below;
}

/* Runs of ASCII of every length, with other characters between, and needles that cross. */
static void test_contains_random(void **state)
{
	(void)state;
	uint64_t seed = 9;
	unsigned found = 0;
	for (unsigned round = 0; round < 20000; round++) {
		AUTO(buf) struct buf text = BUF_INIT(1000);
		unsigned rare = 2 + draw(&seed, 60);
		while (text.n < 20 + round % 150) {
			if (draw(&seed, rare) == 0)
				(void)buf_add_c(&text,
						draw(&seed, 2) ? "\xc3\xa9" : "\xe2\x84\xaa");
			else
				(void)buf_addc(&text, "aAbBeEkK"[draw(&seed, 2 + draw(&seed, 7))]);
		}
		struct str all = buf_str(&text);
		size_t from = 0;
		for (unsigned k = draw(&seed, 12); k--;)
			(void)utf8_next(all, &from);
		size_t to = from;
		for (unsigned k = 1 + draw(&seed, 9); k-- && to < all.n;)
			(void)utf8_next(all, &to);
		AUTO(buf) struct buf needle = BUF_INIT(100);
		(void)buf_add(&needle, str_sub(all, from, to));
		if (needle.n > 2 && draw(&seed, 2) && (unsigned char)needle.p[1] < 0x80)
			needle.p[1] = 'b';
		AUTO(text_needle) struct text_needle *n = text_needle_new(buf_str(&needle));
		bool is = plainly_in(all, buf_str(&needle));
		found += is;
		if (text_contains(n, all) != is)
			fail_msg("%s in %s: %d", buf_c(&needle), buf_c(&text), is);
	}
	assert_true(found > 5000 && found < 19500);
}

/* "ab" and many "a", or many "a", "b" and one "a". */
static struct text_needle *hard_needle(struct buf *b, size_t n, bool early)
{
	buf_reset(b);
	for (size_t i = 0; i < n; i++)
		(void)buf_addc(b, i == (early ? 1 : n - 2) ? 'b' : 'a');
	return text_needle_new(buf_str(b));
}

static clock_t time_of(const struct text_needle *n, struct str text)
{
	clock_t begun = clock();
	assert_false(text_contains(n, text));
	return clock() - begun;
}

/* A text made for it does not make the search slower than the automaton is, whatever the needle. */
static void test_search_hard(void **state)
{
	(void)state;
	AUTO(buf) struct buf text = BUF_INIT(MIB(2));
	AUTO(buf) struct buf needle = BUF_INIT(MIB(1));
	AUTO(text_needle) struct text_needle *early = hard_needle(&needle, 3000, true);
	AUTO(text_needle) struct text_needle *late = hard_needle(&needle, 3000, false);
	AUTO(text_needle) struct text_needle *huge = hard_needle(&needle, KIB(512), true);
	while (text.n < MIB(1))
		(void)buf_addc(&text, 'a');
	clock_t automaton = time_of(huge, buf_str(&text));
	assert_true(time_of(early, buf_str(&text)) < 20 * automaton + CLOCKS_PER_SEC / 10);
	assert_true(time_of(late, buf_str(&text)) < 20 * automaton + CLOCKS_PER_SEC / 10);
	text.p[text.n - 4000] = 'b';
	assert_true(text_contains(early, buf_str(&text)));
	assert_true(text_contains(late, buf_str(&text)));
	text.p[3500] = 'b';
	assert_true(text_contains(early, str_sub(buf_str(&text), 0, text.n / 2)));
	assert_true(text_contains(late, str_sub(buf_str(&text), 0, text.n / 2)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transfer),	cmocka_unit_test(test_encode),
		cmocka_unit_test(test_charsets),	cmocka_unit_test(test_charset_table),
		cmocka_unit_test(test_contains),	cmocka_unit_test(test_search),
		cmocka_unit_test(test_search_header),	cmocka_unit_test(test_search_long),
		cmocka_unit_test(test_contains_random), cmocka_unit_test(test_search_hard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
