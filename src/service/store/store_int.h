/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_int.h - what the store's files share.                         [service/store, private]
 *
 * A write is a job in its partition's queue. A committer thread takes what waits (commit.c):
 *
 *     prepare   body files are verified, synced and linked        no lock, one committer a
 * partition apply     rows, each job in a savepoint                     part->lock commit    one
 * sync for all                                  part->lock publish   shared mailboxes (box.c) learn
 * what changed       part->lock, box->lock finish    watches, then the jobs' owners no lock
 *
 * Lock order: part->lock, box->lock; store->queue_lock, box_lock, lru_lock, order_lock, watch_lock
 * are leaves (watch_lock is held over callbacks). What is in memory about a mailbox changes in
 * publish only, so a holder of part->lock sees memory and disk agree.
 */
#ifndef BARID_SERVICE_STORE_STORE_INT_H
#define BARID_SERVICE_STORE_STORE_INT_H

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "service/store/store_engine.h"
#include "service/store/store_view.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#define BATCH_LIMIT 1024 /* for store_options.batch_max */

/* ---- partitions -------------------------------------------------------------------------- */

struct part {
	struct store *store;
	uint64_t no;
	pthread_mutex_t lock;
	struct engine *e; /* NULL = closed */
	bool doubtful;	  /* closed after a failure of storage */
	bool frozen;	  /* a backup reads the file: no checkpoint */
	bool thawed;	  /* ... but one had to be made */
	int64_t used;	  /* store_mono() of the last use; 0: has given memory back since */
	struct list lru;  /* store->lru, when open; under lru_lock */
	/* under store->queue_lock */
	struct list queue;
	struct list lazy; /* written with the next batch, or when old */
	int64_t lazy_since;
	bool lazy_now; /* they are asked for while a batch is under way */
	bool busy;     /* in store->ready or with a committer */
	struct list ready;
};

struct store_counts {
	_Atomic uint64_t commits, writes, deliveries, repeated, checkpoints, swept;
	_Atomic uint64_t maps, map_bytes;
};

struct store {
	struct store_options o; /* defaults filled in; strings are ours */
	const struct engine_ops *ops;
	struct fs *fs;
	struct store_counts counts;

	struct part **parts; /* o.partitions of them, unless per_account */
	pthread_mutex_t part_lock;
	struct map by_account; /* per_account: account id to struct part */

	pthread_mutex_t lru_lock;
	struct list lru; /* least recently opened first */
	size_t n_open;

	pthread_mutex_t queue_lock;
	pthread_cond_t queue_cond; /* something is ready, or closing */
	struct list ready;
	bool closing;
	pthread_t *committers;

	pthread_mutex_t box_lock;
	struct list warm; /* struct mbox, longest there first */
	struct strmap boxes;

	pthread_mutex_t order_lock;
	struct strmap orders;  /* struct order_box by its key */
	struct list order_lru; /* the least recently used first */
	size_t order_bytes;

	pthread_mutex_t watch_lock;
	struct map watches; /* account to list of struct store_watch */

	pthread_t upkeep_thread;
	bool upkeep_runs;
	pthread_mutex_t upkeep_lock;
	pthread_cond_t upkeep_cond;
	bool upkeep_stop;
	_Atomic int64_t retention_us; /* o.retention_us to begin with */
	_Atomic unsigned sweep_at;    /* next blob folder, 256 = done */
	atomic_bool folder_kept[256]; /* its name in the blob tree is on disk */
	_Atomic unsigned keep_bodies; /* backups that run: no body file loses its name */
	_Atomic bool kept_some;	      /* names that would have gone: the sweep finds them */
	int64_t purge_at;	      /* mono ns */
};

