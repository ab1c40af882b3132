/* SPDX-License-Identifier: Apache-2.0 */
/* What rules about mail ask: whose domain it is, who may write to a list, whom a login may be. */
#include "dir_int.h"
#include "service/dir/policy_api.h"
#include "sys/clock.h"

/* An address as it is called, and as its domain's target calls it. */
struct names {
	struct str domain; /* of the second, where there is one */
	struct str v[2];
	size_t n;
};

/* Empty: there is no such address. The detail does not count. */
static int names_of(struct dir *d, struct str address, struct arena *a, struct names *ret,
		    struct fail *why)
{
	struct addr x;
	struct domain_info dom;

	*ret = (struct names){.domain = STR("")};
	if (addr_parse(address, d->c.delimiter, a, &x, NULL) < 0)
		return 0;
	int r = dir_domain(d, x.domain, a, &dom, why);
	if (r < 0)
		return r;
	ret->v[ret->n++] = x.bare;
	ret->domain = x.domain;
	if (dom.kind != DOMAIN_ALIAS)
		return 0;
	ret->domain = dom.target;
	ret->v[ret->n++] =
		arena_printf(a, "%.*s@%.*s", STR_ARG(str_sub(x.bare, 0, str_rfind(x.bare, '@'))),
			     STR_ARG(dom.target));
	return 0;
}

int dir_policy_domain(struct dir *d, struct str domain, struct arena *a,
		      struct policy_domain_facts *ret, struct fail *why)
{
	struct domain_info dom;
	AUTO(arena) struct arena scratch = ARENA_INIT(KIB(64));
	struct str name;

	*ret = (struct policy_domain_facts){.kind = POLICY_DOMAIN_FOREIGN};
	if (domain_parse(domain, &scratch, &name, NULL) < 0)
		return 0;
	DIR_LOCKED(d);
	int r = dir_domain(d, name, &scratch, &dom, why);
	if (r < 0)
		return r;
	if (dom.kind == DOMAIN_LOCAL) {
		ret->kind = POLICY_DOMAIN_OURS;
	} else if (dom.kind == DOMAIN_RELAY) {
		ret->kind = POLICY_DOMAIN_BACKUP_MX;
	} else if (dom.kind == DOMAIN_ALIAS) {
		ret->kind = POLICY_DOMAIN_ALIAS;
		ret->target = arena_str(a, dom.target);
	}
	return 0;
}

/* --- lists --- */

struct list_ask {
	struct dir *d;
	struct arena *a;
	struct names list, sender;
	struct str name;   /* of the list, as its rows have it */
	struct str policy; /* in lower case */
	bool mailing, active;
};

static int find_list(struct list_ask *l, const char *sql, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->list.n; i++) {
		r = dir_query(l->d, sql, l->list.v[i], STR_NULL, &st, why);
		if (r != 1)
			continue;
		char *policy = arena_c(l->a, str_trim(db_col_text(st, 0)));
		for (char *c = policy; c && *c; c++)
			*c = ascii_lower(*c);
		l->policy = str_c(policy);
		l->active = db_col_i64(st, 1) != 0;
		l->name = l->list.v[i];
		db_reset(st);
	}
	return r;
}

/* "a@b", or "*@b" for the domain of one of the sender's names. */
static bool is_sender(const struct list_ask *l, struct str row)
{
	for (size_t i = 0; i < l->sender.n; i++) {
		struct str name = l->sender.v[i];
		struct str domain = str_skip(name, str_rfind(name, '@'));
		if (str_eqi(row, name) ||
		    (str_starts(row, STR("*@")) && str_eqi(str_skip(row, 1), domain)))
			return true;
	}
	return false;
}

/* 1: the statement has a row with one of the sender's names. */
static int has_sender(const struct list_ask *l, const char *sql, struct fail *why)
{
	struct db_stmt *st = NULL;
	bool found = false;
	int r = dir_query(l->d, sql, l->name, STR_NULL, &st, why);

	for (; r == 1 && !found; r = found ? 1 : db_step(st, why))
		found = is_sender(l, str_trim(db_col_text(st, 0)));
	if (found)
		db_reset(st);
	return r < 0 ? r : found;
}

static int is_trustee(const struct list_ask *l, struct fail *why)
{
	int r = has_sender(l, "SELECT moderator FROM moderators WHERE address = ?1", why);

	if (r == 0 && l->mailing)
		r = has_sender(l, "SELECT owner FROM maillist_owners WHERE address = ?1", why);
	return r;
}

static int is_member(const struct list_ask *l, struct fail *why)
{
	return has_sender(l,
			  "SELECT forwarding FROM forwardings WHERE address = ?1 AND is_list = 1"
			  " AND active = 1",
			  why);
}

