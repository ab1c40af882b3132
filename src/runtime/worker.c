/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"
#include "base/check.h"
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
		if (!list_empty(&lane->jobs))
			list_append(&p->ready, &lane->ready);
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
	struct list *n = list_pop(&p->idlers);
	if (!n) {
		list_append(&p->ready, &lane->ready);
		if (p->threads < p->max_threads)
			grow(p);
		return NULL;
	}
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
	pthread_cond_destroy(&p->ended);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
