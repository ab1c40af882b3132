/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one thread that sleeps in epoll: descriptors, timers, posted tasks.     [runtime]
 *
 * Everything here is called on the loop's own thread, except loop_post and loop_stop, which any
 * thread may call. Objects are intrusive: the caller owns struct loop_io, loop_timer and loop_task
 * and keeps them alive while they are registered. A callback may remove and free any object,
 * its own included: events already fetched for a removed object are dropped.
 */
#ifndef BARID_RUNTIME_LOOP_H
#define BARID_RUNTIME_LOOP_H

#include "base/ids.h"
#include "base/list.h"
#include <stdint.h>

struct loop;

struct loop_io {
	int fd;		 /* -1 = not registered */
	uint32_t events; /* EPOLLIN, EPOLLOUT wanted; level-triggered */
	uint32_t slot;	 /* private: index + 1 in the loop's table */
	void (*ready)(struct loop_io *io, uint32_t events); /* events: EPOLL* bits */
};

struct loop_timer {
	struct mono_ns at;
	size_t pos; /* private: index + 1 in the heap, 0 = not set */
	void (*fire)(struct loop_timer *t);
};

struct loop_task {
	struct list link;
	void (*run)(struct loop_task *task);
};

struct loop *loop_new(void);
void loop_free(struct loop *l);

/* Serve until loop_stop. loop_step serves what is ready, sleeping at most max_ms. */
void loop_run(struct loop *l);
void loop_step(struct loop *l, int max_ms);
void loop_stop(struct loop *l);

void loop_add(struct loop *l, struct loop_io *io, int fd, uint32_t events);
void loop_want(struct loop *l, struct loop_io *io, uint32_t events);
void loop_remove(
	struct loop *l,
	struct loop_io *io); /* does not close the descriptor; harmless when not registered */

void loop_timer_set(struct loop *l, struct loop_timer *t, struct mono_ns at); /* sets or moves */
void loop_timer_in(struct loop *l, struct loop_timer *t, int64_t ms);
void loop_timer_clear(struct loop *l, struct loop_timer *t);

/* Run task->run on the loop's thread, in order of posting. The task must not be posted twice at a
 * time. */
void loop_post(struct loop *l, struct loop_task *task);
bool loop_is_own_thread(const struct loop *l);

/* Time at the start of this round: cheap, good enough for timeouts. */
struct mono_ns loop_now(const struct loop *l);
/* Tests have bent the clock in this round: timers that are set from now on go by the new time. */
void loop_clock_bent(struct loop *l);

#endif
