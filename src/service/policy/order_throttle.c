/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle list [ACCOUNT] | usage [ACCOUNT]
 * throttle add ACCOUNT --kind K --period P [--size N] [--messages N] [--quota N] [--recipients N]
 * throttle delete ACCOUNT [--kind K]
 */
#include "base/text.h"
#include "service/policy/orders_int.h"
#include "service/policy/throttle.h"

#define TEXT(s)	  ((struct order_value){.text = (s)})
#define NUMBER(v) ((struct order_value){.is_number = true, .number = (v)})

static void row_of(struct order *x, struct db_stmt *st)
{
	if (!order_may(x, db_col_text(st, 0)))
		return;
	for (int i = 0; i < (int)x->ret->n_columns; i++)
		order_cell(x, db_col_text(st, i));
}

static int show(struct order *x, const char *const *names, size_t n, const char *sql)
{
	struct str who = x->words > 2 ? x->word[2] : STR("");
	int r = x->words > 3 ? order_usage(x) : order_understood(x);
	if (r == 0)
		r = order_columns(x, names, n);
	return r < 0 ? r : order_select(x, sql, &who, 1, row_of);
}

static int list(struct order *x)
{
	static const char *const names[] = {"account",	"kind",	 "period",     "size",
					    "messages", "quota", "recipients", "priority"};
	return show(
		x, names, ARRAY_LEN(names),
		"SELECT account, kind, period, msg_size, max_msgs, max_quota, max_rcpts, priority"
		" FROM throttle WHERE ?1 = '' OR account = ?1"
		" ORDER BY kind, priority DESC, account");
}

static int usage(struct order *x)
{
	static const char *const names[] = {"account", "row",	    "kind",  "messages", "of",
					    "octets",  "of_octets", "since", "period"};
	policy_write(x->p);
	return show(
		x, names, ARRAY_LEN(names),
		"SELECT u.account, t.account, t.kind, u.cur_msgs, t.max_msgs, u.cur_quota,"
		" t.max_quota, strftime('%Y-%m-%dT%H:%M:%SZ', u.init_time, 'unixepoch'), u.period"
		" FROM throttle_tracking u JOIN throttle t ON t.id = u.tid"
		" WHERE ?1 IN ('', u.account, t.account)"
		" ORDER BY u.last_time DESC LIMIT 1000");
}

static int read_kind(struct order *x, struct str *ret)
{
	struct str kind = order_option(x, "kind");
	if (!kind.p)
		kind = STR("outbound");
	*ret = kind;
	for (enum throttle_kind k = 0; k < THROTTLE_KINDS; k++)
		if (str_eq(kind, str_c(throttle_kind_name(k))))
			return 0;
	return fail_set(x->why, FAIL_SYNTAX, T("A kind is outbound, external or inbound."), "%.*s",
			STR_ARG(kind));
}

static int add(struct order *x)
{
	struct str account, kind;
	int64_t period = 0, size = -1, messages = -1, quota = -1, recipients = -1;
	if (x->words != 3)
		return order_usage(x);
	int r = order_account(x, x->word[2], &account);
	if (r == 0)
		r = read_kind(x, &kind);
	if (r == 0)
		r = order_seconds(x, "period", &period);
	if (r == 0)
		r = order_octets(x, "size", &size);
	if (r == 0)
		r = order_number(x, "messages", &messages);
	if (r == 0)
		r = order_octets(x, "quota", &quota);
	if (r == 0)
		r = order_number(x, "recipients", &recipients);
	if (r == 0)
		r = order_understood(x);
	if (r < 0)
		return r;
	if ((messages > 0 || quota > 0) && period <= 0)
		return fail_set(
			x->why, FAIL_SYNTAX,
			T("A limit of messages or octets needs --period: within which time?"), "-");
	const struct order_value v[] = {TEXT(account),
					TEXT(kind),
					NUMBER(policy_key_priority(policy_key_kind(account))),
					NUMBER(period),
					NUMBER(size),
					NUMBER(messages),
					NUMBER(quota),
					NUMBER(recipients)};
	return order_change(
		x,
		"INSERT INTO throttle (account, kind, priority, period, msg_size,"
		" max_msgs, max_quota, max_rcpts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
		" ON CONFLICT (account, kind) DO UPDATE SET priority = ?3, period = ?4,"
		" msg_size = ?5, max_msgs = ?6, max_quota = ?7, max_rcpts = ?8",
		v, ARRAY_LEN(v));
}

static int delete (struct order *x)
{
	struct str account, kind;
	if (x->words != 3)
		return order_usage(x);
	int r = order_account(x, x->word[2], &account);
	if (r == 0)
		r = read_kind(x, &kind);
	if (r == 0)
		r = order_understood(x);
	if (r < 0)
		return r;
	const struct order_value v[] = {TEXT(account), TEXT(kind)};
	r = order_change(x, "DELETE FROM throttle WHERE account = ?1 AND kind = ?2", v, 2);
	return r == 0 ? fail_set(x->why, FAIL_NOTFOUND, T("There is no such row."), "-") : r;
}

int order_throttle(struct order *x)
{
	struct str verb = x->words > 1 ? x->word[1] : STR("");
	if (str_eq(verb, STR("list")))
		return list(x);
	if (str_eq(verb, STR("usage")))
		return usage(x);
	if (str_eq(verb, STR("add")))
		return add(x);
	return str_eq(verb, STR("delete")) ? delete (x) : order_usage(x);
}
