/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - mailboxes of accounts: what they hold and how it gets there.      [service, role user]
 *
 * store_view.h, beside this, is how a session looks at one mailbox and changes it.
 *
 * Who and how. One process writes an account (several user processes share the accounts out by
 * partition); many threads of it call at once. Every call is thread-safe and blocks on storage
 * unless its contract says otherwise. All writes of a partition go through one committer: it takes
 * everything that waits into one transaction, so callers that write at the same time share a sync.
 *
 * Promises
 *  1. A call that changed something returns after the change is on disk; callbacks (delivery done,
 *     watch) come after the commit. No UID, UIDVALIDITY or MODSEQ leaves the store before that.
 *  2. UIDs and message ids are never used twice; the UIDVALIDITY of a name only grows, also over
 *     DELETE and CREATE. MODSEQ is one counter per account.
 *  3. A failed call changed nothing that can be seen (an error of a commit itself leaves open
 *     whether the change is there, as a lost answer does; the store then reads everything again).
 *  4. Bodies are never changed and never copied inside an account.
 *  5. Text that goes in is checked: names are UTF-8 with '/' between levels.
 *
 * Errors common to all calls: FAIL_IO, FAIL_LIMIT (disk full), FAIL_CORRUPT, FAIL_NOTFOUND (no such
 * account), FAIL_PERM (not an account of this process), FAIL_UNSUPPORTED (a newer file).
 */
#ifndef BARID_SERVICE_STORE_STORE_H
#define BARID_SERVICE_STORE_STORE_H

#include "base/arena.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/ids.h"
#include "base/list.h"

struct fs;
struct store;

/* The bytes of a body: in memory, or a range of a file. */
struct store_source {
	struct str bytes; /* when fd is -1; lives in the arena given */
	int fd;		  /* owned, read-only */
	uint64_t offset;
	uint64_t size;
};
#define STORE_SOURCE_INIT ((struct store_source){.fd = -1})
void store_source_clear(struct store_source *src);
DEFINE_AUTO(store_source, struct store_source, store_source_clear);

struct store_news;

/* ---- opening ----------------------------------------------------------------------------- */

enum store_engine_kind {
	STORE_SQLITE, /* one SQLite file per partition */
	STORE_MEMORY, /* nothing on disk but bodies: for tests, and as the model of an engine */
};

#define STORE_PER_ACCOUNT 0u /* a file per account instead of a fixed number of partitions */

/* All numbers: 0 means the default named here. */
struct store_options {
	enum store_engine_kind engine;
	const char *root;  /* the store's folder; made (with blob folders) when missing */
	const char *blobs; /* the blob tree, on the file system of the queue's bodies */
	struct fs *fs;	   /* NULL: the real one */

	/* Where rows live. Chosen when the folder is made and kept there; later values are ignored.
	 */
	unsigned partitions; /* default 16 */
	bool per_account; /* a file per account; `partitions` is then ignored (benchmark, tests) */

	/* This process is number `shard` of `shards`: it may act for accounts with
	 * store_place() % shards == shard. */
	unsigned shard;
	unsigned shards; /* default 1 */

	unsigned open_max;	  /* open partitions, default 64 */
	unsigned committers;	  /* threads that commit, default 4 */
	unsigned batch_max;	  /* writes in one transaction, default 256, at most 1024 */
	uint64_t wal_bytes;	  /* checkpoint a partition above this, default 4 MiB */
	uint64_t wal_bytes_total; /* and the largest above this sum, default 32 MiB */
	unsigned cache_kib;	  /* page cache of a partition, default 1024 */
	int64_t keep_maps_ns;	  /* so long a mailbox that was open is kept in memory; 0 = not */
	int64_t retention_us;	  /* expunged messages stay restorable this long, default 7 days */
	/* Called after a commit that brought or removed messages, if not NULL: on a committer's
	 * thread, must not block nor call the store. */
	void (*news)(void *arg, const struct store_news *n);
	void *news_arg;
	bool no_background; /* no maintenance thread: tests call store_maintain themselves */
};

/* Messages of a partition, by their ids: for who keeps something about them elsewhere. */
struct store_news {
	uint64_t partition;
	bool added; /* some with higher ids than all before */
	/* those that are gone are among these; from > to: none */
	uint64_t dropped_from, dropped_to;
};

