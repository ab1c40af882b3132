/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - state that the files of master share.                                 [roles,
 * private]
 *
 * A child is one role process: made once at start, it keeps its name and index over restarts.
 */
#ifndef BARID_ROLES_MASTER_INTERNAL_H
#define BARID_ROLES_MASTER_INTERNAL_H

#include "base/auto.h"
#include "base/vec.h"
#include "roles/master/master.h"
#include "roles/role/board.h"
#include "runtime/ipc/ipc.h"
#include "runtime/loop.h"
#include "runtime/seal.h"
#include "runtime/services.h"
#include "sys/log.h"
#include "sys/systemd.h"
#include <string.h>
#include <sys/types.h>

enum child_state {
	CHILD_DOWN,
	CHILD_STARTING,
	CHILD_READY,
	CHILD_ENDED,
	CHILD_SPARE /* a place for an edge of another generation, empty */
};

struct role_kind {
	const char *name;
	unsigned stop_stage;	     /* 0 is stopped first */
	bool seals;		     /* gets the key that sealed session state is made with */
	bool shares_blobs;	     /* member of the blob tree's group */
	const char *folder;	     /* below the state folder, owned by the role; NULL = none */
	const char *const *talks_to; /* NULL-ended */
};
extern const struct role_kind role_kinds[];
extern const size_t role_kinds_n;

struct child {
	struct master *master;
	const struct role_kind *kind;
	unsigned index;
	int exe_fd;
	uint32_t uid, gid;
	pid_t pid;
	uint64_t prepared; /* the configuration that this process has prepared; 0 = none */
	int pidfd;
	enum child_state state;
	bool other_build; /* its executable is of another build: no hope before an installation */
	pid_t master_pid;
	bool wired; /* said hello: can be connected to others */
	struct loop_io ended;
	struct loop_timer restart;
	struct ipc_channel *control;
	char sandbox[200];
	char note[360]; /* why it is not ready, in its own words; "" when it is */
	unsigned restarts;
	uint64_t generation; /* of the process */
	char build[80], version[40];
	bool replacing; /* it was told to end, and one of this generation follows */
	bool draining;	/* an edge whose successor serves: when it ends, nobody follows */
	struct mono_ns spawned;
	unsigned recent; /* ends in the last minute */
	struct mono_ns recent_since;
	bool has_log_level; /* one that `barid log level` gave it; kept over its restarts */
	enum log_level log_level;
};

struct listener {
	const char *service;
	char *address; /* as the configuration says it */
	int fd;
};

struct logfile {
	int folder; /* -1: the log goes to standard error alone */
	int fd;	    /* -1: it could not be opened, and will be tried again */
	int64_t begun_us;
	bool complained;
	struct loop_timer tick;
};

/* The operator's certificates with their keys, as they were read. */
struct certificates {
	struct msg_identity *ids;
	size_t n;
};

struct master {
	const struct master_options *o;
	struct loop *loop;
	struct child *children;
	size_t children_n;
	VEC(struct listener) listeners;
	unsigned char seal_key[SEAL_KEY_SIZE];
	uint32_t blob_gid;
	int state_fd;
	int lock_fd;
	const struct conf *conf; /* the running configuration */
	int conf_fd;		 /* its canonical text, sealed */
	uint64_t revision;	 /* counts the configurations, from 1 */
	struct wall_us since;	 /* when it began to count */
	struct certificates certificates;
	uint64_t generation;	 /* upgrades since the start, from 1 */
	struct upgrade *upgrade; /* to the next generation, under way; or NULL */
	struct rolling *rolling; /* from the last generation to this one, under way; or NULL */
	char refused[400];	 /* why the last upgrade was; "" */
	char libexec[4000];	 /* folder of the role executables of this generation */
	struct reload *reload;	 /* under way; or NULL */
	bool reload_again;	 /* SIGHUP came meanwhile */
	struct loop_io signals;
	struct loop_io admin_socket;
	int admin_fd; /* the same, also when it is not served */
	struct systemd systemd;
	struct loop_timer watchdog;
	struct board *board; /* of the edges */
	int board_fd;
	unsigned char tickets[2][80]; /* keys of TLS session tickets; the first one makes them */
	struct loop_timer tickets_due;
	struct loop_timer stop_deadline;
	struct logfile logfile;
	unsigned stop_stage;
	bool stopping;
	bool said_ready;
	int exit_status;
	struct wall_us started;
};

static inline bool child_is(const struct child *c, const char *role)
{
	return strcmp(c->kind->name, role) == 0;
}

/* child.c */
void child_adopt(struct child *c, pid_t pid, int control, const struct ipc_numbers *n);
MUST_CHECK int child_open(struct child *c, struct fail *why); /* find its executable and user */
void child_spawn(struct child *c);
const char *child_state_name(enum child_state s);

/* wiring.c: what a fresh child is told, and connections between children */
void wire_child(struct child *c);
bool wired_together(const struct child *a, const struct child *b); /* they may talk at all */
/* listeners.c */
MUST_CHECK int listeners_open(struct master *m, struct fail *why);
/* Bind a new one; on success it is the caller's. 1: this machine has no IPv6, leave it out. */
MUST_CHECK int listener_bind(struct master *m, struct listener *l, struct fail *why);

