/* SPDX-License-Identifier: Apache-2.0 */
/*
 * White and black lists of recipients of ours (wblist), and of senders of ours (outbound_wblist),
 * in Amavis' tables: our side is in users, the others in mailaddr, each with a priority. Our rows
 * are gone through from the highest priority down, for each of them the others' likewise; the first
 * pair that is listed decides.
 */
#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"
#include "service/policy/netset.h"
#include "service/policy/policy_int.h"

#define ROWS_MAX 4000000u
#define WHO_MAX	 64u /* rows that one address or client has */

struct who {
	uint32_t id;
	int priority;
	struct str email;
};
struct table {
	struct arena arena;
	struct strmap users, others; /* email -> struct who */
	struct netset networks;	     /* others that are networks */
	struct map in, out;	     /* (ours, other) -> &white or &black */
};
static char white, black;

static void unload(void *table)
{
	struct table *t = table;
	if (!t)
		return;
	strmap_clear(&t->users);
	strmap_clear(&t->others);
	netset_clear(&t->networks);
	map_clear(&t->in);
	map_clear(&t->out);
	arena_clear(&t->arena);
	free(t);
}
DEFINE_AUTO_PTR(table, struct table, unload);

static int add_who(struct table *t, struct strmap *to, struct db_stmt *st, struct fail *why)
{
	struct str key;
	uint64_t id = db_col_u64(st, 0);
	struct who *w = arena_new(&t->arena, struct who);
	if (!w || to->n >= ROWS_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "too many rows of addresses");
	if (id > UINT32_MAX || !policy_key_normal(db_col_text(st, 2), &t->arena, &key))
		return 0; /* of no use to anybody */
	*w = (struct who){(uint32_t)id, (int)db_col_i64(st, 1), key};
	(void)strmap_put(to, key, w);
	struct netset_row row = {.account = key, .priority = w->priority, .value = w};
	if (to == &t->others && policy_key_kind(key) == POLICY_KEY_CIDR &&
	    netcidr_parse(key, &row.net))
		netset_add(&t->networks, &row);
	return 0;
}

static int load_who(struct table *t, struct strmap *to, const char *sql, struct db *db,
		    struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, sql, &st, why);
	while (r == 0 && (r = db_step(st, why)) == 1) {
		r = add_who(t, to, st, why);
		if (r < 0)
			db_reset(st);
	}
	return r;
}

static uint64_t pair_of(uint64_t ours, uint64_t other)
{
	return ours << 32 | other;
}

/* W and Y let pass, B and N refuse; scores and blanks are the content filter's. */
static int load_pairs(struct map *to, const char *sql, struct db *db, struct fail *why)
{
	struct db_stmt *st;
	int r = db_stmt(db, sql, &st, why);
	while (r == 0 && (r = db_step(st, why)) == 1) {
		struct str wb = str_trim(db_col_text(st, 2));
		char c = wb.n == 1 ? ascii_upper(wb.p[0]) : ' ';
		char *says = c == 'W' || c == 'Y' ? &white : c == 'B' || c == 'N' ? &black : NULL;
		r = to->n < ROWS_MAX ? 0 : fail_set(why, FAIL_LIMIT, NULL, "too many listed pairs");
		if (says && r == 0)
			(void)map_put(to, pair_of(db_col_u64(st, 0), db_col_u64(st, 1)), says);
		if (r < 0)
			db_reset(st);
	}
	return r;
}

static int load(struct db *db, void **ret, struct fail *why)
{
	AUTO(table) struct table *t = xcalloc(1, sizeof *t);
	t->arena = ARENA_INIT(MIB(1024));
	int r = load_who(t, &t->users, "SELECT id, priority, email FROM users", db, why);
	if (r == 0)
		r = load_who(t, &t->others, "SELECT id, priority, email FROM mailaddr", db, why);
	if (r == 0)
		r = load_pairs(&t->in, "SELECT rid, sid, wb FROM wblist", db, why);
	if (r == 0)
		r = load_pairs(&t->out, "SELECT sid, rid, wb FROM outbound_wblist", db, why);
	netset_sort(&t->networks);
	if (r == 0)
		*ret = TAKE(t);
	return r;
}

const struct policy_part policy_part_wblist = {.name = "wblist", .load = load, .unload = unload};

/* --- a look --- */

struct whos {
	const struct who *v[WHO_MAX];
	size_t n;
};

/* The highest priority first; of equal ones, what was found first, which is more specific. */
static void take(struct whos *l, const struct who *w)
{
	size_t at = l->n;
	if (!w || l->n == WHO_MAX)
		return;
	while (at > 0 && l->v[at - 1]->priority < w->priority)
		at--;
	memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof *l->v);
	l->v[at] = w;
	l->n++;
}

static void take_keys(struct whos *l, const struct strmap *from, const struct policy_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		if (!str_eq(keys->v[i], STR("@."))) /* once, at the end */
			take(l, strmap_get(from, keys->v[i]));
}

static bool take_network(void *ctx, const struct netset_row *row)
{
	take(ctx, row->value);
	return true;
}

