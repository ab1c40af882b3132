/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - bringing a view up to date: expunges, new messages, recent, flags, in this order.
 */
#include "service/store/store_int.h"

static bool nothing_new(const struct store_view *v, const struct row_mailbox *row, bool expunge)
{
	return row->highestmodseq == v->info.highestmodseq.v && row->uidnext == v->info.uidnext.v &&
	       v->box->n_keywords == v->n_keywords &&
	       (!expunge || row->expunge_modseq <= v->expunge_modseq);
}

/* New messages alone, recent for us all or none, are counted by the row; else one must look. */
static bool needs_map(const struct store_view *v, const struct row_mailbox *row)
{
	uint32_t claimed = v->box->claimed;
	return row->flags_modseq > v->info.highestmodseq.v ||
	       row->expunge_modseq > v->expunge_modseq ||
	       (claimed > v->info.uidnext.v && claimed < row->uidnext);
}

/* ---- expunges ------------------------------------------------------------------------------ */

static void sync_expunges(struct store_view *v, const struct row_mailbox *row)
{
	const struct uid_map *m = &v->box->map;
	uint64_t told = v->expunge_modseq;
	for (size_t i = 0; row->expunge_modseq > told && i < m->t.n; i++) {
		uint32_t uid = m->t.p[i].uid;
		if (uid >= v->info.uidnext.v)
			break;
		if (m->t.p[i].expunged <= told)
			continue;
		*vec_push(&v->gone_seqs) = view_rank(v, uid) + 1;
		vec_push(&v->gone_uids)->v = uid;
		v->digest -= uid_digest(uid);
		if (view_recent(v, uid)) {
			v->info.recent--;
			v->changes.recent_changed = true;
		}
	}
	v->info.exists -= (uint32_t)v->gone_seqs.n;
	v->expunge_modseq = row->highestmodseq;
	v->hidden_valid = false;
}

/* ---- new messages -------------------------------------------------------------------------- */

/* Messages of the map with from <= uid < to that the view may see. */
static uint32_t count_visible(struct store_view *v, uint32_t from, uint32_t to, uint64_t *digest)
{
	const struct uid_map *m = &v->box->map;
	uint32_t n = 0;
	for (size_t i = uid_map_lower(m, from); i < m->e.n && m->e.p[i].uid < to; i++) {
		uint64_t expunged = uid_map_expunged(m, m->e.p[i].uid);
		if (expunged && expunged <= v->expunge_modseq)
			continue;
		n++;
		*digest += uid_digest(m->e.p[i].uid);
	}
	return n;
}

/* UIDs that this view shows as recent and that no other session with write access will. */
static struct span take_recent(struct store_view *v, uint32_t from, uint32_t to)
{
	uint32_t claimed = v->box->claimed;
	if (v->recent.n >= RECENT_SPANS_MAX)
		return (struct span){to, to};
	if (!view_takes_recent(v))
		return (struct span){MIN(MAX(claimed, from), to), to};
	while (claimed < to)
		if (atomic_compare_exchange_weak(&v->box->claimed, &claimed, to))
			return (struct span){MAX(claimed, from), to};
	return (struct span){to, to};
}

static void sync_new(struct store_view *v, const struct row_mailbox *row, bool with_map)
{
	uint32_t from = v->info.uidnext.v, to = row->uidnext;
	if (from == to)
		return;
	uint64_t ignored = 0;
	uint32_t n = row->exists - v->info.exists;
	uint64_t digest = row->digest;
	if (with_map) {
		digest = v->digest;
		n = count_visible(v, from, to, &digest);
	}
	struct span mine = take_recent(v, from, to);
	uint32_t recent = n;
	if (mine.from != from)
		recent = with_map ? count_visible(v, mine.from, mine.to, &ignored) : 0;
	view_add_recent(v, mine.from, mine.to);
	v->digest = digest;
	v->info.uidnext.v = to;
	v->info.exists += n;
	v->info.recent += recent;
	v->changes.exists_changed = n > 0;
	v->changes.recent_changed |= recent > 0;
	v->hidden_valid = false;
}

/* ---- flags --------------------------------------------------------------------------------- */

static bool is_own(const struct store_view *v, uint64_t modseq)
{
	for (size_t i = 0; i < v->own.n; i++)
		if (v->own.p[i] == modseq)
			return true;
	return false;
}

