/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_int.h - between the files of the spool.                                [service/spool only]
 *
 * Locks, in the order in which they may be nested: turn (database), schedule.lock. jobs.lock and
 * bodies.lock are leaves. Callbacks run with none held.
 */
#ifndef BARID_SERVICE_SPOOL_SPOOL_INT_H
#define BARID_SERVICE_SPOOL_SPOOL_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "runtime/db/db.h"
#include "service/spool/spool.h"
#include "sys/fs.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define SPOOL_RCPTS_MAX 65536

/* ---- the database, one thread at a time, in the order of asking (turn.c) ---- */

struct turn {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t next;
	uint64_t serving;
};
void turn_init(struct turn *t);
void turn_clear(struct turn *t);
void turn_take(struct turn *t);
void turn_give(struct turn *t);

/* ---- bodies (body.c) ---- */

struct body {
	struct spool_body_id id;
	struct fs_file *file;
	unsigned refs; /* the table's and those of calls at work; under bodies.lock */
	bool sealed;
	bool sealing;
	bool still;   /* nobody can write it any more: the hash holds */
	bool claimed; /* submitted: the spool's, no longer the caller's to drop */
	uint64_t size;
	uint8_t sha256[SPOOL_HASH_LEN];
};
struct bodies {
	pthread_mutex_t lock;
	struct strmap by_id;
};
#define BODY_PATH_MAX 4096

static inline bool body_id_is_set(struct spool_body_id id)
{
	static const struct spool_body_id none;
	return memcmp(id.b, none.b, SPOOL_BODY_LEN) != 0;
}

/*
 * ---- the schedule: what is due or in flight, in memory (schedule.c, hop.c, window.c) ----
 *
 *   lane         of a user process, of one next hop, or of what is to be routed
 *   flow         in a lane: all of one source (and priority); they take turns
 *   job          in a flow: one message; they take turns, too, a transaction each
 *   entry        one recipient
 */
struct entry {
	struct spool_key key;
	struct account_id account;
	struct lane *lane;
	struct list link; /* in its job, or a list of its lane, or alone */
	struct job *job;  /* while it is due and innocent */
	uint64_t source;
	struct wall_us due;
	enum spool_state state;
	uint8_t crashes;
	int8_t priority;
	bool in_flight;
	bool settling;	       /* in flight, and its result waits for the committer */
	struct wall_us routed; /* its way was looked at again; 0: not since it was read */
	bool alone;	       /* in flight as the one suspect of its kind */
};
struct job {
	struct list link; /* in its flow */
	struct flow *flow;
	uint64_t number;
	struct list entries; /* never empty */
};
/* What is due in a lane of one source: sources take turns, whatever one of them has sent. */
struct flow {
	struct list link; /* in its lane */
	uint64_t key;	  /* of source and priority */
	int priority;
	struct list jobs; /* never empty */
};
struct lane {
	struct list flows;    /* higher priorities first; among equals whose turn it is */
	struct map by_source; /* key of a flow -> struct flow */
	struct list suspects; /* due, were in flight when the lane died */
	struct list flying;
	size_t n_flying;
	size_t n;	    /* entries in all */
	struct list parked; /* in schedule.parked: has due rows that are not in memory */
	struct hop *hop;    /* NULL: not of a next hop */
	bool woken;	    /* something became ready since the last announcement */
};
/*
 * One next hop: as many transactions at a time as it seems to bear. `window` goes up by one with
 * each that succeeds and down with each that does not reach it; at the end of as many failures as
 * there were places it is dead for a while, and its mail is put off without a try.
 */
struct hop {
	struct lane lane;
	char *name;
	struct list ready; /* in schedule.ready: something may be begun */
	struct list waits; /* in schedule.idle: for the clerk, which settles what needs no server */
	enum hop_kind { HOP_SERVER, HOP_ERROR, HOP_DISCARD, HOP_HOLD, HOP_LIST, HOP_BAD } kind;
	unsigned window;
	unsigned busy; /* transactions under way */
	double cohorts;
	struct mono_ns dead_until; /* 0: alive */
	char status[12];	   /* why it is dead; of an error: its status */
	char text[400];
};
/* Where a state's rows were read up to: all before that are in memory, or of a parked lane. */
struct cursor {
	struct wall_us due;
	struct spool_key key;
	struct wall_us next; /* when a row behind it falls due; INT64_MAX: never */
};
struct schedule {
	pthread_mutex_t lock;
	struct map by_key;
	struct lane *lanes; /* of the user processes, then of what is to be routed */
	unsigned n_lanes;
	struct strmap hops;
	struct list ready; /* hops, whose turn it is first */
	struct list idle;  /* hops with work for the clerk */
	struct list parked;
	size_t n_alone; /* suspects in flight to other servers: one at a time */
	bool remote_woken;
	bool clerk_woken;
	struct wall_us
		changed; /* when ways last changed: those looked up before are looked up again */
	struct mono_ns look_at; /* ask then whether they have */
	struct cursor cursors[SPOOL_STATES];
	struct spool_counts counts;
};

