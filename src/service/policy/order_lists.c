/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wblist list [ACCOUNT] | add white|black SENDER | delete SENDER   [--account A] [--direction out]
 * rdns   list           | add white|black NAME   | delete NAME
 *
 * Lists of a recipient name senders; with --direction out those of a sender name recipients.
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

static int colour(struct order *x, struct str word, struct str *ret)
{
	bool white = str_eq(word, STR("white"));
	*ret = white ? STR("W") : STR("B");
	return white || str_eq(word, STR("black")) ? 0 : order_usage(x);
}

static int list(struct order *x)
{
	static const char *const names[] = {"account", "direction", "list", "address"};
	struct str who = x->words > 2 ? x->word[2] : STR("");
	int r = x->words > 3 ? order_usage(x) : order_understood(x);
	if (r == 0)
		r = order_columns(x, names, ARRAY_LEN(names));
	if (r == 0)
		r = order_select(
			x,
			"SELECT u.email, 'in', CASE upper(w.wb) WHEN 'W' THEN 'white' WHEN"
			" 'B' THEN 'black' ELSE w.wb END, m.email FROM wblist w JOIN users u"
			" ON u.id = w.rid JOIN mailaddr m ON m.id = w.sid"
			" WHERE ?1 = '' OR u.email = ?1 UNION ALL"
			" SELECT u.email, 'out', CASE upper(w.wb) WHEN 'W' THEN 'white' WHEN"
			" 'B' THEN 'black' ELSE w.wb END, m.email FROM outbound_wblist w"
			" JOIN users u ON u.id = w.sid JOIN mailaddr m ON m.id = w.rid"
			" WHERE ?1 = '' OR u.email = ?1 ORDER BY 1, 2, 4",
			&who, 1, row_of);
	return r;
}

/* The rows that both tables of lists point to. */
static int make_ends(struct order *x, struct str account, struct str address)
{
	const struct order_value user[] = {
		NUMBER(policy_key_mail_priority(policy_key_kind(account))), TEXT(account)};
	const struct order_value mail[] = {
		NUMBER(policy_key_mail_priority(policy_key_kind(address))), TEXT(address)};
	int r = order_change(x,
			     "INSERT OR IGNORE INTO users (priority, policy_id, email)"
			     " VALUES (?1, 1, ?2)",
			     user, 2);
	if (r >= 0)
		r = order_change(x,
				 "INSERT OR IGNORE INTO mailaddr (priority, email) VALUES (?1, ?2)",
				 mail, 2);
	return r < 0 ? r : 0;
}

static int change(struct order *x, bool add)
{
	struct str who = order_option(x, "account"), direction = order_option(x, "direction");
	struct str account, address, wb = STR("");
	bool out = str_eq(direction, STR("out"));
	int r = order_understood(x);
	if (r < 0 || x->words != (add ? 4u : 3u) ||
	    (direction.p && !out && !str_eq(direction, STR("in"))))
		return order_usage(x);
	if (add)
		r = colour(x, x->word[2], &wb);
	if (r == 0)
		r = order_account(x, who, &account);
	if (r == 0)
		r = order_key(x, x->word[add ? 3 : 2], &address);
	if (r == 0 && add)
		r = make_ends(x, account, address);
	if (r < 0)
		return r;
	const struct order_value v[] = {TEXT(account), TEXT(address), TEXT(wb)};
	if (add)
		return order_change(x,
				    out ? "INSERT OR REPLACE INTO outbound_wblist (sid, rid, wb)"
					  " SELECT u.id, m.id, ?3 FROM users u, mailaddr m"
					  " WHERE u.email = ?1 AND m.email = ?2"
					: "INSERT OR REPLACE INTO wblist (rid, sid, wb)"
					  " SELECT u.id, m.id, ?3 FROM users u, mailaddr m"
					  " WHERE u.email = ?1 AND m.email = ?2",
				    v, 3);
	r = order_change(x,
			 out ? "DELETE FROM outbound_wblist WHERE sid = (SELECT id FROM users WHERE"
			       " email = ?1) AND rid = (SELECT id FROM mailaddr WHERE email = ?2)"
			     : "DELETE FROM wblist WHERE rid = (SELECT id FROM users WHERE"
			       " email = ?1) AND sid = (SELECT id FROM mailaddr WHERE email = ?2)",
			 v, 2);
	return r == 0 ? fail_set(x->why, FAIL_NOTFOUND, T("There is no such row."), "-") : r;
}

int order_wblist(struct order *x)
{
	struct str verb = x->words > 1 ? x->word[1] : STR("");
	if (str_eq(verb, STR("list")))
		return list(x);
	if (str_eq(verb, STR("add")))
		return change(x, true);
	return str_eq(verb, STR("delete")) ? change(x, false) : order_usage(x);
}

static void rdns_row(struct order *x, struct db_stmt *st)
{
	order_cell(x, db_col_text(st, 0));
	order_cell(x, db_col_text(st, 1));
}

int order_rdns(struct order *x)
{
	static const char *const names[] = {"name", "list"};
	struct str verb = x->words > 1 ? x->word[1] : STR(""), wb;
	int r = order_global(x);
	if (r == 0)
		r = order_understood(x);
	if (r < 0)
		return r;
	if (str_eq(verb, STR("list")) && x->words == 2) {
		r = order_columns(x, names, 2);
		return r < 0 ? r
			     : order_select(x,
					    "SELECT rdns, CASE upper(wb) WHEN 'W' THEN 'white' ELSE"
					    " 'black' END FROM wblist_rdns ORDER BY 1",
					    NULL, 0, rdns_row);
	}
	if (str_eq(verb, STR("add")) && x->words == 4) {
		r = colour(x, x->word[2], &wb);
		const struct order_value v[] = {TEXT(x->word[3]), TEXT(wb)};
		return r < 0 ? r
			     : order_change(
				       x,
				       "INSERT INTO wblist_rdns (rdns, wb) VALUES (lower(?1), ?2)"
				       " ON CONFLICT (rdns) DO UPDATE SET wb = ?2",
				       v, 2);
	}
	if (!str_eq(verb, STR("delete")) || x->words != 3)
		return order_usage(x);
	const struct order_value v[] = {TEXT(x->word[2])};
	r = order_change(x, "DELETE FROM wblist_rdns WHERE rdns = ?1", v, 1);
	return r == 0 ? fail_set(x->why, FAIL_NOTFOUND, T("There is no such row."), "-") : r;
}
