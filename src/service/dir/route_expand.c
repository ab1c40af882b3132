/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address becomes others.
 *
 * The forwardings of the first table that knows it take its place, again and again, until an
 * address names itself or nothing. The order of keys and tables is that of
 * docs/formats/directory.md.
 */
#include "route_int.h"

#include "base/buf.h"

void expansion_add(struct expansion *e, struct str address, bool listed)
{
	for (size_t i = 0; i < e->addresses.n; i++)
		if (str_eqi(e->addresses.p[i].address, address))
			return;
	route_keep_secret(e, address);
	*(struct named *)vec_push(&e->addresses) = (struct named){address, listed};
}

void expansion_clear(struct expansion *e)
{
	vec_clear(&e->addresses);
	vec_clear(&e->dests);
}

/*
 * ---- the four tables ----
 *
 * That an alias domain is on, and its target too, dir_domain has seen: a join over both lets a
 * planner without statistics begin at the wrong end, with all rows of the domain.
 */

#define LIVE_DOMAIN " AND d.active = 1 AND d.backupmx = 0"

/* 1 and 2: rows of the address itself; of an alias domain, those of the same user in its target. */
static const char own_sql[] =
	"SELECT f.forwarding FROM forwardings f JOIN domain d ON d.domain = f.domain"
	" WHERE f.address = ?1 AND f.active = 1" LIVE_DOMAIN " ORDER BY f.id";
/* 3 and 4: the catch-all of the domain, or of the target. */
static const char catch_all_sql[] =
	"SELECT f.forwarding FROM forwardings f JOIN domain d ON d.domain = f.address"
	" WHERE f.address = ?1 AND f.active = 1" LIVE_DOMAIN " ORDER BY f.id";

/* A row may hold several addresses, divided by commas, as older panels wrote them. */
static int add_values(struct expansion *e, struct str value, struct forwardings *out,
		      struct fail *why)
{
	struct str rest = value;
	struct str part;

	while (str_cut(&rest, ',', &part)) {
		if (str_trim(part).n == 0)
			continue;
		struct str copy = arena_str(e->a, str_trim(part));
		if (!copy.p)
			return route_full(why);
		*(struct str *)vec_push(&out->v) = copy;
	}
	return 0;
}

static void tell_forwardings(struct expansion *e, struct str key, const char *table,
			     const struct forwardings *f)
{
	AUTO(buf) struct buf all = BUF_INIT(KIB(4));

	if (!e->story)
		return;
	for (size_t i = 0; i < f->v.n; i++)
		if (buf_addf(&all, "%s%.*s", i ? ", " : "", STR_ARG(f->v.p[i])) < 0)
			break;
	route_tell(e, key, table, "%s", f->v.n ? buf_c(&all) : "-");
}

static int collect(struct expansion *e, const char *table, const char *sql, struct str key,
		   struct forwardings *out, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(e->d, sql, key, STR_NULL, &st, why);

	for (; r == 1; r = db_step(st, why)) {
		int added = add_values(e, db_col_text(st, 0), out, why);
		if (added < 0 || out->v.n > e->d->c.expand_max) {
			db_reset(st);
			e->too_many = true;
			return added;
		}
	}
	if (r == 0)
		tell_forwardings(e, key, table, out);
	return r;
}

static int mailbox_exists(struct dir *d, struct str address, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(d, "SELECT 1 FROM mailbox WHERE username = ?1", address, STR_NULL, &st,
			  why);
	if (r == 1)
		db_reset(st);
	return r;
}

/*
 * The catch-alls catch only what has no mailbox. One with a disabled mailbox, or without its own
 * forwardings row, is refused or delivered, never given to somebody else.
 */
static int collect_catch_all(struct expansion *e, const struct domain_info *dom, struct str key,
			     struct str user, struct str domain, struct forwardings *out,
			     struct fail *why)
{
	bool alias = dom->kind == DOMAIN_ALIAS;
	struct str same = key;

	/* "user+detail" is not caught as such: its plain form has its turn (both tables alike). */
	if (e->d->c.delimiter && str_find(user, 0, e->d->c.delimiter) < user.n)
		return 0;
	if (alias)
		same = arena_printf(e->a, "%.*s@%.*s", STR_ARG(user), STR_ARG(dom->target));
	int r = mailbox_exists(e->d, same, why);
	if (r == 1)
		route_tell(e, same, "mailbox", "exists: no catch-all takes its mail");
	if (r != 0)
		return MIN(r, 0);
	r = collect(e, "forwardings (catch-all)", catch_all_sql, domain, out, why);
	if (r == 0 && out->v.n == 0 && alias)
		r = collect(e, "forwardings (catch-all of the target)", catch_all_sql, dom->target,
			    out, why);
	return r;
}

