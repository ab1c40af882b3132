/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append.c - messages that come in: APPEND, and deliveries with their receipts.
 */
#include "service/store/store_int.h"

/* ---- APPEND ------------------------------------------------------------------------------- */

#define APPEND_MAX 1000

struct append_job {
	struct store_job job;
	const struct store_append *a;
	struct store_append_result result;
};

static int append_quota(const struct row_account *acc, const struct store_append *a,
			struct fail *why)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < a->n; i++)
		bytes += content_size(&a->messages[i].content);
	return quota_check(acc, &a->quota, bytes, a->n, why);
}

static int apply_append(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct append_job *aj = CONTAINER_OF(job, struct append_job, job);
	const struct store_append *a = aj->a;
	struct row_account acc;
	struct row_receipt was;
	AUTO(tx_box) struct tx_box b = {0};
	char buf[STORE_NAME_MAX + 1];
	struct str name;
	if (name_normal(a->mailbox, buf, &name, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	int r = tx_account(tx, job->account, &acc, why);
	if (r < 0 || (r = tx_box_by_name(tx, job->account, name, &b, why)) < 0)
		return r;
	aj->result =
		(struct store_append_result){.mailbox = b.row.id, .uidvalidity = b.row.uidvalidity};
	r = a->receipt ? tx->ops->receipt_find(tx->e, acc.id, a->receipt, &was, why) : 0;
	if (r > 0)
		aj->result = (struct store_append_result){.mailbox = was.mailbox,
							  .uidvalidity = was.uidvalidity,
							  .first = {was.first},
							  .repeated = true};
	if (r != 0 || (r = append_quota(&acc, a, why)) < 0)
		return MIN(r, 0);
	acc.modseq++;
	aj->result.first.v = b.row.uidnext;
	aj->result.modseq.v = acc.modseq;
	for (size_t i = 0; i < a->n; i++)
		if ((r = tx_put_for(tx, &acc, &b, &a->messages[i], a->viewer, why)) < 0)
			return r;
	was = (struct row_receipt){.at = tx->now,
				   .mailbox = b.row.id,
				   .uidvalidity = b.row.uidvalidity,
				   .first = aj->result.first.v,
				   .n = (uint32_t)a->n};
	if (a->receipt && (r = tx->ops->receipt_add(tx->e, acc.id, a->receipt, &was, why)) < 0)
		return r;
	return tx_box_end(tx, &b, &acc, why);
}

int store_append(struct store *s, const struct store_append *a, struct store_append_result *ret,
		 struct fail *why)
{
	if (a->n == 0 || a->n > APPEND_MAX)
		return fail_set(why, FAIL_LIMIT, NULL, "%zu messages at once", a->n);
	struct append_job aj = {.job = {.account = a->account,
					.apply = apply_append,
					.contents = &a->messages[0].content,
					.n_contents = a->n,
					.content_stride = sizeof *a->messages},
				.a = a};
	int r = job_run(s, &aj.job, why);
	if (r == 0)
		*ret = aj.result;
	return r;
}

/* ---- delivery ----------------------------------------------------------------------------- */

/* The folder asked for, made when that was asked for too; 1 = it is in *ret, 0 = use INBOX. */
static int find_folder(struct tx *tx, struct row_account *acc, const struct store_delivery *d,
		       struct tx_box *ret, struct fail *why)
{
	char buf[STORE_NAME_MAX + 1];
	struct str name;
	struct row_mailbox row;
	struct mailbox_id id;
	if (d->folder.n == 0 || name_normal(d->folder, buf, &name, NULL) < 0)
		return 0;
	int r = tx->ops->mailbox_find(tx->e, acc->id, name, &row, why);
	if (r < 0)
		return r;
	if (r == 0 || row.noselect) {
		if (!d->folder_create)
			return 0;
		if ((r = tx_mailbox_make(tx, acc, name, 0, &id, why)) < 0 ||
		    (r = tx->ops->subscription_set(tx->e, acc->id, name, true, why)) < 0)
			return r;
		tx_list_changed(tx, acc);
	}
	r = tx_box_by_name(tx, acc->id, name, ret, why);
	return r < 0 ? r : 1;
}

static int find_inbox(struct tx *tx, struct row_account *acc, struct tx_box *ret, struct fail *why)
{
	struct row_mailbox row;
	struct mailbox_id id;
	int r = tx->ops->mailbox_find(tx->e, acc->id, STR("INBOX"), &row, why);
	if (r == 0) {
		r = tx_mailbox_make(tx, acc, STR("INBOX"), 0, &id, why);
		tx_list_changed(tx, acc);
	}
	return r < 0 ? r : tx_box_by_name(tx, acc->id, STR("INBOX"), ret, why);
}

static int deliver_into(struct tx *tx, struct row_account *acc, struct store_delivery *d,
			struct fail *why)
{
	AUTO(tx_box) struct tx_box b = {0};
	int r = find_folder(tx, acc, d, &b, why);
	if (r == 0)
		r = find_inbox(tx, acc, &b, why);
	if (r < 0)
		return r;
	struct store_append_message m = {
		.content = d->content, .flags = d->flags, .internaldate = d->internaldate};
	d->mailbox = b.row.id;
	d->uidvalidity = b.row.uidvalidity;
	d->uid.v = b.row.uidnext;
	if ((r = tx_put(tx, acc, &b, &m, acc->modseq, why)) < 0)
		return r;
	return tx_box_end(tx, &b, acc, why);
}

static int apply_delivery(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct store_delivery *d = job->arg;
	struct row_account acc;
	d->uid.v = 0;
	int r = tx_account(tx, job->account, &acc, why);
	if (r < 0 || (r = tx->ops->receipt_find(tx->e, job->account, &d->receipt, NULL, why)) < 0)
		return r;
	d->repeated = r > 0;
	if (d->repeated)
		return 0;
	if ((r = quota_check(&acc, &d->quota, content_size(&d->content), 1, why)) < 0)
		return r;
	acc.modseq++;
	r = deliver_into(tx, &acc, d, why);
	return r < 0 ? r : tx->ops->receipt_add(tx->e, job->account, &d->receipt, NULL, why);
}

static void finish_delivery(struct store_job *job)
{
	struct store_delivery *d = job->arg;
	struct store *s = d->store_;
	int r = job->r;
	struct fail why = job->why;
	s->counts.deliveries += r == 0 && !d->repeated;
	s->counts.repeated += r == 0 && d->repeated;
	free(job);
	d->job_ = NULL;
	d->done(d, r, &why);
}

void store_deliver(struct store *s, struct store_delivery *d)
{
	struct store_job *job = xcalloc(1, sizeof *job);
	*job = (struct store_job){.account = d->account,
				  .apply = apply_delivery,
				  .finish = finish_delivery,
				  .arg = d,
				  .contents = &d->content,
				  .n_contents = 1};
	d->store_ = s;
	d->job_ = job;
	d->repeated = false;
	struct part *p;
	job->r = part_of(s, d->account, &p, &job->why);
	if (job->r < 0)
		finish_delivery(job);
	else
		job_submit(p, job, false);
}

/* ---- receipts ----------------------------------------------------------------------------- */

struct drop_job {
	struct store_job job;
	size_t n;
	struct store_receipt receipts[];
};

static int apply_drop(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct drop_job *dj = CONTAINER_OF(job, struct drop_job, job);
	for (size_t i = 0; i < dj->n; i++) {
		int r = tx->ops->receipt_remove(tx->e, job->account, &dj->receipts[i], why);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A drop that failed leaves a receipt behind: a few bytes until queue drops it again. */
static void finish_drop(struct store_job *job)
{
	free(CONTAINER_OF(job, struct drop_job, job));
}

int store_receipt_drop(struct store *s, struct account_id account,
		       const struct store_receipt *receipts, size_t n, struct fail *why)
{
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0 || n == 0)
		return r;
	struct drop_job *dj = xcalloc(1, sizeof *dj + n * sizeof *receipts);
	dj->job =
		(struct store_job){.account = account, .apply = apply_drop, .finish = finish_drop};
	dj->n = n;
	memcpy(dj->receipts, receipts, n * sizeof *receipts);
	job_submit(p, &dj->job, true);
	return 0;
}

/* ---- taking back -------------------------------------------------------------------------- */

struct undo_job {
	struct store_job job;
	const struct store_receipt *receipt;
	VEC(struct row_entry) rows;
};

static int take_live(void *arg, const struct row_entry *row)
{
	struct undo_job *uj = arg;
	if (row->expunged == 0)
		*vec_push(&uj->rows) = *row;
	return 0;
}

/* A mailbox that is gone, or another one of its name, holds nothing of it. */
static int take_back(struct tx *tx, struct undo_job *uj, const struct row_receipt *was,
		     struct fail *why)
{
	struct uid_range range = {uj->job.account, was->mailbox, was->first,
				  was->first + was->n - 1};
	struct row_account acc;
	AUTO(tx_box) struct tx_box b = {0};
	int r = tx_account(tx, uj->job.account, &acc, why);
	if (r == 0)
		r = tx_box_by_id(tx, uj->job.account, was->mailbox, &b, why);
	if (r == -FAIL_NOTFOUND || r == -FAIL_GONE ||
	    (r == 0 && b.row.uidvalidity != was->uidvalidity))
		return 0;
	if (r < 0 || (r = tx->ops->entry_each(tx->e, &range, take_live, uj, why)) < 0 ||
	    uj->rows.n == 0)
		return r;
	acc.modseq++;
	for (size_t i = 0; r >= 0 && i < uj->rows.n; i++)
		r = tx_entry_expunge(tx, &acc, &b, &uj->rows.p[i], why);
	return r < 0 ? r : tx_box_end(tx, &b, &acc, why);
}

static int apply_undo(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct undo_job *uj = CONTAINER_OF(job, struct undo_job, job);
	struct row_receipt was;
	uj->rows.n = 0;
	int r = tx->ops->receipt_find(tx->e, job->account, uj->receipt, &was, why);
	if (r <= 0 || was.n == 0)
		return MIN(r, 0);
	r = take_back(tx, uj, &was, why);
	return r < 0 ? r : tx->ops->receipt_remove(tx->e, job->account, uj->receipt, why);
}

int store_receipt_undo(struct store *s, struct account_id account,
		       const struct store_receipt *receipt, struct fail *why)
{
	struct undo_job uj = {.job = {.account = account, .apply = apply_undo}, .receipt = receipt};
	int r = job_run(s, &uj.job, why);
	vec_clear(&uj.rows);
	return MIN(r, 0);
}
