/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders on delegated senders (who may send as whom) and on forwardings, one at a time.
 */
#include "admin_int.h"

/* ---- delegated senders ---- */

static int exists(struct order *o, const char *sql, struct str name, struct fail *why)
{
	return count_rows(o, sql, name, STR_NULL, NULL, why);
}

/* Who: a user, an alias (its members), or "@domain" (its users). */
static int word_login(struct order *o, struct str *ret, struct str *ret_domain, struct fail *why)
{
	struct str word = o->words.p[0];
	struct addr x = {0};

	if (str_starts(word, STR("@"))) {
		o->words.p[0] = str_skip(word, 1);
		int r = word_domain(o, 0, ret_domain, why);
		if (r == 0)
			r = require_domain(o, *ret_domain, why);
		*ret = arena_printf(o->a, "@%.*s", STR_ARG(*ret_domain));
		return r;
	}
	int r = word_address(o, 0, &x, why);
	if (r < 0)
		return r;
	r = exists(o, "SELECT 1 FROM mailbox WHERE username = ?1", x.full, why);
	if (r == 0)
		r = exists(o, "SELECT 1 FROM alias WHERE address = ?1", x.full, why);
	if (r == 0)
		return refuse(why, FAIL_NOTFOUND, "%.*s is neither a user nor an alias",
			      STR_ARG(x.full));
	*ret = x.full;
	*ret_domain = x.domain;
	return MIN(r, 0);
}

/* An alias domain is its target's. */
static int check_sender_scope(struct order *o, struct str domain, struct fail *why)
{
	struct domain_info dom = {0};

	if (o->scope->kind == DIR_SCOPE_GLOBAL)
		return 0;
	int r = dir_domain(o->d, domain, o->a, &dom, why);
	if (r < 0 || dir_scope_has(o->scope, dom.target))
		return r;
	return check_scope(o, domain, why);
}

/* As whom: an address, "@domain", or "*". */
static int word_sender(struct order *o, struct str *ret, struct fail *why)
{
	struct str word = o->words.p[1];
	struct str domain;
	struct addr x = {0};
	int r = 0;

	if (str_eq(word, STR("*"))) {
		*ret = word;
		return o->scope->kind == DIR_SCOPE_GLOBAL
			       ? 0
			       : refuse(why, FAIL_PERM, "%s is a global administrator's to set.",
					"*");
	}
	if (str_starts(word, STR("@"))) {
		if (domain_parse(str_skip(word, 1), o->a, &domain, NULL) < 0)
			return refuse(why, FAIL_SYNTAX, "\"%.*s\" is not a domain name.",
				      STR_ARG(str_skip(word, 1)));
		*ret = arena_printf(o->a, "@%.*s", STR_ARG(domain));
	} else {
		r = parse_address(o, word, &x, why);
		*ret = x.full;
		domain = x.domain;
	}
	return r == 0 ? check_sender_scope(o, domain, why) : r;
}

int send_as_add(struct order *o, struct fail *why)
{
	struct str login = STR_NULL;
	struct str domain = STR_NULL;
	struct str sender = STR_NULL;
	int r = word_login(o, &login, &domain, why);

	if (r == 0)
		r = word_sender(o, &sender, why);
	if (r == 0)
		r = RUN(o, why,
			"INSERT INTO barid_send_as (login, sender, domain, created)"
			" VALUES (?1, ?2, ?3, ?4) ON CONFLICT (login, sender) DO UPDATE SET active "
			"= 1",
			login, sender, domain, o->time);
	if (r == 0)
		say(o, "%.*s may send as %.*s", STR_ARG(login), STR_ARG(sender));
	return r;
}

