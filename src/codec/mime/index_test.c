/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/mime_test.h"

/* A tree as text: "mixed(plain[3] rfc822(html[0]))", sizes are those of leaf bodies. */
static uint32_t tree_put(struct buf *out, const struct mime_map *map, uint32_t i)
{
	const struct mime_part *p = &map->parts[i];
	(void)buf_add(out, p->subtype);
	if (p->flags & MIME_PART_OPAQUE)
		(void)buf_addc(out, '!');
	if (!(p->flags & (MIME_PART_MULTIPART | MIME_PART_MESSAGE))) {
		(void)buf_addf(out, "[%llu]", (unsigned long long)p->body_len);
		return i + 1;
	}
	(void)buf_addc(out, '(');
	for (uint32_t c = i + 1; c < p->end;) {
		if (c > i + 1)
			(void)buf_addc(out, ' ');
		c = tree_put(out, map, c);
	}
	(void)buf_addc(out, ')');
	return p->end;
}

static const struct {
	const char *name;
	const char *message;
	const char *tree;
	uint32_t flags; /* that must be set */
} trees[] = {
	{"empty", "", "plain[0]", MIME_MISSING_DATE | MIME_MISSING_MESSAGE_ID},
	{"header only", "Subject: x\r\n", "plain[0]", MIME_NO_BLANK_LINE},
	{"header and blank line", "Subject: x\r\n\r\n", "plain[0]", 0},
	{"no header", "Hello world\r\nwhat: ever\r\n", "plain[25]", MIME_NO_BLANK_LINE},
	{"blank line first", "\r\nHello\r\n", "plain[7]", 0},
	{"missing blank line", "Subject: x\r\nHello\r\n", "plain[7]", MIME_NO_BLANK_LINE},
	{"bare LF", "Content-Type: text/html\n\nabc\n", "html[4]", MIME_BARE_LF},
	{"lone CR stays", "Subject: a\rb\r\n\r\nx\ry", "plain[3]", 0},
	{"mbox From line", "From a@b Tue\r\nContent-Type: text/html\r\n\r\nx", "html[1]", 0},
	{"control character", "Subject: x\r\n\r\na\1b", "plain[3]", 0},
	{"two parts",
	 "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\nabc\r\n"
	 "--b\r\nContent-Type: text/html\r\n\r\n\r\n--b--\r\nafter\r\n",
	 "mixed(plain[3] html[0])", 0},
	{"delimiter right after the header",
	 "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b--",
	 "mixed(plain[0] plain[0])", MIME_NO_BLANK_LINE},
	{"blanks behind the delimiter",
	 "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b \t\r\n\r\na\r\n--b-- \r\n",
	 "mixed(plain[1])", 0},
	{"look-alikes",
	 "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--bb\r\n--b-\r\n- "
	 "--b\r\n--b---\r\n--B\r\n"
	 "--b--\r\n",
	 "mixed(plain[30])", 0},
	{"prefixes",
	 "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
	 "Content-Type: multipart/alternative; "
	 "boundary=xy\r\n\r\n--xy\r\n\r\n1\r\n--xy\r\n\r\n2\r\n--xy--\r\n"
	 "--x\r\n\r\n3\r\n--x--\r\n",
	 "mixed(alternative(plain[1] plain[1]) plain[1])", 0},
	{"boundary that ends in --",
	 "Content-Type: multipart/mixed; boundary=\"b--\"\r\n\r\n--b--\r\n\r\n1\r\n--b----\r\n",
	 "mixed(plain[1])", 0},
	{"one boundary twice",
	 "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; "
	 "boundary=b\r\n\r\n"
	 "--b\r\n\r\n1\r\n--b--\r\n--b\r\n\r\n2\r\n--b--\r\n",
	 "mixed(mixed(plain[1]) plain[1])", 0},
	{"inner not closed",
	 "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; "
	 "boundary=b\r\n\r\n"
	 "--b\r\n\r\n1\r\n--a\r\n\r\n2\r\n--a--\r\n",
	 "mixed(mixed(plain[1]) plain[1])", MIME_UNCLOSED},
	{"not closed", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n1\r\n",
	 "mixed(plain[3])", MIME_UNCLOSED},
	{"no delimiter", "Content-Type: multipart/mixed; boundary=a\r\n\r\nx\r\n", "mixed()",
	 MIME_UNCLOSED},
	{"no boundary", "Content-Type: multipart/mixed\r\n\r\nx\r\n", "mixed![3]", 0},
	{"boundary of blanks", "Content-Type: multipart/mixed; boundary=\" \"\r\n\r\n-- \r\nx\r\n",
	 "mixed![8]", 0},
	{"delimiter without blank line before it",
	 "Content-Type: multipart/mixed; boundary=a\r\n--a\r\n\r\n1\r\n--a--\r\n",
	 "mixed(plain[1])", MIME_NO_BLANK_LINE},
	{"message", "Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\nabc",
	 "rfc822(html[3])", 0},
	{"message that is no message", "Content-Type: message/rfc822\r\n\r\nHello\r\n",
	 "rfc822(plain[7])", MIME_NO_BLANK_LINE},
	{"message without anything", "Content-Type: message/rfc822\r\n\r\n", "rfc822(plain[0])", 0},
	{"message header meets the delimiter",
	 "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: "
	 "message/rfc822\r\n\r\nSubject: x\r\n"
	 "--a--\r\n",
	 "mixed(rfc822(plain[0]))", MIME_NO_BLANK_LINE},
	{"encoded message",
	 "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nabc",
	 "rfc822![3]", 0},
	{"global message", "Content-Type: message/global\r\n\r\n\r\nabc", "global(plain[3])", 0},
	{"digest",
	 "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: "
	 "x\r\n\r\n12\r\n--a\r\n"
	 "Content-Type: text/html\r\n\r\n1\r\n--a--\r\n",
	 "digest(rfc822(plain[2]) html[1])", 0},
	{"first of two types", "Content-Type: text/html\r\nContent-Type: text/xml\r\n\r\n",
	 "html[0]", 0},
	{"type without subtype", "Content-Type: text\r\n\r\n", "plain[0]", 0},
	{"type with comments and blanks",
	 "Content-Type : (a) text (b) / (c) html (d) ; x=y\r\n\r\n", "html[0]", 0},
	{"folded type",
	 "Content-Type:\r\n multipart/mixed;\r\n\tboundary=\r\n \"b\"\r\n\r\n--b\r\n\r\n1\r\n--b--",
	 "mixed(plain[1])", 0},
};

