/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role.h - what every role process has in common: start-up, peers, control, end.     [roles]
 *
 * Master starts a role with its control socket on descriptor 3 and tells it, in this order:
 * configure, then certificates / listener / channel as they apply, then start. Then the role
 *   1. moves into the state folder, becomes its user and enters its sandbox,
 *   2. opens its files (ops->open), sends `ready`, and serves its loop.
 * It ends when the control socket closes, or after `stop` when ops->stop has let go of everything.
 *
 * All callbacks run on the loop's thread.
 */
#ifndef BARID_ROLES_ROLE_ROLE_H
#define BARID_ROLES_ROLE_ROLE_H

#include "base/fail.h"
#include "base/vec.h"
#include "runtime/conf.h"
#include "runtime/ipc/ipc.h"
#include "runtime/loop.h"
#include "runtime/seal.h"
#include "sys/sandbox.h"
#include "sys/secret.h"
#include <pthread.h>

#define ROLE_CONTROL_FD 3
/* Exit status of a role whose files are of a later barid, or not barid's: a restart mends nothing.
 * The number is sysexits' EX_CONFIG; master ends with it too. */
#define ROLE_EXIT_FORMAT 78

struct role;
struct role_tool;

/* A version of something that this role keeps or hands on, for upgrades: "format spool 3". */
struct role_format {
	const char *kind; /* "format": on disk; "state": of sealed sessions */
	const char *name;
	unsigned (*number)(void);
};

struct role_ops {
	const char *name;
	const struct role_format *formats; /* ended by a NULL kind; NULL: none */
	unsigned sandbox_flags;		   /* SANDBOX_* */
	const char *const *peers;	   /* names of the roles it talks to, NULL-ended */
	const struct sandbox_path *paths;  /* below the state folder */
	size_t n_paths;
	MUST_CHECK int (*open)(struct role *role, struct fail *why);
	/* A request or notice of a peer; the callee owns p. */
	void (*message)(struct role *role, struct ipc_channel *from, struct ipc_packet *p);
	/* May be NULL: */
	void (*peer_up)(struct role *role, struct ipc_channel *peer);
	void (*peer_down)(struct role *role, struct ipc_channel *peer);
	void (*listener)(struct role *role, struct str service, struct str address,
			 int fd); /* owns fd */
	/* Log everything of this client at level debug for so long (edge). */
	void (*log_peer)(struct role *role, struct str ip, uint32_t seconds);
	/* Before `open`, and then with every configuration that is on trial: is it usable here?
	 * May conf_attach what the role makes of it. Nothing changes yet. */
	MUST_CHECK int (*prepare)(struct role *role, const struct conf *fresh, struct fail *why);
	/* The same for certificates; lines for the operator go to notes. They count with `open` and
	 * `reconfigure`. */
	MUST_CHECK int (*certificates)(struct role *role, const struct msg_identity *ids, size_t n,
				       struct buf *notes, struct fail *why);
	/* role->conf is another one from now on; `before` goes behind this call. */
	void (*reconfigure)(struct role *role, const struct conf *before);
	/* Accept no more there. */
	void (*unlisten)(struct role *role, struct str service, struct str address);
	/* Counters are about to be read: bring gauges up to date. Quick, it runs on the loop. */
	void (*stats)(struct role *role);
	/* Management commands of this role; answers p itself, later if it likes, and owns it. */
	void (*admin)(struct role *role, struct ipc_packet *p);
	/*
	 * The peer is about to be replaced (enum hold_how): hold, then `held` until it says yes.
	 * NULL: what is asked of it waits, and what was asked is waited for.
	 */
	void (*hold)(struct role *role, struct ipc_channel *peer, unsigned how);
	bool (*held)(struct role *role, struct ipc_channel *peer, unsigned how);
	/* A successor takes over; ends by role_end when the last client has left. NULL = as stop.
	 */
	void (*drain)(struct role *role, uint32_t grace_ms, uint32_t deadline_ms);
	/* A question of a command; owns p. And its end (the channel goes with it), also when it
	 * sent nothing. */
	void (*tool)(struct role_tool *t, struct ipc_packet *p);
	void (*tool_end)(struct role_tool *t);
	/* Edge: board and tickets, also before start; p stays the caller's. */
	void (*control)(struct role *role, struct ipc_packet *p);
	/* Finish; call role_end when done, or leave it to role_stop_aside. NULL = at once. */
	void (*stop)(struct role *role);
};

/* A command (backup, import, ...) that was let in by master: a connection of its own. */
struct role_tool {
	struct role *role;
	struct ipc_channel *ch;
	void *self; /* the role's own */
};

struct early_peer {
	struct ipc_channel *ch;
	int fd;
};

