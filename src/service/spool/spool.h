/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - the queue: what was accepted and is not yet delivered.             [service]
 *
 * One SQLite database (spool.db, opened exclusively) holds envelopes, small bodies and the state
 * of each recipient; bodies above inline_max are files in the blob tree. docs/formats/spool.md.
 *
 * Invariants
 *  1. A message whose submit ended with 0 is on disk, body included, and stays until every
 *     recipient is delivered, has failed with a DSN stored in the same transaction, or an operator
 *     deleted it.
 *  2. A number is never used twice within an epoch; (epoch, number, recipient) names one delivery
 *     for ever, so that a delivery repeated after a crash is recognised by the store.
 *  3. `<body>.q` exists in the blob tree exactly while a row names the body (a sweep at opening
 *     removes names left by a crash).
 *
 * Threads: every call may come from any thread. The spool runs three of its own: the porter (syncs
 * and links body files), the committer (all writes, as many as wait in one transaction) and the
 * clerk (what falls due: routing, next hops that need no server). Callbacks of spool_config run on
 * these.
 */
#ifndef BARID_SERVICE_SPOOL_SPOOL_H
#define BARID_SERVICE_SPOOL_SPOOL_H

#include "base/arena.h"
#include "base/fail.h"
#include "base/list.h"
#include "base/text.h"
#include "service/dir/destination.h"

struct spool;
struct fs;

#define SPOOL_EPOCH_LEN 16
#define SPOOL_BODY_LEN	16
#define SPOOL_HASH_LEN	32

struct spool_body_id {
	uint8_t b[SPOOL_BODY_LEN]; /* all zero = none: the body is inline */
};

/* Who one delivery is: the key under which the store keeps its receipt, with the spool's epoch. */
struct spool_key {
	uint64_t number;
	uint32_t rcpt; /* 0-based within the message */
};

/* A delivery that will never be repeated: its receipt may go. */
struct spool_receipt {
	struct spool_key key;
	struct account_id account;
};

enum spool_route_kind {
	SPOOL_ROUTE_OK,	     /* dests has where to */
	SPOOL_ROUTE_REFUSED, /* no such recipient, full ...: for good */
};
struct spool_question {
	struct str address;
	struct str sender; /* of the envelope: relay hosts depend on it */
	bool again; /* it was routed before: what it was forwarded to has its own recipients */
};
struct spool_route {
	enum spool_route_kind kind;
	const struct destination *dests; /* in the arena given to the callback */
	size_t n;
	struct str note; /* why refused */
};

/* What became of a recipient, for the log: told when it is on disk. */
enum spool_event_kind {
	SPOOL_EVENT_DEFERRED, /* will be tried again at `next` */
	SPOOL_EVENT_FAILED,   /* for good */
	SPOOL_EVENT_REPORT,   /* message `report` was made and tells the sender */
	SPOOL_EVENT_DROPPED,  /* a report that nobody can be given */
};
struct spool_event {
	enum spool_event_kind kind;
	struct trace_id trace;
	struct spool_key key;
	struct wall_us next; /* DEFERRED */
	unsigned attempts;   /* so far */
	uint64_t report;     /* REPORT: its number */
	const char *about;   /* REPORT: "failed", "delayed", "delivered" */
	char address[324];   /* the recipient; REPORT: who is told */
	char original[324];  /* what RCPT said */
	char status[12];     /* RFC 3463 */
	char text[320];
	char server[256]; /* that said so; empty: we do */
};

struct spool_config {
	const char *folder;		      /* holds spool.db; must exist */
	const char *blob_folder;	      /* the blob tree; must exist */
	struct fs *fs;			      /* NULL: the real file system */
	const char *hostname;		      /* Reporting-MTA and sender name of DSNs */
	const char *postmaster_domain;	      /* whom DSNs name for help; NULL: the hostname */
	const struct text_language *language; /* of DSNs; NULL: English */
	uint32_t inline_max;		      /* larger bodies must be files */
	unsigned group_max;		      /* messages in one transaction */
	size_t wal_max;			      /* checkpoint when the log is larger, at once */
	unsigned settle_ms;	  /* outcomes wait so long for others to be written with */
	unsigned retry_first_s;	  /* after the first failed attempt, doubling ... */
	unsigned retry_max_s;	  /* ... up to this */
	unsigned lifetime_s;	  /* then the recipient fails */
	unsigned delay_warning_s; /* age at which NOTIFY=DELAY is told */
	unsigned crash_max;	  /* times a delivery may kill its shard before it is held */
	size_t dsn_return_max;	  /* bytes of a failed message that a DSN quotes at most */
	unsigned lanes; /* local destinations are spread over this many lanes; 0 counts as 1 */
	unsigned bounce_lifetime_s;   /* lifetime_s of messages with the null sender */
	const char *double_bounce_to; /* who is told of reports that fail; NULL: nobody */
	unsigned hop_first;	      /* transactions with a next hop at a time, at first ... */
	unsigned hop_max;	      /* ... and at most */
	unsigned hop_rcpts;	      /* recipients of a transaction */
	unsigned window;	      /* rows that are due and in memory, about; the rest waits */
	unsigned lane_window;	      /* of them of one next hop */
	bool manual;		      /* no clerk: the caller runs spool_tick (tests) */

