/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.c - mailboxes that somebody has open: their row, keywords and UID map in memory, shared by
 * all views, brought up to date by publish after each commit.
 */
#include "service/store/store_int.h"

/* ---- registry ------------------------------------------------------------------------------ */

static struct str key_str(const struct box_key *k)
{
	return str_make((const char *)k, sizeof *k);
}

struct mbox *box_find(struct store *s, struct account_id a, struct mailbox_id m)
{
	struct box_key k = {a.v, m.v};
	pthread_mutex_lock(&s->box_lock);
	struct mbox *b = strmap_get(&s->boxes, key_str(&k));
	if (b)
		b->refs++;
	pthread_mutex_unlock(&s->box_lock);
	return b;
}

struct mbox *box_ref(struct mbox *b)
{
	pthread_mutex_lock(&b->store->box_lock);
	b->refs++;
	pthread_mutex_unlock(&b->store->box_lock);
	return b;
}

static void count_map(struct mbox *b, size_t before)
{
	size_t now = uid_map_bytes(&b->map);
	b->store->counts.map_bytes += now - before; /* wraps when it shrinks */
}

static void drop_map(struct mbox *b)
{
	size_t before = uid_map_bytes(&b->map);
	if (b->map.loaded)
		b->store->counts.maps--;
	uid_map_clear(&b->map);
	count_map(b, before);
}

void box_unref(struct mbox *b)
{
	struct store *s = b->store;
	pthread_mutex_lock(&s->box_lock);
	bool last = --b->refs == 0;
	if (last)
		strmap_remove(&s->boxes, key_str(&b->key));
	pthread_mutex_unlock(&s->box_lock);
	if (!last)
		return;
	drop_map(b);
	for (unsigned i = 0; i < b->n_keywords; i++)
		free((char *)(uintptr_t)b->keywords[i].p);
	free(b->keywords);
	pthread_rwlock_destroy(&b->lock);
	free(b);
}

void box_attach(struct mbox *b)
{
	b->map.users++;
}

void box_detach(struct mbox *b)
{
	if (--b->map.users == 0)
		drop_map(b);
}

/* ---- reading from the engine --------------------------------------------------------------- */

static void set_keyword(struct mbox *b, unsigned bit, const char *name)
{
	unsigned i = bit - STORE_KEYWORD_FIRST;
	if (i != b->n_keywords || i >= STORE_KEYWORDS_MAX)
		return;	  /* known, or not the next one */
	if (!b->keywords) /* most mailboxes have none, and many are open */
		b->keywords = xcalloc(STORE_KEYWORDS_MAX, sizeof *b->keywords);
	b->keywords[i] = str_c(xstrdup(name));
	b->n_keywords = i + 1;
}

static int take_keyword(void *arg, unsigned bit, struct str name)
{
	char text[STORE_KEYWORD_LEN + 1];
	if (name.n > STORE_KEYWORD_LEN)
		return -FAIL_CORRUPT;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	set_keyword(arg, bit, text);
	return 0;
}

static int read_keywords(struct mbox *b, struct fail *why)
{
	return b->store->ops->keyword_each(b->part->e, (struct account_id){b->key.account},
					   (struct mailbox_id){b->key.mailbox}, take_keyword, b,
					   why);
}

static struct mbox *new_box(struct part *p, const struct box_key *k, const struct row_mailbox *row)
{
	struct mbox *b = xcalloc(1, sizeof *b);
	b->key = *k;
	b->store = p->store;
	b->part = p;
	b->refs = 1;
	pthread_rwlock_init(&b->lock, NULL);
	b->row = *row;
	b->claimed = row->first_recent;
	list_init(&b->views);
	list_init(&b->warm);
	return b;
}

int box_get(struct part *p, struct account_id a, const struct row_mailbox *row, struct mbox **ret,
	    struct fail *why)
{
	struct mbox *b = box_find(p->store, a, row->id);
	if (b) {
		*ret = b;
		return 0;
	}
	struct box_key k = {a.v, row->id.v};
	b = new_box(p, &k, row);
	/* Only holders of the partition make boxes, so nobody has made this one meanwhile. */
	pthread_mutex_lock(&p->store->box_lock);
	strmap_put(&p->store->boxes, key_str(&b->key), b);
	pthread_mutex_unlock(&p->store->box_lock);
	int r = read_keywords(b, why);
	if (r < 0) {
		box_unref(b);
		return r;
	}
	*ret = b;
	return 0;
}

struct load {
	struct uid_map *map;
	uint64_t floor;
};

static int take_entry(void *arg, const struct row_entry *row)
{
	const struct load *l = arg;
	if (row->expunged == 0 || row->expunged > l->floor)
		uid_map_add(l->map, row);
	return 0;
}

