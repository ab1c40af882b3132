/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_int.h - what the command handlers of proto/imap share.                  [proto, imap]
 *
 * A command passes three stages; each can stop at a full window and go on later:
 *
 *     HANDLER  the function of its row in dispatch.c; 0, RUN_MORE, RUN_PARK, RUN_CLOSE or negative
 *     SYNC     untagged news of the selected mailbox (sync.c), as the row allows
 *     then     the tagged line
 *
 * A handler writes its untagged lines, leaves the text of the tagged one with reply_ok or
 * reply_no (or nothing, for the usual OK), and returns. A negative result is answered by
 * proto/reply_map.h with why->public.
 */
#ifndef BARID_PROTO_IMAP_IMAP_INT_H
#define BARID_PROTO_IMAP_IMAP_INT_H

#include "base/vec.h"
#include "codec/imap/imap_capability.h"
#include "codec/imap/imap_cmd.h"
#include "proto/imap/imap_session.h"
#include "service/store/store_view.h"

struct esearch;
struct notify;
struct notify_fetch;

enum run_stage { RUN_STAGE_NONE, RUN_STAGE_HANDLER, RUN_STAGE_SYNC };

/* Results of a handler beside 0 and a negative fail code. */
enum run_result {
	RUN_DONE = 0,
	RUN_MORE = 1,  /* window full: call the handler again */
	RUN_PARK = 2,  /* IDLE begins */
	RUN_CLOSE = 3, /* after the tagged line the connection ends */
};

enum sync_how {
	SYNC_NONE,	 /* no news: the command itself defines the state, or there is none */
	SYNC_NO_EXPUNGE, /* FETCH, STORE, SEARCH, COPY by message number */
	SYNC_ALL,
};

struct context;

/* Where the writing of a sync stands; changes are borrowed from the view until the next sync. */
struct sync_cursor {
	const struct store_changes *changes; /* NULL: not begun */
	bool contexts_told;		     /* that members of a context are expunged */
	bool head_written;
	size_t expunges; /* told, as EXPUNGE or in VANISHED */
	size_t flags;
	uint32_t first_new; /* UID of the first message that EXISTS has just told; 0: none */
	struct notify_fetch *fetch;
};

struct imap_run {
	enum run_stage stage;
	struct buf tag; /* copied: IDLE outlives its input */
	struct imap_session_input in;
	struct imap_cmd cmd;
	const struct dispatch *row;
	struct buf reply;      /* tagged text without tag and CRLF: "OK ...", empty = usual */
	bool close;	       /* after the tagged line */
	struct uid limited_to; /* the oldest message that was looked at; 0: all were (RFC 9738) */
	bool tell_modseq;      /* [HIGHESTMODSEQ n] of after the sync goes into a usual OK */
	struct sync_cursor sync;
	struct arena arena;	 /* lives as long as the command */
	struct arena scratch;	 /* one message at a time */
	void *state;		 /* a handler's cursor, in arena */
	struct esearch *esearch; /* ESEARCH has another one around that of SEARCH */
	struct {
		struct str name;
		uint32_t uidvalidity;
	} of; /* ESEARCH: the mailbox that is searched; else NULL */
	void (*state_clear)(void *state);
};

struct imap_session {
	struct imap_config config;
	struct store *store;
	struct search *search; /* NULL: none */
	struct account_id account;
	char *address;
	unsigned rights;
	struct imap_hooks hooks;
	bool guest;
	bool is_public;
	char *viewer; /* address of who looks: the owner's, or the guest's */
	struct account_id viewer_id;
	char *groups;	       /* that a guest is in, a line each; "" for the owner */
	char *prefix;	       /* of names; "" for the owner */
	bool taking;	       /* a guest's COPY or MOVE: the messages are read only (cross.c) */
	struct str filters;    /* a guest's, for the command under way */
	struct buf told_reply; /* a guest's: text of the tagged line, which is not ours to write */

