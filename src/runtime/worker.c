/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker.h"
#include "base/check.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define IDLE_SECONDS 10

struct pool {
	pthread_mutex_t lock; /* guards everything below and every lane of the pool */
	pthread_cond_t work;  /* a lane became ready, or the pool ends */
	pthread_cond_t ended; /* a thread ended */
	struct list ready;    /* lanes with a job to run and none running */
	size_t ready_count;
	unsigned threads;
	unsigned idle;
	unsigned max_threads;
	size_t stack;
	bool ending;
	char name[16];
};

struct pool *pool_new(const char *name, unsigned max_threads, unsigned stack_kib)
{
	struct pool *p = xcalloc(1, sizeof *p);
	pthread_condattr_t attr;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &attr);
	pthread_cond_init(&p->ended, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&p->ready);
	p->max_threads = max_threads;
	p->stack = KIB(stack_kib ? stack_kib : 256);
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	return p;
}

/* Wait for a ready lane; NULL when this thread should end. Called with the lock held. */
static struct lane *next_lane(struct pool *p)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	while (list_empty(&p->ready)) {
		if (p->ending)
			return NULL;
		p->idle++;
		int r = pthread_cond_timedwait(&p->work, &p->lock, &until);
		p->idle--;
		if (r && list_empty(&p->ready))
			return NULL;
	}
	p->ready_count--;
	return CONTAINER_OF(list_take(&p->ready), struct lane, ready);
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
		if (!list_empty(&lane->jobs)) {
			list_append(&p->ready, &lane->ready);
			p->ready_count++;
		}
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

void lane_submit(struct lane *lane, struct job *job)
{
	struct pool *p = lane->pool;
	pthread_mutex_lock(&p->lock);
	bool was_empty = list_empty(&lane->jobs);
	list_append(&lane->jobs, &job->link);
	bool was_ready = was_empty && !lane->running;
	if (was_ready) {
		list_append(&p->ready, &lane->ready);
		p->ready_count++;
		if (p->ready_count > p->idle && p->threads < p->max_threads)
			grow(p);
	}
	/* From here on the lane may be gone, if its job says so; not the pool. */
	bool wake = was_ready && p->idle > 0;
	pthread_mutex_unlock(&p->lock);
	if (wake) /* not under the lock, where the woken would only wait again */
		pthread_cond_signal(&p->work);
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
	pthread_cond_broadcast(&p->work);
	while (p->threads)
		pthread_cond_wait(&p->ended, &p->lock);
	pthread_mutex_unlock(&p->lock);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->ended);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
