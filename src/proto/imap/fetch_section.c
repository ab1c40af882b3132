/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_section.c - bytes of a message: bodies, sections, header fields.       [proto, imap]
 */
#include "codec/mime/header.h"
#include "proto/imap/fetch_int.h"
#include "sys/fs.h"

/* Up to this a part of a file is copied into the answer instead of sending its descriptor. */
#define COPY_MAX KIB(64)

void msg_begin(struct msg *m, struct imap_session *s, const struct store_message *row)
{
	*m = (struct msg){.s = s, .row = row, .body = STORE_SOURCE_INIT};
	arena_reset(&s->run.scratch);
}

void msg_end(struct msg *m)
{
	store_source_clear(&m->body);
	m->body_open = false;
}

int msg_map(struct msg *m, struct fail *why)
{
	if (m->map)
		return 0;
	return mime_map_read(m->row->map, m->row->body_size, &m->s->run.scratch, &m->map, why);
}

int msg_body(struct msg *m, struct fail *why)
{
	if (m->body_open)
		return 0;
	int r = store_body_open(m->s->view, m->row, &m->s->run.scratch, &m->body, why);
	if (r < 0)
		return r;
	m->body_open = true;
	if (m->body.fd < 0)
		m->body.size = m->body.bytes.n;
	if (m->body.size != m->row->body_size)
		return fail_set(why, FAIL_CORRUPT, NULL,
				"message %llu: body has %llu bytes, row says %llu",
				(unsigned long long)m->row->id.v, (unsigned long long)m->body.size,
				(unsigned long long)m->row->body_size);
	return 0;
}

int msg_read(struct msg *m, uint64_t off, size_t len, char *into, struct fail *why)
{
	struct fs *fs = m->s->config.fs ? m->s->config.fs : fs_real();
	struct fs_file file = {fs, m->body.fd};
	size_t n;
	CHECK(m->body_open && off <= m->body.size && len <= m->body.size - off);
	if (m->body.fd < 0) {
		memcpy(into, m->body.bytes.p + off, len);
		return 0;
	}
	int r = fs_pread(&file, into, len, m->body.offset + off, &n, why);
	if (r < 0)
		return r;
	if (n != len)
		return fail_set(why, FAIL_CORRUPT, NULL, "message %llu: body file is cut",
				(unsigned long long)m->row->id.v);
	return 0;
}

int msg_load(struct msg *m, uint64_t off, uint64_t len, struct str *ret, struct fail *why)
{
	int r = msg_body(m, why);
	if (r < 0)
		return r;
	if (m->body.fd < 0) {
		*ret = str_sub(m->body.bytes, off, off + len);
		return 0;
	}
	char *p = arena_alloc(&m->s->run.scratch, len);
	if (!p)
		return fail_set(why, FAIL_LIMIT, NULL, "%llu bytes to look at",
				(unsigned long long)len);
	*ret = str_make(p, len);
	return msg_read(m, off, len, p, why);
}

static bool field_is_named(const struct imap_section *section, struct str name)
{
	for (size_t i = 0; i < section->field_count; i++)
		if (str_eqi(section->field[i], name))
			return true;
	return false;
}

/* The chosen fields of a header block, appended to `out`. */
static void filter_fields(const struct imap_section *section, struct str header, struct buf *out)
{
	bool named = section->text == IMAP_SECTION_HEADER_FIELDS;
	struct header_field field;
	while (header_next(&header, &field))
		if (field_is_named(section, field.name) == named)
			buf_add(out, field.whole);
}

/* HEADER.FIELDS and .NOT: always ends with the empty line (6.4.5). */
static int find_fields(struct msg *m, const struct imap_section *section,
		       const struct mime_range *range, struct section_bytes *ret, struct fail *why)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(16));
	struct str header;
	int r = msg_load(m, range->off, range->len, &header, why);
	if (r < 0)
		return r;
	if (section->part_count == 0)
		filter_fields(section, m->row->prefix, &b);
	filter_fields(section, header, &b);
	buf_add(&b, STR("\r\n"));
	*ret = (struct section_bytes){.head = arena_str(&m->s->run.scratch, buf_str(&b))};
	if (b.failed || !ret->head.p)
		return fail_set(why, FAIL_LIMIT, NULL, "header of %llu bytes",
				(unsigned long long)range->len);
	return 1;
}

static enum mime_section section_kind(enum imap_section_text text)
{
	switch (text) {
	case IMAP_SECTION_HEADER:
	case IMAP_SECTION_HEADER_FIELDS:
	case IMAP_SECTION_HEADER_FIELDS_NOT:
		return MIME_SECTION_HEADER;
	case IMAP_SECTION_TEXT:
		return MIME_SECTION_TEXT;
	case IMAP_SECTION_MIME:
		return MIME_SECTION_MIME;
	case IMAP_SECTION_ALL:
		break;
	}
	return MIME_SECTION_ALL;
}

int section_find(struct msg *m, const struct imap_section *section, struct section_bytes *ret,
		 struct fail *why)
{
	enum mime_section kind = section_kind(section->text);
	struct mime_range range;
	if (kind == MIME_SECTION_ALL && section->part_count == 0) {
		*ret = (struct section_bytes){m->row->prefix, 0, m->row->body_size};
		return 1;
	}
	int r = msg_map(m, why);
	if (r < 0)
		return r;
	r = mime_map_section(m->map, section->part, section->part_count, kind, &range);
	if (r < 0)
		return 0;
	if (section->text == IMAP_SECTION_HEADER_FIELDS ||
	    section->text == IMAP_SECTION_HEADER_FIELDS_NOT)
		return find_fields(m, section, &range, ret, why);
	*ret = (struct section_bytes){.off = range.off, .len = range.len};
	if (kind == MIME_SECTION_HEADER && section->part_count == 0)
		ret->head = m->row->prefix;
	return 1;
}

static int write_body(struct msg *m, uint64_t off, uint64_t len, struct imap_out *out,
		      struct fail *why)
{
	int r = msg_body(m, why);
	if (r < 0)
		return r;
	CHECK(off <= m->body.size && len <= m->body.size - off);
	if (m->body.fd < 0) {
		buf_add(&out->text, str_sub(m->body.bytes, off, off + len));
		return 0;
	}
	if (len > COPY_MAX) {
		imap_out_file(out, TAKE_FD(m->body.fd), m->body.offset + off, len);
		m->body_open = false;
		return 0;
	}
	char *room = buf_room(&out->text, len);
	if (!room)
		return fail_set(why, FAIL_LIMIT, NULL, "answer too large");
	r = msg_read(m, off, len, room, why);
	if (r == 0)
		buf_added(&out->text, len);
	return r;
}

int section_write(struct msg *m, const struct section_bytes *bytes, uint64_t from, uint64_t n,
		  struct imap_out *out, struct fail *why)
{
	struct str head =
		str_sub(bytes->head, MIN(from, bytes->head.n), MIN(from + n, bytes->head.n));
	buf_add(&out->text, head);
	n -= head.n;
	if (n == 0)
		return 0;
	from += head.n;
	return write_body(m, bytes->off + (from - bytes->head.n), n, out, why);
}
