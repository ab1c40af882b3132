/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that move much (backup, restore, import, export) get a connection to the role that owns
 * the data: master makes it and carries none of the bytes.
 */
#include "roles/master/internal.h"
#include "sys/fdpass.h"
#include <string.h>
#include <unistd.h>

/* Only these serve tools. */
static struct child *find(struct master *m, const struct msg_tool_open *o)
{
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (c->index == o->index && str_eq(str_c(c->kind->name), o->role) &&
		    (strcmp(c->kind->name, "user") == 0 || strcmp(c->kind->name, "queue") == 0))
			return c;
	}
	return NULL;
}

static int connect_tool(struct master *m, struct ipc_packet *p, struct fail *why)
{
	struct msg_tool_open o;
	int pair[2];
	int r = msg_tool_open_read(p, &o);
	struct child *c = r == 0 ? find(m, &o) : NULL;
	if (!c)
		return fail_set(why, FAIL_NOTFOUND, "No such process serves commands.", "tool");
	if (c->state != CHILD_READY)
		return fail_set(why, FAIL_BUSY, "That part of the server is starting: try again.",
				"%s is not ready", c->kind->name);
	if ((r = fdpass_pair(pair, why)) < 0)
		return r;
	struct msg_tool to_role = {.socket = pair[0]};
	struct msg_tool_socket reply = {.partitions = (uint32_t)m->conf->store_partitions,
					.user_workers = (uint32_t)m->conf->user_workers,
					.socket = pair[1]};
	r = ipc_send(c->control, (struct trace_id){0}, IPC_TOOL, &to_role);
	if (r == 0)
		(void)ipc_reply(p, IPC_TOOL_SOCKET, &reply);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return r < 0 ? fail_set(why, FAIL_PEER, NULL, "cannot reach %s", c->kind->name) : 0;
}

void tool_open(struct master *m, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	if (connect_tool(m, p, &why) < 0)
		(void)ipc_reply_fail(p, &why);
	ipc_packet_free(p);
}
