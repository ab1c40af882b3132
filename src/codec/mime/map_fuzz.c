/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_fuzz.c - bytes that are read as a map keep the promises of map.h, and come back when written.
 *
 * Input: the size of the message (u16) and the map; or 0xffff and edits of the map of a real
 * message, three bytes each: place (u16) and what is changed there.
 */
#include "base/check.h"
#include "codec/mime/index.h"
#include "codec/mime/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char message[] =
	"From: \"A\" <a@b.example>\r\nTo: c@d.example\r\nSubject: =?utf-8?q?=C3=A9?=\r\n"
	"Date: Mon, 1 Jan 2024 10:00:00 +0100\r\nMessage-ID: <m@b.example>\r\nMIME-Version: 1.0\r\n"
	"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain;"
	" charset=utf-8\r\n\r\nHello.\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n"
	"Content-Type: multipart/alternative; "
	"boundary=y\r\n\r\n--y\r\n\r\na\r\n--y\r\nContent-Type:"
	" text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n--y--\r\n--x\r\n"
	"Content-Disposition: attachment; filename=f.bin\r\n\r\n\r\n--x--\r\n";

static void map_check(const struct mime_map *map, uint64_t size)
{
	struct mime_range r;
	for (uint32_t i = 0; i < map->n_parts; i++) {
		const struct mime_part *p = &map->parts[i];
		CHECK(!(p->flags & MIME_PART_MESSAGE) || p->children == 1);
		CHECK(p->header_off <= p->body_off && p->body_off + p->body_len <= size);
		if (i > 0)
			CHECK(p->parent < i && p->end > i && p->end <= map->parts[p->parent].end);
	}
	for (uint32_t i = 0; i < map->n_fields; i++)
		CHECK(map->fields[i].off + map->fields[i].len <= map->parts[0].header_len);
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t path[3] = {i % 4 + 1, i / 4 % 4 + 1, i / 16 + 1};
		for (size_t n = 0; n <= 3; n++)
			for (enum mime_section k = MIME_SECTION_ALL; k <= MIME_SECTION_MIME; k++)
				if (mime_map_section(map, path, n, k, &r) == 0)
					CHECK(r.off + r.len <= size);
	}
}

/* A text that is given out is safe, whatever the rest of the map is. */
static void texts_safe(struct str bytes, uint64_t size)
{
	struct str text;
	for (enum mime_text k = MIME_TEXT_ENVELOPE; k <= MIME_TEXT_BODYSTRUCTURE; k++)
		if (mime_map_text(bytes, size, k, &text, NULL) == 0)
			CHECK(text.p >= bytes.p && text.p + text.n <= bytes.p + bytes.n &&
			      mime_map_text_ok(text));
}

/* And it is the one of the whole map. */
static void texts_agree(struct str bytes, const struct mime_map *map)
{
	const struct str want[] = {map->envelope, map->body, map->bodystructure};
	struct str text;
	for (enum mime_text k = MIME_TEXT_ENVELOPE; k <= MIME_TEXT_BODYSTRUCTURE; k++)
		CHECK(mime_map_text(bytes, map->size, k, &text, NULL) == 0 && text.p == want[k].p &&
		      text.n == want[k].n);
}

static void make_map(struct buf *out)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(1));
	AUTO(mime_index) struct mime_index *ix = mime_index_new(NULL, NULL, &arena);
	struct mime_map *map;
	mime_index_feed(ix, str_c(message));
	CHECK(mime_index_finish(ix, &map, NULL) == 0 && map->n_parts == 7);
	CHECK(mime_map_write(map, out) == 0);
}

static void edit(struct buf *bytes, struct str how)
{
	for (size_t i = 0; i + 2 < how.n; i += 3) {
		size_t at = (unsigned char)how.p[i] | (size_t)(unsigned char)how.p[i + 1] << 8;
		bytes->p[at % bytes->n] = (char)(bytes->p[at % bytes->n] ^ how.p[i + 2]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(64));
	AUTO(buf) struct buf bytes = BUF_INIT(MIB(1)), out = BUF_INIT(MIB(64));
	struct mime_map *map;
	struct mime_map *again;
	if (size < 2 || size > KIB(64))
		return 0;
	uint64_t whole = data[0] | (uint64_t)data[1] << 8;
	struct str rest = str_make((const char *)data + 2, size - 2);
	if (whole == UINT16_MAX) {
		static struct buf real = BUF_INIT(KIB(64));
		whole = sizeof message - 1;
		if (!real.n)
			make_map(&real);
		CHECK(buf_add(&bytes, buf_str(&real)) == 0);
		edit(&bytes, rest);
	} else {
		CHECK(buf_add(&bytes, rest) == 0);
	}
	texts_safe(buf_str(&bytes), whole);
	if (mime_map_read(buf_str(&bytes), whole, &arena, &map, NULL) < 0)
		return 0;
	texts_agree(buf_str(&bytes), map);
	map_check(map, whole);
	CHECK(mime_map_write(map, &out) == 0);
	CHECK(mime_map_read(buf_str(&out), whole, &arena, &again, NULL) == 0);
	return 0;
}
