/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The committer: everything that waits goes into one transaction, hence one fsync. When a message,
 * or the results of one, cannot be written, the transaction begins anew with each in a savepoint,
 * so that one that fails takes no other along. (Savepoints copy every page that they touch; what
 * fails is rare.)
 *
 * Results that their message refuses (a damaged row, a report that does not fit) are tried again
 * after ever longer pauses, and in the end their recipients are held: an operator has to look.
 *
 * When the commit itself fails, submissions are refused and results wait for another try. Body
 * names are left alone then: what a failed commit wrote may still be found by recovery after a
 * crash, and the row must find its body. The sweep at opening removes the rest.
 */
#include "spool_int.h"

#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/futex.h"

#define FROZEN_LOG_MAX MIB(1024)

enum { RESULTS_MAX = 2000, DROPPED_MAX = 256, RETRY_MS = 500, LAZY_S = 5, RESULT_TEXT_MAX = 1000 };
enum { GATHER_MS_MAX = 10 };
enum { TRIES_MAX = 8, PAUSE_MAX_MS = 30000, LATER_LOOK_MS = 100 };

struct submission {
	struct spool_message *m;
	int r;
	uint64_t number;
	struct fail why;
};

struct batch {
	VEC(struct submission) submissions;
	VEC(struct result *) results; /* by message number */
	VEC(struct spool_receipt) dropped;
	struct settled settled;
	VEC(struct result *) again; /* could not be written */
	bool careful;		    /* each in a savepoint */
	bool one_failed;	    /* and there was none */
};

void result_free(struct result *r)
{
	if (!r)
		return;
	free((void *)(uintptr_t)r->text.p);
	free(r);
}

/* ---- collecting ---- */

bool jobs_quiet(const struct spool *sp)
{
	const struct jobs *j = &sp->jobs;

	return j->busy == 0 && list_empty(&j->to_carry) && list_empty(&j->to_write) &&
	       list_empty(&j->results) && list_empty(&j->later);
}

static void wait_until(struct jobs *j, const struct timespec *until)
{
	(void)pthread_cond_clockwait(&j->work, &j->lock, CLOCK_MONOTONIC, until);
}

static void wait_ms(struct jobs *j, unsigned ms)
{
	struct timespec until = futex_deadline(ms);
	wait_until(j, &until);
}

