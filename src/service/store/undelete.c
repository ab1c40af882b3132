/* SPDX-License-Identifier: Apache-2.0 */
/*
 * undelete.c - messages that were expunged, and are not purged yet.
 *
 * A message that was moved is expunged where it was and lives elsewhere: it is not lost. So the
 * messages that some mailbox has are collected first.
 */
#include "service/store/store_int.h"

struct box {
	struct row_mailbox row;
	char *name; /* NULL: deleted */
};

struct looking {
	const struct engine_ops *ops;
	struct engine *e;
	struct account_id account;
	struct store_lost_when when;
	VEC(struct box) boxes;
	struct map live; /* message ids */
	/* of the mailbox at hand */
	const struct box *now;
	VEC(struct row_entry) lost;
};

static void looking_clear(struct looking *l)
{
	for (size_t i = 0; i < l->boxes.n; i++)
		free(l->boxes.p[i].name);
	vec_clear(&l->boxes);
	vec_clear(&l->lost);
	map_clear(&l->live);
}

static int take_box(void *arg, struct account_id a, const struct row_mailbox *row, struct str name)
{
	struct looking *l = arg;
	struct box *b = vec_push(&l->boxes);
	(void)a;
	b->row = *row;
	if (row->deleted_modseq)
		return 0;
	b->name = xcalloc(1, name.n + 1);
	memcpy(b->name, name.p, name.n);
	return 0;
}

static int take_live(void *arg, const struct row_entry *row)
{
	struct looking *l = arg;
	if (row->expunged == 0)
		(void)map_put(&l->live, row->message, l);
	return 0;
}

/* What a deleted mailbox held went with it. */
static int take_lost(void *arg, const struct row_entry *row)
{
	struct looking *l = arg;
	bool with_box = row->expunged == 0 && l->now->row.deleted_modseq;
	struct wall_us at = with_box ? l->now->row.deleted_at : row->expunged_at;
	if ((row->expunged == 0 && !with_box) || at.v < l->when.since.v ||
	    map_get(&l->live, row->message))
		return 0;
	struct row_entry *x = vec_push(&l->lost);
	*x = *row;
	x->expunged_at = at;
	(void)map_put(&l->live, row->message, l); /* once, if it is lost in several places */
	return 0;
}

static int find_live(struct looking *l, struct fail *why)
{
	struct row_account acc;
	int r = l->ops->account_get(l->e, l->account, &acc, why);
	if (r == 0)
		return fail_set(why, FAIL_NOTFOUND, NULL, "no account %llu",
				(unsigned long long)l->account.v);
	if (r < 0 || (r = l->ops->mailbox_each(l->e, l->account, take_box, l, why)) < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < l->boxes.n; i++) {
		struct uid_range all = {l->account, l->boxes.p[i].row.id, 1, UINT32_MAX};
		r = l->ops->entry_each(l->e, &all, take_live, l, why);
	}
	return r < 0 ? r
		     : l->ops->mailbox_dead(l->e, l->account, (struct wall_us){INT64_MAX}, take_box,
					    l, why);
}

/* Of what was lost, what had come by the moment asked for. */
static int keep_old(struct looking *l, struct fail *why)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->lost.n; i++) {
		struct row_message m = {.saved = l->lost.p[i].saved};
		int r = m.saved.v ? 1
				  : l->ops->message_get(l->e, l->account, l->lost.p[i].message, 0,
							&m, why);
		if (r < 0)
			return r;
		if (r > 0 && m.saved.v <= l->when.came.v)
			l->lost.p[kept++] = l->lost.p[i];
	}
	l->lost.n = kept;
	return 0;
}

static int find_lost(struct looking *l, const struct box *b, struct fail *why)
{
	struct uid_range all = {l->account, b->row.id, 1, UINT32_MAX};
	l->now = b;
	l->lost.n = 0;
	int r = l->ops->entry_each(l->e, &all, take_lost, l, why);
	return r >= 0 && l->when.came.v ? keep_old(l, why) : r;
}

/* ---- the list ------------------------------------------------------------------------------ */

