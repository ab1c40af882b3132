/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"
#include "base/check.h"
#include "base/map.h"
#include "sys/futex.h"
#include <pthread.h>
#include <stdlib.h>

#define IDLE_MS 10000

/* A thread that waits for work; on its stack. Who gives it a lane takes it out of the list. */
struct idler {
	struct list link;
	struct lane *lane; /* NULL: look around */
	_Atomic uint32_t woken;
};

struct pool {
	pthread_mutex_t lock; /* guards everything below and every lane of the pool */
	pthread_cond_t ended; /* a thread ended */
	struct list ready;  /* lanes with a job to run and none running, while no thread is idle */
	struct list idlers; /* the one that was busy last comes first: the others may go */
	unsigned threads;
	unsigned max_threads;
	size_t stack;
	bool ending;
	char name[16];
	unsigned tenant_max[LANE_TENANTS];
	struct map tenants[LANE_TENANTS]; /* those with a lane that is ready or runs */
};

struct tenant {
	unsigned n;	     /* its lanes that are ready or run */
	struct list waiting; /* its other lanes with something to do */
};

struct pool *pool_new(const char *name, unsigned max_threads, unsigned stack_kib)
{
	struct pool *p = xcalloc(1, sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->ended, NULL);
	list_init(&p->ready);
	list_init(&p->idlers);
	p->max_threads = max_threads;
	p->stack = KIB(stack_kib ? stack_kib : 256);
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	return p;
}

void pool_resize(struct pool *p, unsigned max_threads)
{
	pthread_mutex_lock(&p->lock);
	p->max_threads = max_threads;
	pthread_mutex_unlock(&p->lock);
}

/* --- tenants, with the lock held --- */

/* The tenant that has enough lanes at work already; NULL: the lane may go. */
static struct tenant *full_tenant(struct pool *p, const struct lane *lane)
{
	for (size_t i = 0; i < LANE_TENANTS; i++) {
		struct tenant *t =
			lane->tenants[i] ? map_get(&p->tenants[i], lane->tenants[i]) : NULL;
		if (t && p->tenant_max[i] && t->n >= p->tenant_max[i])
			return t;
	}
	return NULL;
}

static void take_turn(struct pool *p, struct lane *lane)
{
	for (size_t i = 0; i < LANE_TENANTS; i++) {
		lane->held[i] = lane->tenants[i];
		if (!lane->held[i])
			continue;
		struct tenant *t = map_get(&p->tenants[i], lane->held[i]);
		if (!t) {
			t = xcalloc(1, sizeof *t);
			list_init(&t->waiting);
			(void)map_put(&p->tenants[i], lane->held[i], t);
		}
		t->n++;
	}
}

static _Atomic uint32_t *dispatch(struct pool *p, struct lane *lane);

/* The tenant's next lanes may go. Not just one: it may have to wait for its other tenant, or have
 * got another since, and then no end of a lane would ever think of those behind it. */
static void fill(struct pool *p, size_t i, struct tenant *t)
{
	struct list *n;
	while ((!p->tenant_max[i] || t->n < p->tenant_max[i]) && (n = list_pop(&t->waiting))) {
		_Atomic uint32_t *wake = dispatch(p, CONTAINER_OF(n, struct lane, ready));
		if (wake)
			futex_wake(wake);
	}
}

static void give_turn(struct pool *p, struct lane *lane)
{
	for (size_t i = 0; i < LANE_TENANTS; i++) {
		struct tenant *t = lane->held[i] ? map_get(&p->tenants[i], lane->held[i]) : NULL;
		if (!t)
			continue;
		t->n--;
		fill(p, i, t);
		if (!t->n && list_empty(&t->waiting))
			free(map_remove(&p->tenants[i], lane->held[i]));
		lane->held[i] = 0;
	}
}

static struct lane *take_ready(struct pool *p)
{
	struct list *n = list_pop(&p->ready);
	return n ? CONTAINER_OF(n, struct lane, ready) : NULL;
}

/* Wait for a lane; NULL when this thread should end. Called with the lock held. */
static struct lane *next_lane(struct pool *p)
{
	struct lane *lane = take_ready(p);
	if (lane || p->ending)
		return lane;
	struct idler me = {0};
	struct timespec until = futex_deadline(IDLE_MS);
	list_prepend(&p->idlers, &me.link);
	pthread_mutex_unlock(&p->lock);
	(void)futex_wait(&me.woken, &until);
	pthread_mutex_lock(&p->lock);
	list_remove(&me.link); /* when nobody gave us work */
	return me.lane ? me.lane : take_ready(p);
}

