/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders on relay hosts: which server takes the mail of a sender, and how barid logs in there.
 * Passwords come in, and never go out.
 */
#include "admin_int.h"

#include "codec/smtp/nexthop.h"
#include "relay_login.h"

static const char usage[] =
	"usage: barid relayhost set ADDRESS|@DOMAIN HOST [--user NAME] | login "
	"ADDRESS|@DOMAIN|default --user NAME | logout ... | del ADDRESS|@DOMAIN | list";

/* "alice@example.org", "@example.org", "<>"; and "default" where `any`. */
static int word_account(struct order *o, bool any, struct str *ret, struct fail *why)
{
	struct str word = o->words.p[0];
	struct addr x = {0};

	if (str_eq(word, STR("<>")) || (any && str_eqi(word, STR(RELAY_LOGIN_DEFAULT)))) {
		*ret = any && word.n > 2 ? STR(RELAY_LOGIN_DEFAULT) : STR("<>");
		return 0;
	}
	if (str_starts(word, STR("@"))) {
		struct str domain;
		if (domain_parse(str_skip(word, 1), o->a, &domain, NULL) < 0)
			return refuse(why, FAIL_SYNTAX, "\"%.*s\" is not a domain name.",
				      STR_ARG(str_skip(word, 1)));
		*ret = arena_printf(o->a, "@%.*s", STR_ARG(domain));
		return 0;
	}
	int r = parse_address(o, word, &x, why);
	*ret = x.full;
	return r;
}

static int check_host(struct str host, struct fail *why)
{
	struct nexthop h = {0};
	bool direct = str_eqi(host, STR("DUNNO"));

	if (direct)
		return 0;
	if (nexthop_parse(host, &h) < 0 || h.protocol == NEXTHOP_LMTP ||
	    (h.kind != NEXTHOP_DOMAIN && h.kind != NEXTHOP_HOST && h.kind != NEXTHOP_ADDRESS))
		return refuse(why, FAIL_SYNTAX,
			      "\"%.*s\" is no relay host; write [mail.example.net]:587, a domain, "
			      "or direct",
			      STR_ARG(host));
	return 0;
}

struct login {
	struct str user, password;
};

static int read_login(struct order *o, struct login *ret, struct fail *why)
{
	for (size_t i = 0; i < o->options.n; i++) {
		const struct option *opt = &o->options.p[i];
		if (str_eq(opt->key, STR("user")))
			ret->user = opt->value;
		else if (str_eq(opt->key, STR("password")))
			ret->password = opt->value;
		else
			return refuse(why, FAIL_SYNTAX, usage);
	}
	if (ret->password.n > DIR_RELAY_PASSWORD_MAX || ret->user.n > DIR_RELAY_USERNAME_MAX)
		return refuse(why, FAIL_TOOBIG, "The name or the password is too long.");
	if (ret->user.n > 0 && ret->password.n == 0)
		return refuse(why, FAIL_SYNTAX, "The password is empty.");
	if (ret->password.n > 0 && ret->user.n == 0)
		return refuse(why, FAIL_SYNTAX, "A password needs --user NAME.");
	return 0;
}

static int keep_login(struct order *o, struct str account, const struct login *l, struct fail *why)
{
	return l->user.n ? relay_login_set(o->d, account, l->user, l->password, o->time, why) : 0;
}

int relayhost_set(struct order *o, struct fail *why)
{
	struct str account = STR_NULL;
	struct str host = o->words.p[1];
	struct login l = {0};
	int r = word_account(o, false, &account, why);

	if (str_eqi(host, STR("direct")))
		host = STR("DUNNO");
	if (r == 0)
		r = check_host(host, why);
	if (r == 0)
		r = read_login(o, &l, why);
	/* A login is for the host that it was given for: another host does not get it. */
	if (r == 0)
		r = RUN(o, why,
			"DELETE FROM barid_relay_login WHERE account = ?1 AND NOT EXISTS (SELECT 1"
			" FROM sender_relayhost WHERE account = ?1 AND relayhost = ?2)",
			account, host);
	if (r == 0)
		r = RUN(o, why,
			"INSERT INTO sender_relayhost (account, relayhost) VALUES (?1, ?2)"
			" ON CONFLICT (account) DO UPDATE SET relayhost = excluded.relayhost",
			account, host);
	if (r == 0)
		r = keep_login(o, account, &l, why);
	if (r == 0)
		say(o, "mail of %.*s is relayed by %.*s", STR_ARG(account), STR_ARG(o->words.p[1]));
	return r;
}

int relayhost_login(struct order *o, struct fail *why)
{
	struct str account = STR_NULL;
	struct login l = {0};
	int r = word_account(o, true, &account, why);

	if (r == 0)
		r = read_login(o, &l, why);
	if (r == 0 && l.user.n == 0)
		return refuse(why, FAIL_SYNTAX, usage);
	if (r == 0 && !str_eq(account, STR(RELAY_LOGIN_DEFAULT))) {
		r = count_rows(o, "SELECT 1 FROM sender_relayhost WHERE account = ?1", account,
			       STR_NULL, NULL, why);
		if (r == 0)
			return refuse(why, FAIL_NOTFOUND, "%.*s has no relay host",
				      STR_ARG(account));
		r = MIN(r, 0);
	}
	if (r == 0)
		r = keep_login(o, account, &l, why);
	if (r == 0)
		say(o, "login at the relay host of %.*s changed", STR_ARG(account));
	return r;
}

int relayhost_logout(struct order *o, struct fail *why)
{
	struct str account = STR_NULL;
	int r = word_account(o, true, &account, why);

	if (r == 0)
		r = RUN(o, why, "DELETE FROM barid_relay_login WHERE account = ?1", account);
	if (r == 0 && db_changes(o->d->db) == 0)
		return refuse(why, FAIL_NOTFOUND, "there is no login at the relay host of %.*s",
			      STR_ARG(account));
	if (r == 0)
		say(o, "login at the relay host of %.*s deleted", STR_ARG(account));
	return r;
}

int relayhost_del(struct order *o, struct fail *why)
{
	struct str account = STR_NULL;
	int r = word_account(o, false, &account, why);

	if (r == 0)
		r = RUN(o, why, "DELETE FROM sender_relayhost WHERE account = ?1", account);
	if (r == 0 && db_changes(o->d->db) == 0)
		return refuse(why, FAIL_NOTFOUND, "%.*s has no relay host", STR_ARG(account));
	if (r == 0)
		say(o, "relay host of %.*s deleted", STR_ARG(account));
	return r;
}

int relayhost_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {{"sender", 6}, {"relay-host", 10}, {"login", 5}};

	return fill(o, columns, ARRAY_LEN(columns),
		    "SELECT s.account, CASE s.relayhost WHEN 'DUNNO' THEN 'direct' ELSE s.relayhost"
		    " END, COALESCE(l.username, '') FROM sender_relayhost s"
		    " LEFT JOIN barid_relay_login l ON l.account = s.account"
		    " UNION ALL SELECT 'default', ?1, COALESCE((SELECT username FROM"
		    " barid_relay_login WHERE account = 'default'), '') WHERE ?1 <> '' OR EXISTS"
		    " (SELECT 1 FROM barid_relay_login WHERE account = 'default') ORDER BY 1",
		    str_c(o->d->relay_host ? o->d->relay_host : ""), why);
}