/*
 * Open or create the store. Starts its threads (so: after the sandbox). Removal of body names
 * without rows, left by a crash, goes on in the background.
 * -FAIL_UNSUPPORTED: written by a newer barid, or not a store.
 */
MUST_CHECK int store_open(const struct store_options *o, struct store **ret, struct fail *why);
/* The newest format of a partition that this build knows. */
unsigned store_format(void);
/* Another retention time, from the next round of the upkeep on. */
void store_set_retention(struct store *s, int64_t retention_us);
/* Waits for running calls' commits. Views and watches must be closed before. NULL is fine. */
void store_close(struct store *s);
DEFINE_AUTO_PTR(store, struct store, store_close);

/* The one function that decides where an account's rows live: a partition number below
 * `partitions`, or the account's id with STORE_PER_ACCOUNT. Pure. */
static inline uint64_t store_place(struct account_id account, unsigned partitions)
{
	if (partitions == STORE_PER_ACCOUNT)
		return account.v;
	uint64_t z = account.v + UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % partitions;
}
/* The number of partitions that this store was created with (STORE_PER_ACCOUNT possible). */
unsigned store_partitions(const struct store *s);

/*
 * One round of what the maintenance thread does every second: lazy writes older than 5 s,
 * checkpoints over budget, a bounded purge now and then, a piece of the sweep. Returns 1 when
 * more is waiting.
 */
MUST_CHECK int store_maintain(struct store *s, struct fail *why);

struct store_stats {
	uint64_t commits, writes, deliveries, repeated; /* since open */
	uint64_t checkpoints;
	uint64_t open_partitions;
	uint64_t maps, map_bytes; /* loaded mailbox maps */
	uint64_t swept;		  /* body names removed by the sweep */
};
void store_get_stats(struct store *s, struct store_stats *ret);

/* ---- accounts ---------------------------------------------------------------------------- */

enum store_use { /* RFC 6154 */
		 STORE_USE_ARCHIVE = 1u << 0,
		 STORE_USE_DRAFTS = 1u << 1,
		 STORE_USE_FLAGGED = 1u << 2,
		 STORE_USE_JUNK = 1u << 3,
		 STORE_USE_SENT = 1u << 4,
		 STORE_USE_TRASH = 1u << 5,
		 STORE_USE_ALL = 1u << 6,
};

struct store_folder {
	const char *name;
	unsigned use; /* STORE_USE_ bits */
};
/* INBOX, Sent, Drafts, Junk, Trash, Archive; ends with a NULL name. */
extern const struct store_folder store_default_folders[];

/*
 * Make the account's rows and its folders (subscribed), all in one transaction, unless the account
 * exists; then nothing changes, so a user's deleted folder stays deleted. Cheap when it exists.
 * `folders` ends with a NULL name and should hold INBOX (it is added when missing).
 */
MUST_CHECK int store_account_ensure(struct store *s, struct account_id account,
				    const struct store_folder *folders, struct fail *why);
/* Remove everything of the account, bodies included. Its views answer -FAIL_GONE from then on. */
MUST_CHECK int store_account_delete(struct store *s, struct account_id account, struct fail *why);

struct store_usage {
	uint64_t bytes; /* sum of sizes of all messages in all mailboxes; a copy counts again */
	uint64_t messages;
	uint64_t epoch; /* raised by a restore: sync states of other epochs are void */
	struct modseq modseq;
	struct wall_us created;
};
MUST_CHECK int store_account_usage(struct store *s, struct account_id account,
				   struct store_usage *ret, struct fail *why);

/* Count all messages again and correct the counters; what usage was and is (bytes, messages). */
MUST_CHECK int store_account_recount(struct store *s, struct account_id account,
				     struct store_usage *before, struct store_usage *after,
				     struct fail *why);

/* A limit that the caller has looked up; 0 = none. */
struct store_quota {
	uint64_t bytes;
	uint64_t messages;
};

/* ---- mailboxes --------------------------------------------------------------------------- */
/*
 * Names are UTF-8, levels separated by '/', at most STORE_NAME_MAX bytes and STORE_DEPTH_MAX
 * levels, no empty level and no control character. A first level that is INBOX in any case is
 * INBOX; everything else is case-sensitive. One trailing '/' is dropped (RFC 3501 6.3.3).
 */
