/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup's connection: the spool's file stands still while it is read, and from `hold` to the end
 * of the connection bodies and receipts stay (docs/adr/0018).
 */
#include "base/check.h"
#include "roles/queue/queue.h"
#include "service/spool/spool_archive.h"
#include <stdlib.h>
#include <unistd.h>

struct tool {
	bool holds;
	bool frozen;
};

static void hold(struct tool *t, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	if (!t->holds) {
		t->holds = true;
		receipts_keep(true);
		spool_keep_bodies(queue.spool, true);
	}
	(void)ipc_reply(p, IPC_OK, &ok);
}

static void snapshot(struct tool *t, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	AUTO_FD int fd = -1;
	uint64_t size = 0;
	if (spool_snapshot(queue.spool, &fd, &size, &why) < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	t->frozen = true;
	struct msg_snapshot_file m = {.size = size, .file = fd};
	(void)ipc_reply(p, IPC_SNAPSHOT_FILE, &m);
}

static void snapshot_end(struct tool *t, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct fail why = FAIL_INIT;
	int r = t->frozen ? spool_snapshot_end(queue.spool, &why)
			  : fail_set(&why, FAIL_CONFLICT, NULL, "no snapshot");
	t->frozen = false;
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &ok);
}

/* On the loop: each of these is a moment's work (one checkpoint at most). */
void tool_ask(struct role_tool *rt, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	if (!rt->self)
		rt->self = xcalloc(1, sizeof(struct tool));
	switch ((unsigned)ipc_packet_type(p)) {
	case IPC_HOLD:
		hold(rt->self, p);
		break;
	case IPC_SNAPSHOT:
		snapshot(rt->self, p);
		break;
	case IPC_SNAPSHOT_END:
		snapshot_end(rt->self, p);
		break;
	default:
		(void)fail_set(&why, FAIL_UNSUPPORTED, NULL, "not a question for queue");
		(void)ipc_reply_fail(p, &why);
	}
	ipc_packet_free(p);
}

void tool_end(struct role_tool *rt)
{
	struct tool *t = rt->self;
	if (!t)
		return;
	if (t->frozen)
		(void)!spool_snapshot_end(queue.spool, NULL);
	if (t->holds) {
		spool_keep_bodies(queue.spool, false);
		receipts_keep(false);
	}
	free(t);
}
