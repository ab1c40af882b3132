/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replace.c - REPLACE (RFC 8508): a message comes and another one goes, in one transaction.
 *
 * Nobody ever sees both or neither: the new entry and the end of the old one are rows of one
 * commit, and the account's limits are compared with what is left of it (RFC 8508 section 3.4).
 */
#include "service/store/store_int.h"

struct replace_job {
	struct store_job job;
	struct mailbox_id mailbox; /* of the view, where `old` is */
	uint32_t old;
	const struct store_append *a;
	struct row_entry entry; /* of `old`; uid 0: there is none */
	struct store_append_result result;
};

static int take_old(void *arg, const struct row_entry *row)
{
	struct replace_job *rj = arg;
	if (row->expunged == 0)
		rj->entry = *row;
	return 0;
}

static int find_old(struct tx *tx, struct replace_job *rj, struct fail *why)
{
	struct uid_range range = {rj->job.account, rj->mailbox, rj->old, rj->old};
	rj->entry.uid = 0;
	int r = tx->ops->entry_each(tx->e, &range, take_old, rj, why);
	if (r < 0)
		return r;
	if (rj->entry.uid == 0)
		return fail_set(why, FAIL_CONFLICT, "The message no longer exists.", "UID %u",
				rj->old);
	return 0;
}

static int check_quota(const struct replace_job *rj, const struct row_account *acc,
		       struct fail *why)
{
	struct row_account rest = *acc;
	rest.bytes -= rj->entry.size;
	rest.messages--;
	return quota_check(&rest, &rj->a->quota, content_size(&rj->a->messages[0].content), 1, why);
}

static int put_and_expunge(struct tx *tx, struct replace_job *rj, struct row_account *acc,
			   struct tx_box *from, struct tx_box *to, struct fail *why)
{
	acc->modseq++;
	rj->result = (struct store_append_result){.mailbox = to->row.id,
						  .uidvalidity = to->row.uidvalidity,
						  .first = {to->row.uidnext},
						  .modseq = {acc->modseq}};
	int r = tx_put_for(tx, acc, to, &rj->a->messages[0], rj->a->viewer, why);
	if (r == 0)
		r = tx_entry_expunge(tx, acc, from, &rj->entry, why);
	if (r == 0 && to != from)
		r = tx_box_end(tx, to, acc, why);
	return r < 0 ? r : tx_box_end(tx, from, acc, why);
}

static int apply_replace(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct replace_job *rj = CONTAINER_OF(job, struct replace_job, job);
	struct row_account acc;
	char buf[STORE_NAME_MAX + 1];
	struct str name;
	AUTO(tx_box) struct tx_box from = {0};
	AUTO(tx_box) struct tx_box other = {0};
	if (name_normal(rj->a->mailbox, buf, &name, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	int r = tx_account(tx, job->account, &acc, why);
	if (r == -FAIL_NOTFOUND)
		return fail_set(why, FAIL_GONE, NULL, "the account was deleted");
	if (r < 0 || (r = tx_box_by_id(tx, job->account, rj->mailbox, &from, why)) < 0 ||
	    (r = tx_box_by_name(tx, job->account, name, &other, why)) < 0 ||
	    (r = find_old(tx, rj, why)) < 0 || (r = check_quota(rj, &acc, why)) < 0)
		return r;
	struct tx_box *to = other.row.id.v == from.row.id.v ? &from : &other;
	return put_and_expunge(tx, rj, &acc, &from, to, why);
}

int store_view_replace(struct store_view *v, struct uid old, const struct store_append *a,
		       struct store_append_result *ret, struct fail *why)
{
	if (v->info.read_only)
		return fail_set(why, FAIL_PERM, "The mailbox is selected read-only.", "read-only");
	CHECK(a->n == 1);
	struct replace_job rj = {.job = {.account = v->info.account,
					 .apply = apply_replace,
					 .contents = &a->messages[0].content,
					 .n_contents = 1,
					 .content_stride = sizeof *a->messages},
				 .mailbox = v->info.mailbox,
				 .old = old.v,
				 .a = a};
	int r = job_run(v->s, &rj.job, why);
	if (r == 0)
		*ret = rj.result;
	return r;
}
