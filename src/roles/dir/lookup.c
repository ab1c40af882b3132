/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/dir/internal.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"

COUNTER(routes, "dir.routes", "addresses resolved");

void lookup_route(struct role *role, struct ipc_packet *p)
{
	struct msg_route m;
	struct fail why = FAIL_INIT;
	struct dir_route found = {0};
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	(void)role;
	int r = msg_route_read(p, &m);
	if (r == 0 && m.mapping > DIR_MAILBOX)
		r = fail_set(&why, FAIL_BUG, NULL, "no such mapping");
	if (r == 0)
		r = dir_route(dir_role.dir,
			      &(struct dir_rcpt){.address = m.address,
						 .size = m.size,
						 .mapping = (enum dir_mapping)m.mapping},
			      &a, &found, &why);
	if (r < 0) {
		log_event(LOG_WARN, "dir.route-failed", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_dest *dests = arena_array(&a, struct msg_dest, found.n);
	for (size_t i = 0; dests && i < found.n; i++)
		dests[i] = (struct msg_dest){.account = found.dests[i].account.v,
					     .address = found.dests[i].address,
					     .detail = found.dests[i].detail,
					     .transport = found.dests[i].transport};
	if (!dests) {
		(void)fail_set(&why, FAIL_LIMIT, NULL, "too many destinations");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	counter_add(&routes, 1);
	CRASH_POINT("dir.routed");
	struct msg_route_reply reply = {.verdict = (uint8_t)found.verdict,
					.note = str_sub(found.note, 0, 160),
					.dests = dests,
					.dests_n = found.n};
	(void)ipc_reply(p, IPC_ROUTE_REPLY, &reply);
}

void lookup_sender_allowed(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok yes = {0};
	struct msg_sender_allowed m;
	struct fail why = FAIL_INIT;
	(void)role;
	int r = msg_sender_allowed_read(p, &m);
	if (r == 0)
		r = dir_sender_allowed(dir_role.dir, (struct account_id){m.account}, m.address,
				       &why);
	if (r == 1 && m.credential)
		r = dir_credential_sends(dir_role.dir, m.credential, m.address, &why);
	if (r == 0)
		r = fail_set(&why, FAIL_PERM, NULL, "not an address of this account");
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &yes);
}

void lookup_account(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok yes = {0};
	struct msg_account m;
	struct fail why = FAIL_INIT;
	struct dir_account found;
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	(void)role;
	int r = msg_account_read(p, &m);
	if (r == 0)
		r = dir_account_by_id(dir_role.dir, (struct account_id){m.account}, &a, &found,
				      &why);
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &yes);
}

void lookup_usage(struct role *role, struct ipc_packet *p)
{
	struct msg_usage m;
	struct fail why = FAIL_INIT;
	(void)role;
	if (msg_usage_read(p, &m) == 0 &&
	    dir_usage(dir_role.dir, (struct account_id){m.account}, m.bytes, m.messages, &why) < 0)
		log_event(LOG_WARN, "dir.usage", log_fail(&why));
}
