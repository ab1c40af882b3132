/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting an account again: counters of its mailboxes and its usage, from the messages that are
 * there. One transaction; who has a mailbox open sees the corrected row.
 */
#include "service/store/store_int.h"

struct recount {
	struct store_job job;
	struct store_usage *before, *after;
};

struct recounting {
	struct row_mailbox row; /* being counted */
	VEC(struct mailbox_id) mailboxes;
};

static int take_mailbox(void *arg, struct account_id a, const struct row_mailbox *row,
			struct str name)
{
	struct recounting *c = arg;
	(void)a;
	(void)name;
	*vec_push(&c->mailboxes) = row->id;
	return 0;
}

static int count_entry(void *arg, const struct row_entry *e)
{
	struct recounting *c = arg;
	struct row_mailbox *n = &c->row;
	bool seen = e->flags & STORE_SEEN;
	if (e->expunged)
		return 0;
	n->exists++;
	n->size += e->size;
	n->digest += uid_digest(e->uid);
	n->unseen += !seen;
	n->deleted += (e->flags & STORE_DELETED) != 0;
	n->deleted_size += e->flags & STORE_DELETED ? e->size : 0;
	n->recent += e->uid >= n->first_recent;
	if (!seen && e->uid < n->unseen_hint)
		n->unseen_hint = e->uid;
	return 0;
}

static int recount_mailbox(struct tx *tx, struct recounting *c, struct row_account *acc,
			   struct mailbox_id id, struct fail *why)
{
	AUTO(tx_box) struct tx_box b = {0};
	struct uid_range all = {acc->id, id, 1, UINT32_MAX};
	int r = tx_box_by_id(tx, acc->id, id, &b, why);
	if (r == -FAIL_GONE)
		return 0; /* only a name in the tree */
	if (r < 0)
		return r;
	c->row = b.row;
	c->row.exists = c->row.unseen = c->row.deleted = c->row.recent = 0;
	c->row.size = c->row.deleted_size = c->row.digest = 0;
	r = tx->ops->entry_each(tx->e, &all, count_entry, c, why);
	if (r < 0)
		return r;
	acc->bytes += c->row.size;
	acc->messages += c->row.exists;
	b.row = c->row;
	return tx_box_end(tx, &b, acc, why);
}

static int apply(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct recount *rc = CONTAINER_OF(job, struct recount, job);
	struct recounting c = {0};
	struct row_account acc;
	int r = tx_account(tx, job->account, &acc, why);
	if (r < 0)
		return r;
	*rc->before = (struct store_usage){.bytes = acc.bytes, .messages = acc.messages};
	acc.bytes = acc.messages = 0;
	r = tx->ops->mailbox_each(tx->e, job->account, take_mailbox, &c, why);
	for (size_t i = 0; r >= 0 && i < c.mailboxes.n; i++)
		r = recount_mailbox(tx, &c, &acc, c.mailboxes.p[i], why);
	if (r >= 0)
		r = tx->ops->account_put(tx->e, &acc, why);
	*rc->after = (struct store_usage){.bytes = acc.bytes, .messages = acc.messages};
	vec_clear(&c.mailboxes);
	return r;
}

int store_account_recount(struct store *s, struct account_id account, struct store_usage *before,
			  struct store_usage *after, struct fail *why)
{
	struct recount rc = {
		.job = {.account = account, .apply = apply}, .before = before, .after = after};
	return job_run(s, &rc.job, why);
}
