/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a scan process. One that has died with the question is no news: another one is asked. One
 * that stays silent hangs on a message, and would take the next ones with it: master ends it.
 */
#include "roles/role/role.h"
#include "sys/clock.h"
#include "sys/log.h"
#include <stdio.h>

#define SILENT_MS 25000 /* less than a question's deadline */

static void complain(struct role *role, struct ipc_channel *scan)
{
	struct msg_lost m = {.role = str_c(ipc_channel_name(scan)),
			     .index = (uint16_t)ipc_channel_index(scan)};
	if (clock_mono().v - ipc_channel_heard(scan).v < SILENT_MS * MS_NS)
		return; /* it works, and has much to do */
	log_event(LOG_ERROR, "scan.hangs", log_u64("index", ipc_channel_index(scan)));
	(void)ipc_send(role->control, (struct trace_id){0}, IPC_LOST, &m);
}

int role_ask_scan(struct role *role, const struct msg_scan *m, struct trace_id trace,
		  struct ipc_packet **ret, struct fail *why)
{
	struct ipc_question q = {
		.type = IPC_SCAN, .msg = m, .want = IPC_SCAN_REPLY, .trace = trace};
	int r = -FAIL_PEER;
	for (int i = 0; i < 2 && r == -FAIL_PEER; i++) {
		struct ipc_channel *scan = role_peer_idlest(role, "scan");
		r = ipc_call(scan, &q, ret, why);
		if (r == -FAIL_DEADLINE)
			complain(role, scan);
	}
	return r;
}
