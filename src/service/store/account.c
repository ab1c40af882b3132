/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.c - accounts: making them with their folders, removing them, usage.
 */
#include "service/store/store_int.h"

const struct store_folder store_default_folders[] = {
	{"INBOX", 0},
	{"Sent", STORE_USE_SENT},
	{"Drafts", STORE_USE_DRAFTS},
	{"Junk", STORE_USE_JUNK},
	{"Trash", STORE_USE_TRASH},
	{"Archive", STORE_USE_ARCHIVE},
	{NULL, 0},
};

struct ensure_job {
	struct store_job job;
	const struct store_folder *folders;
};

static int make_folder(struct tx *tx, struct row_account *acc, struct str name, unsigned use,
		       struct fail *why)
{
	char normal[STORE_NAME_MAX + 1];
	struct str full;
	struct row_mailbox row;
	struct mailbox_id id;
	int r = name_normal(name, normal, &full, why);
	if (r < 0 || (r = tx->ops->mailbox_find(tx->e, acc->id, full, &row, why)) != 0)
		return r;
	r = tx_mailbox_make(tx, acc, full, use, &id, why);
	if (r < 0)
		return r;
	r = tx->ops->subscription_set(tx->e, acc->id, full, true, why);
	return r < 0 ? r : 0;
}

static int apply_ensure(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct ensure_job *ej = CONTAINER_OF(job, struct ensure_job, job);
	struct row_account acc = {.id = job->account};
	int r = tx->ops->account_get(tx->e, job->account, &acc, why);
	if (r != 0)
		return r;
	acc = (struct row_account){
		.id = job->account, .epoch = 1, .modseq = 1, .next_mailbox = 1, .created = tx->now};
	/* The row first: others refer to it. */
	r = tx->ops->account_put(tx->e, &acc, why);
	if (r == 0)
		r = make_folder(tx, &acc, STR("INBOX"), 0, why);
	for (const struct store_folder *f = ej->folders; r >= 0 && f && f->name; f++)
		r = make_folder(tx, &acc, str_c(f->name), f->use, why);
	if (r < 0)
		return r;
	tx_list_changed(tx, &acc);
	return tx->ops->account_put(tx->e, &acc, why);
}

/* 1 = it is there. */
static int find_account(struct store *s, struct account_id a, struct row_account *ret,
			struct fail *why)
{
	struct part *p;
	int r = part_of(s, a, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	r = s->ops->account_get(p->e, a, ret, why);
	part_leave(p);
	return r;
}

int store_account_ensure(struct store *s, struct account_id account,
			 const struct store_folder *folders, struct fail *why)
{
	struct row_account acc;
	int r = find_account(s, account, &acc, why);
	if (r != 0)
		return r < 0 ? r : 0;
	struct ensure_job ej = {.job = {.account = account, .apply = apply_ensure},
				.folders = folders};
	r = job_run(s, &ej.job, why);
	return r < 0 ? r : 0;
}

int store_account_usage(struct store *s, struct account_id account, struct store_usage *ret,
			struct fail *why)
{
	struct row_account acc;
	int r = find_account(s, account, &acc, why);
	if (r < 0)
		return r;
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no account %llu",
				(unsigned long long)account.v);
	*ret = (struct store_usage){.bytes = acc.bytes,
				    .messages = acc.messages,
				    .epoch = acc.epoch,
				    .modseq = {acc.modseq},
				    .created = acc.created};
	return 0;
}

/* ---- deleting ------------------------------------------------------------------------------ */

struct wipe {
	struct tx *tx;
	struct account_id account;
	VEC(struct mailbox_id) mailboxes;
};

static int take_file(void *arg, const struct row_body *row)
{
	struct wipe *w = arg;
	if (!row->is_file)
		return 0;
	struct body_name *n = vec_push(&w->tx->unlinks);
	memcpy(n->id, row->file, sizeof n->id);
	n->account = w->account;
	return 0;
}

static int take_mailbox(void *arg, struct account_id a, const struct row_mailbox *row,
			struct str name)
{
	struct wipe *w = arg;
	(void)a;
	(void)name;
	*vec_push(&w->mailboxes) = row->id;
	return 0;
}

/* Whoever has one of the mailboxes open learns that it is gone. */
static void publish_gone(struct tx *tx, struct account_id a, const struct row_account *acc,
			 struct mailbox_id m)
{
	struct changed_row *row = vec_push(&tx->rows);
	*row = (struct changed_row){.account = a,
				    .row = {.id = m, .deleted_modseq = acc->modseq + 1},
				    .kinds = STORE_EVENT_EXPUNGE | STORE_EVENT_MAILBOXES,
				    .modseq = acc->modseq + 1};
	struct mbox *b = box_find(tx->s, a, m);
	if (!b)
		return;
	struct change *c = vec_push(&tx->changes);
	c->kind = CHANGE_ROW;
	c->box = b;
	c->size = (uint32_t)(tx->rows.n - 1);
}

static int apply_delete(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct row_account acc;
	int r = tx_account(tx, job->account, &acc, why);
	if (r < 0)
		return r;
	struct wipe w = {.tx = tx, .account = job->account};
	if ((r = tx->ops->mailbox_each(tx->e, job->account, take_mailbox, &w, why)) >= 0 &&
	    (r = tx->ops->body_each(tx->e, job->account, true, take_file, &w, why)) >= 0)
		r = tx->ops->account_wipe(tx->e, job->account, why);
	tx_dropped(tx, (struct message_id){0});
	for (size_t i = 0; r >= 0 && i < w.mailboxes.n; i++)
		publish_gone(tx, job->account, &acc, w.mailboxes.p[i]);
	vec_clear(&w.mailboxes);
	return r;
}

int store_account_delete(struct store *s, struct account_id account, struct fail *why)
{
	struct store_job job = {.account = account, .apply = apply_delete};
	return job_run(s, &job, why);
}
