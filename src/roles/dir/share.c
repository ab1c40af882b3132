/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who shares mailboxes with whom. Rights stand with the mailboxes, in user; here is only what tells
 * a session whom to ask, and whose session it is.
 */
#include "roles/dir/internal.h"
#include "sys/log.h"

#define GROUPS_MAX KIB(64)

/* A process of user may ask about sessions and mailboxes of its accounts. */
static bool is_theirs(const struct role *role, struct ipc_packet *p, struct account_id id)
{
	return role_shard(role, id) == ipc_channel_index(ipc_packet_from(p));
}

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
	AUTO(buf) struct buf groups = BUF_INIT(GROUPS_MAX);
	struct dir_account viewer, owner;
	struct fail why = FAIL_INIT;
	struct msg_guest_ask m;
	int r = msg_guest_ask_read(p, &m);
	if (r == 0)
		r = find_viewer(m.session, &a, &viewer, &why);
	if (r == 0)
		r = dir_account_by_address(dir_role.dir, m.owner, &a, &owner, &why);
	if (r == 0 && (!owner.active || owner.id.v == viewer.id.v))
		r = fail_set(&why, FAIL_NOTFOUND, "No such mailbox.", "off, or the same account");
	if (r == 0 && !is_theirs(role, p, viewer.id) && !is_theirs(role, p, owner.id))
		r = fail_set(&why, FAIL_PERM, NULL, "a session and an account of other shards");
	if (r == 0)
		r = dir_groups_of(dir_role.dir, viewer.address, &groups, &why);
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_guest_who who = {.account = owner.id.v,
				    .owner = owner.address,
				    .quota_bytes = owner.quota_bytes,
				    .viewer = viewer.id.v,
				    .viewer_address = viewer.address,
				    .groups = buf_str(&groups)};
	(void)ipc_reply(p, IPC_GUEST_WHO, &who);
}

/* Addresses are known to who may send mail to them; so this tells nobody anything. */
void share_name(struct role *role, struct ipc_packet *p)
{
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	AUTO(buf) struct buf groups = BUF_INIT(GROUPS_MAX);
	struct msg_acl_named named = {0};
	struct dir_account account;
	struct fail why = FAIL_INIT;
	struct msg_acl_name m;
	int r = msg_acl_name_read(p, &m);
	if (r == 0 && !is_theirs(role, p, (struct account_id){m.account}))
		r = fail_set(&why, FAIL_PERM, NULL, "a list of another shard");
	if (r == 0 && str_starts(m.name, STR("$"))) {
		r = dir_is_group(dir_role.dir, str_skip(m.name, 1), &why);
	} else if (r == 0) {
		struct account_id member = {m.member};
		r = m.name.n ? dir_account_by_address(dir_role.dir, m.name, &a, &account, &why)
			     : dir_account_by_id(dir_role.dir, member, &a, &account, &why);
		named.account = r < 0 ? 0 : account.id.v;
		if (r == 0)
			r = dir_groups_of(dir_role.dir, account.address, &groups, &why);
		named.groups = buf_str(&groups);
	}
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	else
		(void)ipc_reply(p, IPC_ACL_NAMED, &named);
}

void share_hosts(struct role *role, struct ipc_packet *p)
{
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	AUTO(buf) struct buf owners = BUF_INIT(MIB(1));
	struct dir_account viewer;
	struct fail why = FAIL_INIT;
	struct msg_hosts m;
	int r = msg_hosts_read(p, &m);
	if (r == 0)
		r = find_viewer(m.session, &a, &viewer, &why);
	if (r == 0 && !is_theirs(role, p, viewer.id))
		r = fail_set(&why, FAIL_PERM, NULL, "a session of another shard");
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