static void add_flag_change(struct store_view *v, const struct map_entry *e)
{
	struct store_flag_change *c = vec_push(&v->flag_changes);
	c->seq = view_rank(v, e->uid) + 1;
	c->uid.v = e->uid;
	view_flags(v, e, &c->flags, &c->modseq.v);
	c->flags |= view_recent(v, e->uid) ? STORE_RECENT : 0;
}

static bool flag_is_news(const struct store_view *v, const struct map_entry *e, uint32_t before)
{
	uint64_t flags, modseq;
	view_flags(v, e, &flags, &modseq);
	return e->uid < before && modseq > v->info.highestmodseq.v && !is_own(v, modseq) &&
	       !view_hides(v, e->uid);
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* `before`: messages from here on were not known before this sync. */
static void flags_from_log(struct store_view *v, uint32_t before)
{
	const struct uid_map *m = &v->box->map;
	VEC(uint32_t) uids = {0};
	for (size_t i = m->log.n; i-- > 0 && m->log.p[i].modseq > v->info.highestmodseq.v;)
		*vec_push(&uids) = m->log.p[i].uid;
	if (uids.n > 0)
		qsort(uids.p, uids.n, sizeof *uids.p, by_uid);
	for (size_t i = 0; i < uids.n; i++) {
		const struct map_entry *e = uid_map_find(m, uids.p[i]);
		if ((i == 0 || uids.p[i] != uids.p[i - 1]) && e && flag_is_news(v, e, before))
			add_flag_change(v, e);
	}
	vec_clear(&uids);
}

static void sync_flags(struct store_view *v, uint32_t before)
{
	const struct uid_map *m = &v->box->map;
	view_find_hidden(v);
	if (v->info.highestmodseq.v >= m->log_floor) {
		flags_from_log(v, before);
		return;
	}
	for (size_t i = 0; i < m->e.n; i++)
		if (flag_is_news(v, &m->e.p[i], before))
			add_flag_change(v, &m->e.p[i]);
}

/* ---- all together -------------------------------------------------------------------------- */

static void start(struct store_view *v)
{
	v->gone_seqs.n = 0;
	v->gone_uids.n = 0;
	v->flag_changes.n = 0;
	v->changes = (struct store_changes){0};
}

static void advance(struct store_view *v, bool expunge, bool with_map)
{
	const struct row_mailbox *row = &v->box->row;
	uint32_t before = v->info.uidnext.v;
	if (expunge)
		sync_expunges(v, row);
	v->changes.expunges_pending = row->expunge_modseq > v->expunge_modseq;
	sync_new(v, row, with_map);
	if (row->flags_modseq > v->info.highestmodseq.v)
		sync_flags(v, before);
	v->info.highestmodseq.v = row->highestmodseq;
	v->own.n = 0; /* they are all told now */
	v->changes.keywords_changed = v->n_keywords != v->box->n_keywords;
	v->n_keywords = v->box->n_keywords;
}

static int finish(struct store_view *v, const struct store_changes **ret)
{
	struct store_changes *c = &v->changes;
	c->expunged = v->gone_seqs.p;
	c->expunged_uids = v->gone_uids.p;
	c->n_expunged = v->gone_seqs.n;
	c->flags = v->flag_changes.p;
	c->n_flags = v->flag_changes.n;
	c->exists = v->info.exists;
	c->recent = v->info.recent;
	c->highestmodseq = v->info.highestmodseq;
	c->told.v = c->expunges_pending ? v->expunge_modseq : v->info.highestmodseq.v;
	*ret = c;
	return c->n_expunged || c->exists_changed || c->recent_changed || c->keywords_changed ||
	       c->n_flags;
}

int store_view_sync(struct store_view *v, unsigned how, const struct store_changes **ret,
		    struct fail *why)
{
	bool expunge = how & STORE_SYNC_EXPUNGE;
	bool with_map = false;
	start(v);
	int r = view_lock(v, false, why);
	if (r < 0)
		return r;
	if (v->past) {
		view_unlock(v);
		return finish(v, ret);
	}
	if (nothing_new(v, &v->box->row, expunge)) {
		v->changes.expunges_pending = v->box->row.expunge_modseq > v->expunge_modseq;
		view_unlock(v);
		return finish(v, ret);
	}
	if (needs_map(v, &v->box->row)) {
		view_unlock(v);
		with_map = true;
		r = view_lock(v, true, why);
		if (r < 0)
			return r;
	}
	advance(v, expunge, with_map);
	view_unlock(v);
	return finish(v, ret);
}
