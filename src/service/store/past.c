/* SPDX-License-Identifier: Apache-2.0 */
/*
 * past.c - a mailbox as it was: a view that knows what had come and not what went later.
 *
 * UIDs and modseqs rise with time. So a moment is two numbers: the first UID that came after it,
 * and the highest modseq of an expunge up to it. Those are what every view is made of; this one is
 * never brought up to date.
 */
#include "service/store/store_int.h"
#include "sys/clock.h"

struct past {
	struct part *part;
	struct account_id account;
	struct wall_us at;
	VEC(struct row_entry) entries;
	uint32_t uidnext;
	uint64_t expunged; /* modseq */
};

static int take_entry(void *arg, const struct row_entry *row)
{
	struct past *x = arg;
	*vec_push(&x->entries) = *row;
	if (row->expunged && row->expunged_at.v <= x->at.v)
		x->expunged = MAX(x->expunged, row->expunged);
	return 0;
}

/* Had it come by then? */
static int had_come(const struct past *x, const struct row_entry *e, bool *ret, struct fail *why)
{
	struct row_message m = {.saved = e->saved};
	int r = 1;
	if (e->saved.v == 0)
		r = x->part->store->ops->message_get(x->part->e, x->account, e->message, 0, &m,
						     why);
	*ret = r > 0 && m.saved.v <= x->at.v;
	return r < 0 ? r : 0;
}

/* The first entry that came later. */
static int find_uidnext(struct past *x, struct fail *why)
{
	size_t lo = 0, hi = x->entries.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		bool there;
		int r = had_come(x, &x->entries.p[mid], &there, why);
		if (r < 0)
			return r;
		if (there)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < x->entries.n)
		x->uidnext = x->entries.p[lo].uid;
	return 0;
}

/* What was purged by now had been expunged before the retention time began. */
static int check_history(struct past *x, const struct row_mailbox *row, struct fail *why)
{
	int64_t kept = clock_wall().v - atomic_load(&x->part->store->retention_us);
	if (row->floor_modseq <= x->expunged)
		return 0;
	if (x->at.v < kept)
		return fail_set(why, FAIL_NOTFOUND,
				"What was deleted since then is not kept any more.",
				"mailbox %llu: purged", (unsigned long long)row->id.v);
	x->expunged = row->floor_modseq;
	return 0;
}

static void fill(struct store_view *v, const struct past *x)
{
	v->past = true;
	v->info.uidnext.v = x->uidnext;
	v->info.highestmodseq.v = v->box->row.highestmodseq;
	v->expunge_modseq = x->expunged;
	v->n_keywords = v->box->n_keywords;
	for (size_t i = 0; i < x->entries.n && x->entries.p[i].uid < x->uidnext; i++) {
		const struct row_entry *e = &x->entries.p[i];
		if (e->expunged && e->expunged <= x->expunged)
			continue;
		v->info.exists++;
		v->digest += uid_digest(e->uid);
		if (!v->info.first_unseen && !(e->flags & STORE_SEEN))
			v->info.first_unseen = v->info.exists;
	}
}

static int open_past(struct past *x, struct str name, struct store_view **ret, struct fail *why)
{
	static const struct store_view_as reader = {.read_only = true, .may = UINT64_MAX};
	struct row_account acc;
	struct row_mailbox row;
	struct mbox *b;
	int r = view_find_row(x->part, x->account, name, &acc, &row, why);
	if (r < 0)
		return r;
	struct uid_range all = {x->account, row.id, 1, UINT32_MAX};
	x->uidnext = row.uidnext;
	if ((r = x->part->store->ops->entry_each(x->part->e, &all, take_entry, x, why)) < 0 ||
	    (r = find_uidnext(x, why)) < 0 || (r = check_history(x, &row, why)) < 0 ||
	    (r = box_get(x->part, x->account, &row, &b, why)) < 0)
		return r;
	pthread_rwlock_wrlock(&b->lock);
	if (b->stale)
		r = box_reload(b, why);
	struct store_view *v = view_new(b, x->account, &reader);
	v->epoch = acc.epoch;
	fill(v, x);
	if (r == 0)
		list_append(&b->views, &v->link);
	pthread_rwlock_unlock(&b->lock);
	if (r < 0) {
		box_unref(b);
		free(v);
		return r;
	}
	*ret = v;
	return 0;
}

int store_view_open_past(struct store *s, struct account_id account, struct str mailbox,
			 struct wall_us at, struct store_view **ret, struct fail *why)
{
	struct past x = {.account = account, .at = at};
	int r = part_of(s, account, &x.part, why);
	if (r < 0 || (r = part_enter(x.part, why)) < 0)
		return r;
	r = open_past(&x, mailbox, ret, why);
	part_leave(x.part);
	vec_clear(&x.entries);
	return r;
}
