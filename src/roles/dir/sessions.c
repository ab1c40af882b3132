/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/dir/internal.h"
#include "roles/role/session_protocol.h"
#include "sys/counter.h"
#include "sys/log.h"

COUNTER(sessions_revoked, "dir.sessions-revoked", "sessions ended because their right did");

static void tell_over(uint64_t session, struct account_id account, enum dir_service service)
{
	struct msg_session_over m = {.session = session};
	struct role *role = dir_role.role;
	struct ipc_channel *acts =
		service == DIR_IMAP ? role_user_of(role, account) : role_peer(role, "mta", 0);
	/* To who acts first: an edge that is not honest must not matter. */
	(void)ipc_send(acts, (struct trace_id){0}, IPC_SESSION_OVER, &m);
	unsigned edge = session_edge(session);
	if (edge < role->edge_places)
		(void)ipc_send(role_peer(role, "edge", edge), (struct trace_id){0},
			       IPC_SESSION_OVER, &m);
}

void session_end(void *ctx, uint64_t session, struct account_id account, enum dir_service service,
		 const char *reason)
{
	(void)ctx;
	log_context((struct trace_id){0}, (struct session_id){session});
	log_event(LOG_INFO, "login.revoked", log_u64("account", account.v),
		  log_c("reason", reason));
	log_context((struct trace_id){0}, (struct session_id){0});
	counter_add(&sessions_revoked, 1);
	tell_over(session, account, service);
}

/* A process of user or mta holds the sessions that it has open. */
bool session_is_of(const void *ctx, struct account_id account, enum dir_service service)
{
	const struct ipc_channel *ch = ctx;
	if (service != DIR_IMAP)
		return strcmp(ipc_channel_name(ch), "mta") == 0;
	return strcmp(ipc_channel_name(ch), "user") == 0 &&
	       ipc_channel_index(ch) == role_shard(dir_role.role, account);
}

bool peer_is_edge(const struct ipc_channel *ch)
{
	return strcmp(ipc_channel_name(ch), "edge") == 0;
}

void login_over(struct role *role, struct ipc_packet *p)
{
	struct msg_login_over m;
	const struct ipc_channel *from = ipc_packet_from(p);
	(void)role;
	if (msg_login_over_read(p, &m) == 0)
		dir_session_closed(dir_role.dir, m.session,
				   peer_is_edge(from) ? NULL : session_is_of, from);
}

void login_again(struct role *role, struct ipc_packet *p)
{
	struct msg_login_again m;
	struct fail why = FAIL_INIT;
	bool held = !peer_is_edge(ipc_packet_from(p));
	(void)role;
	if (msg_login_again_read(p, &m) < 0)
		return;
	for (size_t i = 0; i < m.tickets_n; i++)
		if (dir_session_again(dir_role.dir, m.tickets[i].session, m.tickets[i].ticket, held,
				      &why) < 0)
			log_event(LOG_WARN, "dir.ticket", log_fail(&why));
}

/* A session is opened again from its state, which may be older than what has changed since. */
void login_renew(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_login_renew m;
	struct fail why = FAIL_INIT;
	(void)role;
	int r = msg_login_renew_read(p, &m);
	if (r == 0)
		r = dir_session_renew(dir_role.dir, m.session, (struct account_id){m.account},
				      m.ticket, &why);
	if (r < 0) {
		log_event(LOG_WARN, "login.not-renewed", log_u64("account", m.account),
			  log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	(void)ipc_reply(p, IPC_OK, &ok);
}

/* RFC 4467: whose mailbox a URL is of, and who has logged in where it was said. */
void session_url(struct role *role, struct ipc_packet *p)
{
	struct msg_url_ask m;
	struct fail why = FAIL_INIT;
	struct account_id asker = {0};
	enum dir_service service = DIR_IMAP;
	struct dir_account login, owner;
	AUTO(arena) struct arena a = ARENA_INIT(DIR_ARENA_BYTES);
	(void)role;
	int r = msg_url_ask_read(p, &m);
	if (r == 0)
		r = dir_session_who(dir_role.dir, m.session, &asker, &service, &why);
	if (r == 0)
		r = dir_account_by_id(dir_role.dir, asker, &a, &login, &why);
	if (r == 0)
		r = dir_account_by_address(dir_role.dir, m.owner, &a, &owner, &why);
	if (r == 0 && !owner.active)
		r = fail_set(&why, FAIL_NOTFOUND, NULL, "the account is off");
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	struct msg_url_who who = {.account = owner.id.v,
				  .owner = owner.address,
				  .login = login.address,
				  .submission = service == DIR_SMTP};
	(void)ipc_reply(p, IPC_URL_WHO, &who);
}
