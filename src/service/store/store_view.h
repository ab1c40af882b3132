/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_view.h - how a session looks at one mailbox and changes it.           [service, role user]
 *
 * A view is a mailbox as one session was told of it (RFC 3501 2.3.1.2, 5.2, 7.4.1): which messages
 * exist, so that sequence numbers mean what the client believes, and which flag changes it knows.
 * Other sessions' changes appear only through store_view_sync. A view belongs to one thread at a
 * time; views of one mailbox share one map in memory. All calls may block on storage; threads,
 * promises and common errors as in store.h. Any call may answer -FAIL_GONE when the mailbox or
 * account was deleted: close the view (IMAP: BYE or back to authenticated).
 *
 * A view knows three numbers: `uidnext` (messages below it were announced), the expunge modseq
 * (expunges up to it were told) and the flags modseq. A message is in the view when its UID is
 * below uidnext and it is live or was expunged after the expunge modseq. So messages that others
 * expunge keep their sequence number, flags and content until a sync with STORE_SYNC_EXPUNGE.
 */
#ifndef BARID_SERVICE_STORE_STORE_VIEW_H
#define BARID_SERVICE_STORE_STORE_VIEW_H

#include "service/store/store.h"

struct store_view;

/* ---- opening ----------------------------------------------------------------------------- */

struct store_view_info {
	struct account_id account;
	struct mailbox_id mailbox;
	uint32_t uidvalidity;
	struct uid uidnext;
	uint32_t exists;
	uint32_t recent;       /* messages of this view that are \Recent */
	uint32_t first_unseen; /* sequence number as of opening, 0 = none; not kept up to date */
	struct modseq highestmodseq; /* the flags modseq: everything up to it was told (pending
				      * expunges apart) */
	bool read_only;
};

/*
 * SELECT (or EXAMINE with read_only). Costs a few row reads whatever the mailbox holds. A view
 * that is not read-only takes the recent messages: no other session sees them as recent.
 * -FAIL_NOTFOUND: no such mailbox, or \Noselect.
 */
MUST_CHECK int store_view_open(struct store *s, struct account_id account, struct str mailbox,
			       bool read_only, struct store_view **ret, struct fail *why);
/*
 * The same for somebody who is not the owner, or may not change everything: `viewer` ({0}: the
 * owner) has \Seen of his own and takes no recent messages; flags outside of `may` stay as they
 * are in store_view_store.
 */
struct store_view_as {
	bool read_only;
	struct account_id viewer;
	uint64_t may;
};
MUST_CHECK int store_view_open_as(struct store *s, struct account_id account, struct str mailbox,
				  const struct store_view_as *as, struct store_view **ret,
				  struct fail *why);
/* The rights have changed. */
void store_view_set_may(struct store_view *v, uint64_t may, bool read_only);
uint64_t store_view_get_may(const struct store_view *v);
/*
 * The mailbox as it was at a moment: the messages that it held then, whether they were expunged
 * since or not, with the flags that they have or had last. Read-only, and it stays as it is: a sync
 * finds nothing. COPY takes messages out of it, also expunged ones. It costs a pass over the
 * mailbox. -FAIL_NOTFOUND also when some of what went since then was purged.
 */
MUST_CHECK int store_view_open_past(struct store *s, struct account_id account, struct str mailbox,
				    struct wall_us at, struct store_view **ret, struct fail *why);
void store_view_close(struct store_view *v); /* changes nothing; NULL is fine */
DEFINE_AUTO_PTR(store_view, struct store_view, store_view_close);

/* As of the last sync. Borrowed: changes with the next sync, gone with the view. */
const struct store_view_info *store_view_get_info(const struct store_view *v);

/* Keywords of the mailbox as the view knows them: name i is flag bit STORE_KEYWORD_FIRST + i.
 * Bits are never given to another name. Borrowed until the next call on the view. */
const struct str *store_view_get_keywords(const struct store_view *v, size_t *ret_n);
/* True when a new keyword can still be made: PERMANENTFLAGS then has \*. */
bool store_view_keywords_open(const struct store_view *v);

/* The session sleeps (IDLE, quiet): drop what can be rebuilt. Allowed at any time, costs nothing
 * but the time to load again; a parked view is some hundred bytes. */
void store_view_park(struct store_view *v);

/* ---- what has changed -------------------------------------------------------------------- */

struct store_flag_change {
	uint32_t seq; /* numbering after the expunges of the same sync */
	struct uid uid;
	uint64_t flags; /* STORE_RECENT included */
	struct modseq modseq;
};