/* A lane with something to do: false when it has to wait for its tenant. */
static bool make_ready(struct pool *p, struct lane *lane)
{
	struct tenant *t = full_tenant(p, lane);
	if (t) {
		list_append(&t->waiting, &lane->ready);
		return false;
	}
	take_turn(p, lane);
	list_append(&p->ready, &lane->ready);
	return true;
}

static void *work(void *arg)
{
	struct pool *p = arg;
	pthread_setname_np(pthread_self(), p->name);
	pthread_mutex_lock(&p->lock);
	for (struct lane *lane; (lane = next_lane(p));) {
		struct job *job = CONTAINER_OF(list_take(&lane->jobs), struct job, link);
		bool once = lane->once;
		lane->running = true;
		pthread_mutex_unlock(&p->lock);
		job->run(job);
		pthread_mutex_lock(&p->lock);
		if (once)
			continue; /* the lane may be gone, with its job */
		lane->running = false;
		give_turn(p, lane);
		if (!list_empty(&lane->jobs))
			make_ready(p, lane);
	}
	p->threads--;
	pthread_cond_broadcast(&p->ended);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void grow(struct pool *p)
{
	pthread_attr_t attr;
	pthread_t thread;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, p->stack);
	if (pthread_create(&thread, &attr, work, p) == 0)
		p->threads++;
	pthread_attr_destroy(&attr);
	CHECK(p->threads > 0); /* fewer threads than wished is fine, none is not */
}

void lane_init(struct lane *lane, struct pool *pool)
{
	*lane = (struct lane){.pool = pool};
	list_init(&lane->jobs);
	list_init(&lane->ready);
}

/* Hand the lane to an idle thread, whose word is to be woken, or to the next that has time. */
static _Atomic uint32_t *dispatch(struct pool *p, struct lane *lane)
{
	if (!make_ready(p, lane))
		return NULL;
	struct list *n = list_pop(&p->idlers);
	if (!n) {
		if (p->threads < p->max_threads)
			grow(p);
		return NULL;
	}
	list_remove(&lane->ready);
	struct idler *idler = CONTAINER_OF(n, struct idler, link);
	idler->lane = lane;
	atomic_store(&idler->woken, 1);
	return &idler->woken;
}

void lane_submit(struct lane *lane, struct job *job)
{
	struct pool *p = lane->pool;
	_Atomic uint32_t *wake = NULL;
	pthread_mutex_lock(&p->lock);
	bool was_empty = list_empty(&lane->jobs);
	list_append(&lane->jobs, &job->link);
	if (was_empty && !lane->running)
		wake = dispatch(p, lane);
	pthread_mutex_unlock(&p->lock);
	if (wake)
		futex_wake(wake);
}

void pool_submit(struct pool *p, struct pool_job *j)
{
	lane_init(&j->lane, p);
	j->lane.once = true;
	lane_submit(&j->lane, &j->job);
}

void lane_tenants(struct lane *lane, const uint64_t tenants[LANE_TENANTS])
{
	pthread_mutex_lock(&lane->pool->lock);
	memcpy(lane->tenants, tenants, sizeof lane->tenants);
	pthread_mutex_unlock(&lane->pool->lock);
}

void pool_tenant_max(struct pool *p, const unsigned max[LANE_TENANTS])
{
	pthread_mutex_lock(&p->lock);
	memcpy(p->tenant_max, max, sizeof p->tenant_max);
	pthread_mutex_unlock(&p->lock);
}

bool lane_idle(struct lane *lane)
{
	pthread_mutex_lock(&lane->pool->lock);
	bool idle = !lane->running && list_empty(&lane->jobs);
	pthread_mutex_unlock(&lane->pool->lock);
	return idle;
}

unsigned pool_threads(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	unsigned n = p->threads;
	pthread_mutex_unlock(&p->lock);
	return n;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	for (struct list *n; (n = list_pop(&p->idlers));) {
		struct idler *idler = CONTAINER_OF(n, struct idler, link);
		atomic_store(&idler->woken, 1);
		futex_wake(&idler->woken);
	}
	while (p->threads)
		pthread_cond_wait(&p->ended, &p->lock);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < LANE_TENANTS; i++)
		map_clear(&p->tenants[i]); /* all went with their last lanes */
	pthread_cond_destroy(&p->ended);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
