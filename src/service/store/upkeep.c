/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upkeep.c - what happens by itself: lazy writes, checkpoints within a budget, purge, sweep.
 */
#include "service/store/store_int.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include <errno.h>

#define LAZY_NS	       (5 * SEC_NS)
#define PURGE_EVERY_NS (600 * SEC_NS)
#define SHRINK_NS      (30 * SEC_NS)
#define PURGE_PIECE    500
#define FROZEN_LOG_MAX MIB(1024)

/* ---- purge --------------------------------------------------------------------------------- */

struct expired {
	struct account_id account;
	struct mailbox_id mailbox;
	uint32_t uid;
	uint64_t message, expunged;
};

struct purge_job {
	struct store_job job;
	struct wall_us before;
	size_t max;
	struct store_purge_result result;
	VEC(struct expired) v;
	VEC(struct expired) dead; /* mailboxes: account and mailbox only */
	struct expired scan;
};

static int take_expired(void *arg, struct account_id a, struct mailbox_id m,
			const struct row_entry *row)
{
	struct purge_job *pj = arg;
	struct expired *x = vec_push(&pj->v);
	*x = (struct expired){a, m, row->uid, row->message, row->expunged};
	return 0;
}

static int take_dead(void *arg, struct account_id a, const struct row_mailbox *row, struct str name)
{
	struct purge_job *pj = arg;
	(void)name;
	struct expired *x = vec_push(&pj->dead);
	*x = (struct expired){.account = a, .mailbox = row->id};
	return 0;
}

/* No more than the bound. */
static int take_buried(void *arg, const struct row_entry *row)
{
	struct purge_job *pj = arg;
	if (pj->v.n >= pj->max)
		return 0;
	struct expired *x = vec_push(&pj->v);
	*x = pj->scan;
	x->uid = row->uid;
	x->message = row->message;
	return 0;
}

static int forget(struct tx *tx, struct purge_job *pj, const struct expired *x, struct fail *why)
{
	pj->result.entries++;
	int r = tx->ops->entry_remove(tx->e, x->account, x->mailbox, x->uid, why);
	return r < 0 ? r : tx_message_drop(tx, x->account, x->message, &pj->result, why);
}

static int raise_floor(struct tx *tx, const struct expired *x, struct fail *why)
{
	struct row_mailbox row;
	int r = tx->ops->mailbox_get(tx->e, x->account, x->mailbox, &row, why);
	if (r <= 0 || row.floor_modseq >= x->expunged)
		return r < 0 ? r : 0;
	row.floor_modseq = x->expunged;
	return tx->ops->mailbox_set(tx->e, x->account, &row, why);
}

static int purge_expunged(struct tx *tx, struct purge_job *pj, struct fail *why)
{
	struct expired_range range = {pj->job.account, pj->before, pj->max};
	int r = tx->ops->entry_expired(tx->e, &range, take_expired, pj, why);
	for (size_t i = 0; r >= 0 && i < pj->v.n; i++) {
		const struct expired *x = &pj->v.p[i];
		if (x->expunged > box_needed(tx->s, x->account, x->mailbox))
			continue; /* an open view may still see it */
		r = forget(tx, pj, x, why);
		if (r >= 0)
			r = raise_floor(tx, x, why);
	}
	return r;
}

/* A buried mailbox goes piece by piece, its row last. */
static int purge_mailbox(struct tx *tx, struct purge_job *pj, const struct expired *dead,
			 struct fail *why)
{
	pj->scan = *dead;
	pj->v.n = 0;
	size_t left = pj->max - MIN(pj->max, pj->result.entries);
	size_t max = pj->max;
	if (left == 0)
		return 0;
	pj->max = left;
	struct uid_range all = {dead->account, dead->mailbox, 1, UINT32_MAX};
	int r = tx->ops->entry_each(tx->e, &all, take_buried, pj, why);
	pj->max = max;
	for (size_t i = 0; r >= 0 && i < pj->v.n; i++)
		r = forget(tx, pj, &pj->v.p[i], why);
	if (r < 0 || pj->v.n >= left)
		return r;
	pj->result.mailboxes++;
	return tx->ops->mailbox_remove(tx->e, dead->account, dead->mailbox, why);
}

static int apply_purge(struct tx *tx, struct store_job *job, struct fail *why)
{
	struct purge_job *pj = CONTAINER_OF(job, struct purge_job, job);
	struct wall_us old = {tx->now.v - STORE_RECEIPT_AGE_S * SEC_US};
	int r = tx->ops->receipt_expire(tx->e, old, why);
	if (r >= 0)
		r = purge_expunged(tx, pj, why);
	if (r >= 0)
		r = tx->ops->mailbox_dead(tx->e, job->account, pj->before, take_dead, pj, why);
	for (size_t i = 0; r >= 0 && i < pj->dead.n; i++)
		r = purge_mailbox(tx, pj, &pj->dead.p[i], why);
	return r;
}

