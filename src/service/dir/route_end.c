/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an expansion ends: a mailbox of ours, a list, another server and how to reach it.
 *
 * Of the transports that may be said for an address the first counts: the user's, the list's, the
 * domain's. What is left of foreign domains goes to the relay host of the sender, to that of
 * everybody (`relay_host`), or by MX.
 */
#include "route_int.h"

static void add_dest(struct expansion *e, struct destination dest)
{
	for (size_t i = 0; i < e->dests.n; i++) {
		const struct destination *o = &e->dests.p[i];
		if (o->account.v == dest.account.v && str_eq(o->detail, dest.detail) &&
		    str_eqi(o->address, dest.address))
			return;
	}
	route_keep_secret(e, dest.address);
	*(struct destination *)vec_push(&e->dests) = dest;
}

/* Another server's. When the message was forwarded, relay asks which sender it gets (srs.c). */
static void add_remote(struct expansion *e, struct str address, struct str transport)
{
	add_dest(e, (struct destination){.address = address, .transport = transport});
}

/* ":host" names a next hop alone, ":" nothing at all. */
static struct str plain_transport(struct str t)
{
	return t.n > 0 && t.p[0] == ':' ? str_skip(t, 1) : t;
}

/* ---- other servers ---- */

static const char relay_sql[] =
	"SELECT relayhost FROM sender_relayhost WHERE account = ?1 AND relayhost <> ''";

/* 1: the key has a row. */
static int relay_row(struct expansion *e, struct str key, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(e->d, relay_sql, key, STR_NULL, &st, why);

	if (r != 1)
		return r;
	struct str host = arena_str(e->a, db_col_text(st, 0));
	db_reset(st);
	if (!host.p)
		return route_full(why);
	bool none = str_eqi(host, STR("DUNNO"));
	route_tell(e, key, "sender_relayhost", "%.*s%s", STR_ARG(host),
		   none ? " (no relay host for this sender)" : "");
	e->relay = none ? STR("") : host;
	return 1;
}

/* The sender's row, with and without detail, then that of its domain. */
static int find_sender_relay(struct expansion *e, struct fail *why)
{
	struct addr x;

	if (e->sender.n == 0)
		return relay_row(e, STR("<>"), why);
	if (addr_parse(e->sender, e->d->c.delimiter, e->a, &x, NULL) < 0)
		return 0;
	int r = relay_row(e, x.full, why);
	if (r == 0 && x.detail.p)
		r = relay_row(e, x.bare, why);
	if (r == 0)
		r = relay_row(e, arena_printf(e->a, "@%.*s", STR_ARG(x.domain)), why);
	return r;
}

/* Once for all destinations: the sender is the same. */
static int find_relay(struct expansion *e, struct fail *why)
{
	if (e->relay_known)
		return 0;
	e->relay_known = true;
	e->relay = STR("");
	int r = find_sender_relay(e, why);
	if (r != 0 || !e->d->relay_host || !e->d->relay_host[0])
		return MIN(r, 0);
	e->relay = arena_str(e->a, str_c(e->d->relay_host));
	route_tell(e, e->sender, "relay_host (setting)", "%.*s", STR_ARG(e->relay));
	return e->relay.p ? 0 : route_full(why);
}

static int settle_foreign(struct expansion *e, const struct addr *x, struct fail *why)
{
	int r = find_relay(e, why);

	if (r < 0)
		return r;
	route_tell(e, x->full, "-", "another server's: %s%.*s",
		   e->relay.n ? "relayed by " : "by MX of ",
		   STR_ARG(e->relay.n ? e->relay : x->domain));
	add_remote(e, x->full, e->relay);
	return 0;
}

/* Backup MX: all users are taken, and relayed by the domain's own transport or by MX. */
static int settle_relay(struct expansion *e, const struct addr *x, const struct domain_info *dom)
{
	struct str transport = plain_transport(dom->transport);

	route_tell(e, x->domain, "domain", "backup MX: relayed by %s%.*s",
		   transport.n ? "" : "MX of ", STR_ARG(transport.n ? transport : x->domain));
	add_remote(e, x->full, transport);
	return 0;
}

