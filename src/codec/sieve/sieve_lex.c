/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sieve/sieve_lex.h"
#include "base/num.h"
#include "base/text.h"
#include "base/utf8.h"
#include <stdarg.h>

struct str sieve_format(struct arena *arena, const char *text, va_list ap)
{
	char b[1024];
	int n = vsnprintf(b, sizeof b, text, ap);
	size_t to = n < 0 ? 0 : MIN((size_t)n, sizeof b - 1);
	if (n >= (int)sizeof b) /* cut, never within a character */
		while (to > 0 && ((unsigned char)b[to] & 0xc0) == 0x80)
			to--;
	return arena_str(arena, str_make(b, to));
}

void sieve_vcomplain(struct sieve_lex *x, struct sieve_place at, const char *text, va_list ap)
{
	if (at.severity == SIEVE_ERROR)
		x->notes->errors++;
	if (!x->notes->p)
		x->notes->p = arena_array(x->arena, struct sieve_note, x->notes_max);
	if (!x->notes->p || x->notes->n >= x->notes_max)
		return;
	x->notes->p[x->notes->n++] = (struct sieve_note){at.severity, at.line, at.column,
							 sieve_format(x->arena, text, ap)};
}

void sieve_complain(struct sieve_lex *x, enum sieve_severity severity, uint32_t line,
		    uint32_t column, const char *text, ...)
{
	va_list ap;
	va_start(ap, text);
	sieve_vcomplain(x, (struct sieve_place){severity, line, column}, text, ap);
	va_end(ap);
}

static void bad(struct sieve_lex *x, const char *text)
{
	sieve_complain(x, SIEVE_ERROR, x->tok_line, x->tok_column, "%s", text);
	x->tok = TOK_BAD;
}

static char peek(const struct sieve_lex *x)
{
	return x->at < x->s.n ? x->s.p[x->at] : '\0';
}

static void step(struct sieve_lex *x)
{
	if (x->s.p[x->at++] == '\n') {
		x->line++;
		x->line_at = x->at;
	}
}

/* Blanks and comments. False when a comment is not closed. */
static bool skip(struct sieve_lex *x)
{
	while (x->at < x->s.n) {
		char c = peek(x);
		if (c == '#') {
			x->at = str_find(x->s, x->at, '\n');
		} else if (c == '/' && x->at + 1 < x->s.n && x->s.p[x->at + 1] == '*') {
			size_t end = str_find_str(x->s, x->at + 2, STR("*/"));
			if (end >= x->s.n)
				return false;
			while (x->at < end + 2)
				step(x);
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			step(x);
		} else {
			return true;
		}
	}
	return true;
}

static bool is_word(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '_';
}

static struct str take_word(struct sieve_lex *x)
{
	size_t from = x->at;
	while (is_word(peek(x)))
		x->at++;
	return str_sub(x->s, from, x->at);
}

static void take_number(struct sieve_lex *x)
{
	size_t from = x->at;
	while (ascii_digit(peek(x)))
		x->at++;
	bool fits = num_parse_u64(str_sub(x->s, from, x->at), &x->number);
	unsigned shift = 0;
	switch (ascii_upper(peek(x))) {
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	default:
		break;
	}
	x->at += shift != 0;
	x->tok = TOK_NUMBER;
	if (is_word(peek(x)))
		bad(x, T("A number is digits, and behind them K, M, G or nothing."));
	else if (!fits || x->number > (UINT64_C(1) << 53) >> shift)
		bad(x, T("This number is too large."));
	x->number <<= shift;
}

/* One byte of a string; line ends become CRLF. */
static void put(struct buf *b, char c)
{
	if (c == '\n' && (b->n == 0 || b->p[b->n - 1] != '\r'))
		(void)buf_addc(b, '\r');
	(void)buf_addc(b, c);
}

/* The token is the string in b. */
static void finish_string(struct sieve_lex *x, struct buf *b)
{
	AUTO(buf) struct buf decoded = BUF_INIT(b->n + 1);
	struct str s = buf_str(b);
	x->tok = TOK_STRING;
	if (x->encoded_characters && str_find_str(s, 0, STR("${")) < s.n) {
		if (!sieve_decode_characters(s, &decoded)) {
			bad(x, T("${unicode:} holds a number that is no character."));
			return;
		}
		s = buf_str(&decoded);
	}
	x->text = arena_str(x->arena, s);
	if (!x->text.p)
		x->text = STR("");
	if (s.n != x->text.n)
		bad(x, T("The script is too large."));
}

