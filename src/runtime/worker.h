/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - threads that run blocking, straight-line jobs; lanes keep a session in order.
 * [runtime]
 *
 * A pool grows a thread when a job waits and none is free, up to its maximum, and lets idle
 * threads go after ten seconds; work goes to the thread that was busy last. A lane is a FIFO: at
 * most one of its jobs runs at a time, so a handler owns its session without a lock. Jobs are
 * intrusive and owned by the caller; `run` may free the job. Any thread may submit.
 *
 * Lanes may belong to tenants (an account, its domain): of one tenant only so many lanes are run or
 * wait for a thread at a time; the others wait behind their own, never in front of other tenants.
 */
#ifndef BARID_RUNTIME_WORKER_H
#define BARID_RUNTIME_WORKER_H

#include "base/list.h"
#include <stdint.h>

#define LANE_TENANTS 2

struct pool;
struct lane {
	struct pool *pool;
	struct list jobs;  /* waiting, in order */
	struct list ready; /* link in the pool's list of lanes that may run, or of its tenant's */
	uint64_t tenants[LANE_TENANTS]; /* 0 = none */
	uint64_t held[LANE_TENANTS];	/* private: those whose turn it has now */
	bool running;
	bool once; /* private: of a struct pool_job */
};
struct job {
	struct list link;
	void (*run)(struct job *job);
};
/* A job that needs no order: it is its own lane. */
struct pool_job {
	struct job job;
	struct lane lane; /* private */
};

/* stack_kib: per thread (0 = 256). Threads start on demand; call after the sandbox is entered. */
struct pool *pool_new(const char *name, unsigned max_threads, unsigned stack_kib);
/* Finish what runs and what waits, then end the threads. */
void pool_free(struct pool *p);
unsigned pool_threads(struct pool *p);
/* Another maximum: threads that are too many end when they are idle. */
void pool_resize(struct pool *p, unsigned max_threads);

/* How many lanes of one tenant at a time, for each of a lane's tenants; 0 = any number. From now
 * on. */
void pool_tenant_max(struct pool *p, const unsigned max[LANE_TENANTS]);

/* Run j->job.run, which may free j, alone and in no particular order. */
void pool_submit(struct pool *p, struct pool_job *j);

void lane_init(struct lane *lane, struct pool *pool);
/* Whose lane it is, from its next job on. Not 0. By its owner, or in one of its jobs. */
void lane_tenants(struct lane *lane, const uint64_t tenants[LANE_TENANTS]);
void lane_submit(struct lane *lane, struct job *job);
/* True when nothing of the lane runs or waits. Only the one who submits can rely on it. */
bool lane_idle(struct lane *lane);

#endif