/* ---- of this machine ---- */

bool route_is_local_name(struct str local)
{
	static const char *const names[] = {"root",	 "postmaster",	  "abuse",    "hostmaster",
					    "webmaster", "security",	  "noc",      "nobody",
					    "daemon",	 "mailer-daemon", "www-data", "vmail",
					    "amavis"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqi(local, str_c(names[i])))
			return true;
	return false;
}

/*
 * The postmaster of the domain in barid_setting `domain`, else of the first one made that has any.
 * When that is the one that does not work: the first administrator of everything who has a mailbox.
 * 1: found.
 */
static int find_postmaster(struct expansion *e, const struct addr *not_this, struct str *ret,
			   struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(
		e->d,
		"SELECT to_whom FROM ("
		"SELECT 'postmaster@' || value AS to_whom, 0 AS turn, '' AS at FROM barid_setting"
		" WHERE name = 'domain'"
		" UNION ALL SELECT 'postmaster@' || d.domain, 1, d.created FROM domain d"
		" WHERE d.active = 1 AND d.backupmx = 0 AND (EXISTS (SELECT 1 FROM mailbox m"
		"  WHERE m.username = 'postmaster@' || d.domain AND m.active = 1)"
		" OR EXISTS (SELECT 1 FROM forwardings f WHERE f.active = 1"
		"  AND f.address IN ('postmaster@' || d.domain, d.domain)))"
		" UNION ALL SELECT m.username, 2, m.created FROM domain_admins a"
		" JOIN mailbox m ON m.username = a.username JOIN domain d ON d.domain = m.domain"
		" WHERE a.domain = 'ALL' AND a.active = 1 AND m.active = 1 AND m.enabledeliver = 1"
		" AND d.active = 1 AND d.backupmx = 0"
		") AS candidates WHERE lower(to_whom) <> ?1 ORDER BY turn, at, to_whom LIMIT 1",
		not_this->bare, STR_NULL, &st, why);
	if (r != 1)
		return r;
	*ret = arena_str(e->a, db_col_text(st, 0));
	db_reset(st);
	return ret->p ? 1 : route_full(why);
}

static void dead_end(struct expansion *e, const char *what, struct str about)
{
	e->unknown++;
	route_note(e, what, about);
}

/* root@localhost and the like: names that this machine answers for. */
static int settle_own(struct expansion *e, const struct addr *x, struct fail *why)
{
	struct str local = str_sub(x->bare, 0, str_rfind(x->bare, '@'));
	struct str to = STR_NULL;
	int r = route_is_local_name(local) ? find_postmaster(e, x, &to, why) : 0;

	if (r < 0)
		return r;
	if (r == 1) {
		route_tell(e, x->full, "-", "a name of this machine: %.*s", STR_ARG(to));
		expansion_add(e, to, false);
		return 0;
	}
	route_tell(e, x->full, "-", "this machine has no such user");
	dead_end(e, "no such user:", x->full);
	return 0;
}

/*
 * A mailbox that is not there, or switched off. Postmaster always works (RFC 5321 4.5.1): the one
 * of the first domain reads for all that have none.
 */
static int settle_nobody(struct expansion *e, const struct addr *x, const char *what,
			 struct fail *why)
{
	struct str to = STR_NULL;
	int r = 0;

	if (str_eqi(str_sub(x->bare, 0, str_rfind(x->bare, '@')), STR("postmaster")))
		r = find_postmaster(e, x, &to, why);
	if (r < 0)
		return r;
	if (r == 1) {
		route_tell(e, x->full, "-", "postmaster has no mailbox here: %.*s", STR_ARG(to));
		expansion_add(e, to, false);
		return 0;
	}
	dead_end(e, what, x->full);
	return 0;
}

/* ---- hosted domains ---- */