/* One key through the four tables; the first that answers ends it. user is empty for "@domain". */
static int find_by_key(struct expansion *e, const struct domain_info *dom, struct str key,
		       struct forwardings *out, struct fail *why)
{
	size_t at = str_rfind(key, '@');
	struct str user = str_sub(key, 0, at);
	struct str domain = str_skip(key, at + 1);
	int r = collect(e, "forwardings", own_sql, key, out, why);

	if (r < 0 || out->v.n > 0 || user.n == 0)
		return r;
	if (dom->kind == DOMAIN_ALIAS) {
		struct str there =
			arena_printf(e->a, "%.*s@%.*s", STR_ARG(user), STR_ARG(dom->target));
		r = there.p ? collect(e, "forwardings (alias domain)", own_sql, there, out, why)
			    : route_full(why);
		if (r < 0 || out->v.n > 0)
			return r;
	}
	return collect_catch_all(e, dom, key, user, domain, out, why);
}

/* Append the detail to each result's user part, as the reference propagates extensions. */
static int add_detail(struct expansion *e, struct str detail, struct forwardings *f,
		      struct fail *why)
{
	for (size_t i = 0; i < f->v.n; i++) {
		struct str s = f->v.p[i];
		size_t at = str_rfind(s, '@');
		if (at == s.n || at == 0)
			continue;
		f->v.p[i] =
			arena_printf(e->a, "%.*s%c%.*s%.*s", STR_ARG(str_sub(s, 0, at)),
				     e->d->c.delimiter, STR_ARG(detail), STR_ARG(str_skip(s, at)));
		if (!f->v.p[i].p)
			return route_full(why);
	}
	return 0;
}

static int find_forwardings(struct expansion *e, const struct addr *x,
			    const struct domain_info *dom, struct forwardings *out,
			    struct fail *why)
{
	int r = find_by_key(e, dom, x->full, out, why);

	if (r < 0 || out->v.n > 0)
		return r;
	if (x->detail.p) {
		r = find_by_key(e, dom, x->bare, out, why);
		if (r < 0)
			return r;
		if (out->v.n > 0)
			return add_detail(e, x->detail, out, why);
	}
	return find_by_key(e, dom, arena_printf(e->a, "@%.*s", STR_ARG(x->domain)), out, why);
}

/* ---- again and again ---- */

/* "@other.example" as a target keeps the user; "root" alone is this machine's. */
static struct str target_of(struct expansion *e, const struct addr *x, struct str forwarding)
{
	if (forwarding.p[0] == '@')
		return arena_printf(e->a, "%.*s%.*s", STR_ARG(x->local), STR_ARG(forwarding));
	if (str_rfind(forwarding, '@') == forwarding.n)
		return arena_printf(e->a, "%.*s@localhost", STR_ARG(forwarding));
	return forwarding;
}

static int expand_one(struct expansion *e, struct str address, bool listed, struct fail *why)
{
	struct forwardings found = {0};
	struct domain_info dom;
	struct addr x;
	bool itself = false;

	if (addr_parse(address, e->d->c.delimiter, e->a, &x, NULL) < 0) {
		e->unknown++;
		route_note(e, "not an address:", address);
		return 0;
	}
	int r = dir_domain(e->d, x.domain, e->a, &dom, why);
	if (r < 0)
		return r;
	bool ours = dom.kind == DOMAIN_LOCAL || dom.kind == DOMAIN_ALIAS;
	if (e->story)
		e->story->hidden = dom.kind != DOMAIN_FOREIGN && dom.kind != DOMAIN_OWN &&
				   !dir_scope_has(e->story->scope, x.domain) &&
				   !dir_scope_has(e->story->scope, dom.target);
	if (e->story) {
		e->story->unnamed = route_is_secret(e->story, address);
		e->story->hidden |= e->story->unnamed;
	}
	e->listed = listed || e->mapping != DIR_EXPAND;
	if (!ours || e->mapping != DIR_EXPAND)
		return route_settle(e, &x, &dom, why);
	r = find_forwardings(e, &x, &dom, &found, why);
	for (size_t i = 0; r == 0 && i < found.v.n; i++) {
		struct str to = target_of(e, &x, found.v.p[i]);
		if (!to.p)
			r = route_full(why);
		else if (str_eqi(to, x.full))
			itself = true;
		else
			expansion_add(e, to, true);
	}
	e->listed |= itself;
	if (r == 0 && (itself || found.v.n == 0))
		r = route_settle(e, &x, &dom, why);
	vec_clear(&found.v);
	return r;
}

int expansion_run(struct expansion *e, struct fail *why)
{
	while (e->next < e->addresses.n) {
		if (e->addresses.n > e->d->c.expand_max)
			return 0;
		struct named now = e->addresses.p[e->next++];
		int r = expand_one(e, now.address, now.listed, why);
		if (r < 0)
			return r;
	}
	return 0;
}