/* ---- waiting work (commit.c, porter.c) ---- */

struct result {
	struct list link;
	struct spool_key key;
	enum spool_outcome outcome;
	bool dsn_passed;
	bool relaying_told;
	bool untried;
	bool lasting;
	struct wall_us routed;
	unsigned tries;		 /* that its message refused; others were written meanwhile */
	struct mono_ns again_at; /* then the next one */
	char trouble[160];
	char status[12];
	char server[256];
	struct str text; /* owned */
};
struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t work;  /* committer */
	pthread_cond_t carry; /* porter */
	pthread_cond_t tick;  /* clerk */
	pthread_cond_t quiet; /* drain */
	struct list to_carry; /* messages with body files */
	struct list to_write; /* messages */
	size_t to_write_n;
	size_t crowd;	       /* messages that were under way at the last commit */
	struct mono_ns commit; /* how long it took */
	struct list results;
	struct timespec settle_at; /* when they are written at the latest */
	struct list later;	   /* results whose message could not be written down */
	VEC(struct spool_receipt) dropped;
	unsigned busy;	 /* threads at work */
	bool retry_wait; /* the last commit failed: results wait a moment */
	bool nudged;
	bool stop; /* committer */
	bool stop_porter;
	bool stop_clerk;
};

struct spool {
	struct spool_config c;
	char *folder;
	char *blob_folder;
	atomic_bool folder_kept[256]; /* its name in the blob tree is on disk */
	char *hostname;
	char *postmaster_domain;
	char *double_bounce_to; /* "": nobody */
	struct fs *fs;
	uint8_t epoch[SPOOL_EPOCH_LEN];
	struct turn turn;
	struct db *db;
	struct bodies bodies;
	struct schedule schedule;
	struct jobs jobs;
	pthread_t committer;
	pthread_t porter;
	pthread_t clerk;
	/* Backup. */
	bool frozen; /* with the turn: a backup reads the file, no checkpoint */
	bool thawed; /* ... but one had to be made */
	_Atomic unsigned keep_bodies;
	_Atomic bool kept_some;	  /* names that would have gone */
	_Atomic bool sweep_again; /* the clerk looks for them */
	unsigned threads;	  /* 1 committer, 2 porter, 4 clerk: which run */
};

#define LANE_ROUTING(sp) (&(sp)->schedule.lanes[(sp)->c.lanes])

/* Take the database until the scope ends. */
static inline void auto_turn_(struct turn **t)
{
	turn_give(*t);
}
#define SPOOL_DB(sp)                                                                               \
	__attribute__((cleanup(auto_turn_), unused)) struct turn *turn_held_ = &(sp)->turn;        \
	turn_take(&(sp)->turn)
static inline void auto_unlock_(pthread_mutex_t **m)
{
	(void)pthread_mutex_unlock(*m);
}
#define LOCKED(mutex)                                                                              \
	__attribute__((cleanup(auto_unlock_), unused)) pthread_mutex_t *mutex_held_ = (mutex);     \
	(void)pthread_mutex_lock(mutex)