#define STORE_NAME_MAX	1000
#define STORE_DEPTH_MAX 64

struct store_counters {
	uint32_t exists;
	uint32_t recent;       /* what a session that selects now would see as recent */
	uint32_t unseen;       /* messages without \Seen */
	uint32_t deleted;      /* messages with \Deleted */
	uint64_t size;	       /* sum of message sizes */
	uint64_t deleted_size; /* of those with \Deleted */
	struct uid uidnext;
	uint32_t uidvalidity;
	struct modseq highestmodseq;
};

struct store_mailbox {
	struct str name;
	struct mailbox_id id; /* {0} when `missing` */
	unsigned use;	      /* STORE_USE_ bits */
	bool missing;	      /* only subscribed: no such mailbox (RFC 3501 6.3.9) */
	bool noselect;	      /* a deleted mailbox that has inferiors */
	bool has_children;
	bool subscribed;
	struct store_counters counters; /* all 0 when missing or noselect */
};
struct store_mailboxes {
	struct store_mailbox *p; /* sorted by name bytewise, INBOX first */
	size_t n;
};

/* All mailboxes and subscribed names, in `arena`. -FAIL_LIMIT when the arena is full. */
MUST_CHECK int store_mailbox_list(struct store *s, struct account_id account, struct arena *arena,
				  struct store_mailboxes *ret, struct fail *why);
/* One mailbox, without has_children and subscribed; name is borrowed from `arena`.
 * -FAIL_NOTFOUND also for a bad name. */
MUST_CHECK int store_mailbox_find(struct store *s, struct account_id account, struct str name,
				  struct arena *arena, struct store_mailbox *ret, struct fail *why);

/*
 * CREATE (RFC 3501 6.3.3, RFC 6154 use): missing parents are made as ordinary mailboxes, not
 * subscribed. A \Noselect name becomes a mailbox. -FAIL_EXISTS, -FAIL_SYNTAX (bad name),
 * -FAIL_LIMIT (too long, too deep, more than STORE_MAILBOXES_MAX).
 */
#define STORE_MAILBOXES_MAX 10000
MUST_CHECK int store_mailbox_create(struct store *s, struct account_id account, struct str name,
				    unsigned use, struct mailbox_id *ret, struct fail *why);
/*
 * DELETE (6.3.4): with inferiors the messages go and the name stays \Noselect; without, it goes,
 * also when it was \Noselect. The subscription stays (6.3.6). Messages stay restorable for the
 * retention time. -FAIL_NOTFOUND; -FAIL_PERM for INBOX; -FAIL_CONFLICT for a \Noselect name
 * with inferiors.
 */
MUST_CHECK int store_mailbox_delete(struct store *s, struct account_id account, struct str name,
				    struct fail *why);
/*
 * RENAME (6.3.5) with all inferiors; missing parents of `to` are made. Renaming INBOX moves its
 * messages into the new mailbox `to` and leaves INBOX and its inferiors. UIDVALIDITY, UIDs and id
 * stay with a renamed mailbox; subscriptions are names and do not follow.
 * -FAIL_NOTFOUND, -FAIL_EXISTS (`to`), -FAIL_SYNTAX, -FAIL_LIMIT, -FAIL_CONFLICT (into itself).
 */
MUST_CHECK int store_mailbox_rename(struct store *s, struct account_id account, struct str from,
				    struct str to, struct fail *why);
/* SUBSCRIBE and UNSUBSCRIBE; the name need not exist. Both are fine when nothing changes. */
MUST_CHECK int store_subscribe(struct store *s, struct account_id account, struct str name, bool on,
			       struct fail *why);

/* ---- keys of URLs (RFC 4467) --------------------------------------------------------------- */

#define STORE_URL_KEY_LEN 32

/*
 * The secret that tokens of URLs to this mailbox's messages are made with. With `make` it is made,
 * of random bytes, when there is none; else -FAIL_NOTFOUND, as for a mailbox that is not there.
 * Deleting the mailbox ends it.
 */
MUST_CHECK int store_url_key(struct store *s, struct account_id account, struct str mailbox,
			     bool make, unsigned char ret[STORE_URL_KEY_LEN], struct fail *why);
/* Forget the key: what was made with it is void. An empty name: of all mailboxes of the account. */
MUST_CHECK int store_url_key_reset(struct store *s, struct account_id account, struct str mailbox,
				   struct fail *why);

