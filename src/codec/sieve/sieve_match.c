/* SPDX-License-Identifier: Apache-2.0 */
/* Comparators (RFC 4790) and match types (RFC 5228 2.7, 5231, 6134, regular expressions). */
#include "base/text.h"
#include "base/utf8.h"
#include "codec/mime/charset.h"
#include "codec/sieve/sieve_vm.h"

static int same(uint8_t comparator, char a, char b)
{
	return comparator == CMP_CASEMAP ? ascii_lower(a) == ascii_lower(b) : a == b;
}

/* i;unicode-casemap: the text as it is compared, octet by octet from there on. */
static int fold(struct sieve_vm *vm, struct str s, struct str *ret)
{
	uint32_t to[CHARSET_FOLD_MAX];
	AUTO(buf) struct buf b = BUF_INIT(s.n * 24 + 16);
	int r = sieve_spend(vm, s.n / 16);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s.n;) {
		if ((unsigned char)s.p[i] < 128) {
			(void)buf_addc(&b, ascii_upper(s.p[i++]));
			continue;
		}
		size_t n = charset_fold(utf8_next(s, &i), to);
		for (size_t k = 0; k < n; k++)
			(void)utf8_put(&b, to[k]);
	}
	*ret = arena_str(vm->arena, buf_str(&b));
	return b.failed || (b.n && !ret->p) ? sieve_full(vm) : 0;
}

static bool equal(uint8_t comparator, struct str a, struct str b)
{
	return comparator == CMP_CASEMAP ? str_eqi(a, b) : str_eq(a, b);
}

static int order_text(uint8_t comparator, struct str a, struct str b)
{
	size_t n = MIN(a.n, b.n);
	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
		if (comparator == CMP_CASEMAP) {
			x = (unsigned char)ascii_upper((char)x);
			y = (unsigned char)ascii_upper((char)y);
		}
		if (x != y)
			return x < y ? -1 : 1;
	}
	return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

/* i;ascii-numeric: the digits in front, of any length; a text without any is infinite. */
static struct str digits(struct str s)
{
	size_t n = 0;
	while (n < s.n && ascii_digit(s.p[n]))
		n++;
	s = str_sub(s, 0, n);
	while (s.n > 1 && s.p[0] == '0')
		s = str_skip(s, 1);
	return s;
}

static int order(uint8_t comparator, struct str a, struct str b)
{
	if (comparator != CMP_NUMERIC)
		return order_text(comparator, a, b);
	a = digits(a);
	b = digits(b);
	if (a.n == 0 || b.n == 0)
		return a.n == b.n ? 0 : a.n == 0 ? 1 : -1;
	return a.n != b.n ? (a.n < b.n ? -1 : 1) : str_cmp(a, b);
}

static bool related(uint8_t relation, int order)
{
	switch (relation) {
	case REL_EQ:
		return order == 0;
	case REL_NE:
		return order != 0;
	case REL_GT:
		return order > 0;
	case REL_GE:
		return order >= 0;
	case REL_LT:
		return order < 0;
	default:
		return order <= 0;
	}
}

static int contains(struct sieve_vm *vm, uint8_t comparator, struct str value, struct str key)
{
	int r = sieve_spend(vm, value.n / 64);
	if (r < 0)
		return r;
	if (comparator != CMP_CASEMAP)
		return key.n <= value.n && str_find_str(value, 0, key) + key.n <= value.n;
	if (key.n == 0)
		return 1;
	uint64_t work = 0;
	char first = ascii_lower(key.p[0]);
	for (size_t i = 0; i + key.n <= value.n; i++) {
		if (ascii_lower(value.p[i]) != first)
			continue;
		size_t k = 1;
		while (k < key.n && ascii_lower(value.p[i + k]) == ascii_lower(key.p[k]))
			k++;
		if (k == key.n)
			return 1;
		work += k;
	}
	return sieve_spend(vm, work / 64);
}

static size_t character(struct str s, size_t at)
{
	size_t to = at;
	(void)utf8_next(s, &to);
	return to - at;
}

/* A match of wildcards under way. A "*" takes as little as it can (RFC 5229 3.2); only the last one
 * ever has to take more, because what was matched up to it stays matched. */
struct wild {
	struct str value, key;
	uint8_t comparator;
	struct str *groups;
	size_t groups_max, n_groups;
};

