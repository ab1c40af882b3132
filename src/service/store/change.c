/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c - what a view changes: STORE, COPY, MOVE, EXPUNGE.
 *
 * A set's runs become UID ranges; the job reads the entries again, because others may have changed
 * them since. Which of them the view sees follows from its numbers alone: below uidnext, and live
 * or expunged after its expunge modseq.
 */
#include "service/store/change_int.h"

void change_job_init(struct change_job *cj, struct store_view *v, const struct store_set *set,
		     int (*apply)(struct tx *, struct store_job *, struct fail *))
{
	*cj = (struct change_job){
		.job = {.account = v->info.account, .apply = apply},
		.mailbox = v->info.mailbox,
		.expunge_modseq = v->expunge_modseq,
		.told_modseq = v->info.highestmodseq.v,
		.v = v,
		.runs = set ? set->runs : NULL,
		.n_runs = set ? set->n : 0,
	};
}

static int take_entry(void *arg, const struct row_entry *row)
{
	struct change_job *cj = arg;
	if (row->expunged && row->expunged <= cj->expunge_modseq)
		return 0;
	uint32_t seq = cj->next_seq++;
	if (row->expunged && !(cj->v && cj->v->past)) {
		cj->gone++;
		return 0;
	}
	struct selected *s = vec_push(&cj->rows);
	s->e = *row;
	s->seq = seq;
	if (row->expunged) /* what is taken out of the past is not to be expunged again */
		s->e.flags &= ~(uint64_t)STORE_DELETED;
	return 0;
}

int change_job_read(struct tx *tx, struct change_job *cj, struct fail *why)
{
	cj->rows.n = 0;
	cj->gone = 0;
	for (size_t i = 0; i < cj->n_runs; i++) {
		const struct store_run *run = &cj->runs[i];
		cj->next_seq = run->seq;
		struct uid_range range = {cj->job.account, cj->mailbox, run->first.v, run->last.v};
		int r = tx->ops->entry_each(tx->e, &range, take_entry, cj, why);
		if (r < 0)
			return r;
	}
	if (!cj->v || cj->v->viewer.v == 0 || cj->n_runs == 0)
		return 0;
	struct uid_range all = {cj->job.account, cj->mailbox, cj->runs[0].first.v,
				cj->runs[cj->n_runs - 1].last.v};
	return overlay_read(tx->part, &all, cj->v->viewer, &cj->overlay, why);
}

void change_job_clear(struct change_job *cj)
{
	vec_clear(&cj->rows);
	vec_clear(&cj->overlay);
}

/* The flags and modseq of a message for who changes it. */
static void flags_for(const struct change_job *cj, const struct row_entry *e, uint64_t *flags,
		      uint64_t *modseq)
{
	*flags = e->flags;
	*modseq = e->modseq;
	if (cj->v && cj->v->viewer.v)
		overlay_apply(overlay_find(&cj->overlay, e->uid), flags, modseq);
}

int change_job_begin(struct tx *tx, struct change_job *cj, struct row_account *acc,
		     struct tx_box *b, struct fail *why)
{
	int r = tx_account(tx, cj->job.account, acc, why);
	if (r == -FAIL_NOTFOUND)
		return fail_set(why, FAIL_GONE, NULL, "the account was deleted");
	return r < 0 ? r : tx_box_by_id(tx, cj->job.account, cj->mailbox, b, why);
}

int change_refuse_read_only(const struct store_view *v, struct fail *why)
{
	if (v->info.read_only)
		return fail_set(why, FAIL_PERM, "The mailbox is selected read-only.", "read-only");
	return 0;
}

/* ---- STORE -------------------------------------------------------------------------------- */

static uint64_t new_flags(enum store_flags_how how, uint64_t old, uint64_t flags)
{
	switch (how) {
	case STORE_FLAGS_ADD:
		return old | flags;
	case STORE_FLAGS_REMOVE:
		return old & ~flags;
	case STORE_FLAGS_REPLACE:
		break;
	}
	return flags;
}