	/* The selected mailbox is another account's: whose, its prefix, and the visit's state
	 * (guest.h). `view` is NULL then. */
	char *host, *host_prefix;
	struct buf host_state;
	bool host_more; /* the news of IDLE are told in part */

	/* What an export holds. */
	uint32_t enabled; /* enum imap_enable_bit; CONDSTORE also by a CONDSTORE enabling command */
	unsigned bad_commands;
	struct store_view *view;      /* NULL: authenticated state */
	bool parked;		      /* in IDLE; run.tag is its tag */
	struct buf saved;	      /* "$" (saved.h); empty without a view */
	VEC(struct context) contexts; /* RFC 5267 (context.h); none without a view */
	/* To what the selected mailbox may be put (acl_int.h); asked for again when not known. */
	uint32_t selected_rights;
	bool rights_known;

	struct notify *notify; /* NULL: there was no NOTIFY */

	struct store_watch *watch; /* only while parked, and not with notify */
	bool woken;		   /* telling news between two commands */
	struct imap_run run;
};

/* ---- dispatch.c -------------------------------------------------------------------------- */

enum dispatch_needs {
	NEEDS_SELECTED = 1u << 0,
	NEEDS_WRITABLE = 1u << 1, /* the selected mailbox was not opened by EXAMINE */
	NEEDS_RIGHT = 1u << 2,	  /* IMAP_RIGHT_WRITE */
};
struct dispatch {
	int (*run)(struct imap_session *s, struct imap_out *out, struct fail *why);
	unsigned needs;
	enum sync_how sync;	/* with message numbers */
	enum sync_how sync_uid; /* as UID command */
};
/* NULL: the command has no meaning after login. */
const struct dispatch *dispatch_find(enum imap_cmd_kind kind);

/* ---- reply.c ----------------------------------------------------------------------------- */

/* The tagged reply. `code` is what stands in brackets, or NULL. */
void reply_ok(struct imap_session *s, const char *code, const char *text);
void reply_no(struct imap_session *s, const char *code, const char *text);
void reply_bad(struct imap_session *s, const char *text);
/* BAD [UIDREQUIRED] */
void reply_uid_required(struct imap_session *s);
/* By reply_map; logs what is the server's fault. */
void reply_failed(struct imap_session *s, int r, const struct fail *why);
/* For calls on a mailbox that is the target of APPEND, COPY, MOVE: a missing one is NO [TRYCREATE],
 * RUN_DONE; else r. */
int reply_target(struct imap_session *s, int r, const struct fail *why);

/* "* BYE text": the session ends after the tagged line. */
void reply_bye(struct imap_session *s, struct imap_out *out, const char *text);

/* ---- sync.c ------------------------------------------------------------------------------ */

/* 0 = all told, RUN_MORE = window full, negative = the view does not work. */
int sync_step(struct imap_session *s, struct imap_out *out, enum sync_how how, struct fail *why);
/* "* FLAGS (...)" and PERMANENTFLAGS. */
void write_mailbox_flags(struct imap_session *s, struct imap_out *out);
/* "(\Seen $Forwarded)" of a store bit set. */
void write_flags(struct buf *b, uint64_t flags, const struct str *keywords, size_t n_keywords);
/* "* 3 FETCH ", or "* 9 UIDFETCH " (RFC 9586). */
void write_fetch_head(const struct imap_session *s, struct buf *b, uint32_t seq, struct uid uid);
/* "* 3 FETCH (UID 9 FLAGS (...) MODSEQ (7))": UID for UID commands and CONDSTORE-aware clients,
 * MODSEQ for the latter; FLAGS only when `with_flags`. */
void write_flag_fetch(struct imap_session *s, struct imap_out *out,
		      const struct store_flag_change *c, bool with_flags);

/* ---- helpers of sets, flags, CONDSTORE (session_util.c) ------------------------------------- */

