/* SPDX-License-Identifier: Apache-2.0 */
/* editheader (RFC 5293). What was stored before keeps the header that it had then. */
#include "base/text.h"
#include "codec/sieve/sieve_vm.h"

/* Fields that keep mail from going round, and that say where it came from: they stay. */
static bool is_protected(struct str name)
{
	return str_eqi(name, STR("received")) || str_eqi(name, STR("auto-submitted")) ||
	       str_eqi(name, STR("return-path")) || str_eqi(name, STR("delivered-to"));
}

static void edited(struct sieve_vm *vm)
{
	vm->state->edited = true;
	vm->state->edited_header = STR_NULL;
}

int sieve_do_addheader(struct sieve_vm *vm, const struct sieve_args *a)
{
	struct sieve_fields *set;
	struct str name, value;
	int r = arg_text(vm, a, S_P1, &name);
	r = r < 0 ? r : arg_text(vm, a, S_P2, &value);
	if (r < 0)
		return r;
	value = str_trim(value);
	if (!sieve_is_field_name(name))
		return sieve_fail(vm, FAIL_SYNTAX,
				  T("\"%.*s\" cannot be the name of a header field."),
				  STR_ARG(str_sub(name, 0, 100)));
	if (!sieve_is_field_text(value))
		return sieve_fail(vm, FAIL_SYNTAX, "%s",
				  T("The text of a new header field is one line of at most 2048 "
				    "octets, maybe folded."));
	r = sieve_fields_get(vm, &set);
	r = r < 0 ? r : sieve_fields_add(vm, set, name, value, arg_has(a, S_EDIT_LAST));
	if (r == 0) {
		edited(vm);
		sieve_trace(vm, "addheader \"%.*s: %.*s\"", STR_ARG(name), STR_ARG(value));
	}
	return r;
}

/* Does the value of this field match what is to be deleted? Without values all do. */
static int chosen(struct sieve_vm *vm, struct sieve_matcher *m, struct sieve_field *f)
{
	struct str text;
	if (m->n_keys == 0)
		return 1;
	int r = sieve_field_text(vm, f, &text);
	m->count = 0;
	r = r < 0 ? r : matcher_value(m, text);
	return r ? r : matcher_end(m);
}

static int delete_fields(struct sieve_vm *vm, const struct sieve_args *a, struct sieve_matcher *m,
			 struct str name)
{
	struct sieve_fields *set;
	uint64_t index = arg_has(a, S_EDIT_INDEX) ? a->v[S_EDIT_INDEX].number : 0, seen = 0;
	bool last = arg_has(a, S_EDIT_LAST);
	int r = sieve_fields_get(vm, &set);
	size_t n = r < 0 ? 0 : set->n, gone = 0;
	for (size_t k = 0; r >= 0 && k < n; k++) {
		struct sieve_field *f = &set->p[last ? n - 1 - k : k];
		if (!str_eqi(f->name, name) || (index && ++seen != index))
			continue;
		r = chosen(vm, m, f);
		if (r == 1) {
			f->name = STR("");
			gone++;
		}
	}
	if (r < 0)
		return r;
	size_t kept = 0;
	for (size_t k = 0; k < n; k++)
		if (set->p[k].name.n)
			set->p[kept++] = set->p[k];
	set->n = kept;
	if (gone)
		edited(vm);
	sieve_trace(vm, "deleteheader \"%.*s\": %zu", STR_ARG(name), gone);
	return 0;
}

int sieve_do_deleteheader(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct str name;
	int r = arg_text(vm, a, S_P1, &name);
	if (r == 0 && arg_has(a, S_P2))
		r = matcher_begin(vm, &m, a, S_P2);
	m.silent = true;
	if (r < 0 || is_protected(name))
		return r;
	return delete_fields(vm, a, &m, name);
}