static int list_lost(struct looking *l, struct arena *arena, struct store_lost **ret, size_t *ret_n,
		     struct fail *why)
{
	int r = find_live(l, why);
	struct store_lost *all = arena_array(arena, struct store_lost, l->boxes.n + 1);
	size_t n = 0;
	for (size_t i = 0; r >= 0 && all && i < l->boxes.n; i++) {
		const struct box *b = &l->boxes.p[i];
		if ((r = find_lost(l, b, why)) < 0 || l->lost.n == 0)
			continue;
		struct store_lost *x = &all[n++];
		*x = (struct store_lost){.mailbox = b->row.id,
					 .name = arena_str(arena, str_c(b->name)),
					 .messages = (uint32_t)l->lost.n,
					 .first = l->lost.p[0].expunged_at,
					 .last = l->lost.p[0].expunged_at};
		for (size_t k = 0; k < l->lost.n; k++) {
			struct wall_us at = l->lost.p[k].expunged_at;
			x->first.v = MIN(x->first.v, at.v);
			x->last.v = MAX(x->last.v, at.v);
		}
	}
	if (r >= 0 && !all)
		return fail_set(why, FAIL_LIMIT, NULL, "too many mailboxes");
	*ret = all;
	*ret_n = n;
	return r < 0 ? r : 0;
}

int store_lost_list(struct store *s, struct account_id account, const struct store_lost_when *when,
		    struct arena *arena, struct store_lost **ret, size_t *ret_n, struct fail *why)
{
	struct part *p;
	int r = part_of(s, account, &p, why);
	if (r < 0 || (r = part_enter(p, why)) < 0)
		return r;
	struct looking l = {.ops = s->ops, .e = p->e, .account = account, .when = *when};
	r = list_lost(&l, arena, ret, ret_n, why);
	part_leave(p);
	looking_clear(&l);
	return r;
}

/* ---- bringing back ------------------------------------------------------------------------- */

struct undelete_job {
	struct store_job job;
	const struct store_undelete *u;
	uint32_t n;
};

static int copy_back(struct tx *tx, struct undelete_job *uj, struct looking *l, struct fail *why)
{
	char buf[STORE_NAME_MAX + 1];
	struct str name;
	struct row_account acc;
	AUTO(tx_box) struct tx_box to = {0};
	AUTO(tx_box) struct tx_box from = {.account = l->account, .names = ARENA_INIT(KIB(16))};
	if (name_normal(uj->u->target, buf, &name, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	int r = tx_account(tx, l->account, &acc, why);
	if (r < 0 || (r = tx_box_by_name(tx, l->account, name, &to, why)) < 0)
		return r;
	from.row = l->now->row;
	struct tx_box *source = from.row.id.v == to.row.id.v ? &to : &from;
	acc.modseq++;
	for (size_t i = 0; i < l->lost.n; i++)
		if ((r = tx_copy_back(tx, &acc, source, &to, &l->lost.p[i], why)) < 0)
			return r;
	uj->n = (uint32_t)l->lost.n;
	return l->lost.n ? tx_box_end(tx, &to, &acc, why) : 0;
}

static int apply_undelete(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct undelete_job *uj = CONTAINER_OF(job, struct undelete_job, job);
	struct looking l = {
		.ops = tx->ops, .e = tx->e, .account = job->account, .when = uj->u->when};
	int r = find_live(&l, why);
	const struct box *b = NULL;
	for (size_t i = 0; r >= 0 && i < l.boxes.n; i++)
		if (l.boxes.p[i].row.id.v == uj->u->mailbox.v)
			b = &l.boxes.p[i];
	if (r >= 0 && !b)
		r = fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "mailbox %llu",
			     (unsigned long long)uj->u->mailbox.v);
	if (r >= 0)
		r = find_lost(&l, b, why);
	if (r >= 0)
		r = copy_back(tx, uj, &l, why);
	looking_clear(&l);
	return r;
}

int store_undelete(struct store *s, const struct store_undelete *u, uint32_t *ret, struct fail *why)
{
	struct undelete_job uj = {.job = {.account = u->account, .apply = apply_undelete}, .u = u};
	int r = job_run(s, &uj.job, why);
	if (r == 0)
		*ret = uj.n;
	return r;
}
