/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "codec/sieve/sieve_emit.h"

/* What the compiler knows of a test: `ihave` is decided here, and what depends on it is not looked
 * at, because it may be in a language that we do not speak. */
enum known { KNOWN_NOT, KNOWN_FALSE, KNOWN_TRUE };

static void compile_block(struct sieve_compiler *c, const struct sieve_node *first);
static enum known compile_test(struct sieve_compiler *c, const struct sieve_node *n);

static void no_arguments(struct sieve_compiler *c, const struct sieve_node *n)
{
	if (n->args)
		sieve_err(c, n->args, T("\"%.*s\" takes no argument."), STR_ARG(n->name));
}

static void no_tests(struct sieve_compiler *c, const struct sieve_node *n)
{
	if (n->tests)
		sieve_err_at(c, n->tests,
			     T("\"%.*s\" takes no test: is a semicolon missing before this "
			       "word?"),
			     STR_ARG(n->name));
}

/* `require`, and `ihave` when @test: all known? They are switched on. */
static bool take_extensions(struct sieve_compiler *c, const struct sieve_arg *a, bool test)
{
	uint64_t add = 0;
	bool all = true;
	for (size_t i = 0; i < a->n; i++) {
		bool known;
		enum sieve_ext x = sieve_ext_find(a->strings[i], &known);
		if (c->extra && str_eq(a->strings[i], str_c(c->extra->extension)))
			known = true, x = X_EXTRA;
		bool missing = x != X_CORE && c->options->without & X_BIT(x);
		if (x == X_REGEX && !c->options->regex)
			missing = true;
		if (test && (x == X_VARIABLES || x == X_ENCODED_CHARACTER) && !sieve_has(c, x))
			missing = true; /* they change how the script is read (RFC 5463 4) */
		if ((!known || missing) && !test)
			sieve_err(c, a,
				  T("There is no extension \"%.*s\" here. \"barid sieve check "
				    "--extensions\" lists those that there are."),
				  STR_ARG(a->strings[i]));
		all = all && known && !missing;
		add |= X_BIT(x) | sieve_exts[x].implies;
	}
	if (all || !test) {
		c->required |= add;
		c->mentioned |= add;
	}
	return all;
}

static void compile_require(struct sieve_compiler *c, const struct sieve_node *n)
{
	const struct sieve_arg *a = n->args;
	no_tests(c, n);
	if (!a || a->kind != ARG_STRINGS || a->next)
		sieve_err_at(c, n, T("\"require\" takes a list of extensions and nothing else."));
	else if (c->commands_began)
		sieve_err_at(c, n, T("\"require\" has to stand at the beginning of the script."));
	else
		(void)take_extensions(c, a, false);
}

static enum known compile_ihave(struct sieve_compiler *c, const struct sieve_node *n)
{
	const struct sieve_arg *a = n->args;
	if (!a || a->kind != ARG_STRINGS || a->next) {
		sieve_err_at(c, n, T("\"ihave\" takes a list of extensions and nothing else."));
		return KNOWN_NOT;
	}
	for (size_t i = 0; i < a->n; i++)
		if (!sieve_is_constant(c, a->strings[i])) {
			sieve_err(c, a, T("\"ihave\" takes no variables."));
			return KNOWN_NOT;
		}
	bool all = take_extensions(c, a, true);
	emit_op(c, all ? OP_TRUE : OP_FALSE, n->line);
	return all ? KNOWN_TRUE : KNOWN_FALSE;
}

static enum known compile_all_any(struct sieve_compiler *c, const struct sieve_node *n, bool all)
{
	enum known result = all ? KNOWN_TRUE : KNOWN_FALSE;
	uint32_t end = 0;
	no_arguments(c, n);
	if (!n->test_list)
		sieve_err_at(c, n, T("Behind \"%.*s\" stand tests in parentheses."),
			     STR_ARG(n->name));
	for (const struct sieve_node *t = n->tests; t; t = t->next) {
		enum known k = compile_test(c, t);
		if (k == (all ? KNOWN_FALSE : KNOWN_TRUE)) {
			result = k;
			break;
		}
		if (k == KNOWN_NOT)
			result = KNOWN_NOT;
		if (t->next)
			emit_jump(c, all ? OP_JUMP_FALSE : OP_JUMP_TRUE, t->line, &end);
	}
	emit_here(c, end);
	return result;
}