static bool is_past(const struct timespec *t)
{
	struct timespec now = futex_deadline(0);
	return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

static bool has_work(const struct jobs *j)
{
	return !list_empty(&j->to_write) || j->dropped.n >= DROPPED_MAX ||
	       (!list_empty(&j->results) && is_past(&j->settle_at));
}

static int by_number(const void *a, const void *b)
{
	const struct result *x = *(struct result *const *)a;
	const struct result *y = *(struct result *const *)b;

	if (x->key.number != y->key.number)
		return x->key.number < y->key.number ? -1 : 1;
	return x->key.rcpt < y->key.rcpt ? -1 : x->key.rcpt > y->key.rcpt;
}

/*
 * On a slow disk those who were answered by the last commit are back soon, and a commit without
 * them lets them wait for two: so wait for as many as there were, about half of a commit's time.
 */
static void gather(struct jobs *j, size_t group_max)
{
	int64_t ms = MIN(j->commit.v / MS_NS / 2 + 1, GATHER_MS_MAX);
	size_t crowd = MIN(j->crowd, group_max);
	if (list_empty(&j->to_write) || j->commit.v < MS_NS)
		return;
	struct timespec until = futex_deadline((uint64_t)ms);
	while (j->to_write_n < crowd && !j->stop && !is_past(&until))
		wait_until(j, &until);
}

/* Results that were refused have their next try; the clock may be bent, so this is looked at often.
 */
static void take_later(struct jobs *j)
{
	struct mono_ns now = clock_mono();

	LIST_EACH (&j->later, n) {
		struct result *r = CONTAINER_OF(n, struct result, link);
		if (!j->stop && mono_before(now, r->again_at))
			continue;
		list_remove(n);
		if (list_empty(&j->results))
			j->settle_at = futex_deadline(0);
		list_append(&j->results, n);
	}
}

/* Wait for work and take it. False: stopped, and nothing is left. */
static bool collect(struct spool *sp, struct batch *b)
{
	struct jobs *j = &sp->jobs;
	struct list *n;

	LOCKED(&j->lock);
	if (j->retry_wait && !j->stop)
		wait_ms(j, RETRY_MS);
	while (!has_work(j) && !j->stop) {
		if (!list_empty(&j->results)) {
			wait_until(j, &j->settle_at);
		} else if (!list_empty(&j->later)) {
			wait_ms(j, LATER_LOOK_MS);
			take_later(j);
		} else if (j->dropped.n == 0) {
			(void)pthread_cond_wait(&j->work, &j->lock);
		} else {
			wait_ms(j, LAZY_S * 1000);
			break;
		}
	}
	take_later(j);
	gather(j, sp->c.group_max);
	while (b->submissions.n < sp->c.group_max && (n = list_pop(&j->to_write)))
		vec_push(&b->submissions)->m = CONTAINER_OF(n, struct spool_message, link_);
	j->to_write_n -= b->submissions.n;
	while (b->results.n < RESULTS_MAX && (n = list_pop(&j->results)))
		*(struct result **)vec_push(&b->results) = CONTAINER_OF(n, struct result, link);
	while (j->dropped.n > 0)
		*(struct spool_receipt *)vec_push(&b->dropped) = *vec_pop(&j->dropped);
	if (b->results.n > 1)
		qsort(b->results.p, b->results.n, sizeof(struct result *), by_number);
	j->busy++;
	return b->submissions.n + b->results.n + b->dropped.n > 0 || !j->stop;
}

/* ---- writing ---- */

static int savepoint(struct spool *sp, const struct batch *b, const char *sql, struct fail *why)
{
	return b->careful ? rows_run(sp, sql, NULL, 0, why) : 0;
}

/* Undo what was written since the savepoint. Fails when the whole transaction has to go. */
static int undo(struct spool *sp, struct batch *b, int r, struct fail *why)
{
	struct fail ignored;

	b->one_failed = true;
	if (!b->careful || !db_in_transaction(sp->db) ||
	    savepoint(sp, b, "ROLLBACK TO one", &ignored) < 0 ||
	    savepoint(sp, b, "RELEASE one", &ignored) < 0)
		return r;
	(void)why;
	return 0;
}

static int write_submission(struct spool *sp, struct batch *b, struct submission *s,
			    struct fail *why)
{
	int r = savepoint(sp, b, "SAVEPOINT one", why);

	if (r < 0)
		return r;
	s->r = rows_insert(sp, s->m, KIND_MAIL, &s->number, &s->why);
	if (s->r == 0)
		return savepoint(sp, b, "RELEASE one", why);
	if (why)
		*why = s->why;
	return undo(sp, b, s->r, why);
}

static void put_again(struct batch *b, struct result *const *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*(struct result **)vec_push(&b->again) = r[i];
}

static void note_trouble(struct result *const *r, size_t n, const struct fail *why)
{
	for (size_t i = 0; i < n; i++)
		(void)snprintf(r[i]->trouble, sizeof r[i]->trouble, "%.150s", why->detail);
}

static int write_results(struct spool *sp, struct batch *b, struct fail *why)
{
	for (size_t i = 0, n; i < b->results.n; i += n) {
		struct result *const *group = &b->results.p[i];
		for (n = 1; i + n < b->results.n; n++)
			if (group[n]->key.number != group[0]->key.number)
				break;
		int r = savepoint(sp, b, "SAVEPOINT one", why);
		if (r < 0)
			return r;
		r = settle_message(sp, group, n, &b->settled, why);
		if (r == 0) {
			r = savepoint(sp, b, "RELEASE one", why);
			if (r < 0)
				return r;
			continue;
		}
		note_trouble(group, n, why);
		r = undo(sp, b, r, why);
		if (r < 0)
			return r;
		put_again(b, group, n);
	}
	return 0;
}

static int write_dropped(struct spool *sp, const struct batch *b, struct fail *why)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->dropped.n; i++) {
		const struct spool_key *k = &b->dropped.p[i].key;
		r = rows_run(sp, "DELETE FROM receipt WHERE number = ?1 AND rcpt = ?2",
			     (int64_t[]){(int64_t)k->number, k->rcpt}, 2, why);
	}
	return r;
}

