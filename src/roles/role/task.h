/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - answer a request on a worker thread, alone in its lane.                    [roles]
 */
#ifndef BARID_ROLES_ROLE_TASK_H
#define BARID_ROLES_ROLE_TASK_H

#include "roles/role/role.h"
#include "runtime/worker.h"

/*
 * Run fn(role, p) on a thread of the pool. fn answers p with ipc_reply or ipc_reply_fail; p is
 * freed behind it. The log context is that of p's trace.
 */
void role_task(struct role *role, struct pool *pool, struct ipc_packet *p,
	       void (*fn)(struct role *role, struct ipc_packet *p));
/*
 * Within such a function, and as the last thing that it does with p: the rest is done by `fn` on a
 * thread of another pool.
 */
void role_task_move(struct pool *pool, void (*fn)(struct role *role, struct ipc_packet *p));

/* role_task at once, on the calling thread: for what is shorter than waking another one. */
void role_task_now(struct role *role, struct ipc_packet *p,
		   void (*fn)(struct role *role, struct ipc_packet *p));

#endif