/* A list that another program runs: its transport takes the mail. 1 = it was one. */
static int settle_list(struct expansion *e, const struct addr *x, struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(e->d,
			  "SELECT l.transport FROM maillists l JOIN domain d ON d.domain = l.domain"
			  " WHERE l.address = ?1 AND l.active = 1 AND l.transport <> ''"
			  " AND d.active = 1 AND d.backupmx = 0",
			  x->bare, STR_NULL, &st, why);
	if (r != 1)
		return r;
	struct str transport = arena_str(e->a, db_col_text(st, 0));
	db_reset(st);
	if (!transport.p)
		return route_full(why);
	route_tell(e, x->bare, "maillists", "a list: %.*s", STR_ARG(transport));
	add_remote(e, x->full, transport);
	return 1;
}

/* 1: the user's row says how the mail is delivered; *ret is empty when that is here. */
static int user_transport(struct expansion *e, struct str username, struct str *ret,
			  struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(e->d,
			  "SELECT transport FROM mailbox WHERE username = ?1 AND transport <> ''",
			  username, STR_NULL, &st, why);

	if (r != 1)
		return r;
	struct str said = plain_transport(str_trim(db_col_text(st, 0)));
	bool here = transport_is_local(said);
	*ret = here ? STR("") : arena_str(e->a, said);
	db_reset(st);
	if (!ret->p)
		return route_full(why);
	return here && said.n == 0 ? 0 : 1;
}

static int settle_account(struct expansion *e, const struct addr *x, const struct domain_info *dom,
			  const struct dir_account *acc, struct str detail, struct fail *why)
{
	struct str transport = STR("");
	const char *table = "mailbox";
	int r = 0;

	if (e->mapping != DIR_MAILBOX)
		r = user_transport(e, acc->address, &transport, why);
	if (r < 0)
		return r;
	if (r == 0 && e->mapping != DIR_MAILBOX && plain_transport(dom->transport).n > 0) {
		transport = plain_transport(dom->transport);
		table = "domain";
	}
	if (transport.n > 0) {
		route_tell(e, acc->address, table, "transport %.*s", STR_ARG(transport));
		add_remote(e, x->full, transport);
		return 0;
	}
	route_tell(e, acc->address, "mailbox", "account %llu%s%.*s", (unsigned long long)acc->id.v,
		   detail.n ? ", detail " : "", STR_ARG(detail));
	add_dest(e, (struct destination){
			    .account = acc->id, .address = acc->address, .detail = detail});
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
		if (r != 0)
			return MIN(r, 0);
		route_tell(e, x->full, "mailbox", "no such user");
		struct str gateway = plain_transport(dom->transport);
		if (e->listed && gateway.n > 0 && e->mapping != DIR_MAILBOX) {
			/* Who sends is not asked to guess; what rows name, the gateway may know. */
			route_tell(e, x->domain, "domain", "transport %.*s", STR_ARG(gateway));
			add_remote(e, x->full, gateway);
			return 0;
		}
		return settle_nobody(e, x, "no such user:", why);
	}
	if (r < 0)
		return r;
	if (acc.delivers)
		return settle_account(e, x, dom, &acc, detail, why);
	route_tell(e, acc.address, "mailbox", "switched off");
	return settle_nobody(e, x, "disabled:", why);
}

int route_settle(struct expansion *e, const struct addr *x, const struct domain_info *dom,
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
			return route_full(why);
		route_tell(e, x->domain, "alias_domain", "%.*s", STR_ARG(there));
		expansion_add(e, there, e->listed);
		return 0;
	}
	case DOMAIN_RELAY:
		return settle_relay(e, x, dom);
	case DOMAIN_FOREIGN:
		return settle_foreign(e, x, why);
	case DOMAIN_OWN:
		return settle_own(e, x, why);
	case DOMAIN_INACTIVE:
		route_tell(e, x->domain, "domain", "switched off");
		dead_end(e, "domain is switched off:", x->domain);
	}
	return 0;
}
