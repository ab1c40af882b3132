/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave.c - what a session of POP3 leaves behind, in one transaction.
 */
#include "service/store/change_int.h"

struct leave_job {
	struct change_job cj;
	const struct store_leaving *l;
	struct store_copy_result copy;
};

/* Give the rows that were read these flags; what has them is left alone. */
static int add_flags(struct tx *tx, struct change_job *cj, struct tx_box *b,
		     const struct row_account *acc, struct fail *why)
{
	bool any = false;
	for (size_t i = 0; i < cj->rows.n; i++) {
		struct row_entry *e = &cj->rows.p[i].e;
		if ((e->flags & cj->bits) == cj->bits)
			continue;
		tx_entry_flagged(tx, b, e, e->flags | cj->bits, acc->modseq);
		any = true;
	}
	if (!any)
		return 0;
	cj->modseq.v = acc->modseq;
	cj->how = STORE_FLAGS_ADD;
	return change_job_write(tx, cj, acc->modseq, why);
}

static int move_rows(struct tx *tx, struct change_job *cj, struct tx_box *b,
		     struct row_account *acc, struct fail *why)
{
	AUTO(tx_box) struct tx_box to = {0};
	struct copying c = {
		.tx = tx, .acc = acc, .from = b, .to = &to, .move = true, .may = UINT64_MAX};
	int r = tx_box_by_name(tx, cj->job.account, cj->target, &to, why);
	if (r == 0 && to.row.id.v == b->row.id.v)
		r = fail_set(why, FAIL_CONFLICT, NULL, "moved to where it is");
	if (r == 0)
		r = change_job_copy(&c, cj, why);
	if (r < 0 || cj->rows.n == 0)
		return r;
	cj->modseq.v = acc->modseq;
	return tx_box_end(tx, &to, acc, why);
}

static int apply_leave(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct change_job *cj = CONTAINER_OF(job, struct change_job, job);
	struct leave_job *lj = CONTAINER_OF(cj, struct leave_job, cj);
	const struct store_leaving *l = lj->l;
	struct row_account acc;
	AUTO(tx_box) struct tx_box b = {0};
	int r = change_job_begin(tx, cj, &acc, &b, why);
	cj->modseq.v = 0;
	cj->runs = l->gone->runs;
	cj->n_runs = l->gone->n;
	if (r < 0 || (r = change_job_read(tx, cj, why)) < 0)
		return r;
	acc.modseq++;
	if (l->mark) {
		r = tx_flags(tx, &b, l->mark, true, &cj->bits, why);
		if (r == 0)
			r = add_flags(tx, cj, &b, &acc, why);
	} else {
		r = l->target.n ? move_rows(tx, cj, &b, &acc, why)
				: change_job_expunge(tx, cj, &b, &acc, 0, why);
	}
	cj->runs = l->seen->runs;
	cj->n_runs = l->seen->n;
	cj->bits = r == 0 ? STORE_SEEN : 0;
	if (r < 0 || (r = change_job_read(tx, cj, why)) < 0 ||
	    (r = add_flags(tx, cj, &b, &acc, why)) < 0)
		return r;
	return cj->modseq.v ? tx_box_end(tx, &b, &acc, why) : 0;
}

int store_view_leave(struct store_view *v, const struct store_leaving *l, struct fail *why)
{
	char buf[STORE_NAME_MAX + 1];
	struct leave_job lj = {.l = l};
	int r = change_refuse_read_only(v, why);
	if (r < 0)
		return r;
	change_job_init(&lj.cj, v, NULL, apply_leave);
	lj.cj.copy = &lj.copy;
	if (l->target.n && (r = name_normal(l->target, buf, &lj.cj.target, why)) < 0)
		return r;
	r = job_run(v->s, &lj.cj.job, why);
	change_job_clear(&lj.cj);
	store_copy_result_clear(&lj.copy);
	return r;
}
