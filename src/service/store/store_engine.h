/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_engine.h - rows of one partition: what an engine keeps for the store.  [service/store,
 * private]
 *
 * The store above decides everything (names, numbers, counters, views, who may wait for whom); an
 * engine keeps rows, finds them by their keys and makes a transaction durable. engine_sqlite*.c
 * keeps a file, engine_memory.c keeps ordered tables in memory and is the model to read first.
 *
 * An engine is used by one thread at a time (the partition's lock). Strings in rows that an engine
 * returns live until its next call. Row callbacks must not call the engine; a negative result of
 * theirs ends the scan and is returned. `_get` and `_find` return 1 = found, 0 = not there.
 * Changes happen inside begin ... commit only.
 */
#ifndef BARID_SERVICE_STORE_STORE_ENGINE_H
#define BARID_SERVICE_STORE_STORE_ENGINE_H

#include "service/store/store_view.h"

struct row_account {
	struct account_id id;
	uint64_t epoch;
	uint64_t modseq; /* last one given */
	uint64_t bytes, messages;
	uint64_t next_mailbox;
	uint32_t uidvalidity; /* last one given */
	struct wall_us created;
};

struct row_mailbox {
	struct mailbox_id id;
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint32_t exists, unseen, deleted;
	uint32_t recent; /* live messages from first_recent on */
	uint64_t size;
	uint64_t deleted_size; /* of messages with \Deleted */
	uint64_t digest;       /* sum of uid_digest() of live messages */
	uint64_t highestmodseq;
	uint64_t flags_modseq;	 /* last flag change */
	uint64_t expunge_modseq; /* last expunge */
	uint64_t floor_modseq;	 /* expunges up to this may have been forgotten */
	uint32_t first_recent;	 /* UIDs from here on were shown to no session */
	uint32_t unseen_hint;	 /* no live message below it lacks \Seen */
	uint32_t use;
	bool noselect;
	uint64_t created_modseq;
	uint64_t deleted_modseq; /* 0 = it exists */
	struct wall_us deleted_at;
};

enum body_codec { BODY_RAW = 0, BODY_ZSTD = 1 };

struct row_body {
	uint64_t id;
	uint32_t codec;
	uint32_t encryption; /* 0 = none; others reserved */
	uint64_t stored_size, real_size;
	uint64_t refs; /* messages that use it */
	bool is_file;
	unsigned char file[16]; /* the id in its file's name */
	struct str bytes;	/* when not a file */
};

struct row_message {
	uint64_t id;
	uint32_t size; /* prefix + body */
	uint64_t body_size;
	unsigned char sha256[32];
	struct wall_us internaldate, saved;
	int16_t zone_min; /* of internaldate, as the client gave it */
	uint64_t thread;  /* the message that began it; 0 = this one */
	uint64_t body;
	struct str prefix, map;
};

struct row_entry {
	uint32_t uid;
	uint32_t size; /* of the message: counters need no second row */
	uint64_t message;
	uint64_t flags;
	uint64_t created;  /* modseq */
	uint64_t modseq;   /* last change */
	uint64_t expunged; /* modseq, 0 = live */
	struct wall_us expunged_at;
	struct wall_us saved; /* in this mailbox; 0 = when the message was */
};

/* What one viewer has of a message instead of its owner's: of flags, STORE_SEEN alone. */
struct row_overlay {
	uint32_t uid;
	uint32_t flags;
	uint64_t modseq;
};

/* UIDs [lo, hi] of a mailbox. */
struct uid_range {
	struct account_id account;
	struct mailbox_id mailbox;
	uint32_t lo, hi;
};
/*
 * Flags become (flags & keep) | add where that is a change, and modseq with them; where the modseq
 * was not above `since`.
 */
struct flag_rule {
	uint64_t keep, add, modseq;
	uint64_t since; /* INT64_MAX: whatever it was */
};
/* Messages with ids [lo, hi] of an account. */
struct id_range {
	struct account_id account;
	uint64_t lo, hi;
};
/* Entries expunged before a moment, of one account or ({0}) all, at most max. */
struct expired_range {
	struct account_id account;
	struct wall_us before;
	size_t max;
};

/* What somebody may do with a mailbox. */
struct row_acl {
	struct mailbox_id mailbox;
	struct str identifier;
	struct account_id subject; /* of an address: whose it was when it was written; else {0} */
	uint32_t rights;
};

/* What came under a receipt; {0}: that is not kept. */
struct row_receipt {
	struct wall_us at;
	struct mailbox_id mailbox;
	uint32_t uidvalidity;
	uint32_t first, n; /* UIDs */
};

/* An annotation: of a mailbox, or ({0}) of the account. */
struct row_annotation {
	struct account_id account;
	struct mailbox_id mailbox;
	struct account_id viewer; /* {0}: shared */
	struct str entry, value;
};

/* A Sieve script. */
struct row_script {
	struct account_id account;
	struct str name, text;
	uint64_t size; /* of text */
	bool active;
	struct wall_us changed;
};

typedef int (*entry_fn)(void *arg, const struct row_entry *row);
typedef int (*mailbox_fn)(void *arg, struct account_id a, const struct row_mailbox *row,
			  struct str name);
typedef int (*expired_fn)(void *arg, struct account_id a, struct mailbox_id m,
			  const struct row_entry *row);
typedef int (*name_fn)(void *arg, struct str name);
typedef int (*annotation_fn)(void *arg, struct str entry, struct str value);
typedef int (*script_fn)(void *arg, const struct row_script *row);
typedef int (*keyword_fn)(void *arg, unsigned bit, struct str name);
typedef int (*acl_fn)(void *arg, const struct row_acl *row);
typedef int (*overlay_fn)(void *arg, const struct row_overlay *row);
typedef int (*body_fn)(void *arg, const struct row_body *row);
typedef int (*message_id_fn)(void *arg, struct account_id a, uint64_t id);
typedef int (*message_fn)(void *arg, uint64_t id, uint64_t refs, uint64_t body);
typedef int (*message_row_fn)(void *arg, const struct row_message *row);

struct engine;
struct engine_options {
	struct fs *fs;
	const char *path;
	unsigned cache_kib;
};

struct engine_ops {
	bool on_disk;			 /* closing and opening keeps the rows */
	uint32_t application_id, format; /* of its files; 0 without files */
	int (*open)(const struct engine_options *o, struct engine **ret, struct fail *why);
	void (*close)(struct engine *e);

	int (*begin)(struct engine *e, struct fail *why);
	int (*commit)(struct engine *e, struct fail *why); /* on disk when it returns 0 */
	void (*rollback)(struct engine *e);
	bool (*active)(struct engine *e); /* false: a failure has ended the transaction */
	int (*savepoint)(struct engine *e, struct fail *why); /* one level */
	int (*release)(struct engine *e, struct fail *why);
	int (*rollback_to)(struct engine *e, struct fail *why); /* and release */
	uint64_t (*log_bytes)(struct engine *e);
	int (*checkpoint)(struct engine *e, struct fail *why);
	/* Give back memory that helps only the next calls. NULL: it has none. */
	void (*shrink)(struct engine *e);

	int (*account_get)(struct engine *e, struct account_id a, struct row_account *ret,
			   struct fail *why);
	int (*account_put)(struct engine *e, const struct row_account *row, struct fail *why);
	/* All rows of the account. */
	int (*account_wipe)(struct engine *e, struct account_id a, struct fail *why);

	int (*mailbox_get)(struct engine *e, struct account_id a, struct mailbox_id m,
			   struct row_mailbox *ret, struct fail *why);
	/* By name: only those that exist. */
	int (*mailbox_find)(struct engine *e, struct account_id a, struct str name,
			    struct row_mailbox *ret, struct fail *why);
	int (*mailbox_add)(struct engine *e, struct account_id a, const struct row_mailbox *row,
			   struct str name, struct fail *why);
	/* All but the name; the name goes when row->deleted_modseq is set. */
	int (*mailbox_set)(struct engine *e, struct account_id a, const struct row_mailbox *row,
			   struct fail *why);
	int (*mailbox_rename)(struct engine *e, struct account_id a, struct mailbox_id m,
			      struct str name, struct fail *why);
	int (*mailbox_remove)(struct engine *e, struct account_id a, struct mailbox_id m,
			      struct fail *why); /* with its keywords */
	/* Those that exist, by name bytewise. */
	int (*mailbox_each)(struct engine *e, struct account_id a, mailbox_fn fn, void *arg,
			    struct fail *why);
	/* Those deleted before `before`, of one account or ({0}) all. */
	int (*mailbox_dead)(struct engine *e, struct account_id a, struct wall_us before,
			    mailbox_fn fn, void *arg, struct fail *why);

	int (*keyword_each)(struct engine *e, struct account_id a, struct mailbox_id m,
			    keyword_fn fn, void *arg, struct fail *why); /* by bit */
	int (*keyword_add)(struct engine *e, struct account_id a, struct mailbox_id m, unsigned bit,
			   struct str name, struct fail *why);

	int (*subscription_each)(struct engine *e, struct account_id a, name_fn fn, void *arg,
				 struct fail *why); /* by name */
	/* 1 = changed */
	int (*subscription_set)(struct engine *e, struct account_id a, struct str name, bool on,
				struct fail *why);

	/* The key of a mailbox's URLs; it goes with the mailbox when deleted_modseq is set. */
	int (*url_key_get)(struct engine *e, struct account_id a, struct mailbox_id m,
			   unsigned char ret[STORE_URL_KEY_LEN], struct fail *why);
	/* NULL: forget it; of all mailboxes of the account for {0}. */
	int (*url_key_set)(struct engine *e, struct account_id a, struct mailbox_id m,
			   const unsigned char *key, struct fail *why);
	/* Of one mailbox or ({0}) all, by mailbox and identifier. */
	int (*acl_each)(struct engine *e, struct account_id a, struct mailbox_id m, acl_fn fn,
			void *arg, struct fail *why);
	/* All go with the mailbox when deleted_modseq is set. */
	int (*acl_set)(struct engine *e, struct account_id a, const struct row_acl *row,
		       struct fail *why);
	int (*acl_drop)(struct engine *e, struct account_id a, struct mailbox_id m,
			struct str identifier, struct fail *why);
	int (*acl_wipe)(struct engine *e, struct account_id a, struct mailbox_id m,
			struct fail *why);

	/* A viewer's own flags, by UID. They go when the entry or the mailbox is removed. */
	int (*overlay_each)(struct engine *e, const struct uid_range *range,
			    struct account_id viewer, overlay_fn fn, void *arg, struct fail *why);
	int (*overlay_set)(struct engine *e, struct account_id a, struct mailbox_id m,
			   struct account_id viewer, const struct row_overlay *row,
			   struct fail *why);
	/* How many live messages the viewer has seen. */
	int (*overlay_seen)(struct engine *e, struct account_id a, struct mailbox_id m,
			    struct account_id viewer, uint32_t *ret, struct fail *why);

	/* Those of the viewer and the shared ones, in any order. They go with the mailbox when
	 * deleted_modseq is set, or by mailbox_remove. */
	int (*annotation_each)(struct engine *e, const struct row_annotation *of, annotation_fn fn,
			       void *arg, struct fail *why);
	int (*annotation_set)(struct engine *e, const struct row_annotation *row,
			      struct fail *why); /* value.p NULL: remove */
	/* All of a mailbox, of every viewer, into one that has none. */
	int (*annotation_copy)(struct engine *e, struct account_id a, struct mailbox_id from,
			       struct mailbox_id to, struct fail *why);
	/* The private ones of a viewer; {0}: the shared ones and the account's own. */
	int (*annotation_usage)(struct engine *e, struct account_id a, struct account_id viewer,
				uint64_t *ret_n, uint64_t *ret_bytes, struct fail *why);
	/* In whosever mailboxes: the flags and private annotations that are this account's, and
	 * what lists give to it. */
	int (*viewer_forget)(struct engine *e, struct account_id viewer, struct fail *why);

	/* By name, bytewise; only with `texts` their text is set. */
	int (*script_each)(struct engine *e, struct account_id a, bool texts, script_fn fn,
			   void *arg, struct fail *why);
	/* In the place of the one of that name. */
	int (*script_put)(struct engine *e, const struct row_script *row, struct fail *why);
	/* Its flag alone; its end. */
	int (*script_set_active)(struct engine *e, struct account_id a, struct str name, bool on,
				 struct fail *why);
	int (*script_remove)(struct engine *e, struct account_id a, struct str name,
			     struct fail *why);
	/* There is none of the name `to`, or it is the same. */
	int (*script_rename)(struct engine *e, struct account_id a, struct str name, struct str to,
			     struct fail *why);

	int (*entry_add)(struct engine *e, struct account_id a, struct mailbox_id m,
			 const struct row_entry *row, struct fail *why);
	/* flags, modseq, expunged, expunged_at */
	int (*entry_set)(struct engine *e, struct account_id a, struct mailbox_id m,
			 const struct row_entry *row, struct fail *why);
	/* Of all live entries of the range at once. */
	int (*entry_flags)(struct engine *e, const struct uid_range *range,
			   const struct flag_rule *rule, struct fail *why);
	int (*entry_remove)(struct engine *e, struct account_id a, struct mailbox_id m,
			    uint32_t uid, struct fail *why);
	/* Expunged ones too, ascending. */
	int (*entry_each)(struct engine *e, const struct uid_range *range, entry_fn fn, void *arg,
			  struct fail *why);
	/* The same with what a map needs: created, expunged_at and saved may be left out. */
	int (*entry_map)(struct engine *e, const struct uid_range *range, entry_fn fn, void *arg,
			 struct fail *why);
	int (*entry_count_live)(struct engine *e, const struct uid_range *range, uint32_t *ret,
				struct fail *why);
	/* The lowest live UID of the range without \Seen; 0 when none. */
	int (*entry_first_unseen)(struct engine *e, const struct uid_range *range, uint32_t *ret,
				  struct fail *why);
	/* The oldest first. */
	int (*entry_expired)(struct engine *e, const struct expired_range *range, expired_fn fn,
			     void *arg, struct fail *why);

	int (*message_add)(struct engine *e, struct account_id a, const struct row_message *row,
			   uint64_t *ret_id, struct fail *why);
	/* columns: STORE_COL_ bits; only what they ask for is set (and id, size, body). */
	int (*message_get)(struct engine *e, struct account_id a, uint64_t id, unsigned columns,
			   struct row_message *ret, struct fail *why);
	/* The same for all that are there, ascending: cheaper than one by one where ids lie close
	 * together. A positive result of fn ends the scan, too, and gives 0. */
	int (*message_scan)(struct engine *e, const struct id_range *range, unsigned columns,
			    message_row_fn fn, void *arg, struct fail *why);
	/* Entries that use it: one at birth. Returns what is left. */
	int (*message_ref)(struct engine *e, struct account_id a, uint64_t id, int by,
			   uint64_t *ret_left, struct fail *why);
	int (*message_remove)(struct engine *e, struct account_id a, uint64_t id, struct fail *why);
	int (*message_each)(struct engine *e, struct account_id a, message_fn fn, void *arg,
			    struct fail *why);
	/* Of whatever account, ids `from` to `to`, ascending, at most `max`. */
	int (*message_range)(struct engine *e, uint64_t from, uint64_t to, size_t max,
			     message_id_fn fn, void *arg, struct fail *why);
	/* The highest id there is; 0 when there is none. */
	int (*message_last)(struct engine *e, uint64_t *ret, struct fail *why);
	/* A number that another partition, or the same of another store, does not have. */
	int (*identity)(struct engine *e, uint64_t *ret, struct fail *why);

	int (*body_add)(struct engine *e, struct account_id a, const struct row_body *row,
			uint64_t *ret_id, struct fail *why);
	int (*body_get)(struct engine *e, struct account_id a, uint64_t id, struct row_body *ret,
			struct fail *why);
	int (*body_find_file)(struct engine *e, struct account_id a, const unsigned char file[16],
			      struct row_body *ret, struct fail *why);
	int (*body_set_refs)(struct engine *e, struct account_id a, uint64_t id, uint64_t refs,
			     struct fail *why);
	int (*body_remove)(struct engine *e, struct account_id a, uint64_t id, struct fail *why);
	/* bytes is empty; by id, or files only in any order */
	int (*body_each)(struct engine *e, struct account_id a, bool files_only, body_fn fn,
			 void *arg, struct fail *why);

	/* Which thread a key (thread.c) belongs to; 0 = none. Keys are added once. */
	int (*thread_find)(struct engine *e, struct account_id a, uint64_t key, uint64_t *ret,
			   struct fail *why);
	int (*thread_add)(struct engine *e, struct account_id a, uint64_t key, uint64_t thread,
			  struct fail *why);
	/* A message of the thread was removed: if it was the last one, its keys go. */
	int (*thread_left)(struct engine *e, struct account_id a, uint64_t thread,
			   struct fail *why);

	/* *ret may be NULL; */
	int (*receipt_find)(struct engine *e, struct account_id a, const struct store_receipt *r,
			    struct row_receipt *ret, struct fail *why);
	/* as *what. */
	int (*receipt_add)(struct engine *e, struct account_id a, const struct store_receipt *r,
			   const struct row_receipt *what, struct fail *why);
	/* Those that keep what came, and are older, go. */
	int (*receipt_expire)(struct engine *e, struct wall_us before, struct fail *why);
	int (*receipt_remove)(struct engine *e, struct account_id a, const struct store_receipt *r,
			      struct fail *why);
};

extern const struct engine_ops engine_sqlite;
extern const struct engine_ops engine_memory;

#endif