struct role {
	const struct role_ops *ops;
	unsigned index;
	struct loop *loop;
	const struct conf *conf;   /* the running snapshot; loop thread, until it goes back to the
				      loop. Others: role_conf_hold */
	pthread_mutex_t conf_lock; /* guards the change of conf */
	const struct conf *next;   /* prepared, not yet committed; or NULL */
	uint64_t next_revision;
	unsigned partitions, user_workers,
		edge_workers;	/* of conf: they do not change while the server runs */
	unsigned edge_places;	/* numbers of edges, most of them empty: index < edge_places */
	struct secret seal_key; /* empty: this role seals nothing */
	struct ipc_channel *control;
	VEC(struct ipc_channel *) peers; /* fixed once configured */
	VEC(struct early_peer) early;	 /* before start */
	VEC(struct ipc_packet *) early_orders;
	struct loop_timer lost_timer;
	unsigned lost_told;
	bool started;
	bool stopping; /* role_stop_aside was called */
	bool busy;     /* something came since memory was last given back */
	struct loop_timer give_back;
	void (*finish)(struct role *role);
	void *self; /* the role's own data, set by ops->open or earlier */
	/* start-up only */
	uint32_t uid, gid, shared_gid;
	int state_fd;
	int parent; /* pid of master */
};

/* The whole life of a role process: main() returns this. */
int role_main(int argc, char **argv, const struct role_ops *ops);
void role_end(struct role *role); /* any thread */
/* What keeps the role from being ready, for `barid status`: "bringing x to format 3: 40 %". */
void role_note(struct role *role, const char *text);
/*
 * For ops->stop: run `finish` on a thread of its own, then end. It may block, also on answers of
 * other roles, because the loop goes on; but peers no longer reach the role (their messages are
 * dropped), so only its own timers and answers have to leave alone what `finish` takes down.
 */
void role_stop_aside(struct role *role, void (*finish)(struct role *role));

/*
 * The running configuration, held: the caller drops it (conf_drop). What works for long keeps the
 * one that it began with. Any thread.
 */
const struct conf *role_conf_hold(struct role *role);
/* For role_main, and tests: take over `first` as the running configuration. */
MUST_CHECK int role_conf_begin(struct role *role, const struct conf *first, struct fail *why);

/* Make the channels, all of them down: at start-up, and in tests, which play the peers. */
void role_make_peers(struct role *role);

/*
 * The channel to peer `name` number `index`. Every peer in ops->peers has its channels from start
 * on, also while it is down; another one is a bug. Any thread, as all of the following.
 */
struct ipc_channel *role_peer(struct role *role, const char *name, unsigned index);
/* The peer of that name with the least to do. */
struct ipc_channel *role_peer_idlest(struct role *role, const char *name);
/* Have a message analysed: scan_reply in *ret. Blocking; a worker thread. */
MUST_CHECK int role_ask_scan(struct role *role, const struct msg_scan *m, struct trace_id trace,
			     struct ipc_packet **ret, struct fail *why);
/* The shard of an account: which user process owns its mailboxes. */
struct ipc_channel *role_user_of(struct role *role, struct account_id account);
unsigned role_shard(const struct role *role, struct account_id account);

/* Seal state for edge to keep, bound to role name and session; and the reverse. */
MUST_CHECK int role_seal(struct role *role, struct session_id session, struct str plain,
			 struct buf *out);
MUST_CHECK int role_unseal(struct role *role, struct session_id session, struct str sealed,
			   struct buf *out);

/*
 * A peer said what it may not say: it is broken, or worse. Logged and counted; a request fails.
 * role_refuse owns p, role_refused is for packets that are somebody else's. Any thread.
 */
void role_refuse(const struct ipc_channel *from, struct ipc_packet *p, const char *reason);
void role_refused(const struct ipc_channel *from, enum ipc_type type, const char *reason);

/* Sessions by the edge that opened them: none may fill another role's memory. Loop thread. */
struct role_sessions {
	unsigned open[256]; /* by session_edge */
};
/* False: this edge has more open than there may be clients. */
bool role_sessions_enter(struct role *role, struct role_sessions *all, uint64_t session);
void role_sessions_leave(struct role_sessions *all, uint64_t session);

/* Log to this file, which is owned from now on, and to the stream as log_to says. -1: nothing. */
void role_log_to(const struct conf *c, int fd);
/* A message of master about the log; others are none of its business. The packet stays the
 * caller's. */
void role_log_message(struct role *role, struct ipc_packet *p);

/* The id of this build. A role that master starts must be of master's own. */
const char *role_build_id(void);
const char *role_schema(void); /* the digest of what roles say to each other */

/* Generations of edges that may live side by side: those that serve, and those that their clients
 * leave one by one after upgrades. Each has places for all edge_workers. */
#define ROLE_EDGE_GENERATIONS 3u

#endif
