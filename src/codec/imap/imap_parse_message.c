/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_parse.h"
#include "codec/imap/imap_quirks.h"
#include "codec/imap/imap_url.h"

/* ---- flags ---- */

struct flag_builder {
	struct imap_flags *flags;
	struct str *keyword;
};

static int add_keyword(struct imap_lex *lex, struct flag_builder *b, struct str name)
{
	struct imap_flags *f = b->flags;
	if (name.n > lex->lim->keyword_bytes)
		return fail_set(lex->why, FAIL_LIMIT, "keyword too long", "%zu bytes", name.n);
	for (size_t i = 0; i < f->keyword_count; i++)
		if (str_eqi(b->keyword[i], name))
			return 0;
	int r = IMAP_GROW(lex, &b->keyword, f->keyword_count, lex->lim->keywords, "keywords");
	if (r == 0)
		b->keyword[f->keyword_count++] = name;
	f->keyword = b->keyword;
	return r;
}

static int flag_item(struct imap_lex *lex, void *arg)
{
	struct flag_builder *b = arg;
	size_t start = lex->pos;
	struct str name;
	bool backslash = imap_lex_try_char(lex, '\\');
	int r = imap_lex_atom(lex, "a flag", &name);
	if (r < 0)
		return r;
	if (!backslash)
		return add_keyword(lex, b, name);
	name = str_sub(lex->in.text, start, lex->pos);
	uint32_t bit = imap_name_find(imap_flag_names, name);
	if (bit == IMAP_FLAG_RECENT && imap_bends(IMAP_QUIRK_RECENT))
		return 0;
	bit &= IMAP_FLAGS_SETTABLE;
	if (bit == 0) {
		lex->pos = start;
		return imap_lex_expected(lex, "a keyword or a system flag that can be set");
	}
	b->flags->bits |= bit;
	return 0;
}

int imap_parse_flag_list(struct imap_lex *lex, struct imap_flags *ret)
{
	struct flag_builder b = {.flags = ret};
	return imap_parse_items(lex, "flags", true, flag_item, &b);
}

int imap_parse_bare_flags(struct imap_lex *lex, struct imap_flags *ret)
{
	struct flag_builder b = {.flags = ret};
	int r = flag_item(lex, &b);
	while (r == 0 && imap_lex_more(lex)) {
		r = imap_lex_sp(lex);
		if (r == 0)
			r = flag_item(lex, &b);
	}
	return r;
}

int imap_parse_append_flags(struct imap_lex *lex, struct imap_flags *ret)
{
	struct flag_builder b = {.flags = ret};
	int r = 0;
	while (r == 0 && imap_lex_peek(lex) == '\\') {
		r = flag_item(lex, &b);
		if (r == 0)
			r = imap_lex_sp(lex);
	}
	return r;
}

/* ---- FETCH ---- */

static const struct {
	const char *name;
	enum imap_fetch_kind kind;
} fetch_names[] = {
	{"UID", IMAP_FETCH_UID},
	{"FLAGS", IMAP_FETCH_FLAGS},
	{"INTERNALDATE", IMAP_FETCH_INTERNALDATE},
	{"ENVELOPE", IMAP_FETCH_ENVELOPE},
	{"BODY", IMAP_FETCH_BODY},
	{"BODYSTRUCTURE", IMAP_FETCH_BODYSTRUCTURE},
	{"RFC822", IMAP_FETCH_RFC822},
	{"RFC822.HEADER", IMAP_FETCH_RFC822_HEADER},
	{"RFC822.TEXT", IMAP_FETCH_RFC822_TEXT},
	{"RFC822.SIZE", IMAP_FETCH_RFC822_SIZE},
	{"MODSEQ", IMAP_FETCH_MODSEQ},
	{"BODY.PEEK", IMAP_FETCH_SECTION},
	{"BINARY", IMAP_FETCH_BINARY},
	{"BINARY.PEEK", IMAP_FETCH_BINARY},
	{"BINARY.SIZE", IMAP_FETCH_BINARY_SIZE},
	{"PREVIEW", IMAP_FETCH_PREVIEW},
	{"SAVEDATE", IMAP_FETCH_SAVEDATE},
	{"EMAILID", IMAP_FETCH_EMAILID},
	{"THREADID", IMAP_FETCH_THREADID},
};

