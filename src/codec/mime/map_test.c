/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/mime_test.h"

/* RFC 3501 6.4.5, the example tree. */
static const char example[] =
	"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
	"--a\r\n\r\npart 1\r\n"
	"--a\r\nContent-Type: application/octet-stream\r\n\r\npart 2\r\n"
	"--a\r\nContent-Type: message/rfc822\r\n\r\n"
	"Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	"--b\r\n\r\npart 3.1\r\n--b\r\nContent-Type: image/gif\r\n\r\npart 3.2\r\n--b--\r\n\r\n"
	"--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
	"--c\r\n\r\npart 4.1\r\n"
	"--c\r\nContent-Type: message/rfc822\r\n\r\nSubject: four\r\n\r\npart 4.2.1\r\n--c--\r\n"
	"--a--\r\n";

static const struct {
	uint32_t path[4];
	size_t n;
	enum mime_section kind;
	const char *want; /* its beginning; NULL: there is none */
} sections[] = {
	{{0}, 0, MIME_SECTION_ALL, example},
	{{0}, 0, MIME_SECTION_HEADER, "Content-Type: multipart/mixed; boundary=a\r\n\r\n"},
	{{0}, 0, MIME_SECTION_TEXT, "--a\r\n"},
	{{0}, 0, MIME_SECTION_MIME, NULL},
	{{1}, 1, MIME_SECTION_ALL, "part 1"},
	{{1}, 1, MIME_SECTION_MIME, "\r\n"},
	{{1}, 1, MIME_SECTION_HEADER, NULL},
	{{1, 1}, 2, MIME_SECTION_ALL, NULL},
	{{2}, 1, MIME_SECTION_MIME, "Content-Type: application/octet-stream\r\n\r\n"},
	{{3}, 1, MIME_SECTION_ALL, "Subject: three\r\n"},
	{{3}, 1, MIME_SECTION_MIME, "Content-Type: message/rfc822\r\n\r\n"},
	{{3},
	 1,
	 MIME_SECTION_HEADER,
	 "Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"},
	{{3}, 1, MIME_SECTION_TEXT, "--b\r\n"},
	{{3, 1}, 2, MIME_SECTION_ALL, "part 3.1"},
	{{3, 2}, 2, MIME_SECTION_MIME, "Content-Type: image/gif\r\n\r\n"},
	{{3, 3}, 2, MIME_SECTION_ALL, NULL},
	{{4, 1}, 2, MIME_SECTION_ALL, "part 4.1"},
	{{4, 2}, 2, MIME_SECTION_HEADER, "Subject: four\r\n\r\n"},
	{{4, 2, 1}, 3, MIME_SECTION_ALL, "part 4.2.1"},
	{{4, 2, 1}, 3, MIME_SECTION_MIME, "Subject: four\r\n\r\n"},
	{{4, 2, 2}, 3, MIME_SECTION_ALL, NULL},
	{{4, 2, 1, 1}, 4, MIME_SECTION_ALL, NULL},
	{{5}, 1, MIME_SECTION_ALL, NULL},
	{{0}, 1, MIME_SECTION_ALL, NULL},
	{{UINT32_MAX}, 1, MIME_SECTION_ALL, NULL},
};

static void test_sections(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	struct mime_map *map = index_whole(&arena, str_c(example));
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		struct mime_range range;
		int r = mime_map_section(map, sections[i].path, sections[i].n, sections[i].kind,
					 &range);
		struct str got = r < 0 ? STR_NULL
				       : str_sub(str_c(example), range.off, range.off + range.len);
		if (r < 0 ? sections[i].want != NULL
			  : !sections[i].want || !str_starts(got, str_c(sections[i].want)))
			fail_msg("section %zu: %d, \"%.*s\"", i, r, STR_ARG(got));
	}
}

/* A message that is no multipart has the part 1; one that is a message goes on inside. */
static void test_sections_of_plain(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	struct mime_range range;
	struct mime_map *map = index_whole(&arena, STR("A: b\r\n\r\nbody"));
	assert_int_equal(mime_map_section(map, (uint32_t[]){1}, 1, MIME_SECTION_ALL, &range), 0);
	assert_int_equal(range.off, 8);
	assert_int_equal(range.len, 4);
	assert_int_equal(mime_map_section(map, (uint32_t[]){1, 1}, 2, MIME_SECTION_ALL, &range),
			 -FAIL_NOTFOUND);
	map = index_whole(&arena, STR("Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nbody"));
	assert_int_equal(mime_map_section(map, (uint32_t[]){1}, 1, MIME_SECTION_HEADER, &range), 0);
	assert_int_equal(range.off, 32);
	assert_int_equal(range.len, 8);
	assert_int_equal(mime_map_section(map, (uint32_t[]){1, 1}, 2, MIME_SECTION_ALL, &range), 0);
	assert_int_equal(range.off, 40);
}

