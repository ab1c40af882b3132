/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - opening, parking, closing views, and where a message stands in one.
 */
#include "service/store/store_int.h"

#define HINT_WORTH 1000 /* rows that a new unseen_hint must save */

/* ---- recent -------------------------------------------------------------------------------- */

bool view_recent(const struct store_view *v, uint32_t uid)
{
	for (size_t i = v->recent.n; i-- > 0;)
		if (uid >= v->recent.p[i].from)
			return uid < v->recent.p[i].to;
	return false;
}

void view_add_recent(struct store_view *v, uint32_t from, uint32_t to)
{
	if (from >= to)
		return;
	struct span *last = v->recent.n ? &v->recent.p[v->recent.n - 1] : NULL;
	if (last && last->to == from) {
		last->to = to;
		return;
	}
	struct span *s = vec_push(&v->recent);
	*s = (struct span){from, to};
}

/* ---- opening ------------------------------------------------------------------------------- */

int view_find_row(struct part *p, struct account_id a, struct str name, struct row_account *acc,
		  struct row_mailbox *row, struct fail *why)
{
	const struct engine_ops *ops = p->store->ops;
	char buf[STORE_NAME_MAX + 1];
	struct str normal;
	if (name_normal(name, buf, &normal, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	int r = ops->account_get(p->e, a, acc, why);
	if (r > 0)
		r = ops->mailbox_find(p->e, a, normal, row, why);
	if (r < 0)
		return r;
	if (r == 0 || row->noselect)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no mailbox %.*s",
				STR_ARG(normal));
	return 0;
}

/* The sequence number of the first message without \Seen: counted from the nearer end. */
static int first_unseen(struct mbox *b, struct fail *why)
{
	const struct engine_ops *ops = b->store->ops;
	const struct row_mailbox *row = &b->row;
	struct uid_range range = {{b->key.account}, row->id, row->unseen_hint, UINT32_MAX};
	uint32_t uid, n;
	if (b->unseen_modseq == row->highestmodseq)
		return 0;
	b->unseen_seq = 0;
	if (row->unseen > 0) {
		int r = ops->entry_first_unseen(b->part->e, &range, &uid, why);
		if (r < 0)
			return r;
		bool below = uid - 1 < row->uidnext - uid;
		range.lo = below ? 1 : uid;
		range.hi = below ? uid - 1 : UINT32_MAX;
		r = ops->entry_count_live(b->part->e, &range, &n, why);
		if (r < 0)
			return r;
		b->unseen_seq = uid == 0 ? 0 : below ? n + 1 : row->exists - n + 1;
		if (uid > row->unseen_hint && uid - row->unseen_hint > HINT_WORTH)
			box_write_later(b, uid, row->highestmodseq);
	}
	b->unseen_modseq = row->highestmodseq;
	return 0;
}

struct store_view *view_new(struct mbox *b, struct account_id a, const struct store_view_as *as)
{
	struct store_view *v = xcalloc(1, sizeof *v);
	v->s = b->store;
	v->box = b;
	v->info.account = a;
	v->info.mailbox = b->row.id;
	v->info.uidvalidity = b->row.uidvalidity;
	v->info.read_only = as->read_only;
	v->viewer = as->viewer;
	v->may = as->may;
	list_init(&v->link);
	return v;
}

/* box->lock held for writing, inside the partition. */
static int fill_view(struct store_view *v, struct fail *why)
{
	struct mbox *b = v->box;
	const struct row_mailbox *row = &b->row;
	int r = box_recent(b->part, v->info.account, row, &v->info.recent, why);
	if (r < 0 || (r = first_unseen(b, why)) < 0)
		return r;
	v->info.uidnext.v = row->uidnext;
	v->info.exists = row->exists;
	v->info.first_unseen = v->viewer.v ? 0 : b->unseen_seq;
	v->info.highestmodseq.v = row->highestmodseq;
	v->expunge_modseq = row->highestmodseq;
	v->digest = row->digest;
	v->n_keywords = b->n_keywords;
	view_add_recent(v, MAX(b->claimed, row->first_recent), row->uidnext);
	if (view_takes_recent(v))
		b->claimed = MAX(b->claimed, row->uidnext);
	return 0;
}

static int open_view(struct part *p, struct account_id a, struct str name,
		     const struct store_view_as *as, struct store_view **ret, struct fail *why)
{
	struct row_account acc;
	struct row_mailbox row;
	struct mbox *b;
	int r = view_find_row(p, a, name, &acc, &row, why);
	if (r < 0 || (r = box_get(p, a, &row, &b, why)) < 0)
		return r;
	pthread_rwlock_wrlock(&b->lock);
	if (b->stale)
		r = box_reload(b, why);
	struct store_view *v = view_new(b, a, as);
	v->epoch = acc.epoch;
	if (r == 0)
		r = fill_view(v, why);
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

int store_view_open(struct store *s, struct account_id account, struct str mailbox, bool read_only,
		    struct store_view **ret, struct fail *why)
{
	struct store_view_as owner = {.read_only = read_only, .may = UINT64_MAX};
	return store_view_open_as(s, account, mailbox, &owner, ret, why);
}

int store_view_open_as(struct store *s, struct account_id account, struct str mailbox,
		       const struct store_view_as *as, struct store_view **ret, struct fail *why)
{
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = open_view(p, account, mailbox, as, ret, why);
	part_leave(p);
	return r;
}

/* ---- parking and closing ------------------------------------------------------------------- */

void store_view_park(struct store_view *v)
{
	vec_clear(&v->hidden);
	vec_clear(&v->gone_seqs);
	vec_clear(&v->gone_uids);
	vec_clear(&v->flag_changes);
	v->hidden_valid = false;
	if (!v->attached)
		return;
	pthread_rwlock_wrlock(&v->box->lock);
	v->attached = false;
	view_drop_overlay(v);
	box_detach(v->box);
	pthread_rwlock_unlock(&v->box->lock);
}

void store_view_close(struct store_view *v)
{
	if (!v)
		return;
	struct mbox *b = v->box;
	if (v->attached && box_keep_warm(b))
		v->attached = false;
	store_view_park(v);
	pthread_rwlock_wrlock(&b->lock);
	list_remove(&v->link);
	view_drop_overlay(v);
	bool later = !b->gone && b->claimed > b->row.first_recent;
	pthread_rwlock_unlock(&b->lock);
	if (later)
		box_write_later(b, 0, 0);
	box_unref(b);
	vec_clear(&v->recent);
	vec_clear(&v->own);
	free(v);
}

void store_view_set_may(struct store_view *v, uint64_t may, bool read_only)
{
	v->may = may;
	v->info.read_only = read_only;
}

uint64_t store_view_get_may(const struct store_view *v)
{
	return v->may;
}

const struct store_view_info *store_view_get_info(const struct store_view *v)
{
	return &v->info;
}

const struct str *store_view_get_keywords(const struct store_view *v, size_t *ret_n)
{
	*ret_n = v->n_keywords;
	return v->box->keywords;
}

bool store_view_keywords_open(const struct store_view *v)
{
	return !v->info.read_only && v->box->n_keywords < STORE_KEYWORDS_MAX &&
	       v->may >> STORE_KEYWORD_FIRST;
}

/* ---- locking ------------------------------------------------------------------------------- */

static bool map_ready(const struct store_view *v)
{
	const struct uid_map *m = &v->box->map;
	return v->attached && m->loaded && m->floor <= v->expunge_modseq &&
	       (v->viewer.v == 0 || v->overlay_valid);
}

/* Read from disk what the view needs. */
static int refresh(struct store_view *v, bool with_map, struct fail *why)
{
	struct mbox *b = v->box;
	int r = part_enter(b->part, why);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&b->lock);
	if (b->stale)
		r = box_reload(b, why);
	if (r == 0 && with_map && !b->gone) {
		if (!v->attached)
			box_attach(b);
		v->attached = true;
		if (v->viewer.v && !v->overlay_valid)
			r = view_load_overlay(v, why);
		if (r == 0 && !map_ready(v))
			r = box_load_map(b, why);
	}
	pthread_rwlock_unlock(&b->lock);
	part_leave(b->part);
	return r;
}

/* The map must hold exactly the messages that the client was told of. */
static int check_membership(struct store_view *v, struct fail *why)
{
	size_t below = uid_map_lower(&v->box->map, v->info.uidnext.v);
	if (below - v->hidden.n == v->info.exists)
		return 0;
	return fail_set(why, FAIL_BUG, NULL, "mailbox %llu: the view has %u messages, the map %zu",
			(unsigned long long)v->info.mailbox.v, v->info.exists, below - v->hidden.n);
}

int view_lock(struct store_view *v, bool with_map, struct fail *why)
{
	struct mbox *b = v->box;
	for (;;) {
		pthread_rwlock_rdlock(&b->lock);
		if (b->gone) {
			pthread_rwlock_unlock(&b->lock);
			return fail_set(why, FAIL_GONE, "The mailbox was deleted.", "mailbox %llu",
					(unsigned long long)b->key.mailbox);
		}
		if (!b->stale && (!with_map || map_ready(v)))
			break;
		pthread_rwlock_unlock(&b->lock);
		int r = refresh(v, with_map, why);
		if (r < 0)
			return r;
	}
	if (!with_map)
		return 0;
	view_find_hidden(v);
	int r = check_membership(v, why);
	if (r < 0)
		pthread_rwlock_unlock(&b->lock);
	return r;
}

void view_unlock(struct store_view *v)
{
	pthread_rwlock_unlock(&v->box->lock);
}

/* ---- where a message stands ---------------------------------------------------------------- */

void view_find_hidden(struct store_view *v)
{
	const struct uid_map *m = &v->box->map;
	if (v->hidden_valid && v->hidden_generation == m->generation)
		return;
	v->hidden.n = 0;
	for (size_t i = 0; i < m->t.n && m->t.p[i].uid < v->info.uidnext.v; i++)
		if (m->t.p[i].expunged <= v->expunge_modseq)
			*vec_push(&v->hidden) = m->t.p[i].uid;
	v->hidden_valid = true;
	v->hidden_generation = m->generation;
}

/* Hidden UIDs below uid. */
static size_t hidden_below(const struct store_view *v, uint32_t uid)
{
	return vec_lower(&v->hidden, , uid);
}

bool view_hides(const struct store_view *v, uint32_t uid)
{
	if (uid >= v->info.uidnext.v)
		return true;
	size_t i = hidden_below(v, uid);
	return i < v->hidden.n && v->hidden.p[i] == uid;
}

uint32_t view_rank(const struct store_view *v, uint32_t uid)
{
	uid = MIN(uid, v->info.uidnext.v);
	return (uint32_t)(uid_map_lower(&v->box->map, uid) - hidden_below(v, uid));
}

/*
 * Before the k-th hidden one (from 0) stand pos(k) - k messages of the view, which never falls
 * with k: so the hidden ones before message seq are found by halving.
 */
size_t view_nth(const struct store_view *v, uint32_t seq)
{
	size_t lo = 0, hi = v->hidden.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (uid_map_lower(&v->box->map, v->hidden.p[mid]) - mid < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return seq - 1 + lo;
}