static int purge_part(void *arg, struct part *p, struct fail *why)
{
	struct purge_job *total = arg;
	struct purge_job pj = {.job = {.account = total->job.account, .apply = apply_purge},
			       .before = total->before,
			       .max = total->max};
	int r = job_run_in(p, &pj.job, why);
	vec_clear(&pj.v);
	vec_clear(&pj.dead);
	if (r < 0)
		return r;
	total->result.entries += pj.result.entries;
	total->result.messages += pj.result.messages;
	total->result.bodies += pj.result.bodies;
	total->result.mailboxes += pj.result.mailboxes;
	total->result.more |= pj.result.entries >= pj.max;
	return 0;
}

int store_purge(struct store *s, struct account_id account, struct wall_us before, size_t max,
		struct store_purge_result *ret, struct fail *why)
{
	struct purge_job total = {.job = {.account = account}, .before = before, .max = max};
	struct part *p;
	int r = account.v ? part_of(s, account, &p, why) : 0;
	if (r < 0)
		return r;
	r = account.v ? purge_part(&total, p, why) : part_every(s, purge_part, &total, why);
	if (r == 0)
		*ret = total.result;
	return r;
}

/* ---- checkpoints --------------------------------------------------------------------------- */

struct logs {
	uint64_t total;
	uint64_t largest;
	struct part *largest_part;
	bool failed;
};

static void checkpoint(struct part *p, bool *failed)
{
	struct store *s = p->store;
	CRASH_POINT("store.before-checkpoint");
	if (s->ops->checkpoint(p->e, NULL) < 0)
		*failed = true; /* the log stays; the next round tries again */
	else
		s->counts.checkpoints++;
	CRASH_POINT("store.after-checkpoint");
}

/* Nobody has needed it for a while: what it has cached is in the kernel's page cache, too. */
static void shrink_when_quiet(struct part *p)
{
	const struct engine_ops *ops = p->store->ops;
	if (!p->e || !ops->shrink || !p->used || store_mono() - p->used < SHRINK_NS)
		return;
	ops->shrink(p->e);
	p->used = 0;
}

static void measure(void *arg, struct part *p)
{
	struct logs *l = arg;
	struct store *s = p->store;
	pthread_mutex_lock(&p->lock);
	uint64_t bytes = p->e ? s->ops->log_bytes(p->e) : 0;
	if (p->frozen && bytes > FROZEN_LOG_MAX)
		p->thawed = true; /* the backup reads this partition again */
	if (p->frozen && !p->thawed)
		bytes = 0;
	if (bytes > s->o.wal_bytes) {
		checkpoint(p, &l->failed);
		bytes = s->ops->log_bytes(p->e);
	}
	shrink_when_quiet(p);
	pthread_mutex_unlock(&p->lock);
	l->total += bytes;
	if (bytes > l->largest) {
		l->largest = bytes;
		l->largest_part = p;
	}
}

/* 1 = still over the sum. */
static int keep_budget(struct store *s)
{
	struct logs l = {0};
	part_each(s, measure, &l);
	if (l.total <= s->o.wal_bytes_total || !l.largest_part)
		return 0;
	pthread_mutex_lock(&l.largest_part->lock);
	if (l.largest_part->e && (!l.largest_part->frozen || l.largest_part->thawed))
		checkpoint(l.largest_part, &l.failed);
	pthread_mutex_unlock(&l.largest_part->lock);
	return l.failed ? 0 : 1;
}

/* ---- the round ----------------------------------------------------------------------------- */

static int purge_now_and_then(struct store *s, struct fail *why)
{
	if (store_mono() < s->purge_at)
		return 0;
	struct wall_us before = {clock_wall().v - atomic_load(&s->retention_us)};
	struct store_purge_result res;
	int r = store_purge(s, (struct account_id){0}, before, PURGE_PIECE, &res, why);
	if (r < 0)
		return r;
	if (!res.more)
		s->purge_at = store_mono() + PURGE_EVERY_NS;
	return res.more;
}

void store_set_retention(struct store *s, int64_t retention_us)
{
	atomic_store(&s->retention_us, retention_us);
}

int store_maintain(struct store *s, struct fail *why)
{
	commit_kick_lazy(s, store_mono() - LAZY_NS);
	boxes_cool(s, false);
	orders_cool(s, false);
	int more = keep_budget(s);
	int purge = purge_now_and_then(s, why);
	if (purge < 0)
		return purge;
	int sweep = blob_sweep(s, why);
	return sweep < 0 ? sweep : more | purge | sweep;
}

void *upkeep_main(void *arg)
{
	struct store *s = arg;
	pthread_mutex_lock(&s->upkeep_lock);
	while (!s->upkeep_stop) {
		pthread_mutex_unlock(&s->upkeep_lock);
		int more = store_maintain(s, NULL);
		struct timespec t;
		(void)clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += more > 0 ? 20 * MS_NS : 0; /* a pause between pieces */
		t.tv_sec += more > 0 ? 0 : 1;
		if (t.tv_nsec >= SEC_NS) {
			t.tv_nsec -= SEC_NS;
			t.tv_sec++;
		}
		pthread_mutex_lock(&s->upkeep_lock);
		while (!s->upkeep_stop &&
		       pthread_cond_timedwait(&s->upkeep_cond, &s->upkeep_lock, &t) != ETIMEDOUT)
			continue;
	}
	pthread_mutex_unlock(&s->upkeep_lock);
	return NULL;
}
