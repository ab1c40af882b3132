/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lex.h - the words of structured header fields.                               [codec, pure]
 *
 * RFC 5322 3.2 (atoms, quoted strings, comments, folding) and RFC 2045 5.1 (tokens), read
 * leniently: what is not closed ends with the text, bytes above 127 are letters (RFC 6532).
 * Every call moves forward or leaves the position; work is linear in the text.
 * Copies into a full buf are cut silently.
 */
#ifndef BARID_CODEC_MIME_LEX_H
#define BARID_CODEC_MIME_LEX_H

#include "base/buf.h"
#include "base/str.h"

struct lex {
	struct str s;
	size_t at;
};

static inline bool lex_end(const struct lex *x)
{
	return x->at >= x->s.n;
}
/* The next byte, 0 at the end. */
static inline char lex_peek(const struct lex *x)
{
	return lex_end(x) ? '\0' : x->s.p[x->at];
}

/* The next byte is one of `set`. */
static inline bool lex_at(const struct lex *x, const char *set)
{
	return lex_peek(x) != '\0' && strchr(set, lex_peek(x)) != NULL;
}

bool lex_is_blank(char c); /* SP, TAB, CR, LF */
bool lex_is_atext(char c); /* RFC 5322 3.2.3 and bytes above 127 */
bool lex_is_token(char c); /* RFC 2045 5.1 and bytes above 127 */

/*
 * Skip blanks and comments; true when there was any. The text of the last comment replaces
 * *comment (may be NULL), with quoted pairs resolved and folding removed.
 */
bool lex_cfws(struct lex *x, struct buf *comment);

/* Append the quoted string at the opening '"', unquoted; the position is behind the closing one. */
void lex_quoted(struct lex *x, struct buf *out);

/* Append the domain literal from '[' to ']', both included. */
void lex_domain_literal(struct lex *x, struct buf *out);

/* The longest run of such bytes, maybe empty. */
struct str lex_run(struct lex *x, bool (*is)(char c));

#endif