/* ---- annotations (RFC 5464) ---------------------------------------------------------------- */
/*
 * Values by name, of a mailbox or, under the empty name, of the account itself. A name is
 * lower-case ASCII and begins with "/shared/" (one value for all) or "/private/" (one for each
 * viewer). They follow RENAME and go with DELETE; RENAME of INBOX copies them.
 */
#define STORE_ANNOTATION_NAME_MAX   1000	 /* bytes */
#define STORE_ANNOTATION_VALUE_MAX  (32u * 1024) /* bytes */
#define STORE_ANNOTATIONS_MAX	    5000	 /* of an account, in all its mailboxes */
#define STORE_ANNOTATIONS_BYTES_MAX (4u * 1024 * 1024)
/* Private ones of somebody else in its mailboxes; they do not count above. */
#define STORE_GUEST_NOTES_MAX	    500
#define STORE_GUEST_NOTES_BYTES_MAX (512u * 1024)

struct store_annotation {
	struct str entry;
	struct str value; /* p NULL: none, in what is set */
};
struct store_notes {
	struct store_annotation *p;
	size_t n;
};
/* Written by a restore to INBOX: how messages were named by POP3 before it (proto/pop3/names.c). */
#define STORE_UIDL_ENTRY "/shared/vendor/barid/pop3-uidl"
/* Those that `viewer` sees, in the order of their names, in `arena`. -FAIL_NOTFOUND: no such
 * mailbox; a \Noselect one has annotations too. */
MUST_CHECK int store_annotations(struct store *s, struct account_id account, struct str mailbox,
				 struct account_id viewer, struct arena *arena,
				 struct store_notes *ret, struct fail *why);
struct store_annotate {
	struct account_id account;
	struct str mailbox;
	struct account_id viewer;
	const struct store_annotation *set;
	size_t n;
	bool has_use; /* RFC 6154 section 4: the uses of the mailbox are these from now on, and no
		       */
	unsigned use; /* other mailbox has one of them (STORE_USE_) */
};
/* All or none. -FAIL_NOTFOUND; -FAIL_TOOBIG: a value; -FAIL_LIMIT: too many, or too much in all. */
MUST_CHECK int store_annotate(struct store *s, const struct store_annotate *a, struct fail *why);

/* ---- Sieve scripts ------------------------------------------------------------------------- */
/*
 * Scripts of an account, by name (UTF-8, compared bytewise); at most one is active. What is in them
 * is the caller's matter: whoever puts one here has compiled it before.
 */
#define STORE_SCRIPT_NAME_MAX 512u /* bytes */

struct store_script {
	struct str name;
	struct str text; /* {NULL, 0} in lists */
	uint64_t size;	 /* bytes of text */
	bool active;
	struct wall_us changed; /* its text */
};
struct store_scripts {
	struct store_script *p; /* by name */
	size_t n;
};
/* All of them, without their texts, in `arena`. None for an account that has no mail yet. */
MUST_CHECK int store_scripts(struct store *s, struct account_id account, struct arena *arena,
			     struct store_scripts *ret, struct fail *why);
/* One of them, in `arena`; with an empty name the active one. 1 = found, 0 = there is none. */
MUST_CHECK int store_script_get(struct store *s, struct account_id account, struct str name,
				struct arena *arena, struct store_script *ret, struct fail *why);
struct store_script_put {
	struct account_id account;
	struct str name, text;
	size_t max_scripts; /* of the account, this one included */
	uint64_t max_bytes; /* of all their texts */
};
/* New, or in the place of the one of that name, which stays active if it was. -FAIL_LIMIT: too many
 * scripts; -FAIL_TOOBIG: too much text. */
MUST_CHECK int store_script_put(struct store *s, const struct store_script_put *p,
				struct fail *why);
/* Would a script of so many bytes be taken? Nothing changes. Errors as above. */
MUST_CHECK int store_script_fits(struct store *s, const struct store_script_put *p, uint64_t size,
				 struct fail *why);
/* Only this one is active from now on; an empty name: none. -FAIL_NOTFOUND. */
MUST_CHECK int store_script_activate(struct store *s, struct account_id account, struct str name,
				     struct fail *why);
/* -FAIL_NOTFOUND; -FAIL_CONFLICT: it is active. */
MUST_CHECK int store_script_delete(struct store *s, struct account_id account, struct str name,
				   struct fail *why);
