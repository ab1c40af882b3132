/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/role/task.h"
#include "base/check.h"
#include "sys/log.h"
#include <stdlib.h>

struct task {
	struct pool_job job;
	struct role *role;
	struct ipc_packet *p;
	void (*fn)(struct role *role, struct ipc_packet *p);
	struct pool *next; /* it goes on there; NULL: this was all */
};
static _Thread_local struct task *current;

static void run(struct job *job)
{
	struct task *t = CONTAINER_OF(job, struct task, job.job);
	log_context(ipc_packet_trace(t->p), (struct session_id){0});
	current = t;
	t->fn(t->role, t->p);
	current = NULL;
	log_context((struct trace_id){0}, (struct session_id){0});
	if (t->next) {
		struct pool *next = t->next;
		t->next = NULL;
		pool_submit(next, &t->job);
		return;
	}
	ipc_packet_free(t->p);
	free(t);
}

void role_task(struct role *role, struct pool *pool, struct ipc_packet *p,
	       void (*fn)(struct role *role, struct ipc_packet *p))
{
	struct task *t = xcalloc(1, sizeof *t);
	*t = (struct task){.job.job.run = run, .role = role, .p = p, .fn = fn};
	pool_submit(pool, &t->job);
}

void role_task_move(struct pool *pool, void (*fn)(struct role *role, struct ipc_packet *p))
{
	CHECK(current);
	current->next = pool;
	current->fn = fn;
}

void role_task_now(struct role *role, struct ipc_packet *p,
		   void (*fn)(struct role *role, struct ipc_packet *p))
{
	log_context(ipc_packet_trace(p), (struct session_id){0});
	fn(role, p);
	log_context((struct trace_id){0}, (struct session_id){0});
	ipc_packet_free(p);
}