static void tree_check(const char *name, const struct mime_map *map, const char *want)
{
	AUTO(buf) struct buf tree = BUF_INIT(KIB(64));
	(void)tree_put(&tree, map, 0);
	if (!str_eq(buf_str(&tree), str_c(want)))
		fail_msg("%s: %s is not %s", name, buf_c(&tree), want);
}

/* The property that everything else leans on: chunking does not matter. */
static void test_chunking(void **state)
{
	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(trees); t++) {
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(256));
		AUTO(buf) struct buf want = BUF_INIT(MIB(1));
		AUTO(buf) struct buf got = BUF_INIT(MIB(1));
		struct str m = str_c(trees[t].message);
		struct mime_map *map = index_whole(&arena, m);
		tree_check(trees[t].name, map, trees[t].tree);
		if ((map->flags & trees[t].flags) != trees[t].flags)
			fail_msg("%s: flags %x", trees[t].name, map->flags);
		map_bytes(map, &want);
		for (size_t cut = 0; cut <= m.n; cut++) {
			map_bytes(index_pieces(&arena, m, cut, m.n + 1, NULL), &got);
			if (!str_eq(buf_str(&want), buf_str(&got)))
				fail_msg("%s: cut at %zu", trees[t].name, cut);
		}
		map_bytes(index_pieces(&arena, m, 0, 1, NULL), &got);
		if (!str_eq(buf_str(&want), buf_str(&got)))
			fail_msg("%s: byte by byte", trees[t].name);
	}
}

static void test_offsets(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	struct str m = STR(
		"Subject: one\r\n two\r\nContent-Type: multipart/mixed; boundary=b\r\nX : y\r\n\r\n"
		"--b\r\nContent-ID: <1>\r\n\r\nline 1\r\nline 2\r\n\r\n--b--\r\n");
	struct mime_map *map = index_whole(&arena, m);
	const struct mime_part *p = &map->parts[1];
	uint32_t at = 0;
	assert_int_equal(map->size, m.n);
	assert_int_equal(map->lines, 12);
	assert_int_equal(map->n_fields, 3);
	assert_str(str_sub(m, map->fields[0].off, map->fields[0].off + map->fields[0].len),
		   "Subject: one\r\n two\r\n");
	assert_ptr_equal(mime_map_field(map, STR("x"), &at), &map->fields[2]);
	assert_str(str_sub(m, map->fields[2].off, map->fields[2].off + map->fields[2].len),
		   "X : y\r\n");
	assert_str(map->fields[2].name, "X");
	assert_str(str_sub(m, p->header_off, p->body_off), "Content-ID: <1>\r\n\r\n");
	assert_str(str_sub(m, p->body_off, p->body_off + p->body_len), "line 1\r\nline 2\r\n");
	assert_int_equal(p->lines, 2);
	assert_str(map->subject, "one two");
}

