/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.c - what numbers mean in a view: sequence sets, UID sets, UID ranges that vanished.
 */
#include "service/store/store_int.h"

static int by_first(const void *a, const void *b)
{
	const struct store_range *x = a, *y = b;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sort, and join what overlaps or touches. */
static size_t merge(struct store_range *p, size_t n)
{
	if (n == 0)
		return 0;
	qsort(p, n, sizeof *p, by_first);
	size_t kept = 0;
	for (size_t i = 1; i < n; i++) {
		if (p[i].first <= p[kept].last || p[i].first - p[kept].last == 1)
			p[kept].last = MAX(p[kept].last, p[i].last);
		else
			p[++kept] = p[i];
	}
	return kept + 1;
}

static struct store_range ordered(struct store_range r, uint32_t star)
{
	uint32_t a = r.first == STORE_STAR ? star : r.first;
	uint32_t b = r.last == STORE_STAR ? star : r.last;
	return (struct store_range){MIN(a, b), MAX(a, b)};
}

/* Into sequence numbers; first > last when it is empty. */
static int to_seqs(struct store_view *v, struct store_range in, bool by_uid, uint32_t last_uid,
		   struct store_range *ret, struct fail *why)
{
	uint32_t exists = v->info.exists;
	struct store_range r = ordered(in, by_uid ? last_uid : exists);
	if (!by_uid) {
		if (exists == 0 || r.first == 0 || r.last > exists)
			return fail_set(why, FAIL_SYNTAX, "No such message.",
					"sequence number %u of %u", r.last, exists);
		*ret = r;
		return 0;
	}
	uint32_t above = r.last == UINT32_MAX ? exists : view_rank(v, r.last + 1);
	*ret = (struct store_range){view_rank(v, r.first) + 1, above};
	return 0;
}

static int make_runs(struct store_view *v, const struct store_range *seqs, size_t n,
		     struct arena *arena, struct store_set *ret, struct fail *why)
{
	const struct uid_map *m = &v->box->map;
	struct store_set set = {.n = n};
	set.runs = arena_array(arena, struct store_run, MAX(n, 1u));
	if (!set.runs)
		return fail_set(why, FAIL_LIMIT, NULL, "a message set has too many parts");
	for (size_t i = 0; i < n; i++) {
		set.runs[i] = (struct store_run){
			.seq = seqs[i].first,
			.count = seqs[i].last - seqs[i].first + 1,
			.first = {m->e.p[view_nth(v, seqs[i].first)].uid},
			.last = {m->e.p[view_nth(v, seqs[i].last)].uid},
		};
		set.count += set.runs[i].count;
	}
	*ret = set;
	return 0;
}

static int resolve_locked(struct store_view *v, struct store_ranges in, bool by_uid,
			  struct store_range *seqs, size_t *ret_n, struct fail *why)
{
	size_t kept = 0;
	uint32_t last_uid = 0;
	if (by_uid && v->info.exists > 0)
		last_uid = v->box->map.e.p[view_nth(v, v->info.exists)].uid;
	for (size_t i = 0; i < in.n; i++) {
		int r = to_seqs(v, in.p[i], by_uid, last_uid, &seqs[kept], why);
		if (r < 0)
			return r;
		if (seqs[kept].first <= seqs[kept].last)
			kept++;
	}
	*ret_n = merge(seqs, kept);
	return 0;
}

int store_view_resolve(struct store_view *v, const struct store_range *ranges, size_t n,
		       bool by_uid, struct arena *arena, struct store_set *ret, struct fail *why)
{
	AUTO_MEM struct store_range *seqs = xcalloc(n + 1, sizeof *seqs);
	int r = view_lock(v, true, why);
	if (r < 0)
		return r;
	size_t kept = 0;
	if (!by_uid || v->info.exists > 0)
		r = resolve_locked(v, (struct store_ranges){ranges, n}, by_uid, seqs, &kept, why);
	if (r == 0)
		r = make_runs(v, seqs, kept, arena, ret, why);
	view_unlock(v);
	return r;
}

int store_view_all(struct store_view *v, struct arena *arena, struct store_set *ret,
		   struct fail *why)
{
	struct store_range all = {1, STORE_STAR};
	return store_view_resolve(v, &all, 1, true, arena, ret, why);
}

int store_view_uid(struct store_view *v, uint32_t seq, struct uid *ret, struct fail *why)
{
	int r = view_lock(v, true, why);
	if (r < 0)
		return r;
	bool there = seq >= 1 && seq <= v->info.exists;
	ret->v = there ? v->box->map.e.p[view_nth(v, seq)].uid : 0;
	view_unlock(v);
	return 0;
}

int store_view_seq(struct store_view *v, struct uid uid, uint32_t *ret, struct fail *why)
{
	int r = view_lock(v, true, why);
	if (r < 0)
		return r;
	bool there = uid_map_find(&v->box->map, uid.v) && !view_hides(v, uid.v);
	*ret = there ? view_rank(v, uid.v) + 1 : 0;
	view_unlock(v);
	return 0;
}

/* ---- vanished ------------------------------------------------------------------------------ */

struct vanished {
	const struct store_view *v;
	uint64_t since;
	bool all;      /* history is too short: everything that is not there */
	uint32_t next; /* all: first UID not looked at */
	VEC(struct store_range) out;
};

static void add_vanished(struct vanished *w, uint32_t first, uint32_t last)
{
	struct store_range *end = w->out.n ? &w->out.p[w->out.n - 1] : NULL;
	if (end && end->last + 1 == first) {
		end->last = last;
		return;
	}
	struct store_range *r = vec_push(&w->out);
	*r = (struct store_range){first, last};
}

static int take_vanished(void *arg, const struct row_entry *row)
{
	struct vanished *w = arg;
	bool seen = row->expunged == 0 || row->expunged > w->v->expunge_modseq;
	if (w->all && seen) {
		if (row->uid > w->next)
			add_vanished(w, w->next, row->uid - 1);
		w->next = row->uid + 1;
	}
	if (!w->all && !seen && row->expunged > w->since)
		add_vanished(w, row->uid, row->uid);
	return 0;
}

/* out is ascending, known is merged: the parts of out that are known, in the arena. */
static int intersect(const struct vanished *w, struct store_ranges known, struct arena *arena,
		     struct store_ranges *ret)
{
	struct store_range *p = arena_array(arena, struct store_range, w->out.n + known.n + 1);
	size_t kept = 0, k = 0;
	if (!p)
		return -FAIL_LIMIT;
	for (size_t i = 0; i < w->out.n; i++) {
		struct store_range o = w->out.p[i];
		while (k < known.n && known.p[k].last < o.first)
			k++;
		for (size_t j = k; j < known.n && known.p[j].first <= o.last; j++)
			p[kept++] = (struct store_range){MAX(o.first, known.p[j].first),
							 MIN(o.last, known.p[j].last)};
	}
	*ret = (struct store_ranges){p, kept};
	return 0;
}

static int read_vanished(struct store_view *v, struct vanished *w, struct fail *why)
{
	struct part *p = v->box->part;
	struct row_mailbox row;
	int r = part_enter(p, why);
	if (r < 0)
		return r;
	r = v->s->ops->mailbox_get(p->e, v->info.account, v->info.mailbox, &row, why);
	if (r > 0) {
		w->all = row.floor_modseq > w->since;
		struct uid_range all = {v->info.account, v->info.mailbox, 1, v->info.uidnext.v - 1};
		r = v->s->ops->entry_each(p->e, &all, take_vanished, w, why);
	} else if (r == 0) {
		r = fail_set(why, FAIL_GONE, "The mailbox was deleted.", "vanished");
	}
	part_leave(p);
	return r;
}

int store_view_vanished(struct store_view *v, struct modseq since, struct store_ranges known,
			struct arena *arena, struct store_ranges *ret, struct fail *why)
{
	struct vanished w = {.v = v, .since = since.v, .next = 1};
	uint32_t last = MAX(v->info.uidnext.v, 2u) - 1;
	AUTO_MEM struct store_range *k = xcalloc(known.n + 1, sizeof *k);
	k[0] = (struct store_range){1, last};
	for (size_t i = 0; i < known.n; i++)
		k[i] = ordered(known.p[i], last);
	struct store_ranges merged = {k, merge(k, MAX(known.n, 1u))};
	int r = read_vanished(v, &w, why);
	if (r == 0 && w.all && w.next < v->info.uidnext.v)
		add_vanished(&w, w.next, v->info.uidnext.v - 1);
	if (r == 0)
		r = intersect(&w, merged, arena, ret);
	vec_clear(&w.out);
	if (r == -FAIL_LIMIT)
		return fail_set(why, FAIL_LIMIT, NULL, "too many vanished messages");
	return r < 0 ? r : !w.all;
}