int send_as_del(struct order *o, struct fail *why)
{
	struct str login = STR_NULL;
	struct str domain = STR_NULL;
	struct str sender = STR_NULL;
	int r = word_login(o, &login, &domain, why);

	if (r == 0)
		r = word_sender(o, &sender, why);
	if (r == 0)
		r = RUN(o, why, "DELETE FROM barid_send_as WHERE login = ?1 AND sender = ?2", login,
			sender);
	if (r == 0 && db_changes(o->d->db) == 0)
		return refuse(why, FAIL_NOTFOUND, "%.*s was not allowed to send as %.*s",
			      STR_ARG(login), STR_ARG(sender));
	if (r == 0)
		say(o, "%.*s may no longer send as %.*s", STR_ARG(login), STR_ARG(sender));
	return r;
}

int send_as_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {{"login", 5}, {"sender", 6}, {"active", 6}};

	return fill_listed(o, columns, ARRAY_LEN(columns),
			   "SELECT login, sender, CASE active WHEN 0 THEN 'no' ELSE 'yes' END"
			   " FROM barid_send_as WHERE ?1 = '' OR domain = ?1"
			   " ORDER BY domain, login, sender",
			   why);
}

/* ---- forwardings ---- */

int forward_add(struct order *o, struct fail *why)
{
	struct addr x = {0};
	int r = word_user_below(o, &x, why);

	for (size_t i = 1; r == 0 && i < o->words.n; i++) {
		struct addr to;
		r = parse_address(o, o->words.p[i], &to, why);
		if (r == 0)
			r = add_forwarding(o, x.full, to.full, FORWARD_USER, why);
	}
	if (r == 0)
		say(o, "mail of %.*s is forwarded to %zu more addresses", STR_ARG(x.full),
		    o->words.n - 1);
	return r;
}

/* Without addresses: all of them. What remains at the end is the user's own row at least. */
int forward_del(struct order *o, struct fail *why)
{
	struct addr x = {0};
	uint64_t gone = 0;
	int r = word_user_below(o, &x, why);

	if (r == 0 && o->words.n == 1) {
		r = RUN(o, why,
			"DELETE FROM forwardings WHERE address = ?1 AND is_forwarding = 1"
			" AND forwarding <> ?1",
			x.full);
		gone = r == 0 ? db_changes(o->d->db) : 0;
	}
	for (size_t i = 1; r == 0 && i < o->words.n; i++) {
		struct addr to;
		r = parse_address(o, o->words.p[i], &to, why);
		if (r == 0)
			r = RUN(o, why,
				"DELETE FROM forwardings WHERE address = ?1 AND is_forwarding = 1"
				" AND forwarding = ?2",
				x.full, to.full);
		gone += r == 0 ? db_changes(o->d->db) : 0;
	}
	if (r == 0)
		r = count_rows(o,
			       "SELECT 1 FROM forwardings WHERE address = ?1 AND is_forwarding = 1",
			       x.full, STR_NULL, NULL, why);
	if (r == 0)
		r = add_forwarding(o, x.full, x.full, FORWARD_USER, why);
	if (r >= 0 && gone == 0)
		return refuse(why, FAIL_NOTFOUND, "%.*s does not forward there", STR_ARG(x.full));
	if (r >= 0)
		say(o, "forwardings of %.*s deleted", STR_ARG(x.full));
	return MIN(r, 0);
}

int forward_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {
		{"user", 4}, {"forward-to", 10}, {"keeps-copy", 10}, {"active", 6}};

	return fill_listed(o, columns, ARRAY_LEN(columns),
			   "SELECT f.address, f.forwarding, CASE WHEN EXISTS (SELECT 1 FROM"
			   " forwardings s WHERE s.address = f.address AND s.forwarding = f.address"
			   " AND s.active = 1) THEN 'yes' ELSE 'no' END,"
			   " CASE f.active WHEN 0 THEN 'no' ELSE 'yes' END FROM forwardings f"
			   " WHERE f.is_forwarding = 1 AND f.address <> f.forwarding"
			   " AND (?1 = '' OR f.domain = ?1)"
			   " ORDER BY f.domain, f.address, f.forwarding",
			   why);
}