/* The account's partition; -FAIL_PERM when another process has it. */
MUST_CHECK int part_of(struct store *s, struct account_id a, struct part **ret, struct fail *why);
/* Files of this shard that an earlier version wrote become ours (formats.c). Before all threads. */
MUST_CHECK int formats_bring_forward(struct store *s, struct fail *why);
/* Lock it and have its engine open. Unlocked on failure. */
MUST_CHECK int part_enter(struct part *p, struct fail *why);
void part_leave(struct part *p);
void part_discard(struct part *p); /* inside: close the engine after an error of storage */
void part_free(struct part *p);
MUST_CHECK int part_path(const struct part *p, char *buf, size_t size, struct fail *why);
/* The partition of this number, when it is this process's. */
MUST_CHECK int part_by_number(struct store *s, uint64_t no, struct part **ret, struct fail *why);
/* Is it open, or has it a file? Entering makes one. */
MUST_CHECK int part_is_there(struct part *p, bool *ret, struct fail *why);
/* fn(arg, part) for all partitions known. */
void part_each(struct store *s, void (*fn)(void *arg, struct part *p), void *arg);
/* All partitions of this process, used yet or not (not with a file per account). */
MUST_CHECK int part_every(struct store *s, int (*fn)(void *arg, struct part *p, struct fail *why),
			  void *arg, struct fail *why);

/* ---- jobs -------------------------------------------------------------------------------- */

struct body_name {
	unsigned char id[16];
	struct account_id account;
};

/* What a job did to a mailbox; published after the commit. */
enum change_kind {
	CHANGE_ADDED,
	CHANGE_FLAGS,
	CHANGE_EXPUNGED,
	CHANGE_KEYWORD,
	CHANGE_OVERLAY, /* `message` is the viewer */
	CHANGE_ROW,	/* the last of its mailbox in a job */
};
struct mbox;
struct change {
	enum change_kind kind;
	uint32_t uid;
	struct mbox *box; /* somebody has it open; a reference */
	uint64_t message, flags, modseq;
	uint32_t size; /* ADDED; ROW: index in tx->rows; KEYWORD: bit */
	char *keyword;
};
struct changed_row {
	struct account_id account;
	struct row_mailbox row;
	unsigned kinds; /* STORE_EVENT_ */
	uint64_t modseq;
	const struct store_annotate *notes; /* the caller's, which waits for the commit */
};

struct tx {
	struct store *s;
	struct part *part;
	const struct engine_ops *ops;
	struct engine *e;
	struct wall_us now;
	VEC(struct change) changes;
	VEC(struct changed_row) rows;
	VEC(struct body_name) unlinks; /* files that may have lost their last row */
	struct store_news news;
};

struct store_job {
	struct list link;
	struct account_id account;
	int (*apply)(struct tx *tx, struct store_job *job, struct fail *why);
	/* After all, on the committer, no lock; NULL: the waiter takes over. */
	void (*finish)(struct store_job *job);
	void *arg;
	/* body files to link before */
	const struct store_content *contents;
	size_t n_contents, content_stride;
	bool linked; /* this job made a name */
	int r;
	struct fail why;
	sem_t wait;
};

/* Run a job and wait for its commit. */
MUST_CHECK int job_run(struct store *s, struct store_job *job, struct fail *why);
/* Leave it to the committer: job->finish takes over. Lazy ones wait for company. */
void job_submit(struct part *p, struct store_job *job, bool lazy);
void *committer_main(void *store);
void commit_kick_lazy(struct store *s, int64_t older_than); /* mono ns; INT64_MAX: all */
/* Work on a transaction of the maintenance kind, in the partition (not one account's). */
MUST_CHECK int job_run_in(struct part *p, struct store_job *job, struct fail *why);

/* ---- inside a transaction ------------------------------------------------------------------ */

/* One account and one of its mailboxes while a job works on them. */
struct tx_box {
	struct account_id account;
	struct row_mailbox row;
	struct mbox *live; /* somebody has it open, or NULL; a reference */
	bool keywords_loaded;
	uint64_t keyword_bits; /* in use */
	struct arena names;
	struct str keywords[STORE_KEYWORDS_MAX];
	unsigned kinds;
};
void tx_box_clear(struct tx_box *b);
DEFINE_AUTO(tx_box, struct tx_box, tx_box_clear);

