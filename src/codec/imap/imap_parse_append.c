/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_parse_append.c - APPEND (RFC 3501 6.3.11; MULTIAPPEND 3502; CATENATE 4469; UTF8 of 6855) and
 * REPLACE (8508).                                                              [codec, private]
 */
#include "codec/imap/imap_parse.h"
#include "codec/imap/imap_quirks.h"

static int append_date(struct imap_lex *lex, struct imap_append_message *m)
{
	size_t start = lex->pos;
	struct str s;
	int r = imap_lex_string(lex, "a date", &s);
	m->has_date = r == 0 && (s.n > 0 || !imap_bends(IMAP_QUIRK_EMPTY_DATE));
	if (m->has_date && imap_datetime_parse(s, &m->date) < 0) {
		lex->pos = start;
		r = imap_lex_expected(lex, "a date like \"17-Jul-1996 02:44:25 -0700\"");
	}
	return r < 0 ? r : imap_lex_sp(lex);
}

/* "UTF8" SP "(" literal8 ")", from the blank on */
static int utf8_literal(struct imap_lex *lex, struct imap_literal *ret)
{
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_lex_char(lex, '(', "\"(\"");
	if (r == 0 && imap_lex_peek(lex) != '~')
		r = imap_lex_expected(lex, "a literal8");
	if (r == 0)
		r = imap_lex_literal(lex, ret);
	return r < 0 ? r : imap_lex_char(lex, ')', "\")\"");
}

struct cat_builder {
	struct imap_cat_part *part;
	size_t n;
};

static int cat_part(struct imap_lex *lex, void *arg)
{
	struct cat_builder *b = arg;
	struct imap_cat_part part = {0};
	int r = IMAP_GROW(lex, &b->part, b->n, lex->lim->cat_parts, "parts of CATENATE");
	if (r < 0)
		return r;
	if (imap_lex_try_word(lex, "URL")) {
		r = imap_lex_sp(lex);
		if (r == 0)
			r = imap_lex_astring(lex, "a URL", &part.url);
		if (r == 0 && part.url.n == 0)
			part.url = STR("");
	} else if (imap_lex_try_word(lex, "UTF8")) {
		part.utf8 = true;
		r = utf8_literal(lex, &part.text);
	} else if (imap_lex_try_word(lex, "TEXT")) {
		r = imap_lex_sp(lex);
		if (r == 0)
			r = imap_lex_literal(lex, &part.text);
	} else {
		r = imap_lex_expected(lex, "TEXT, UTF8 or URL");
	}
	if (r == 0)
		b->part[b->n++] = part;
	return r;
}

/* "CATENATE" SP "(" cat-part *(SP cat-part) ")", from the blank on */
static int parse_catenate(struct imap_lex *lex, struct imap_append_message *m)
{
	struct cat_builder b = {0};
	int r = imap_lex_sp(lex);
	if (r == 0)
		r = imap_parse_items(lex, "parts", false, cat_part, &b);
	m->part = b.part;
	m->part_count = b.n;
	return r;
}

/* SP [flag-list SP] [date-time SP] append-data */
static int append_message(struct imap_lex *lex, struct imap_append_message *m)
{
	*m = (struct imap_append_message){0};
	int r = imap_lex_sp(lex);
	if (r == 0 && imap_lex_peek(lex) == '(') {
		r = imap_parse_flag_list(lex, &m->flags);
		if (r == 0 && !(imap_lex_peek(lex) == '{' && imap_bends(IMAP_QUIRK_NO_BLANK)))
			r = imap_lex_sp(lex);
	} else if (r == 0 && imap_bends(IMAP_QUIRK_BARE_FLAGS)) {
		r = imap_parse_append_flags(lex, &m->flags);
	}
	if (r == 0 && imap_lex_peek(lex) == '"')
		r = append_date(lex, m);
	if (r < 0)
		return r;
	if (imap_lex_try_word(lex, "CATENATE"))
		return parse_catenate(lex, m);
	m->utf8 = imap_lex_try_word(lex, "UTF8");
	return m->utf8 ? utf8_literal(lex, &m->body) : imap_lex_literal(lex, &m->body);
}

static int sp_mailbox(struct imap_lex *lex, struct str *ret)
{
	int r = imap_lex_sp(lex);
	return r < 0 ? r : imap_lex_mailbox(lex, ret);
}

int imap_parse_append(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_append_message *message = NULL;
	size_t n = 0;
	int r = sp_mailbox(lex, &cmd->append.mailbox);
	if (r < 0)
		return r;
	do {
		r = IMAP_GROW(lex, &message, n, lex->lim->append_messages, "messages");
		if (r == 0)
			r = append_message(lex, &message[n]);
		if (r < 0)
			return r;
		n++;
	} while (imap_lex_more(lex));
	cmd->append.message = message;
	cmd->append.message_count = n;
	return 0;
}

/* SP seq-number SP mailbox append-message */
int imap_parse_replace(struct imap_lex *lex, struct imap_cmd *cmd)
{
	struct imap_replace *replace = &cmd->replace;
	struct imap_append_message *message =
		arena_array(lex->arena, struct imap_append_message, 1);
	if (!message)
		return imap_lex_too_many(lex, "messages");
	int r = imap_lex_sp(lex);
	size_t start = lex->pos;
	if (r == 0)
		r = imap_parse_set(lex, &replace->set);
	if (r == 0 && (replace->set.n != 1 || replace->set.r[0].first != replace->set.r[0].last)) {
		lex->pos = start;
		r = imap_lex_expected(lex, "one message");
	}
	if (r == 0)
		r = sp_mailbox(lex, &replace->append.mailbox);
	if (r == 0)
		r = append_message(lex, message);
	replace->append.message = message;
	replace->append.message_count = 1;
	return r;
}