/*
 * What a sync found, to be told in this order: expunges, EXISTS and RECENT, flags.
 *
 * Expunged holds the old sequence numbers, ascending. RFC 3501 7.4.1 renumbers with every EXPUNGE
 * response; so either send them from the last to the first as they are, or from the first to the
 * last as seq[i] - i. expunged_uids are the same messages (VANISHED, RFC 7162).
 */
struct store_changes {
	const uint32_t *expunged;
	const struct uid *expunged_uids;
	size_t n_expunged;
	bool exists_changed; /* more messages than before, after the expunges: send EXISTS */
	bool recent_changed;
	bool keywords_changed; /* new keywords: send FLAGS and PERMANENTFLAGS before the flags */
	bool expunges_pending; /* some were held back */
	const struct store_flag_change *flags; /* ascending; messages of before this sync only */
	size_t n_flags;
	uint32_t exists;
	uint32_t recent;
	struct modseq highestmodseq;
	struct modseq told; /* everything up to it was told, expunges too: lower than the expunges
			     * that are pending */
};

enum store_sync_how {
	STORE_SYNC_EXPUNGE = 1u << 0, /* expunges may be told now (RFC 3501 5.5, 7.4.1) */
};

/*
 * Bring the view up to date and say what changed. Returns 1 when something did, 0 when not (that
 * costs no disk and no waiting: call it after every command). What the view
 * itself changed by store_view_store is not reported as a flag change; its own expunges are, as
 * all others. *ret is borrowed until the next sync, park or close.
 */
MUST_CHECK int store_view_sync(struct store_view *v, unsigned how, const struct store_changes **ret,
			       struct fail *why);

/* ---- sets of messages -------------------------------------------------------------------- */

/* As parsed: a number, or first:last in either order; STORE_STAR is `*`. */
#define STORE_STAR 0u
struct store_range {
	uint32_t first;
	uint32_t last;
};

/* A run of messages with consecutive sequence numbers. All live messages with UIDs first..last
 * that the view knows are in it and no others. */
struct store_run {
	uint32_t seq;
	uint32_t count;
	struct uid first;
	struct uid last;
};
/* Messages of a view, ascending and each once. Valid until the next sync that tells expunges. */
struct store_set {
	struct store_run *runs;
	size_t n;
	uint32_t count; /* messages in all */
};

/*
 * Find what ranges mean in this view; runs are taken from `arena` (-FAIL_LIMIT when full).
 * Sequence numbers beyond EXISTS, or any in an empty mailbox: -FAIL_SYNTAX (RFC 3501 9,
 * seq-number). Unknown UIDs are left out (6.4.8); `*` among UIDs is the last message's.
 */
MUST_CHECK int store_view_resolve(struct store_view *v, const struct store_range *ranges, size_t n,
				  bool by_uid, struct arena *arena, struct store_set *ret,
				  struct fail *why);
/* All messages; may be empty. */
MUST_CHECK int store_view_all(struct store_view *v, struct arena *arena, struct store_set *ret,
			      struct fail *why);
/* UID of a sequence number and back; {0} or 0 when it is not in the view. */
MUST_CHECK int store_view_uid(struct store_view *v, uint32_t seq, struct uid *ret,
			      struct fail *why);
MUST_CHECK int store_view_seq(struct store_view *v, struct uid uid, uint32_t *ret,
			      struct fail *why);

/* ---- reading ----------------------------------------------------------------------------- */

enum store_column {
	STORE_COL_DATES = 1u << 0,  /* internaldate, thread, body_size, sha256: one row read */
	STORE_COL_PREFIX = 1u << 1, /* prefix (and the above) */
	STORE_COL_MAP = 1u << 2,    /* message map (and DATES) */
	STORE_COL_SAVED = 1u << 3,  /* saved (and DATES): one more row read */
};

struct store_message {
	uint32_t seq;
	struct uid uid;
	uint64_t flags; /* STORE_RECENT included */
	struct modseq modseq;
	struct message_id id;
	uint32_t size; /* RFC822.SIZE: prefix + body; all above come from memory */
	/* valid with the column asked for */
	struct wall_us internaldate;
	int16_t zone_min;     /* of internaldate: what the client gave, 0 otherwise */
	struct wall_us saved; /* when it came into this mailbox (RFC 8514) */
	/* The message that began the thread, also when it is gone: messages that share a
	 * Message-ID, In-Reply-To or References value and the base subject are in one. Never
	 * changes. */
	struct message_id thread;
	uint64_t body_size;
	unsigned char sha256[32]; /* of the body */
	struct str prefix;
	struct str map;
	uint64_t body_; /* the store's own; 0 = not read yet */
};

