/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.c - a view as bytes, and the same view again (docs/formats/store.md, "Exported views").
 */
#include "base/num.h"
#include "service/store/store_int.h"

#define EXPORT_MAGIC   0x56
#define EXPORT_VERSION 1
#define EXPORT_PAST    2 /* read-only, and of the past */

int store_view_export(const struct store_view *v, struct buf *out, struct fail *why)
{
	buf_put_u8(out, EXPORT_MAGIC);
	buf_put_u8(out, EXPORT_VERSION);
	buf_put_u8(out, v->past ? EXPORT_PAST : v->info.read_only);
	buf_put_u8(out, (uint8_t)v->n_keywords);
	buf_put_u64(out, v->info.account.v);
	buf_put_u64(out, v->info.mailbox.v);
	buf_put_u64(out, v->epoch);
	buf_put_u32(out, v->info.uidvalidity);
	buf_put_u32(out, v->info.uidnext.v);
	buf_put_u32(out, v->info.exists);
	buf_put_u32(out, v->info.recent);
	buf_put_u64(out, v->expunge_modseq);
	buf_put_u64(out, v->info.highestmodseq.v);
	buf_put_u64(out, v->digest);
	buf_put_u16(out, (uint16_t)v->recent.n);
	for (size_t i = 0; i < v->recent.n; i++) {
		buf_put_u32(out, v->recent.p[i].from);
		buf_put_u32(out, v->recent.p[i].to);
	}
	buf_put_u16(out, (uint16_t)MIN(v->own.n, (size_t)UINT16_MAX));
	for (size_t i = 0; i < MIN(v->own.n, (size_t)UINT16_MAX); i++)
		buf_put_u64(out, v->own.p[i]);
	if (out->failed)
		return fail_set(why, FAIL_LIMIT, NULL, "no room for an exported view");
	return 0;
}

static void read_spans(struct cursor *c, struct store_view *v)
{
	unsigned n = cursor_u16(c);
	for (unsigned i = 0; i < n && !c->bad; i++) {
		uint32_t from = cursor_u32(c);
		uint32_t to = cursor_u32(c);
		bool ordered = v->recent.n == 0 || from >= v->recent.p[v->recent.n - 1].to;
		if (from >= to || to > v->info.uidnext.v || !ordered)
			c->bad = true;
		view_add_recent(v, from, to);
	}
	n = cursor_u16(c);
	for (unsigned i = 0; i < n && !c->bad; i++)
		*vec_push(&v->own) = cursor_u64(c);
}

static int parse(struct str in, struct store_view *v, struct fail *why)
{
	struct cursor c = cursor_of(in);
	if (cursor_u8(&c) != EXPORT_MAGIC || cursor_u8(&c) != EXPORT_VERSION)
		return fail_set(why, FAIL_SYNTAX, NULL, "not an exported view of this version");
	uint8_t how = cursor_u8(&c);
	v->info.read_only = how != 0;
	v->past = how == EXPORT_PAST;
	v->n_keywords = cursor_u8(&c);
	v->info.account.v = cursor_u64(&c);
	v->info.mailbox.v = cursor_u64(&c);
	v->epoch = cursor_u64(&c);
	v->info.uidvalidity = cursor_u32(&c);
	v->info.uidnext.v = cursor_u32(&c);
	v->info.exists = cursor_u32(&c);
	v->info.recent = cursor_u32(&c);
	v->expunge_modseq = cursor_u64(&c);
	v->info.highestmodseq.v = cursor_u64(&c);
	v->digest = cursor_u64(&c);
	read_spans(&c, v);
	if (c.bad || cursor_left(&c) > 0 || v->info.mailbox.v > INT64_MAX || v->info.uidnext.v == 0)
		return fail_set(why, FAIL_SYNTAX, NULL, "an exported view is damaged");
	return 0;
}

static int conflict(const struct store_view *v, struct fail *why, const char *what)
{
	return fail_set(why, FAIL_CONFLICT, "The mailbox has changed too much.",
			"view of mailbox %llu: %s", (unsigned long long)v->info.mailbox.v, what);
}

