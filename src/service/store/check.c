/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - counting everything of an account again and comparing (store_check).
 */
#include "service/store/store_int.h"

struct seen_message {
	uint64_t id, body;
	uint64_t entries; /* found */
	uint64_t refs;	  /* recorded */
};
struct seen_body {
	struct row_body row;
	uint64_t messages;
};
struct seen_mailbox {
	struct row_mailbox row;
	struct row_mailbox count;
	uint32_t last_uid;
};

struct checking {
	struct part *p;
	struct account_id account;
	struct fail *why;
	struct row_account acc;
	VEC(struct seen_mailbox) mailboxes;
	VEC(struct seen_message) messages; /* ascending ids */
	VEC(struct seen_body) bodies;	   /* ascending ids */
	struct seen_mailbox *now;
	uint64_t bytes, count;
};

#define WRONG(c, ...) fail_set((c)->why, FAIL_CORRUPT, NULL, __VA_ARGS__)
#define LLU(x)	      ((unsigned long long)(x))

static int take_mailbox(void *arg, struct account_id a, const struct row_mailbox *row,
			struct str name)
{
	struct checking *c = arg;
	(void)a;
	(void)name;
	vec_push(&c->mailboxes)->row = *row;
	return 0;
}

static int take_message(void *arg, uint64_t id, uint64_t refs, uint64_t body)
{
	struct checking *c = arg;
	struct seen_message *m = vec_push(&c->messages);
	*m = (struct seen_message){.id = id, .body = body, .refs = refs};
	return 0;
}

static int take_body(void *arg, const struct row_body *row)
{
	struct checking *c = arg;
	vec_push(&c->bodies)->row = *row;
	return 0;
}

static struct seen_message *find_message(struct checking *c, uint64_t id)
{
	size_t i = vec_lower(&c->messages, .id, id);
	return i < c->messages.n && c->messages.p[i].id == id ? &c->messages.p[i] : NULL;
}

static struct seen_body *find_body(struct checking *c, uint64_t id)
{
	size_t i = vec_lower(&c->bodies, .row.id, id);
	return i < c->bodies.n && c->bodies.p[i].row.id == id ? &c->bodies.p[i] : NULL;
}

static int take_entry(void *arg, const struct row_entry *e)
{
	struct checking *c = arg;
	struct seen_mailbox *m = c->now;
	struct row_mailbox *n = &m->count;
	struct seen_message *msg = find_message(c, e->message);
	if (!msg)
		return WRONG(c, "mailbox %llu UID %u: no message %llu", LLU(m->row.id.v), e->uid,
			     LLU(e->message));
	msg->entries++;
	if (e->uid <= m->last_uid || e->uid >= m->row.uidnext)
		return WRONG(c, "mailbox %llu: UID %u with uidnext %u", LLU(m->row.id.v), e->uid,
			     m->row.uidnext);
	m->last_uid = e->uid;
	if (e->created == 0 || e->created > e->modseq || e->modseq > m->row.highestmodseq ||
	    e->expunged > m->row.expunge_modseq)
		return WRONG(c, "mailbox %llu UID %u: modseqs", LLU(m->row.id.v), e->uid);
	if (e->expunged)
		return 0;
	n->exists++;
	n->size += e->size;
	n->digest += uid_digest(e->uid);
	n->unseen += !(e->flags & STORE_SEEN);
	n->deleted += (e->flags & STORE_DELETED) != 0;
	n->deleted_size += e->flags & STORE_DELETED ? e->size : 0;
	n->recent += e->uid >= m->row.first_recent;
	if (!(e->flags & STORE_SEEN) && e->uid < m->row.unseen_hint)
		return WRONG(c, "mailbox %llu: UID %u is unseen, hint %u", LLU(m->row.id.v), e->uid,
			     m->row.unseen_hint);
	return 0;
}