static int write_rows(struct spool *sp, struct batch *b, struct fail *why)
{
	int r = db_begin(sp->db, why);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < b->submissions.n; i++)
		r = write_submission(sp, b, &b->submissions.p[i], why);
	if (r == 0)
		r = write_results(sp, b, why);
	if (r == 0)
		r = write_dropped(sp, b, why);
	if (r < 0)
		db_rollback(sp->db);
	return r;
}

static int write_batch(struct spool *sp, struct batch *b, struct fail *why)
{
	SPOOL_DB(sp);
	int r = write_rows(sp, b, why);
	if (r < 0 && b->one_failed) {
		b->careful = true;
		for (size_t i = 0; i < b->submissions.n; i++)
			b->submissions.p[i].r = 0;
		settled_clear(&b->settled);
		r = write_rows(sp, b, why);
	}
	if (r < 0)
		return r;
	CRASH_POINT("spool.before-commit");
	if (b->results.n > 0)
		CRASH_POINT("spool.before-done-commit");
	r = db_commit(sp->db, why);
	if (r < 0)
		return r;
	CRASH_POINT("spool.after-commit");
	if (b->results.n > 0)
		CRASH_POINT("spool.after-done-commit");
	return 0;
}

/* ---- afterwards ---- */

static void fail_batch(struct spool *sp, struct batch *b, int r, const struct fail *why)
{
	for (size_t i = 0; i < b->submissions.n; i++) {
		struct submission *s = &b->submissions.p[i];
		if (s->r == 0) {
			s->r = r;
			s->why = *why;
		}
		if (body_id_is_set(s->m->body_id))
			body_forget(sp, s->m->body_id);
	}
	settled_clear(&b->settled);
	b->again.n = 0;
	put_again(b, b->results.p, b->results.n);
	{
		LOCKED(&sp->schedule.lock);
		sp->schedule.counts.commit_failures++;
	}
	(void)pthread_mutex_lock(&sp->jobs.lock);
	for (size_t i = 0; i < b->dropped.n; i++)
		*(struct spool_receipt *)vec_push(&sp->jobs.dropped) = b->dropped.p[i];
	(void)pthread_mutex_unlock(&sp->jobs.lock);
	spool_alert(sp, "spool: commit failed: %s", why->detail);
}

static void schedule_submission(struct spool *sp, const struct submission *s)
{
	const struct spool_message *m = s->m;
	enum spool_state state = message_state(m, KIND_MAIL);
	uint64_t source = schedule_source(m->auth_account, m->sender);

	schedule_count_new(sp, state, m->n_rcpts);
	for (size_t i = 0; i < m->n_rcpts; i++) {
		char hop[HOP_NAME_MAX];
		const struct spool_rcpt *to = &m->rcpts[i];
		(void)schedule_add(
			sp, (struct spool_key){s->number, (uint32_t)i},
			&(struct new_entry){.account = to->to.account,
					    .nexthop = hop_name(&to->to, m->wish.filter, hop),
					    .state = state,
					    .due = message_due(m),
					    .source = source,
					    .priority = m->wish.priority},
			true);
	}
}

static void schedule_change(struct spool *sp, const struct change *c)
{
	struct entry *e = schedule_find(sp, c->key);

	if (c->kind == CHANGE_ADD)
		schedule_count_new(sp, c->state, 1);
	else if (c->kind == CHANGE_REMOVE)
		schedule_count_gone(sp, c->from, 1);
	else if (c->kind == CHANGE_DEFER)
		schedule_count(sp, c->from, c->state);
	if (c->kind != CHANGE_ADD && e)
		schedule_remove(sp, e);
	if (c->kind == CHANGE_ADD || c->kind == CHANGE_DEFER)
		window_note(sp, c->state, c->due, c->key);
}

