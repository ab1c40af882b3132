/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.c - looking at the list of mailboxes: names, attributes, counters.
 */
#include "service/store/store_int.h"

struct listing {
	struct arena *arena;
	VEC(struct store_mailbox) v;
	VEC(struct row_mailbox) rows; /* beside v */
	VEC(struct str) subscribed;
	bool full; /* the arena was */
};

static void listing_clear(struct listing *l)
{
	vec_clear(&l->v);
	vec_clear(&l->rows);
	vec_clear(&l->subscribed);
}
DEFINE_AUTO(listing, struct listing, listing_clear);

static int fill_counters(struct part *p, struct account_id a, const struct row_mailbox *row,
			 struct store_mailbox *m, struct fail *why)
{
	m->id = row->id;
	m->use = row->use;
	m->noselect = row->noselect;
	if (row->noselect)
		return 0;
	m->counters = (struct store_counters){
		.exists = row->exists,
		.unseen = row->unseen,
		.deleted = row->deleted,
		.size = row->size,
		.deleted_size = row->deleted_size,
		.uidnext = {row->uidnext},
		.uidvalidity = row->uidvalidity,
		.highestmodseq = {row->highestmodseq},
	};
	return box_recent(p, a, row, &m->counters.recent, why);
}

static int take_mailbox(void *arg, struct account_id a, const struct row_mailbox *row,
			struct str name)
{
	struct listing *l = arg;
	(void)a;
	struct store_mailbox *m = vec_push(&l->v);
	*vec_push(&l->rows) = *row;
	m->name = arena_str(l->arena, name);
	l->full = !m->name.p;
	return l->full ? -FAIL_LIMIT : 0;
}

static int take_subscription(void *arg, struct str name)
{
	struct listing *l = arg;
	struct str *copy = vec_push(&l->subscribed);
	*copy = arena_str(l->arena, name);
	l->full = !copy->p;
	return l->full ? -FAIL_LIMIT : 0;
}

static int read_listing(struct part *p, struct account_id a, struct listing *l, struct fail *why)
{
	const struct engine_ops *ops = p->store->ops;
	struct row_account acc;
	int r = ops->account_get(p->e, a, &acc, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no account %llu",
				(unsigned long long)a.v);
	if (r < 0 || (r = ops->mailbox_each(p->e, a, take_mailbox, l, why)) < 0)
		return r;
	for (size_t i = 0; i < l->v.n; i++)
		if ((r = fill_counters(p, a, &l->rows.p[i], &l->v.p[i], why)) < 0)
			return r;
	return ops->subscription_each(p->e, a, take_subscription, l, why);
}

static int by_name(const void *a, const void *b)
{
	const struct store_mailbox *x = a, *y = b;
	int inbox = (int)name_is_inbox(y->name) - (int)name_is_inbox(x->name);
	return inbox ? inbox : str_cmp(x->name, y->name);
}

static void join_subscriptions(struct listing *l)
{
	struct strmap names = {0};
	for (size_t i = 0; i < l->v.n; i++)
		strmap_put(&names, l->v.p[i].name, (void *)(uintptr_t)(i + 1));
	for (size_t i = 0; i < l->subscribed.n; i++) {
		size_t at = (uintptr_t)strmap_get(&names, l->subscribed.p[i]);
		if (at) {
			l->v.p[at - 1].subscribed = true;
			continue;
		}
		struct store_mailbox *m = vec_push(&l->v);
		*m = (struct store_mailbox){
			.name = l->subscribed.p[i], .missing = true, .subscribed = true};
	}
	strmap_clear(&names);
}

static void mark_parents(struct store_mailbox *v, size_t n)
{
	struct strmap names = {0};
	for (size_t i = 0; i < n; i++)
		strmap_put(&names, v[i].name, &v[i]);
	for (size_t i = 0; i < n; i++) {
		struct store_mailbox *parent =
			v[i].missing ? NULL : strmap_get(&names, name_parent(v[i].name));
		if (parent)
			parent->has_children = true;
	}
	strmap_clear(&names);
}

int store_mailbox_list(struct store *s, struct account_id account, struct arena *arena,
		       struct store_mailboxes *ret, struct fail *why)
{
	AUTO(listing) struct listing l = {.arena = arena};
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = read_listing(p, account, &l, why);
	part_leave(p);
	if (l.full)
		return fail_set(why, FAIL_LIMIT, NULL, "the list of mailboxes is too long");
	if (r < 0)
		return r;
	join_subscriptions(&l);
	struct store_mailbox *v = arena_array(arena, struct store_mailbox, l.v.n);
	if (!v && l.v.n > 0)
		return fail_set(why, FAIL_LIMIT, NULL, "the list of mailboxes is too long");
	if (l.v.n > 0) {
		memcpy(v, l.v.p, l.v.n * sizeof *v);
		qsort(v, l.v.n, sizeof *v, by_name);
	}
	mark_parents(v, l.v.n);
	*ret = (struct store_mailboxes){v, l.v.n};
	return 0;
}

int store_mailbox_find(struct store *s, struct account_id account, struct str name,
		       struct arena *arena, struct store_mailbox *ret, struct fail *why)
{
	char buf[STORE_NAME_MAX + 1];
	struct str normal;
	struct row_mailbox row;
	struct store_mailbox m = {0};
	struct part *p;
	if (name_normal(name, buf, &normal, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	m.name = arena_str(arena, normal);
	if (!m.name.p)
		return fail_set(why, FAIL_LIMIT, NULL, "arena full");
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = s->ops->mailbox_find(p->e, account, normal, &row, why);
	if (r > 0)
		r = fill_counters(p, account, &row, &m, why);
	else if (r == 0)
		r = fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no mailbox %.*s",
			     STR_ARG(normal));
	part_leave(p);
	if (r == 0)
		*ret = m;
	return r;
}