static enum known compile_not(struct sieve_compiler *c, const struct sieve_node *n)
{
	no_arguments(c, n);
	if (!n->tests || n->test_list) {
		sieve_err_at(c, n, T("Behind \"not\" stands one test."));
		return KNOWN_NOT;
	}
	enum known k = compile_test(c, n->tests);
	emit_op(c, OP_NOT, n->line);
	return k == KNOWN_NOT ? k : k == KNOWN_TRUE ? KNOWN_FALSE : KNOWN_TRUE;
}

/* Find what @n is called. */
static const struct sieve_spec *find_spec(const struct sieve_compiler *c,
					  const struct sieve_node *n, bool test, uint8_t *ret_op)
{
	for (size_t i = 0; i < sieve_specs_n; i++) {
		if (!str_eqi(n->name, str_c(sieve_specs[i].name)) ||
		    (sieve_specs[i].kind == SPEC_TEST) != test)
			continue;
		*ret_op = (uint8_t)(OP_SPEC + i);
		return &sieve_specs[i];
	}
	for (size_t i = 0; c->extra && sieve_has(c, X_EXTRA) && i < c->extra->n; i++) {
		if (!str_eqi(n->name, str_c(c->extra->specs[i].name)) ||
		    (c->extra->specs[i].kind == SPEC_TEST) != test)
			continue;
		*ret_op = (uint8_t)(OP_EXTRA + i);
		return &c->extra->specs[i];
	}
	return NULL;
}

static void compile_spec(struct sieve_compiler *c, const struct sieve_node *n, bool test)
{
	uint8_t op = 0;
	const struct sieve_spec *spec = find_spec(c, n, test, &op);
	if (!spec) {
		sieve_err_at(c, n,
			     test ? T("There is no test \"%.*s\".")
				  : T("There is no command \"%.*s\"."),
			     STR_ARG(n->name));
		return;
	}
	if (spec->ext != X_CORE && !sieve_has(c, spec->ext)) {
		const char *name =
			spec->ext == X_EXTRA ? c->extra->extension : sieve_exts[spec->ext].name;
		sieve_err_at(c, n,
			     T("\"%.*s\" has to be asked for at the beginning of the script: "
			       "require \"%s\";"),
			     STR_ARG(n->name), name);
		return;
	}
	struct sieve_bound b;
	size_t errors = c->parser.lex.notes->errors;
	no_tests(c, n);
	if (n->has_block && spec->kind != SPEC_BLOCK)
		sieve_err_at(c, n, T("\"%.*s\" takes no block; a semicolon ends it."),
			     STR_ARG(n->name));
	sieve_bind(c, n, spec, &b);
	if (spec->check && errors == c->parser.lex.notes->errors)
		spec->check(c, n, &b);
	if (errors == c->parser.lex.notes->errors)
		emit_spec(c, n, op, spec, &b);
	if (spec->kind != SPEC_BLOCK)
		return;
	uint32_t skip = 0;
	emit_jump(c, OP_JUMP_FALSE, n->line, &skip);
	uint32_t at = emit_number(c, OP_BLOCK, n->line, 0);
	compile_block(c, n->block);
	emit_op(c, OP_BLOCK_END, n->line);
	emit_here(c, at);
	emit_here(c, skip);
}

static enum known compile_test(struct sieve_compiler *c, const struct sieve_node *n)
{
	if (str_eqi(n->name, STR("allof")) || str_eqi(n->name, STR("anyof")))
		return compile_all_any(c, n, str_eqi(n->name, STR("allof")));
	if (str_eqi(n->name, STR("not")))
		return compile_not(c, n);
	if (str_eqi(n->name, STR("ihave")) && sieve_has(c, X_IHAVE))
		return compile_ihave(c, n);
	bool yes = str_eqi(n->name, STR("true"));
	if (yes || str_eqi(n->name, STR("false"))) {
		no_arguments(c, n);
		no_tests(c, n);
		emit_op(c, yes ? OP_TRUE : OP_FALSE, n->line);
		return KNOWN_NOT;
	}
	compile_spec(c, n, true);
	return KNOWN_NOT;
}