static void publish(struct spool *sp, struct batch *b)
{
	struct spool_counts *n = &sp->schedule.counts;

	{
		LOCKED(&sp->schedule.lock);
		n->commits++;
		for (size_t i = 0; i < b->submissions.n; i++) {
			if (b->submissions.p[i].r < 0)
				continue;
			schedule_submission(sp, &b->submissions.p[i]);
			n->submitted++;
		}
		for (size_t i = 0; i < b->settled.changes.n; i++)
			schedule_change(sp, &b->settled.changes.p[i]);
		n->delivered += b->settled.delivered;
		n->deferred += b->settled.deferred;
		n->failed += b->settled.failed;
		n->dsns += b->settled.dsns;
	}
	/* New timers: a sleeping clerk does not know them. */
	if (b->settled.deferred > 0 || b->settled.dsns > 0)
		clerk_nudge(sp);
	for (size_t i = 0; i < b->submissions.n; i++) {
		const struct submission *s = &b->submissions.p[i];
		if (!body_id_is_set(s->m->body_id))
			continue;
		if (s->r < 0)
			body_unlink(sp, s->m->body_id);
		body_forget(sp, s->m->body_id);
	}
	for (size_t i = 0; i < b->settled.bodies.n; i++)
		body_unlink(sp, b->settled.bodies.p[i]);
}

static void tell(struct spool *sp, struct batch *b, bool ok)
{
	for (size_t i = 0; ok && sp->c.event && i < b->settled.events.n; i++)
		sp->c.event(sp->c.ctx, &b->settled.events.p[i]);
	for (size_t i = 0; i < b->submissions.n; i++) {
		struct submission *s = &b->submissions.p[i];
		s->m->done(s->m, s->r, s->number, s->r < 0 ? &s->why : NULL);
	}
	if (b->settled.receipts.n > 0 && sp->c.delivered)
		sp->c.delivered(sp->c.ctx, b->settled.receipts.p, b->settled.receipts.n);
	schedule_announce(sp);
}

/* What became of it is known and cannot be written: nobody shall deliver it a second time. */
static int hold_refused(struct spool *sp, const struct result *r)
{
	static const char *const outcomes[] = {"delivered", "put off", "refused"};
	struct fail why = FAIL_INIT;
	char text[400];

	(void)snprintf(text, sizeof text, "it was %s (%s), which cannot be written down: %s",
		       outcomes[r->outcome], r->status, r->trouble);
	if (hold_rows(sp, &r->key, 1, str_c(text), &why) < 0)
		return -FAIL_TEMP;
	spool_alert(sp, "spool: message %llu is held: %s", (unsigned long long)r->key.number, text);
	return 0;
}

/* The rest of the batch was written, these were not. Those that wait stay in b->again. */
static void judge_refused(struct spool *sp, struct batch *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->again.n; i++) {
		struct result *r = b->again.p[i];
		r->tries = MIN(r->tries + 1, (unsigned)TRIES_MAX);
		if (r->tries == TRIES_MAX && hold_refused(sp, r) == 0)
			continue;
		int64_t pause = MIN((int64_t)RETRY_MS << (r->tries - 1), (int64_t)PAUSE_MAX_MS);
		r->again_at.v = clock_mono().v + pause * MS_NS;
		b->again.p[kept++] = r;
	}
	b->again.n = kept;
}

/* Results that were written go, the others wait. */
static void finish(struct spool *sp, struct batch *b, bool ok)
{
	struct jobs *j = &sp->jobs;
	bool give_up = false;

	(void)pthread_mutex_lock(&j->lock);
	j->retry_wait = !ok;
	give_up = j->stop && (!ok || b->again.n > 0);
	for (size_t i = 0; i < b->results.n; i++) {
		bool waits = false;
		for (size_t k = 0; k < b->again.n && !waits; k++)
			waits = b->again.p[k] == b->results.p[i];
		if (waits && !give_up)
			list_append(ok ? &j->later : &j->results, &b->results.p[i]->link);
		else
			result_free(b->results.p[i]);
	}
	if (give_up)
		j->dropped.n = 0; /* asked for again after the next start */
	j->busy--;
	(void)pthread_cond_broadcast(&j->quiet);
	(void)pthread_mutex_unlock(&j->lock);
	settled_clear(&b->settled);
	vec_clear(&b->submissions);
	vec_clear(&b->results);
	vec_clear(&b->dropped);
	vec_clear(&b->again);
}

/* Fold the log into the file when it is large, or when there is time. */
static void checkpoint(struct spool *sp)
{
	struct fail why = FAIL_INIT;

	(void)pthread_mutex_lock(&sp->jobs.lock);
	bool idle = !has_work(&sp->jobs);
	(void)pthread_mutex_unlock(&sp->jobs.lock);
	SPOOL_DB(sp);
	if (db_wal_bytes(sp->db) <= (idle ? sp->c.wal_max / 4 : sp->c.wal_max))
		return;
	if (sp->frozen && db_wal_bytes(sp->db) <= FROZEN_LOG_MAX)
		return;
	sp->thawed = true; /* a backup that still reads does it again */
	CRASH_POINT("spool.checkpoint");
	if (db_checkpoint(sp->db, &why) < 0)
		spool_alert(sp, "spool: checkpoint failed: %s", why.detail);
}

