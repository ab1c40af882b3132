/* SPDX-License-Identifier: Apache-2.0 */
/*
 * greylist list [ACCOUNT] | enable ACCOUNT | disable ACCOUNT | delete ACCOUNT   [--from SENDER]
 * greylist whitelist list | add SENDER | delete SENDER                        [--account A]
 * greylist domain list | add DOMAIN | delete DOMAIN
 * greylist seen [SENDER, RECIPIENT or NETWORK]
 */
#include "base/text.h"
#include "service/policy/orders_int.h"

#define TEXT(s)	  ((struct order_value){.text = (s)})
#define NUMBER(v) ((struct order_value){.is_number = true, .number = (v)})

static void row_of(struct order *x, struct db_stmt *st)
{
	if (!order_may(x, db_col_text(st, 0)))
		return;
	for (int i = 0; i < (int)x->ret->n_columns; i++)
		order_cell(x, db_col_text(st, i));
}

static int list(struct order *x)
{
	static const char *const names[] = {"account", "sender", "active", "priority", "comment"};
	struct str who = x->words > 2 ? x->word[2] : STR("");
	int r = x->words > 3 ? order_usage(x) : order_understood(x);
	if (r == 0)
		r = order_columns(x, names, ARRAY_LEN(names));
	if (r == 0)
		r = order_select(
			x,
			"SELECT account, sender, CASE active WHEN 0 THEN 'no' ELSE 'yes' END,"
			" priority || '/' || sender_priority, comment FROM greylisting"
			" WHERE ?1 = '' OR account = ?1"
			" ORDER BY priority DESC, sender_priority DESC, account, sender",
			&who, 1, row_of);
	return r;
}

/* enable, disable, delete: the row of an account and a sender. */
static int set(struct order *x, const char *verb)
{
	struct str from = order_option(x, "from"), comment = order_option(x, "comment");
	struct str account, sender;
	if (x->words != 3 || order_understood(x) < 0)
		return order_usage(x);
	int r = order_account(x, x->word[2], &account);
	if (r == 0)
		r = order_key(x, from.p ? from : STR("@."), &sender);
	if (r < 0)
		return r;
	if (strcmp(verb, "delete") == 0) {
		const struct order_value v[] = {TEXT(account), TEXT(sender)};
		r = order_change(x, "DELETE FROM greylisting WHERE account = ?1 AND sender = ?2", v,
				 2);
		return r == 0 ? fail_set(x->why, FAIL_NOTFOUND, T("There is no such row."), "-")
			      : r;
	}
	const struct order_value v[] = {TEXT(account),
					TEXT(sender),
					NUMBER(strcmp(verb, "enable") == 0),
					NUMBER(policy_key_priority(policy_key_kind(account))),
					NUMBER(policy_key_priority(policy_key_kind(sender))),
					TEXT(comment)};
	return order_change(x,
			    "INSERT INTO greylisting (account, sender, active, priority,"
			    " sender_priority, comment) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
			    " ON CONFLICT (account, sender) DO UPDATE SET active = ?3,"
			    " priority = ?4, sender_priority = ?5,"
			    " comment = CASE ?6 WHEN '' THEN comment ELSE ?6 END",
			    v, ARRAY_LEN(v));
}

static int whitelist(struct order *x)
{
	static const char *const names[] = {"account", "sender", "comment"};
	struct str verb = x->words > 2 ? x->word[2] : STR("");
	struct str who = order_option(x, "account"), comment = order_option(x, "comment");
	struct str account, sender;
	int r = order_understood(x);
	if (r == 0 && str_eq(verb, STR("list")) && x->words == 3) {
		struct str only = who.p ? who : STR("");
		r = order_columns(x, names, ARRAY_LEN(names));
		return r < 0 ? r
			     : order_select(x,
					    "SELECT account, sender, comment FROM"
					    " greylisting_whitelists WHERE ?1 = '' OR account = ?1"
					    " UNION ALL SELECT account, sender, comment FROM"
					    " greylisting_whitelist_domain_spf"
					    " WHERE ?1 = '' OR account = ?1 ORDER BY 1, 2",
					    &only, 1, row_of);
	}
	bool add = str_eq(verb, STR("add"));
	if (r < 0 || x->words != 4 || (!add && !str_eq(verb, STR("delete"))))
		return order_usage(x);
	r = order_account(x, who, &account);
	if (r == 0)
		r = order_key(x, x->word[3], &sender);
	if (r < 0)
		return r;
	const struct order_value v[] = {TEXT(account), TEXT(sender), TEXT(comment)};
	if (add)
		return order_change(
			x,
			"INSERT INTO greylisting_whitelists (account, sender, comment)"
			" VALUES (?1, ?2, ?3) ON CONFLICT (account, sender) DO UPDATE SET"
			" comment = ?3",
			v, 3);
	r = order_change(x, "DELETE FROM greylisting_whitelists WHERE account = ?1 AND sender = ?2",
			 v, 2);
	return r == 0 ? fail_set(x->why, FAIL_NOTFOUND, T("There is no such row."), "-") : r;
}