static int check_mailbox(struct checking *c, struct seen_mailbox *m)
{
	const struct engine_ops *ops = c->p->store->ops;
	const struct row_mailbox *r = &m->row, *n = &m->count;
	c->now = m;
	struct uid_range all = {c->account, r->id, 1, UINT32_MAX};
	int res = ops->entry_each(c->p->e, &all, take_entry, c, c->why);
	if (res < 0)
		return res;
	if (r->exists != n->exists || r->size != n->size || r->digest != n->digest ||
	    r->unseen != n->unseen || r->deleted != n->deleted || r->recent != n->recent)
		return WRONG(c,
			     "mailbox %llu counts exists %u/%u size %llu/%llu unseen %u/%u deleted "
			     "%u/%u recent %u/%u digest %llx/%llx",
			     LLU(r->id.v), r->exists, n->exists, LLU(r->size), LLU(n->size),
			     r->unseen, n->unseen, r->deleted, n->deleted, r->recent, n->recent,
			     LLU(r->digest), LLU(n->digest));
	if (r->deleted_size != n->deleted_size)
		return WRONG(c, "mailbox %llu: deleted size %llu/%llu", LLU(r->id.v),
			     LLU(r->deleted_size), LLU(n->deleted_size));
	if (r->highestmodseq > c->acc.modseq || r->uidvalidity > c->acc.uidvalidity ||
	    r->id.v >= c->acc.next_mailbox)
		return WRONG(c, "mailbox %llu is ahead of its account", LLU(r->id.v));
	if (r->deleted_modseq == 0) {
		c->bytes += n->size;
		c->count += n->exists;
	}
	return 0;
}

static int check_messages(struct checking *c)
{
	for (size_t i = 0; i < c->messages.n; i++) {
		const struct seen_message *m = &c->messages.p[i];
		struct seen_body *b = find_body(c, m->body);
		if (m->entries != m->refs)
			return WRONG(c, "message %llu has %llu entries, %llu recorded", LLU(m->id),
				     LLU(m->entries), LLU(m->refs));
		if (!b)
			return WRONG(c, "message %llu: no body %llu", LLU(m->id), LLU(m->body));
		b->messages++;
	}
	for (size_t i = 0; i < c->bodies.n; i++) {
		const struct seen_body *b = &c->bodies.p[i];
		struct body_name n = {.account = c->account};
		memcpy(n.id, b->row.file, sizeof n.id);
		if (b->messages != b->row.refs)
			return WRONG(c, "body %llu has %llu messages, %llu recorded",
				     LLU(b->row.id), LLU(b->messages), LLU(b->row.refs));
		int r = b->row.is_file
				? blob_verify_size(c->p->store, &n, b->row.stored_size, c->why)
				: 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* What sessions see must be what is stored. */
static int check_shared(struct checking *c, const struct row_mailbox *row)
{
	struct mbox *b = box_find(c->p->store, c->account, row->id);
	if (!b)
		return 0;
	int r = 0;
	pthread_rwlock_rdlock(&b->lock);
	size_t live = b->map.e.n - b->map.t.n;
	if (!b->stale && !b->gone &&
	    (b->row.exists != row->exists || b->row.uidnext != row->uidnext ||
	     b->row.highestmodseq != row->highestmodseq || b->row.digest != row->digest ||
	     b->row.unseen != row->unseen || (b->map.loaded && live != row->exists)))
		r = WRONG(c, "mailbox %llu: memory and disk differ", LLU(row->id.v));
	pthread_rwlock_unlock(&b->lock);
	box_unref(b);
	return r;
}

static int check_account(struct checking *c)
{
	const struct engine_ops *ops = c->p->store->ops;
	struct engine *e = c->p->e;
	int r = ops->account_get(e, c->account, &c->acc, c->why);
	if (r == 0)
		return fail_set(c->why, FAIL_NOTFOUND, NULL, "no account %llu", LLU(c->account.v));
	if (r < 0 || (r = ops->message_each(e, c->account, take_message, c, c->why)) < 0 ||
	    (r = ops->body_each(e, c->account, false, take_body, c, c->why)) < 0 ||
	    (r = ops->mailbox_each(e, c->account, take_mailbox, c, c->why)) < 0 ||
	    (r = ops->mailbox_dead(e, c->account, (struct wall_us){INT64_MAX}, take_mailbox, c,
				   c->why)) < 0)
		return r;
	for (size_t i = 0; r == 0 && i < c->mailboxes.n; i++) {
		r = check_mailbox(c, &c->mailboxes.p[i]);
		if (r == 0)
			r = check_shared(c, &c->mailboxes.p[i].row);
	}
	if (r == 0 && (c->bytes != c->acc.bytes || c->count != c->acc.messages))
		return WRONG(c, "usage %llu bytes in %llu messages, counted %llu in %llu",
			     LLU(c->acc.bytes), LLU(c->acc.messages), LLU(c->bytes), LLU(c->count));
	return r < 0 ? r : check_messages(c);
}

int store_check(struct store *s, struct account_id account, struct fail *why)
{
	struct checking c = {.account = account, .why = why};
	int r = part_of(s, account, &c.p, why);
	if (r < 0 || (r = part_enter(c.p, why)) < 0)
		return r;
	r = check_account(&c);
	part_leave(c.p);
	vec_clear(&c.mailboxes);
	vec_clear(&c.messages);
	vec_clear(&c.bodies);
	return r;
}
