/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/role/task.h"
#include "base/check.h"
#include "sys/log.h"
#include <stdlib.h>

struct task {
	struct lane lane;
	struct job job;
	struct loop_task reap;
	struct role *role;
	struct ipc_packet *p;
	void (*fn)(struct role *role, struct ipc_packet *p);
};

/* Back on the loop: the pool may still look at the lane while its job returns. */
static void reap(struct loop_task *task)
{
	struct task *t = CONTAINER_OF(task, struct task, reap);
	if (lane_idle(&t->lane))
		free(t);
	else
		loop_post(t->role->loop, task);
}

static void run(struct job *job)
{
	struct task *t = CONTAINER_OF(job, struct task, job);
	log_context(ipc_packet_trace(t->p), (struct session_id){0});
	t->fn(t->role, t->p);
	log_context((struct trace_id){0}, (struct session_id){0});
	ipc_packet_free(t->p);
	loop_post(t->role->loop, &t->reap);
}

void role_task(struct role *role, struct pool *pool, struct ipc_packet *p,
	       void (*fn)(struct role *role, struct ipc_packet *p))
{
	struct task *t = xcalloc(1, sizeof *t);
	*t = (struct task){.job.run = run, .reap.run = reap, .role = role, .p = p, .fn = fn};
	lane_init(&t->lane, pool);
	lane_submit(&t->lane, &t->job);
}