static void domain_row(struct order *x, struct db_stmt *st)
{
	for (int i = 0; i < 3; i++)
		order_cell(x, db_col_text(st, i));
}

static int domain(struct order *x)
{
	static const char *const names[] = {"domain", "networks", "comment"};
	struct str verb = x->words > 2 ? x->word[2] : STR("");
	int r = order_global(x);
	if (r == 0)
		r = order_understood(x);
	if (r == 0 && str_eq(verb, STR("list")) && x->words == 3) {
		r = order_columns(x, names, ARRAY_LEN(names));
		return r < 0 ? r
			     : order_select(x,
					    "SELECT d.domain, (SELECT count(*) FROM"
					    " greylisting_whitelist_domain_spf s WHERE s.comment ="
					    " 'AUTO-UPDATE: ' || lower(d.domain)), d.comment FROM"
					    " greylisting_whitelist_domains d ORDER BY 1",
					    NULL, 0, domain_row);
	}
	bool add = str_eq(verb, STR("add"));
	if (r < 0)
		return r;
	if (x->words != 4 || (!add && !str_eq(verb, STR("delete"))))
		return order_usage(x);
	if (!dns_name_ok(x->word[3]))
		return fail_set(x->why, FAIL_SYNTAX, T("This is no domain."), "-");
	const struct order_value v[] = {TEXT(x->word[3])};
	if (add)
		return order_change(x,
				    "INSERT OR IGNORE INTO greylisting_whitelist_domains (domain)"
				    " VALUES (lower(?1))",
				    v, 1);
	r = order_change(x, "DELETE FROM greylisting_whitelist_domains WHERE domain = ?1", v, 1);
	return r == 0 ? fail_set(x->why, FAIL_NOTFOUND, T("There is no such row."), "-") : r;
}

static void seen_row(struct order *x, struct db_stmt *st)
{
	if (!order_may(x, db_col_text(st, 1)))
		return;
	for (int i = 0; i < (int)x->ret->n_columns; i++)
		order_cell(x, db_col_text(st, i));
}

static int seen(struct order *x)
{
	static const char *const names[] = {"sender",	"recipient", "network", "state",
					    "attempts", "first",     "until"};
	struct str what = x->words > 2 ? x->word[2] : STR("");
	int r = x->words > 3 ? order_usage(x) : order_understood(x);
	if (r == 0)
		r = order_columns(x, names, ARRAY_LEN(names));
	policy_write(x->p);
	if (r == 0)
		r = order_select(
			x,
			"SELECT sender, recipient, client_address,"
			" CASE passed WHEN 0 THEN 'waits' ELSE 'passed' END, blocked_count,"
			" strftime('%Y-%m-%dT%H:%M:%SZ', init_time, 'unixepoch'),"
			" strftime('%Y-%m-%dT%H:%M:%SZ', CASE passed WHEN 0 THEN"
			" block_expired ELSE record_expired END, 'unixepoch')"
			" FROM greylisting_tracking WHERE ?1 IN ('', sender, recipient,"
			" client_address, sender_domain, rcpt_domain)"
			" ORDER BY init_time DESC LIMIT 1000",
			&what, 1, seen_row);
	return r;
}

int order_greylist(struct order *x)
{
	struct str verb = x->words > 1 ? x->word[1] : STR("");
	if (str_eq(verb, STR("list")))
		return list(x);
	if (str_eq(verb, STR("enable")) || str_eq(verb, STR("add")))
		return set(x, "enable");
	if (str_eq(verb, STR("disable")))
		return set(x, "disable");
	if (str_eq(verb, STR("delete")))
		return set(x, "delete");
	if (str_eq(verb, STR("whitelist")))
		return whitelist(x);
	if (str_eq(verb, STR("domain")))
		return domain(x);
	return str_eq(verb, STR("seen")) ? seen(x) : order_usage(x);
}