/* spool.c */
void spool_alert(struct spool *sp, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* rows.c: SQL. With the turn held; the writing ones inside a transaction. */
enum message_kind { KIND_MAIL, KIND_REPORT, KIND_NOTICE /* of a report that failed */ };
struct message_row {
	uint64_t number;
	struct trace_id trace;
	struct str sender;
	struct str envid;
	enum spool_ret ret;
	bool smtputf8;
	bool eightbit;
	struct account_id auth_account;
	struct str language;
	enum message_kind kind;
	struct spool_wishes wish;
	struct str prefix;
	struct str body;
	struct spool_body_id body_id;
	uint64_t body_size;
	uint8_t sha256[SPOOL_HASH_LEN];
	struct str map;
	struct wall_us arrival;
};
struct rcpt_row {
	struct spool_key key;
	enum spool_state state;
	struct destination to;
	struct str
		nexthop; /* for other servers, and filters; empty: a mailbox, or not yet routed */
	struct str original;
	struct str orcpt;
	unsigned notify;
	unsigned attempts;
	unsigned crashes;
	bool warned;
	struct wall_us due;
	struct wall_us tried;  /* last; 0: never */
	struct wall_us routed; /* when its way was looked up; 0: when the message came */
	struct str status;
	struct str text;
	struct str server; /* that said so; empty: we did */
};
MUST_CHECK int rows_schema(struct db *db, uint8_t epoch[SPOOL_EPOCH_LEN], struct fail *why);
MUST_CHECK int rows_epoch(struct db *db, uint8_t epoch[SPOOL_EPOCH_LEN], struct fail *why);
/* Reports wait in state routing, held mail in state held, all other is queued. */
enum spool_state message_state(const struct spool_message *m, enum message_kind kind);
struct wall_us message_due(const struct spool_message *m);
/*
 * Where a copy goes that does not go to a mailbox of ours: the filter, else the transport, else
 * the domain. Empty: it does. The text is borrowed, or in `room`.
 */
#define HOP_NAME_MAX 336
struct str hop_name(const struct destination *to, struct str filter, char room[HOP_NAME_MAX]);
MUST_CHECK int rows_insert(struct spool *sp, const struct spool_message *m, enum message_kind kind,
			   uint64_t *ret_number, struct fail *why);
MUST_CHECK int rows_insert_rcpt(struct spool *sp, const struct rcpt_row *row, struct fail *why);
/* with_content: also prefix, body and map. 1, or 0: no such message. */
MUST_CHECK int rows_message(struct spool *sp, uint64_t number, bool with_content, struct arena *a,
			    struct message_row *ret, struct fail *why);
MUST_CHECK int rows_rcpt(struct spool *sp, struct spool_key key, struct arena *a,
			 struct rcpt_row *ret, struct fail *why);
MUST_CHECK int rows_defer(struct spool *sp, const struct rcpt_row *row, struct fail *why);
MUST_CHECK int rows_delete_rcpt(struct spool *sp, struct spool_key key, struct fail *why);
/* Remove the message when no recipient is left. 1 when it went; *ret_body is its body file's id. */
MUST_CHECK int rows_delete_empty(struct spool *sp, uint64_t number, struct spool_body_id *ret_body,
				 struct fail *why);
MUST_CHECK int rows_crashes(struct spool *sp, struct spool_key key, unsigned crashes,
			    enum spool_state state, struct fail *why);
MUST_CHECK int rows_body_known(struct spool *sp, struct spool_body_id id, struct fail *why);
/* Run one statement with integer parameters. */
MUST_CHECK int rows_run(struct spool *sp, const char *sql, const int64_t *params, size_t n,
			struct fail *why);

/* body.c */
void bodies_clear(struct spool *sp);
/* A message's sealed body becomes the spool's. FAIL_NOTFOUND: unknown, not sealed, or submitted
 * already. FAIL_CORRUPT: the message's size or hash is not what sealing found; the body is gone
 * then. */
MUST_CHECK int body_claim(struct spool *sp, const struct spool_message *m, struct fail *why);
/* Verify, sync, name; the descriptor stays with the table until body_forget. */
MUST_CHECK int body_keep(struct spool *sp, struct spool_body_id id, struct fail *why);
void body_forget(struct spool *sp, struct spool_body_id id); /* close, leave its name */
void body_unlink(struct spool *sp, struct spool_body_id id); /* remove its name */
MUST_CHECK int body_open(struct spool *sp, struct spool_body_id id, struct fs_file **ret,
			 struct fail *why);
/* Remove `.q` names that no row has. Takes the turn. */
MUST_CHECK int body_sweep(struct spool *sp, struct fail *why);

/* schedule.c: with schedule.lock held, except where said. */
void schedule_init(struct spool *sp);
void schedule_clear(struct spool *sp);
void schedule_lane_init(struct lane *l);
void schedule_lane_clear(struct lane *l);
struct new_entry {
	struct account_id account;
	struct str nexthop; /* empty: none */
	enum spool_state state;
	struct wall_us due;
	unsigned crashes;
	uint64_t source; /* schedule_source, or 0: the spool's own reports */
	int priority;
	bool stale; /* its way was looked up before the last change: first to the clerk */
	struct wall_us routed; /* of the entry */
};
/*
 * What is due gets an entry, if there is none yet. False: its lane is full, and its rows are found
 * later. `fresh`: just accepted; there is more room for those.
 */
bool schedule_add(struct spool *sp, struct spool_key key, const struct new_entry *n, bool fresh);
/* Who sent it: the account that submitted it, else the domain of the envelope sender. Never 0. */
uint64_t schedule_source(struct account_id auth_account, struct str sender);
/* Nothing is due in the lane. */
bool schedule_lane_is_quiet(const struct lane *l);
/*
 * What comes next in a lane, in flight from now on; up to `max` are appended. Suspects are left
 * alone.
 */
struct key_vec {
	VEC_FIELDS(struct spool_key);
};
void schedule_next(struct spool *sp, struct lane *l, size_t max, struct key_vec *out);
/* The same of one message, and another message is next. */
void schedule_next_job(struct spool *sp, struct lane *l, size_t max, struct key_vec *out);
struct entry *schedule_find(struct spool *sp, struct spool_key key);
void schedule_remove(struct spool *sp, struct entry *e);
/* It is due again, no longer in flight. */
void schedule_again(struct spool *sp, struct entry *e);
void schedule_fly(struct spool *sp, struct entry *e);
/* Rows changed their states. */
void schedule_count(struct spool *sp, enum spool_state from, enum spool_state to);
void schedule_count_new(struct spool *sp, enum spool_state state, size_t n);
void schedule_count_gone(struct spool *sp, enum spool_state state, size_t n);
/* Without the lock: tell the role about lanes that woke. */
void schedule_announce(struct spool *sp);

/* hop.c: with schedule.lock held. */
struct hop *hop_get(struct spool *sp, struct str name);
/* May it begin something now, or has the clerk something to do there? Puts it into the lists. */
void hop_update(struct spool *sp, struct hop *h);
/* The next transaction that may begin: its hop, with the keys appended. NULL: none. */
struct hop *hop_next(struct spool *sp, struct key_vec *out);
void hop_over(struct spool *sp, struct hop *h, enum spool_contact contact, const char *status,
	      struct str text);
/* Without the lock: the clerk's. True when there may be more to do at once. */
bool hop_settle_idle(struct spool *sp);
void hop_revive(struct spool *sp, struct mono_ns now);
void hop_free(struct hop *h);
/* No suspect is in flight any more. */
void hop_wake_suspects(struct spool *sp);

/* window.c: which rows are in memory. */
MUST_CHECK int window_open(struct spool *sp, struct fail *why);
/* Read what has fallen due meanwhile. Takes the turn, if there is anything. */
void window_load(struct spool *sp);
/* With schedule.lock held: a row that is not in memory is due then. */
void window_note(struct spool *sp, enum spool_state state, struct wall_us due,
		 struct spool_key key);
/* When something that is not in memory falls due. With schedule.lock held. */
struct wall_us window_next(const struct spool *sp);

/* settle.c: what results do to the rows, within the committer's transaction. */
enum change_kind { CHANGE_REMOVE, CHANGE_GONE /* before */, CHANGE_DEFER, CHANGE_ADD };
struct change {
	enum change_kind kind;
	struct spool_key key;
	enum spool_state from; /* not of ADD */
	enum spool_state state;
	struct wall_us due;
};
struct settled {
	VEC(struct change) changes;
	VEC(struct spool_receipt) receipts;
	VEC(struct spool_body_id) bodies; /* to be removed after the commit */
	VEC(struct spool_event) events;
	uint64_t delivered, deferred, failed, dsns;
};
void settled_clear(struct settled *s);
/* All results of one message. Appends to *out only when it returns 0. */
MUST_CHECK int settle_message(struct spool *sp, struct result *const *results, size_t n,
			      struct settled *out, struct fail *why);

/* Texts are copied, and cut. */
void event_fill(struct spool_event *e, const struct message_row *m, const struct rcpt_row *row,
		const char *status, struct str text);

/* report.c */
struct report_rcpt {
	struct rcpt_row row;
	const char *status;
	struct str text;
	struct str server;
};
enum report_kind { REPORT_FAILED, REPORT_DELAYED, REPORT_DELIVERED, REPORT_RELAYED, REPORTS };
struct report_set {
	enum report_kind kind;
	const struct report_rcpt *rcpts;
	size_t n;
};
/* Compose a DSN to the sender of m and insert it; its key goes to *out. m has its content. */
MUST_CHECK int report_insert(struct spool *sp, const struct message_row *m,
			     const struct report_set *set, struct settled *out, struct fail *why);
/* A report of ours failed: tell double_bounce_to, once. */
MUST_CHECK int notice_insert(struct spool *sp, const struct message_row *m,
			     const struct report_set *set, struct settled *out, struct fail *why);

/* take.c: these are in flight and wait for the operator from now on. Takes the turn. */
void hold_flying(struct spool *sp, const struct spool_key *keys, size_t n, struct str reason);
/* The same; when it fails they stay in flight. */
MUST_CHECK int hold_rows(struct spool *sp, const struct spool_key *keys, size_t n,
			 struct str reason, struct fail *why);

/* commit.c, porter.c, clerk.c */
enum { ROUTE_AGAIN_S = 60 }; /* who cannot be asked for a way is asked again then */
void *committer_main(void *sp);
void *porter_main(void *sp);
void *clerk_main(void *sp);
void clerk_nudge(struct spool *sp);
/* Ask whether ways have changed, if it is time; `now`: whether it is or not. Blocking, without
 * locks. */
void clerk_look(struct spool *sp, bool now);
/* For the committer's own tests of quiet: with jobs.lock held. */
bool jobs_quiet(const struct spool *sp);
void result_free(struct result *r);

#endif