/* It stays active if it is. -FAIL_NOTFOUND; -FAIL_EXISTS: `to`. */
MUST_CHECK int store_script_rename(struct store *s, struct account_id account, struct str name,
				   struct str to, struct fail *why);

/* ---- bodies ------------------------------------------------------------------------------ */
/*
 * What a client sees as a message is prefix + body. A body up to STORE_INLINE_MAX bytes travels
 * and is stored inline; a larger one is a file of the blob tree, without a name until the
 * transaction that stores it.
 */
#define STORE_INLINE_MAX (60u * 1024)
#define STORE_PREFIX_MAX (32u * 1024)
#define STORE_MAP_MAX	 (4u * 1024 * 1024)

struct store_body {
	unsigned char id[16];
	int fd; /* owned; -1 = none */
	uint64_t size;
	unsigned char sha256[32];
	bool sealed;
};
#define STORE_BODY_INIT ((struct store_body){.fd = -1})

void store_body_clear(struct store_body *b); /* closes; a file without a name is gone then */
DEFINE_AUTO(store_body, struct store_body, store_body_clear);

/* A nameless file (mode 0660) with a new id, open for writing: ret->fd may be passed to the
 * process that receives the bytes. size_hint (0 = unknown) may help the file system. */
MUST_CHECK int store_body_create(struct store *s, uint64_t size_hint, struct store_body *ret,
				 struct fail *why);
/* The writer is done: take size and SHA-256 and replace fd by one that is read-only (for scan). */
MUST_CHECK int store_body_seal(struct store *s, struct store_body *b, struct fail *why);

/*
 * One message to store. All pointers are borrowed until the call (or delivery) is done. A body
 * file must be sealed, its SHA-256 is verified again before the commit when `verify` is set.
 * A file that queue has linked already (`<id>.q`) comes with the same id.
 */
struct store_content {
	struct str prefix;
	struct str bytes;      /* the body, when file is NULL */
	const uint8_t *sha256; /* of bytes, when it is known; else NULL */
	const struct store_body *file;
	struct str map; /* message map of scan (codec/mime/map.h), of the body */
	bool verify;
};

/* Flags of an entry: a bit set. Bits 6..63 are keywords by the mailbox's table. */
enum store_flag_bits {
	STORE_ANSWERED = 1u << 0,
	STORE_FLAGGED = 1u << 1,
	STORE_DELETED = 1u << 2,
	STORE_SEEN = 1u << 3,
	STORE_DRAFT = 1u << 4,
	STORE_RECENT = 1u << 5, /* only in what views show; never stored */
};
#define STORE_SYSTEM_FLAGS  0x1fu
#define STORE_KEYWORD_FIRST 6
#define STORE_KEYWORDS_MAX  58
#define STORE_KEYWORD_LEN   128

/* Flags by name, as a command or a rule gives them. Keywords compare ASCII case-insensitively;
 * the first spelling stays. */
struct store_flagset {
	uint32_t bits;		    /* STORE_ANSWERED ... STORE_DRAFT */
	const struct str *keywords; /* atoms */
	size_t n_keywords;
};

/* ---- receipts ---------------------------------------------------------------------------- */

/* Names one delivery for ever: the spool's epoch, its message number, the recipient's row. */
struct store_receipt {
	unsigned char epoch[16];
	uint64_t number;
	uint64_t rcpt;
};

/* ---- APPEND ------------------------------------------------------------------------------ */

struct store_append_message {
	struct store_content content;
	struct store_flagset flags;
	struct wall_us internaldate; /* {0} = now */
	int16_t zone_min;	     /* its offset from UTC, to be told again */
	/* A mailbox whose keywords are all given is no reason to refuse the message (import): what
	   finds no room is left out. */
	bool keywords_if_room;
};
struct store_append_result {
	struct mailbox_id mailbox;
	uint32_t uidvalidity;
	struct uid first; /* message i of the array has first + i */
	struct modseq modseq;
	bool repeated; /* the receipt was there: nothing was done but tell what was done then */
};

/*
 * Store n (1 to 1000) messages, all or none. On disk when it returns 0.
 * -FAIL_NOTFOUND: no such mailbox (TRYCREATE), or \Noselect. -FAIL_QUOTA. -FAIL_LIMIT also when
 * the mailbox's keyword table is full. -FAIL_CORRUPT: a body is not what was sealed.
 */