static void group(struct wild *w, size_t from, size_t to)
{
	if (w->n_groups < w->groups_max)
		w->groups[w->n_groups] = str_sub(w->value, from, to);
	w->n_groups++;
}

static int wildcard(struct sieve_vm *vm, struct wild *w)
{
	struct str v = w->value, k = w->key;
	size_t i = 0, j = 0, star = SIZE_MAX, taken = 0, star_group = 0, star_from = 0;
	uint64_t work = 0;
	for (;;) {
		if (j < k.n && k.p[j] == '*') {
			star = ++j;
			star_from = taken = i;
			star_group = w->n_groups;
			group(w, i, i);
			continue;
		}
		if (i == v.n && j == k.n)
			break;
		bool any = j < k.n && k.p[j] == '?' && i < v.n;
		size_t literal = j + (j + 1 < k.n && k.p[j] == '\\');
		if (any) {
			size_t n = character(v, i);
			group(w, i, i + n);
			i += n;
			j++;
			continue;
		}
		if (i < v.n && j < k.n && same(w->comparator, v.p[i], k.p[literal])) {
			i++;
			j = literal + 1;
			continue;
		}
		if (star == SIZE_MAX || taken >= v.n)
			return sieve_spend(vm, work / 64);
		taken += character(v, taken);
		work += i - MIN(taken, i) + 8;
		if (work > 64 * 1024) {
			int r = sieve_spend(vm, work / 64);
			if (r < 0)
				return r;
			work = 0;
		}
		i = taken;
		j = star;
		w->n_groups = star_group;
		group(w, star_from, taken);
	}
	return 1;
}

/* Match variables: ${0} is @whole. They outlive the value, so it is copied; the groups lie in it.
 */
static int remember(struct sieve_matcher *m, struct str value, struct str whole,
		    const struct str *groups, size_t n)
{
	struct sieve_frame *f = m->vm->frame;
	if (m->silent || !(f->program->extensions & X_BIT(X_VARIABLES)))
		return 1;
	struct str copy = arena_str(m->vm->arena, value);
	if (value.n && !copy.p)
		return sieve_full(m->vm);
	f->n_matches = MIN(n + 1, ARRAY_LEN(f->matches));
	for (size_t i = 0; i < f->n_matches; i++) {
		struct str g = i ? groups[i - 1] : whole;
		f->matches[i] = g.n ? str_make(copy.p + (g.p - value.p), g.n) : STR("");
	}
	return 1;
}

/* @shown is the value as it stands in the message: match variables keep its case. */
static int match_wildcard(struct sieve_matcher *m, struct str value, struct str key)
{
	struct str groups[SIEVE_GROUPS * 4 - 1];
	struct wild w = {.value = value,
			 .key = key,
			 .comparator = m->comparator,
			 .groups = groups,
			 .groups_max = ARRAY_LEN(groups)};
	int r = sieve_spend(m->vm, value.n / 64);
	if (r < 0)
		return r;
	r = wildcard(m->vm, &w);
	return r == 1 ? remember(m, value, value, groups, MIN(w.n_groups, ARRAY_LEN(groups))) : r;
}

static int match_regex(struct sieve_matcher *m, struct str value, size_t key)
{
	const struct sieve_regex_ops *ops = m->vm->host->regex;
	struct str groups[SIEVE_GROUPS] = {{NULL, 0}};
	struct fail why = FAIL_INIT;
	if (!ops)
		return 0;
	int r = sieve_spend(m->vm, 16 + value.n / 16);
	if (r < 0)
		return r;
	if (!m->regex[key] && ops->make(ops->ctx, m->keys[key], m->comparator != CMP_OCTET,
					&m->regex[key], &why) < 0) {
		sieve_trace(m->vm, T("\"%.*s\" is no regular expression: %s."),
			    STR_ARG(m->keys[key]), why.detail);
		return 0;
	}
	r = ops->match(ops->ctx, m->regex[key], value, groups);
	if (r < 0)
		sieve_trace(m->vm,
			    T("The regular expression \"%.*s\" takes too long; it counts "
			      "as one that does not match."),
			    STR_ARG(m->keys[key]));
	if (r != 1)
		return 0;
	size_t n = SIEVE_GROUPS - 1;
	while (n > 0 && !groups[n].p)
		n--;
	return remember(m, value, groups[0], groups + 1, n);
}

