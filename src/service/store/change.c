/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c - what a view changes: STORE, COPY, MOVE, EXPUNGE.
 *
 * A set's runs become UID ranges; the job reads the entries again, because others may have changed
 * them since. Which of them the view sees follows from its numbers alone: below uidnext, and live
 * or expunged after its expunge modseq.
 */
#include "service/store/store_int.h"

struct selected {
	struct row_entry e;
	uint32_t seq;
};

struct change_job {
	struct store_job job;
	struct mailbox_id mailbox;
	uint64_t expunge_modseq; /* of the view */
	uint64_t told_modseq;	 /* flag changes the view knows */
	const struct store_view *v;
	const struct store_run *runs;
	size_t n_runs;
	/* STORE */
	enum store_flags_how how;
	const struct store_flagset *flags;
	uint64_t bits; /* what they are in this mailbox */
	const struct modseq *unchanged_since;
	struct store_flags_result *store;
	/* COPY and MOVE */
	struct str target; /* normal */
	const struct store_quota *quota;
	bool move;
	struct store_copy_result *copy;
	/* EXPUNGE */
	struct modseq modseq;
	/* read in the transaction */
	VEC(struct selected) rows;
	uint32_t gone;
	uint32_t next_seq;
};

static void init_job(struct change_job *cj, struct store_view *v, const struct store_set *set,
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
	if (row->expunged) {
		cj->gone++;
		return 0;
	}
	struct selected *s = vec_push(&cj->rows);
	s->e = *row;
	s->seq = seq;
	return 0;
}

static int read_runs(struct tx *tx, struct change_job *cj, struct fail *why)
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
	return 0;
}

static int begin(struct tx *tx, struct change_job *cj, struct row_account *acc, struct tx_box *b,
		 struct fail *why)
{
	int r = tx_account(tx, cj->job.account, acc, why);
	if (r == -FAIL_NOTFOUND)
		return fail_set(why, FAIL_GONE, NULL, "the account was deleted");
	return r < 0 ? r : tx_box_by_id(tx, cj->job.account, cj->mailbox, b, why);
}

static int refuse_read_only(const struct store_view *v, struct fail *why)
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

static int store_one(struct tx *tx, struct change_job *cj, struct tx_box *b, struct selected *s,
		     uint64_t modseq, struct fail *why)
{
	struct store_flags_result *res = cj->store;
	if (cj->unchanged_since && s->e.modseq > cj->unchanged_since->v) {
		res->modified[res->n_modified++].v = s->e.uid;
		return 0;
	}
	struct store_flag_row *row = &res->rows[res->n++];
	row->unexpected = s->e.modseq > cj->told_modseq && !is_own(cj->v, s->e.modseq);
	uint64_t flags = new_flags(cj->how, s->e.flags, cj->bits);
	if (flags != s->e.flags) {
		int r = tx_entry_flags(tx, b, &s->e, flags, modseq, why);
		if (r < 0)
			return r;
		res->modseq.v = modseq;
	}
	row->now = (struct store_flag_change){
		.seq = s->seq, .uid = {s->e.uid}, .flags = s->e.flags, .modseq = {s->e.modseq}};
	return 0;
}