static inline bool condstore_is_on(const struct imap_session *s)
{
	return s->enabled & IMAP_ENABLE_CONDSTORE;
}
/* ENABLE IMAP4rev2 was given: ESEARCH for SEARCH, nothing is \Recent, UTF-8 names. */
static inline bool session_is_rev2(const struct imap_session *s)
{
	return s->enabled & IMAP_ENABLE_IMAP4REV2;
}
/* ENABLE UTF8=ACCEPT was given (RFC 6855): UTF-8 names and no charset in SEARCH. */
static inline bool session_is_utf8(const struct imap_session *s)
{
	return s->enabled & IMAP_ENABLE_UTF8;
}
/* ENABLE UIDONLY was given (RFC 9586): no message numbers, neither told nor taken. */
static inline bool session_is_uidonly(const struct imap_session *s)
{
	return s->enabled & IMAP_ENABLE_UIDONLY;
}
/* The flags of a message that this client is told: \Recent is none for IMAP4rev2. */
static inline uint64_t flags_shown(const struct imap_session *s, uint64_t flags)
{
	return session_is_rev2(s) ? flags & ~(uint64_t)STORE_RECENT : flags;
}
/* On the heap, with a NUL. */
char *session_copy(struct str text);
/* A mailbox name as this client reads it: modified UTF-7, or UTF-8 after ENABLE. */
void write_name(const struct imap_session *s, struct buf *b, struct str name);
/* enum imap_syntax of what the session has enabled. */
uint32_t session_syntax(const struct imap_session *s);
/* A CONDSTORE enabling command (RFC 7162 3.1): the first one tells HIGHESTMODSEQ. */
void condstore_enable(struct imap_session *s, struct imap_out *out);
static inline bool qresync_is_on(const struct imap_session *s)
{
	return s->enabled & IMAP_ENABLE_QRESYNC;
}

/* ---- qresync.c ----------------------------------------------------------------------------- */

/* UIDs to be told as VANISHED (EARLIER), and how many of the ranges were. In run.arena. */
struct vanished {
	struct store_ranges ranges;
	size_t told;
};
/* Those of `known` (n = 0: all) that were expunged after `since`. */
MUST_CHECK int vanished_find(struct imap_session *s, uint64_t since, const struct seqset *known,
			     struct vanished *ret, struct fail *why);
/* 0 = all told, RUN_MORE = the window is full. */
MUST_CHECK int vanished_write(struct vanished *v, struct imap_out *out);

/* Behind an answered SELECT (QRESYNC ...): what was expunged and changed since then. To be called
 * until it returns something else than RUN_MORE. */
MUST_CHECK int qresync_step(struct imap_session *s, const struct imap_qresync *q,
			    struct imap_out *out, struct fail *why);

/* The messages of a raw set in the selected mailbox, numbers or UIDs as the command has it. */
MUST_CHECK int set_resolve(struct imap_session *s, const struct seqset *set, bool by_uid,
			   struct store_set *ret, struct fail *why);
/* Collects messages, ascending by sequence number, into a set in run.arena. */
struct set_builder {
	struct arena *arena;
	struct store_set set;
	size_t cap;
};
MUST_CHECK int set_builder_add(struct set_builder *b, uint32_t seq, struct uid uid,
			       struct fail *why);
/* Keep `n` messages of a set, from the one behind `skip` others on; it has as many. In place. */
MUST_CHECK int set_slice(struct imap_session *s, struct store_set *set, uint32_t skip, uint32_t n,
			 struct fail *why);
bool set_has(const struct store_set *set, uint32_t seq);

/* ---- message_limit.c ------------------------------------------------------------------------- */

/* Keep so many of the newest as one command may be about; the tagged line tells. */
MUST_CHECK int limit_newest(struct imap_session *s, struct store_set *set, struct fail *why);
/* For commands that take all or none: true when the reply is NO. `saves`: COPY and APPEND. */
bool limit_refuses(struct imap_session *s, size_t n, bool saves);
/* Before the tagged line. */
void limit_tell(struct imap_session *s, struct imap_out *out);

