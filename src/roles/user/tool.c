/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/user/tool.h"
#include "base/check.h"
#include "roles/user/index.h"
#include <stdlib.h>
#include <unistd.h>

static void reply(struct ipc_packet *p, int r, const struct fail *why)
{
	static const struct msg_ok ok = {0};
	if (r < 0)
		(void)ipc_reply_fail(p, why);
	else
		(void)ipc_reply(p, IPC_OK, &ok);
}

static void hold(struct tool *t, struct ipc_packet *p)
{
	if (!t->holds)
		store_keep_bodies(user.store, true);
	t->holds = true;
	reply(p, 0, NULL);
}

static void snapshot(struct tool *t, struct ipc_packet *p)
{
	struct msg_snapshot m;
	struct fail why = FAIL_INIT;
	AUTO_FD int fd = -1;
	uint64_t size = 0;
	int r = msg_snapshot_read(p, &m);
	if (r == 0)
		r = store_snapshot(user.store, m.partition, &fd, &size, &why);
	if (r < 0) {
		reply(p, r, &why);
		return;
	}
	*vec_push(&t->frozen) = m.partition;
	struct msg_snapshot_file file = {.size = size, .file = fd};
	(void)ipc_reply(p, IPC_SNAPSHOT_FILE, &file);
}

static void snapshot_end(struct tool *t, struct ipc_packet *p)
{
	struct msg_snapshot_end m;
	struct fail why = FAIL_INIT;
	int r = msg_snapshot_end_read(p, &m);
	for (size_t i = 0; r == 0 && i < t->frozen.n; i++) {
		if (t->frozen.p[i] != m.partition)
			continue;
		vec_remove(&t->frozen, i);
		r = store_snapshot_end(user.store, m.partition, &why);
		reply(p, r, &why);
		return;
	}
	reply(p, fail_set(&why, FAIL_CONFLICT, NULL, "no such snapshot"), &why);
}

static void recount(struct tool *t, struct ipc_packet *p)
{
	struct msg_recount m;
	struct fail why = FAIL_INIT;
	struct store_usage before = {0}, after = {0};
	(void)t;
	int r = msg_recount_read(p, &m);
	struct account_id account = {r == 0 ? m.account : 0};
	if (r == 0)
		r = store_account_recount(user.store, account, &before, &after, &why);
	if (r < 0) {
		reply(p, r, &why);
		return;
	}
	user_usage_changed(account);
	struct msg_recounted counted = {.bytes_before = before.bytes,
					.bytes = after.bytes,
					.messages_before = before.messages,
					.messages = after.messages};
	(void)ipc_reply(p, IPC_RECOUNTED, &counted);
}

/* --- one after the other
 * ------------------------------------------------------------------------------------------ */

static const struct {
	enum ipc_type type;
	void (*fn)(struct tool *t, struct ipc_packet *p);
} questions[] = {
	{IPC_HOLD, hold},
	{IPC_SNAPSHOT, snapshot},
	{IPC_SNAPSHOT_END, snapshot_end},
	{IPC_BODY_OPEN, tool_body_open},
	{IPC_BOXES, tool_boxes},
	{IPC_BOX_MAKE, tool_box_make},
	{IPC_BOX_READ, tool_box_read},
	{IPC_BOX_IMPORT, tool_import},
	{IPC_BOX_LOST, tool_lost},
	{IPC_UNDELETE, tool_undelete},
	{IPC_RECOUNT, recount},
	{IPC_ACL_ORDER, tool_acl},
	{IPC_SEARCH_INDEX, index_tool},
};

struct asked {
	struct job job;
	struct tool *tool;
	struct ipc_packet *p;
};

static void answer(struct job *job)
{
	struct asked *a = CONTAINER_OF(job, struct asked, job);
	struct fail why = FAIL_INIT;
	size_t i = 0;
	while (i < ARRAY_LEN(questions) && questions[i].type != ipc_packet_type(a->p))
		i++;
	if (i < ARRAY_LEN(questions))
		questions[i].fn(a->tool, a->p);
	else
		reply(a->p, fail_set(&why, FAIL_UNSUPPORTED, NULL, "not a question for user"),
		      &why);
	ipc_packet_free(a->p);
	free(a);
}

void tool_ask(struct role_tool *rt, struct ipc_packet *p)
{
	struct tool *t = rt->self;
	if (!t) {
		t = rt->self = xcalloc(1, sizeof *t);
		lane_init(&t->lane, user.tools);
	}
	struct asked *a = xcalloc(1, sizeof *a);
	*a = (struct asked){.job.run = answer, .tool = t, .p = p};
	lane_submit(&t->lane, &a->job);
}

/* The lane is looked at once more after its last job: so the loop frees it, when it is idle. */
static void free_tool(struct loop_task *task)
{
	struct tool *t = CONTAINER_OF(task, struct tool, ended);
	if (lane_idle(&t->lane))
		free(t);
	else
		loop_post(user.role->loop, &t->ended);
}

static void end(struct job *job)
{
	struct tool *t = CONTAINER_OF(job, struct tool, end);
	for (size_t i = 0; i < t->frozen.n; i++)
		(void)!store_snapshot_end(user.store, t->frozen.p[i], NULL);
	if (t->holds)
		store_keep_bodies(user.store, false);
	for (size_t i = 0; i < t->bodies.n; i++)
		store_body_clear(&t->bodies.p[i]);
	store_view_close(t->view);
	vec_clear(&t->frozen);
	vec_clear(&t->bodies);
	free(t->mailbox);
	t->ended.run = free_tool;
	loop_post(user.role->loop, &t->ended);
}

void tool_end(struct role_tool *rt)
{
	struct tool *t = rt->self;
	if (!t)
		return;
	t->end.run = end;
	lane_submit(&t->lane, &t->end);
}