int box_load_map(struct mbox *b, struct fail *why)
{
	struct uid_map *m = &b->map;
	struct load l = {m, box_floor(b)};
	size_t before = uid_map_bytes(m);
	if (m->loaded)
		b->store->counts.maps--;
	uid_map_clear(m);
	vec_reserve(&m->e, b->row.exists + 16);
	struct uid_range all = {{b->key.account}, {b->key.mailbox}, 1, UINT32_MAX};
	int r = b->store->ops->entry_map(b->part->e, &all, take_entry, &l, why);
	if (r < 0) {
		uid_map_clear(m);
		count_map(b, before);
		return r;
	}
	m->floor = l.floor;
	m->log_floor = b->row.highestmodseq;
	m->loaded = true;
	b->store->counts.maps++;
	count_map(b, before);
	return 0;
}

int box_reload(struct mbox *b, struct fail *why)
{
	struct row_mailbox row;
	int r = b->store->ops->mailbox_get(b->part->e, (struct account_id){b->key.account},
					   (struct mailbox_id){b->key.mailbox}, &row, why);
	if (r < 0)
		return r;
	if (r == 0 || row.deleted_modseq) {
		b->gone = true;
		b->stale = false;
		return 0;
	}
	r = read_keywords(b, why);
	b->row = row;
	overlays_stale(b);
	if (r == 0 && b->map.loaded)
		r = box_load_map(b, why);
	if (r == 0)
		b->stale = false;
	return r;
}

uint64_t box_floor(const struct mbox *b)
{
	uint64_t floor = UINT64_MAX;
	LIST_EACH (&b->views, n) {
		const struct store_view *v = CONTAINER_OF(n, struct store_view, link);
		floor = MIN(floor, v->expunge_modseq);
	}
	return MIN(floor, b->row.highestmodseq);
}

uint64_t box_needed(struct store *s, struct account_id a, struct mailbox_id m)
{
	struct mbox *b = box_find(s, a, m);
	if (!b)
		return UINT64_MAX;
	pthread_rwlock_rdlock(&b->lock);
	uint64_t needed = list_empty(&b->views) ? UINT64_MAX : box_floor(b);
	pthread_rwlock_unlock(&b->lock);
	box_unref(b);
	return needed;
}

int box_recent(struct part *p, struct account_id a, const struct row_mailbox *row, uint32_t *ret,
	       struct fail *why)
{
	struct mbox *b = box_find(p->store, a, row->id);
	uint32_t claimed = b ? b->claimed : 0;
	if (b)
		box_unref(b);
	*ret = row->recent;
	if (claimed <= row->first_recent)
		return 0;
	*ret = 0;
	if (claimed >= row->uidnext)
		return 0;
	struct uid_range rest = {a, row->id, claimed, UINT32_MAX};
	return p->store->ops->entry_count_live(p->e, &rest, ret, why);
}

/* ---- after a commit ------------------------------------------------------------------------ */

static void publish_row(struct mbox *b, const struct changed_row *c)
{
	b->row = c->row;
	if (c->row.deleted_modseq)
		b->gone = true;
	uid_map_compact(&b->map, box_floor(b));
}

static void publish_one(struct mbox *b, const struct tx *tx, const struct change *c)
{
	struct row_entry e = {.uid = c->uid,
			      .size = c->size,
			      .message = c->message,
			      .flags = c->flags,
			      .modseq = c->modseq};
	switch (c->kind) {
	case CHANGE_ADDED:
		if (b->map.loaded)
			uid_map_add(&b->map, &e);
		break;
	case CHANGE_FLAGS:
		if (b->map.loaded)
			uid_map_set_flags(&b->map, c->uid, c->flags, c->modseq);
		break;
	case CHANGE_EXPUNGED:
		if (b->map.loaded)
			uid_map_expunge(&b->map, c->uid, c->modseq);
		break;
	case CHANGE_KEYWORD:
		set_keyword(b, c->size, c->keyword);
		break;
	case CHANGE_OVERLAY:
		overlay_publish(b, c);
		break;
	case CHANGE_ROW:
		publish_row(b, &tx->rows.p[c->size]);
		break;
	}
}

void box_publish(struct tx *tx)
{
	size_t i = 0;
	while (i < tx->changes.n) {
		struct mbox *b = tx->changes.p[i].box;
		pthread_rwlock_wrlock(&b->lock);
		size_t before = uid_map_bytes(&b->map);
		/* A stale box reads everything again anyhow. */
		for (; i < tx->changes.n && tx->changes.p[i].box == b; i++)
			if (!b->stale)
				publish_one(b, tx, &tx->changes.p[i]);
		count_map(b, before);
		pthread_rwlock_unlock(&b->lock);
	}
}

void box_all_stale(struct part *p)
{
	struct store *s = p->store;
	VEC(struct mbox *) all = {0};
	pthread_mutex_lock(&s->box_lock);
	for (size_t i = 0; i < s->boxes.cap; i++) {
		struct mbox *b = s->boxes.slots[i].value;
		if (!b || b->part != p)
			continue;
		b->refs++;
		*vec_push(&all) = b;
	}
	pthread_mutex_unlock(&s->box_lock);
	for (size_t i = 0; i < all.n; i++) {
		pthread_rwlock_wrlock(&all.p[i]->lock);
		all.p[i]->stale = true;
		pthread_rwlock_unlock(&all.p[i]->lock);
		box_unref(all.p[i]);
	}
	vec_clear(&all);
}