static int match_list(struct sieve_matcher *m, struct str value, struct str list)
{
	const struct sieve_host *h = m->vm->host;
	if (!h->list_has || !h->list_has(h->ctx, list, value))
		return 0;
	return remember(m, value, value, NULL, 0);
}

static int match_key(struct sieve_matcher *m, struct str value, size_t i)
{
	struct str key = m->keys[i];
	switch (m->match) {
	case MATCH_IS:
		return m->comparator == CMP_NUMERIC ? order(CMP_NUMERIC, value, key) == 0
						    : equal(m->comparator, value, key);
	case MATCH_CONTAINS:
		return contains(m->vm, m->comparator, value, key);
	case MATCH_MATCHES:
		return match_wildcard(m, value, key);
	case MATCH_REGEX:
		return match_regex(m, value, i);
	case MATCH_VALUE:
		return related(m->relation, order(m->comparator, value, key));
	default:
		return match_list(m, value, key);
	}
}

int matcher_begin(struct sieve_vm *vm, struct sieve_matcher *m, const struct sieve_args *a,
		  unsigned keys)
{
	*m = (struct sieve_matcher){.vm = vm, .match = MATCH_IS, .comparator = CMP_CASEMAP};
	if (arg_has(a, S_MATCH)) {
		m->match = a->v[S_MATCH].a;
		m->relation = a->v[S_MATCH].b;
	}
	if (arg_has(a, S_COMPARATOR))
		m->comparator = a->v[S_COMPARATOR].a;
	int r = 0;
	if (sieve_slot_type(a->spec, keys) == SLOT_LIST) {
		r = arg_list(vm, a, keys, &m->keys, &m->n_keys);
	} else {
		m->keys = arena_new(vm->arena, struct str);
		m->n_keys = 1;
		r = m->keys ? arg_text(vm, a, keys, m->keys) : sieve_full(vm);
	}
	if (r < 0)
		return r;
	if (m->match == MATCH_REGEX) {
		m->regex = arena_array(vm->arena, void *, m->n_keys + 1);
		return m->regex ? 0 : sieve_full(vm);
	}
	for (size_t i = 0; i < m->n_keys && m->comparator == CMP_UNICODE && r == 0 &&
			   m->match != MATCH_COUNT && m->match != MATCH_LIST;
	     i++)
		r = fold(vm, m->keys[i], &m->keys[i]);
	return r;
}

int matcher_value(struct sieve_matcher *m, struct str value)
{
	m->count++;
	if (m->match == MATCH_COUNT)
		return 0;
	struct str shown = value;
	int r = sieve_spend(m->vm, 1 + m->n_keys / 4);
	if (r == 0 && m->comparator == CMP_UNICODE && m->match != MATCH_REGEX &&
	    m->match != MATCH_LIST)
		r = fold(m->vm, value, &value);
	for (size_t i = 0; r == 0 && i < m->n_keys; i++)
		r = match_key(m, value, i);
	if (sieve_tracing(m->vm) && r == 1)
		sieve_trace(m->vm, T("\"%.*s\" matches"), STR_ARG(str_sub(shown, 0, 200)));
	else if (sieve_tracing(m->vm) && r == 0)
		sieve_trace(m->vm, T("\"%.*s\" does not match"), STR_ARG(str_sub(shown, 0, 200)));
	return r;
}

int matcher_end(struct sieve_matcher *m)
{
	char text[24];
	if (m->match != MATCH_COUNT)
		return 0;
	int n = snprintf(text, sizeof text, "%llu", (unsigned long long)m->count);
	struct str count = str_make(text, (size_t)n);
	for (size_t i = 0; i < m->n_keys; i++)
		if (related(m->relation, order(m->comparator == CMP_OCTET ? CMP_OCTET : CMP_NUMERIC,
					       count, m->keys[i])))
			return 1;
	return 0;
}

void matcher_clear(struct sieve_matcher *m)
{
	for (size_t i = 0; m->regex && i < m->n_keys; i++)
		if (m->regex[i])
			m->vm->host->regex->free(m->vm->host->regex->ctx, m->regex[i]);
	m->regex = NULL;
}
