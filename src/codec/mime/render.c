/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/render.h"
#include "codec/mime/address.h"

#define LINE_FIELD_MAX 4096 /* of a subject, message id, content id, ... in the rendered text */

void render_string(struct buf *out, struct str s)
{
	size_t escapes = 0;
	bool literal = false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		escapes += c == '"' || c == '\\';
		literal |= c >= 0x80 || c == '\r' || c == '\n';
	}
	literal |= escapes > 4; /* shorter, and easier on clients */
	if (literal)
		(void)buf_addf(out, "{%zu}\r\n", s.n);
	else
		(void)buf_addc(out, '"');
	size_t from = 0;
	for (size_t i = 0; i < s.n; i++) {
		bool escape = !literal && (s.p[i] == '"' || s.p[i] == '\\');
		if (!escape && s.p[i] != '\0')
			continue;
		(void)buf_add(out, str_sub(s, from, i));
		(void)buf_addc(out, escape ? '\\' : '?');
		from = i + !escape;
	}
	(void)buf_add(out, str_skip(s, from));
	if (!literal)
		(void)buf_addc(out, '"');
}

static void nstring_put(struct buf *out, struct str s)
{
	if (s.n > 0)
		render_string(out, s);
	else
		(void)buf_add(out, STR("NIL"));
}

/* The field as nstring: NIL when it is absent, "" when it is empty. */
static void line_put(struct buf *out, const struct head *h, enum head_id id)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_FIELD_MAX * 3);
	if (head_line(h, id, LINE_FIELD_MAX, &line))
		render_string(out, buf_str(&line));
	else
		(void)buf_add(out, STR("NIL"));
}

static void address_put(struct buf *out, const struct addr *a)
{
	struct str mailbox = a->mailbox.n > 0 ? a->mailbox : STR("MISSING_MAILBOX");
	struct str host = a->host.n > 0 ? a->host : STR("MISSING_DOMAIN");
	if (a->kind == ADDR_GROUP_END) {
		(void)buf_add(out, STR("(NIL NIL NIL NIL)"));
		return;
	}
	(void)buf_addc(out, '(');
	nstring_put(out, a->kind == ADDR_GROUP ? STR_NULL : a->name);
	(void)buf_addc(out, ' ');
	nstring_put(out, a->route);
	(void)buf_addc(out, ' ');
	render_string(out, a->kind == ADDR_GROUP ? a->name : mailbox);
	(void)buf_addc(out, ' ');
	nstring_put(out, a->kind == ADDR_GROUP ? STR_NULL : host);
	(void)buf_addc(out, ')');
}

/* All fields of this name as one address list, NIL when it is empty; stops after `max` bytes. */
static bool addresses_put(struct buf *out, const struct head *h, enum head_id id, size_t max)
{
	struct str raw;
	size_t start = out->n;
	bool cut = false;
	for (size_t at = 0; head_next(h, id, &at, &raw);) {
		AUTO(addr_parser) struct addr_parser p;
		struct addr a;
		addr_begin(&p, raw);
		while (!cut && addr_next(&p, &a)) {
			if (out->n == start)
				(void)buf_addc(out, '(');
			address_put(out, &a);
			cut = out->n - start > max;
		}
		if (cut && p.in_group)
			(void)buf_add(out, STR("(NIL NIL NIL NIL)"));
	}
	(void)buf_add(out, out->n == start ? STR("NIL") : STR(")"));
	return cut;
}

/* Sender and Reply-To: what From says when they are absent or empty (RFC 3501 7.4.2). */
static bool addresses_or_from(struct buf *out, const struct head *h, enum head_id id,
			      struct str from, size_t max)
{
	size_t start = out->n;
	bool cut = addresses_put(out, h, id, max);
	if (!str_eq(str_skip(buf_str(out), start), STR("NIL")))
		return cut;
	buf_cut(out, start);
	(void)buf_add(out, from);
	return cut;
}

static void line_or_default(struct buf *out, const struct head *h, enum head_id id, struct str def)
{
	size_t at = 0;
	struct str raw;
	if (def.n > 0 && !head_next(h, id, &at, &raw))
		render_string(out, def);
	else
		line_put(out, h, id);
}

bool render_envelope(struct buf *out, const struct head *h,
		     const struct mime_index_defaults *defaults, size_t max)
{
	static const enum head_id lists[] = {HEAD_TO, HEAD_CC, HEAD_BCC};
	AUTO(buf) struct buf from = BUF_INIT(out->max);
	bool cut = addresses_put(&from, h, HEAD_FROM, max / 16);
	(void)buf_addc(out, '(');
	line_or_default(out, h, HEAD_DATE, defaults->date);
	(void)buf_addc(out, ' ');
	line_put(out, h, HEAD_SUBJECT);
	(void)buf_addc(out, ' ');
	(void)buf_add(out, buf_str(&from));
	(void)buf_addc(out, ' ');
	cut |= addresses_or_from(out, h, HEAD_SENDER, buf_str(&from), max / 16);
	(void)buf_addc(out, ' ');
	cut |= addresses_or_from(out, h, HEAD_REPLY_TO, buf_str(&from), max / 16);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		(void)buf_addc(out, ' ');
		cut |= addresses_put(out, h, lists[i], max / 5);
	}
	(void)buf_addc(out, ' ');
	line_put(out, h, HEAD_IN_REPLY_TO);
	(void)buf_addc(out, ' ');
	line_or_default(out, h, HEAD_MESSAGE_ID, defaults->message_id);
	(void)buf_addc(out, ')');
	return cut;
}