static void test_part_fields(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	struct mime_map *map =
		index_whole(&arena, STR("Content-Type: text/PLAIN; charset=\"ISO-8859-1\"\r\n"
					"Content-Transfer-Encoding: Quoted-Printable\r\n"
					"Content-Disposition: attachment;\r\n "
					"filename*0*=utf-8''%e2%82; filename*1*=%ac;\r\n"
					" filename*2=.txt\r\n\r\nx"));
	assert_str(map->parts[0].type, "text");
	assert_str(map->parts[0].subtype, "plain");
	assert_str(map->parts[0].charset, "iso-8859-1");
	assert_str(map->parts[0].filename, "\xe2\x82\xac.txt");
	assert_int_equal(map->parts[0].encoding, MIME_ENC_QP);
	assert_int_equal(map->parts[0].disposition, MIME_DISP_ATTACHMENT);
	map = index_whole(&arena,
			  STR("Content-Type: text/plain; name=\"=?utf-8?q?=E2=82=AC?=\"\r\n\r\n"));
	assert_str(map->parts[0].filename, "\xe2\x82\xac");
}

static const struct {
	const char *header;
	const char *envelope;
} envelopes[] = {
	{"", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
	{"Date: d\r\nSubject: a \"b\"\r\n c\r\nMessage-ID: <x@y>\r\nIn-Reply-To: <z>\r\n",
	 "(\"d\" \"a \\\"b\\\" c\" NIL NIL NIL NIL NIL NIL \"<z>\" \"<x@y>\")"},
	{"Subject:\r\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
	{"Subject: \xe9\r\n", "(NIL {1}\r\n\xe9 NIL NIL NIL NIL NIL NIL NIL NIL)"},
	{"From: A <a@b>\r\nSender:\r\n", "(NIL NIL ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" "
					 "\"b\")) ((\"A\" NIL \"a\" \"b\")) NIL NIL NIL NIL NIL)"},
	{"To: g: a@b, c@d;\r\nTo: e@f\r\n", "(NIL NIL NIL NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL "
					    "\"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)"
					    "(NIL NIL \"e\" \"f\")) NIL NIL NIL NIL)"},
	{"Cc: undisclosed-recipients:;\r\n",
	 "(NIL NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL "
	 "NIL NIL)"},
};

static void test_envelope(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(envelopes); i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
		struct mime_map *map = index_whole(&arena, str_c(envelopes[i].header));
		assert_str(map->envelope, envelopes[i].envelope);
	}
}

static const struct {
	const char *message;
	const char *body;
	const char *extension; /* what BODYSTRUCTURE has before the last ")" */
} structures[] = {
	{"\r\nab\r\n", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1",
	 " NIL NIL NIL NIL"},
	{"Content-Type: image/PNG; name=a\r\nContent-ID: <i>\r\nContent-Description: d\r\n"
	 "Content-Transfer-Encoding: BASE64\r\nContent-MD5: m\r\nContent-Language: en, (x) "
	 "de-CH\r\n"
	 "Content-Location: l\r\nContent-Disposition: inline; size=3\r\n\r\nab",
	 "(\"image\" \"PNG\" (\"name\" \"a\") \"<i>\" \"d\" \"BASE64\" 2",
	 " \"m\" (\"inline\" (\"size\" \"3\")) (\"en\" \"de-CH\") \"l\""},
	{"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
	 "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\"", NULL},
	{"Content-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\nx\r\n",
	 "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL "
	 "NIL) "
	 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1) 3",
	 NULL},
	{"Content-Type: multipart/mixed\r\n\r\n",
	 "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 0", " NIL NIL NIL NIL"},
};

static void test_structure(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(structures); i++) {
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
		struct mime_map *map = index_whole(&arena, str_c(structures[i].message));
		struct str want = arena_printf(&arena, "%s)", structures[i].body);
		assert_true(str_eq(map->body, want) ||
			    (print_error("%.*s\n", STR_ARG(map->body)), false));
		if (structures[i].extension) {
			want = arena_printf(&arena, "%s%s)", structures[i].body,
					    structures[i].extension);
			assert_str(map->bodystructure, arena_c(&arena, want));
		}
	}
}

