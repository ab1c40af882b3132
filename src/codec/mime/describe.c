/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/describe.h"
#include "base/utf8.h"
#include "codec/mime/address.h"
#include "codec/mime/charset.h"
#include "codec/mime/date.h"
#include "codec/mime/header.h"
#include "codec/mime/word.h"

#define TYPE_MAX       128
#define CHARSET_MAX    64
#define NAME_MAX_BYTES 1024 /* of a filename or display name */
#define ENVELOPE_MAX   KIB(512)

static struct str lower_copy(struct arena *arena, struct str s, size_t max)
{
	size_t n = MIN(s.n, max);
	char *p = arena_c(arena, str_sub(s, 0, n));
	if (!p)
		return STR_NULL;
	for (size_t i = 0; i < n; i++)
		p[i] = ascii_lower(p[i]);
	return str_make(p, n);
}

/* At most max bytes of UTF-8, cut between characters. */
static struct str utf8_clip(struct str s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return str_sub(s, 0, max);
}

/*
 * Read "type/subtype" into *type (NUL-terminated, as written). What is not of this form is
 * text/plain (RFC 2045 5.2); x then stands where parameters may begin.
 */
static void type_take(struct lex *x, struct buf *type)
{
	lex_cfws(x, NULL);
	(void)buf_add(type, str_sub(lex_run(x, lex_is_token), 0, TYPE_MAX));
	lex_cfws(x, NULL);
	bool slash = lex_at(x, "/") && type->n > 0;
	if (slash) {
		x->at++;
		lex_cfws(x, NULL);
		(void)buf_addc(type, '/');
		struct str sub = str_sub(lex_run(x, lex_is_token), 0, TYPE_MAX);
		(void)buf_add(type, sub);
		slash = sub.n > 0;
	}
	if (!slash) {
		buf_reset(type);
		(void)buf_add(type, STR("text/plain"));
	}
}

static enum mime_encoding encoding_of(const struct head *h)
{
	static const struct {
		const char *name;
		enum mime_encoding encoding;
	} names[] = {
		{"7bit", MIME_ENC_7BIT},	   {"8bit", MIME_ENC_8BIT},
		{"binary", MIME_ENC_BINARY},	   {"base64", MIME_ENC_BASE64},
		{"quoted-printable", MIME_ENC_QP}, {"x-uuencode", MIME_ENC_UUENCODE},
		{"uuencode", MIME_ENC_UUENCODE},   {"x-uue", MIME_ENC_UUENCODE},
		{"uue", MIME_ENC_UUENCODE},
	};
	struct lex x = {0};
	size_t at = 0;
	(void)head_next(h, HEAD_ENCODING, &at, &x.s);
	lex_cfws(&x, NULL);
	struct str token = lex_run(&x, lex_is_token);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqi(token, str_c(names[i].name)))
			return names[i].encoding;
	return token.n == 0 ? MIME_ENC_7BIT : MIME_ENC_OTHER;
}

static struct str filename_copy(struct arena *arena, struct str value)
{
	AUTO(buf) struct buf decoded = BUF_INIT(value.n * 4 + 64);
	word_decode(&decoded, value);
	return arena_str(arena, utf8_clip(str_trim(buf_str(&decoded)), NAME_MAX_BYTES));
}

static void disposition_fill(struct describe *d, const struct head *h, const struct params *type,
			     struct mime_part *part)
{
	struct params params;
	struct lex x = {0};
	size_t at = 0;
	struct str name = STR_NULL;
	if (head_next(h, HEAD_DISPOSITION, &at, &x.s)) {
		lex_cfws(&x, NULL);
		struct str token = lex_run(&x, lex_is_token);
		part->disposition = str_eqi(token, STR("inline"))	? MIME_DISP_INLINE
				    : str_eqi(token, STR("attachment")) ? MIME_DISP_ATTACHMENT
				    : token.n > 0			? MIME_DISP_OTHER
									: MIME_DISP_NONE;
		params_parse(&x, d->scratch, &params);
		name = params_find(&params, STR("filename"));
	}
	if (name.n == 0)
		name = params_find(type, STR("name"));
	part->filename = filename_copy(d->arena, name);
}

