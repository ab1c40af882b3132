/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.c - the committers: what waits in a partition becomes one transaction and one sync.
 */
#include "service/store/store_int.h"
#include "sys/clock.h"
#include "sys/crash.h"

struct batch {
	struct part *part;
	struct store_job *jobs[BATCH_LIMIT];
	size_t n;
};

/* ---- queues ------------------------------------------------------------------------------- */

/* queue_lock held. */
static void make_ready(struct part *p)
{
	struct store *s = p->store;
	if (p->busy)
		return;
	p->busy = true;
	list_append(&s->ready, &p->ready);
	pthread_cond_signal(&s->queue_cond);
}

void job_submit(struct part *p, struct store_job *job, bool lazy)
{
	struct store *s = p->store;
	pthread_mutex_lock(&s->queue_lock);
	if (lazy) {
		if (list_empty(&p->lazy))
			p->lazy_since = store_mono();
		list_append(&p->lazy, &job->link);
	} else {
		list_append(&p->queue, &job->link);
		make_ready(p);
	}
	pthread_mutex_unlock(&s->queue_lock);
}

int job_run_in(struct part *p, struct store_job *job, struct fail *why)
{
	sem_init(&job->wait, 0, 0);
	job_submit(p, job, false);
	while (sem_wait(&job->wait) < 0)
		continue;
	sem_destroy(&job->wait);
	if (job->r < 0 && why)
		*why = job->why;
	return job->r;
}

int job_run(struct store *s, struct store_job *job, struct fail *why)
{
	struct part *p;
	int r = part_of(s, job->account, &p, why);
	return r < 0 ? r : job_run_in(p, job, why);
}

struct kick {
	int64_t older_than;
};

static void kick_part(void *arg, struct part *p)
{
	const struct kick *k = arg;
	pthread_mutex_lock(&p->store->queue_lock);
	if (!list_empty(&p->lazy) && p->lazy_since <= k->older_than) {
		p->lazy_now = true;
		make_ready(p);
	}
	pthread_mutex_unlock(&p->store->queue_lock);
}

void commit_kick_lazy(struct store *s, int64_t older_than)
{
	part_each(s, kick_part, &(struct kick){older_than});
}

/* queue_lock held: everything that waits in p, up to the bound. */
static void take_batch(struct part *p, struct batch *b)
{
	size_t max = p->store->o.batch_max;
	b->part = p;
	b->n = 0;
	p->lazy_now = false;
	struct list *queues[] = {&p->queue, &p->lazy};
	for (size_t q = 0; q < 2; q++) {
		while (b->n < max && !list_empty(queues[q])) {
			struct list *n = list_pop(queues[q]);
			b->jobs[b->n++] = CONTAINER_OF(n, struct store_job, link);
		}
	}
}

/* ---- one batch ---------------------------------------------------------------------------- */

static void prepare_batch(struct store *s, struct batch *b)
{
	bool folders[256] = {false};
	for (size_t i = 0; i < b->n; i++) {
		struct store_job *job = b->jobs[i];
		job->r = blob_prepare(s, job, folders, &job->why);
	}
	struct fail why = FAIL_INIT;
	int r = blob_sync_folders(s, folders, &why);
	for (size_t i = 0; r < 0 && i < b->n; i++) {
		if (!b->jobs[i]->linked || b->jobs[i]->r < 0)
			continue;
		b->jobs[i]->r = r;
		b->jobs[i]->why = why;
	}
}

static void fail_batch(struct batch *b, int r, const struct fail *why)
{
	for (size_t i = 0; i < b->n; i++) {
		if (b->jobs[i]->r < 0)
			continue;
		b->jobs[i]->r = r;
		b->jobs[i]->why = *why;
	}
}

static void drop_changes(struct tx *tx, size_t changes, size_t rows, size_t unlinks)
{
	while (tx->changes.n > changes) {
		struct change *c = vec_pop(&tx->changes);
		if (c->box)
			box_unref(c->box);
		free(c->keyword);
	}
	tx->rows.n = rows;
	tx->unlinks.n = unlinks;
}

/* A job in its savepoint. Negative: the whole transaction is lost. */
static int apply_job(struct tx *tx, struct store_job *job, struct fail *why)
{
	size_t changes = tx->changes.n, rows = tx->rows.n, unlinks = tx->unlinks.n;
	int r = tx->ops->savepoint(tx->e, why);
	if (r < 0)
		return r;
	job->r = job->apply(tx, job, &job->why);
	if (job->r >= 0)
		return tx->ops->release(tx->e, why);
	drop_changes(tx, changes, rows, unlinks);
	if (!tx->ops->active(tx->e)) {
		if (why)
			*why = job->why;
		return job->r;
	}
	return tx->ops->rollback_to(tx->e, why);
}

/* The only job: the transaction is its savepoint, which spares copies of all pages that it touches.
 * Negative as above; *ret_done says that there is something to commit. */