	void *ctx; /* first argument of the following; all may be NULL, except route for DSNs */
	/* Lane of a local account, < lanes. NULL: account mod lanes. Pure: called under locks. */
	unsigned (*lane_of)(void *ctx, struct account_id account);
	/* Where does this address lead? Blocking; FAIL_* means: ask again later. */
	int (*route)(void *ctx, const struct spool_question *q, struct arena *a,
		     struct spool_route *ret, struct fail *why);
	/*
	 * When what `route` answers last changed, as far as anybody knows: mail for elsewhere that
	 * waits, and whose way was looked up before that, is looked up again when it is due.
	 * Blocking; every few seconds at most. FAIL_*: not known now. NULL: it never changes.
	 */
	int (*routes_changed)(void *ctx, struct wall_us *ret, struct fail *why);
	/*
	 * The message map (scan's answer) of a report that the spool composed, into the arena.
	 * Called when the report is routed. Blocking; FAIL_* means: ask again later. NULL: the map
	 * stays empty.
	 */
	int (*map)(void *ctx, struct str body, struct arena *a, struct str *ret, struct fail *why);
	/* Something became due in this lane: spool_take will find it. lanes: spool_take_remote. */
	void (*ready)(void *ctx, unsigned lane);
	/* These are finished on disk; drop their receipts, then call spool_receipts_dropped. */
	void (*delivered)(void *ctx, const struct spool_receipt *r, size_t n);
	/* For the log. Runs on the committer or the clerk; must not call the spool. */
	void (*event)(void *ctx, const struct spool_event *e);
	/*
	 * For the operator and the log: a message was held, a body is damaged, a commit failed.
	 * Must not call the spool.
	 */
	void (*alert)(void *ctx, const char *text);
};

/* Good values for everything but folders and callbacks. */
struct spool_config spool_config_default(void);
/* The newest format of spool.db that this build knows. */
unsigned spool_format(void);

/*
 * Opens (and makes, and migrates) the spool, sweeps orphans, loads the schedule, starts the
 * threads. FAIL_UNSUPPORTED: the file is newer than this program. Texts of *c are copied.
 */
MUST_CHECK int spool_open(const struct spool_config *c, struct spool **ret, struct fail *why);
/* Commits what waits, stops the threads. No other call may be running. NULL is fine. */
void spool_close(struct spool *sp);
DEFINE_AUTO_PTR(spool, struct spool, spool_close);

/*
 * Other times and another hostname from the next attempt on; what waits keeps the time it was
 * given. Waits for the transaction under way.
 */
struct spool_times {
	/* As in spool_config. */
	unsigned retry_first_s, retry_max_s, lifetime_s, bounce_lifetime_s, delay_warning_s;
	unsigned hop_max;
	const char *double_bounce_to;
	const char *postmaster_domain;
	const struct text_language *language;
};
void spool_configure(struct spool *sp, const struct spool_times *times, const char *hostname);

/* The UUID made with the database: borrowed, SPOOL_EPOCH_LEN bytes. */
const uint8_t *spool_epoch(const struct spool *sp);

/* ---- bodies that are files ---- */

/*
 * A nameless file for a body and its id. The descriptor (the caller's; read-write, to be passed to
 * the writer) may be closed at any time; the spool keeps its own until seal or drop. size_hint: 0
 * if unknown. FAIL_LIMIT: disk full, or too many open bodies.
 */
MUST_CHECK int spool_body_create(struct spool *sp, uint64_t size_hint, struct spool_body_id *ret_id,
				 int *ret_fd, struct fail *why);

struct spool_sealed {
	uint64_t size;
	uint8_t sha256[SPOOL_HASH_LEN];
	int fd;	    /* read-only, the caller's */
	bool still; /* the writer has closed it: nobody can change it any more */
};
/* The writer is done: take size and hash (reads the whole file, blocking). FAIL_NOTFOUND: unknown
 * id. */