static void note_commit(struct jobs *j, struct mono_ns begun, size_t n)
{
	LOCKED(&j->lock);
	j->commit.v = clock_mono().v - begun.v;
	j->crowd = n + j->to_write_n;
}

void *committer_main(void *arg)
{
	struct spool *sp = arg;

	for (;;) {
		struct batch b = {0};
		struct fail why = FAIL_INIT;
		bool more = collect(sp, &b);
		int r = 0;
		if (b.submissions.n + b.results.n + b.dropped.n > 0) {
			struct mono_ns begun = clock_mono();
			r = write_batch(sp, &b, &why);
			note_commit(&sp->jobs, begun, b.submissions.n);
			if (r < 0)
				fail_batch(sp, &b, r, &why);
			else
				publish(sp, &b);
			tell(sp, &b, r == 0);
			if (r == 0)
				judge_refused(sp, &b);
		}
		finish(sp, &b, r == 0);
		if (!more)
			return NULL;
		checkpoint(sp);
	}
}

/* ---- the callers' side ---- */

/* NULL when this delivery is not in flight, or has its result already. */
static struct result *accept(struct spool *sp, struct spool_key key, const struct spool_result *r)
{
	static const char *const general[] = {"2.0.0", "4.0.0", "5.0.0"};
	struct wall_us routed = {0};
	{
		LOCKED(&sp->schedule.lock);
		struct entry *e = schedule_find(sp, key);
		if (!e || !e->in_flight || e->settling)
			return NULL;
		e->settling = true;
		routed = e->routed;
	}
	struct result *copy = xcalloc(1, sizeof *copy);
	size_t n = MIN(r->text.n, (size_t)RESULT_TEXT_MAX);
	char *text = xcalloc(1, n + 1);
	memcpy(text, n ? r->text.p : "", n);
	copy->key = key;
	copy->outcome = r->outcome;
	copy->dsn_passed = r->dsn_passed;
	copy->relaying_told = r->relaying_told;
	copy->untried = r->untried;
	copy->lasting = r->lasting;
	copy->routed = routed;
	(void)snprintf(copy->server, sizeof copy->server, "%.*s", STR_ARG(r->server));
	copy->text = str_make(text, n);
	(void)snprintf(copy->status, sizeof copy->status, "%s",
		       r->status ? r->status : general[r->outcome]);
	return copy;
}

void spool_done_many(struct spool *sp, const struct spool_key *keys, const struct spool_result *r,
		     size_t n)
{
	struct list accepted = LIST_INIT(accepted);
	struct list *l;

	for (size_t i = 0; i < n; i++) {
		struct result *copy = accept(sp, keys[i], &r[i]);
		if (copy)
			list_append(&accepted, &copy->link);
	}
	LOCKED(&sp->jobs.lock);
	if (list_empty(&sp->jobs.results)) { /* else the committer counts the time already */
		/* A delivery that was not written down is repeated, and recognised: nobody waits
		 * for this. A submission takes them along. */
		sp->jobs.settle_at = futex_deadline(sp->c.settle_ms);
		(void)pthread_cond_signal(&sp->jobs.work);
	}
	while ((l = list_pop(&accepted)))
		list_append(&sp->jobs.results, l);
}

void spool_done(struct spool *sp, struct spool_key key, const struct spool_result *r)
{
	spool_done_many(sp, &key, r, 1);
}

void spool_receipts_dropped(struct spool *sp, const struct spool_receipt *r, size_t n)
{
	LOCKED(&sp->jobs.lock);
	for (size_t i = 0; i < n; i++)
		*(struct spool_receipt *)vec_push(&sp->jobs.dropped) = r[i];
	(void)pthread_cond_signal(&sp->jobs.work);
}

void spool_drain(struct spool *sp)
{
	LOCKED(&sp->jobs.lock);
	while (!jobs_quiet(sp))
		(void)pthread_cond_wait(&sp->jobs.quiet, &sp->jobs.lock);
}
