/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.c - what a viewer has of messages instead of their owner's: \Seen.
 *
 * A view of somebody else's mailbox holds the viewer's rows, by UID, while its map is in use. They
 * are read when the view needs them and kept up to date by publish; so they change under box->lock
 * as the map does. A message without a row is unseen.
 */
#include "service/store/store_int.h"

const struct row_overlay *overlay_find(const struct overlays *o, uint32_t uid)
{
	size_t i = vec_lower(o, .uid, uid);
	return i < o->n && o->p[i].uid == uid ? &o->p[i] : NULL;
}

static void put(struct overlays *o, const struct row_overlay *row)
{
	size_t i = vec_lower(o, .uid, row->uid);
	if (i == o->n || o->p[i].uid != row->uid) {
		(void)vec_push(o);
		memmove(&o->p[i + 1], &o->p[i], (o->n - 1 - i) * sizeof *o->p);
	}
	o->p[i] = *row;
}

static int take(void *arg, const struct row_overlay *row)
{
	struct overlays *o = arg;
	*vec_push(o) = *row;
	return 0;
}

int overlay_read(struct part *p, const struct uid_range *range, struct account_id viewer,
		 struct overlays *ret, struct fail *why)
{
	ret->n = 0;
	return p->store->ops->overlay_each(p->e, range, viewer, take, ret, why);
}

int view_load_overlay(struct store_view *v, struct fail *why)
{
	struct uid_range all = {v->info.account, v->info.mailbox, 1, UINT32_MAX};
	int r = overlay_read(v->box->part, &all, v->viewer, &v->overlay, why);
	v->overlay_valid = r >= 0;
	return r;
}

void view_drop_overlay(struct store_view *v)
{
	vec_clear(&v->overlay);
	v->overlay_valid = false;
}

void overlay_publish(struct mbox *b, const struct change *c)
{
	struct row_overlay row = {c->uid, (uint32_t)c->flags, c->modseq};
	LIST_EACH (&b->views, n) {
		struct store_view *v = CONTAINER_OF(n, struct store_view, link);
		if (v->viewer.v == c->message && v->overlay_valid)
			put(&v->overlay, &row);
	}
	uid_map_touch(&b->map, c->uid, c->modseq);
}

void overlays_stale(struct mbox *b)
{
	LIST_EACH (&b->views, n)
		CONTAINER_OF(n, struct store_view, link)->overlay_valid = false;
}

/* ---- flags as they are for somebody -------------------------------------------------------- */

void overlay_apply(const struct row_overlay *row, uint64_t *flags, uint64_t *modseq)
{
	*flags &= ~(uint64_t)STORE_SEEN;
	if (!row)
		return;
	*flags |= row->flags & STORE_SEEN;
	*modseq = MAX(*modseq, row->modseq);
}

void view_flags(const struct store_view *v, const struct map_entry *e, uint64_t *flags,
		uint64_t *modseq)
{
	*flags = e->flags;
	*modseq = e->modseq;
	if (v->viewer.v)
		overlay_apply(overlay_find(&v->overlay, e->uid), flags, modseq);
}

int tx_overlay_set(struct tx *tx, struct tx_box *b, struct account_id viewer,
		   const struct row_overlay *row, struct fail *why)
{
	int r = tx->ops->overlay_set(tx->e, b->account, b->row.id, viewer, row, why);
	if (r < 0)
		return r;
	b->row.highestmodseq = b->row.flags_modseq = row->modseq;
	b->kinds |= STORE_EVENT_FLAGS;
	struct change *c = tx_change(tx, b, CHANGE_OVERLAY);
	if (c) {
		c->uid = row->uid;
		c->message = viewer.v;
		c->flags = row->flags;
		c->modseq = row->modseq;
	}
	return 0;
}

int tx_put_for(struct tx *tx, struct row_account *acc, struct tx_box *b,
	       const struct store_append_message *in, struct account_id viewer, struct fail *why)
{
	bool seen = viewer.v && (in->flags.bits & STORE_SEEN);
	struct row_overlay row = {b->row.uidnext, STORE_SEEN, acc->modseq};
	struct store_append_message m = *in;
	if (seen)
		m.flags.bits &= ~(uint32_t)STORE_SEEN;
	int r = tx_put(tx, acc, b, &m, acc->modseq, why);
	return r < 0 || !seen ? r : tx_overlay_set(tx, b, viewer, &row, why);
}
