/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/lex.h"

bool lex_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool lex_is_atext(char c)
{
	return (unsigned char)c > 32 && c != 127 && !strchr("()<>[]:;@\\,.\"", c);
}

bool lex_is_token(char c)
{
	return (unsigned char)c > 32 && c != 127 && !strchr("()<>@,;:\\\"/[]?=", c);
}

/*
 * Append text up to, not including, one of `stop`: a quoted pair is its second byte, folding is
 * nothing.
 */
static void text_run(struct lex *x, const char *stop, struct buf *out)
{
	size_t from = x->at;
	for (; !lex_end(x) && !lex_at(x, stop); x->at++) {
		char c = x->s.p[x->at];
		bool pair = c == '\\' && x->at + 1 < x->s.n && !lex_is_blank(x->s.p[x->at + 1]);
		if (!pair && c != '\r' && c != '\n')
			continue;
		if (out)
			(void)buf_add(out, str_sub(x->s, from, x->at));
		x->at += pair; /* its second byte is not looked at */
		from = x->at + !pair;
	}
	if (out)
		(void)buf_add(out, str_sub(x->s, from, x->at));
}

static void comment_skip(struct lex *x, struct buf *out)
{
	size_t depth = 1;
	if (out)
		buf_reset(out);
	x->at++;
	while (depth > 0) {
		text_run(x, "()", out);
		if (lex_end(x))
			return;
		char c = x->s.p[x->at++];
		depth = c == '(' ? depth + 1 : depth - 1;
		if (out && depth > 0)
			(void)buf_addc(out, c);
	}
}

bool lex_cfws(struct lex *x, struct buf *comment)
{
	size_t from = x->at;
	while (!lex_end(x)) {
		if (lex_is_blank(lex_peek(x)))
			x->at++;
		else if (lex_peek(x) == '(')
			comment_skip(x, comment);
		else
			break;
	}
	return x->at > from;
}

void lex_quoted(struct lex *x, struct buf *out)
{
	x->at++;
	text_run(x, "\"", out);
	x->at += !lex_end(x);
}

void lex_domain_literal(struct lex *x, struct buf *out)
{
	while (!lex_end(x)) {
		char c = x->s.p[x->at++];
		if (c != '\r' && c != '\n')
			(void)buf_addc(out, c);
		if (c == ']')
			return;
	}
}

struct str lex_run(struct lex *x, bool (*is)(char c))
{
	size_t from = x->at;
	while (!lex_end(x) && is(x->s.p[x->at]))
		x->at++;
	return str_sub(x->s, from, x->at);
}