/* edges.c: what the edge processes have in common */
MUST_CHECK int edges_begin(struct master *m, struct fail *why);
void edges_give(struct child *c); /* to a fresh one */
void edges_ended(const struct master *m, pid_t pid);

/* notify.c: news for systemd */
void notify_begin(struct master *m);
void notify_ready(struct master *m);	 /* all roles serve: after the start, and after a reload */
void notify_reloading(struct master *m); /* notify_ready must follow, whatever comes of it */
void notify_stopping(struct master *m);
void notify_child(struct child *c); /* it became ready, or ended */

/* renewal.c: scan processes are replaced when they are old */
void renewal_begin(struct master *m);

/* certificates.c */
/* Read all that the configuration names. Lines for the operator go to notes. */
MUST_CHECK int certificates_read(const struct conf *c, struct certificates *ret, struct buf *notes,
				 struct fail *why);
void certificates_clear(struct certificates *c);
DEFINE_AUTO(certificates, struct certificates, certificates_clear);

/* relisten.c: other addresses while the server runs */
struct relisten {
	VEC(struct listener) added;    /* bound already */
	VEC(struct listener) deferred; /* cannot be bound before others are closed; fd -1 */
	VEC(struct listener) removed;  /* still served */
};
/* What is to be opened and closed for this configuration; opens what can be opened now. */
MUST_CHECK int relisten_prepare(struct master *m, const struct conf *fresh, struct relisten *r,
				struct fail *why);
/* Take the new ones over, give up the old ones; edges are told. Clears r. */
void relisten_commit(struct master *m, struct relisten *r);
void relisten_forget(struct relisten *r);

/* reload.c */
/* Make o->conf ready for the roles; m->conf is it already. */
MUST_CHECK int conf_begin(struct master *m, struct fail *why);
/*
 * Read the file and the certificates again; when everything about them is good, in every role,
 * they count, and else nothing changes. Answers and frees `request` (NULL after SIGHUP).
 */
void reload_begin(struct master *m, struct ipc_packet *request);

/* folders.c: the state folder, its owners, and the lock that keeps a second master out */
MUST_CHECK int folders_prepare(struct master *m, struct fail *why);

/* logfile.c: the log file, and the levels given at run time */
void logfile_open(struct master *m);
/* Put the file aside and begin a new one. Answers and frees `request` (may be NULL) when every role
 * writes to the new one. */
void logfile_rotate(struct master *m, struct ipc_packet *request);
void loglevel_give(const struct child *c);
/* False: no such role. `all` is all of them and master. */
bool loglevel_set(struct master *m, struct str role, enum log_level level);

/* admin_debug.c: `barid debug`; what the tests have bent is bent for later processes, too */
void admin_debug(struct master *m, struct ipc_packet *p, const struct msg_admin *a);
void debug_give(struct child *c);
/* admin_log.c: `barid log` */
void admin_log(struct master *m, struct ipc_packet *p, const struct msg_admin *a);

/* Whose the files below a folder are. */
struct owner {
	uint32_t uid, gid;
	uint32_t other_uid; /* the blob tree has files of two users; 0 = not */
};
/*
 * handover.c: when the folder itself is not `o`'s, give it everything below (regular files and
 * folders), but not yet the folder.
 */
MUST_CHECK int hand_over(int state_fd, const char *name, const struct owner *o, struct fail *why);

/* formats.c: the blob tree is of a format that this barid knows; a new one gets its mark */
MUST_CHECK int blob_format_check(struct master *m, struct fail *why);

/* survey.c: the figures of all roles. Answers and frees the request. */
void survey(struct master *m, struct ipc_packet *request);
/* reach.c: connect to a milter, and answer with the socket; owns the request */
void reach_milter(struct master *m, struct ipc_packet *request);

/* ports.c: the listening sockets as a table */
void ports_reply(struct master *m, struct ipc_packet *request);

/* admin.c: the control socket */
MUST_CHECK int admin_open(struct master *m, struct fail *why);
void admin_serve(struct master *m, int fd);   /* takes the listening socket over */
void admin_listen(struct master *m, bool on); /* who comes while it is off waits */

/* upgrade.c: to the next generation */
/* `barid upgrade`; answers and frees request (NULL: SIGUSR2, the executable that we were). */
void upgrade_begin(struct master *m, struct ipc_packet *request, const char *exe,
		   const char *libexec);
void upgrade_status(struct master *m, struct ipc_packet *request);
/* The roles have ended for it: go on as the new program, or return. */
void upgrade_finish(struct master *m);

/* rolling.c: the roles of the last generation are replaced, one at a time */
void rolling_begin(struct master *m);
void rolling_child_ready(struct child *c);
void rolling_child_ended(struct child *c);
struct child *master_edge(struct master *m); /* the one that serves */

/* tool.c: a connection for a command to the role that owns the data. Answers and frees p. */
void tool_open(struct master *m, struct ipc_packet *p);

/* master.c */
struct master *master_new(const struct master_options *o);
int master_serve(struct master *m); /* until the end */
MUST_CHECK int master_make_children(struct master *m, struct fail *why);
void master_watch_signals(struct master *m);
size_t master_processes(const struct master *m); /* places that are in use */
struct child *master_child(struct master *m, const char *role, unsigned index);
void master_child_ready(struct child *c);
void master_child_ended(struct child *c);
/* Before everything was ready a role has said that no restart helps: end in order, with a failure.
 */
void master_give_up(struct child *c);

#endif