MUST_CHECK int tx_account(struct tx *tx, struct account_id a, struct row_account *ret,
			  struct fail *why);
MUST_CHECK int tx_box_by_name(struct tx *tx, struct account_id a, struct str name,
			      struct tx_box *ret, struct fail *why); /* normal name; not noselect */
MUST_CHECK int tx_box_by_id(struct tx *tx, struct account_id a, struct mailbox_id m,
			    struct tx_box *ret, struct fail *why); /* -FAIL_GONE */
/* Write both rows and record what happened. */
MUST_CHECK int tx_box_end(struct tx *tx, struct tx_box *b, const struct row_account *acc,
			  struct fail *why);
/* Flag bits of names in this mailbox; with `make`, new keywords are added (-FAIL_LIMIT when full),
 * else unknown ones are left out. */
MUST_CHECK int tx_flags(struct tx *tx, struct tx_box *b, const struct store_flagset *set, bool make,
			uint64_t *ret, struct fail *why);
MUST_CHECK int tx_keywords(struct tx *tx, struct tx_box *b, struct fail *why); /* load names */
MUST_CHECK int tx_keyword(struct tx *tx, struct tx_box *b, struct str name, bool make,
			  uint64_t *ret_bit, struct fail *why); /* 0 = no room or not there */

/* Counters, row and change for one message that comes, goes or changes flags. */
MUST_CHECK int tx_entry_add(struct tx *tx, struct row_account *acc, struct tx_box *b,
			    const struct row_entry *e, struct fail *why);
MUST_CHECK int tx_entry_expunge(struct tx *tx, struct row_account *acc, struct tx_box *b,
				struct row_entry *e, struct fail *why);
/* All but the row, which the caller writes (entry_set, entry_flags). */
void tx_entry_flagged(struct tx *tx, struct tx_box *b, struct row_entry *e, uint64_t flags,
		      uint64_t modseq);
/* A note for publish when somebody has the mailbox open, else NULL. */
struct change *tx_change(struct tx *tx, struct tx_box *b, enum change_kind kind);
/* Make a body, a message and an entry of it. */
MUST_CHECK int tx_put(struct tx *tx, struct row_account *acc, struct tx_box *b,
		      const struct store_append_message *m, uint64_t modseq, struct fail *why);
/* The same for a viewer: \Seen is its own. With the account's modseq. */
MUST_CHECK int tx_put_for(struct tx *tx, struct row_account *acc, struct tx_box *b,
			  const struct store_append_message *m, struct account_id viewer,
			  struct fail *why);
/* What a viewer has of a message from now on. */
MUST_CHECK int tx_overlay_set(struct tx *tx, struct tx_box *b, struct account_id viewer,
			      const struct row_overlay *row, struct fail *why);
uint64_t content_size(const struct store_content *c); /* prefix + body */
MUST_CHECK int content_check(const struct store_content *c, struct fail *why);
MUST_CHECK int quota_check(const struct row_account *acc, const struct store_quota *q,
			   uint64_t bytes, uint64_t messages, struct fail *why);

/* thread.c: what a message shares with others of its thread. */
#define THREAD_KEYS_MAX 24
struct thread_keys {
	size_t n;
	uint64_t key[THREAD_KEYS_MAX];
	uint64_t thread[THREAD_KEYS_MAX]; /* of each key, by tx_thread_find; 0 = none */
};
void thread_keys_of(const struct store_content *c, struct thread_keys *ret);
/* The oldest thread of the keys, 0 = none: then the message begins one. */
MUST_CHECK int tx_thread_find(struct tx *tx, struct account_id a, struct thread_keys *keys,
			      uint64_t *ret, struct fail *why);
/* The keys that have no thread get this one. */
MUST_CHECK int tx_thread_add(struct tx *tx, struct account_id a, const struct thread_keys *keys,
			     uint64_t thread, struct fail *why);

/* An entry is gone for good: drop what only it used. */
MUST_CHECK int tx_message_drop(struct tx *tx, struct account_id a, uint64_t message,
			       struct store_purge_result *count, struct fail *why);
