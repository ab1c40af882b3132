/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who shares mailboxes with whom. Rights stand with the mailboxes, in user; here is only what tells
 * a session whom to ask, and whose session it is.
 */
#include "roles/dir/internal.h"
#include "sys/log.h"

static int find_viewer(uint64_t session, struct arena *a, struct dir_account *ret, struct fail *why)
{
	struct account_id id;
	enum dir_service service;
	int r = dir_session_who(dir_role.dir, session, &id, &service, why);
	if (r == 0 && service != DIR_IMAP)
		return fail_set(why, FAIL_PERM, NULL, "not an IMAP session");
	return r < 0 ? r : dir_account_by_id(dir_role.dir, id, a, ret, why);
}

void share_guest(struct role *role, struct ipc_packet *p)
{
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	struct dir_account viewer, owner;
	struct fail why = FAIL_INIT;
	struct msg_guest_ask m;
	(void)role;
	int r = msg_guest_ask_read(p, &m);
	if (r == 0)
		r = find_viewer(m.session, &a, &viewer, &why);
	if (r == 0)
		r = dir_account_by_address(dir_role.dir, m.owner, &a, &owner, &why);
	if (r == 0 && (!owner.active || owner.id.v == viewer.id.v))
		r = fail_set(&why, FAIL_NOTFOUND, "No such mailbox.", "off, or the same account");
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_guest_who who = {.account = owner.id.v,
				    .owner = owner.address,
				    .quota_bytes = owner.quota_bytes,
				    .viewer = viewer.id.v,
				    .viewer_address = viewer.address};
	(void)ipc_reply(p, IPC_GUEST_WHO, &who);
}

void share_hosts(struct role *role, struct ipc_packet *p)
{
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	AUTO(buf) struct buf owners = BUF_INIT(MIB(1));
	struct dir_account viewer;
	struct fail why = FAIL_INIT;
	struct msg_hosts m;
	(void)role;
	int r = msg_hosts_read(p, &m);
	if (r == 0)
		r = find_viewer(m.session, &a, &viewer, &why);
	if (r == 0)
		r = dir_shares_with(dir_role.dir, viewer.address, &owners, &why);
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_hosts_reply reply = {.owners = buf_str(&owners)};
	(void)ipc_reply(p, IPC_HOSTS_REPLY, &reply);
}

/* A process of user speaks for its accounts only. */
void share_set(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	struct dir_account owner;
	struct fail why = FAIL_INIT;
	struct msg_share m;
	int r = msg_share_read(p, &m);
	struct account_id id = {m.account};
	if (r == 0 && role_shard(role, id) != ipc_channel_index(ipc_packet_from(p)))
		r = fail_set(&why, FAIL_PERM, NULL, "an account of another shard");
	if (r == 0)
		r = dir_account_by_id(dir_role.dir, id, &a, &owner, &why);
	struct str *with = r < 0 ? NULL : arena_array(&a, struct str, m.with_n + 1);
	if (r == 0 && !with)
		r = fail_set(&why, FAIL_LIMIT, NULL, "shared with too many");
	for (size_t i = 0; r == 0 && i < m.with_n; i++)
		with[i] = m.with[i].s;
	if (r == 0)
		r = dir_share_set(dir_role.dir, owner.address, with, m.with_n, m.anyone, &why);
	if (r < 0) {
		log_event(LOG_WARN, "dir.share", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	(void)ipc_reply(p, IPC_OK, &ok);
}
