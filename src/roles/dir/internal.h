/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - the role that knows who exists: between its files.                      [roles,
 * private]
 *
 * A handler (lookup_*, login_*) answers one message of the table in dir.c, or takes a notice. It
 * runs as a task (roles/role/task.h, which frees the message): a quick look-up on the loop,
 * everything else on a thread. What handlers read of `dir_role` is set when the role opens, and
 * stays.
 */
#ifndef BARID_ROLES_DIR_INTERNAL_H
#define BARID_ROLES_DIR_INTERNAL_H

#include "roles/role/role.h"
#include "runtime/worker.h"
#include "service/dir/dir.h"
#include "service/guard/guard.h"
#include "service/tlsbook/tlsbook.h"
#include <stdatomic.h>

#define DIR_ARENA_BYTES MIB(4) /* for one answer */

struct dir_role {
	struct dir *dir;
	struct tlsbook *tlsbook;
	struct guard *guard;
	struct pool *lookups;
	struct pool *known, *fresh, *suspects; /* logins that need a hash, by enum dir_turn */
	_Atomic unsigned suspects_wait;
	struct loop_timer flush;
	struct lane flush_lane;
	struct job flush_job;
	struct loop_timer sweep;
	struct lane sweep_lane;
	struct job sweep_job;
	/* What edge was told to offer; looked at anew now and then. */
	struct loop_timer offer;
	struct lane offer_lane;
	struct lane sessions; /* what is said about open sessions, in the order that it came */
	struct job offer_job;
	uint32_t offered;	 /* offer_lane */
	atomic_bool offer_again; /* edge is new and knows nothing */
	struct role *role;
	struct mono_ns slow_until; /* loop: look-ups go to their threads */
};
extern struct dir_role dir_role;

/* dir.c */
/* Remove the mail of deleted accounts that is due, unless that is under way. Any thread. */
void sweep_soon(void);

/* lookup.c: where mail goes, and what an account may send; each is one reading of the directory */
void lookup_route(struct role *role, struct ipc_packet *p);
void lookup_changes(struct role *role, struct ipc_packet *p);
void lookup_relay_login(struct role *role, struct ipc_packet *p);
void lookup_sender_allowed(struct role *role, struct ipc_packet *p);
void lookup_account(struct role *role, struct ipc_packet *p);
/* policy.c */
void policy_ask_domain(struct role *role, struct ipc_packet *p);
void policy_ask_access(struct role *role, struct ipc_packet *p);
void policy_ask_login(struct role *role, struct ipc_packet *p);
/* An order may have changed what they answer. Any thread. */
void policy_tell_change(void);
/* A notice: what an account's mail takes now. */
void lookup_usage(struct role *role, struct ipc_packet *p);

/* login.c */
/* Answers now when no hash is needed; else the packet waits in one of the three queues. */
void login_by_password(struct role *role, struct ipc_packet *p);
/* One message of a SASL exchange. */
void login_sasl(struct role *role, struct ipc_packet *p);
/* The client has left in the middle of one. */
void login_drop(struct role *role, struct ipc_packet *p);

/* sessions.c: on the lane `sessions`, in the order in which they came */
void login_over(struct role *role, struct ipc_packet *p);
void login_again(struct role *role, struct ipc_packet *p);
void login_renew(struct role *role, struct ipc_packet *p);
/* For dir_sessions_check: tell who acts for the session, and its edge, that its right has ended. */
void session_end(void *ctx, uint64_t session, struct account_id account, enum dir_service service,
		 const char *reason);
/* Are the sessions of this account, by this service, those of the peer `ctx`, an ipc_channel? */
bool session_is_of(const void *ctx, struct account_id account, enum dir_service service);
bool peer_is_edge(const struct ipc_channel *ch);

/* Whom a URL is about, and who asks for it. */
void session_url(struct role *role, struct ipc_packet *p);

/* tls.c: what relay has learned of other servers */
void tls_find(struct role *role, struct ipc_packet *p);
void tls_keep(struct role *role, struct ipc_packet *p);
void tls_session(struct role *role, struct ipc_packet *p); /* a notice */
void tls_due(struct role *role, struct ipc_packet *p);
void tls_counts(struct role *role, struct ipc_packet *p);
void tls_reported(struct role *role, struct ipc_packet *p);
/* Orders of its own: barid tls-report, tls-policies. tls_order runs as a task. */
bool tls_is_order(const struct msg_admin *m);
void tls_order(struct role *role, struct ipc_packet *p);

/* share.c: who shares mailboxes with whom */
void share_guest(struct role *role, struct ipc_packet *p);
void share_hosts(struct role *role, struct ipc_packet *p);
void share_name(struct role *role, struct ipc_packet *p);
void share_set(struct role *role, struct ipc_packet *p);

/* guard.c: may this message go now? and orders: barid guard. guard_order runs as a task. */
void guard_question(struct role *role, struct ipc_packet *p);
bool guard_is_order(const struct msg_admin *m);
void guard_order(struct role *role, struct ipc_packet *p);

/* srs.c: rewritten senders; orders: barid srs. srs_order runs as a task. */
void srs_configure(const struct conf *c);
/* Has somebody changed the secrets? Any thread, now and then. */
void srs_look(void);
void srs_secrets_question(struct role *role, struct ipc_packet *p);
void srs_sender_question(struct role *role, struct ipc_packet *p);
void srs_domain_question(struct role *role, struct ipc_packet *p);
bool srs_is_order(const struct msg_admin *m);
void srs_order(struct role *role, struct ipc_packet *p);

/* order.c: what an administrator or the operator orders (struct role_ops); owns p */
void order(struct role *role, struct ipc_packet *p);

#endif