/* read.c: the bytes of a body whose row is at hand. */
MUST_CHECK int body_open(struct part *p, struct account_id a, const struct row_body *body,
			 struct arena *arena, struct store_source *ret, struct fail *why);
/* The message is gone, or ({0}: all that an account had) may be. */
void tx_dropped(struct tx *tx, struct message_id id);
/* mailbox_tx.c: make a mailbox with missing parents; name is normal and does not exist. */
MUST_CHECK int tx_mailbox_make(struct tx *tx, struct row_account *acc, struct str name,
			       unsigned use, struct mailbox_id *ret, struct fail *why);
/* change.c: every live message of one mailbox goes to another. */
MUST_CHECK int tx_move_all(struct tx *tx, struct row_account *acc, struct tx_box *from,
			   struct tx_box *to, struct fail *why);
/* change.c: a message that was expunged in one mailbox comes into another (or the same). */
MUST_CHECK int tx_copy_back(struct tx *tx, struct row_account *acc, struct tx_box *from,
			    struct tx_box *to, const struct row_entry *old, struct fail *why);
/* acl.c: a new mailbox is shared as the one above it is. */
MUST_CHECK int tx_acl_inherit(struct tx *tx, struct account_id a, struct str name,
			      struct mailbox_id m, struct fail *why);
void tx_list_changed(struct tx *tx, const struct row_account *acc);