struct store_flagset flagset_of(const struct imap_flags *flags);
/* The account's limits, from the hook. */
MUST_CHECK int quota_get(struct imap_session *s, struct store_quota *ret, struct fail *why);
/* IMAP_USE_ bits from STORE_USE_ bits and back. */
uint32_t use_to_imap(unsigned use);
unsigned use_to_store(uint32_t use);
/* May a mailbox be created under this name? 0, or -FAIL_UNSUPPORTED / -FAIL_LIMIT with the text. */
MUST_CHECK int mailbox_name_check(const struct imap_session *s, struct str name, struct fail *why);
/* Closes the selected mailbox, if any; "$" is empty then. */
void session_deselect(struct imap_session *s);

/* past.c: is it "MAILBOX@2026-11-20T10:00:00Z", a mailbox as it was at that moment? */
bool past_name(struct str name, struct str *ret_mailbox, struct wall_us *ret);

/* cmd_idle.c: have the store call hooks.wake when the selected mailbox changes. */
MUST_CHECK int idle_watch(struct imap_session *s, struct fail *why);

/* ---- context.c, context_update.c --------------------------------------------------------------
 */

void contexts_clear(struct imap_session *s);
/* Those that tell message numbers end, with NOUPDATE. */
void contexts_end_numbers(struct imap_session *s, struct imap_out *out);
/* REMOVEFROM for what is expunged, before EXPUNGE; what else changed, behind all news. */
void contexts_expunged(struct imap_session *s, const struct store_changes *changes,
		       struct imap_out *out);
void contexts_update(struct imap_session *s, struct imap_out *out);
/* For the exported session, and back: false for bytes that export does not write. */
void contexts_export(const struct imap_session *s, struct buf *out);
MUST_CHECK bool contexts_import(struct imap_session *s, struct str bytes);

/* ---- objectid.c ----------------------------------------------------------------------------- */

void write_emailid(struct buf *b, struct message_id id);
void write_threadid(struct buf *b, struct message_id first);
void write_mailboxid(struct buf *b, struct mailbox_id id, uint32_t uidvalidity);
/* Is it exactly this id's name? */
bool is_emailid(struct str text, struct message_id id);
bool is_threadid(struct str text, struct message_id first);

/* ---- handlers ---------------------------------------------------------------------------- */

int cmd_capability(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_noop(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_logout(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_id(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_enable(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_namespace(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_idle(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_select(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_close(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_unselect(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_create(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_delete(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_rename(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_subscribe(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_list(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_lsub(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_status(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_append(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_getquota(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_getquotaroot(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_setquota(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_getmetadata(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_setmetadata(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_genurlauth(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_resetkey(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_urlfetch(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_getacl(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_setacl(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_deleteacl(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_listrights(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_myrights(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_expunge(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_search(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_esearch(struct imap_session *s, struct imap_out *out, struct fail *why);
/* Its state goes. */
void esearch_end(struct imap_run *run);
int cmd_comparator(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_uidbatches(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_cancelupdate(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_fetch(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_store(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_copy(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_notify(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_move(struct imap_session *s, struct imap_out *out, struct fail *why);
int cmd_replace(struct imap_session *s, struct imap_out *out, struct fail *why);

/* "* STATUS name (...)" from counters; shared with LIST ... RETURN (STATUS). */
void write_status(const struct imap_session *s, struct imap_out *out, struct str name,
		  uint32_t items, const struct store_mailbox *box);

/* "* LIST" of what a mailbox or a name is now, with all attributes (RFC 5465 5.4); OLDNAME unless
 * old_name.p is NULL. */
void write_list_entry(struct imap_session *s, struct imap_out *out, const struct store_mailbox *box,
		      struct str old_name);
/* "* METADATA name (...)" for LIST ... RETURN (METADATA (...)). */
void write_list_metadata(struct imap_session *s, struct imap_out *out, struct str mailbox);

/* "* LIST (...) "/" name" that no LIST asked for (RFC 9051 6.3.2), with OLDNAME unless old_name.p
 * is NULL. */
void write_list_of(struct imap_session *s, struct imap_out *out, const struct store_mailbox *box,
		   struct str old_name);

#endif