static void test_defaults(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	struct mime_index_defaults d = {STR("Tue, 3 Feb 2004 12:00:00 +0100"), STR("<new@x>")};
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, &d, &arena);
	struct mime_map *map;
	struct fail why = FAIL_INIT;
	mime_index_feed(ix, STR("Subject: s\r\n\r\n"));
	assert_ok(mime_index_finish(ix, &map, &why), &why);
	assert_str(map->envelope, "(\"Tue, 3 Feb 2004 12:00:00 +0100\" \"s\" NIL NIL NIL NIL NIL "
				  "NIL NIL \"<new@x>\")");
	assert_str(map->message_id, "<new@x>");
	assert_int_equal(map->sent.v / SEC_US, 1075806000);
	assert_int_equal(map->zone_min, 60);
	uint32_t used = MIME_MISSING_DATE | MIME_DEFAULT_DATE | MIME_MISSING_MESSAGE_ID |
			MIME_DEFAULT_MESSAGE_ID;
	assert_int_equal(map->flags & used, used);
}

static void test_bytes_flags(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	struct mime_map *map = index_whole(&arena, STR("Subject: \xe9\r\n\r\nabc\r\n"));
	assert_int_equal(map->flags & (MIME_HEADER_8BIT | MIME_BODY_8BIT | MIME_HAS_NUL),
			 MIME_HEADER_8BIT);
	map = index_whole(&arena, STR("Subject: x\r\n\r\nabc\xe9\r\n"));
	assert_int_equal(map->flags & (MIME_HEADER_8BIT | MIME_BODY_8BIT | MIME_HAS_NUL),
			 MIME_BODY_8BIT);
	map = index_whole(&arena, STR("Subject: x\0y\r\n\r\nabc\0\r\n"));
	assert_int_equal(map->flags & (MIME_HEADER_8BIT | MIME_BODY_8BIT | MIME_HAS_NUL),
			 MIME_HAS_NUL);
	assert_str(map->envelope, "(NIL {5}\r\nx\xef\xbf\xbdy NIL NIL NIL NIL NIL NIL NIL NIL)");
}

/* --- limits ------------------------------------------------------------------------------ */

static void limit_check(struct str m, const struct mime_limits *lim, uint32_t flags, uint32_t parts)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	AUTO(buf) struct buf a = BUF_INIT(MIB(16));
	AUTO(buf) struct buf b = BUF_INIT(MIB(16));
	struct mime_map *map = index_pieces(&arena, m, m.n, 1, lim);
	assert_int_equal(map->flags & flags, flags);
	assert_int_equal(map->n_parts, parts);
	map_bytes(map, &a);
	map_bytes(index_pieces(&arena, m, 0, 4093, lim), &b);
	assert_true(str_eq(buf_str(&a), buf_str(&b)));
}

