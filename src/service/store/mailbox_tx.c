/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox_tx.c - changing the list of mailboxes: create, delete, rename, subscribe.
 */
#include "service/store/store_int.h"

struct mailbox_job {
	struct store_job job;
	struct str name; /* as the caller gave it */
	struct str to;
	unsigned use;
	bool on;
	struct mailbox_id id;
};

/* ---- create -------------------------------------------------------------------------------- */

static uint32_t next_uidvalidity(struct tx *tx, struct row_account *acc)
{
	uint32_t now = (uint32_t)(tx->now.v / SEC_US);
	acc->uidvalidity = MAX(acc->uidvalidity + 1, now);
	return acc->uidvalidity;
}

static int add_row(struct tx *tx, struct row_account *acc, struct str name, unsigned use,
		   struct mailbox_id *ret, struct fail *why)
{
	if (acc->next_mailbox >= UINT64_C(1) << 62)
		return fail_set(why, FAIL_LIMIT, NULL, "no mailbox id left");
	struct row_mailbox row = {.id = {acc->next_mailbox++},
				  .uidvalidity = next_uidvalidity(tx, acc),
				  .uidnext = 1,
				  .first_recent = 1,
				  .unseen_hint = 1,
				  .use = use,
				  .created_modseq = acc->modseq,
				  .highestmodseq = acc->modseq};
	*ret = row.id;
	int r = tx->ops->mailbox_add(tx->e, acc->id, &row, name, why);
	return r < 0 ? r : tx_acl_inherit(tx, acc->id, name, row.id, why);
}

/* A \Noselect name becomes a mailbox again: a new one under the old name. */
static int replace_noselect(struct tx *tx, struct row_account *acc, struct row_mailbox *old,
			    struct fail *why)
{
	old->deleted_modseq = acc->modseq;
	old->deleted_at = tx->now;
	return tx->ops->mailbox_set(tx->e, acc->id, old, why);
}

static int make_one(struct tx *tx, struct row_account *acc, struct str name, unsigned use,
		    struct mailbox_id *ret, struct fail *why)
{
	struct row_mailbox row;
	int r = tx->ops->mailbox_find(tx->e, acc->id, name, &row, why);
	if (r > 0 && !row.noselect)
		return fail_set(why, FAIL_EXISTS, "The mailbox exists.", "%.*s exists",
				STR_ARG(name));
	if (r > 0)
		r = replace_noselect(tx, acc, &row, why);
	return r < 0 ? r : add_row(tx, acc, name, use, ret, why);
}

/* Parents are made first, so that every inferior has a row above it. */
static int make_parents(struct tx *tx, struct row_account *acc, struct str name, struct fail *why)
{
	for (size_t at = 0; (at = str_find(name, at, '/')) < name.n; at++) {
		struct str parent = str_sub(name, 0, at);
		struct row_mailbox row;
		struct mailbox_id id;
		int r = tx->ops->mailbox_find(tx->e, acc->id, parent, &row, why);
		if (r == 0)
			r = add_row(tx, acc, parent, 0, &id, why);
		if (r < 0)
			return r;
	}
	return 0;
}

int tx_mailbox_make(struct tx *tx, struct row_account *acc, struct str name, unsigned use,
		    struct mailbox_id *ret, struct fail *why)
{
	int r = make_parents(tx, acc, name, why);
	return r < 0 ? r : make_one(tx, acc, name, use, ret, why);
}

static int count_mailbox(void *arg, struct account_id a, const struct row_mailbox *row,
			 struct str name)
{
	(void)a;
	(void)row;
	(void)name;
	++*(size_t *)arg;
	return 0;
}

static int check_number(struct tx *tx, struct account_id a, struct fail *why)
{
	size_t n = 0;
	int r = tx->ops->mailbox_each(tx->e, a, count_mailbox, &n, why);
	if (r >= 0 && n >= STORE_MAILBOXES_MAX)
		return fail_set(why, FAIL_LIMIT, "There are too many mailboxes.", "%zu mailboxes",
				n);
	return r;
}

/* Every change of the list takes a modseq of its own. */
static int begin_change(struct tx *tx, struct account_id a, struct row_account *acc,
			struct fail *why)
{
	int r = tx_account(tx, a, acc, why);
	if (r == 0)
		acc->modseq++;
	return r;
}

static int end_change(struct tx *tx, const struct row_account *acc, struct fail *why)
{
	tx_list_changed(tx, acc);
	return tx->ops->account_put(tx->e, acc, why);
}

static int apply_create(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct mailbox_job *mj = CONTAINER_OF(job, struct mailbox_job, job);
	struct row_account acc;
	char buf[STORE_NAME_MAX + 1];
	struct str name;
	int r = name_normal(mj->name, buf, &name, why);
	if (r < 0 || (r = begin_change(tx, job->account, &acc, why)) < 0 ||
	    (r = check_number(tx, job->account, why)) < 0 ||
	    (r = tx_mailbox_make(tx, &acc, name, mj->use, &mj->id, why)) < 0)
		return r;
	return end_change(tx, &acc, why);
}