static inline uint64_t uid_digest(uint32_t uid) /* splitmix64 */
{
	uint64_t z = uid + UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- names ------------------------------------------------------------------------------- */

/* The normal form of a mailbox name into buf. -FAIL_SYNTAX, -FAIL_LIMIT. */
MUST_CHECK int name_normal(struct str in, char buf[STORE_NAME_MAX + 1], struct str *ret,
			   struct fail *why);
bool name_is_inbox(struct str normal);
/* "a/b/c" gives "a/b"; empty when there is no parent. */
struct str name_parent(struct str normal);
bool name_below(struct str name, struct str parent); /* an inferior */

/* ---- body files -------------------------------------------------------------------------- */

#define BLOB_PATH_MAX 4200
MUST_CHECK int blob_path(struct store *s, const struct body_name *n, char *buf, struct fail *why);
/* Verify, sync and link; job->linked tells. Folders to sync go into `folders` (256 flags). */
MUST_CHECK int blob_prepare(struct store *s, struct store_job *job, bool folders[256],
			    struct fail *why);
MUST_CHECK int blob_sync_folders(struct store *s, const bool folders[256], struct fail *why);
/* Inside the partition, after a commit: remove the names that no row has. */
void blob_unlink_unused(struct tx *tx);
/* One folder of the sweep: 1 = more to do. */
MUST_CHECK int blob_sweep(struct store *s, struct fail *why);
MUST_CHECK int blob_open(struct store *s, const struct body_name *n, int *ret_fd, struct fail *why);
MUST_CHECK int blob_verify_size(struct store *s, const struct body_name *n, uint64_t size,
				struct fail *why);

/* ---- shared mailboxes -------------------------------------------------------------------- */

struct map_entry {
	uint64_t message;
	uint64_t flags;
	uint64_t modseq;
	uint32_t uid;
	uint32_t size;
};
struct map_tomb {
	uint32_t uid;
	uint64_t expunged; /* modseq */
};
struct map_log {
	uint64_t modseq;
	uint32_t uid;
};
/*
 * The UID map of a mailbox: every message that some view may still see, by UID. Expunged ones stay
 * as tombstones until no view needs them (compaction raises `floor` and `generation`).
 */
struct uid_map {
	bool loaded;
	unsigned users; /* views that rely on it */
	VEC(struct map_entry) e;
	VEC(struct map_tomb) t;	 /* by uid; each has its entry in e */
	VEC(struct map_log) log; /* flag changes with modseq > log_floor, in order */
	uint64_t log_floor;
	uint64_t floor; /* tombstones up to this modseq are gone */
	uint64_t generation;
};
size_t uid_map_lower(const struct uid_map *m, uint32_t uid); /* first entry with uid or more */
struct map_entry *uid_map_find(const struct uid_map *m, uint32_t uid);
size_t uid_map_tomb(const struct uid_map *m, uint32_t uid); /* first tombstone with uid or more */
uint64_t uid_map_expunged(const struct uid_map *m, uint32_t uid); /* modseq, 0 = live */
void uid_map_add(struct uid_map *m, const struct row_entry *row);
void uid_map_set_flags(struct uid_map *m, uint32_t uid, uint64_t flags, uint64_t modseq);
void uid_map_touch(struct uid_map *m, uint32_t uid, uint64_t modseq); /* news for some view */
void uid_map_expunge(struct uid_map *m, uint32_t uid, uint64_t modseq);
void uid_map_compact(struct uid_map *m, uint64_t floor); /* when worth it */
void uid_map_clear(struct uid_map *m);			 /* not loaded, users stay */
size_t uid_map_bytes(const struct uid_map *m);

struct box_key {
	uint64_t account, mailbox;
};
struct mbox {
	struct box_key key;
	struct store *store;
	struct part *part;
	unsigned refs;	  /* under store->box_lock */
	struct list warm; /* under store->box_lock: kept without a view, a reference */
	int64_t warm_since;
	pthread_rwlock_t lock;
	/* under lock */
	bool stale; /* a commit failed: what is here may not be what is on disk */
	bool gone;
	struct row_mailbox row;
	_Atomic unsigned n_keywords; /* grows only; names never move */
	struct str *_Atomic
		keywords; /* STORE_KEYWORDS_MAX, by bit - STORE_KEYWORD_FIRST; NULL: none */
	struct uid_map map;
	struct list views;
	uint64_t unseen_modseq; /* first_unseen below holds for this row.highestmodseq */
	uint32_t unseen_seq;
	_Atomic uint32_t claimed; /* UIDs below it were shown as recent; >= row.first_recent */
};

/* Inside the partition. Found or made, with a row; a reference. */
MUST_CHECK int box_get(struct part *p, struct account_id a, const struct row_mailbox *row,
		       struct mbox **ret, struct fail *why);
struct mbox *box_find(struct store *s, struct account_id a, struct mailbox_id m); /* a reference */
void box_unref(struct mbox *b);
struct mbox *box_ref(struct mbox *b);
/* Inside the partition, box->lock held for writing: read the row (and the map) again. */
MUST_CHECK int box_reload(struct mbox *b, struct fail *why);
MUST_CHECK int box_load_map(struct mbox *b, struct fail *why);
void box_publish(struct tx *tx);	  /* after a commit, inside the partition */
void box_all_stale(struct part *p);	  /* after a failed commit */
uint64_t box_floor(const struct mbox *b); /* lowest expunge modseq of its views; lock held */
/* The lowest modseq that a view of this mailbox needs, UINT64_MAX when none. */
uint64_t box_needed(struct store *s, struct account_id a, struct mailbox_id m);
/* Recent messages that a session which selects now would see. Inside the partition. */
MUST_CHECK int box_recent(struct part *p, struct account_id a, const struct row_mailbox *row,
			  uint32_t *ret, struct fail *why);

/* ---- views ------------------------------------------------------------------------------- */

struct span {
	uint32_t from, to; /* UIDs [from, to) */
};
#define RECENT_SPANS_MAX 64

struct overlays {
	VEC_FIELDS(struct row_overlay); /* by UID */
};

struct store_view {
	struct store *s;
	struct mbox *box;
	struct list link; /* box->views, under box->lock */
	struct store_view_info info;
	uint64_t epoch;
	_Atomic uint64_t expunge_modseq; /* others read it for the floor */
	uint64_t digest;		 /* sum of uid_digest() of its messages */
	unsigned n_keywords;
	bool past; /* a mailbox as it was: never brought up to date */
	VEC(struct span) recent;
	VEC(uint64_t) own;	  /* modseqs of own STOREs after info.highestmodseq */
	bool attached;		  /* counts in map.users */
	struct account_id viewer; /* {0}: the owner */
	uint64_t may;		  /* flags that it may change */
	struct overlays overlay;  /* of a viewer; under box->lock */
	bool overlay_valid;
	/* caches, dropped by park */
	VEC(uint32_t) hidden; /* UIDs in the map below uidnext that the view does not see */
	bool hidden_valid;
	uint64_t hidden_generation;
	VEC(uint32_t) gone_seqs;
	VEC(struct uid) gone_uids;
	VEC(struct store_flag_change) flag_changes;
	struct store_changes changes;
};

/* overlay.c. Inside the partition, box->lock held for writing: read a viewer's rows. */
MUST_CHECK int view_load_overlay(struct store_view *v, struct fail *why);
void view_drop_overlay(struct store_view *v); /* box->lock held for writing */
MUST_CHECK int overlay_read(struct part *p, const struct uid_range *range, struct account_id viewer,
			    struct overlays *ret, struct fail *why);
const struct row_overlay *overlay_find(const struct overlays *o, uint32_t uid);
/* The flags and modseq of a message, as a viewer's row (NULL: none) makes them. */
void overlay_apply(const struct row_overlay *row, uint64_t *flags, uint64_t *modseq);
/* The same for a view and a message of its map, under view_lock with map. */
void view_flags(const struct store_view *v, const struct map_entry *e, uint64_t *flags,
		uint64_t *modseq);
void overlay_publish(struct mbox *b, const struct change *c);
void overlays_stale(struct mbox *b);
/* Does this view take recent messages for itself? */
static inline bool view_takes_recent(const struct store_view *v)
{
	return !v->info.read_only && v->viewer.v == 0;
}

/* Take box->lock for reading with a fresh row (and the map, ready for rank and nth). On failure
 * nothing is held. */
MUST_CHECK int view_lock(struct store_view *v, bool with_map, struct fail *why);
void view_unlock(struct store_view *v);
/* Under view_lock with map. */
void view_find_hidden(struct store_view *v); /* when expunge_modseq, uidnext or the map moved */
bool view_hides(const struct store_view *v, uint32_t uid);
uint32_t view_rank(const struct store_view *v, uint32_t uid); /* its messages below uid */
size_t view_nth(const struct store_view *v,
		uint32_t seq); /* index in the map; 1 <= seq <= exists */
/* Any time. */
struct store_view *view_new(struct mbox *b, struct account_id a, const struct store_view_as *as);
/* The account and a mailbox that can be selected, by any spelling of its name. */
MUST_CHECK int view_find_row(struct part *p, struct account_id a, struct str name,
			     struct row_account *acc, struct row_mailbox *row, struct fail *why);
bool view_recent(const struct store_view *v, uint32_t uid);
void view_add_recent(struct store_view *v, uint32_t from, uint32_t to);

/* box.c: a view starts or ends to rely on the map. box->lock held for writing. */
void box_attach(struct mbox *b);
void box_detach(struct mbox *b);
/* warm.c: keep the map for a while; true: the caller's place among those that rely on it is taken
 * over, with a reference of its own. No lock held. */
bool box_keep_warm(struct mbox *b);
/* Let go what has been kept for long enough, or all. */
void boxes_cool(struct store *s, bool all);
/* lazy.c: write what was shown as recent, and how far all is seen, some time. */
void box_write_later(struct mbox *b, uint32_t unseen_hint, uint64_t hint_modseq);

/* ---- order.c ----------------------------------------------------------------------------- */

/* Let go tables that nobody has used for a while, or all. */
void orders_cool(struct store *s, bool all);

/* ---- watching ---------------------------------------------------------------------------- */

void watch_fire(struct store *s, const struct tx *tx); /* after a commit, no lock held */

/* ---- upkeep ------------------------------------------------------------------------------ */

void *upkeep_main(void *store);
int64_t store_mono(void);

#endif