static const struct {
	const char *name;
	enum imap_section_text text;
} section_names[] = {
	{"HEADER", IMAP_SECTION_HEADER},
	{"HEADER.FIELDS", IMAP_SECTION_HEADER_FIELDS},
	{"HEADER.FIELDS.NOT", IMAP_SECTION_HEADER_FIELDS_NOT},
	{"TEXT", IMAP_SECTION_TEXT},
	{"MIME", IMAP_SECTION_MIME},
};

/* Letters, digits and dots: "[" is an atom character, so an atom would take too much. */
static struct str dotted_word(struct imap_lex *lex)
{
	struct str text = lex->in.text;
	size_t start = lex->pos;
	while (lex->pos < text.n && (ascii_alpha(text.p[lex->pos]) ||
				     ascii_digit(text.p[lex->pos]) || text.p[lex->pos] == '.'))
		lex->pos++;
	return str_sub(text, start, lex->pos);
}

struct field_builder {
	struct str *field;
	size_t n;
};

static int header_field(struct imap_lex *lex, void *arg)
{
	struct field_builder *b = arg;
	int r = IMAP_GROW(lex, &b->field, b->n, lex->lim->header_fields, "header fields");
	if (r == 0)
		r = imap_lex_astring(lex, "the name of a header field", &b->field[b->n]);
	if (r == 0)
		b->n++;
	return r;
}

/* "1.2.3" and, when text follows, the dot behind it. */
static int section_part(struct imap_lex *lex, struct imap_section *s)
{
	uint32_t *part = NULL;
	do {
		int r = IMAP_GROW(lex, &part, s->part_count, lex->lim->part_depth, "part numbers");
		if (r == 0)
			r = imap_lex_u32(lex, "a part number", &part[s->part_count]);
		if (r < 0)
			return r;
		if (part[s->part_count] == 0) {
			lex->pos--;
			return imap_lex_expected(lex, "a part number from 1 on");
		}
		s->part_count++;
	} while (imap_lex_try_char(lex, '.') && ascii_digit(imap_lex_peek(lex)));
	s->part = part;
	return 0;
}

static int section_text(struct imap_lex *lex, struct imap_section *s)
{
	size_t start = lex->pos;
	struct str name = dotted_word(lex);
	for (size_t i = 0; i < ARRAY_LEN(section_names); i++)
		if (str_eqi(name, str_c(section_names[i].name)))
			s->text = section_names[i].text;
	if (s->text == IMAP_SECTION_ALL || (s->text == IMAP_SECTION_MIME && s->part_count == 0)) {
		lex->pos = start;
		return imap_lex_expected(lex, "HEADER, HEADER.FIELDS, TEXT or, in a part, MIME");
	}
	if (s->text != IMAP_SECTION_HEADER_FIELDS && s->text != IMAP_SECTION_HEADER_FIELDS_NOT)
		return 0;
	struct field_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_parse_items(lex, "header fields", false, header_field, &b);
	s->field = b.field;
	s->field_count = b.n;
	return r;
}

/* Behind "[". */
static int parse_section(struct imap_lex *lex, struct imap_section *s)
{
	int r = 0;
	if (ascii_digit(imap_lex_peek(lex)))
		r = section_part(lex, s);
	bool text_follows = s->part_count == 0 || (r == 0 && lex->in.text.p[lex->pos - 1] == '.');
	if (r == 0 && text_follows && (imap_lex_peek(lex) != ']' || s->part_count > 0))
		r = section_text(lex, s);
	return r < 0 ? r : imap_lex_char(lex, ']', "\"]\"");
}

int imap_section_parse(struct str text, struct arena *arena, struct imap_section *ret,
		       struct fail *why)
{
	AUTO(buf) struct buf whole = BUF_INIT(KIB(8));
	struct imap_section s = {0};
	buf_add(&whole, text);
	buf_addc(&whole, ']');
	struct str copy = arena_str(arena, buf_str(&whole));
	if (whole.failed || !copy.p)
		return fail_set(why, FAIL_LIMIT, NULL, "section of %zu octets", text.n);
	struct imap_lex lex = {
		.in = {.text = copy}, .arena = arena, .lim = &imap_limits_default, .why = why};
	int r = parse_section(&lex, &s);
	if (r == 0)
		r = imap_lex_end(&lex);
	if (r == 0)
		*ret = s;
	return r;
}