int store_mailbox_create(struct store *s, struct account_id account, struct str name, unsigned use,
			 struct mailbox_id *ret, struct fail *why)
{
	struct mailbox_job mj = {
		.job = {.account = account, .apply = apply_create}, .name = name, .use = use};
	int r = job_run(s, &mj.job, why);
	if (r >= 0 && ret)
		*ret = mj.id;
	return r;
}

/* ---- inferiors ----------------------------------------------------------------------------- */

struct inferior {
	struct mailbox_id id;
	struct str name;
};
struct inferiors {
	struct str of;
	struct arena arena;
	VEC(struct inferior) v;
};

static int take_inferior(void *arg, struct account_id a, const struct row_mailbox *row,
			 struct str name)
{
	struct inferiors *w = arg;
	(void)a;
	if (!name_below(name, w->of))
		return 0;
	struct inferior *i = vec_push(&w->v);
	i->id = row->id;
	i->name = arena_str(&w->arena, name);
	return i->name.p ? 0 : -FAIL_LIMIT;
}

static void inferiors_clear(struct inferiors *w)
{
	vec_clear(&w->v);
	arena_clear(&w->arena);
}
DEFINE_AUTO(inferiors, struct inferiors, inferiors_clear);

static int find_inferiors(struct tx *tx, struct account_id a, struct str of, struct inferiors *ret,
			  struct fail *why)
{
	*ret = (struct inferiors){.of = of, .arena = ARENA_INIT(MIB(16))};
	return tx->ops->mailbox_each(tx->e, a, take_inferior, ret, why);
}

/* ---- delete -------------------------------------------------------------------------------- */

/* The row goes out of sight with all its entries; purge takes them later, in pieces. */
static int bury(struct tx *tx, struct row_account *acc, struct tx_box *b, struct fail *why)
{
	acc->bytes -= b->row.size;
	acc->messages -= b->row.exists;
	b->row.deleted_modseq = acc->modseq;
	b->row.deleted_at = tx->now;
	b->kinds |= STORE_EVENT_EXPUNGE | STORE_EVENT_MAILBOXES;
	return tx_box_end(tx, b, acc, why);
}

static int leave_noselect(struct tx *tx, struct row_account *acc, struct str name, struct fail *why)
{
	struct row_mailbox row = {.id = {acc->next_mailbox++},
				  .noselect = true,
				  .uidnext = 1,
				  .first_recent = 1,
				  .unseen_hint = 1,
				  .created_modseq = acc->modseq};
	return tx->ops->mailbox_add(tx->e, acc->id, &row, name, why);
}

static int delete_noselect(struct tx *tx, struct row_account *acc, struct row_mailbox *row,
			   bool has_inferiors, struct fail *why)
{
	if (has_inferiors)
		return fail_set(why, FAIL_CONFLICT, "The name has inferior names.", "noselect");
	int r = replace_noselect(tx, acc, row, why);
	return r < 0 ? r : end_change(tx, acc, why);
}