static int apply_store(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct change_job *cj = CONTAINER_OF(job, struct change_job, job);
	struct store_flags_result *res = cj->store;
	struct row_account acc;
	AUTO(tx_box) struct tx_box b = {0};
	int r = begin(tx, cj, &acc, &b, why);
	if (r < 0 ||
	    (r = tx_flags(tx, &b, cj->flags, cj->how != STORE_FLAGS_REMOVE, &cj->bits, why)) < 0 ||
	    (r = read_runs(tx, cj, why)) < 0)
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
	int r = refuse_read_only(v, why);
	if (r < 0)
		return r;
	struct store_flags_result res = STORE_FLAGS_RESULT_INIT;
	struct change_job cj;
	init_job(&cj, v, set, apply_store);
	cj.how = how;
	cj.flags = flags;
	cj.unchanged_since = unchanged_since;
	cj.store = &res;
	r = job_run(v->s, &cj.job, why);
	vec_clear(&cj.rows);
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

struct copying {
	struct tx *tx;
	struct row_account *acc;
	struct tx_box *from, *to; /* may be the same */
	bool move;
	uint64_t table[64]; /* keyword bits of `from` as bits of `to`; UINT64_MAX = not asked yet */
};

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

static int copy_one(struct copying *c, const struct row_entry *old, struct fail *why)
{
	struct tx *tx = c->tx;
	struct row_entry e = {.uid = c->to->row.uidnext,
			      .size = old->size,
			      .message = old->message,
			      .created = c->acc->modseq,
			      .modseq = c->acc->modseq,
			      .saved = tx->now};
	uint64_t left;
	int r = translate(c, old->flags, &e.flags, why);
	if (r < 0 ||
	    (r = tx->ops->message_ref(tx->e, c->acc->id, old->message, 1, &left, why)) < 0 ||
	    (r = tx_entry_add(tx, c->acc, c->to, &e, why)) < 0 || !c->move)
		return r;
	struct row_entry gone = *old;
	return tx_entry_expunge(tx, c->acc, c->from, &gone, why);
}

static int copy_rows(struct copying *c, struct change_job *cj, struct fail *why)
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
		int r = copy_one(c, e, why);
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
	int r = begin(tx, cj, &acc, &from, why);
	if (r < 0 || (r = tx_box_by_name(tx, job->account, cj->target, &other, why)) < 0 ||
	    (r = read_runs(tx, cj, why)) < 0 || (r = copy_quota(cj, &acc, why)) < 0)
		return r;
	struct tx_box *to = other.row.id.v == from.row.id.v ? &from : &other;
	acc.modseq++;
	struct copying c = {.tx = tx, .acc = &acc, .from = &from, .to = to, .move = cj->move};
	r = copy_rows(&c, cj, why);
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
	vec_clear(&cj->rows);
	if (r < 0)
		store_copy_result_clear(&res);
	else
		*ret = res;
	return r;
}

int store_view_copy(struct store_view *v, const struct store_set *set, struct str target,
		    const struct store_quota *quota, struct store_copy_result *ret,
		    struct fail *why)
{
	struct change_job cj;
	init_job(&cj, v, set, apply_copy);
	cj.quota = quota;
	return run_copy(v, &cj, target, ret, why);
}

int store_view_move(struct store_view *v, const struct store_set *set, struct str target,
		    struct store_copy_result *ret, struct fail *why)
{
	int r = refuse_read_only(v, why);
	if (r < 0)
		return r;
	struct change_job cj;
	init_job(&cj, v, set, apply_copy);
	cj.move = true;
	return run_copy(v, &cj, target, ret, why);
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
	struct copying c = {.tx = tx, .acc = acc, .from = from, .to = to, .move = true};
	int r = read_runs(tx, &cj, why);
	if (r == 0)
		r = copy_rows(&c, &cj, why);
	vec_clear(&cj.rows);
	store_copy_result_clear(&res);
	return r;
}

int tx_copy_back(struct tx *tx, struct row_account *acc, struct tx_box *from, struct tx_box *to,
		 const struct row_entry *old, struct fail *why)
{
	struct copying c = {.tx = tx, .acc = acc, .from = from, .to = to};
	struct row_entry e = *old;
	memset(c.table, 0xff, sizeof c.table);
	e.flags &= ~(uint64_t)STORE_DELETED;
	return copy_one(&c, &e, why);
}

/* ---- EXPUNGE ------------------------------------------------------------------------------ */

static int apply_expunge(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct change_job *cj = CONTAINER_OF(job, struct change_job, job);
	struct row_account acc;
	AUTO(tx_box) struct tx_box b = {0};
	int r = begin(tx, cj, &acc, &b, why);
	cj->modseq.v = 0;
	if (r < 0 || b.row.deleted == 0 || (r = read_runs(tx, cj, why)) < 0)
		return r;
	acc.modseq++;
	for (size_t i = 0; i < cj->rows.n; i++) {
		struct row_entry *e = &cj->rows.p[i].e;
		if (!(e->flags & STORE_DELETED))
			continue;
		if ((r = tx_entry_expunge(tx, &acc, &b, e, why)) < 0)
			return r;
		cj->modseq.v = acc.modseq;
	}
	return cj->modseq.v ? tx_box_end(tx, &b, &acc, why) : 0;
}

int store_view_expunge(struct store_view *v, const struct store_set *set, struct modseq *ret_modseq,
		       struct fail *why)
{
	int r = refuse_read_only(v, why);
	if (r < 0)
		return r;
	struct store_run all = {.seq = 1, .first = {1}, .last = {v->info.uidnext.v - 1}};
	struct change_job cj;
	init_job(&cj, v, set, apply_expunge);
	if (!set && v->info.uidnext.v > 1) {
		cj.runs = &all;
		cj.n_runs = 1;
	}
	r = job_run(v->s, &cj.job, why);
	vec_clear(&cj.rows);
	if (r >= 0 && ret_modseq)
		*ret_modseq = cj.modseq;
	return r;
}