/*
 * Go through a set in order. Rows are read in small batches; no lock is held between calls, so
 * the caller may wait for a slow client. Strings live until the next store_read_next.
 * since.v > 0: only messages with a greater modseq (CHANGEDSINCE, RFC 7162 3.1.4.1).
 * The set must stay valid (no telling of expunges) until store_read_end.
 */
struct store_reader;
MUST_CHECK int store_read_begin(struct store_view *v, const struct store_set *set, unsigned columns,
				struct modseq since, struct store_reader **ret, struct fail *why);
/* 1 = *ret is filled, 0 = the end. */
MUST_CHECK int store_read_next(struct store_reader *r, struct store_message *ret, struct fail *why);
void store_read_end(struct store_reader *r); /* NULL is fine */
DEFINE_AUTO_PTR(store_reader, struct store_reader, store_read_end);

/* The body of a message of this view (without prefix), with whatever columns it was read.
 * -FAIL_LIMIT when the arena is full. */
MUST_CHECK int store_body_open(struct store_view *v, const struct store_message *m,
			       struct arena *arena, struct store_source *ret, struct fail *why);

struct store_ranges {
	const struct store_range *p;
	size_t n;
};
/* UIDs below uidnext, within `known` (STORE_STAR allowed; n = 0: all), that were expunged after
 * `since` (VANISHED (EARLIER), RFC 7162 3.2.10), as ascending ranges in `arena`. Returns 1 when
 * history reaches back to `since`, 0 when it does not and every UID that is not in the mailbox
 * was put in. */
MUST_CHECK int store_view_vanished(struct store_view *v, struct modseq since,
				   struct store_ranges known, struct arena *arena,
				   struct store_ranges *ret, struct fail *why);

/* ---- changing ---------------------------------------------------------------------------- */
/*
 * All of these answer -FAIL_PERM on a read-only view, skip messages that another session has
 * expunged meanwhile, and are on disk when they return. The view itself is not advanced: call
 * store_view_sync afterwards. Results own memory: clear them.
 */

enum store_flags_how { STORE_FLAGS_REPLACE, STORE_FLAGS_ADD, STORE_FLAGS_REMOVE };

struct store_flag_row {
	struct store_flag_change now; /* seq in the view's numbering */
	bool unexpected; /* others had changed it in a way this view was not told: send the FETCH
			  * even to .SILENT (RFC 3501 6.4.6) */
};
struct store_flags_result {
	struct store_flag_row *rows; /* every message that meets the condition, ascending */
	size_t n;
	struct uid *modified; /* not touched: changed after `unchanged_since` (RFC 7162 3.1.3) */
	size_t n_modified;
	uint32_t gone;	      /* expunged by others: RFC 2180 4.2, NO [EXPUNGEISSUED] or silence */
	struct modseq modseq; /* {0} when no row changed */
};
#define STORE_FLAGS_RESULT_INIT ((struct store_flags_result){0})
void store_flags_result_clear(struct store_flags_result *r);
DEFINE_AUTO(store_flags_result, struct store_flags_result, store_flags_result_clear);

/*
 * STORE. A message whose flags are already so keeps its modseq but has a row. unchanged_since:
 * NULL = no condition; 0 fails for every message that exists. -FAIL_LIMIT: no room for the keyword.
 * store_view_get_keywords may have grown afterwards: send FLAGS before the rows then.
 */
MUST_CHECK int store_view_store(struct store_view *v, const struct store_set *set,
				enum store_flags_how how, const struct store_flagset *flags,
				const struct modseq *unchanged_since,
				struct store_flags_result *ret, struct fail *why);

struct store_copy_result {
	uint32_t uidvalidity; /* of the target */
	struct uid *from;     /* ascending; COPYUID's first set. With MOVE also what was expunged */
	size_t n;
	struct uid first; /* from[i] became first + i */
	uint32_t gone;
};
#define STORE_COPY_RESULT_INIT ((struct store_copy_result){0})
void store_copy_result_clear(struct store_copy_result *r);
DEFINE_AUTO(store_copy_result, struct store_copy_result, store_copy_result_clear);

/*
 * REPLACE (RFC 8508): store the one message of *a, as store_append, in the view's account, and
 * expunge `old` from the view's mailbox, in one transaction: never one without the other. Quota is
 * that of what is left without `old`. -FAIL_CONFLICT: `old` was expunged before. Codes as
 * store_append's, and -FAIL_PERM for a read-only view.
 */
MUST_CHECK int store_view_replace(struct store_view *v, struct uid old,
				  const struct store_append *a, struct store_append_result *ret,
				  struct fail *why);