static int apply_only_job(struct tx *tx, struct store_job *job, bool *ret_done, struct fail *why)
{
	job->r = job->apply(tx, job, &job->why);
	*ret_done = job->r >= 0;
	if (job->r >= 0)
		return 0;
	drop_changes(tx, 0, 0, 0);
	if (!tx->ops->active(tx->e)) {
		if (why)
			*why = job->why;
		return job->r;
	}
	tx->ops->rollback(tx->e);
	return 0;
}

static struct store_job *only_job(struct batch *b)
{
	struct store_job *only = NULL;
	size_t n = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->jobs[i]->r >= 0 && n++ == 0)
			only = b->jobs[i];
	return n == 1 ? only : NULL;
}

static int apply_batch(struct tx *tx, struct batch *b, struct fail *why)
{
	struct store_job *only = only_job(b);
	bool done = true;
	int r = tx->ops->begin(tx->e, why);
	if (r >= 0 && only)
		r = apply_only_job(tx, only, &done, why);
	for (size_t i = 0; r >= 0 && !only && i < b->n; i++)
		if (b->jobs[i]->r >= 0)
			r = apply_job(tx, b->jobs[i], why);
	CRASH_POINT("store.before-commit");
	if (r >= 0 && done)
		r = tx->ops->commit(tx->e, why);
	if (r < 0)
		tx->ops->rollback(tx->e);
	CRASH_POINT("store.after-commit");
	return r;
}

/* Names that a failed job made have no row, unless another delivery of the same body has one. */
static void unlink_failed(struct tx *tx, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct store_job *job = b->jobs[i];
		for (size_t k = 0; job->r < 0 && job->linked && k < job->n_contents; k++) {
			const struct store_content *c = (const void *)((const char *)job->contents +
								       k * job->content_stride);
			if (!c->file)
				continue;
			struct body_name *n = vec_push(&tx->unlinks);
			memcpy(n->id, c->file->id, sizeof n->id);
			n->account = job->account;
		}
	}
}

static void write_batch(struct batch *b, struct tx *tx)
{
	struct store *s = b->part->store;
	struct fail why = FAIL_INIT;
	int r = part_enter(b->part, &why);
	if (r < 0) {
		fail_batch(b, r, &why);
		s->sweep_at = 0; /* names that were linked have no row */
		return;
	}
	tx->e = b->part->e;
	r = apply_batch(tx, b, &why);
	if (r < 0) {
		fail_wrap(&why, r, "partition %llu", (unsigned long long)b->part->no);
		fail_batch(b, r, &why);
		s->sweep_at = 0; /* names that were linked may have no row */
		drop_changes(tx, 0, 0, 0);
		part_discard(b->part);
		box_all_stale(b->part);
	} else {
		s->counts.commits++;
		box_publish(tx);
		CRASH_POINT("store.published");
		unlink_failed(tx, b);
		blob_unlink_unused(tx);
	}
	part_leave(b->part);
}

/* Perhaps of jobs that failed: who hears of it looks for himself. */
static void tell_news(const struct tx *tx)
{
	const struct store_options *o = &tx->s->o;
	if (o->news && (tx->news.added || tx->news.dropped_from <= tx->news.dropped_to))
		o->news(o->news_arg, &tx->news);
}

static void run_batch(struct batch *b)
{
	struct store *s = b->part->store;
	struct tx tx = {.s = s,
			.part = b->part,
			.ops = s->ops,
			.now = clock_wall(),
			.news = {.partition = b->part->no, .dropped_from = UINT64_MAX}};
	prepare_batch(s, b);
	CRASH_POINT("store.prepared");
	write_batch(b, &tx);
	watch_fire(s, &tx);
	tell_news(&tx);
	drop_changes(&tx, 0, 0, 0);
	vec_clear(&tx.changes);
	vec_clear(&tx.rows);
	vec_clear(&tx.unlinks);
	s->counts.writes += b->n;
	for (size_t i = 0; i < b->n; i++) {
		if (b->jobs[i]->finish)
			b->jobs[i]->finish(b->jobs[i]);
		else
			sem_post(&b->jobs[i]->wait);
	}
}

void *committer_main(void *arg)
{
	struct store *s = arg;
	AUTO_MEM struct batch *b = xcalloc(1, sizeof *b);
	pthread_mutex_lock(&s->queue_lock);
	for (;;) {
		struct list *n = list_pop(&s->ready);
		if (!n && s->closing)
			break;
		if (!n) {
			pthread_cond_wait(&s->queue_cond, &s->queue_lock);
			continue;
		}
		struct part *p = CONTAINER_OF(n, struct part, ready);
		take_batch(p, b);
		pthread_mutex_unlock(&s->queue_lock);
		run_batch(b);
		pthread_mutex_lock(&s->queue_lock);
		p->busy = false;
		bool full = b->n >= s->o.batch_max; /* lazy ones may have had no room */
		if (!list_empty(&p->queue) ||
		    ((full || p->lazy_now || s->closing) && !list_empty(&p->lazy)))
			make_ready(p);
	}
	pthread_mutex_unlock(&s->queue_lock);
	return NULL;
}