/* What a reader may rely on, whatever bytes it was given (map.h, invariants). */
static void invariants_check(const struct mime_map *map, uint64_t size)
{
	assert_true(map->n_parts >= 1);
	assert_int_equal(map->size, size);
	assert_int_equal(map->parts[0].body_off + map->parts[0].body_len, size);
	for (uint32_t i = 1; i < map->n_parts; i++) {
		const struct mime_part *p = &map->parts[i];
		const struct mime_part *parent = &map->parts[p->parent];
		assert_true(p->parent < i && p->end > i && p->end <= parent->end);
		assert_true(p->header_off >= parent->body_off &&
			    p->body_off == p->header_off + p->header_len);
		assert_true(p->body_off + p->body_len <= parent->body_off + parent->body_len);
	}
	for (uint32_t i = 0; i < map->n_fields; i++)
		assert_true(map->fields[i].off + map->fields[i].len <= map->parts[0].header_len);
	assert_true(mime_map_text_ok(map->envelope) && mime_map_text_ok(map->body) &&
		    mime_map_text_ok(map->bodystructure));
}

/* Every prefix is refused; every changed byte is refused or gives a map that keeps its promises. */
static void test_damage(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	AUTO(arena) struct arena scratch = ARENA_INIT(MIB(64));
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct mime_map *map = index_whole(&arena, str_c(example));
	struct mime_map *got;
	size_t refused = 0;
	map_bytes(map, &b);
	assert_int_equal(mime_map_read(buf_str(&b), map->size + 1, &scratch, &got, NULL),
			 -FAIL_CORRUPT);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(mime_map_read(str_make(b.p, n), map->size, &scratch, &got, NULL),
				 -FAIL_CORRUPT);
	for (size_t at = 0; at < b.n; at++) {
		for (unsigned change = 1; change < 256; change++) {
			b.p[at] = (char)((unsigned char)b.p[at] ^ change);
			arena_reset(&scratch);
			if (mime_map_read(buf_str(&b), map->size, &scratch, &got, NULL) == 0)
				invariants_check(got, map->size);
			else
				refused++;
			b.p[at] = (char)((unsigned char)b.p[at] ^ change);
		}
	}
	assert_true(refused > 0);
	b.p[1] = 3;
	assert_int_equal(mime_map_read(buf_str(&b), map->size, &scratch, &got, NULL),
			 -FAIL_UNSUPPORTED);
}

/* One text is the one of the whole map, also where the rest of it is broken; never an unsafe one.
 */
static void test_one_text(void **state)
{
	(void)state;
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(8));
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct mime_map *map = index_whole(&arena, str_c(example));
	const struct str want[] = {map->envelope, map->body, map->bodystructure};
	struct str got = STR_NULL;
	map_bytes(map, &b);
	for (enum mime_text k = MIME_TEXT_ENVELOPE; k <= MIME_TEXT_BODYSTRUCTURE; k++) {
		assert_int_equal(mime_map_text(buf_str(&b), map->size, k, &got, NULL), 0);
		assert_true(str_eq(got, want[k]));
		assert_int_equal(mime_map_text(buf_str(&b), map->size + 1, k, &got, NULL),
				 -FAIL_CORRUPT);
	}
	size_t end = (size_t)(got.p - b.p) + got.n;
	for (size_t n = 0; n < end; n++)
		assert_int_equal(mime_map_text(str_make(b.p, n), map->size, MIME_TEXT_BODYSTRUCTURE,
					       &got, NULL),
				 -FAIL_CORRUPT);
	for (size_t at = 0; at < b.n; at++) {
		for (unsigned change = 1; change < 256; change++) {
			b.p[at] = (char)((unsigned char)b.p[at] ^ change);
			for (enum mime_text k = 0; k <= MIME_TEXT_BODYSTRUCTURE; k++)
				if (mime_map_text(buf_str(&b), map->size, k, &got, NULL) == 0)
					assert_true(mime_map_text_ok(got));
			b.p[at] = (char)((unsigned char)b.p[at] ^ change);
		}
	}
	b.p[1] = 3;
	assert_int_equal(mime_map_text(buf_str(&b), map->size, MIME_TEXT_BODY, &got, NULL),
			 -FAIL_UNSUPPORTED);
}

static void test_text_ok(void **state)
{
	(void)state;
	static const char *const good[] = {"()", "(NIL 1 \"a\\\"\" (\"b\"))", "({3}\r\na\") NIL)",
					   "(\"a\"(1)\"\")"};
	static const char *const bad[] = {"",		"NIL",
					  "(",		"())",
					  "() ",	"(\"a\r\n\")",
					  "(\"a)",	"({9}\r\nabc)",
					  "({3}\nabc)", "(x)",
					  "(\"\\a\")",	"(\"\xe9\")",
					  "(NI)",	"({99999999999999999999}\r\n)",
					  "(\r\n)"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(mime_map_text_ok(str_c(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(mime_map_text_ok(str_c(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections), cmocka_unit_test(test_sections_of_plain),
		cmocka_unit_test(test_damage),	 cmocka_unit_test(test_one_text),
		cmocka_unit_test(test_text_ok),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
