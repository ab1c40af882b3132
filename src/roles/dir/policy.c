/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules of mta ask (service/policy). */
#include "roles/dir/internal.h"
#include "service/dir/policy_api.h"
#include "sys/log.h"

static void refuse(struct ipc_packet *p, const struct fail *why)
{
	log_event(LOG_WARN, "dir.policy", log_fail(why));
	(void)ipc_reply_fail(p, why);
}

void policy_ask_domain(struct role *role, struct ipc_packet *p)
{
	struct msg_policy_domain m;
	struct policy_domain_facts found = {0};
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(4));
	(void)role;
	int r = msg_policy_domain_read(p, &m);
	if (r == 0)
		r = dir_policy_domain(dir_role.dir, m.domain, &a, &found, &why);
	struct msg_policy_domain_reply reply = {.kind = (uint8_t)found.kind,
						.target = found.target};
	if (r < 0)
		refuse(p, &why);
	else
		(void)ipc_reply(p, IPC_POLICY_DOMAIN_REPLY, &reply);
}

void policy_ask_access(struct role *role, struct ipc_packet *p)
{
	struct msg_policy_access m;
	struct policy_access_facts found = {0};
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	(void)role;
	int r = msg_policy_access_read(p, &m);
	if (r == 0)
		r = dir_policy_access(dir_role.dir, m.recipient, m.sender, &a, &found, &why);
	struct msg_policy_access_reply reply = {.access = (uint8_t)found.access,
						.why = str_sub(found.why, 0, 200)};
	if (r < 0)
		refuse(p, &why);
	else
		(void)ipc_reply(p, IPC_POLICY_ACCESS_REPLY, &reply);
}

void policy_ask_login(struct role *role, struct ipc_packet *p)
{
	struct msg_policy_login m;
	struct policy_login_facts found = {0};
	struct fail why = FAIL_INIT;
	(void)role;
	int r = msg_policy_login_read(p, &m);
	if (r == 0)
		r = dir_policy_login(dir_role.dir, m.login, m.sender, &found, &why);
	struct msg_policy_login_reply reply = {.known = found.known,
					       .may_send = found.may_send,
					       .list_member = found.list_member,
					       .password_age_s = found.password_age_s};
	if (r < 0)
		refuse(p, &why);
	else
		(void)ipc_reply(p, IPC_POLICY_LOGIN_REPLY, &reply);
}

void policy_tell_change(void)
{
	static const struct msg_policy_stale m = {0};
	(void)ipc_send(role_peer(dir_role.role, "mta", 0), (struct trace_id){0}, IPC_POLICY_STALE,
		       &m);
}
