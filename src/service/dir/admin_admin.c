/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may order what. A row of domain_admins gives a domain to a user, or to an account of `admin`
 * that has no mailbox; the domain "ALL" gives everything. mailbox.isadmin and isglobaladmin say
 * the same once more, for panels that look there.
 */
#include "admin_int.h"

/* ---- scopes ---- */

#define SCOPE_DOMAINS_MAX 1000

static int read_domains(struct dir *d, struct arena *a, struct dir_scope *s, struct fail *why)
{
	struct str *domains = arena_array(a, struct str, SCOPE_DOMAINS_MAX);
	struct db_stmt *st = NULL;

	if (!domains)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at a scope");
	int r = dir_query(d,
			  "SELECT domain FROM domain_admins WHERE username = ?1 AND active = 1"
			  " ORDER BY domain",
			  s->account, STR_NULL, &st, why);
	for (; r == 1; r = db_step(st, why)) {
		struct str domain = db_col_text(st, 0);
		if (str_eqi(domain, STR("ALL")))
			s->kind = DIR_SCOPE_GLOBAL;
		else if (s->n_domains < SCOPE_DOMAINS_MAX)
			domains[s->n_domains++] = arena_str(a, domain);
	}
	if (r == 0 && s->n_domains > 0 && s->kind != DIR_SCOPE_GLOBAL) {
		s->kind = DIR_SCOPE_DOMAINS;
		s->domains = domains;
	}
	return r;
}

int scope_read(struct dir *d, struct str address, struct arena *a, struct dir_scope *ret,
	       struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(d,
			  "SELECT m.username, 1 FROM mailbox m JOIN domain d ON d.domain = m.domain"
			  " WHERE m.username = ?1 AND m.active = 1 AND d.active = 1"
			  " UNION ALL SELECT username, 0 FROM admin"
			  " WHERE username = ?1 AND active = 1 LIMIT 1",
			  address, STR_NULL, &st, why);

	*ret = (struct dir_scope){0};
	if (r == 0)
		return refuse(why, FAIL_NOTFOUND, "no such user or administrator %.*s",
			      STR_ARG(address));
	if (r < 0)
		return r;
	ret->kind = db_col_i64(st, 1) ? DIR_SCOPE_SELF : DIR_SCOPE_NOTHING;
	ret->account = arena_str(a, db_col_text(st, 0));
	db_reset(st);
	return read_domains(d, a, ret, why);
}

int dir_scope_of(struct dir *d, struct str address, struct arena *a, struct dir_scope *ret,
		 struct fail *why)
{
	DIR_LOCKED(d);
	return scope_read(d, address, a, ret, why);
}

/* ---- orders ---- */

/* The first word: a user, or a row of `admin`. */
static int word_admin(struct order *o, struct str *ret, struct fail *why)
{
	struct addr x;
	int r = parse_address(o, o->words.p[0], &x, why);

	if (r < 0)
		return r;
	*ret = x.full;
	r = count_rows(o,
		       "SELECT 1 FROM mailbox WHERE username = ?1"
		       " UNION ALL SELECT 1 FROM admin WHERE username = ?1",
		       x.full, STR_NULL, NULL, why);
	if (r != 0)
		return MIN(r, 0);
	return refuse(why, FAIL_NOTFOUND, "no such user %.*s; create it with: barid user add %.*s",
		      STR_ARG(x.full), STR_ARG(x.full));
}

static int word_right(struct order *o, size_t at, struct str *ret, struct fail *why)
{
	if (str_eqi(o->words.p[at], STR("ALL"))) {
		*ret = STR("ALL");
		return 0;
	}
	return word_domain(o, at, ret, why);
}

static int write_flags(struct order *o, struct str admin, struct fail *why)
{
	return RUN(o, why,
		   "UPDATE mailbox SET modified = ?2,"
		   " isadmin = EXISTS (SELECT 1 FROM domain_admins WHERE username = ?1),"
		   " isglobaladmin = EXISTS (SELECT 1 FROM domain_admins WHERE username = ?1"
		   "  AND domain = 'ALL') WHERE username = ?1",
		   admin, o->time);
}

int admin_grant(struct order *o, struct fail *why)
{
	struct str admin;
	int r = word_admin(o, &admin, why);

	for (size_t i = 1; r == 0 && i < o->words.n; i++) {
		struct str right;
		r = word_right(o, i, &right, why);
		if (r == 0 && !str_eq(right, STR("ALL")))
			r = require_domain(o, right, why);
		if (r == 0)
			r = RUN(o, why,
				"INSERT INTO domain_admins (username, domain, created, modified)"
				" VALUES (?1, ?2, ?3, ?3)"
				" ON CONFLICT (username, domain) DO UPDATE SET active = 1,"
				" modified = excluded.modified",
				admin, right, o->time);
	}
	if (r == 0)
		r = write_flags(o, admin, why);
	if (r == 0)
		say(o, "%.*s administrates %s", STR_ARG(admin),
		    o->words.n == 2 ? arena_c(o->a, o->words.p[1]) : "these domains");
	return r;
}

int admin_revoke(struct order *o, struct fail *why)
{
	struct str admin;
	int r = word_admin(o, &admin, why);

	for (size_t i = 1; r == 0 && i < o->words.n; i++) {
		struct str right;
		r = word_right(o, i, &right, why);
		if (r == 0)
			r = RUN(o, why,
				"DELETE FROM domain_admins WHERE username = ?1 AND domain = ?2",
				admin, right);
	}
	if (r == 0)
		r = write_flags(o, admin, why);
	if (r == 0)
		say(o, "done");
	return r;
}

int admin_list(struct order *o, struct fail *why)
{
	static const struct str columns[] = {{"administrator", 13}, {"domain", 6}, {"active", 6}};

	return fill_listed(o, columns, ARRAY_LEN(columns),
			   "SELECT username, domain, iif(active, 'yes', 'no') FROM domain_admins"
			   " WHERE ?1 = '' OR domain = ?1 ORDER BY username, domain",
			   why);
}

int admin_show(struct order *o, struct fail *why)
{
	struct addr x;
	struct dir_scope s = {0};
	int r = parse_address(o, o->words.p[0], &x, why);

	if (r == 0 && o->scope->kind != DIR_SCOPE_GLOBAL && !str_eqi(o->scope->account, x.full))
		r = check_scope(o, x.domain, why);
	if (r == 0)
		r = scope_read(o->d, x.full, o->a, &s, why);
	if (r < 0)
		return r;
	show(o, "administrator", x.full);
	show(o, "scope", str_c(dir_scope_kind_name(s.kind)));
	for (size_t i = 0; i < s.n_domains; i++)
		show(o, "domain", s.domains[i]);
	return 0;
}