static void take_quoted(struct sieve_lex *x)
{
	AUTO(buf) struct buf b = BUF_INIT(x->s.n * 2 + 1);
	step(x);
	while (x->at < x->s.n && peek(x) != '"') {
		if (peek(x) == '\\' && x->at + 1 < x->s.n)
			x->at++;
		put(&b, peek(x));
		step(x);
	}
	if (x->at >= x->s.n) {
		bad(x, T("This string has no closing quotation mark."));
		return;
	}
	x->at++;
	finish_string(x, &b);
}

/* Behind "text:". Lines up to one that is a dot; of two dots at the start of others one is
 * dropped. */
static void take_multiline(struct sieve_lex *x)
{
	while (peek(x) == ' ' || peek(x) == '\t')
		x->at++;
	if (peek(x) == '#')
		x->at = str_find(x->s, x->at, '\n');
	if (peek(x) == '\r')
		x->at++;
	if (peek(x) != '\n') {
		bad(x, T("Behind \"text:\" the line has to end; the text begins in the next one."));
		return;
	}
	step(x);
	AUTO(buf) struct buf b = BUF_INIT(x->s.n * 2 + 1);
	while (x->at < x->s.n) {
		size_t end = str_find(x->s, x->at, '\n');
		struct str line = str_sub(x->s, x->at, end);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (str_eq(line, STR("."))) {
			x->at = MIN(x->at + line.n, x->s.n);
			finish_string(x, &b);
			return;
		}
		(void)buf_add(&b, str_starts(line, STR("..")) ? str_skip(line, 1) : line);
		(void)buf_add(&b, STR("\r\n"));
		x->at = MIN(end + 1, x->s.n);
		x->line++;
		x->line_at = x->at;
	}
	bad(x, T("This text has no end: a line with nothing but a dot."));
}

static void take(struct sieve_lex *x, char c)
{
	if (c == '"') {
		take_quoted(x);
	} else if (ascii_digit(c)) {
		take_number(x);
	} else if (is_word(c)) {
		x->tok = TOK_WORD;
		x->text = take_word(x);
		if (str_eqi(x->text, STR("text")) && peek(x) == ':') {
			x->at++;
			take_multiline(x);
		}
	} else if (c == ':') {
		x->at++;
		x->tok = TOK_TAG;
		x->text = take_word(x);
		if (x->text.n == 0 || ascii_digit(x->text.p[0]))
			bad(x, T("Behind a colon a name is expected, as in \":contains\"."));
	} else if (c != '\0' && strchr(";,()[]{}", c)) {
		x->at++;
		x->tok = TOK_MARK;
		x->mark = c;
	} else {
		bad(x, T("This character has no meaning here; texts stand in quotation marks."));
	}
}

void sieve_lex_next(struct sieve_lex *x)
{
	if (x->tok == TOK_BAD)
		return;
	bool closed = skip(x);
	x->tok_line = x->line;
	x->tok_column = (uint32_t)(x->at - x->line_at) + 1;
	x->mark = '\0';
	if (!closed)
		bad(x, T("This comment has no end (*/)."));
	else if (x->at >= x->s.n)
		x->tok = TOK_END;
	else
		take(x, x->s.p[x->at]);
}

/* RFC 5228 2.4.2.4: blanks, then numbers in hexadecimal. False: it is none, and stays as it is. */
static bool take_codes(struct str list, bool unicode, struct buf *out, bool *ret_valid)
{
	size_t n = 0;
	for (size_t i = 0; i < list.n;) {
		if (strchr(" \t\r\n", list.p[i])) {
			i++;
			continue;
		}
		size_t from = i;
		while (i < list.n && !strchr(" \t\r\n", list.p[i]))
			i++;
		struct str digits = str_sub(list, from, i);
		uint64_t v;
		while (unicode && digits.n > 6 && digits.p[0] == '0')
			digits = str_skip(digits, 1);
		if (digits.n > (unicode ? 6u : 2u) || !num_parse_hex_u64(digits, &v))
			return false;
		if (unicode && (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff) || v == 0))
			*ret_valid = false;
		if (unicode)
			(void)utf8_put(out, (uint32_t)v);
		else
			(void)buf_addc(out, (char)(unsigned char)v);
		n++;
	}
	return n > 0;
}

bool sieve_decode_characters(struct str in, struct buf *out)
{
	bool valid = true;
	for (size_t i = 0; i < in.n;) {
		struct str rest = str_skip(in, i);
		size_t head = str_startsi(rest, STR("${hex:"))	     ? 6
			      : str_startsi(rest, STR("${unicode:")) ? 10
								     : 0;
		size_t end = head ? str_find(rest, head, '}') : rest.n;
		size_t before = out->n;
		if (end < rest.n && take_codes(str_sub(rest, head, end), head == 10, out, &valid)) {
			i += end + 1;
			continue;
		}
		buf_cut(out, before);
		(void)buf_addc(out, in.p[i++]);
	}
	return valid;
}
