/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/num.h"
#include "base/text.h"
#include "service/policy/orders_int.h"
#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *verb;
	order_fn *fn;
} verbs[] = {
	{"test", order_test},	  {"greylist", order_greylist}, {"throttle", order_throttle},
	{"wblist", order_wblist}, {"rdns", order_rdns},		{"what-if", order_what_if},
};

int order_usage(struct order *x)
{
	return fail_set(x->why, FAIL_SYNTAX, T("This order is not understood: barid help policy"),
			"policy order");
}

int order_global(struct order *x)
{
	if (x->o->scope->everything)
		return 0;
	return fail_set(x->why, FAIL_PERM, T("Only a global administrator may do this."),
			"policy order");
}

static int read_words(struct order *x)
{
	for (size_t i = 0; i < x->o->n; i++) {
		struct str s = x->o->args[i];
		if (!str_starts(s, STR("--")) || s.n == 2) {
			if (x->words == ORDER_WORDS_MAX)
				return order_usage(x);
			x->word[x->words++] = s;
			continue;
		}
		s = str_skip(s, 2);
		size_t eq = str_find(s, 0, '=');
		if (x->options == ORDER_OPTIONS_MAX || (eq == s.n && i + 1 == x->o->n))
			return order_usage(x);
		x->option[x->options].key = str_sub(s, 0, eq);
		x->option[x->options++].value = eq < s.n ? str_skip(s, eq + 1) : x->o->args[++i];
	}
	return x->words ? 0 : order_usage(x);
}

int policy_order(struct policy *p, const struct policy_order *o, struct arena *a,
		 struct policy_answer *ret, struct fail *why)
{
	struct order x = {.p = p, .o = o, .a = a, .ret = ret, .why = why};
	*ret = (struct policy_answer){0};
	int r = read_words(&x);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_eq(x.word[0], str_c(verbs[i].verb)))
			return verbs[i].fn(&x);
	return order_usage(&x);
}

struct str order_option(struct order *x, const char *key)
{
	for (size_t i = 0; i < x->options; i++)
		if (!x->option[i].used && str_eq(x->option[i].key, str_c(key))) {
			x->option[i].used = true;
			return x->option[i].value;
		}
	return STR_NULL;
}

