/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/mime/lex.h"

bool lex_is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool lex_is_atext(char c)
{
	return (unsigned char)c > 32 && c != 127 && !strchr("()<>[]:;@\\,.\"", c);
}

bool lex_is_token(char c)
{
	return (unsigned char)c > 32 && c != 127 && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* The byte at the position as text: a quoted pair is its second byte, folding is nothing. */
static void text_byte(struct lex *x, struct buf *out)
{
	char c = x->s.p[x->at++];
	if (c == '\\' && !lex_end(x) && !lex_is_blank(lex_peek(x)))
		c = x->s.p[x->at++];
	else if (c == '\r' || c == '\n')
		return;
	if (out)
		(void)buf_addc(out, c);
}

static void comment_skip(struct lex *x, struct buf *out)
{
	size_t depth = 1;
	if (out)
		buf_reset(out);
	x->at++;
	while (!lex_end(x)) {
		char c = lex_peek(x);
		if (c == '(')
			depth++;
		if (c == ')' && --depth == 0) {
			x->at++;
			return;
		}
		text_byte(x, out);
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
	while (!lex_end(x)) {
		if (lex_peek(x) == '"') {
			x->at++;
			return;
		}
		text_byte(x, out);
	}
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