struct store_append {
	struct account_id account;
	struct account_id viewer; /* who does it, when that is not the owner: his is \Seen */
	const struct store_receipt *receipt; /* NULL, or: not again what came under it before */
	struct str mailbox;
	const struct store_append_message *messages;
	size_t n;
	struct store_quota quota;
};
MUST_CHECK int store_append(struct store *s, const struct store_append *a,
			    struct store_append_result *ret, struct fail *why);

/* ---- delivery ---------------------------------------------------------------------------- */

struct store_delivery {
	/* in: borrowed, with what it points to, until done */
	struct account_id account;
	struct store_receipt receipt;
	struct str folder;  /* "" = INBOX; a bad or missing one falls back to INBOX */
	bool folder_create; /* make it (subscribed) when missing */
	struct store_content content;
	struct store_flagset flags;
	struct wall_us internaldate; /* {0} = now */
	struct store_quota quota;
	/*
	 * Called exactly once, on a committer thread, after the commit (r = 0) or with the reason
	 * (`why` is valid during the call). Must not block nor call the store, except
	 * store_deliver. The structure may be freed or used again inside.
	 */
	void (*done)(struct store_delivery *d, int r, const struct fail *why);
	void *user; /* the caller's */

	/* out, when done says 0 */
	struct mailbox_id mailbox;
	uint32_t uidvalidity;
	struct uid uid; /* {0} when repeated */
	bool repeated;	/* the receipt was there: delivered before, nothing done */

	/* the store's own */
	struct store *store_;
	struct store_job *job_;
};

/*
 * Deliver; never blocks, never fails by itself: the outcome comes through d->done. Many callers'
 * deliveries share one transaction, each in its own savepoint: one that fails does not disturb
 * the others. Idempotent by receipt: a repetition is a success without a second message, also
 * when the message was expunged meanwhile. Codes: -FAIL_NOTFOUND (no such account: the caller
 * ensures accounts), -FAIL_QUOTA, -FAIL_TOOBIG, -FAIL_CORRUPT and the common ones.
 */
void store_deliver(struct store *s, struct store_delivery *d);

/*
 * Take back what store_append stored under a receipt and is still there, and forget the receipt. Of
 * a receipt that is not there, or older than STORE_RECEIPT_AGE_S, nothing is taken back.
 */
#define STORE_RECEIPT_AGE_S 86400
MUST_CHECK int store_receipt_undo(struct store *s, struct account_id account,
				  const struct store_receipt *receipt, struct fail *why);
/* queue has confirmed n receipts (it will never send them again): forget them. Lazily written. */
MUST_CHECK int store_receipt_drop(struct store *s, struct account_id account,
				  const struct store_receipt *receipts, size_t n, struct fail *why);

/* ---- import ------------------------------------------------------------------------------ */

#define STORE_IMPORT_MAX 1000
struct store_import_message {
	struct store_append_message message;
	uint32_t uid; /* as it was elsewhere; 0 = any */
	/* What came under this key before is not stored again, also when it was expunged since. */
	bool keyed;
	struct store_receipt key;
	struct uid given; /* out; {0}: it was there */
};
/*
 * Messages that lived elsewhere, in the order of their UIDs. When the mailbox never held a message
 * and nobody has it open, it takes `uidvalidity` over; as long as it has that one, messages keep
 * their UIDs where these are not below UIDNEXT, and UIDNEXT is raised to `uidnext`. Else they get
 * new ones. All or none; no quota: the one who imports decides. -FAIL_NOTFOUND as store_append.
 */
struct store_import {
	struct account_id account;
	struct str mailbox;
	uint32_t uidvalidity; /* 0 = of no interest */
	uint32_t uidnext;
	struct store_import_message *messages;
	size_t n; /* may be 0 */
};
struct store_import_result {
	uint32_t uidvalidity;
	uint32_t uidnext;
	bool adopted; /* the mailbox has the UIDVALIDITY asked for */
};
MUST_CHECK int store_import(struct store *s, const struct store_import *in,
			    struct store_import_result *ret, struct fail *why);

/* ---- undelete ---------------------------------------------------------------------------- */

