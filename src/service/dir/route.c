/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an address leads.
 *
 * The reference resolves in two stages, and so does this file. Expansion replaces an address by
 * the forwardings of the first table that knows it, again and again, until an address names itself
 * or nothing (find_forwardings, expand). What remains is looked up among the mailboxes, or belongs
 * to another server (settle). The order of keys and tables is that of docs/formats/directory.md.
 */
#include "dir_int.h"

#include "base/vec.h"

/* What was asked for already, and what is still to be resolved, in one list. */
struct expansion {
	struct dir *d;
	struct arena *a;
	VEC(struct str) addresses; /* all seen; [next, n) are waiting */
	size_t next;
	VEC(struct destination) dests;
	size_t unknown; /* ends that are no mailbox */
	enum dir_mapping mapping;
	struct str note;
};

static int full(struct fail *why)
{
	return fail_set(why, FAIL_LIMIT, NULL, "arena full while routing");
}

static void note(struct expansion *e, const char *what, struct str about)
{
	if (e->note.n == 0)
		e->note = arena_printf(e->a, "%s %.*s", what, STR_ARG(about));
}

/* Put an address on the list, unless it is there. */
static void expansion_add(struct expansion *e, struct str address)
{
	for (size_t i = 0; i < e->addresses.n; i++)
		if (str_eqi(e->addresses.p[i], address))
			return;
	*(struct str *)vec_push(&e->addresses) = address;
}

/* ---- the four tables ---- */

#define LIVE_DOMAIN " AND d.active = 1 AND d.backupmx = 0"

/* 1: rows of the address itself. */
static const char own_sql[] =
	"SELECT f.forwarding FROM forwardings f JOIN domain d ON d.domain = f.domain"
	" WHERE f.address = ?1 AND f.active = 1" LIVE_DOMAIN " ORDER BY f.id";
/* 2: rows of the same user in an alias domain's target. ?1 = user@target. */
static const char alias_domain_sql[] =
	"SELECT f.forwarding FROM forwardings f JOIN domain d ON d.domain = f.domain"
	" JOIN alias_domain a ON a.target_domain = d.domain"
	" WHERE f.address = ?1 AND f.active = 1 AND a.alias_domain = ?2 AND a.active = "
	"1" LIVE_DOMAIN " ORDER BY f.id";
/* 3: the catch-all of the domain. */
static const char catch_all_sql[] =
	"SELECT f.forwarding FROM forwardings f JOIN domain d ON d.domain = f.address"
	" WHERE f.address = ?1 AND f.active = 1" LIVE_DOMAIN " ORDER BY f.id";
/* 4: the catch-all of an alias domain's target. ?1 = target, ?2 = alias domain. */
static const char alias_catch_all_sql[] =
	"SELECT f.forwarding FROM forwardings f JOIN domain d ON d.domain = f.address"
	" JOIN alias_domain a ON a.target_domain = d.domain"
	" WHERE f.address = ?1 AND f.active = 1 AND a.alias_domain = ?2 AND a.active = "
	"1" LIVE_DOMAIN " ORDER BY f.id";

struct forwardings {
	VEC(struct str) v;
};

static int collect(struct expansion *e, const char *sql, struct str p1, struct str p2,
		   struct forwardings *out, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(e->d, sql, p1, p2, &st, why);

	for (; r == 1; r = db_step(st, why)) {
		struct str copy = arena_str(e->a, str_trim(db_col_text(st, 0)));
		if (!copy.p || out->v.n > e->d->c.expand_max) {
			db_reset(st);
			return copy.p ? 0 : full(why); /* too many: expand() says so */
		}
		if (copy.n > 0)
			*(struct str *)vec_push(&out->v) = copy;
	}
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
	if (r != 0)
		return r < 0 ? r : 0;
	r = collect(e, catch_all_sql, domain, STR_NULL, out, why);
	if (r == 0 && out->v.n == 0 && alias)
		r = collect(e, alias_catch_all_sql, dom->target, domain, out, why);
	return r;
}

/* One key through the four tables; the first that answers ends it. user is empty for "@domain". */
static int find_by_key(struct expansion *e, const struct domain_info *dom, struct str key,
		       struct forwardings *out, struct fail *why)
{
	size_t at = str_rfind(key, '@');
	struct str user = str_sub(key, 0, at);
	struct str domain = str_skip(key, at + 1);
	int r = collect(e, own_sql, key, STR_NULL, out, why);

