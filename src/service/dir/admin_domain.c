/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders on domains, alias domains and catch-alls.
 */
#include "admin_int.h"

static const struct setting settings[] = {
	{"description", SET_TEXT,
	 "UPDATE domain SET description = ?2, modified = ?3 WHERE domain = ?1", NULL},
	{"quota", SET_QUOTA, "UPDATE domain SET maxquota = ?2, modified = ?3 WHERE domain = ?1",
	 NULL},
	{"users", SET_COUNT, "UPDATE domain SET mailboxes = ?2, modified = ?3 WHERE domain = ?1",
	 NULL},
	{"aliases", SET_COUNT, "UPDATE domain SET aliases = ?2, modified = ?3 WHERE domain = ?1",
	 NULL},
	{"transport", SET_TRANSPORT,
	 "UPDATE domain SET transport = CASE ?2 WHEN '' THEN 'dovecot' ELSE ?2 END,"
	 " modified = ?3 WHERE domain = ?1",
	 NULL},
	{"backupmx", SET_FLAG, "UPDATE domain SET backupmx = ?2, modified = ?3 WHERE domain = ?1",
	 NULL},
	{"active", SET_FLAG, "UPDATE domain SET active = ?2, modified = ?3 WHERE domain = ?1",
	 NULL},
	RATE_SETTINGS(domain),
};

/* Neither a domain nor an alias domain may be there already. */
static int require_new(struct order *o, struct str domain, struct fail *why)
{
	int r = count_rows(o, "SELECT 1 FROM domain WHERE domain = ?1", domain, STR_NULL, NULL,
			   why);
	if (r == 1)
		return refuse(why, FAIL_EXISTS, "domain %.*s exists", STR_ARG(domain));
	if (r == 0)
		r = count_rows(o, "SELECT 1 FROM alias_domain WHERE alias_domain = ?1", domain,
			       STR_NULL, NULL, why);
	if (r == 1)
		return refuse(why, FAIL_EXISTS, "%.*s exists: it is an alias domain",
			      STR_ARG(domain));
	return r;
}

int domain_add(struct order *o, struct fail *why)
{
	struct str domain;
	int r = word_domain(o, 0, &domain, why);

	if (r == 0)
		r = require_new(o, domain, why);
	if (r == 0)
		r = RUN(o, why,
			"INSERT INTO domain (domain, description, settings, created, modified)"
			" VALUES (?1, '', '', ?2, ?2)",
			domain, o->time);
	if (r == 0)
		r = apply_settings(o, settings, ARRAY_LEN(settings), domain, why);
	if (r == 0)
		say(o, "domain %.*s created", STR_ARG(domain));
	return r;
}

/* The users of a domain, one at a time: each goes with all that names it. */
static int remove_users(struct order *o, struct str domain, struct fail *why)
{
	for (;;) {
		struct db_stmt *st = NULL;
		int r = dir_query(o->d, "SELECT username FROM mailbox WHERE domain = ?1 LIMIT 1",
				  domain, STR_NULL, &st, why);
		if (r <= 0)
			return r;
		struct str username = arena_str(o->a, db_col_text(st, 0));
		db_reset(st);
		if (!username.p)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full while deleting users");
		r = remove_user(o, username, why);
		if (r < 0)
			return r;
	}
}

static int remove_domain_rows(struct order *o, struct str domain, struct fail *why)
{
	static const char *const sql[] = {
		"DELETE FROM domain WHERE domain = ?1",
		"DELETE FROM alias_domain WHERE alias_domain = ?1 OR target_domain = ?1",
		"DELETE FROM alias WHERE domain = ?1",
		"DELETE FROM maillists WHERE domain = ?1",
		"DELETE FROM maillist_owners WHERE domain = ?1 OR dest_domain = ?1",
		"DELETE FROM moderators WHERE domain = ?1 OR dest_domain = ?1",
		"DELETE FROM forwardings WHERE domain = ?1 OR dest_domain = ?1",
		"DELETE FROM domain_admins WHERE domain = ?1",
		"DELETE FROM sender_bcc_domain WHERE domain = ?1",
		"DELETE FROM recipient_bcc_domain WHERE domain = ?1",
		"DELETE FROM sender_bcc_user WHERE domain = ?1",
		"DELETE FROM recipient_bcc_user WHERE domain = ?1",
		"DELETE FROM sender_relayhost WHERE account = '@' || ?1",
		"DELETE FROM used_quota WHERE domain = ?1",
		"DELETE FROM last_login WHERE domain = ?1",
	};

	for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
		int r = RUN(o, why, sql[i], domain);
		if (r < 0)
			return r;
	}
	return 0;
}

static int wants_force(struct order *o, bool *ret, struct fail *why)
{
	*ret = false;
	for (size_t i = 0; i < o->options.n; i++) {
		if (!str_eq(o->options.p[i].key, STR("force")))
			return refuse(why, FAIL_SYNTAX,
				      "usage: barid domain del DOMAIN [--force yes]");
		int r = parse_flag(o->options.p[i].value, ret, why);
		if (r < 0)
			return r;
	}
	return 0;
}