/* A mailbox with messages that were expunged, or deleted with it, and are not purged yet. */
struct store_lost {
	struct mailbox_id mailbox;
	struct str name;	    /* empty: the mailbox itself was deleted */
	uint32_t messages;	    /* that are in no mailbox any more */
	struct wall_us first, last; /* when they went */
};
/* Which of them: what went at `since` or later, and, unless `came` is {0}, had come by then. */
struct store_lost_when {
	struct wall_us since, came;
};
/* Those of an account, in `arena`. */
MUST_CHECK int store_lost_list(struct store *s, struct account_id account,
			       const struct store_lost_when *when, struct arena *arena,
			       struct store_lost **ret, size_t *ret_n, struct fail *why);
/*
 * Bring what went into mailbox `target`, as new messages with their flags
 * (without \Deleted), keywords and dates. What is in some mailbox is left alone, so a repetition
 * adds nothing. *ret: how many came. -FAIL_NOTFOUND.
 */
struct store_undelete {
	struct account_id account;
	struct mailbox_id mailbox;
	struct store_lost_when when;
	struct str target;
};
MUST_CHECK int store_undelete(struct store *s, const struct store_undelete *u, uint32_t *ret,
			      struct fail *why);

/* ---- all messages, for an index ------------------------------------------------------------ */
/*
 * Messages never change, and their ids rise within a partition: what was read once need not be read
 * again. These say nothing about mailboxes. -FAIL_PERM: not a partition of this process.
 */
struct store_text {
	struct message_id id;
	struct account_id account;
	uint32_t size; /* prefix + body */
	struct str prefix, map;
	struct store_source body;
	bool unreadable; /* its body is damaged, or of a form that is not known here */
};
/* Some messages of one partition. */
struct store_span {
	uint64_t partition;
	struct account_id account; /* {0}: of all; ids only */
	uint64_t from, to;	   /* ids, both included */
	size_t max;
};
/* The next messages of a span, about 256 KiB of text and no more than 16: *ret_n of them, 0 = there
 * are none. Strings are in `arena`; clear each body. */
MUST_CHECK int store_texts(struct store *s, const struct store_span *span, struct arena *arena,
			   struct store_text *ret, size_t *ret_n, struct fail *why);
/* The ids alone. */
MUST_CHECK int store_message_ids(struct store *s, const struct store_span *span, uint64_t *ret,
				 size_t *ret_n, struct fail *why);
/* The highest id that was ever given; 0: none. */
MUST_CHECK int store_message_last(struct store *s, uint64_t partition, uint64_t *ret,
				  struct fail *why);
/* A number that stays with the partition's file, and that no other one has; 0: there is none. */
MUST_CHECK int store_partition_identity(struct store *s, uint64_t partition, uint64_t *ret,
					struct fail *why);

/* ---- backup ------------------------------------------------------------------------------ */

/* As long as it is on (it counts), no body file loses its name; what has no row by then goes when
 * it is off. */
void store_keep_bodies(struct store *s, bool on);
/*
 * The file of a partition, complete in itself, that will not change until store_snapshot_end
 * (writes go on, into its log). *ret_fd is read-only and the caller's. -FAIL_BUSY: another backup
 * has it; -FAIL_PERM: not a partition of this process.
 */
MUST_CHECK int store_snapshot(struct store *s, uint64_t partition, int *ret_fd, uint64_t *ret_size,
			      struct fail *why);
/* -FAIL_CONFLICT: it did change after all (storage failed, or its log grew past 1 GiB). */
MUST_CHECK int store_snapshot_end(struct store *s, uint64_t partition, struct fail *why);

/* ---- upkeep ------------------------------------------------------------------------------ */

struct store_purge_result {
	uint64_t entries, messages, bodies, mailboxes;
	bool more; /* the bound was reached */
};
/*
 * Forget for good what was expunged before `before`, at most `max` entries, in the partition of
 * `account` ({0}: in every partition). History that an open view still needs stays.
 */
MUST_CHECK int store_purge(struct store *s, struct account_id account, struct wall_us before,
			   size_t max, struct store_purge_result *ret, struct fail *why);

/*
 * Recount everything of an account and compare with the counters, references and body files.
 * Returns 0 when all is right, -FAIL_CORRUPT with the first difference in why->detail.
 */
MUST_CHECK int store_check(struct store *s, struct account_id account, struct fail *why);

#endif
