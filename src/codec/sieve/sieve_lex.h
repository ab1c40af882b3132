/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_lex.h - the words of a script.                                 [codec/sieve, internal]
 *
 * RFC 5228 section 2 and 8.1. A script is UTF-8 without NUL; lines end in LF, with or without CR;
 * in strings they become CRLF. `${hex:}` and `${unicode:}` (2.4.2.4) are decoded when the script
 * has required encoded-character, so the parser may switch that on between two tokens.
 */
#ifndef BARID_CODEC_SIEVE_LEX_H
#define BARID_CODEC_SIEVE_LEX_H

#include "codec/sieve/sieve.h"
#include <stdarg.h>

enum sieve_tok {
	TOK_END,
	TOK_WORD,
	TOK_TAG, /* its text is without the colon */
	TOK_NUMBER,
	TOK_STRING,
	TOK_MARK, /* one of ; , ( ) [ ] { } : `mark` */
	TOK_BAD,  /* a note was made */
};

struct sieve_lex {
	struct str s;
	size_t at;
	uint32_t line;
	size_t line_at; /* where the line begins */
	bool encoded_characters;
	struct arena *arena;
	struct sieve_notes *notes;
	uint32_t notes_max;

	/* the token */
	enum sieve_tok tok;
	uint32_t tok_line, tok_column;
	struct str text;
	uint64_t number;
	char mark;
};

/* Read the next token into *x. */
void sieve_lex_next(struct sieve_lex *x);

/* Make a note. @text is a sentence for people, a format. */
void sieve_complain(struct sieve_lex *x, enum sieve_severity severity, uint32_t line,
		    uint32_t column, const char *text, ...) PRINTF_LIKE(5, 6);

struct sieve_place {
	enum sieve_severity severity;
	uint32_t line, column;
};
void sieve_vcomplain(struct sieve_lex *x, struct sieve_place at, const char *text, va_list ap)
	PRINTF_LIKE(3, 0);
/* A sentence of at most 1023 octets: longer ones are cut. */
struct str sieve_format(struct arena *arena, const char *text, va_list ap) PRINTF_LIKE(2, 0);

/* Decode `${hex:..}` and `${unicode:..}` of @in into @out. False: a character that there is not. */
bool sieve_decode_characters(struct str in, struct buf *out);

#endif