/* The test of `if` and `elsif`. */
static enum known compile_condition(struct sieve_compiler *c, const struct sieve_node *n)
{
	no_arguments(c, n);
	if (!n->tests || n->test_list || !n->has_block) {
		sieve_err_at(c, n, T("Behind \"%.*s\" stand one test and a block in braces."),
			     STR_ARG(n->name));
		return KNOWN_NOT;
	}
	return compile_test(c, n->tests);
}

/* An `if` with all that belongs to it; returns the last node of it. */
static const struct sieve_node *compile_if(struct sieve_compiler *c, const struct sieve_node *n)
{
	uint32_t end = 0;
	bool decided = false; /* an `ihave` was true: what follows is never reached */
	for (;;) {
		bool is_else = str_eqi(n->name, STR("else"));
		uint32_t next = 0;
		enum known k = decided ? KNOWN_FALSE : KNOWN_TRUE;
		if (!decided && !is_else) {
			k = compile_condition(c, n);
			emit_jump(c, OP_JUMP_FALSE, n->line, &next);
		}
		if (is_else && (n->args || n->tests || !n->has_block))
			sieve_err_at(c, n, T("Behind \"else\" stands a block in braces."));
		if (k != KNOWN_FALSE)
			compile_block(c, n->block);
		decided = decided || k == KNOWN_TRUE;
		const struct sieve_node *after = n->next;
		bool more =
			!is_else && after &&
			(str_eqi(after->name, STR("elsif")) || str_eqi(after->name, STR("else")));
		if (more)
			emit_jump(c, OP_JUMP, n->line, &end);
		emit_here(c, next);
		if (!more)
			break;
		n = after;
	}
	emit_here(c, end);
	return n;
}

static void compile_loop(struct sieve_compiler *c, const struct sieve_node *n)
{
	struct str name = STR_NULL;
	const struct sieve_arg *a = n->args;
	no_tests(c, n);
	if (a && a->kind == ARG_TAG && str_eqi(a->tag, STR("name")) && a->next &&
	    a->next->kind == ARG_STRINGS && a->next->n == 1 && !a->next->next)
		name = a->next->strings[0];
	else if (a)
		sieve_err(c, a, T("\"foreverypart\" takes nothing but :name and a text."));
	if (!n->has_block) {
		sieve_err_at(c, n, T("Behind \"foreverypart\" stands a block in braces."));
		return;
	}
	if (c->loops == SIEVE_LOOPS_MAX) {
		sieve_err_at(c, n, T("Loops are nested too deep."));
		return;
	}
	c->loop_names[c->loops++] = name;
	uint32_t end = 0;
	emit_jump(c, OP_LOOP, n->line, &end);
	compile_block(c, n->block);
	emit_op(c, OP_NEXT, n->line);
	emit_here(c, end);
	c->loops--;
}

static void compile_break(struct sieve_compiler *c, const struct sieve_node *n)
{
	const struct sieve_arg *a = n->args;
	uint32_t levels = 1;
	no_tests(c, n);
	if (c->loops == 0) {
		sieve_err_at(c, n, T("\"break\" stands in the block of a \"foreverypart\"."));
		return;
	}
	if (a && a->kind == ARG_TAG && str_eqi(a->tag, STR("name")) && a->next &&
	    a->next->kind == ARG_STRINGS && a->next->n == 1 && !a->next->next) {
		while (levels <= c->loops &&
		       !str_eq(c->loop_names[c->loops - levels], a->next->strings[0]))
			levels++;
		if (levels > c->loops)
			sieve_err(c, a, T("There is no loop of this name around it."));
	} else if (a) {
		sieve_err(c, a, T("\"break\" takes nothing but :name and a text."));
	}
	(void)emit_number(c, OP_BREAK, n->line, levels);
}