MUST_CHECK int spool_body_seal(struct spool *sp, struct spool_body_id id, struct spool_sealed *ret,
			       struct fail *why);
/* Give up a body that was not submitted. Unknown ids are fine. */
void spool_body_drop(struct spool *sp, struct spool_body_id id);

/* ---- submitting ---- */

enum spool_notify { /* RFC 3461 4.1; 0 = the client said nothing: failures are told */
		    SPOOL_NOTIFY_NEVER = 1u << 0,
		    SPOOL_NOTIFY_SUCCESS = 1u << 1,
		    SPOOL_NOTIFY_FAILURE = 1u << 2,
		    SPOOL_NOTIFY_DELAY = 1u << 3,
};
enum spool_ret { SPOOL_RET_NONE, SPOOL_RET_FULL, SPOOL_RET_HDRS }; /* RFC 3461 4.3 */

enum spool_by { /* RFC 2852: what happens when the time is over, a mode and a bit */
		SPOOL_BY_NONE,
		SPOOL_BY_RETURN, /* R: it fails */
		SPOOL_BY_NOTIFY, /* N: its sender is told, and it goes on */
		SPOOL_BY_TRACE = 1u << 2,
};
#define SPOOL_PRIORITY_MAX 9 /* and -9: RFC 6710 */

/* Who brought a message, for XFORWARD. Empty ip: nobody. */
struct spool_client {
	struct str ip;
	uint16_t port;
	struct str name; /* verified */
	struct str helo;
	bool esmtp;
};
/* What was asked for the way of a message. All zero: nothing. */
struct spool_wishes {
	struct wall_us hold_until; /* RFC 4865: not before */
	struct wall_us deliver_by; /* RFC 2852; 0 = no limit */
	unsigned by;		   /* enum spool_by */
	int priority;		   /* RFC 6710, -9 to 9: the higher goes first */
	bool requiretls;	   /* RFC 8689 */
	bool tls_optional;	   /* RFC 8689: "TLS-Required: No" */
	struct str login;	   /* who logged in, for the choice of a relay account */
	struct str held;	   /* not empty: it waits for the operator, and why */
	/* Next hop of a content filter: every recipient's copy goes there. Empty: none. */
	struct str filter;
	struct spool_client client;
};

struct spool_rcpt {
	struct destination to;
	struct str original; /* the address of RCPT TO */
	struct str orcpt;    /* ORCPT as given, "rfc822;bob@x", or empty */
	unsigned notify;     /* enum spool_notify */
};

struct spool_message {
	/* In: borrowed until done is called. */
	struct trace_id trace;
	struct str sender; /* envelope sender; empty = the null sender */
	struct str envid;  /* RFC 3461 ENVID, or empty */
	enum spool_ret ret;
	bool smtputf8;
	bool eightbit;			/* BODY=8BITMIME (or BINARYMIME) */
	struct account_id auth_account; /* who submitted; 0 = came by relay */
	struct str language;		/* the sender's, for reports: "de"; empty = not known */
	struct spool_wishes wish;
	struct str prefix; /* header lines that go before the body, CRLF each */
	struct str body;   /* inline body; empty when body_id is set */
	struct spool_body_id
		body_id; /* a sealed body; owned by the spool from now on, whatever the outcome */
	uint64_t body_size;
	uint8_t sha256[SPOOL_HASH_LEN]; /* of the body, inline ones too */
	struct str map;			/* the message map, kept as it is */
	struct wall_us arrival;
	const struct spool_rcpt *rcpts; /* at least one */
	size_t n_rcpts;
	/*
	 * Called once, on a thread of the spool: r = 0 and the number, when on disk; else a
	 * negative fail code and why, and nothing of it will stay. Must not block, nor call
	 * spool_submit_wait.
	 */
	void (*done)(struct spool_message *m, int r, uint64_t number, const struct fail *why);
	void *ctx; /* the caller's */

	struct list link_; /* the spool's */
	int body_fd_;
};

/* FAIL_CORRUPT: the body file is not what was sealed. FAIL_LIMIT: disk full, or a bound. */
void spool_submit(struct spool *sp, struct spool_message *m);
/* The same, waiting (m->done and m->ctx are overwritten). */
MUST_CHECK int spool_submit_wait(struct spool *sp, struct spool_message *m, uint64_t *ret_number,
				 struct fail *why);

/* ---- delivering ---- */

struct spool_due {
	uint32_t rcpt;
	struct destination to;
	struct str original;
	struct str orcpt;
	unsigned notify;   /* enum spool_notify */
	unsigned attempts; /* before this one */
};

