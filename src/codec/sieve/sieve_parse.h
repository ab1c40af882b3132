/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_parse.h - a script as a tree.                                  [codec/sieve, internal]
 *
 * The generic grammar of RFC 5228 8.2: commands and tests are names with arguments, whatever they
 * mean. Only `require` is looked at, because encoded-character changes what strings are.
 */
#ifndef BARID_CODEC_SIEVE_PARSE_H
#define BARID_CODEC_SIEVE_PARSE_H

#include "codec/sieve/sieve_lex.h"

enum sieve_arg_kind { ARG_NUMBER, ARG_STRINGS, ARG_TAG };

struct sieve_arg {
	enum sieve_arg_kind kind;
	bool list; /* written with brackets */
	uint32_t line, column;
	uint64_t number;
	struct str tag;
	struct str *strings;
	size_t n;
	struct sieve_arg *next;
};

struct sieve_node {
	struct str name;
	uint32_t line, column;
	struct sieve_arg *args;
	struct sieve_node *tests; /* of a command or a test */
	bool test_list;		  /* in parentheses */
	struct sieve_node *block;
	bool has_block;
	struct sieve_node *next;
};

struct sieve_parser {
	struct sieve_lex lex;
	struct sieve_limits limits;
	uint32_t nodes, values;
};

/*
 * Parse @script; the tree lives in the arena of p->lex, which the caller has filled in together
 * with its notes and p->limits. NULL of an empty script. After an error (p->lex.notes->errors) the
 * tree is not to be used.
 */
struct sieve_node *sieve_parse(struct sieve_parser *p, struct str script);

#endif