static bool is_own(const struct store_view *v, uint64_t modseq)
{
	for (size_t i = v->own.n; i-- > 0;)
		if (v->own.p[i] == modseq)
			return true;
	return false;
}

/* What a message's flags were and are to be for who changes them. */
struct flag_change {
	uint64_t was, now, modseq;
};

static int write_flags(struct tx *tx, struct change_job *cj, struct tx_box *b, struct row_entry *e,
		       const struct flag_change *c, struct fail *why)
{
	uint64_t own = cj->v->viewer.v ? STORE_SEEN : 0;
	struct row_overlay row = {e->uid, (uint32_t)(c->now & STORE_SEEN), c->modseq};
	uint64_t shared = (e->flags & own) | (c->now & ~own);
	int r = 0;
	if ((c->was ^ c->now) & own)
		r = tx_overlay_set(tx, b, cj->v->viewer, &row, why);
	if (r < 0 || shared == e->flags)
		return r;
	tx_entry_flagged(tx, b, e, shared, c->modseq);
	/* An owner's are written together: change_job_write. */
	return own ? tx->ops->entry_set(tx->e, b->account, b->row.id, e, why) : 0;
}

/* What store_one has found out for each message, the engine does again for all of a run at once. */
int change_job_write(struct tx *tx, const struct change_job *cj, uint64_t modseq, struct fail *why)
{
	uint64_t bits = cj->bits & cj->v->may;
	struct flag_rule rule = {
		.keep = cj->how == STORE_FLAGS_ADD	? UINT64_MAX
			: cj->how == STORE_FLAGS_REMOVE ? ~bits
							: ~cj->v->may,
		.add = cj->how == STORE_FLAGS_REMOVE ? 0 : bits,
		.modseq = modseq,
		.since = cj->unchanged_since ? MIN(cj->unchanged_since->v, (uint64_t)INT64_MAX)
					     : INT64_MAX,
	};
	for (size_t i = 0; i < cj->n_runs; i++) {
		struct uid_range range = {cj->job.account, cj->mailbox, cj->runs[i].first.v,
					  cj->runs[i].last.v};
		int r = tx->ops->entry_flags(tx->e, &range, &rule, why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int store_one(struct tx *tx, struct change_job *cj, struct tx_box *b, struct selected *s,
		     uint64_t modseq, struct fail *why)
{
	struct store_flags_result *res = cj->store;
	uint64_t was, was_modseq;
	flags_for(cj, &s->e, &was, &was_modseq);
	if (cj->unchanged_since && was_modseq > cj->unchanged_since->v) {
		res->modified[res->n_modified++].v = s->e.uid;
		return 0;
	}
	struct store_flag_row *row = &res->rows[res->n++];
	row->unexpected = was_modseq > cj->told_modseq && !is_own(cj->v, was_modseq);
	uint64_t may = cj->v->may;
	uint64_t flags = (was & ~may) | (new_flags(cj->how, was, cj->bits) & may);
	if (flags != was) {
		struct flag_change c = {was, flags, modseq};
		int r = write_flags(tx, cj, b, &s->e, &c, why);
		if (r < 0)
			return r;
		res->modseq.v = was_modseq = modseq;
	}
	row->now = (struct store_flag_change){
		.seq = s->seq, .uid = {s->e.uid}, .flags = flags, .modseq = {was_modseq}};
	return 0;
}

static int apply_store(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct change_job *cj = CONTAINER_OF(job, struct change_job, job);
	struct store_flags_result *res = cj->store;
	struct row_account acc;
	AUTO(tx_box) struct tx_box b = {0};
	int r = change_job_begin(tx, cj, &acc, &b, why);
	if (r < 0 ||
	    (r = tx_flags(tx, &b, cj->flags, cj->how != STORE_FLAGS_REMOVE, &cj->bits, why)) < 0 ||
	    (r = change_job_read(tx, cj, why)) < 0)
		return r;
	store_flags_result_clear(res);
	res->rows = xcalloc(cj->rows.n + 1, sizeof *res->rows);
	res->modified = xcalloc(cj->rows.n + 1, sizeof *res->modified);
	for (size_t i = 0; i < cj->rows.n; i++) {
		r = store_one(tx, cj, &b, &cj->rows.p[i], acc.modseq + 1, why);
		if (r < 0)
			return r;
	}
	res->gone = cj->gone;
	if (res->modseq.v == 0)
		return 0;
	acc.modseq++;
	if (cj->v->viewer.v == 0 && (r = change_job_write(tx, cj, acc.modseq, why)) < 0)
		return r;
	return tx_box_end(tx, &b, &acc, why);
}

void store_flags_result_clear(struct store_flags_result *r)
{
	free(r->rows);
	free(r->modified);
	*r = STORE_FLAGS_RESULT_INIT;
}

int store_view_store(struct store_view *v, const struct store_set *set, enum store_flags_how how,
		     const struct store_flagset *flags, const struct modseq *unchanged_since,
		     struct store_flags_result *ret, struct fail *why)
{
	int r = change_refuse_read_only(v, why);
	if (r < 0)
		return r;
	struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	struct change_job cj;
	change_job_init(&cj, v, set, apply_store);
	cj.how = how;
	cj.flags = flags;
	cj.unchanged_since = unchanged_since;
	cj.store = &res;
	r = job_run(v->s, &cj.job, why);
	change_job_clear(&cj);
	if (r < 0) {
		store_flags_result_clear(&res);
		return r;
	}
	for (size_t i = 0; i < res.n; i++)
		if (view_recent(v, res.rows[i].now.uid.v))
			res.rows[i].now.flags |= STORE_RECENT;
	if (res.modseq.v)
		*vec_push(&v->own) = res.modseq.v;
	v->n_keywords = v->box->n_keywords;
	*ret = res;
	return 0;
}

/* ---- COPY and MOVE ------------------------------------------------------------------------ */

/* Keywords go by name; one that has no room in the target becomes 0. */
static int translate(struct copying *c, uint64_t flags, uint64_t *ret, struct fail *why)
{
	*ret = flags;
	if (c->from == c->to)
		return 0;
	*ret = flags & STORE_SYSTEM_FLAGS;
	uint64_t left = (flags >> STORE_KEYWORD_FIRST) << STORE_KEYWORD_FIRST;
	for (; left; left &= left - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(left);
		int r = 0;
		if (c->table[bit] == UINT64_MAX)
			r = tx_keywords(c->tx, c->from, why);
		if (r == 0 && c->table[bit] == UINT64_MAX)
			r = tx_keyword(c->tx, c->to, c->from->keywords[bit - STORE_KEYWORD_FIRST],
				       true, &c->table[bit], why);
		if (r < 0)
			return r;
		*ret |= c->table[bit];
	}
	return 0;
}

/* `seen`: the viewer has seen it. */
static int copy_one(struct copying *c, const struct row_entry *old, bool seen, struct fail *why)
{
	struct tx *tx = c->tx;
	struct row_entry e = {.uid = c->to->row.uidnext,
			      .size = old->size,
			      .message = old->message,
			      .created = c->acc->modseq,
			      .modseq = c->acc->modseq,
			      .saved = tx->now};
	struct row_overlay row = {e.uid, STORE_SEEN, e.modseq};
	uint64_t may = c->may | (c->viewer.v ? STORE_SEEN : 0); /* the owner's */
	uint64_t left;
	int r = translate(c, old->flags & may, &e.flags, why);
	if (r < 0 ||
	    (r = tx->ops->message_ref(tx->e, c->acc->id, old->message, 1, &left, why)) < 0 ||
	    (r = tx_entry_add(tx, c->acc, c->to, &e, why)) < 0)
		return r;
	if (seen && (c->may & STORE_SEEN) &&
	    (r = tx_overlay_set(tx, c->to, c->viewer, &row, why)) < 0)
		return r;
	if (!c->move)
		return 0;
	struct row_entry gone = *old;
	return tx_entry_expunge(tx, c->acc, c->from, &gone, why);
}

/* Has the viewer, who is not the owner, seen it? */
static bool seen_by_viewer(const struct change_job *cj, uint32_t uid)
{
	const struct row_overlay *row =
		cj->v && cj->v->viewer.v ? overlay_find(&cj->overlay, uid) : NULL;
	return row && (row->flags & STORE_SEEN);
}

int change_job_copy(struct copying *c, struct change_job *cj, struct fail *why)
{
	struct store_copy_result *res = cj->copy;
	memset(c->table, 0xff, sizeof c->table);
	store_copy_result_clear(res);
	res->from = xcalloc(cj->rows.n + 1, sizeof *res->from);
	res->uidvalidity = c->to->row.uidvalidity;
	res->first.v = c->to->row.uidnext;
	res->gone = cj->gone;
	for (size_t i = 0; i < cj->rows.n; i++) {
		const struct row_entry *e = &cj->rows.p[i].e;
		int r = copy_one(c, e, seen_by_viewer(cj, e->uid), why);
		if (r < 0)
			return r;
		res->from[res->n++].v = e->uid;
	}
	return 0;
}

static int copy_quota(const struct change_job *cj, const struct row_account *acc, struct fail *why)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < cj->rows.n; i++)
		bytes += cj->rows.p[i].e.size;
	return cj->quota ? quota_check(acc, cj->quota, bytes, cj->rows.n, why) : 0;
}

static int apply_copy(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct change_job *cj = CONTAINER_OF(job, struct change_job, job);
	struct row_account acc;
	AUTO(tx_box) struct tx_box from = {0};
	AUTO(tx_box) struct tx_box other = {0};
	int r = change_job_begin(tx, cj, &acc, &from, why);
	if (r < 0 || (r = tx_box_by_name(tx, job->account, cj->target, &other, why)) < 0 ||
	    (r = change_job_read(tx, cj, why)) < 0 || (r = copy_quota(cj, &acc, why)) < 0)
		return r;
	struct tx_box *to = other.row.id.v == from.row.id.v ? &from : &other;
	acc.modseq++;
	struct copying c = {.tx = tx,
			    .acc = &acc,
			    .from = &from,
			    .to = to,
			    .move = cj->move,
			    .viewer = cj->v->viewer,
			    .may = cj->may};
	r = change_job_copy(&c, cj, why);
	if (r < 0 || cj->rows.n == 0)
		return r;
	if (to != &from && (r = tx_box_end(tx, to, &acc, why)) < 0)
		return r;
	return cj->move || to == &from ? tx_box_end(tx, &from, &acc, why) : 0;
}

void store_copy_result_clear(struct store_copy_result *r)
{
	free(r->from);
	*r = STORE_COPY_RESULT_INIT;
}

static int run_copy(struct store_view *v, struct change_job *cj, struct str target,
		    struct store_copy_result *ret, struct fail *why)
{
	char buf[STORE_NAME_MAX + 1];
	struct store_copy_result res = STORE_COPY_RESULT_INIT;
	if (name_normal(target, buf, &cj->target, NULL) < 0)
		return fail_set(why, FAIL_NOTFOUND, "No such mailbox.", "bad name");
	cj->copy = &res;
	int r = job_run(v->s, &cj->job, why);
	change_job_clear(cj);
	if (r < 0)
		store_copy_result_clear(&res);
	else
		*ret = res;
	return r;
}

int store_view_copy_as(struct store_view *v, const struct store_set *set,
		       const struct store_copying *how, struct store_copy_result *ret,
		       struct fail *why)
{
	int r = how->move ? change_refuse_read_only(v, why) : 0;
	if (r < 0)
		return r;
	struct change_job cj;
	change_job_init(&cj, v, set, apply_copy);
	cj.quota = how->move ? NULL : how->quota;
	cj.move = how->move;
	cj.may = how->may;
	return run_copy(v, &cj, how->target, ret, why);
}

int store_view_copy(struct store_view *v, const struct store_set *set, struct str target,
		    const struct store_quota *quota, struct store_copy_result *ret,
		    struct fail *why)
{
	struct store_copying how = {.target = target, .quota = quota, .may = UINT64_MAX};
	return store_view_copy_as(v, set, &how, ret, why);
}

int store_view_move(struct store_view *v, const struct store_set *set, struct str target,
		    struct store_copy_result *ret, struct fail *why)
{
	struct store_copying how = {.target = target, .may = UINT64_MAX, .move = true};
	return store_view_copy_as(v, set, &how, ret, why);
}

int tx_move_all(struct tx *tx, struct row_account *acc, struct tx_box *from, struct tx_box *to,
		struct fail *why)
{
	struct store_run all = {.seq = 1, .first = {1}, .last = {UINT32_MAX}};
	struct store_copy_result res = STORE_COPY_RESULT_INIT;
	struct change_job cj = {.job = {.account = acc->id},
				.mailbox = from->row.id,
				.expunge_modseq = UINT64_MAX,
				.runs = &all,
				.n_runs = 1,
				.copy = &res};
	struct copying c = {
		.tx = tx, .acc = acc, .from = from, .to = to, .move = true, .may = UINT64_MAX};
	int r = change_job_read(tx, &cj, why);
	if (r == 0)
		r = change_job_copy(&c, &cj, why);
	change_job_clear(&cj);
	store_copy_result_clear(&res);
	return r;
}

int tx_copy_back(struct tx *tx, struct row_account *acc, struct tx_box *from, struct tx_box *to,
		 const struct row_entry *old, struct fail *why)
{
	struct copying c = {.tx = tx, .acc = acc, .from = from, .to = to, .may = UINT64_MAX};
	struct row_entry e = *old;
	memset(c.table, 0xff, sizeof c.table);
	e.flags &= ~(uint64_t)STORE_DELETED;
	return copy_one(&c, &e, false, why);
}

/* ---- EXPUNGE ------------------------------------------------------------------------------ */

/* Those that were read and have these flags. */
int change_job_expunge(struct tx *tx, struct change_job *cj, struct tx_box *b,
		       struct row_account *acc, uint64_t flags, struct fail *why)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < cj->rows.n; i++) {
		struct row_entry *e = &cj->rows.p[i].e;
		if ((e->flags & flags) != flags)
			continue;
		r = tx_entry_expunge(tx, acc, b, e, why);
		cj->modseq.v = acc->modseq;
	}
	return r;
}