/*
 * COPY and MOVE (RFC 3501 6.4.7, RFC 6851) inside the account, all or nothing; flags, keywords and
 * internal date go along (a keyword that has no room in the target is left behind). COPY works on
 * a read-only view. -FAIL_NOTFOUND: no such target (TRYCREATE); -FAIL_QUOTA (COPY only).
 */
MUST_CHECK int store_view_copy(struct store_view *v, const struct store_set *set, struct str target,
			       const struct store_quota *quota, struct store_copy_result *ret,
			       struct fail *why);
MUST_CHECK int store_view_move(struct store_view *v, const struct store_set *set, struct str target,
			       struct store_copy_result *ret, struct fail *why);
/* Both, of the flags only those in `may`; quota of COPY. What the owner has seen goes along. */
struct store_copying {
	struct str target;
	const struct store_quota *quota;
	uint64_t may; /* bits of keywords: all or none */
	bool move;
};
MUST_CHECK int store_view_copy_as(struct store_view *v, const struct store_set *set,
				  const struct store_copying *how, struct store_copy_result *ret,
				  struct fail *why);

/* EXPUNGE: messages of the view with \Deleted, of `set` only when it is not NULL (UID EXPUNGE,
 * CLOSE). *ret_modseq ({0} = none was) may be NULL. */
MUST_CHECK int store_view_expunge(struct store_view *v, const struct store_set *set,
				  struct modseq *ret_modseq, struct fail *why);

/*
 * All that a session of another protocol leaves behind, in one transaction: `gone` go (expunged,
 * whatever their flags), and those of `seen` that are left have \Seen. With `mark`, `gone` stay and
 * get its flags; with a `target`, they move there. -FAIL_NOTFOUND: no such target; -FAIL_LIMIT: no
 * room for a keyword.
 */
struct store_leaving {
	const struct store_set *seen, *gone;
	const struct store_flagset *mark; /* NULL: none */
	struct str target;		  /* empty: none */
};
MUST_CHECK int store_view_leave(struct store_view *v, const struct store_leaving *l,
				struct fail *why);

/* ---- sleeping and moving ------------------------------------------------------------------ */

/* Append all of the view that is not in the store: some dozen bytes, format in
 * docs/formats/store.md. The view stays as it is. */
MUST_CHECK int store_view_export(const struct store_view *v, struct buf *out, struct fail *why);
/*
 * The same view again, in another process. Exact, or an error: -FAIL_CONFLICT when membership can
 * not be rebuilt (history purged, restored backup, recreated mailbox), -FAIL_SYNTAX for bytes
 * that are no export, -FAIL_NOTFOUND.
 */
MUST_CHECK int store_view_restore(struct store *s, struct str exported, struct store_view **ret,
				  struct fail *why);

/* The same for one that was opened by store_view_open_as; as->read_only is not looked at. */
MUST_CHECK int store_view_restore_as(struct store *s, struct str exported,
				     const struct store_view_as *as, struct store_view **ret,
				     struct fail *why);

/* ---- watching ---------------------------------------------------------------------------- */

enum store_event_kind {
	STORE_EVENT_NEW = 1u << 0,
	STORE_EVENT_FLAGS = 1u << 1,
	STORE_EVENT_EXPUNGE = 1u << 2,
	STORE_EVENT_MAILBOXES = 1u << 3, /* created, deleted, renamed, (un)subscribed */
	STORE_EVENT_NOTES = 1u << 4,	 /* annotations; mailbox {0}: the account's own */
};
struct store_event {
	struct account_id account;
	struct mailbox_id mailbox; /* {0} with STORE_EVENT_MAILBOXES alone */
	unsigned kinds;
	struct modseq modseq;		    /* the account's counter after the change */
	const struct store_annotate *notes; /* with STORE_EVENT_NOTES: what was asked for */
};
struct store_watch;

/*
 * Call fn after every commit that changed the mailbox ({0}: any mailbox, and their list), from
 * whatever session or delivery, this one included: on any thread, must not block and must not
 * call the store. A call's own event has been told when the call returns. Several changes of one
 * commit may come as one event. To miss nothing: watch first, then sync.
 */
MUST_CHECK int store_watch_add(struct store *s, struct account_id account,
			       struct mailbox_id mailbox,
			       void (*fn)(void *arg, const struct store_event *e), void *arg,
			       struct store_watch **ret, struct fail *why);
/* After it returns, fn does not run and will not. Not from inside fn. NULL is fine. */
void store_watch_remove(struct store_watch *w);
DEFINE_AUTO_PTR(store_watch, struct store_watch, store_watch_remove);

#endif