static int apply_delete(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct mailbox_job *mj = CONTAINER_OF(job, struct mailbox_job, job);
	struct row_account acc;
	char buf[STORE_NAME_MAX + 1];
	struct str name;
	if (name_normal(mj->name, buf, &name, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	if (name_is_inbox(name))
		return fail_set(why, FAIL_PERM, "INBOX can not be deleted.", "delete INBOX");
	AUTO(inferiors) struct inferiors below = {0};
	int r = begin_change(tx, job->account, &acc, why);
	if (r < 0 || (r = find_inferiors(tx, job->account, name, &below, why)) < 0)
		return r;
	struct row_mailbox row;
	r = tx->ops->mailbox_find(tx->e, job->account, name, &row, why);
	if (r > 0 && row.noselect)
		return delete_noselect(tx, &acc, &row, below.v.n > 0, why);
	AUTO(tx_box) struct tx_box b = {0};
	if (r < 0 || (r = tx_box_by_name(tx, job->account, name, &b, why)) < 0 ||
	    (r = bury(tx, &acc, &b, why)) < 0)
		return r;
	if (below.v.n > 0 && (r = leave_noselect(tx, &acc, name, why)) < 0)
		return r;
	return end_change(tx, &acc, why);
}

int store_mailbox_delete(struct store *s, struct account_id account, struct str name,
			 struct fail *why)
{
	struct mailbox_job mj = {.job = {.account = account, .apply = apply_delete}, .name = name};
	return job_run(s, &mj.job, why);
}

/* ---- rename -------------------------------------------------------------------------------- */

/* RFC 3501 6.3.5: the messages move, INBOX and its inferiors stay. Annotations are copied (RFC 5464
 * section 4.1). */
static int rename_inbox(struct tx *tx, struct row_account *acc, struct str to, struct fail *why)
{
	struct mailbox_id id;
	int r = tx_mailbox_make(tx, acc, to, 0, &id, why);
	if (r < 0)
		return r;
	AUTO(tx_box) struct tx_box from = {0};
	AUTO(tx_box) struct tx_box target = {0};
	if ((r = tx_box_by_name(tx, acc->id, STR("INBOX"), &from, why)) < 0 ||
	    (r = tx_box_by_name(tx, acc->id, to, &target, why)) < 0 ||
	    (r = tx_move_all(tx, acc, &from, &target, why)) < 0 ||
	    (r = tx->ops->annotation_copy(tx->e, acc->id, from.row.id, id, why)) < 0 ||
	    (r = tx_box_end(tx, &from, acc, why)) < 0 ||
	    (r = tx_box_end(tx, &target, acc, why)) < 0)
		return r;
	return end_change(tx, acc, why);
}

static int rename_inferiors(struct tx *tx, struct account_id a, struct inferiors *below,
			    struct str to, struct fail *why)
{
	for (size_t i = 0; i < below->v.n; i++) {
		struct inferior *c = &below->v.p[i];
		char text[2 * STORE_NAME_MAX + 2];
		int n = snprintf(text, sizeof text, "%.*s%.*s", STR_ARG(to),
				 STR_ARG(str_skip(c->name, below->of.n)));
		char buf[STORE_NAME_MAX + 1];
		struct str name;
		int r = name_normal(str_make(text, (size_t)n), buf, &name, why);
		if (r < 0 || (r = tx->ops->mailbox_rename(tx->e, a, c->id, name, why)) < 0)
			return r;
	}
	return 0;
}

static int rename_row(struct tx *tx, struct row_account *acc, struct str from, struct str to,
		      struct fail *why)
{
	struct row_mailbox row, other;
	AUTO(inferiors) struct inferiors below = {0};
	int r = tx->ops->mailbox_find(tx->e, acc->id, from, &row, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "no mailbox %.*s",
				STR_ARG(from));
	if (r < 0 || (r = tx->ops->mailbox_find(tx->e, acc->id, to, &other, why)) < 0)
		return r;
	if (r > 0)
		return fail_set(why, FAIL_EXISTS, "The mailbox exists.", "%.*s exists",
				STR_ARG(to));
	if ((r = find_inferiors(tx, acc->id, from, &below, why)) < 0 ||
	    (r = make_parents(tx, acc, to, why)) < 0 ||
	    (r = tx->ops->mailbox_rename(tx->e, acc->id, row.id, to, why)) < 0)
		return r;
	return rename_inferiors(tx, acc->id, &below, to, why);
}

static int apply_rename(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct mailbox_job *mj = CONTAINER_OF(job, struct mailbox_job, job);
	struct row_account acc;
	char from_buf[STORE_NAME_MAX + 1], to_buf[STORE_NAME_MAX + 1];
	struct str from, to;
	if (name_normal(mj->name, from_buf, &from, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	int r = name_normal(mj->to, to_buf, &to, why);
	if (r < 0 || (r = begin_change(tx, job->account, &acc, why)) < 0)
		return r;
	if (name_is_inbox(from))
		return rename_inbox(tx, &acc, to, why);
	if (name_below(to, from))
		return fail_set(why, FAIL_CONFLICT, "A mailbox can not be moved into itself.",
				"rename into itself");
	r = rename_row(tx, &acc, from, to, why);
	return r < 0 ? r : end_change(tx, &acc, why);
}

int store_mailbox_rename(struct store *s, struct account_id account, struct str from, struct str to,
			 struct fail *why)
{
	struct mailbox_job mj = {
		.job = {.account = account, .apply = apply_rename}, .name = from, .to = to};
	return job_run(s, &mj.job, why);
}

/* ---- subscribe ----------------------------------------------------------------------------- */

static int apply_subscribe(struct tx *tx, struct store_job *job, struct fail *why)
{
	const struct mailbox_job *mj = CONTAINER_OF(job, struct mailbox_job, job);
	struct row_account acc;
	char buf[STORE_NAME_MAX + 1];
	struct str name;
	int r = name_normal(mj->name, buf, &name, why);
	if (r < 0 || (r = begin_change(tx, job->account, &acc, why)) < 0 ||
	    (r = tx->ops->subscription_set(tx->e, job->account, name, mj->on, why)) < 0)
		return r;
	return r == 0 ? 0 : end_change(tx, &acc, why);
}

int store_subscribe(struct store *s, struct account_id account, struct str name, bool on,
		    struct fail *why)
{
	struct mailbox_job mj = {
		.job = {.account = account, .apply = apply_subscribe}, .name = name, .on = on};
	return job_run(s, &mj.job, why);
}
