/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_lex.h - the words of one complete IMAP command.                         [codec, pure]
 *
 * RFC 3501 section 9, RFC 7888 (LITERAL+), RFC 3516 (literal8). The input is a whole command as
 * codec/frame/frame_imap.h delimits it: one text that holds "{n}" CRLF and the n bytes of every
 * small literal, and "{n}" CRLF without the bytes for a literal that was stored elsewhere (an
 * external one). The final CRLF is not part of it.
 *
 * There is no separate token stream: what a word is depends on where it stands, so the parser
 * asks for the word it expects. Each function returns 0 with the word read and lex->pos behind
 * it, or a negative code with a text in lex->why ("expected a mailbox name at column 12"):
 *   -FAIL_SYNTAX  not this word
 *   -FAIL_LIMIT   well-formed but larger than a limit
 * imap_lex_try_* functions return whether the word was there and leave pos alone when not.
 *
 * Invariants
 *  1. A word never points outside the input or the arena.
 *  2. Nothing is read twice: the time is linear in the input.
 */
#ifndef BARID_CODEC_IMAP_LEX_H
#define BARID_CODEC_IMAP_LEX_H

#include "base/arena.h"
#include "base/fail.h"
#include "base/str.h"

/* A literal whose bytes are not in the command's text. */
struct imap_external {
	size_t pos;    /* offset in the text just behind the CRLF of its "{n}" */
	uint64_t size; /* bytes */
	bool binary;   /* ~{n} */
};

/* What the session has enabled that changes how a command is read. */
enum imap_syntax {
	/* RFC 9051 section 5.1, RFC 6855 section 3: mailbox names are UTF-8, "&" is a character
	 * like others, and 8-bit text that is not UTF-8 is no string. */
	IMAP_SYNTAX_UTF8 = 1u << 0,
};

/* One complete command. Borrowed. */
struct imap_input {
	struct str text;
	const struct imap_external *external; /* ascending by pos */
	size_t external_count;
	uint32_t syntax; /* enum imap_syntax */
};

/* Bounds of one command, beyond the framer's bounds on bytes. */
struct imap_limits {
	size_t set_ranges;	/* ranges in one sequence set */
	size_t search_keys;	/* nodes of one search tree */
	size_t search_depth;	/* nesting of (), NOT and OR */
	size_t fetch_atts;	/* attributes of one FETCH */
	size_t header_fields;	/* names in one HEADER.FIELDS */
	size_t part_depth;	/* numbers in one section part */
	size_t keywords;	/* keywords in one flag list */
	size_t keyword_bytes;	/* length of one keyword */
	size_t mailbox_bytes;	/* length of a mailbox name in UTF-8 */
	size_t list_patterns;	/* patterns of one LIST */
	size_t id_pairs;	/* RFC 2971 allows 30 */
	size_t append_messages; /* messages of one APPEND */
	size_t urls;		/* of one GENURLAUTH or URLFETCH */
	size_t notify_groups;	/* of one NOTIFY */
	size_t notify_names;	/* mailboxes in one of them */
	size_t cat_parts;	/* of one message of CATENATE */
	size_t entries;		/* of one GETMETADATA or SETMETADATA */
};
extern const struct imap_limits imap_limits_default;

#define IMAP_NOT_EXTERNAL SIZE_MAX

/* A literal of APPEND: bytes, or the index of an external one. */
struct imap_literal {
	struct str bytes; /* empty when external */
	size_t external;  /* index into imap_input.external, or IMAP_NOT_EXTERNAL */
	uint64_t size;	  /* bytes, wherever they are */
	bool binary;	  /* literal8: may hold NUL */
};

struct imap_lex {
	struct imap_input in;
	size_t pos;
	size_t next_external;
	struct arena *arena; /* for words that need unescaping or decoding */
	const struct imap_limits *lim;
	struct fail *why; /* may be NULL */
};

/* "expected WHAT at column N", -FAIL_SYNTAX. */
int imap_lex_expected(struct imap_lex *lex, const char *what);
/* "too many WHAT", -FAIL_LIMIT. */
int imap_lex_too_many(struct imap_lex *lex, const char *what);

bool imap_lex_at_end(const struct imap_lex *lex);
/* The next byte; NUL at the end. */
char imap_lex_peek(const struct imap_lex *lex);
bool imap_lex_try_char(struct imap_lex *lex, char c);
/* word in capitals, case-insensitive, not followed by a further atom character. */
bool imap_lex_try_word(struct imap_lex *lex, const char *word);
/* One SP. */
int imap_lex_sp(struct imap_lex *lex) MUST_CHECK;
int imap_lex_char(struct imap_lex *lex, char c, const char *what) MUST_CHECK;
/* Between the items of a list: *ret_more = false after ")"; blanks before ")" are tolerated. */
int imap_lex_list_next(struct imap_lex *lex, bool *ret_more) MUST_CHECK;
/* A blank and something behind it: the next of what may come several times. */
bool imap_lex_more(const struct imap_lex *lex);
/* Only blanks may be left. */
int imap_lex_end(struct imap_lex *lex) MUST_CHECK;

int imap_lex_tag(struct imap_lex *lex, struct str *ret) MUST_CHECK;
int imap_lex_atom(struct imap_lex *lex, const char *what, struct str *ret) MUST_CHECK;
/* atom characters and "]"; 8-bit bytes pass, because clients send them in LOGIN and SEARCH. */
int imap_lex_astring(struct imap_lex *lex, const char *what, struct str *ret) MUST_CHECK;
int imap_lex_string(struct imap_lex *lex, const char *what, struct str *ret) MUST_CHECK;
/* NIL gives a {NULL, 0}. */
int imap_lex_nstring(struct imap_lex *lex, const char *what, struct str *ret) MUST_CHECK;
int imap_lex_literal(struct imap_lex *lex, struct imap_literal *ret) MUST_CHECK;
int imap_lex_u32(struct imap_lex *lex, const char *what, uint32_t *ret) MUST_CHECK;
int imap_lex_u64(struct imap_lex *lex, const char *what, uint64_t *ret) MUST_CHECK; /* below 2^63 */
/* astring, from modified UTF-7 (or, with IMAP_SYNTAX_UTF8, as it is) to UTF-8; a first level INBOX
 * in any case becomes "INBOX". */
int imap_lex_mailbox(struct imap_lex *lex, struct str *ret) MUST_CHECK;
/* The same with the wildcards of LIST allowed. What cannot be a part of any name is {NULL, 0}: such
 * a pattern is no error, it matches nothing (RFC 3501 section 6.3.8). */
int imap_lex_list_mailbox(struct imap_lex *lex, struct str *ret) MUST_CHECK;

/* ATOM-CHAR of RFC 3501. */
bool imap_is_atom_char(char c);
bool imap_is_atom(struct str s);

#endif