static bool from_domain(const struct list_ask *l, bool below)
{
	struct str home = str_skip(l->name, str_rfind(l->name, '@') + 1);
	struct str from = l->sender.n ? l->sender.domain : STR("");

	if (str_eqi(from, home))
		return true;
	return below && from.n > home.n && str_endsi(from, home) &&
	       from.p[from.n - home.n - 1] == '.';
}

static int yes_no(const struct list_ask *l, int r, struct policy_access_facts *ret)
{
	if (r < 0)
		return r;
	ret->access = r ? POLICY_ACCESS_YES : POLICY_ACCESS_NO;
	ret->why = arena_printf(l->a, "%.*s is for %.*s", STR_ARG(l->name), STR_ARG(l->policy));
	return 0;
}

static int judge(const struct list_ask *l, struct policy_access_facts *ret, struct fail *why)
{
	bool members = str_eq(l->policy, STR("membersonly"));
	bool moderators =
		str_eq(l->policy, STR("moderatorsonly")) || str_eq(l->policy, STR("allowedonly"));
	bool both = str_eq(l->policy, STR("membersandmoderatorsonly"));
	bool domain = str_eq(l->policy, STR("domain"));
	bool subdomain = str_eq(l->policy, STR("subdomain"));

	if (l->mailing && !l->active) {
		ret->access = POLICY_ACCESS_DISABLED;
		ret->why = arena_printf(l->a, "%.*s is switched off", STR_ARG(l->name));
		return 0;
	}
	if (!domain && !subdomain && (l->mailing || (!members && !moderators && !both)))
		return 0;
	int r = is_trustee(l, why);
	if (r == 0 && (members || both))
		r = is_member(l, why);
	if (r == 0 && (domain || subdomain))
		r = from_domain(l, subdomain);
	return yes_no(l, r, ret);
}

int dir_policy_access(struct dir *d, struct str recipient, struct str sender, struct arena *a,
		      struct policy_access_facts *ret, struct fail *why)
{
	struct list_ask l = {.d = d, .a = a};

	*ret = (struct policy_access_facts){.access = POLICY_ACCESS_NONE};
	DIR_LOCKED(d);
	int r = names_of(d, recipient, a, &l.list, why);
	if (r == 0)
		r = find_list(&l, "SELECT accesspolicy, active FROM alias WHERE address = ?1", why);
	if (r == 0) {
		l.mailing = true;
		r = find_list(&l, "SELECT accesspolicy, active FROM maillists WHERE address = ?1",
			      why);
	}
	if (r <= 0)
		return r;
	r = names_of(d, sender, a, &l.sender, why);
	return r < 0 ? r : judge(&l, ret, why);
}

/* --- logins --- */

static int is_list_member(struct dir *d, struct str login, struct str sender, struct arena *a,
			  struct fail *why)
{
	struct names n;
	struct db_stmt *st = NULL;
	int r = names_of(d, sender, a, &n, why);

	for (size_t i = 0; r == 0 && i < n.n; i++)
		r = dir_query(d,
			      "SELECT 1 FROM forwardings WHERE address = ?1 AND forwarding = ?2"
			      " AND is_list = 1 AND active = 1",
			      n.v[i], login, &st, why);
	if (r == 1)
		db_reset(st);
	return r;
}

/* A mailbox whose password was never changed has the one that it was made with. */
static int find_login(struct dir *d, struct str login, struct policy_login_facts *ret,
		      struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(d,
			  "SELECT max(coalesce(strftime('%s', passwordlastchange), 0) + 0,"
			  " coalesce(strftime('%s', created), 0) + 0) FROM mailbox"
			  " WHERE username = ?1",
			  login, STR_NULL, &st, why);

	if (r != 1)
		return r;
	int64_t age = clock_wall().v / SEC_US - db_col_i64(st, 0);
	ret->known = true;
	ret->password_age_s = age > 0 ? (uint64_t)age : 0;
	db_reset(st);
	return 1;
}

int dir_policy_login(struct dir *d, struct str login, struct str sender,
		     struct policy_login_facts *ret, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct addr x;

	*ret = (struct policy_login_facts){0};
	DIR_LOCKED(d);
	int r = find_login(d, login, ret, why);
	if (r <= 0 || addr_parse(sender, d->c.delimiter, &a, &x, NULL) < 0)
		return MIN(r, 0);
	r = dir_sends_as(d, login, &x, why);
	if (r >= 0) {
		ret->may_send = r == 1;
		r = is_list_member(d, login, sender, &a, why);
	}
	if (r >= 0)
		ret->list_member = r == 1;
	return MIN(r, 0);
}