/* body-fld-param; a text part always tells its charset. */
static void params_put(struct buf *out, const struct params *p, bool text)
{
	bool charset = text && !params_find(p, STR("charset")).p;
	if (p->n == 0 && !charset) {
		(void)buf_add(out, STR("NIL"));
		return;
	}
	(void)buf_addc(out, '(');
	for (size_t i = 0; i < p->n; i++) {
		if (i > 0)
			(void)buf_addc(out, ' ');
		render_string(out, p->p[i].name);
		(void)buf_addc(out, ' ');
		render_string(out, p->p[i].value);
	}
	if (charset)
		(void)buf_addf(out, "%s\"charset\" \"us-ascii\"", p->n > 0 ? " " : "");
	(void)buf_addc(out, ')');
}

static void encoding_put(struct buf *out, const struct head *h)
{
	AUTO(buf) struct buf line = BUF_INIT(1024);
	struct lex x = {0};
	if (head_line(h, HEAD_ENCODING, 256, &line))
		x.s = buf_str(&line);
	lex_cfws(&x, NULL);
	struct str token = lex_run(&x, lex_is_token);
	render_string(out, token.n > 0 ? token : STR("7bit"));
}

void render_front(struct buf *out, const struct mime_part *part, const struct head *h,
		  const struct params *type, struct str type_as_written)
{
	struct str slash = str_skip(type_as_written, str_find(type_as_written, 0, '/'));
	if (part->flags & MIME_PART_MULTIPART) {
		render_string(out, str_skip(slash, 1));
		return;
	}
	if (part->flags & MIME_PART_OPAQUE) {
		(void)buf_add(out, STR("\"application\" \"octet-stream\""));
	} else {
		render_string(out, str_sub(type_as_written, 0, type_as_written.n - slash.n));
		(void)buf_addc(out, ' ');
		render_string(out, str_skip(slash, 1));
	}
	(void)buf_addc(out, ' ');
	params_put(out, type, part->flags & MIME_PART_TEXT);
	(void)buf_addc(out, ' ');
	line_put(out, h, HEAD_ID);
	(void)buf_addc(out, ' ');
	line_put(out, h, HEAD_DESCRIPTION);
	(void)buf_addc(out, ' ');
	encoding_put(out, h);
}

static void disposition_put(struct buf *out, const struct head *h)
{
	AUTO(arena) struct arena arena = ARENA_INIT(MIB(2));
	struct params params;
	struct lex x = {0};
	size_t at = 0;
	(void)head_next(h, HEAD_DISPOSITION, &at, &x.s);
	lex_cfws(&x, NULL);
	struct str token = lex_run(&x, lex_is_token);
	if (token.n == 0) {
		(void)buf_add(out, STR("NIL"));
		return;
	}
	params_parse(&x, &arena, &params);
	(void)buf_addc(out, '(');
	render_string(out, token);
	(void)buf_addc(out, ' ');
	params_put(out, &params, false);
	(void)buf_addc(out, ')');
}

/* RFC 3282: a list of tags. */
static void language_put(struct buf *out, const struct head *h)
{
	struct lex x = {0};
	size_t at = 0;
	size_t n = 0;
	(void)head_next(h, HEAD_LANGUAGE, &at, &x.s);
	while (lex_cfws(&x, NULL), n < 100) {
		struct str tag = lex_run(&x, lex_is_token);
		if (tag.n > 0) {
			(void)buf_addc(out, n++ > 0 ? ' ' : '(');
			render_string(out, tag);
		}
		lex_cfws(&x, NULL);
		if (!lex_at(&x, ","))
			break;
		x.at++;
	}
	(void)buf_add(out, n > 0 ? STR(")") : STR("NIL"));
}

void render_back(struct buf *out, const struct mime_part *part, const struct head *h,
		 const struct params *type)
{
	(void)buf_addc(out, ' ');
	if (part->flags & MIME_PART_MULTIPART)
		params_put(out, type, false);
	else
		line_put(out, h, HEAD_MD5);
	(void)buf_addc(out, ' ');
	disposition_put(out, h);
	(void)buf_addc(out, ' ');
	language_put(out, h);
	(void)buf_addc(out, ' ');
	line_put(out, h, HEAD_LOCATION);
}

static void structure_put(struct buf *out, const struct render_part *parts, uint32_t i,
			  bool extended)
{
	const struct mime_part *p = &parts[i].part;
	const struct part_text *t = &parts[i].text;
	bool multipart = p->flags & MIME_PART_MULTIPART;
	(void)buf_addc(out, '(');
	if (!multipart) {
		(void)buf_add(out, t->front);
		(void)buf_addf(out, " %llu", (unsigned long long)p->body_len);
	}
	if (p->flags & MIME_PART_MESSAGE) {
		(void)buf_addc(out, ' ');
		(void)buf_add(out, parts[i + 1].text.envelope);
		(void)buf_addc(out, ' ');
	}
	for (uint32_t c = i + 1; c < p->end; c = parts[c].part.end)
		structure_put(out, parts, c, extended);
	if (multipart && p->children == 0) /* the grammar wants at least one */
		(void)buf_add(
			out,
			STR("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0"));
	if (multipart && p->children == 0)
		(void)buf_add(out, extended ? STR(" NIL NIL NIL NIL)") : STR(")"));
	if (multipart) {
		(void)buf_addc(out, ' ');
		(void)buf_add(out, t->front);
	} else if (p->flags & (MIME_PART_TEXT | MIME_PART_MESSAGE)) {
		(void)buf_addf(out, " %llu", (unsigned long long)p->lines);
	}
	if (extended)
		(void)buf_add(out, t->back);
	(void)buf_addc(out, ')');
}

void render_structure(struct buf *out, const struct render_part *parts, bool extended)
{
	structure_put(out, parts, 0, extended);
}
