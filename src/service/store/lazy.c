/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lazy.c - rows that may be written late, because losing them costs no promise: what sessions have
 * shown as recent (lost: shown as recent once more) and how far everything is seen (lost: a scan).
 */
#include "service/store/store_int.h"

struct lazy_job {
	struct store_job job;
	struct mbox *box; /* keeps `claimed` until it is written */
	uint32_t hint;
	uint64_t hint_modseq;
};

static int apply_lazy(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct lazy_job *lj = CONTAINER_OF(job, struct lazy_job, job);
	struct row_account acc;
	AUTO(tx_box) struct tx_box b = {0};
	struct mailbox_id id = {lj->box->key.mailbox};
	int r = tx_account(tx, job->account, &acc, why);
	if (r < 0 || (r = tx_box_by_id(tx, job->account, id, &b, why)) < 0)
		return r;
	if (lj->hint && lj->hint_modseq == b.row.highestmodseq)
		b.row.unseen_hint = lj->hint;
	return tx_box_end(tx, &b, &acc, why);
}

static void finish_lazy(struct store_job *job)
{
	struct lazy_job *lj = CONTAINER_OF(job, struct lazy_job, job);
	box_unref(lj->box);
	free(lj);
}

void box_write_later(struct mbox *b, uint32_t unseen_hint, uint64_t hint_modseq)
{
	struct lazy_job *lj = xcalloc(1, sizeof *lj);
	lj->job = (struct store_job){
		.account = {b->key.account}, .apply = apply_lazy, .finish = finish_lazy};
	lj->box = box_ref(b);
	lj->hint = unseen_hint;
	lj->hint_modseq = hint_modseq;
	job_submit(b->part, &lj->job, true);
}