int order_understood(struct order *x)
{
	for (size_t i = 0; i < x->options; i++)
		if (!x->option[i].used)
			return order_usage(x);
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static int amount(struct order *x, const char *key, const struct unit *units, size_t n,
		  int64_t *ret)
{
	struct str s = order_option(x, key);
	size_t digits = 0;
	uint64_t v;
	if (!s.p)
		return 0;
	while (digits < s.n && ascii_digit(s.p[digits]))
		digits++;
	for (size_t i = 0; i < n; i++)
		if (str_eqi(str_trim(str_skip(s, digits)), str_c(units[i].name)) &&
		    num_parse_u64(str_sub(s, 0, digits), &v) &&
		    v <= (uint64_t)INT64_MAX / units[i].factor) {
			*ret = (int64_t)(v * units[i].factor);
			return 0;
		}
	if (str_eq(s, STR("inherit")) || str_eq(s, STR("-1"))) {
		*ret = -1;
		return 0;
	}
	return fail_set(x->why, FAIL_SYNTAX, T("This is no number, or its unit is not known."),
			"--%s %.*s", key, STR_ARG(s));
}

int order_seconds(struct order *x, const char *key, int64_t *ret)
{
	static const struct unit units[] = {{"", 1},	 {"s", 1},     {"min", 60},
					    {"h", 3600}, {"d", 86400}, {"w", 604800}};
	return amount(x, key, units, ARRAY_LEN(units), ret);
}

int order_octets(struct order *x, const char *key, int64_t *ret)
{
	static const struct unit units[] = {
		{"", 1}, {"b", 1}, {"kib", KIB(1)}, {"mib", MIB(1)}, {"gib", UINT64_C(1) << 30}};
	return amount(x, key, units, ARRAY_LEN(units), ret);
}

int order_number(struct order *x, const char *key, int64_t *ret)
{
	static const struct unit units[] = {{"", 1}};
	return amount(x, key, units, ARRAY_LEN(units), ret);
}

int order_key(struct order *x, struct str text, struct str *ret)
{
	if (policy_key_normal(text, x->a, ret))
		return 0;
	return fail_set(x->why, FAIL_SYNTAX,
			T("This is no address, @domain, @.domain, user@*, @. or network."), "%.*s",
			STR_ARG(text));
}

bool order_may(const struct order *x, struct str account)
{
	const struct policy_scope *s = x->o->scope;
	enum policy_key_kind k = policy_key_kind(account);
	if (s->everything)
		return true;
	if (k != POLICY_KEY_ADDRESS && k != POLICY_KEY_DOMAIN)
		return false;
	struct str domain = str_skip(account, str_rfind(account, '@') + 1);
	for (size_t i = 0; i < s->n_domains; i++)
		if (str_eqi(s->domains[i], domain))
			return true;
	return false;
}

int order_account(struct order *x, struct str text, struct str *ret)
{
	int r = order_key(x, text.p ? text : STR("@."), ret);
	if (r < 0 || order_may(x, *ret))
		return r;
	return fail_set(x->why, FAIL_PERM, T("This account is not in a domain that you manage."),
			"%.*s", STR_ARG(*ret));
}

/* --- answers --- */

int order_columns(struct order *x, const char *const *names, size_t n)
{
	x->ret->columns = arena_array(x->a, struct str, n);
	if (!x->ret->columns)
		return fail_set(x->why, FAIL_LIMIT, NULL, "no memory");
	for (size_t i = 0; i < n; i++)
		x->ret->columns[i] = str_c(names[i]);
	x->ret->n_columns = n;
	return 0;
}

void order_cell(struct order *x, struct str s)
{
	struct policy_answer *r = x->ret;
	if (r->n_cells == r->room) {
		size_t room = r->room ? r->room * 2 : 256;
		struct str *cells = arena_array(x->a, struct str, room);
		if (!cells)
			return;
		if (r->n_cells)
			memcpy(cells, r->cells, r->n_cells * sizeof(*cells));
		r->cells = cells;
		r->room = room;
	}
	r->cells[r->n_cells++] = arena_str(x->a, s);
}

void order_cellf(struct order *x, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	order_cell(x, str_make(text, MIN((size_t)MAX(n, 0), sizeof text - 1)));
}

void order_say(struct order *x, const char *text)
{
	x->ret->message = arena_str(x->a, str_c(text));
}

/* --- rows --- */

static int closed(struct order *x)
{
	return fail_set(x->why, FAIL_TEMP, T("The policy database cannot be opened."),
			"policy.db is not open");
}

int order_select(struct order *x, const char *sql, const struct str *text, size_t n,
		 order_row_fn *row)
{
	struct db *db = policy_db_enter(x->p);
	struct db_stmt *st;
	if (!db)
		return closed(x);
	int r = db_stmt(db, sql, &st, x->why);
	for (size_t i = 0; r == 0 && i < n; i++)
		db_bind_text(st, (int)i + 1, text[i]);
	for (size_t i = 0; r == 0 && (r = db_step(st, x->why)) == 1; i++) {
		r = 0;
		if (i < ORDER_ROWS_MAX)
			row(x, st);
	}
	policy_db_leave(x->p, false);
	return r < 0 ? r : 0;
}

int order_change(struct order *x, const char *sql, const struct order_value *v, size_t n)
{
	struct db *db = policy_db_enter(x->p);
	struct db_stmt *st;
	if (!db)
		return closed(x);
	int r = db_stmt(db, sql, &st, x->why);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (v[i].is_number)
			db_bind_i64(st, (int)i + 1, v[i].number);
		else
			db_bind_text(st, (int)i + 1, v[i].text);
	}
	if (r == 0)
		r = db_run(st, x->why);
	uint64_t changes = r == 0 ? db_changes(db) : 0;
	policy_db_leave(x->p, changes > 0);
	x->ret->changed |= changes > 0;
	return r < 0 ? r : (int)MIN(changes, (uint64_t)INT32_MAX);
}
