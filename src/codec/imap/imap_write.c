/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_write.h"
#include "base/utf8.h"
#include "codec/imap/imap_utf7.h"

#define QUOTED_MAX 1000

static int result(const struct buf *out)
{
	return out->failed ? -FAIL_LIMIT : 0;
}

static bool can_be_quoted(struct str s)
{
	if (s.n > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || s.p[i] == '\r' || s.p[i] == '\n' || (s.p[i] & 0x80))
			return false;
	return true;
}

static void write_quoted(struct buf *out, struct str s)
{
	(void)buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			(void)buf_addc(out, '\\');
		(void)buf_addc(out, s.p[i]);
	}
	(void)buf_addc(out, '"');
}

int imap_write_literal_head(struct buf *out, uint64_t size)
{
	(void)buf_addc(out, '{');
	(void)buf_add_u64(out, size);
	return buf_add(out, STR("}\r\n"));
}

static void write_literal(struct buf *out, struct str s)
{
	size_t nuls = 0;
	for (size_t i = 0; i < s.n; i++)
		nuls += s.p[i] == '\0';
	(void)imap_write_literal_head(out, s.n - nuls);
	struct str piece;
	while (str_cut(&s, '\0', &piece))
		(void)buf_add(out, piece);
}

int imap_write_string(struct buf *out, struct str s)
{
	if (can_be_quoted(s))
		write_quoted(out, s);
	else
		write_literal(out, s);
	return result(out);
}

int imap_write_nstring(struct buf *out, struct str s)
{
	return s.p ? imap_write_string(out, s) : buf_add(out, STR("NIL"));
}

int imap_write_astring(struct buf *out, struct str s)
{
	if (imap_is_atom(s) && !str_eqi(s, STR("NIL")))
		return buf_add(out, s);
	return imap_write_string(out, s);
}

int imap_write_mailbox(struct buf *out, struct str name)
{
	AUTO(buf) struct buf b = BUF_INIT(3 * name.n + 16);
	if (imap_is_atom(name) && str_find(name, 0, '&') == name.n)
		return imap_write_astring(out, name);
	int r = imap_utf7_encode(&b, name);
	return r < 0 ? r : imap_write_astring(out, buf_str(&b));
}

int imap_write_mailbox_utf8(struct buf *out, struct str name)
{
	if (!utf8_valid(name))
		return -FAIL_SYNTAX;
	if (str_is_ascii(name))
		return imap_write_astring(out, name);
	write_quoted(out, name);
	return result(out);
}

static void separate(struct buf *out, bool *first)
{
	if (!*first)
		(void)buf_addc(out, ' ');
	*first = false;
}

int imap_write_flags(struct buf *out, const struct imap_flags *flags)
{
	bool first = true;
	(void)buf_addc(out, '(');
	for (const struct imap_name *n = imap_flag_names; n->name; n++) {
		if (!(flags->bits & n->bit))
			continue;
		separate(out, &first);
		(void)buf_add_c(out, n->name);
	}
	for (size_t i = 0; i < flags->keyword_count; i++) {
		separate(out, &first);
		(void)buf_add(out, flags->keyword[i]);
	}
	return buf_addc(out, ')');
}

int imap_write_numbers(struct buf *out, const uint32_t *number, size_t count)
{
	bool first = true;
	for (size_t i = 0; i < count; i++) {
		separate(out, &first);
		(void)buf_add_u64(out, number[i]);
	}
	return result(out);
}

static const char *section_text_name(enum imap_section_text text)
{
	switch (text) {
	case IMAP_SECTION_ALL:
		return "";
	case IMAP_SECTION_HEADER:
		return "HEADER";
	case IMAP_SECTION_HEADER_FIELDS:
		return "HEADER.FIELDS";
	case IMAP_SECTION_HEADER_FIELDS_NOT:
		return "HEADER.FIELDS.NOT";
	case IMAP_SECTION_TEXT:
		return "TEXT";
	case IMAP_SECTION_MIME:
		return "MIME";
	}
	return "";
}

int imap_write_section(struct buf *out, const struct imap_section *section)
{
	(void)buf_addc(out, '[');
	for (size_t i = 0; i < section->part_count; i++) {
		if (i > 0)
			(void)buf_addc(out, '.');
		(void)buf_add_u64(out, section->part[i]);
	}
	if (section->part_count > 0 && section->text != IMAP_SECTION_ALL)
		(void)buf_addc(out, '.');
	(void)buf_add_c(out, section_text_name(section->text));
	for (size_t i = 0; i < section->field_count; i++) {
		(void)buf_add(out, i == 0 ? STR(" (") : STR(" "));
		(void)imap_write_astring(out, section->field[i]);
	}
	return buf_add(out, section->field_count > 0 ? STR(")]") : STR("]"));
}

static const char *fetch_name(enum imap_fetch_kind kind)
{
	switch (kind) {
	case IMAP_FETCH_UID:
		return "UID";
	case IMAP_FETCH_FLAGS:
		return "FLAGS";
	case IMAP_FETCH_INTERNALDATE:
		return "INTERNALDATE";
	case IMAP_FETCH_ENVELOPE:
		return "ENVELOPE";
	case IMAP_FETCH_BODY:
	case IMAP_FETCH_SECTION:
		return "BODY";
	case IMAP_FETCH_BODYSTRUCTURE:
		return "BODYSTRUCTURE";
	case IMAP_FETCH_RFC822:
		return "RFC822";
	case IMAP_FETCH_RFC822_HEADER:
		return "RFC822.HEADER";
	case IMAP_FETCH_RFC822_TEXT:
		return "RFC822.TEXT";
	case IMAP_FETCH_RFC822_SIZE:
		return "RFC822.SIZE";
	case IMAP_FETCH_MODSEQ:
		return "MODSEQ";
	case IMAP_FETCH_BINARY:
		return "BINARY";
	case IMAP_FETCH_BINARY_SIZE:
		return "BINARY.SIZE";
	case IMAP_FETCH_PREVIEW:
		return "PREVIEW";
	case IMAP_FETCH_SAVEDATE:
		return "SAVEDATE";
	case IMAP_FETCH_EMAILID:
		return "EMAILID";
	case IMAP_FETCH_THREADID:
		return "THREADID";
	}
	return "?";
}

int imap_write_fetch_name(struct buf *out, const struct imap_fetch_att *att)
{
	(void)buf_add_c(out, fetch_name(att->kind));
	if (att->kind == IMAP_FETCH_SECTION || att->kind == IMAP_FETCH_BINARY ||
	    att->kind == IMAP_FETCH_BINARY_SIZE)
		(void)imap_write_section(out, &att->section);
	if (att->partial)
		(void)buf_addf(out, "<%llu>", (unsigned long long)att->offset);
	return result(out);
}

int imap_write_text(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if ((unsigned char)(c - 0x20) > 0x7e - 0x20)
			c = '?';
		(void)buf_addc(out, i == 0 && c == '[' ? '(' : c);
	}
	return text.n > 0 ? result(out) : buf_addc(out, '.');
}

void imap_write_partial(struct buf *out, const struct imap_partial *p)
{
	const char *sign = p->from_end ? "-" : "";
	(void)buf_addf(out, "PARTIAL %s%u:%s%u", sign, p->first, sign, p->last);
}
