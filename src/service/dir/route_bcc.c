/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets a copy: of what somebody sends (sender_bcc_*), of what somebody receives
 * (recipient_bcc_*). The keys are the addresses of the envelope; a user's row beats its domain's.
 * A copy's address is resolved like any other, but nobody gets a copy of a copy.
 */
#include "route_int.h"

struct bcc_tables {
	const char *user_name, *user_sql;
	const char *domain_name, *domain_sql;
};

static const struct bcc_tables of_sender = {
	"sender_bcc_user",
	"SELECT bcc_address FROM sender_bcc_user WHERE username = ?1 AND active = 1",
	"sender_bcc_domain",
	"SELECT bcc_address FROM sender_bcc_domain WHERE domain = ?1 AND active = 1",
};
static const struct bcc_tables of_recipient = {
	"recipient_bcc_user",
	"SELECT bcc_address FROM recipient_bcc_user WHERE username = ?1 AND active = 1",
	"recipient_bcc_domain",
	"SELECT bcc_address FROM recipient_bcc_domain WHERE domain = ?1 AND active = 1",
};

/* 1: the key has a row; its address is on the list. */
static int add_row(struct expansion *e, const char *table, const char *sql, struct str key,
		   struct fail *why)
{
	struct db_stmt *st = NULL;
	int r = dir_query(e->d, sql, key, STR_NULL, &st, why);

	if (r != 1)
		return r;
	struct str to = arena_str(e->a, str_trim(db_col_text(st, 0)));
	db_reset(st);
	if (!to.p)
		return route_full(why);
	if (to.n == 0)
		return 0;
	route_tell(e, key, table, "copy to %.*s", STR_ARG(to));
	expansion_add(e, to, true);
	return 1;
}

/* The same user in the target of an alias domain is the same user. */
static int add_copies(struct expansion *e, const struct bcc_tables *t, const struct addr *x,
		      const struct domain_info *dom, struct fail *why)
{
	int r = add_row(e, t->user_name, t->user_sql, x->full, why);

	if (r == 0 && x->detail.p)
		r = add_row(e, t->user_name, t->user_sql, x->bare, why);
	if (r == 0 && dom->kind == DOMAIN_ALIAS) {
		struct str there = arena_printf(
			e->a, "%.*s@%.*s", STR_ARG(str_sub(x->bare, 0, str_rfind(x->bare, '@'))),
			STR_ARG(dom->target));
		r = there.p ? add_row(e, t->user_name, t->user_sql, there, why) : route_full(why);
	}
	if (r == 0)
		r = add_row(e, t->domain_name, t->domain_sql, x->domain, why);
	if (r == 0 && dom->kind == DOMAIN_ALIAS)
		r = add_row(e, t->domain_name, t->domain_sql, dom->target, why);
	return MIN(r, 0);
}

/* One look tells whether anybody orders copies at all: most servers have none. */
static int any_rows(struct dir *d, struct fail *why)
{
	uint64_t any = 0;
	int r = db_number(d->db,
			  "SELECT EXISTS (SELECT 1 FROM recipient_bcc_user)"
			  " OR EXISTS (SELECT 1 FROM recipient_bcc_domain)"
			  " OR EXISTS (SELECT 1 FROM sender_bcc_user)"
			  " OR EXISTS (SELECT 1 FROM sender_bcc_domain)",
			  &any, why);
	return r < 0 ? r : any != 0;
}

int route_copies(struct expansion *e, const struct addr *rcpt, const struct domain_info *dom,
		 struct fail *why)
{
	struct domain_info from = {0};
	struct addr sender;
	if (e->story) /* who asks may ask about this recipient */
		e->story->hidden = e->story->unnamed = false;
	int r = any_rows(e->d, why);

	if (r <= 0)
		return r;
	r = add_copies(e, &of_recipient, rcpt, dom, why);
	if (r < 0)
		return r;
	if (e->sender.n > 0 && addr_parse(e->sender, e->d->c.delimiter, e->a, &sender, NULL) == 0) {
		r = dir_domain(e->d, sender.domain, e->a, &from, why);
		if (r == 0)
			r = add_copies(e, &of_sender, &sender, &from, why);
	}
	if (r == 0)
		r = expansion_run(e, why);
	if (r == 0 && (e->too_many || e->addresses.n > e->d->c.expand_max))
		e->dests.n = 0; /* a copy is never worth holding the message up */
	return r;
}
