/* SPDX-License-Identifier: Apache-2.0 */
/* Variables (RFC 5229, and those that are shared between scripts, RFC 6609 3.4). */
#include "base/text.h"
#include "base/utf8.h"
#include "codec/sieve/sieve_variable.h"
#include "codec/sieve/sieve_vm.h"

static struct sieve_variable *find(struct sieve_variables *set, struct str name)
{
	for (size_t i = 0; i < set->n; i++)
		if (str_eqi(set->p[i].name, name))
			return &set->p[i];
	return NULL;
}

static bool is_imported(const struct sieve_frame *f, struct str name)
{
	for (size_t i = 0; i < f->n_imported; i++)
		if (str_eqi(f->imported[i], name))
			return true;
	return false;
}

static struct sieve_variables *scope(struct sieve_vm *vm, struct str ns, struct str name)
{
	bool global = str_eqi(ns, STR("global")) || (ns.n == 0 && is_imported(vm->frame, name));
	return global ? &vm->state->globals : &vm->frame->locals;
}

struct str sieve_variable_get(struct sieve_vm *vm, struct str ns, struct str name)
{
	if (ns.n && !str_eqi(ns, STR("global")))
		return STR("");
	const struct sieve_variable *v = find(scope(vm, ns, name), name);
	return v ? v->value : STR("");
}

/* @text, cut between characters. */
static struct str cut_text(struct str s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return str_sub(s, 0, max);
}

int sieve_variable_set(struct sieve_vm *vm, struct str name, struct str value)
{
	struct str ns = STR("");
	if (str_startsi(name, STR("global."))) {
		ns = STR("global");
		name = str_skip(name, 7);
	}
	struct sieve_variables *set = scope(vm, ns, name);
	struct sieve_variable *v = find(set, name);
	value = arena_str(vm->arena, cut_text(value, vm->limits.variable_bytes));
	if (!value.p)
		value = STR("");
	if (!v && set->n == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 8;
		struct sieve_variable *more = arena_array(vm->arena, struct sieve_variable, cap);
		if (!more)
			return sieve_full(vm);
		if (set->n)
			memcpy(more, set->p, set->n * sizeof *more);
		set->p = more;
		set->cap = cap;
	}
	if (!v && set->n >= vm->limits.variables)
		return sieve_fail(vm, FAIL_LIMIT, T("A script may have %u variables."),
				  vm->limits.variables);
	if (!v) {
		v = &set->p[set->n++];
		v->name = name;
	}
	v->value = value;
	return 0;
}

int sieve_expand(struct sieve_vm *vm, struct str s, struct str *ret)
{
	AUTO(buf) struct buf b = BUF_INIT(MIB(1));
	struct sieve_reference r;
	const struct sieve_frame *f = vm->frame;
	size_t at = 0;
	while (sieve_reference_next(s, at, &r)) {
		(void)buf_add(&b, str_sub(s, at, r.from));
		if (!r.number)
			(void)buf_add(&b, sieve_variable_get(vm, r.ns, r.name));
		else if (r.index < f->n_matches)
			(void)buf_add(&b, f->matches[r.index]);
		at = r.to;
	}
	(void)buf_add(&b, str_skip(s, at));
	*ret = arena_str(vm->arena, buf_str(&b));
	if (b.failed || (b.n && !ret->p))
		return sieve_full(vm);
	return sieve_spend(vm, 1 + b.n / 64);
}

static void quote(struct buf *b, struct str s, const char *special)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] && strchr(special, s.p[i]))
			(void)buf_addc(b, '\\');
		(void)buf_addc(b, s.p[i]);
	}
}

static void encode_url(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (ascii_alpha(c) || ascii_digit(c) || (c && strchr("-._~", c)))
			(void)buf_addc(b, c);
		else
			(void)buf_addf(b, "%%%02X", (unsigned char)c);
	}
}

static size_t characters(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; n++)
		(void)utf8_next(s, &i);
	return n;
}

/* One step of the modifiers, by precedence (RFC 5229 4.1). */
static void modify(struct buf *b, unsigned slot, struct str s)
{
	switch (slot) {
	case S_LOWER:
		for (size_t i = 0; i < s.n; i++)
			(void)buf_addc(b, ascii_lower(s.p[i]));
		break;
	case S_UPPER:
		for (size_t i = 0; i < s.n; i++)
			(void)buf_addc(b, ascii_upper(s.p[i]));
		break;
	case S_LOWERFIRST:
	case S_UPPERFIRST:
		(void)buf_add(b, s);
		if (b->n)
			b->p[0] =
				slot == S_LOWERFIRST ? ascii_lower(b->p[0]) : ascii_upper(b->p[0]);
		break;
	case S_QUOTEWILDCARD:
		quote(b, s, "*?\\");
		break;
	case S_QUOTEREGEX:
		quote(b, s, "\\^$.[]|()?*+{}");
		break;
	case S_ENCODEURL:
		encode_url(b, s);
		break;
	default:
		(void)buf_addf(b, "%zu", characters(s));
		break;
	}
}

int sieve_modify(struct sieve_vm *vm, const struct sieve_args *a, struct str *value)
{
	static const unsigned order[] = {S_LOWER,	  S_UPPER,	S_LOWERFIRST, S_UPPERFIRST,
					 S_QUOTEWILDCARD, S_QUOTEREGEX, S_ENCODEURL,  S_LENGTH};
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (!arg_has(a, order[i]))
			continue;
		AUTO(buf) struct buf b = BUF_INIT(value->n * 3 + 32);
		modify(&b, order[i], *value);
		*value = arena_str(vm->arena, buf_str(&b));
		if (b.n && !value->p)
			return sieve_full(vm);
	}
	return sieve_spend(vm, value->n / 64);
}

int sieve_do_set(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str name, value;
	int r = arg_text(vm, a, S_P1, &name);
	r = r < 0 ? r : arg_text(vm, a, S_P2, &value);
	r = r < 0 ? r : sieve_modify(vm, a, &value);
	r = r < 0 ? r : sieve_variable_set(vm, name, value);
	if (r == 0)
		sieve_trace(vm, T("set \"%.*s\" to \"%.*s\""), STR_ARG(name),
			    STR_ARG(str_sub(value, 0, 200)));
	return r;
}

int sieve_do_global(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct str *names;
	size_t n;
	struct sieve_frame *f = vm->frame;
	int r = arg_list(vm, a, S_P1, &names, &n);
	if (r < 0)
		return r;
	struct str *all = arena_array(vm->arena, struct str, n + f->n_imported + 1);
	if (!all || n + f->n_imported > vm->limits.variables)
		return sieve_full(vm);
	if (f->n_imported)
		memcpy(all, f->imported, f->n_imported * sizeof *all);
	for (size_t i = 0; i < n; i++) {
		if (find(&f->locals, names[i]))
			return sieve_fail(
				vm, FAIL_CONFLICT,
				T("\"%.*s\" cannot become global: it has a value already."),
				STR_ARG(names[i]));
		all[f->n_imported++] = names[i];
	}
	f->imported = all;
	return 0;
}

int sieve_test_string(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct str *sources;
	size_t n;
	int r = matcher_begin(vm, &m, a, S_P2);
	r = r < 0 ? r : arg_list(vm, a, S_P1, &sources, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (m.match != MATCH_COUNT ||
		    sources[i].n) /* RFC 5229 5: empty ones do not count */
			r = matcher_value(&m, sources[i]);
	return r ? r : matcher_end(&m);
}
