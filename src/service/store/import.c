/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.c - messages that lived elsewhere: with their UIDs where that is possible, and once each.
 */
#include "service/store/store_int.h"

struct import_job {
	struct store_job job;
	const struct store_import *in;
	struct store_import_result result;
};

struct used {
	uint32_t uidvalidity;
	bool found;
};

static bool is_looked_at(struct tx_box *b)
{
	if (!b->live)
		return false;
	pthread_rwlock_rdlock(&b->live->lock);
	bool any = !list_empty(&b->live->views);
	pthread_rwlock_unlock(&b->live->lock);
	return any;
}

static int had_validity(void *arg, struct account_id a, const struct row_mailbox *row,
			struct str name)
{
	struct used *u = arg;
	(void)a;
	(void)name;
	u->found |= row->uidvalidity == u->uidvalidity;
	return 0;
}

/*
 * Was this imported before? The mailbox of then was deleted or renamed, and may have given UIDs
 * that its source does not know. 1 = yes.
 */
static int was_adopted(struct tx *tx, struct account_id a, const struct store_import *in,
		       struct fail *why)
{
	struct used u = {.uidvalidity = in->uidvalidity};
	int r = tx->ops->mailbox_dead(tx->e, a, (struct wall_us){INT64_MAX}, had_validity, &u, why);
	for (size_t i = 0; r >= 0 && !u.found && i < in->n; i++) {
		if (!in->messages[i].keyed)
			continue;
		r = tx->ops->receipt_find(tx->e, a, &in->messages[i].key, NULL, why);
		u.found = r > 0;
	}
	return r < 0 ? r : u.found;
}

/*
 * A mailbox that never held a message and that nobody has open may take another UIDVALIDITY: no
 * client knows a UID of it.
 */
static int adopt(struct tx *tx, struct tx_box *b, struct row_account *acc,
		 const struct store_import *in, struct fail *why)
{
	if (in->uidvalidity == 0 || b->row.uidvalidity == in->uidvalidity || b->row.uidnext != 1 ||
	    is_looked_at(b))
		return 0;
	int r = was_adopted(tx, acc->id, in, why);
	if (r != 0)
		return MIN(r, 0);
	b->row.uidvalidity = in->uidvalidity;
	acc->uidvalidity = MAX(acc->uidvalidity, in->uidvalidity);
	return 0;
}

static int take_one(struct tx *tx, struct row_account *acc, struct tx_box *b,
		    struct store_import_message *m, struct fail *why)
{
	int r = m->keyed ? tx->ops->receipt_find(tx->e, acc->id, &m->key, NULL, why) : 0;
	m->given.v = 0;
	if (r != 0)
		return r < 0 ? r : 0;
	if (m->uid > b->row.uidnext && m->uid < UINT32_MAX)
		b->row.uidnext = m->uid;
	m->given.v = b->row.uidnext;
	if ((r = tx_put(tx, acc, b, &m->message, acc->modseq, why)) < 0 || !m->keyed)
		return r;
	return tx->ops->receipt_add(tx->e, acc->id, &m->key, NULL, why);
}

static int apply_import(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct import_job *ij = CONTAINER_OF(job, struct import_job, job);
	const struct store_import *in = ij->in;
	struct row_account acc;
	AUTO(tx_box) struct tx_box b = {0};
	char buf[STORE_NAME_MAX + 1];
	struct str name;
	if (name_normal(in->mailbox, buf, &name, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	int r = tx_account(tx, job->account, &acc, why);
	if (r < 0 || (r = tx_box_by_name(tx, job->account, name, &b, why)) < 0)
		return r;
	if ((r = adopt(tx, &b, &acc, in, why)) < 0)
		return r;
	ij->result.uidvalidity = b.row.uidvalidity;
	ij->result.adopted = in->uidvalidity != 0 && b.row.uidvalidity == in->uidvalidity;
	acc.modseq++;
	for (size_t i = 0; i < in->n; i++) {
		if (!ij->result.adopted)
			in->messages[i].uid = 0;
		if ((r = take_one(tx, &acc, &b, &in->messages[i], why)) < 0)
			return r;
	}
	if (ij->result.adopted && in->uidnext > b.row.uidnext && in->uidnext < UINT32_MAX)
		b.row.uidnext = in->uidnext;
	ij->result.uidnext = b.row.uidnext;
	return tx_box_end(tx, &b, &acc, why);
}

int store_import(struct store *s, const struct store_import *in, struct store_import_result *ret,
		 struct fail *why)
{
	if (in->n > STORE_IMPORT_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "%zu messages at once", in->n);
	struct import_job ij = {.job = {.account = in->account,
					.apply = apply_import,
					.contents = in->n ? &in->messages[0].message.content : NULL,
					.n_contents = in->n,
					.content_stride = sizeof *in->messages},
				.in = in};
	int r = job_run(s, &ij.job, why);
	if (r == 0)
		*ret = ij.result;
	return r;
}