	if (r < 0 || out->v.n > 0 || user.n == 0)
		return r;
	if (dom->kind == DOMAIN_ALIAS) {
		struct str there =
			arena_printf(e->a, "%.*s@%.*s", STR_ARG(user), STR_ARG(dom->target));
		r = there.p ? collect(e, alias_domain_sql, there, domain, out, why) : full(why);
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
		if (at == s.n)
			continue;
		f->v.p[i] =
			arena_printf(e->a, "%.*s%c%.*s%.*s", STR_ARG(str_sub(s, 0, at)),
				     e->d->c.delimiter, STR_ARG(detail), STR_ARG(str_skip(s, at)));
		if (!f->v.p[i].p)
			return full(why);
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

/* ---- the end of an expansion ---- */

static void add_dest(struct expansion *e, struct destination dest)
{
	for (size_t i = 0; i < e->dests.n; i++) {
		const struct destination *o = &e->dests.p[i];
		if (o->account.v == dest.account.v && str_eq(o->detail, dest.detail) &&
		    str_eqi(o->address, dest.address))
			return;
	}
	*(struct destination *)vec_push(&e->dests) = dest;
}

/* A list that another program runs: its transport takes the mail. 1 = it was one. */
static int settle_list(struct expansion *e, const struct addr *x, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(
		e->d,
		"SELECT l.transport FROM maillists l JOIN domain d ON d.domain = l.domain"
		" WHERE l.address = ?1 AND l.active = 1 AND l.transport <> ''" LIVE_DOMAIN,
		x->bare, STR_NULL, &st, why);
	if (r != 1)
		return r;
	struct str transport = arena_str(e->a, db_col_text(st, 0));
	db_reset(st);
	add_dest(e, (struct destination){.address = x->full, .transport = transport});
	return 1;
}

/* The transport of a user that is not kept here; empty for one that is. */
static int user_transport(struct expansion *e, struct str username, struct str *ret,
			  struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(e->d, "SELECT transport FROM mailbox WHERE username = ?1", username,
			  STR_NULL, &st, why);

	*ret = STR_NULL;
	if (r != 1)
		return r;
	if (!transport_is_local(db_col_text(st, 0)))
		*ret = arena_str(e->a, db_col_text(st, 0));
	db_reset(st);
	return 0;
}

static int settle_mailbox(struct expansion *e, const struct addr *x, const struct domain_info *dom,
			  struct fail *why)
{
	struct dir_account acc = {0};
	struct str detail = STR_NULL;
	int r = dir_find_account(e->d, x->full, e->a, &acc, why);

	if (r == -FAIL_NOTFOUND && x->detail.p) {
		detail = x->detail;
		r = dir_find_account(e->d, x->bare, e->a, &acc, why);
	}
	if (r == -FAIL_NOTFOUND) {
		r = e->mapping == DIR_MAILBOX ? 0 : settle_list(e, x, why);
		if (r == 0) {
			e->unknown++;
			note(e, "no such user:", x->full);
		}
		return MIN(r, 0);
	}
	if (r < 0)
		return r;
	if (!acc.delivers) {
		e->unknown++;
		note(e, "disabled:", acc.address);
		return 0;
	}
	struct str transport = STR_NULL;
	if (e->mapping != DIR_MAILBOX)
		r = user_transport(e, acc.address, &transport, why);
	if (r < 0)
		return r;
	if (transport.n == 0 && e->mapping != DIR_MAILBOX)
		transport = dom->transport;
	if (transport.n > 0)
		add_dest(e, (struct destination){.address = x->full, .transport = transport});
	else
		add_dest(e, (struct destination){
				    .account = acc.id, .address = acc.address, .detail = detail});
	return 0;
}

static int settle(struct expansion *e, const struct addr *x, const struct domain_info *dom,
		  struct fail *why)
{
	switch (dom->kind) {
	case DOMAIN_LOCAL:
		return settle_mailbox(e, x, dom, why);
	case DOMAIN_ALIAS: {
		/* The user in the target, who may have no forwardings row at all. */
		struct str there =
			arena_printf(e->a, "%.*s@%.*s", STR_ARG(x->local), STR_ARG(dom->target));
		if (!there.p)
			return full(why);
		expansion_add(e, there);
		return 0;
	}
	case DOMAIN_RELAY:
	case DOMAIN_FOREIGN:
		add_dest(e, (struct destination){.address = x->full, .transport = dom->transport});
		return 0;
	case DOMAIN_INACTIVE:
		e->unknown++;
		note(e, "domain is switched off:", x->domain);
	}
	return 0;
}

/* ---- expanding ---- */

/* "@other.example" as a target keeps the user. */
static struct str target_of(struct expansion *e, const struct addr *x, struct str forwarding)
{
	if (forwarding.p[0] != '@')
		return forwarding;
	return arena_printf(e->a, "%.*s%.*s", STR_ARG(x->local), STR_ARG(forwarding));
}

static int expand_one(struct expansion *e, struct str address, struct fail *why)
{
	struct forwardings found = {0};
	struct domain_info dom;
	struct addr x;
	bool itself = false;

	if (addr_parse(address, e->d->c.delimiter, e->a, &x, NULL) < 0) {
		e->unknown++;
		note(e, "not an address:", address);
		return 0;
	}
	int r = dir_domain(e->d, x.domain, e->a, &dom, why);
	if (r < 0)
		return r;
	if ((dom.kind != DOMAIN_LOCAL && dom.kind != DOMAIN_ALIAS) || e->mapping != DIR_EXPAND)
		return settle(e, &x, &dom, why);
	r = find_forwardings(e, &x, &dom, &found, why);
	for (size_t i = 0; r == 0 && i < found.v.n; i++) {
		struct str to = target_of(e, &x, found.v.p[i]);
		if (str_eqi(to, x.full))
			itself = true;
		else
			expansion_add(e, to);
	}
	if (r == 0 && (itself || found.v.n == 0))
		r = settle(e, &x, &dom, why);
	vec_clear(&found.v);
	return r;
}

static int expand(struct expansion *e, struct fail *why)
{
	while (e->next < e->addresses.n) {
		if (e->addresses.n > e->d->c.expand_max)
			return 0;
		int r = expand_one(e, e->addresses.p[e->next++], why);
		if (r < 0)
			return r;
	}
	return 0;
}

/* 1 when every destination is a mailbox of ours without room for `size` more. */
static int all_full(struct dir *d, const struct expansion *e, uint64_t size, struct fail *why)
{
	for (size_t i = 0; i < e->dests.n; i++) {
		AUTO(arena) struct arena scratch = ARENA_INIT(KIB(64));
		struct dir_account acc;
		if (!destination_is_local(&e->dests.p[i]))
			return 0;
		int r = dir_find_account(d, e->dests.p[i].address, &scratch, &acc, why);
		if (r < 0)
			return r == -FAIL_NOTFOUND ? 0 : r;
		bool room = acc.used_bytes < acc.quota_bytes &&
			    size <= acc.quota_bytes - acc.used_bytes;
		if (acc.quota_bytes == 0 || room)
			return 0;
	}
	return 1;
}

static int judge(struct dir *d, struct expansion *e, uint64_t size, struct dir_route *out,
		 struct fail *why)
{
	if (e->addresses.n > d->c.expand_max || (e->dests.n == 0 && e->unknown == 0)) {
		out->verdict = DIR_LOOPS;
		out->note = e->addresses.n > d->c.expand_max ? STR("expands to too many addresses")
							     : STR("aliases point at each other");
		return 0;
	}
	out->note = e->note;
	if (e->dests.n == 0) {
		out->verdict = DIR_UNKNOWN;
		return 0;
	}
	int r = all_full(d, e, size, why);
	if (r < 0)
		return r;
	if (r == 1)
		out->verdict = DIR_OVER_QUOTA;
	out->n = e->dests.n;
	out->dests = e->dests.p;
	return 0;
}

/*
 * "postmaster" alone must be accepted (RFC 5321 4.5.1). It is that of the domain in
 * barid_setting `domain`, else of the first domain made.
 */
static int expand_postmaster(struct dir *d, struct arena *a, struct str *address, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(d,
			  "SELECT value, 0, '' FROM barid_setting WHERE name = ?1 UNION ALL"
			  " SELECT * FROM (SELECT domain, 1, created FROM domain"
			  " WHERE active = 1 AND backupmx = 0 ORDER BY created, domain LIMIT 1)"
			  " ORDER BY 2",
			  STR("domain"), STR_NULL, &st, why);
	if (r != 1)
		return r;
	*address = arena_printf(a, "postmaster@%.*s", STR_ARG(db_col_text(st, 0)));
	db_reset(st);
	return address->p ? 0 : full(why);
}

/* Copy the outcome from the expansion's memory into the caller's. */
static int copy_out(const struct dir_route *from, struct arena *a, struct dir_route *ret,
		    struct fail *why)
{
	struct dir_route out = *from;

	out.note = arena_str(a, from->note);
	out.dests = arena_array(a, struct destination, out.n);
	if (!out.note.p || !out.dests)
		return full(why);
	for (size_t i = 0; i < out.n; i++) {
		struct destination *to = &out.dests[i];
		*to = from->dests[i];
		to->address = arena_str(a, to->address);
		to->detail = arena_str(a, to->detail);
		to->transport = arena_str(a, to->transport);
		if (!to->address.p || !to->detail.p || !to->transport.p)
			return full(why);
	}
	*ret = out;
	return 0;
}

static int route(struct dir *d, const struct dir_rcpt *rcpt, struct arena *ret_arena,
		 struct dir_route *ret, struct fail *why)
{
	struct str address = rcpt->address;
	AUTO(arena) struct arena scratch = ARENA_INIT(MIB(4));
	struct arena *a = &scratch;
	struct dir_route out = {.verdict = DIR_OK};
	struct domain_info dom;
	struct addr x;
	int r = 0;

	if (str_eqi(address, STR("postmaster")))
		r = expand_postmaster(d, a, &address, why);
	if (r == 0)
		r = addr_parse(address, d->c.delimiter, a, &x, why);
	if (r == -FAIL_SYNTAX) {
		*ret = (struct dir_route){.verdict = DIR_BAD_ADDRESS,
					  .note = STR("not an address")};
		return 0;
	}
	if (r == 0)
		r = dir_domain(d, x.domain, a, &dom, why);
	if (r < 0)
		return r;
	struct expansion e = {.d = d, .a = a, .mapping = rcpt->mapping};
	expansion_add(&e, x.full);
	r = expand(&e, why);
	if (r == 0)
		r = judge(d, &e, rcpt->size, &out, why);
	if (dom.kind == DOMAIN_FOREIGN)
		out.verdict = DIR_NOT_OURS;
	if (r == 0)
		r = copy_out(&out, ret_arena, ret, why);
	vec_clear(&e.addresses);
	vec_clear(&e.dests);
	return r;
}

int dir_route(struct dir *d, const struct dir_rcpt *rcpt, struct arena *a, struct dir_route *ret,
	      struct fail *why)
{
	DIR_LOCKED(d);
	/* Many small statements: one snapshot takes the file's lock once for all of them. */
	int r = db_snapshot(d->db, why);
	if (r == 0) {
		r = route(d, rcpt, a, ret, why);
		db_snapshot_end(d->db);
	}
	/* An id had to be made while another program wrote: the next look sees both. */
	return r == -FAIL_BUSY ? route(d, rcpt, a, ret, why) : r;
}

/* ---- who may send as whom ---- */

/* 1: the address is this user's own, or an alias of it. */
static int is_name_of(struct dir *d, struct str username, struct str address, struct fail *why)
{
	struct db_stmt *st = NULL;

	if (str_eqi(username, address))
		return 1;
	int r = dir_query(d,
			  "SELECT 1 FROM forwardings WHERE address = ?1 AND forwarding = ?2"
			  " AND is_alias = 1 AND active = 1",
			  address, username, &st, why);
	if (r == 1)
		db_reset(st);
	return r;
}

static int may_send_as(struct dir *d, struct str username, const struct addr *x, struct arena *a,
		       struct fail *why)
{
	int r = is_name_of(d, username, x->full, why);
	if (r == 0 && x->detail.p)
		r = is_name_of(d, username, x->bare, why);
	if (r != 0)
		return r;
	struct domain_info dom;
	r = dir_domain(d, x->domain, a, &dom, why);
	if (r < 0 || dom.kind != DOMAIN_ALIAS)
		return r;
	struct str user = str_sub(x->bare, 0, str_rfind(x->bare, '@'));
	struct str there = arena_printf(a, "%.*s@%.*s", STR_ARG(user), STR_ARG(dom.target));
	if (!there.p)
		return full(why);
	return is_name_of(d, username, there, why);
}

int dir_sends_as(struct dir *d, struct str username, const struct addr *x, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));

	return may_send_as(d, username, x, &a, why);
}

int dir_sender_allowed(struct dir *d, struct account_id id, struct str address, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
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