static bool compile_control(struct sieve_compiler *c, const struct sieve_node *n)
{
	if (str_eqi(n->name, STR("require"))) {
		compile_require(c, n);
	} else if (str_eqi(n->name, STR("stop")) ||
		   (str_eqi(n->name, STR("return")) && sieve_has(c, X_INCLUDE))) {
		no_arguments(c, n);
		no_tests(c, n);
		emit_op(c, str_eqi(n->name, STR("stop")) ? OP_STOP : OP_RETURN, n->line);
	} else if (str_eqi(n->name, STR("elsif")) || str_eqi(n->name, STR("else"))) {
		sieve_err_at(c, n, T("\"%.*s\" has to follow the block of an \"if\"."),
			     STR_ARG(n->name));
	} else if (str_eqi(n->name, STR("foreverypart")) && sieve_has(c, X_FOREVERYPART)) {
		compile_loop(c, n);
		return true; /* it has a block */
	} else if (str_eqi(n->name, STR("break")) && sieve_has(c, X_FOREVERYPART)) {
		compile_break(c, n);
	} else {
		return false;
	}
	if (n->has_block && !str_eqi(n->name, STR("elsif")) && !str_eqi(n->name, STR("else")))
		sieve_err_at(c, n, T("\"%.*s\" takes no block; a semicolon ends it."),
			     STR_ARG(n->name));
	return true;
}

static void compile_block(struct sieve_compiler *c, const struct sieve_node *first)
{
	for (const struct sieve_node *n = first; n; n = n->next) {
		bool is_require = str_eqi(n->name, STR("require"));
		c->commands_began = c->commands_began || !is_require;
		if (str_eqi(n->name, STR("if")))
			n = compile_if(c, n);
		else if (!compile_control(c, n))
			compile_spec(c, n, false);
		if (c->parser.lex.notes->errors > c->parser.limits.notes)
			return;
	}
}

static int finish(struct sieve_compiler *c, const struct sieve_node *first, struct str *ret,
		  struct fail *why)
{
	struct sieve_notes *notes = c->parser.lex.notes;
	if (notes->errors == 0) {
		compile_block(c, first);
		emit_op(c, OP_END, c->parser.lex.line);
	}
	if (notes->errors)
		return fail_set(why, FAIL_SYNTAX, T_MARK("The script has errors."), "errors=%zu",
				notes->errors);
	if (emit_blob(c, ret) < 0) {
		sieve_complain(&c->parser.lex, SIEVE_ERROR, 1, 1, "%s",
			       T("The script is too large."));
		return fail_set(why, FAIL_LIMIT, T_MARK("The script is too large."), "program");
	}
	return 0;
}

int sieve_compile(struct str script, const struct sieve_options *options, struct arena *arena,
		  struct sieve_notes *notes, struct str *ret, struct fail *why)
{
	static const struct sieve_options none;
	struct sieve_limits limits = SIEVE_LIMITS_DEFAULT;
	options = options ? options : &none;
	limits = options->limits ? *options->limits : limits;
	*notes = (struct sieve_notes){0};
	struct sieve_compiler *c = arena_new(arena, struct sieve_compiler);
	if (!c)
		return fail_set(why, FAIL_LIMIT, NULL, "the arena of the compiler is full");
	c->options = options;
	c->extra = options->extra;
	c->parser.limits = limits;
	c->parser.lex.arena = arena;
	c->parser.lex.notes = notes;
	c->parser.lex.notes_max = limits.notes;
	c->code = c->lists = c->table = c->text = BUF_INIT(limits.program_bytes);
	const struct sieve_node *first = sieve_parse(&c->parser, script);
	int r = finish(c, first, ret, why);
	buf_clear(&c->code);
	buf_clear(&c->lists);
	buf_clear(&c->table);
	buf_clear(&c->text);
	strmap_clear(&c->ids);
	return r;
}