/* Also as the domain that an alias domain stands for calls the address. */
static int take_ours(const struct policy_query *q, enum policy_who who, const struct table *t,
		     struct whos *l, struct fail *why)
{
	const struct policy_address *x = who == POLICY_LOGIN ? &q->login : &q->recipient;
	const struct policy_domain_facts *d;
	struct policy_address there;
	take_keys(l, &t->users, &x->keys);
	int r = policy_domain(q, who, &d, why);
	if (r == 0 && d->kind == POLICY_DOMAIN_ALIAS) {
		struct str same =
			arena_printf(q->arena, "%.*s@%.*s", STR_ARG(x->local), STR_ARG(d->target));
		if (policy_address_init(&there, same, 0, q->arena))
			take_keys(l, &t->users, &there.keys);
	}
	take(l, strmap_get(&t->users, STR("@.")));
	return r;
}

struct hit {
	const struct who *ours, *other;
	bool white;
};
static bool find(const struct map *pairs, const struct whos *ours, const struct whos *others,
		 struct hit *ret)
{
	for (size_t i = 0; pairs->n && i < ours->n; i++)
		for (size_t j = 0; j < others->n; j++) {
			const char *says =
				map_get(pairs, pair_of(ours->v[i]->id, others->v[j]->id));
			if (!says)
				continue;
			*ret = (struct hit){ours->v[i], others->v[j], says == &white};
			return true;
		}
	return false;
}

static int refuse(const struct policy_query *q, const struct hit *h, struct policy_verdict *ret)
{
	struct str ours = h->ours->email, other = h->other->email;
	if (q->settings->wblist_discard && !policy_logged_in(q))
		return policy_discard(ret, "Policy discard", "%.*s does not want mail of %.*s",
				      STR_ARG(ours), STR_ARG(other));
	return policy_reject(ret, "Blacklisted", "%.*s and %.*s: on the black list", STR_ARG(ours),
			     STR_ARG(other));
}

/* 1: decided. */
static int look_out(const struct policy_query *q, const struct table *t, struct policy_verdict *ret,
		    struct fail *why)
{
	struct whos ours = {.n = 0}, others = {.n = 0};
	struct hit h;
	take_keys(&others, &t->others, &q->recipient.keys);
	take(&others, strmap_get(&t->others, STR("@.")));
	int r = take_ours(q, POLICY_LOGIN, t, &ours, why);
	if (r < 0 || !find(&t->out, &ours, &others, &h))
		return r;
	if (!h.white)
		return refuse(q, &h, ret), 1;
	(void)policy_dunno(ret, "%.*s may write to %.*s: on the white list", STR_ARG(h.ours->email),
			   STR_ARG(h.other->email));
	return 1;
}

static int look_in(const struct policy_query *q, const struct table *t, struct policy_verdict *ret,
		   struct fail *why)
{
	const struct policy_address *from = policy_logged_in(q) ? &q->login : &q->sender;
	struct whos ours = {.n = 0}, others = {.n = 0};
	struct hit h;
	take_keys(&others, &t->others, &from->keys);
	if (!policy_logged_in(q)) {
		take_keys(&others, &t->others, &q->client_keys);
		if (q->client.family)
			netset_each(&t->networks, &q->client, take_network, &others);
	}
	take(&others, strmap_get(&t->others, STR("@.")));
	int r = take_ours(q, POLICY_RECIPIENT, t, &ours, why);
	if (r < 0)
		return r;
	if (!find(&t->in, &ours, &others, &h))
		return policy_dunno(ret, "neither the sender nor the client is listed");
	if (!h.white)
		return refuse(q, &h, ret);
	return policy_ok(ret, "%.*s wants mail of %.*s: on the white list", STR_ARG(h.ours->email),
			 STR_ARG(h.other->email));
}

int rule_wblist(struct policy *p, const struct policy_query *q, struct policy_verdict *ret,
		struct fail *why)
{
	const struct policy_domain_facts *d;
	const void *table;
	if (!q->recipient.full.n || !q->sender.full.n)
		return policy_dunno(ret, "the sender or the recipient is not known");
	if (str_eq(q->sender.bare, q->recipient.bare) && policy_logged_in(q))
		return policy_dunno(ret, "mail to oneself");
	/* Asked here, so that the rows are not held while dir is waited for. */
	int r = policy_domain(q, POLICY_RECIPIENT, &d, why);
	if (r == 0 && policy_logged_in(q)) {
		const struct policy_domain_facts *own;
		r = policy_domain(q, POLICY_LOGIN, &own, why);
	}
	if (r == 0)
		r = policy_table(p, POLICY_PART_WBLIST, &table, why);
	if (r < 0)
		return r;
	if (policy_logged_in(q))
		r = look_out(q, table, ret, why);
	if (r == 0 && policy_logged_in(q) && !policy_is_ours(d))
		(void)policy_dunno(ret, "the recipient is not listed");
	else if (r == 0)
		r = look_in(q, table, ret, why);
	policy_table_done(p);
	return MIN(r, 0);
}
