/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sieve/sieve_parse.h"
#include "base/text.h"
#include "base/utf8.h"

/* The first error ends parsing: behind it, nothing is certain. */
static void stop(struct sieve_parser *p, const char *text)
{
	struct sieve_lex *x = &p->lex;
	if (x->tok != TOK_BAD)
		sieve_complain(x, SIEVE_ERROR, x->tok_line, x->tok_column, "%s", text);
	x->tok = TOK_BAD;
}

static bool at_mark(const struct sieve_parser *p, char mark)
{
	return p->lex.tok == TOK_MARK && p->lex.mark == mark;
}

static bool accept(struct sieve_parser *p, char mark)
{
	if (!at_mark(p, mark))
		return false;
	sieve_lex_next(&p->lex);
	return true;
}

static void *get(struct sieve_parser *p, size_t size)
{
	void *mem = arena_alloc(p->lex.arena, size);
	if (!mem)
		stop(p, T("The script is too large."));
	return mem;
}

static void add_string(struct sieve_parser *p, struct sieve_arg *a, size_t *cap)
{
	if (++p->values > p->limits.values) {
		stop(p, T("The script has too many strings."));
		return;
	}
	if (a->n == *cap) {
		*cap = *cap ? *cap * 2 : 1;
		struct str *more = get(p, *cap * sizeof *more);
		if (!more)
			return;
		if (a->n)
			memcpy(more, a->strings, a->n * sizeof *more);
		a->strings = more;
	}
	a->strings[a->n++] = p->lex.text;
	sieve_lex_next(&p->lex);
}

static void parse_list(struct sieve_parser *p, struct sieve_arg *a)
{
	size_t cap = 0;
	sieve_lex_next(&p->lex);
	a->list = true;
	do {
		if (p->lex.tok != TOK_STRING) {
			stop(p, T("In brackets stand strings, separated by commas."));
			return;
		}
		add_string(p, a, &cap);
	} while (accept(p, ','));
	if (!accept(p, ']'))
		stop(p, T("The list of strings has to be closed with ]."));
}

/* NULL: no argument stands here. */
static struct sieve_arg *parse_arg(struct sieve_parser *p)
{
	struct sieve_lex *x = &p->lex;
	size_t cap = 0;
	if (x->tok != TOK_NUMBER && x->tok != TOK_STRING && x->tok != TOK_TAG && !at_mark(p, '['))
		return NULL;
	struct sieve_arg *a = get(p, sizeof *a);
	if (!a)
		return NULL;
	a->line = x->tok_line;
	a->column = x->tok_column;
	if (x->tok == TOK_NUMBER) {
		a->kind = ARG_NUMBER;
		a->number = x->number;
		sieve_lex_next(x);
	} else if (x->tok == TOK_TAG) {
		a->kind = ARG_TAG;
		a->tag = x->text;
		sieve_lex_next(x);
	} else if (x->tok == TOK_STRING) {
		a->kind = ARG_STRINGS;
		add_string(p, a, &cap);
	} else {
		a->kind = ARG_STRINGS;
		parse_list(p, a);
	}
	return a;
}

/* Name and arguments of a command or test, which begins at the token. */
static struct sieve_node *parse_head(struct sieve_parser *p)
{
	struct sieve_lex *x = &p->lex;
	if (++p->nodes > p->limits.nodes) {
		stop(p, T("The script has too many commands."));
		return NULL;
	}
	struct sieve_node *n = get(p, sizeof *n);
	if (!n)
		return NULL;
	n->name = x->text;
	n->line = x->tok_line;
	n->column = x->tok_column;
	sieve_lex_next(x);
	struct sieve_arg **end = &n->args;
	while ((*end = parse_arg(p)) != NULL)
		end = &(*end)->next;
	return n;
}

static struct sieve_node *parse_test(struct sieve_parser *p, uint32_t depth);

/* The tests behind a name: one, or some in parentheses. */
static void parse_tests(struct sieve_parser *p, struct sieve_node *n, uint32_t depth)
{
	struct sieve_node **end = &n->tests;
	if (p->lex.tok == TOK_WORD) {
		*end = parse_test(p, depth + 1);
		return;
	}
	if (!accept(p, '('))
		return;
	n->test_list = true;
	do {
		if (p->lex.tok != TOK_WORD) {
			stop(p, T("In parentheses stand tests, separated by commas."));
			return;
		}
		*end = parse_test(p, depth + 1);
		if (!*end)
			return;
		end = &(*end)->next;
	} while (accept(p, ','));
	if (!accept(p, ')'))
		stop(p, T("The list of tests has to be closed with )."));
}

static struct sieve_node *parse_test(struct sieve_parser *p, uint32_t depth)
{
	if (depth > p->limits.depth) {
		stop(p, T("Tests are nested too deep."));
		return NULL;
	}
	struct sieve_node *n = parse_head(p);
	if (n)
		parse_tests(p, n, depth);
	return n;
}

/* A `require` says how the strings behind it are to be read. */
static void look_at_require(struct sieve_parser *p, const struct sieve_node *n)
{
	if (!str_eqi(n->name, STR("require")) || !n->args || n->args->kind != ARG_STRINGS)
		return;
	for (size_t i = 0; i < n->args->n; i++)
		if (str_eq(n->args->strings[i], STR("encoded-character")))
			p->lex.encoded_characters = true;
}

static struct sieve_node *parse_commands(struct sieve_parser *p, uint32_t depth);

static struct sieve_node *parse_command(struct sieve_parser *p, uint32_t depth)
{
	struct sieve_node *n = parse_head(p);
	if (!n)
		return NULL;
	parse_tests(p, n, depth);
	if (at_mark(p, ';')) {
		look_at_require(p, n); /* before the next token is read */
		sieve_lex_next(&p->lex);
		return n;
	}
	if (!accept(p, '{')) {
		stop(p, T("A semicolon is missing here, or an opening brace."));
		return n;
	}
	n->has_block = true;
	if (depth >= p->limits.depth) {
		stop(p, T("Blocks are nested too deep."));
		return n;
	}
	n->block = parse_commands(p, depth + 1);
	if (!accept(p, '}'))
		stop(p, T("A command or a closing brace is missing here."));
	return n;
}

static struct sieve_node *parse_commands(struct sieve_parser *p, uint32_t depth)
{
	struct sieve_node *first = NULL, **end = &first;
	while (p->lex.tok == TOK_WORD) {
		*end = parse_command(p, depth);
		if (!*end)
			break;
		end = &(*end)->next;
	}
	return first;
}

struct sieve_node *sieve_parse(struct sieve_parser *p, struct str script)
{
	p->lex.s = script;
	p->lex.line = 1;
	if (str_starts(script, STR("\xef\xbb\xbf")))
		p->lex.line_at = p->lex.at = 3;
	p->lex.tok_line = p->lex.tok_column = 1;
	if (script.n > p->limits.script_bytes) {
		stop(p, T("The script is too large."));
		return NULL;
	}
	if (!utf8_valid(script) || str_find(script, 0, '\0') < script.n) {
		stop(p, T("A script is text in UTF-8; this is something else."));
		return NULL;
	}
	sieve_lex_next(&p->lex);
	struct sieve_node *first = parse_commands(p, 0);
	if (p->lex.tok != TOK_END)
		stop(p, T("Here a command is expected."));
	return first;
}
