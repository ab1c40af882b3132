/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of greylisting, greylisting_whitelists and greylisting_whitelist_domain_spf, in memory. */
#include "base/check.h"
#include "base/map.h"
#include "service/policy/grey.h"
#include "service/policy/netset.h"
#include <stdlib.h>

#define ROWS_MAX 500000u

struct setting {
	struct grey_row row;
	int priority, sender_priority;
	struct netcidr net; /* bits 0 of family 0: its sender is no network */
	struct setting *next;
};
/* All rows of one account. */
struct account {
	struct str name;
	struct strmap white; /* sender -> struct grey_row */
	struct setting *settings;
};
struct grey_table {
	struct arena arena;
	struct strmap accounts;
	struct netset white_nets;
	size_t rows;
};

static void unload(void *table)
{
	struct grey_table *t = table;
	if (!t)
		return;
	MAP_EACH (&t->accounts, i)
		strmap_clear(&((struct account *)t->accounts.slots[i].value)->white);
	strmap_clear(&t->accounts);
	netset_clear(&t->white_nets);
	arena_clear(&t->arena);
	free(t);
}
DEFINE_AUTO_PTR(grey_table, struct grey_table, unload);

/* Keys as people wrote them; what is none never matches. */
static struct str normal(struct grey_table *t, struct str key)
{
	struct str s;
	return policy_key_normal(key, &t->arena, &s) ? s : STR_NULL;
}

static struct account *account_of(struct grey_table *t, struct str name)
{
	struct str key = normal(t, name);
	struct account *a = key.p ? strmap_get(&t->accounts, key) : NULL;
	if (a || !key.p || !(a = arena_new(&t->arena, struct account)))
		return a;
	a->name = key;
	(void)strmap_put(&t->accounts, key, a);
	return a;
}

static int full(struct fail *why)
{
	return fail_set(why, FAIL_LIMIT, NULL, "the greylisting tables have too many rows");
}

static int add_white(struct grey_table *t, struct db_stmt *st, struct fail *why)
{
	struct account *a = account_of(t, db_col_text(st, 0));
	struct str sender = normal(t, db_col_text(st, 1));
	struct netset_row net = {.comment = arena_str(&t->arena, db_col_text(st, 2))};
	if (t->rows++ >= ROWS_MAX)
		return full(why);
	if (!a || !sender.p)
		return 0; /* not a key: it means nobody */
	if (policy_key_kind(sender) == POLICY_KEY_CIDR && netcidr_parse(sender, &net.net)) {
		net.account = a->name;
		netset_add(&t->white_nets, &net);
		return 0;
	}
	struct grey_row *row = arena_new(&t->arena, struct grey_row);
	if (!row)
		return full(why);
	*row = (struct grey_row){.account = a->name, .sender = sender, .comment = net.comment};
	(void)strmap_put(&a->white, sender, row);
	return 0;
}

static int add_setting(struct grey_table *t, struct db_stmt *st, struct fail *why)
{
	struct account *a = account_of(t, db_col_text(st, 0));
	struct str sender = normal(t, db_col_text(st, 1));
	struct setting *s = arena_new(&t->arena, struct setting);
	if (!s || t->rows++ >= ROWS_MAX)
		return full(why);
	if (!a || !sender.p)
		return 0;
	*s = (struct setting){.row = {.account = a->name,
				      .sender = sender,
				      .comment = arena_str(&t->arena, db_col_text(st, 2)),
				      .active = db_col_i64(st, 3) != 0},
			      .priority = (int)db_col_i64(st, 4),
			      .sender_priority = (int)db_col_i64(st, 5),
			      .next = a->settings};
	if (policy_key_kind(sender) == POLICY_KEY_CIDR && !netcidr_parse(sender, &s->net))
		s->net = (struct netcidr){0};
	a->settings = s;
	return 0;
}

static int each(struct grey_table *t, struct db *db, const char *sql,
		int (*add)(struct grey_table *t, struct db_stmt *st, struct fail *why),
		struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, sql, &st, why);
	while (r == 0 && (r = db_step(st, why)) == 1) {
		r = add(t, st, why);
		if (r < 0)
			db_reset(st);
	}
	return r;
}

static int load(struct db *db, void **ret, struct fail *why)
{
	AUTO(grey_table) struct grey_table *t = xcalloc(1, sizeof *t);
	t->arena = ARENA_INIT(MIB(256));
	int r = each(t, db,
		     "SELECT account, sender, comment FROM greylisting_whitelist_domain_spf"
		     " UNION ALL SELECT account, sender, comment FROM greylisting_whitelists"
		     " WHERE comment <> '" GREY_LEARNED "'",
		     add_white, why);
	/* Users make as many of these as they write to people. */
	if (r == 0)
		r = each(t, db,
			 "SELECT account, sender, comment FROM greylisting_whitelists"
			 " WHERE comment = '" GREY_LEARNED "' ORDER BY id DESC"
			 " LIMIT " GREY_LEARNED_MAX,
			 add_white, why);
	if (r == 0)
		r = each(t, db,
			 "SELECT account, sender, comment, active, priority, sender_priority"
			 " FROM greylisting",
			 add_setting, why);
	if (r < 0)
		return r;
	netset_sort(&t->white_nets);
	*ret = TAKE(t);
	return 0;
}

const struct policy_part policy_part_grey_rows = {
	.name = "greylisting", .load = load, .unload = unload};

struct search {
	const struct policy_keys *accounts;
	const struct netset_row *found;
};

static bool take_net(void *ctx, const struct netset_row *row)
{
	struct search *s = ctx;
	if (!policy_keys_have(s->accounts, row->account))
		return true;
	s->found = row;
	return false;
}

bool grey_white(const struct grey_table *t, const struct policy_keys *accounts,
		const struct policy_keys *const senders[2], const struct netaddr *client,
		struct grey_row *ret)
{
	for (size_t i = 0; i < accounts->n; i++) {
		const struct account *a = strmap_get(&t->accounts, accounts->v[i]);
		if (!a || a->white.n == 0)
			continue;
		for (size_t k = 0; k < 2; k++)
			for (size_t j = 0; j < senders[k]->n; j++) {
				const struct grey_row *row =
					strmap_get(&a->white, senders[k]->v[j]);
				if (row) {
					*ret = *row;
					return true;
				}
			}
	}
	struct search s = {.accounts = accounts};
	if (client->family)
		netset_each(&t->white_nets, client, take_net, &s);
	if (s.found)
		*ret = (struct grey_row){.account = s.found->account, .comment = s.found->comment};
	return s.found != NULL;
}

static bool applies(const struct setting *s, const struct policy_keys *const senders[2],
		    const struct netaddr *client)
{
	if (s->net.addr.family)
		return client->family && netcidr_has(&s->net, client);
	return policy_keys_have(senders[0], s->row.sender) ||
	       policy_keys_have(senders[1], s->row.sender);
}

bool grey_setting(const struct grey_table *t, const struct policy_keys *accounts,
		  const struct policy_keys *const senders[2], const struct netaddr *client,
		  struct grey_row *ret)
{
	const struct setting *best = NULL;
	for (size_t i = 0; i < accounts->n; i++) {
		const struct account *a = strmap_get(&t->accounts, accounts->v[i]);
		for (const struct setting *s = a ? a->settings : NULL; s; s = s->next) {
			bool higher = !best || s->priority > best->priority ||
				      (s->priority == best->priority &&
				       s->sender_priority > best->sender_priority);
			if (higher && applies(s, senders, client))
				best = s;
		}
	}
	if (best)
		*ret = best->row;
	return best != NULL;
}
