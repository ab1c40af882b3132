/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/dir/internal.h"
#include "sys/counter.h"
#include "sys/crash.h"
#include "sys/log.h"

COUNTER(routes, "dir.routes", "addresses resolved");

static struct msg_dest *dests_of(struct arena *a, const struct destination *from, size_t n)
{
	struct msg_dest *to = arena_array(a, struct msg_dest, n);
	for (size_t i = 0; to && i < n; i++)
		to[i] = (struct msg_dest){.account = from[i].account.v,
					  .address = from[i].address,
					  .detail = from[i].detail,
					  .transport = from[i].transport};
	return to;
}

/* A member of an alias that nobody has: those who are there get the mail, and we say so here. */
static void log_dead_end(const struct msg_route *m, const struct dir_route *found)
{
	if (found->verdict == DIR_OK && found->note.n)
		log_event(LOG_INFO, "dir.dead-end", log_address("rcpt", m->address),
			  log_str("why", found->note));
}

void lookup_changes(struct role *role, struct ipc_packet *p)
{
	struct msg_routes_looked reply = {.changed_us = dir_routes_changed(dir_role.dir).v};
	(void)role;
	(void)ipc_reply(p, IPC_ROUTES_LOOKED, &reply);
}

/* A client has named it, whose message comes now; others ask once more about what has come. */
static bool is_mta(const struct ipc_packet *p)
{
	return strcmp(ipc_channel_name(ipc_packet_from(p)), "mta") == 0;
}

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
						 .sender = m.sender,
						 .size = m.size,
						 .mapping = (enum dir_mapping)m.mapping,
						 .arrives = is_mta(p),
						 .sender_too = m.sender_too},
			      &a, &found, &why);
	if (r < 0) {
		log_event(LOG_WARN, "dir.route-failed", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_route_reply reply = {.verdict = (uint8_t)found.verdict,
					.note = str_sub(found.note, 0, 160),
					.status = found.status,
					.refusal = found.refusal,
					.dests = dests_of(&a, found.dests, found.n),
					.dests_n = found.n,
					.copies = dests_of(&a, found.copies, found.n_copies),
					.copies_n = found.n_copies,
					.sender_unknown = found.sender_unknown,
					.sender_note = str_sub(found.sender_note, 0, 160)};
	if (!reply.dests || !reply.copies) {
		(void)fail_set(&why, FAIL_LIMIT, NULL, "too many destinations");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	log_dead_end(&m, &found);
	counter_add(&routes, 1);
	CRASH_POINT("dir.routed");
	(void)ipc_reply(p, IPC_ROUTE_REPLY, &reply);
}

void lookup_relay_login(struct role *role, struct ipc_packet *p)
{
	struct msg_relay_login m;
	struct fail why = FAIL_INIT;
	struct dir_relay_login found = {0};
	(void)role;
	int r = msg_relay_login_read(p, &m);
	if (r == 0)
		r = dir_relay_login(dir_role.dir, m.sender, m.nexthop, &found, &why);
	if (r < 0) {
		log_event(LOG_WARN, "dir.relay-login", log_str("nexthop", m.nexthop),
			  log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_relay_login_reply reply = {.known = r == 1,
					      .username = str_c(found.username),
					      .password = str_c(found.password)};
	(void)ipc_reply(p, IPC_RELAY_LOGIN_REPLY, &reply);
	explicit_bzero(&found, sizeof found);
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
