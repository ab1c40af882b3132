/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders on alias accounts: a row in `alias`, and one is_list row for each member.
 */
#include "admin_int.h"

/* A member that is a disabled user stays off. */
static const char switch_on_sql[] =
	"UPDATE forwardings SET active = ?2 WHERE address = ?1 AND is_list = 1 AND (?2 = '0' OR NOT"
	" EXISTS (SELECT 1 FROM mailbox m WHERE m.username = forwarding AND m.active = 0))";

static int set_active(struct order *o, struct str address, struct str value, struct fail *why)
{
	bool on = false;
	int r = parse_flag(value, &on, why);
	struct str flag = on ? STR("1") : STR("0");

	if (r == 0)
		r = RUN(o, why, "UPDATE alias SET active = ?2, modified = ?3 WHERE address = ?1",
			address, flag, o->time);
	return r < 0 ? r : RUN(o, why, switch_on_sql, address, flag);
}

static const struct setting settings[] = {
	{"name", SET_TEXT, "UPDATE alias SET name = ?2, modified = ?3 WHERE address = ?1", NULL},
	{"policy", SET_TEXT, "UPDATE alias SET accesspolicy = ?2, modified = ?3 WHERE address = ?1",
	 NULL},
	{"active", SET_SPECIAL, NULL, set_active},
};

static int require_alias(struct order *o, struct str address, struct fail *why)
{
	int r = count_rows(o, "SELECT 1 FROM alias WHERE address = ?1", address, STR_NULL, NULL,
			   why);
	if (r != 0)
		return MIN(r, 0);
	return refuse(why, FAIL_NOTFOUND,
		      "no such alias %.*s; create it with: barid alias add %.*s MEMBER ...",
		      STR_ARG(address), STR_ARG(address));
}

static int add_members(struct order *o, struct str address, struct fail *why)
{
	for (size_t i = 1; i < o->words.n; i++) {
		struct addr member;
		int r = parse_address(o, o->words.p[i], &member, why);
		if (r == 0 && str_eq(member.full, address))
			r = refuse(why, FAIL_CONFLICT, "an alias cannot be its own member");
		if (r == 0)
			r = add_forwarding(o, address, member.full, FORWARD_LIST, why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_limit(struct order *o, struct str domain, struct fail *why)
{
	int64_t left = 0;
	int r = count_rows(
		o,
		"SELECT CASE WHEN aliases = 0 THEN 1 WHEN aliases < 0 THEN 0 ELSE aliases -"
		" (SELECT count(*) FROM alias a WHERE a.domain = d.domain) END"
		" FROM domain d WHERE d.domain = ?1",
		domain, STR_NULL, &left, why);
	if (r < 0 || left > 0)
		return MIN(r, 0);
	return refuse(why, FAIL_LIMIT, "domain %.*s may not have more aliases", STR_ARG(domain));
}

int alias_add(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_address(o, 0, &x, why);

	if (r == 0)
		r = require_free(o, &x, why);
	if (r == 0)
		r = check_limit(o, x.domain, why);
	if (r == 0)
		r = RUN(o, why,
			"INSERT INTO alias (address, domain, created, modified)"
			" VALUES (?1, ?2, ?3, ?3)",
			x.full, x.domain, o->time);
	if (r == 0)
		r = add_members(o, x.full, why);
	if (r == 0)
		r = apply_settings(o, settings, ARRAY_LEN(settings), x.full, why);
	if (r == 0)
		say(o, "alias %.*s created with %zu members", STR_ARG(x.full), o->words.n - 1);
	return r;
}

int alias_del(struct order *o, struct fail *why)
{
	static const char *const sql[] = {
		"DELETE FROM alias WHERE address = ?1",
		"DELETE FROM forwardings WHERE address = ?1 OR forwarding = ?1",
		"DELETE FROM moderators WHERE address = ?1",
	};
	struct addr x;
	int r = word_address(o, 0, &x, why);

	if (r == 0)
		r = require_alias(o, x.full, why);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(sql); i++)
		r = RUN(o, why, sql[i], x.full);
	if (r == 0)
		say(o, "alias %.*s deleted", STR_ARG(x.full));
	return r;
}

int alias_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {
		{"alias", 5}, {"members", 7}, {"active", 6}, {"name", 4}};
	return fill_listed(o, columns, ARRAY_LEN(columns),
			   "SELECT a.address, (SELECT group_concat(f.forwarding, ' ')"
			   "  FROM forwardings f WHERE f.address = a.address AND f.is_list = 1),"
			   " iif(a.active, 'yes', 'no'), a.name FROM alias a"
			   " WHERE ?1 = '' OR a.domain = ?1 ORDER BY a.domain, a.address",
			   why);
}

int alias_show(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_address(o, 0, &x, why);

	if (r == 0)
		r = require_alias(o, x.full, why);
	if (r < 0)
		return r;
	return show_query(
		o,
		"SELECT 'alias', address FROM alias WHERE address = ?1"
		" UNION ALL SELECT 'name', name FROM alias WHERE address = ?1"
		" UNION ALL SELECT 'policy', accesspolicy FROM alias WHERE address = ?1"
		" UNION ALL SELECT 'active', iif(active, 'on', 'off') FROM alias WHERE address = ?1"
		" UNION ALL SELECT 'created', created FROM alias WHERE address = ?1"
		" UNION ALL SELECT 'member', forwarding FROM forwardings"
		"  WHERE address = ?1 AND is_list = 1",
		x.full, why);
}

int alias_set(struct order *o, struct fail *why)
{
	struct addr x;
	int r = word_address(o, 0, &x, why);

	if (r == 0)
		r = require_alias(o, x.full, why);
	if (r == 0 && o->words.n == 1 && o->options.n == 0)
		return refuse(why, FAIL_SYNTAX,
			      "usage: barid alias set ADDRESS [--KEY VALUE ...] [MEMBER ...]");
	if (r == 0 && o->words.n > 1) {
		r = RUN(o, why, "DELETE FROM forwardings WHERE address = ?1 AND is_list = 1",
			x.full);
		if (r == 0)
			r = add_members(o, x.full, why);
		/* New members of a disabled alias, and disabled users among them, are off. */
		if (r == 0)
			r = RUN(o, why,
				"UPDATE forwardings SET active = 0 WHERE address = ?1 AND is_list "
				"= 1"
				" AND (EXISTS (SELECT 1 FROM alias WHERE address = ?1 AND active = "
				"0)"
				" OR EXISTS (SELECT 1 FROM mailbox m WHERE m.username = forwarding"
				" AND m.active = 0))",
				x.full);
	}
	if (r == 0)
		r = apply_settings(o, settings, ARRAY_LEN(settings), x.full, why);
	if (r == 0)
		say(o, "alias %.*s changed", STR_ARG(x.full));
	return r;
}
