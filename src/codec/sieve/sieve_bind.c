/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments to slots: which tags a command takes, in any order, and what stands without one. */
#include "base/text.h"
#include "codec/sieve/sieve_emit.h"
#include <stdarg.h>

void sieve_err(struct sieve_compiler *c, const struct sieve_arg *a, const char *text, ...)
{
	va_list ap;
	va_start(ap, text);
	sieve_vcomplain(&c->parser.lex, (struct sieve_place){SIEVE_ERROR, a->line, a->column}, text,
			ap);
	va_end(ap);
}

void sieve_warn(struct sieve_compiler *c, const struct sieve_arg *a, const char *text, ...)
{
	va_list ap;
	va_start(ap, text);
	sieve_vcomplain(&c->parser.lex, (struct sieve_place){SIEVE_WARNING, a->line, a->column},
			text, ap);
	va_end(ap);
}

void sieve_err_at(struct sieve_compiler *c, const struct sieve_node *n, const char *text, ...)
{
	va_list ap;
	va_start(ap, text);
	sieve_vcomplain(&c->parser.lex, (struct sieve_place){SIEVE_ERROR, n->line, n->column}, text,
			ap);
	va_end(ap);
}

static bool need(struct sieve_compiler *c, const struct sieve_arg *a, struct str what, uint8_t ext)
{
	if (ext == X_CORE || sieve_has(c, ext))
		return true;
	sieve_err(c, a,
		  T("\"%.*s\" has to be asked for at the beginning of the script: require "
		    "\"%s\";"),
		  STR_ARG(what), sieve_exts[ext].name);
	return false;
}

/* Place of a name in a table of names; n: it is not there. */
static size_t name_of(const struct sieve_name *names, size_t n, struct str s)
{
	size_t i = 0;
	while (i < n && !str_eqi(s, str_c(names[i].name)))
		i++;
	return i;
}

/* The argument behind a tag, taken out of the row. */
static struct sieve_arg *take_value(struct sieve_compiler *c, struct sieve_arg *tag, uint8_t type)
{
	struct sieve_arg *v = tag->next;
	bool fits = v && (type == SLOT_NUMBER ? v->kind == ARG_NUMBER : v->kind == ARG_STRINGS);
	if (fits && type != SLOT_NUMBER && type != SLOT_LIST && (v->list || v->n != 1))
		fits = false;
	if (fits)
		return v;
	sieve_err(c, tag,
		  type == SLOT_NUMBER ? T("Behind \":%.*s\" stands a number.")
		  : type == SLOT_LIST ? T("Behind \":%.*s\" stands a list of texts.")
				      : T("Behind \":%.*s\" stands a text."),
		  STR_ARG(tag->tag));
	return NULL;
}

static void again(struct sieve_compiler *c, const struct sieve_arg *a)
{
	sieve_err(c, a, T("\":%.*s\" does not go with another tag that stands here already."),
		  STR_ARG(a->tag));
}

static struct sieve_arg *bind_relation(struct sieve_compiler *c, struct sieve_arg *a,
				       struct sieve_bound *b)
{
	struct sieve_arg *v = take_value(c, a, SLOT_STRING);
	if (!v)
		return a;
	b->relation = 0;
	while (b->relation < REL_END &&
	       !str_eqi(v->strings[0], str_c(sieve_relations[b->relation])))
		b->relation++;
	if (b->relation == REL_END)
		sieve_err(c, v,
			  T("A relation is one of \"eq\", \"ne\", \"gt\", \"ge\", \"lt\" and "
			    "\"le\"."));
	return v;
}

static struct sieve_arg *bind_comparator(struct sieve_compiler *c, struct sieve_arg *a,
					 struct sieve_bound *b)
{
	struct sieve_arg *v = take_value(c, a, SLOT_STRING);
	if (!v)
		return a;
	size_t i = name_of(sieve_comparators, CMP_END, v->strings[0]);
	if (i == CMP_END)
		sieve_err(c, v, T("There is no comparator \"%.*s\"."), STR_ARG(v->strings[0]));
	else if (need(c, v, v->strings[0], sieve_comparators[i].ext))
		b->comparator = (uint8_t)i;
	b->present |= S_BIT(S_COMPARATOR);
	return v;
}