static void test_many_parts(void **state)
{
	(void)state;
	AUTO(buf) struct buf m = BUF_INIT(MIB(64));
	struct mime_limits wide = MIME_LIMITS_DEFAULT;
	wide.output_bytes = MIB(8);
	(void)buf_add(&m, STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
	for (int i = 0; i < 500000; i++)
		(void)buf_add(&m, STR("--b\r\n\r\n"));
	(void)buf_add(&m, STR("--b--\r\n"));
	limit_check(buf_str(&m), &wide, MIME_CUT_PARTS, 10000);
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	struct mime_map *map = index_whole(&arena, buf_str(&m));
	assert_true(map->flags & (MIME_CUT_OUTPUT | MIME_CUT_PARTS));
	assert_true(map->bodystructure.n <= MIB(1));
}

/* index.h promises that 8 MiB do for the default limits. */
static void test_worst_arena(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	AUTO(buf) struct buf m = BUF_INIT(MIB(64));
	for (int i = 0; i < 9000; i++)
		(void)buf_addf(&m, "X-0123456789-%d: y\r\n", i);
	(void)buf_add(&m, STR("Content-Type: multipart/mixed; boundary=b\r\n"));
	static const char *const names[] = {"From", "To", "Cc", "Bcc"};
	for (size_t f = 0; f < ARRAY_LEN(names); f++) {
		(void)buf_addf(&m, "%s:", names[f]);
		for (int i = 0; i < 5000; i++)
			(void)buf_addf(&m, " some one %d <%d@example.com>,\r\n", i, i);
	}
	for (int i = 0; i < 12000; i++)
		(void)buf_add(&m, STR("\r\n--b\r\n\r\n"));
	struct mime_map *map = index_whole(&arena, buf_str(&m));
	assert_true(map->n_parts > 9000);
	assert_true(map->n_fields > 9000);
}

static void test_deep_nesting(void **state)
{
	(void)state;
	AUTO(buf) struct buf m = BUF_INIT(MIB(64));
	for (int i = 0; i < 20000; i++)
		(void)buf_addf(&m, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n",
			       i, i);
	limit_check(buf_str(&m), NULL, MIME_CUT_DEPTH, 64);
	buf_reset(&m);
	for (int i = 0; i < 20000; i++)
		(void)buf_add(&m, STR("Content-Type: message/rfc822\r\n\r\n"));
	limit_check(buf_str(&m), NULL, MIME_CUT_DEPTH, 64);
}

static void test_huge_header(void **state)
{
	(void)state;
	AUTO(buf) struct buf m = BUF_INIT(MIB(64));
	(void)buf_add(&m, STR("To: "));
	for (int i = 0; i < 100000; i++)
		(void)buf_addf(&m, "someone%d@example.com,\r\n ", i);
	(void)buf_add(&m, STR("last@example.com\r\nContent-Type: text/html\r\n\r\nx"));
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	struct mime_map *map = index_whole(&arena, buf_str(&m));
	assert_str(map->parts[0].subtype, "html");
	assert_true(map->envelope.n < KIB(256));
	assert_true(mime_map_text_ok(map->envelope));
	assert_int_equal(map->n_fields, 2);
	limit_check(buf_str(&m), NULL, MIME_CUT_HEADER | MIME_CUT_TEXT, 1);
	buf_reset(&m);
	for (int i = 0; i < 30000; i++)
		(void)buf_addf(&m, "X-%d: y\r\n", i);
	limit_check(buf_str(&m), NULL, MIME_CUT_HEADER, 1);
	buf_reset(&m);
	for (int i = 0; i < 3000000; i++)
		(void)buf_addc(&m, 'x');
	limit_check(buf_str(&m), NULL, MIME_LONG_LINE, 1);
	(void)buf_add(&m, STR(": y\r\n\r\n"));
	limit_check(buf_str(&m), NULL, MIME_NO_BLANK_LINE, 1);
}

/* Lines about as long as what is looked at of a line, in every position to the pieces. */
static void test_line_head(void **state)
{
	(void)state;
	for (int n = 2040; n < 2056; n++) {
		AUTO(buf) struct buf m = BUF_INIT(MIB(1));
		(void)buf_add(&m, STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b"));
		for (int i = 0; i < n; i++)
			(void)buf_addc(&m, ' ');
		(void)buf_add(&m, STR("\r\n"));
		for (int i = 0; i < n; i++)
			(void)buf_addc(&m, 'n');
		(void)buf_add(&m, STR(": y\xe9\r\n\r\nbody\xe9\r\n--b--"));
		AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
		AUTO(buf) struct buf a = BUF_INIT(MIB(16));
		AUTO(buf) struct buf b = BUF_INIT(MIB(16));
		map_bytes(index_whole(&arena, buf_str(&m)), &a);
		for (size_t step = 2030; step < 2060; step++) {
			map_bytes(index_pieces(&arena, buf_str(&m), step % 61, step, NULL), &b);
			assert_true(str_eq(buf_str(&a), buf_str(&b)));
		}
	}
}

static void test_small_arena(void **state)
{
	(void)state;
	for (size_t max = 0; max < 8192; max += 64) {
		AUTO(arena) struct arena arena = ARENA_INIT(max);
		AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &arena);
		struct mime_map *map = NULL;
		mime_index_feed(ix, str_c(trees[10].message));
		int r = mime_index_finish(ix, &map, NULL);
		assert_true(r == -FAIL_LIMIT || (r == 0 && map->n_parts == 3));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunking),     cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_part_fields),  cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_structure),    cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_bytes_flags),  cmocka_unit_test(test_many_parts),
		cmocka_unit_test(test_deep_nesting), cmocka_unit_test(test_huge_header),
		cmocka_unit_test(test_worst_arena),  cmocka_unit_test(test_line_head),
		cmocka_unit_test(test_small_arena),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
