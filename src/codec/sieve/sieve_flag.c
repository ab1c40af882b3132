/* SPDX-License-Identifier: Apache-2.0 */
/* imap4flags (RFC 5232): the internal variable, and flags in others. */
#include "codec/sieve/sieve_vm.h"

#define FLAGS_MAX 256

static bool has_flag(const struct str *list, size_t n, struct str flag)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqi(list[i], flag))
			return true;
	return false;
}

int sieve_flags_clean(struct sieve_vm *vm, const struct str *list, size_t n, struct str **ret,
		      size_t *ret_n)
{
	size_t max = 0, count = 0;
	for (size_t i = 0; i < n; i++)
		max += list[i].n / 2 + 1;
	max = MIN(max, (size_t)FLAGS_MAX);
	struct str *out = arena_array(vm->arena, struct str, max + 1);
	if (!out)
		return sieve_full(vm);
	for (size_t i = 0; i < n; i++) {
		struct str rest = list[i], flag;
		while (rest.n && str_cut(&rest, ' ', &flag))
			if (count < max && sieve_is_flag(flag) && !has_flag(out, count, flag))
				out[count++] = flag;
	}
	*ret = out;
	*ret_n = count;
	return sieve_spend(vm, 1 + count * count / 16);
}

struct str sieve_join(struct sieve_vm *vm, const struct str *list, size_t n)
{
	AUTO(buf) struct buf b = BUF_INIT(KIB(64));
	for (size_t i = 0; i < n; i++) {
		(void)buf_add(&b, i ? STR(" ") : STR(""));
		(void)buf_add(&b, list[i]);
	}
	struct str s = arena_str(vm->arena, buf_str(&b));
	return s.p ? s : STR("");
}

int sieve_flags_of(struct sieve_vm *vm, const struct sieve_args *a, struct str **ret, size_t *ret_n)
{
	struct str *list;
	size_t n;
	if (!arg_has(a, S_FLAGS)) {
		*ret = vm->flags;
		*ret_n = vm->n_flags;
		return 0;
	}
	int r = arg_list(vm, a, S_FLAGS, &list, &n);
	return r < 0 ? r : sieve_flags_clean(vm, list, n, ret, ret_n);
}

/* The flags in a variable, or (without a name) in the internal one. */
static int flags_in(struct sieve_vm *vm, struct str name, struct str **ret, size_t *ret_n)
{
	*ret = vm->flags;
	*ret_n = vm->n_flags;
	if (!name.p)
		return 0;
	struct str value = sieve_variable_get(vm, STR(""), name);
	return sieve_flags_clean(vm, &value, 1, ret, ret_n);
}

enum change { SET, ADD, REMOVE };

static int change_flags(struct sieve_vm *vm, const struct sieve_args *a, enum change change)
{
	struct str name = STR_NULL, *given, *old, *both;
	size_t n, n_old, count = 0;
	int r = arg_has(a, S_P1) ? arg_text(vm, a, S_P1, &name) : 0;
	r = r < 0 ? r : arg_list(vm, a, S_P2, &given, &n);
	r = r < 0 ? r : sieve_flags_clean(vm, given, n, &given, &n);
	r = r < 0 ? r : flags_in(vm, name, &old, &n_old);
	if (r < 0)
		return r;
	both = arena_array(vm->arena, struct str, n + n_old + 1);
	if (!both)
		return sieve_full(vm);
	for (size_t i = 0; change != SET && i < n_old; i++)
		if (change == ADD || !has_flag(given, n, old[i]))
			both[count++] = old[i];
	for (size_t i = 0; change != REMOVE && i < n; i++)
		if (!has_flag(both, count, given[i]))
			both[count++] = given[i];
	count = MIN(count, (size_t)FLAGS_MAX);
	struct str joined = sieve_join(vm, both, count);
	if (sieve_tracing(vm))
		sieve_trace(vm, "%s: \"%.*s\"", a->spec->name, STR_ARG(joined));
	if (name.p)
		return sieve_variable_set(vm, name, joined);
	vm->flags = both;
	vm->n_flags = count;
	return 0;
}

int sieve_do_setflag(struct sieve_vm *vm, const struct sieve_args *a)
{
	return change_flags(vm, a, SET);
}

int sieve_do_addflag(struct sieve_vm *vm, const struct sieve_args *a)
{
	return change_flags(vm, a, ADD);
}

int sieve_do_removeflag(struct sieve_vm *vm, const struct sieve_args *a)
{
	return change_flags(vm, a, REMOVE);
}

/* RFC 5232 4: each flag is a value, and so is each flag of the keys. */
int sieve_test_hasflag(struct sieve_vm *vm, const struct sieve_args *a)
{
	AUTO(sieve_matcher) struct sieve_matcher m = {0};
	struct str *names = NULL, *flags;
	size_t n_names = 0, n;
	int r = matcher_begin(vm, &m, a, S_P2);
	if (r == 0 && (m.match == MATCH_IS || m.match == MATCH_CONTAINS))
		r = sieve_flags_clean(vm, m.keys, m.n_keys, &m.keys, &m.n_keys);
	r = r < 0 ? r : arg_list(vm, a, S_P1, &names, &n_names);
	for (size_t i = 0; r == 0 && i < MAX(n_names, (size_t)1); i++) {
		r = flags_in(vm, n_names ? names[i] : STR_NULL, &flags, &n);
		for (size_t k = 0; r == 0 && k < n; k++)
			r = matcher_value(&m, flags[k]);
	}
	return r ? r : matcher_end(&m);
}