/* One message with those of its recipients that are due in one lane, or go to one next hop. */
struct spool_delivery {
	uint64_t number;
	struct str nexthop; /* normal form (codec/smtp/nexthop.h); empty: to mailboxes of ours */
	struct trace_id trace;
	struct str sender;
	bool smtputf8;
	bool eightbit;
	struct account_id auth_account;
	struct str envid;
	enum spool_ret ret;
	struct spool_wishes wish;
	struct str prefix;
	struct str body; /* inline */
	struct spool_body_id body_id;
	int body_fd; /* read-only, the batch's; -1 when inline */
	uint64_t body_size;
	uint8_t sha256[SPOOL_HASH_LEN];
	struct str map; /* empty only for the spool's own reports, when spool_config.map is NULL */
	struct wall_us arrival;
	struct spool_due *due;
	size_t n_due;
};

struct spool_batch {
	struct arena arena; /* all texts */
	struct spool_delivery *v;
	size_t n;
};
#define SPOOL_BATCH_INIT ((struct spool_batch){.arena = ARENA_INIT(64u << 20)})
void spool_batch_clear(struct spool_batch *b); /* closes descriptors */
DEFINE_AUTO(spool_batch, struct spool_batch, spool_batch_clear);

/*
 * Hand out what is due in a lane, up to max_rcpts recipients; each is in flight until spool_done,
 * spool_return or spool_lane_died names it. Waits while a commit is forced to disk. A batch with
 * n = 0 means nothing is due. A delivery that was in flight when its lane died is handed out alone,
 * with nothing else in flight in that lane.
 * `b` is SPOOL_BATCH_INIT or cleared.
 */
MUST_CHECK int spool_take(struct spool *sp, unsigned lane, size_t max_rcpts, struct spool_batch *b,
			  struct fail *why);
/*
 * The same for other servers and filters: up to max transactions, one spool_delivery each, that may
 * begin now: none goes to a next hop that has as many as it bears, hops take turns, and so do
 * senders and messages within one. Its recipients are in flight as above; the transaction itself
 * until spool_over names its hop.
 */
MUST_CHECK int spool_take_remote(struct spool *sp, size_t max, struct spool_batch *b,
				 struct fail *why);
enum spool_contact { /* what a transaction says about its next hop */
		     SPOOL_CONTACT_UNKNOWN,
		     SPOOL_CONTACT_MADE,
		     SPOOL_CONTACT_FAILED, /* it was not there, or let nobody in */
};
/* A transaction is over. status and text: of a failed contact, for the mail that is put off. */
void spool_over(struct spool *sp, struct str nexthop, enum spool_contact contact,
		const char *status, struct str text);
/* Who hands out to other servers died: as spool_lane_died; suspects go one at a time. */
void spool_remote_died(struct spool *sp);
/* Nobody was given these after all: they are due again, at once. */
void spool_return(struct spool *sp, const struct spool_batch *b);

enum spool_outcome { SPOOL_DELIVERED, SPOOL_DEFERRED, SPOOL_FAILED };
struct spool_result {
	enum spool_outcome outcome;
	const char *status; /* RFC 3463: "4.3.0"; NULL: of the outcome */
	struct str text;    /* why, for the DSN and the operator */
	struct str server;  /* the host that said so, with its SMTP reply as text; empty: we do */
	bool dsn_passed;    /* DELIVERED to a server that reports itself, if anybody asked */
	bool relaying_told; /* DELIVERED, and its sender hears that unless NOTIFY=NEVER (RFC 2852)
			     */
	bool untried;	    /* DEFERRED without an attempt */
	bool lasting;	    /* DEFERRED, and the lifetime does not end it */
};
/*
 * The outcome of one delivery in flight. Copied and written with the next transaction; a result
 * for something not in flight is ignored. Callable from anywhere, does not wait.
 */
void spool_done(struct spool *sp, struct spool_key key, const struct spool_result *r);
/* The same for several: those of one message are written, and reported to its sender, together. */
void spool_done_many(struct spool *sp, const struct spool_key *keys, const struct spool_result *r,
		     size_t n);

/* Everything in flight in this lane counts as not done; what was in flight crash_max times is held.
 */
void spool_lane_died(struct spool *sp, unsigned lane);

/*
 * Receipts whose dropping was never confirmed (after a restart): at most max, in number order,
 * after `after`. Returns how many were put into ret.
 */
MUST_CHECK int spool_receipts(struct spool *sp, struct spool_key after, struct spool_receipt *ret,
			      size_t max, struct fail *why);
/* The store has dropped these. Does not wait; forgotten confirmations are asked for again. */
void spool_receipts_dropped(struct spool *sp, const struct spool_receipt *r, size_t n);