static int check_row(const struct store_view *v, const struct row_mailbox *row,
		     const struct mbox *b, struct fail *why)
{
	if (row->uidvalidity != v->info.uidvalidity)
		return conflict(v, why, "uidvalidity");
	if (row->uidnext < v->info.uidnext.v || row->highestmodseq < v->info.highestmodseq.v ||
	    v->expunge_modseq > v->info.highestmodseq.v)
		return conflict(v, why, "numbers ran backwards");
	if (row->floor_modseq > v->expunge_modseq)
		return conflict(v, why, "history was purged");
	if (v->n_keywords > b->n_keywords)
		return conflict(v, why, "keywords");
	return 0;
}

struct tally {
	uint64_t expunge_modseq;
	uint32_t n;
	uint64_t digest;
};

static int take_member(void *arg, const struct row_entry *row)
{
	struct tally *t = arg;
	if (row->expunged && row->expunged <= t->expunge_modseq)
		return 0;
	t->n++;
	t->digest += uid_digest(row->uid);
	return 0;
}

/*
 * Are its messages still to be found? When nothing was expunged since, the row's sums less the new
 * messages answer that without reading the mailbox.
 */
static int check_members(struct store_view *v, const struct row_mailbox *row, struct fail *why)
{
	struct part *p = v->box->part;
	struct tally t = {.expunge_modseq = v->expunge_modseq};
	bool by_row = row->expunge_modseq <= v->expunge_modseq;
	uint32_t lo = by_row ? v->info.uidnext.v : 1;
	uint32_t hi = by_row ? UINT32_MAX : v->info.uidnext.v - 1;
	struct uid_range range = {v->info.account, v->info.mailbox, lo, hi};
	int r = lo > hi ? 0 : v->s->ops->entry_each(p->e, &range, take_member, &t, why);
	if (r < 0)
		return r;
	if (by_row) {
		t.n = row->exists - t.n;
		t.digest = row->digest - t.digest;
	}
	if (t.n != v->info.exists || t.digest != v->digest)
		return conflict(v, why, "other messages");
	return 0;
}

static int attach(struct store_view *v, struct part *p, const struct row_mailbox *row,
		  struct fail *why)
{
	struct mbox *b;
	int r = box_get(p, v->info.account, row, &b, why);
	if (r < 0)
		return r;
	v->s = p->store;
	v->box = b;
	pthread_rwlock_wrlock(&b->lock);
	if (b->stale)
		r = box_reload(b, why);
	if (r == 0)
		r = check_row(v, row, b, why);
	if (r == 0)
		r = check_members(v, row, why);
	if (r == 0) {
		list_append(&b->views, &v->link);
		for (size_t i = 0; view_takes_recent(v) && i < v->recent.n; i++)
			b->claimed = MAX(b->claimed, v->recent.p[i].to);
	}
	pthread_rwlock_unlock(&b->lock);
	if (r < 0)
		box_unref(b);
	return r;
}

static int restore(struct store_view *v, struct part *p, struct fail *why)
{
	const struct engine_ops *ops = p->store->ops;
	struct row_account acc;
	struct row_mailbox row;
	int r = ops->account_get(p->e, v->info.account, &acc, why);
	if (r > 0)
		r = ops->mailbox_get(p->e, v->info.account, v->info.mailbox, &row, why);
	if (r < 0)
		return r;
	if (r == 0 || row.deleted_modseq)
		return fail_set(why, FAIL_NOTFOUND, "The mailbox was deleted.", "restoring a view");
	if (acc.epoch != v->epoch)
		return conflict(v, why, "the account was restored from a backup");
	return attach(v, p, &row, why);
}

int store_view_restore(struct store *s, struct str exported, struct store_view **ret,
		       struct fail *why)
{
	struct store_view_as owner = {.may = UINT64_MAX};
	return store_view_restore_as(s, exported, &owner, ret, why);
}

int store_view_restore_as(struct store *s, struct str exported, const struct store_view_as *as,
			  struct store_view **ret, struct fail *why)
{
	struct store_view *v = xcalloc(1, sizeof *v);
	struct part *p;
	list_init(&v->link);
	v->viewer = as->viewer;
	v->may = as->may;
	int r = parse(exported, v, why);
	if (r == 0)
		r = part_of(s, v->info.account, &p, why);
	if (r == 0 && (r = part_enter(p, why)) == 0) {
		r = restore(v, p, why);
		part_leave(p);
	}
	if (r == 0) {
		*ret = v;
		return 0;
	}
	vec_clear(&v->recent);
	vec_clear(&v->own);
	free(v);
	return r;
}