/* "<" number64 "." nz-number64 ">" (RFC 9051; RFC 3501 has 32 bits) */
static int parse_partial(struct imap_lex *lex, struct imap_fetch_att *a)
{
	if (!imap_lex_try_char(lex, '<'))
		return 0;
	a->partial = true;
	int r = imap_lex_u64(lex, "an offset", &a->offset);
	if (r == 0)
		r = imap_lex_char(lex, '.', "a dot and a count");
	if (r == 0)
		r = imap_lex_u64(lex, "a count", &a->count);
	if (r == 0 && a->count == 0)
		return imap_lex_expected(lex, "a count from 1 on");
	return r < 0 ? r : imap_lex_char(lex, '>', "\">\"");
}

/* section-binary of RFC 3516: numbers, nothing behind them. */
static int parse_binary(struct imap_lex *lex, struct imap_fetch_att *a)
{
	int r = imap_lex_char(lex, '[', "\"[\"");
	if (r == 0 && ascii_digit(imap_lex_peek(lex))) {
		r = section_part(lex, &a->section);
		if (r == 0 && lex->in.text.p[lex->pos - 1] == '.')
			r = imap_lex_expected(lex, "a part number");
	}
	if (r == 0)
		r = imap_lex_char(lex, ']', "a part number or \"]\"");
	return r < 0 || a->kind == IMAP_FETCH_BINARY_SIZE ? r : parse_partial(lex, a);
}

static int preview_modifier(struct imap_lex *lex, void *arg)
{
	struct imap_fetch_att *a = arg;
	a->lazy = imap_lex_try_word(lex, "LAZY");
	return a->lazy ? 0 : imap_lex_expected(lex, "LAZY");
}

/* [SP "(" "LAZY" ")"]: behind an attribute that stands alone, "(" may also begin the modifiers of
 * FETCH (RFC 8970 section 6). */
static int parse_preview(struct imap_lex *lex, struct imap_fetch_att *a)
{
	struct str rest = str_skip(lex->in.text, lex->pos);
	if (rest.n < 7 || !str_eqi(str_sub(rest, 0, 6), STR(" (LAZY")))
		return 0;
	lex->pos++;
	return imap_parse_items(lex, "PREVIEW modifiers", false, preview_modifier, a);
}

struct att_builder {
	struct imap_fetch_att *att;
	size_t n;
};

static int push_att(struct imap_lex *lex, struct att_builder *b, struct imap_fetch_att a)
{
	int r = IMAP_GROW(lex, &b->att, b->n, lex->lim->fetch_atts, "FETCH attributes");
	if (r == 0)
		b->att[b->n++] = a;
	return r;
}

static int fetch_macro(struct imap_lex *lex, struct att_builder *b);

static int fetch_att(struct imap_lex *lex, void *arg)
{
	size_t start = lex->pos;
	int in_list = imap_bends(IMAP_QUIRK_MACRO_IN_LIST) ? fetch_macro(lex, arg) : 0;
	if (in_list)
		return MIN(in_list, 0);
	struct str name = dotted_word(lex);
	struct imap_fetch_att a = {0};
	size_t i = 0;
	while (i < ARRAY_LEN(fetch_names) && !str_eqi(name, str_c(fetch_names[i].name)))
		i++;
	if (i == ARRAY_LEN(fetch_names)) {
		lex->pos = start;
		return imap_lex_expected(lex, "a FETCH attribute");
	}
	a.kind = fetch_names[i].kind;
	a.peek = str_ends(str_c(fetch_names[i].name), STR(".PEEK"));
	if (a.kind == IMAP_FETCH_BINARY || a.kind == IMAP_FETCH_BINARY_SIZE) {
		int r = parse_binary(lex, &a);
		return r < 0 ? r : push_att(lex, arg, a);
	}
	if (a.kind == IMAP_FETCH_PREVIEW) {
		int r = parse_preview(lex, &a);
		return r < 0 ? r : push_att(lex, arg, a);
	}
	bool section = a.kind == IMAP_FETCH_SECTION || a.kind == IMAP_FETCH_BODY;
	if (section && imap_lex_try_char(lex, '[')) {
		a.kind = IMAP_FETCH_SECTION;
		int r = parse_section(lex, &a.section);
		if (r == 0)
			r = parse_partial(lex, &a);
		if (r < 0)
			return r;
	} else if (a.kind == IMAP_FETCH_SECTION) {
		return imap_lex_expected(lex, "\"[\"");
	}
	return push_att(lex, arg, a);
}

int imap_parse_fetch_atts(struct imap_lex *lex, const struct imap_fetch_att **ret, size_t *ret_n)
{
	struct att_builder b = {0};
	int r = imap_parse_items(lex, "FETCH attributes", false, fetch_att, &b);
	*ret = b.att;
	*ret_n = b.n;
	return r;
}