int domain_del(struct order *o, struct fail *why)
{
	struct str domain;
	int64_t users = 0;
	bool force = false;
	int r = word_domain(o, 0, &domain, why);

	if (r == 0)
		r = require_domain(o, domain, why);
	if (r == 0)
		r = wants_force(o, &force, why);
	if (r == 0)
		r = count_rows(o, "SELECT count(*) FROM mailbox WHERE domain = ?1", domain,
			       STR_NULL, &users, why);
	if (r < 0)
		return r;
	if (users > 0 && !force)
		return refuse(why, FAIL_CONFLICT,
			      "domain %.*s has %lld users; delete them too with --force yes",
			      STR_ARG(domain), (long long)users);
	r = remove_users(o, domain, why);
	if (r == 0)
		r = remove_domain_rows(o, domain, why);
	if (r == 0)
		say(o, "domain %.*s deleted", STR_ARG(domain));
	return r;
}

int domain_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {{"domain", 6},	    {"users", 5}, {"aliases", 7},
					     {"alias-domains", 13}, {"kind", 4},  {"active", 6},
					     {"description", 11}};

	return fill_scope(
		o, columns, ARRAY_LEN(columns),
		"SELECT d.domain, (SELECT count(*) FROM mailbox m WHERE m.domain = d.domain),"
		" (SELECT count(*) FROM alias a WHERE a.domain = d.domain),"
		" (SELECT group_concat(alias_domain, ' ') FROM alias_domain x"
		"  WHERE x.target_domain = d.domain),"
		" CASE d.backupmx WHEN 0 THEN 'local' ELSE 'backup mx' END,"
		" CASE d.active WHEN 0 THEN 'no' ELSE 'yes' END, d.description"
		" FROM domain d WHERE ?1 = '' OR d.domain = ?1 ORDER BY d.domain",
		why);
}

int domain_show(struct order *o, struct fail *why)
{
	struct str domain;
	int r = word_domain(o, 0, &domain, why);

	if (r == 0)
		r = require_domain(o, domain, why);
	if (r < 0)
		return r;
	return show_query(
		o,
		"SELECT 'domain', domain FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'description', description FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'active', iif(active, 'on', 'off') FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'backupmx', iif(backupmx, 'on', 'off') FROM domain"
		"  WHERE domain = ?1"
		" UNION ALL SELECT 'transport', transport FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'quota', maxquota FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'users', mailboxes FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'aliases', aliases FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'settings', settings FROM domain WHERE domain = ?1"
		"  AND settings <> ''"
		" UNION ALL SELECT 'created', created FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'modified', modified FROM domain WHERE domain = ?1"
		" UNION ALL SELECT 'users now', count(*) FROM mailbox WHERE domain = ?1"
		" UNION ALL SELECT 'aliases now', count(*) FROM alias WHERE domain = ?1"
		" UNION ALL SELECT 'alias domain', alias_domain FROM alias_domain"
		"  WHERE target_domain = ?1"
		" UNION ALL SELECT 'catch-all', forwarding FROM forwardings WHERE address = ?1",
		domain, why);
}

int domain_set(struct order *o, struct fail *why)
{
	struct str domain;
	int r = word_domain(o, 0, &domain, why);

	if (r == 0)
		r = require_domain(o, domain, why);
	if (r == 0 && o->options.n == 0)
		return refuse(why, FAIL_SYNTAX, "usage: barid domain set DOMAIN --KEY VALUE ...");
	if (r == 0)
		r = apply_settings(o, settings, ARRAY_LEN(settings), domain, why);
	if (r == 0)
		say(o, "domain %.*s changed", STR_ARG(domain));
	return r;
}

int domain_alias_add(struct order *o, struct fail *why)
{
	struct str alias;
	struct str target;
	int r = word_domain(o, 0, &alias, why);

	if (r == 0)
		r = word_domain(o, 1, &target, why);
	if (r == 0)
		r = require_new(o, alias, why);
	if (r == 0)
		r = require_domain(o, target, why);
	if (r == 0)
		r = RUN(o, why,
			"INSERT INTO alias_domain (alias_domain, target_domain, created, modified)"
			" VALUES (?1, ?2, ?3, ?3)",
			alias, target, o->time);
	if (r == 0)
		say(o, "mail to %.*s now goes to %.*s", STR_ARG(alias), STR_ARG(target));
	return r;
}

int domain_alias_del(struct order *o, struct fail *why)
{
	struct str alias;
	int r = word_domain(o, 0, &alias, why);

	if (r == 0)
		r = RUN(o, why, "DELETE FROM alias_domain WHERE alias_domain = ?1", alias);
	if (r == 0 && db_changes(o->d->db) == 0)
		return refuse(why, FAIL_NOTFOUND, "%.*s is not an alias domain", STR_ARG(alias));
	if (r == 0)
		say(o, "alias domain %.*s deleted", STR_ARG(alias));
	return r;
}

int domain_catch_all(struct order *o, struct fail *why)
{
	struct str domain;
	int r = word_domain(o, 0, &domain, why);

	if (r == 0)
		r = require_domain(o, domain, why);
	if (r == 0)
		r = RUN(o, why, "DELETE FROM forwardings WHERE address = ?1", domain);
	for (size_t i = 1; r == 0 && i < o->words.n; i++) {
		struct addr to;
		r = parse_address(o, o->words.p[i], &to, why);
		if (r == 0)
			r = add_forwarding(o, domain, to.full, FORWARD_PLAIN, why);
	}
	if (r < 0)
		return r;
	if (o->words.n > 1)
		say(o, "unknown users of %.*s go to %zu addresses", STR_ARG(domain),
		    o->words.n - 1);
	else
		say(o, "%.*s has no catch-all", STR_ARG(domain));
	return 0;
}