/* Decide what the part is: its flags, and whether its body is descended into. */
static enum describe_kind kind_of(struct describe *d, struct mime_part *part,
				  const struct params *type)
{
	bool message =
		str_eq(part->type, STR("message")) &&
		(str_eq(part->subtype, STR("rfc822")) || str_eq(part->subtype, STR("global")));
	if (str_eq(part->type, STR("multipart"))) {
		struct str boundary = params_find(type, STR("boundary"));
		while (boundary.n > 0 && lex_is_blank(boundary.p[boundary.n - 1]))
			boundary.n--; /* RFC 2046 5.1.1: a boundary does not end in blanks */
		bool usable = boundary.n > 0 && boundary.n <= BOUNDARY_MAX && !d->closed;
		part->flags |= usable ? MIME_PART_MULTIPART : MIME_PART_OPAQUE;
		buf_reset(&d->boundary);
		if (usable)
			(void)buf_add(&d->boundary, boundary);
		return usable ? DESCRIBE_MULTIPART : DESCRIBE_LEAF;
	}
	if (message) {
		bool encoded = part->encoding > MIME_ENC_BINARY;
		part->flags |= encoded || d->closed ? MIME_PART_OPAQUE : MIME_PART_MESSAGE;
		return encoded || d->closed ? DESCRIBE_LEAF : DESCRIBE_MESSAGE;
	}
	if (str_eq(part->type, STR("text")))
		part->flags |= MIME_PART_TEXT;
	return DESCRIBE_LEAF;
}

static int text_fill(struct describe *d, const struct head *h, const struct mime_part *part,
		     const struct params *params, struct str type, struct part_text *text)
{
	AUTO(buf) struct buf front = BUF_INIT(d->room);
	render_front(&front, part, h, params, type);
	text->front = arena_str(d->arena, buf_str(&front));
	AUTO(buf) struct buf back = BUF_INIT(d->room - MIN(d->room, front.n));
	render_back(&back, part, h, params);
	text->back = arena_str(d->arena, buf_str(&back));
	return front.failed || back.failed ? -FAIL_LIMIT : 0;
}

static void text_least(struct mime_part *part, struct part_text *text)
{
	text->front = STR("\"application\" \"octet-stream\" NIL NIL NIL \"7bit\"");
	text->back = STR(" NIL NIL NIL NIL");
	part->flags &= ~(uint32_t)(MIME_PART_MULTIPART | MIME_PART_MESSAGE | MIME_PART_TEXT);
	part->flags |= MIME_PART_OPAQUE;
}

int describe_part(struct describe *d, const struct head *h, struct mime_part *part,
		  struct part_text *text, enum describe_kind *ret_kind)
{
	AUTO(buf) struct buf type = BUF_INIT(2 * TYPE_MAX + 16);
	struct params params;
	struct lex x = {0};
	size_t at = 0;
	arena_reset(d->scratch);
	if (head_next(h, HEAD_TYPE, &at, &x.s))
		type_take(&x, &type);
	else
		(void)buf_add(&type, d->in_digest ? STR("message/rfc822") : STR("text/plain"));
	params_parse(&x, d->scratch, &params);
	struct str subtype;
	struct str rest = buf_str(&type);
	(void)str_cut(&rest, '/', &subtype);
	part->type = lower_copy(d->arena, subtype, TYPE_MAX);
	part->subtype = lower_copy(d->arena, rest, TYPE_MAX);
	part->charset = lower_copy(d->arena, params_find(&params, STR("charset")), CHARSET_MAX);
	part->encoding = encoding_of(h);
	disposition_fill(d, h, &params, part);
	*ret_kind = kind_of(d, part, &params);
	if (text_fill(d, h, part, &params, buf_str(&type), text) == 0)
		return 0;
	text_least(part, text);
	*ret_kind = DESCRIBE_LEAF;
	return -FAIL_LIMIT;
}