/* ALL, FAST and FULL: each is the beginning of one list. Returns how many were added, or a code. */
static int fetch_macro(struct imap_lex *lex, struct att_builder *b)
{
	static const enum imap_fetch_kind kinds[] = {IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE,
						     IMAP_FETCH_RFC822_SIZE, IMAP_FETCH_ENVELOPE,
						     IMAP_FETCH_BODY};
	size_t count = imap_lex_try_word(lex, "FAST")	? 3
		       : imap_lex_try_word(lex, "ALL")	? 4
		       : imap_lex_try_word(lex, "FULL") ? 5
							: 0;
	for (size_t i = 0; i < count; i++) {
		int r = push_att(lex, b, (struct imap_fetch_att){.kind = kinds[i]});
		if (r < 0)
			return r;
	}
	return (int)count;
}

static int fetch_modifier(struct imap_lex *lex, void *arg)
{
	struct imap_fetch *f = arg;
	if (imap_lex_try_word(lex, "VANISHED")) {
		f->vanished = true;
		return 0;
	}
	if (!f->partial.given && imap_lex_try_word(lex, "PARTIAL"))
		return imap_parse_partial(lex, &f->partial);
	if (!imap_lex_try_word(lex, "CHANGEDSINCE"))
		return imap_lex_expected(lex, "CHANGEDSINCE");
	f->has_changedsince = true;
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_u64(lex, "a mod-sequence", &f->changedsince);
}

static int sp_set_sp(struct imap_lex *lex, struct seqset *ret)
{
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_parse_set(lex, ret);
	return r < 0 ? r : imap_lex_sp(lex);
}

int imap_parse_fetch(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_fetch *f = &cmd->fetch;
	struct att_builder b = {0};
	int r = sp_set_sp(lex, &f->set);
	if (r == 0)
		r = fetch_macro(lex, &b);
	if (r == 0)
		r = imap_lex_peek(lex) == '('
			    ? imap_parse_items(lex, "FETCH attributes", false, fetch_att, &b)
			    : fetch_att(lex, &b);
	if (r < 0)
		return r;
	f->att = b.att;
	f->att_count = b.n;
	if (!str_starts(str_skip(lex->in.text, lex->pos), STR(" (")))
		return 0;
	lex->pos++;
	return imap_parse_items(lex, "FETCH modifiers", false, fetch_modifier, f);
}

/* ---- STORE, COPY, MOVE, EXPUNGE ---- */

static int store_modifier(struct imap_lex *lex, void *arg)
{
	struct imap_store *s = arg;
	if (!imap_lex_try_word(lex, "UNCHANGEDSINCE"))
		return imap_lex_expected(lex, "UNCHANGEDSINCE");
	s->has_unchangedsince = true;
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_u64(lex, "a mod-sequence", &s->unchangedsince);
}

int imap_parse_store(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_store *s = &cmd->store;
	int r = sp_set_sp(lex, &s->set);
	if (r == 0 && imap_lex_peek(lex) == '(') {
		r = imap_parse_items(lex, "STORE modifiers", false, store_modifier, s);
		if (r == 0)
			r = imap_lex_sp(lex);
	}
	if (r < 0)
		return r;
	if (imap_lex_try_char(lex, '+'))
		s->mode = IMAP_STORE_ADD;
	else if (imap_lex_try_char(lex, '-'))
		s->mode = IMAP_STORE_REMOVE;
	s->silent = imap_lex_try_word(lex, "FLAGS.SILENT");
	if (!s->silent && !imap_lex_try_word(lex, "FLAGS"))
		return imap_lex_expected(lex, "FLAGS, +FLAGS or -FLAGS");
	r = imap_lex_sp(lex);
	if (r < 0)
		return r;
	return imap_lex_peek(lex) == '(' ? imap_parse_flag_list(lex, &s->flags)
					 : imap_parse_bare_flags(lex, &s->flags);
}

int imap_parse_copy(struct imap_lex *lex, struct imap_cmd *cmd)
{
	int r = sp_set_sp(lex, &cmd->copy.set);
	return r < 0 ? r : imap_lex_mailbox(lex, &cmd->copy.mailbox);
}

int imap_parse_expunge(struct imap_lex *lex, struct imap_cmd *cmd)
{
	if (!cmd->uid)
		return 0;
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_parse_set(lex, &cmd->expunge);
}
