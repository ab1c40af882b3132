/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_item.c - the attributes of FETCH (RFC 3501 6.4.5, 7.4.2; RFC 7162 3.1.4.2).  [proto, imap]
 */
#include "codec/imap/imap_date.h"
#include "codec/imap/imap_write.h"
#include "proto/imap/fetch_int.h"

/* RFC822 and its relatives are other names of sections. */
static struct imap_section section_of(const struct imap_fetch_att *att)
{
	if (att->kind == IMAP_FETCH_RFC822_HEADER)
		return (struct imap_section){.text = IMAP_SECTION_HEADER};
	if (att->kind == IMAP_FETCH_RFC822_TEXT)
		return (struct imap_section){.text = IMAP_SECTION_TEXT};
	if (att->kind == IMAP_FETCH_RFC822)
		return (struct imap_section){.text = IMAP_SECTION_ALL};
	return att->section;
}

unsigned fetch_item_columns(const struct imap_fetch_att *att)
{
	struct imap_section section;
	switch (att->kind) {
	case IMAP_FETCH_INTERNALDATE:
	case IMAP_FETCH_THREADID:
		return STORE_COL_DATES;
	case IMAP_FETCH_SAVEDATE:
		return STORE_COL_SAVED;
	case IMAP_FETCH_ENVELOPE:
	case IMAP_FETCH_BODY:
	case IMAP_FETCH_BODYSTRUCTURE:
	case IMAP_FETCH_PREVIEW:
		return STORE_COL_MAP;
	case IMAP_FETCH_RFC822:
	case IMAP_FETCH_RFC822_HEADER:
	case IMAP_FETCH_RFC822_TEXT:
	case IMAP_FETCH_SECTION:
		section = section_of(att);
		if (section.text == IMAP_SECTION_ALL && section.part_count == 0)
			return STORE_COL_PREFIX;
		return STORE_COL_PREFIX | STORE_COL_MAP;
	case IMAP_FETCH_BINARY:
	case IMAP_FETCH_BINARY_SIZE:
		return STORE_COL_PREFIX | STORE_COL_MAP;
	case IMAP_FETCH_UID:
	case IMAP_FETCH_FLAGS:
	case IMAP_FETCH_RFC822_SIZE:
	case IMAP_FETCH_MODSEQ:
	case IMAP_FETCH_EMAILID:
		break;
	}
	return 0;
}

bool fetch_item_sets_seen(const struct imap_fetch_att *att)
{
	return att->kind == IMAP_FETCH_RFC822 || att->kind == IMAP_FETCH_RFC822_TEXT ||
	       ((att->kind == IMAP_FETCH_SECTION || att->kind == IMAP_FETCH_BINARY) && !att->peek);
}

static int write_section(struct msg *m, const struct imap_fetch_att *att, struct imap_out *out,
			 struct fail *why)
{
	struct imap_section section = section_of(att);
	struct section_bytes bytes;
	int r = section_find(m, &section, &bytes, why);
	if (r < 0)
		return r;
	if (r == 0) {
		buf_add(&out->text, STR("NIL"));
		return 0;
	}
	uint64_t total = bytes.head.n + bytes.len;
	uint64_t from = att->partial ? MIN(att->offset, total) : 0;
	uint64_t n = att->partial ? MIN(att->count, total - from) : total;
	if (n == 0) {
		buf_add(&out->text, STR("\"\""));
		return 0;
	}
	imap_write_literal_head(&out->text, n);
	return section_write(m, &bytes, from, n, out, why);
}

static int write_structure(struct msg *m, enum mime_text which, struct imap_out *out,
			   struct fail *why)
{
	struct str text;
	int r = mime_map_text(m->row->map, m->row->body_size, which, &text, why);
	if (r == 0)
		buf_add(&out->text, text);
	return r;
}

static void write_row_flags(struct msg *m, struct buf *b)
{
	size_t n;
	const struct str *keywords = store_view_get_keywords(m->s->view, &n);
	write_flags(b, flags_shown(m->s, m->row->flags), keywords, n);
}

int fetch_item_write(struct msg *m, const struct imap_fetch_att *att, struct imap_out *out,
		     struct fail *why)
{
	struct buf *b = &out->text;
	imap_write_fetch_name(b, att);
	buf_addc(b, ' ');
	switch (att->kind) {
	case IMAP_FETCH_UID:
		buf_add_u64(b, m->row->uid.v);
		return 0;
	case IMAP_FETCH_FLAGS:
		write_row_flags(m, b);
		return 0;
	case IMAP_FETCH_INTERNALDATE:
		imap_datetime_write(b,
				    (struct imap_datetime){m->row->internaldate, m->row->zone_min});
		return 0;
	case IMAP_FETCH_SAVEDATE:
		imap_datetime_write(b, (struct imap_datetime){.at = m->row->saved});
		return 0;
	case IMAP_FETCH_EMAILID:
		buf_addc(b, '(');
		write_emailid(b, m->row->id);
		buf_addc(b, ')');
		return 0;
	case IMAP_FETCH_THREADID:
		buf_addc(b, '(');
		write_threadid(b, m->row->thread);
		buf_addc(b, ')');
		return 0;
	case IMAP_FETCH_RFC822_SIZE:
		buf_add_u64(b, m->row->size);
		return 0;
	case IMAP_FETCH_MODSEQ:
		buf_addc(b, '(');
		buf_add_u64(b, m->row->modseq.v);
		buf_addc(b, ')');
		return 0;
	case IMAP_FETCH_ENVELOPE:
		return write_structure(m, MIME_TEXT_ENVELOPE, out, why);
	case IMAP_FETCH_BODY:
		return write_structure(m, MIME_TEXT_BODY, out, why);
	case IMAP_FETCH_BODYSTRUCTURE:
		return write_structure(m, MIME_TEXT_BODYSTRUCTURE, out, why);
	case IMAP_FETCH_RFC822:
	case IMAP_FETCH_RFC822_HEADER:
	case IMAP_FETCH_RFC822_TEXT:
	case IMAP_FETCH_SECTION:
		return write_section(m, att, out, why);
	case IMAP_FETCH_PREVIEW:
		return preview_write(m, att, b, why);
	case IMAP_FETCH_BINARY:
		return binary_write(m, att, out, why);
	case IMAP_FETCH_BINARY_SIZE:
		return binary_write_size(m, att, b, why);
	}
	return fail_set(why, FAIL_BUG, NULL, "unknown attribute %d", (int)att->kind);
}