bool describe_envelope(struct arena *arena, const struct head *h,
		       const struct mime_index_defaults *defaults, size_t room, struct str *ret)
{
	size_t max = MIN(room / 4, ENVELOPE_MAX);
	AUTO(buf) struct buf out = BUF_INIT(max + KIB(256));
	bool cut = render_envelope(&out, h, defaults, max);
	if (out.failed || out.n > room) {
		*ret = STR("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
		return true;
	}
	*ret = arena_str(arena, buf_str(&out));
	return cut;
}

/* A field unfolded and decoded; address fields of one name are joined by ", ". */
static bool text_copy(struct arena *arena, const struct head *h, enum head_id id, size_t max,
		      struct str *ret)
{
	bool join = id >= HEAD_FROM && id <= HEAD_BCC;
	AUTO(buf) struct buf line = BUF_INIT(MIB(16));
	AUTO(buf) struct buf text = BUF_INIT(MIB(64));
	struct str raw;
	bool cut = false;
	for (size_t at = 0; text.n <= max && head_next(h, id, &at, &raw);) {
		cut |= raw.n > 4 * max;
		buf_reset(&line);
		header_unfold(&line, str_sub(raw, 0, 4 * max));
		if (text.n > 0)
			(void)buf_add(&text, STR(", "));
		word_decode(&text, buf_str(&line));
		if (!join)
			break;
	}
	*ret = arena_str(arena, utf8_clip(buf_str(&text), max));
	return cut || text.n > max;
}

static void first_copy(struct arena *arena, const struct head *h, enum head_id id,
		       struct mime_first *ret)
{
	AUTO(addr_parser) struct addr_parser p;
	AUTO(buf) struct buf display = BUF_INIT(ADDR_TEXT_MAX * 8);
	struct str raw = STR_NULL;
	struct addr a;
	size_t at = 0;
	(void)head_next(h, id, &at, &raw);
	addr_begin(&p, raw);
	if (!addr_next(&p, &a))
		return;
	/* The address structure of a group has its name there (RFC 3501 7.4.2). */
	charset_guess(&display, a.kind == ADDR_MAILBOX ? a.mailbox : a.name);
	ret->mailbox = arena_str(arena, utf8_clip(buf_str(&display), NAME_MAX_BYTES));
	buf_reset(&display);
	if (a.name.n > 0) {
		word_decode(&display, a.name);
	} else {
		charset_guess(&display, a.mailbox);
		(void)buf_addc(&display, '@');
		charset_guess(&display, a.host);
	}
	ret->display = arena_str(arena, utf8_clip(buf_str(&display), NAME_MAX_BYTES));
}

static void date_fill(const struct head *h, struct str fallback, struct mime_map *map)
{
	AUTO(buf) struct buf line = BUF_INIT(4096);
	bool present = head_line(h, HEAD_DATE, 1000, &line);
	struct str text = present ? buf_str(&line) : fallback;
	if (!present)
		map->flags |=
			fallback.n > 0 ? MIME_MISSING_DATE | MIME_DEFAULT_DATE : MIME_MISSING_DATE;
	if (text.n > 0 && !date_parse(text, &map->sent, &map->zone_min))
		map->flags |= MIME_BAD_DATE;
}

bool describe_message(struct arena *arena, const struct head *h,
		      const struct mime_index_defaults *defaults, size_t text_max,
		      struct mime_map *map)
{
	bool cut = text_copy(arena, h, HEAD_SUBJECT, text_max, &map->subject);
	cut |= text_copy(arena, h, HEAD_FROM, text_max, &map->from);
	cut |= text_copy(arena, h, HEAD_SENDER, text_max, &map->sender);
	cut |= text_copy(arena, h, HEAD_TO, text_max, &map->to);
	cut |= text_copy(arena, h, HEAD_CC, text_max, &map->cc);
	cut |= text_copy(arena, h, HEAD_BCC, text_max, &map->bcc);
	cut |= text_copy(arena, h, HEAD_MESSAGE_ID, text_max, &map->message_id);
	cut |= text_copy(arena, h, HEAD_IN_REPLY_TO, text_max, &map->in_reply_to);
	cut |= text_copy(arena, h, HEAD_REFERENCES, text_max, &map->references);
	first_copy(arena, h, HEAD_FROM, &map->first_from);
	first_copy(arena, h, HEAD_TO, &map->first_to);
	first_copy(arena, h, HEAD_CC, &map->first_cc);
	date_fill(h, defaults->date, map);
	if (map->message_id.n == 0) {
		size_t at = 0;
		struct str raw;
		if (!head_next(h, HEAD_MESSAGE_ID, &at, &raw))
			map->flags |= MIME_MISSING_MESSAGE_ID;
		if ((map->flags & MIME_MISSING_MESSAGE_ID) && defaults->message_id.n > 0) {
			map->flags |= MIME_DEFAULT_MESSAGE_ID;
			map->message_id = arena_str(arena, defaults->message_id);
		}
	}
	return cut;
}