/* Tags that are values themselves. True: it was one. */
static bool bind_word(struct sieve_compiler *c, const struct sieve_spec *spec,
		      struct sieve_arg **at, struct sieve_bound *b)
{
	struct sieve_arg *a = *at;
	size_t i = name_of(sieve_matches, MATCH_END, a->tag);
	if (i < MATCH_END && spec->slots & S_BIT(S_MATCH)) {
		if (b->present & S_BIT(S_MATCH))
			again(c, a);
		(void)need(c, a, a->tag, sieve_matches[i].ext);
		b->match = (uint8_t)i;
		b->present |= S_BIT(S_MATCH);
		if (i == MATCH_VALUE || i == MATCH_COUNT)
			*at = bind_relation(c, a, b);
		return true;
	}
	i = name_of(sieve_parts, PART_END, a->tag);
	if (i == PART_END || !(spec->slots & S_BIT(S_PART)))
		return false;
	if (b->present & S_BIT(S_PART))
		again(c, a);
	(void)need(c, a, a->tag, sieve_parts[i].ext);
	b->part = (uint8_t)i;
	b->present |= S_BIT(S_PART);
	return true;
}

static bool group_taken(const struct sieve_bound *b, unsigned slot)
{
	if (b->present & S_BIT(slot))
		return true;
	for (unsigned s = 0; s < S_P1 && sieve_slots[slot].group; s++)
		if (b->present & S_BIT(s) && sieve_slots[s].group == sieve_slots[slot].group)
			return true;
	return false;
}

/* Bind the tag at a; returns the last argument that it took. */
static struct sieve_arg *bind_tag(struct sieve_compiler *c, const struct sieve_node *n,
				  const struct sieve_spec *spec, struct sieve_arg *a,
				  struct sieve_bound *b)
{
	if (bind_word(c, spec, &a, b))
		return a;
	for (unsigned s = 0; s < S_P1; s++) {
		const struct sieve_slot_row *row = &sieve_slots[s];
		if (!(spec->slots & S_BIT(s)) || !row->tag || !str_eqi(a->tag, str_c(row->tag)))
			continue;
		if (group_taken(b, s))
			again(c, a);
		if (!need(c, a, a->tag, row->ext))
			return a;
		if (row->type == SLOT_COMPARATOR)
			return bind_comparator(c, a, b);
		struct sieve_arg *v = row->type == SLOT_FLAG ? a : take_value(c, a, row->type);
		if (!v)
			return a;
		b->present |= S_BIT(s);
		b->arg[s] = row->type == SLOT_FLAG ? NULL : v;
		return v;
	}
	sieve_err(c, a, T("\"%.*s\" has no tag \":%.*s\"."), STR_ARG(n->name), STR_ARG(a->tag));
	return a;
}

static bool fits(const struct sieve_arg *a, char type)
{
	if (ascii_lower(type) == 'n')
		return a->kind == ARG_NUMBER;
	return a->kind == ARG_STRINGS && (ascii_lower(type) == 'l' || !a->list);
}

/* The arguments without a tag: the command says of each what it is, and which may be left out. */
static void bind_positional(struct sieve_compiler *c, const struct sieve_node *n,
			    const struct sieve_spec *spec, struct sieve_arg **args, size_t count,
			    struct sieve_bound *b)
{
	size_t want = strlen(spec->positional), least = want;
	for (size_t i = 0; i < want; i++)
		least -= spec->positional[i] < 'a';
	if (count < least) {
		sieve_err_at(c, n, T("\"%.*s\" needs more arguments than stand here."),
			     STR_ARG(n->name));
		return;
	}
	if (count > want) {
		sieve_err(c, args[want], T("\"%.*s\" takes fewer arguments than stand here."),
			  STR_ARG(n->name));
		return;
	}
	size_t absent = want - count;
	for (size_t i = 0, k = 0; i < want; i++) {
		if (spec->positional[i] < 'a' && absent) {
			absent--;
			continue;
		}
		if (!fits(args[k], spec->positional[i]))
			sieve_err(c, args[k],
				  ascii_lower(spec->positional[i]) == 'n'
					  ? T("Here a number is expected.")
				  : ascii_lower(spec->positional[i]) == 's'
					  ? T("Here a text is expected.")
					  : T("Here a text or a list of texts is expected."));
		b->present |= S_BIT(S_P1 + i);
		b->arg[S_P1 + i] = args[k++];
	}
}

void sieve_bind(struct sieve_compiler *c, const struct sieve_node *n, const struct sieve_spec *spec,
		struct sieve_bound *b)
{
	struct sieve_arg *positional[8];
	size_t count = 0;
	*b = (struct sieve_bound){0};
	for (struct sieve_arg *a = n->args; a; a = a->next) {
		if (a->kind == ARG_TAG)
			a = bind_tag(c, n, spec, a, b);
		else if (count < ARRAY_LEN(positional))
			positional[count++] = a;
	}
	bind_positional(c, n, spec, positional, count, b);
}
