/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may send as whom: the own address, its aliases, the same in alias domains, and what the
 * operator has delegated (barid_send_as).
 */
#include "dir_int.h"

static int full(struct fail *why)
{
	return fail_set(why, FAIL_LIMIT, NULL, "arena full at a sender");
}

/* The row's target is the user, maybe with a detail: "user+lists@domain". */
static bool leads_to(struct dir *d, struct str forwarding, struct str username, struct arena *a)
{
	struct addr x;

	return addr_parse(forwarding, d->c.delimiter, a, &x, NULL) == 0 &&
	       (str_eqi(x.full, username) || str_eqi(x.bare, username));
}

/* 1: the address is this user's own, or an alias of it. */
static int is_name_of(struct dir *d, struct str username, struct str address, struct arena *a,
		      struct fail *why)
{
	struct db_stmt *st = NULL;
	bool is = str_eqi(username, address);

	if (is)
		return 1;
	int r = dir_query(d,
			  "SELECT forwarding FROM forwardings WHERE address = ?1"
			  " AND is_alias = 1 AND active = 1",
			  address, STR_NULL, &st, why);
	for (; r == 1 && !is; r = is ? 0 : db_step(st, why))
		is = leads_to(d, str_trim(db_col_text(st, 0)), username, a);
	if (is)
		db_reset(st);
	return r < 0 ? r : is;
}

/*
 * Delegated. The login of a row is a user, "@domain" (all its users), or an alias account (its
 * members); the sender an address, "@domain", or "*".
 */
static int is_delegated(struct dir *d, struct str username, const struct addr *x, struct arena *a,
			struct fail *why)
{
	struct db_stmt *st = NULL;
	size_t at = str_rfind(username, '@');
	struct str everybody = arena_str(a, str_skip(username, at));
	struct str domain = arena_printf(a, "@%.*s", STR_ARG(x->domain));

	if (!everybody.p || !domain.p)
		return full(why);
	int r = db_stmt(d->db,
			"SELECT 1 FROM barid_send_as s WHERE s.active = 1"
			" AND s.sender IN (?1, ?2, ?3, '*') AND (s.login IN (?4, ?5) OR EXISTS"
			" (SELECT 1 FROM forwardings f WHERE f.address = s.login"
			"  AND f.forwarding = ?4 AND f.is_list = 1 AND f.active = 1))",
			&st, why);
	if (r < 0)
		return r;
	const struct str params[] = {x->full, x->bare, domain, username, everybody};
	for (size_t i = 0; i < ARRAY_LEN(params); i++)
		db_bind_text(st, (int)i + 1, params[i]);
	r = db_step(st, why);
	if (r == 1)
		db_reset(st);
	return r;
}

static int is_free_to(struct dir *d, struct str username, const struct addr *x, struct arena *a,
		      struct fail *why)
{
	int r = is_name_of(d, username, x->full, a, why);

	if (r == 0 && x->detail.p)
		r = is_name_of(d, username, x->bare, a, why);
	return r == 0 ? is_delegated(d, username, x, a, why) : r;
}

static int may_send_as(struct dir *d, struct str username, const struct addr *x, struct arena *a,
		       struct fail *why)
{
	struct domain_info dom;
	struct addr there;
	int r = is_free_to(d, username, x, a, why);

	if (r != 0)
		return r;
	r = dir_domain(d, x->domain, a, &dom, why);
	if (r < 0 || dom.kind != DOMAIN_ALIAS)
		return r;
	struct str same = arena_printf(a, "%.*s@%.*s", STR_ARG(x->local), STR_ARG(dom.target));
	if (!same.p)
		return full(why);
	r = addr_parse(same, d->c.delimiter, a, &there, why);
	return r < 0 ? r : is_free_to(d, username, &there, a, why);
}

int dir_sends_as(struct dir *d, struct str username, const struct addr *x, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));

	return may_send_as(d, username, x, &a, why);
}

int dir_sender_allowed(struct dir *d, struct account_id id, struct str address, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct dir_account acc;
	struct addr x;

	int r = dir_account_by_id(d, id, &a, &acc, why);
	if (r == -FAIL_NOTFOUND || (r == 0 && !acc.active))
		return 0;
	if (r < 0)
		return r;
	if (addr_parse(address, d->c.delimiter, &a, &x, NULL) < 0)
		return 0;
	DIR_LOCKED(d);
	return may_send_as(d, acc.address, &x, &a, why);
}