/* When the next row falls due ({INT64_MAX}: nothing waits), for a role that has its own timer. */
struct wall_us spool_next_due(struct spool *sp);
/* Do now what the clerk would: announce due lanes, route DSNs, defer what needs a relay. */
void spool_tick(struct spool *sp);
/* Wait until every result and submission so far is on disk (tests, shutdown). */
void spool_drain(struct spool *sp);

/* ---- for the operator ---- */

enum spool_state { SPOOL_QUEUED, SPOOL_DEFER, SPOOL_HELD, SPOOL_ROUTING, SPOOL_STATES };
const char *spool_state_name(enum spool_state s); /* "queued", "deferred", "held", "routing" */

struct spool_row {
	struct spool_key key;
	enum spool_state state;
	bool in_flight;
	struct str sender;
	struct str rcpt; /* destination address with detail */
	struct str original;
	struct str nexthop; /* empty: a mailbox of ours, or not yet routed */
	struct account_id account;
	struct account_id auth_account;
	uint64_t size; /* prefix and body */
	struct trace_id trace;
	struct wall_us arrival;
	struct wall_us next_attempt;
	struct wall_us tried; /* last; 0 = never */
	unsigned attempts;
	int priority;
	struct str status;
	struct str text;   /* last answer, or why it is held */
	struct str server; /* whose; empty: ours */
};

/* Which recipients; what is zero does not matter. Patterns: ASCII case is ignored, * and ? are
 * wild. */
struct spool_query {
	uint64_t number;
	struct str address;   /* pattern: of the sender, or a recipient */
	struct str sender;    /* pattern; "<>": the null sender */
	struct str rcpt;      /* pattern: where it goes, or what RCPT said */
	struct str domain;    /* pattern: of the recipient */
	struct str nexthop;   /* pattern; "local": mailboxes of ours */
	struct str text;      /* pattern anywhere in status, last answer and server */
	unsigned states;      /* 1 << enum spool_state, ored */
	struct wall_us until; /* arrived before */
	struct wall_us since; /* arrived then or later */
	uint64_t size_min, size_max;
	struct account_id account; /* to it, or submitted by it */

	struct spool_key after; /* only rows behind this one */
	unsigned max;		/* rows; 0 = all, spool_list: 1000 */
};
/* Rows by number and recipient, into the arena. */
MUST_CHECK int spool_list(struct spool *sp, const struct spool_query *q, struct arena *a,
			  struct spool_row **ret, size_t *ret_n, struct fail *why);
/* Every row that the query names, one after the other; what fn is given is valid until it returns.
 * fn: 0 = go on, else that ends it and is returned. */
MUST_CHECK int spool_each(struct spool *sp, const struct spool_query *q,
			  int (*fn)(void *ctx, const struct spool_row *row), void *ctx,
			  struct fail *why);
/* The start of a message (prefix and body), at most max bytes. */
MUST_CHECK int spool_show(struct spool *sp, uint64_t number, size_t max, struct arena *a,
			  struct str *ret, struct fail *why);
/* When the oldest message arrived. 1, or 0: there is none. */
MUST_CHECK int spool_oldest(struct spool *sp, struct wall_us *ret, struct fail *why);

enum spool_order {
	SPOOL_HOLD,    /* what is queued or deferred waits for the operator */
	SPOOL_RELEASE, /* what is held goes its way */
	SPOOL_FLUSH,   /* what is deferred is due; a next hop that was given up counts as alive */
	SPOOL_REQUEUE, /* its way is asked for again */
	SPOOL_DELETE,  /* without a report */
};
/*
 * Carry it out for all recipients of the query, but for those in flight. Returns how many changed
 * (dry_run: would have); FAIL_NOTFOUND: there is no message query.number.
 */
MUST_CHECK int spool_carry_out(struct spool *sp, enum spool_order order,
			       const struct spool_query *q, bool dry_run, struct fail *why);

struct spool_counts {
	uint64_t by_state[SPOOL_STATES]; /* recipients now */
	uint64_t in_flight;
	uint64_t in_memory;    /* due or in flight */
	uint64_t transactions; /* under way with other servers */
	uint64_t hops;	       /* next hops in memory */
	uint64_t hops_dead;    /* of them given up for a while */
	uint64_t submitted;    /* messages since opening */
	uint64_t delivered;    /* recipients since opening, and so on */
	uint64_t deferred;
	uint64_t failed;
	uint64_t dsns;
	uint64_t commits;
	uint64_t commit_failures;
};
void spool_count(struct spool *sp, struct spool_counts *ret);

#endif
