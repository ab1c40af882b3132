/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/address.h"

void addr_begin(struct addr_parser *p, struct str value)
{
	*p = (struct addr_parser){
		.x = {.s = value},
		.phrase = BUF_INIT(ADDR_TEXT_MAX),
		.local = BUF_INIT(ADDR_TEXT_MAX),
		.route = BUF_INIT(ADDR_TEXT_MAX),
		.host = BUF_INIT(ADDR_TEXT_MAX),
		.comment = BUF_INIT(ADDR_TEXT_MAX),
	};
}

void addr_clear(struct addr_parser *p)
{
	buf_clear(&p->phrase);
	buf_clear(&p->local);
	buf_clear(&p->route);
	buf_clear(&p->host);
	buf_clear(&p->comment);
}

static void element_begin(struct addr_parser *p, bool complete)
{
	buf_reset(&p->phrase);
	buf_reset(&p->local);
	buf_reset(&p->route);
	buf_reset(&p->host);
	buf_reset(&p->comment);
	p->name_n = 0;
	p->quoted = p->dotted = p->returned = false;
	p->complete = complete;
}

/* Consume one word, dot or stray byte at the position; `blank`: there was space before it. */
static void word_take(struct addr_parser *p, bool blank)
{
	char c = lex_peek(&p->x);
	if (blank && !p->dotted && c != '.') {
		p->name_n = p->phrase.n;
		buf_reset(&p->local);
	}
	if (blank && p->phrase.n > 0)
		(void)buf_addc(&p->phrase, ' ');
	size_t from = p->phrase.n;
	if (c == '"') {
		lex_quoted(&p->x, &p->phrase);
		p->quoted = true;
	} else if (lex_is_atext(c)) {
		(void)buf_add(&p->phrase, lex_run(&p->x, lex_is_atext));
	} else {
		p->x.at++;
		(void)buf_addc(&p->phrase, c);
	}
	p->dotted = c == '.';
	(void)buf_add(&p->local, str_skip(buf_str(&p->phrase), from));
}

/* domain = dot-atom / domain-literal, with CFWS around dots. */
static void domain_take(struct addr_parser *p, struct buf *out)
{
	lex_cfws(&p->x, &p->comment);
	if (lex_peek(&p->x) == '[') {
		lex_domain_literal(&p->x, out);
	} else {
		for (;;) {
			(void)buf_add(out, lex_run(&p->x, lex_is_atext));
			struct lex mark = p->x;
			lex_cfws(&p->x, &p->comment);
			if (lex_peek(&p->x) != '.') {
				p->x = mark;
				break;
			}
			p->x.at++;
			(void)buf_addc(out, '.');
			lex_cfws(&p->x, NULL);
		}
	}
	lex_cfws(&p->x, &p->comment);
}

/* obs-route = "@" domain *("," ["@" domain]) ":" */
static void route_take(struct addr_parser *p)
{
	while (lex_at(&p->x, "@,")) {
		if (p->x.s.p[p->x.at++] == '@') {
			if (p->route.n > 0)
				(void)buf_addc(&p->route, ',');
			(void)buf_addc(&p->route, '@');
			domain_take(p, &p->route);
		}
		lex_cfws(&p->x, NULL);
	}
	if (lex_peek(&p->x) == ':')
		p->x.at++;
}

/* angle-addr, from the "<": p->local and p->host; false when there is something wrong with it. */
static bool angle_take(struct addr_parser *p)
{
	bool ok = true;
	size_t name_n = p->phrase.n;
	p->x.at++;
	buf_reset(&p->local);
	lex_cfws(&p->x, NULL);
	if (lex_at(&p->x, "@"))
		route_take(p);
	for (;;) {
		bool blank = lex_cfws(&p->x, NULL);
		if (lex_end(&p->x) || lex_at(&p->x, "@>,;<"))
			break;
		/* Several words are no local part, but who reads them must not see fewer. */
		if (blank && p->local.n > 0 && !p->dotted && !lex_at(&p->x, ".")) {
			(void)buf_addc(&p->local, ' ');
			ok = false;
		}
		word_take(p, false);
	}
	buf_cut(&p->phrase, MIN(name_n, p->phrase.n));
	if (lex_at(&p->x, "@")) {
		p->x.at++;
		domain_take(p, &p->host);
	}
	for (; !lex_end(&p->x) && !lex_at(&p->x, ">,;"); p->x.at++)
		ok = false;
	if (lex_at(&p->x, ">"))
		p->x.at++;
	else
		ok = false;
	return ok;
}

static void mailbox_set(struct addr_parser *p, struct addr *ret, struct str name)
{
	*ret = (struct addr){
		.kind = ADDR_MAILBOX,
		.name = str_trim(name.n > 0 ? name : buf_str(&p->comment)),
		.route = buf_str(&p->route),
		.mailbox = buf_str(&p->local),
		.host = buf_str(&p->host),
	};
	ret->broken = ret->mailbox.n == 0 || ret->host.n == 0;
	p->complete = p->returned = true;
}

/*
 * The element ended without "<" or "@". One plain word, with or without a comment, is a local part
 * without a host; anything else is a name without an address. False when there is nothing.
 */
static bool rest_set(struct addr_parser *p, struct addr *ret)
{
	if (p->complete || (p->phrase.n == 0 && !p->quoted))
		return false;
	bool word = p->name_n == 0 && !p->quoted;
	mailbox_set(p, ret, word ? STR_NULL : buf_str(&p->phrase));
	if (!word)
		ret->mailbox = STR_NULL;
	ret->broken = true;
	return true;
}

static bool group_set(struct addr_parser *p, struct addr *ret, enum addr_kind kind)
{
	*ret = (struct addr){.kind = kind};
	if (kind == ADDR_GROUP)
		ret->name = str_trim(buf_str(&p->phrase));
	p->in_group = kind == ADDR_GROUP;
	p->complete = kind == ADDR_GROUP_END;
	p->returned = true;
	return true;
}

/* Act on the separator at the position: true when it completed an address. */
static bool separator_take(struct addr_parser *p, struct addr *ret)
{
	char c = lex_peek(&p->x);
	switch (c) {
	case '<': {
		bool ok = angle_take(p);
		mailbox_set(p, ret, buf_str(&p->phrase));
		ret->broken |= !ok;
		return true;
	}
	case '@':
		p->x.at++;
		domain_take(p, &p->host);
		mailbox_set(p, ret, str_sub(buf_str(&p->phrase), 0, p->name_n));
		return true;
	case ':':
		p->x.at++;
		return !p->in_group && p->phrase.n > 0 && !p->complete &&
		       group_set(p, ret, ADDR_GROUP);
	case ';':
		if (rest_set(p, ret))
			return true;
		p->x.at++;
		if (p->in_group)
			return group_set(p, ret, ADDR_GROUP_END);
		element_begin(p, false);
		return false;
	default: /* ',' */
		if (rest_set(p, ret))
			return true;
		p->x.at++;
		element_begin(p, false);
		return false;
	}
}

bool addr_next(struct addr_parser *p, struct addr *ret)
{
	if (p->returned)
		element_begin(p, p->complete);
	for (;;) {
		bool blank = lex_cfws(&p->x, &p->comment);
		if (lex_end(&p->x))
			break;
		if (!lex_at(&p->x, "<@:;,"))
			word_take(p, blank);
		else if (separator_take(p, ret))
			return true;
	}
	if (rest_set(p, ret))
		return true;
	return p->in_group && group_set(p, ret, ADDR_GROUP_END);
}
