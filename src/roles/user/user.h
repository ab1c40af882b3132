/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h - one shard of the accounts: their store, deliveries and IMAP sessions.       [roles,
 * private]
 *
 * The loop takes messages; IMAP commands run on worker threads, one lane per session. Who may act
 * for an account is dir's word alone: a session is opened by its grant, or by state that this
 * role sealed earlier.
 */
#ifndef BARID_ROLES_USER_USER_H
#define BARID_ROLES_USER_USER_H

#include "base/map.h"
#include "proto/imap/imap_session.h"
#include "roles/role/right.h"
#include "roles/role/role.h"
#include "roles/role/session_protocol.h"
#include "runtime/worker.h"
#include "service/search/search.h"
#include "service/store/store.h"
#include <pthread.h>

struct grant {
	uint64_t account;
	uint64_t quota_bytes;
	struct mono_ns given;
	struct right right;
	const struct session_kind *kind; /* IMAP, POP3 or ManageSieve, and nothing else */
	char address[320];
};

struct user {
	struct role *role;
	struct store *store;
	struct search *search;
	struct pool *pool;	      /* IMAP commands */
	struct pool *upkeep;	      /* everything else that blocks */
	struct pool *guests;	      /* for other processes of user; they ask none themselves */
	struct pool *tools;	      /* commands: import, export, backup */
	struct pool *scans;	      /* indexing what they bring */
	struct map sessions;	      /* loop */
	struct role_sessions by_edge; /* loop */
	pthread_mutex_t lock;	      /* guards grants, open, pop3, pop3_last and dirty */
	struct map grants;	      /* session id -> struct grant */
	struct map open;	      /* account id -> how many sessions it has */
	struct map pop3;	      /* account id -> session id that has its mailbox by POP3 */
	struct map pop3_last;	      /* account id -> when somebody logged in by POP3, ms */
	struct map dirty;	      /* account id -> itself: usage to be told to dir */
};
extern struct user user;

/* imap.c */
void imap_begin(void);
void imap_open(struct ipc_channel *from, struct ipc_packet *p); /* owns p */
void imap_step(struct ipc_channel *from, struct ipc_packet *p); /* owns p */
/* dir: the session's right has ended. */
void imap_over(uint64_t session);
/* dir was restarted. */
void imap_show_rights(void);
/* This edge is gone, and its clients with it. */
void imap_edge_down(const struct ipc_channel *edge);

/* deliver.c */
void deliver(struct ipc_packet *p); /* owns p */
void receipts_drop(struct role *role, struct ipc_packet *p);

/* url.c: URLs that carry their right */
/* mta asks for a session. */
void url_read(struct role *role, struct ipc_packet *p);
/* A session of ours asks, for whomever's. Blocking. */
MUST_CHECK int url_fetch(uint64_t session, struct str url, struct imap_out *ret, struct fail *why);

/* guest.c: mailboxes of other accounts (proto/imap/guest.h) */
/* Hooks of a session of ours; arg is the user_session. */
int guest_visit(void *arg, struct imap_guest_ask *ask, struct imap_out *out,
		struct imap_guest_answer *ret, struct fail *why);
int guest_hosts(void *arg, struct buf *ret, struct fail *why);
/* What an identifier of a list of this account of ours means: *ret is the account of an address, or
 * {0} of a group; *ret_groups (may be NULL) gets the groups that the account is in, a line each.
 * With an empty name, those of the account *ret. -FAIL_NOTFOUND. Blocking. */
int guest_whois(struct account_id account, struct str name, struct account_id *ret,
		struct buf *ret_groups, struct fail *why);
/* The same as imap_hooks.named. */
int guest_named(void *arg, struct account_id account, struct str name, struct account_id *ret,
		struct fail *why);
/* Tell dir with whom the account shares mailboxes now. */
int guest_shared(void *arg, struct account_id account, struct fail *why);
/* From another process of user. */
void guest_question(struct role *role, struct ipc_packet *p);
void guest_ended(struct ipc_packet *p); /* owns p, as the next */
void guest_wake(struct ipc_packet *p);
void guest_peer_down(const struct ipc_channel *peer);
void guest_peer_up(void);

/* tool.c: commands on connections of their own */
void tool_ask(struct role_tool *t, struct ipc_packet *p); /* owns p */
void tool_end(struct role_tool *t);

/* tenants.c: what one account or domain may take of what all share */
void tenants_configure(const struct conf *c);
/* Count a session of the account, until tenants_leave. user.lock is held. */
void tenants_count(uint64_t account);
/* Its lane waits for its turn among its tenants' lanes. */
void tenants_share(const struct grant *g, struct lane *lane);
void tenants_leave(const struct grant *g);
/* May the account have one more session? What was granted and is not open yet counts. */
bool tenants_have_room(uint64_t account);

/* user.c */
/* Index a message in a scan role. Blocking. */
int user_scan(void *arg, const struct store_content *content, struct buf *ret_map,
	      struct fail *why);
/* The client left before its session was opened. */
void user_grant_drop(uint64_t session);
/* This account's usage changed: dir will hear of it at once. Any thread. */
void user_usage_changed(struct account_id account);

#endif