static int apply_expunge(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct change_job *cj = CONTAINER_OF(job, struct change_job, job);
	struct row_account acc;
	AUTO(tx_box) struct tx_box b = {0};
	int r = change_job_begin(tx, cj, &acc, &b, why);
	cj->modseq.v = 0;
	if (r < 0 || b.row.deleted == 0 || (r = change_job_read(tx, cj, why)) < 0)
		return r;
	acc.modseq++;
	r = change_job_expunge(tx, cj, &b, &acc, STORE_DELETED, why);
	return r == 0 && cj->modseq.v ? tx_box_end(tx, &b, &acc, why) : r;
}

int store_view_expunge(struct store_view *v, const struct store_set *set, struct modseq *ret_modseq,
		       struct fail *why)
{
	int r = change_refuse_read_only(v, why);
	if (r < 0)
		return r;
	struct store_run all = {.seq = 1, .first = {1}, .last = {v->info.uidnext.v - 1}};
	struct change_job cj;
	change_job_init(&cj, v, set, apply_expunge);
	if (!set && v->info.uidnext.v > 1) {
		cj.runs = &all;
		cj.n_runs = 1;
	}
	r = job_run(v->s, &cj.job, why);
	change_job_clear(&cj);
	if (r >= 0 && ret_modseq)
		*ret_modseq = cj.modseq;
	return r;
}
