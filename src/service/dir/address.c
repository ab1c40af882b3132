/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and domains as the directory compares them; and the small SQL helpers of dir.
 */
#include "dir_int.h"

#include "codec/smtp/smtp_addr.h"

static struct str lower_copy(struct arena *a, struct str s)
{
	char *p = arena_c(a, s);

	if (!p)
		return STR_NULL;
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return str_make(p, s.n);
}

int addr_parse(struct str s, char delimiter, struct arena *a, struct addr *ret, struct fail *why)
{
	struct smtp_addr parsed;

	if (smtp_mailbox_parse(s, &parsed) < 0)
		return fail_set(why, FAIL_SYNTAX, "That is not a mail address.",
				"not an address: %.*s", STR_ARG(s));
	struct addr out = {.full = lower_copy(a, smtp_addr_str(&parsed))};
	if (!out.full.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full at an address");
	out.local = str_sub(out.full, 0, parsed.local_n);
	out.domain = str_skip(out.full, (size_t)parsed.local_n + 1);
	out.bare = out.full;
	/* A detail needs a user before it: "+x@d" has none. Quoted local parts are taken whole. */
	size_t plus = delimiter ? str_find(out.local, 0, delimiter) : out.local.n;
	if (plus > 0 && plus < out.local.n && out.local.p[0] != '"') {
		out.detail = str_skip(out.local, plus + 1);
		out.bare = arena_printf(a, "%.*s@%.*s", STR_ARG(str_sub(out.local, 0, plus)),
					STR_ARG(out.domain));
		if (!out.bare.p)
			return fail_set(why, FAIL_LIMIT, NULL, "arena full at an address");
	}
	*ret = out;
	return 0;
}

int domain_parse(struct str s, struct arena *a, struct str *ret, struct fail *why)
{
	AUTO(buf) struct buf name = BUF_INIT(512);

	if (smtp_domain_normalise(s, &name) < 0 || !smtp_domain_is_full(buf_str(&name)))
		return fail_set(why, FAIL_SYNTAX, NULL, "not a domain name: %.*s", STR_ARG(s));
	*ret = lower_copy(a, buf_str(&name));
	return ret->p ? 0 : fail_set(why, FAIL_LIMIT, NULL, "arena full at a domain");
}

int dir_query(struct dir *d, const char *sql, struct str p1, struct str p2, struct db_stmt **ret,
	      struct fail *why)
{
	int r = db_stmt(d->db, sql, ret, why);

	if (r < 0)
		return r;
	db_bind_text(*ret, 1, p1);
	if (p2.p)
		db_bind_text(*ret, 2, p2);
	return db_step(*ret, why);
}

int dir_exec(struct dir *d, const char *sql, const struct str *params, size_t n, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = db_stmt(d->db, sql, &st, why);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (params[i].p)
			db_bind_text(st, (int)i + 1, params[i]);
		else
			db_bind_null(st, (int)i + 1);
	}
	return db_run(st, why);
}

bool transport_is_local(struct str t)
{
	static const char *const here[] = {"dovecot", "virtual", "barid"};
	struct str name = str_sub(t, 0, t.n - str_ends(t, STR(":")));

	for (size_t i = 0; i < ARRAY_LEN(here); i++)
		if (str_eqi(name, str_c(here[i])))
			return true;
	return t.n == 0 || str_startsi(t, STR("lmtp:unix:"));
}

/* This machine by its own name: where mail of programs to root and the like goes. */
static bool is_own_name(const struct dir *d, struct str domain)
{
	return (d->hostname && str_eqi(domain, str_c(d->hostname))) ||
	       str_eqi(domain, STR("localhost")) || str_eqi(domain, STR("localhost.localdomain"));
}

int dir_domain(struct dir *d, struct str domain, struct arena *a, struct domain_info *ret,
	       struct fail *why)
{
	struct db_stmt *st = NULL;
	struct domain_info out = {.kind = DOMAIN_FOREIGN};
	int r = dir_query(d, "SELECT active, backupmx, transport FROM domain WHERE domain = ?1",
			  domain, STR_NULL, &st, why);

	if (r < 0)
		return r;
	if (r == 1) {
		struct str transport = db_col_text(st, 2);
		out.kind = !db_col_i64(st, 0)  ? DOMAIN_INACTIVE
			   : db_col_i64(st, 1) ? DOMAIN_RELAY
					       : DOMAIN_LOCAL;
		if (!transport_is_local(transport))
			out.transport = arena_str(a, transport);
		db_reset(st);
		*ret = out;
		return 0;
	}
	r = dir_query(
		d,
		"SELECT a.target_domain, a.active AND COALESCE(t.active AND NOT t.backupmx, 0)"
		" FROM alias_domain a LEFT JOIN domain t ON t.domain = a.target_domain"
		" WHERE a.alias_domain = ?1",
		domain, STR_NULL, &st, why);
	if (r < 0)
		return r;
	if (r == 1) {
		out.kind = db_col_i64(st, 1) ? DOMAIN_ALIAS : DOMAIN_INACTIVE;
		out.target = lower_copy(a, db_col_text(st, 0));
		db_reset(st);
	} else if (is_own_name(d, domain)) {
		out.kind = DOMAIN_OWN;
	}
	*ret = out;
	return 0;
}
