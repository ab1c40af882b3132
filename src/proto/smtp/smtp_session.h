/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_session.h - the SMTP and submission dialogue, as mta runs it.           [proto]
 *
 * RFC 5321 with SIZE, 8BITMIME, SMTPUTF8, DSN, PIPELINING, CHUNKING, ENHANCEDSTATUSCODES,
 * STARTTLS, AUTH (RFC 4954) and submission (RFC 6409). docs/formats/smtp-dialogue.md lists every
 * reply. Edge owns the connection and frames it; each call here gets what arrived, appends the
 * replies to `out` and says in *ret what edge does next:
 *
 *     smtp_session_greet -> send
 *     loop: read a batch of lines (codec/smtp/smtp_batch.h) -> smtp_session_lines -> send, then
 *       SMTP_CONTINUE  read the next batch
 *       SMTP_DATA      collect the message up to CRLF.CRLF  -> smtp_session_body
 *       SMTP_BDAT      collect ret->octets                  -> smtp_session_body; when
 *                      ret->discard throw them away instead, and read the next batch
 *       SMTP_STARTTLS  discard what was buffered, handshake -> smtp_session_tls_done
 *       SMTP_AUTH      run the SASL exchange with dir       -> smtp_session_auth_done
 *       SMTP_XCLIENT   end this session and begin another one with the peer that
 *                      ret->xclient describes (Postfix's XCLIENT: back to the greeting)
 *       SMTP_CLOSE     close
 *
 * On LMTP (RFC 2033) the hello is LHLO, and the message has a reply for each recipient that was
 * accepted, in their order.
 *
 * Calls block on the backend. One thread at a time per session. A session is a value:
 * smtp_session_export between any two calls and smtp_session_import elsewhere continue it exactly.
 * A call that does not fit the session's mode (edge is at fault) answers 421 and SMTP_CLOSE.
 */
#ifndef BARID_PROTO_SMTP_SMTP_SESSION_H
#define BARID_PROTO_SMTP_SMTP_SESSION_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "proto/smtp/smtp_door.h"
#include "service/dir/dir.h"
#include "service/milter/milter.h"
#include "service/policy/policy.h"
#include "service/spool/spool.h"

struct smtp_session;

enum smtp_service {
	SMTP_SERVICE_MX = 1,	     /* 25: anybody, to our addresses only */
	SMTP_SERVICE_SUBMISSION = 2, /* 587, 465: our users, after AUTH */
	/* Of the machine itself: edge lets trusted_clients in alone, and nobody is asked for more.
	 */
	SMTP_SERVICE_LMTP = 3,		 /* 24: into mailboxes, each recipient has its reply */
	SMTP_SERVICE_REINJECT = 4,	 /* 10025: from a content filter, recipients as they are */
	SMTP_SERVICE_REINJECT_LISTS = 5, /* 10028: the same, but aliases count */
	SMTP_SERVICE_LOCAL = 6, /* a UNIX socket: the command sendmail, whose user is known */
	SMTP_SERVICES
};

/* Who looks at the mail of a service before it is accepted, and after. */
struct smtp_filters {
	struct milter_spec *milters; /* in order */
	size_t milters_n;
	const char *next; /* next hop of the content filter for what was accepted; "": none */
};

#define SMTP_LOOK_MS 5000

/* Tables that lines of messages are looked for in; not on the ports where mail comes back. */
struct smtp_content {
	struct access_list header; /* fields of the message */
	struct access_list mime;   /* Content-Type and its kind, everywhere */
	struct access_list nested; /* fields of messages within it */
	struct access_list body;   /* lines */
	uint64_t body_max;	   /* octets of each part that are looked at */
	unsigned look_ms;	   /* that a message may take in all */
};

struct smtp_config {
	const char *hostname;	       /* greeting, Received, Message-ID */
	const char *language;	       /* of mail to the postmaster; NULL: English */
	const char *postmaster_domain; /* where <postmaster> without a domain is; NULL: hostname */
	bool starttls;		       /* TLS can be had */
	uint64_t size_max;	       /* octets of a message */
	uint32_t rcpts_max; /* RCPT commands of one transaction; RFC 5321 4.5.3.1.8: >= 100 */
	uint32_t destinations_max; /* what they expand to */
	uint32_t hops_max;	   /* Received fields; RFC 5321 6.3 */
	uint64_t future_release_s; /* most that a message may be held (RFC 4865); 0 = not offered */
	bool null_sender;	   /* submissions may have none */
	uint32_t priority_max;	   /* RFC 6710: what is asked beyond is lowered to it */
	const char *local_origin;  /* what follows the @ of local names; NULL: hostname */
	const char *local_users;   /* numbers of those who may send; NULL or empty: all */
	bool guard_defers;	   /* who is held by the guard is asked to try later */
	bool hide_client;	   /* Received of who has logged in does not say from where */
	uint32_t errors_soft;	   /* from here on each error delays the reply */
	uint32_t errors_hard;	   /* here the connection ends */
	uint32_t junk_max; /* NOOP, RSET, VRFY ... between messages before they are errors */
	uint32_t error_delay_ms;
	struct smtp_door door; /* port 25 */
	struct smtp_content content;
	struct smtp_filters filters[SMTP_SERVICES];
	struct milter_times milter_times;
};
/* Good values for everything but hostname and starttls. */
struct smtp_config smtp_config_default(void);

/* Who is connected. Texts are copied. */
struct smtp_peer {
	struct trace_id trace;
	struct str ip;	       /* "192.0.2.1", "2001:db8::1" */
	uint16_t port;	       /* 0: not known */
	struct str rdns;       /* verified name, or empty */
	bool trusted;	       /* may send a password without TLS */
	bool may_relay;	       /* on SMTP_SERVICE_MX: to any domain, without a login */
	struct str tls_text;   /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: no TLS yet */
	struct str mechanisms; /* as smtp_session_offer; empty: " PLAIN LOGIN" */
	struct str helo;       /* said for it by XCLIENT; empty: nothing yet */
	bool esmtp;	       /* likewise: it said EHLO */
	struct str user;       /* SMTP_SERVICE_LOCAL: number of the user */
	struct str local_ip;   /* what it has connected to; empty: not known */
	uint16_t local_port;
	struct str cert_subject; /* common names of its certificate, not verified; or empty */
	struct str cert_issuer;
	bool xclient;	    /* may say by XCLIENT for whom it speaks, */
	bool xclient_login; /* and who has logged in there */
};

/* A received message as edge holds it. */
struct smtp_body {
	struct str bytes;	 /* when small; else */
	struct spool_body_id id; /* the open body file that it was written to */
	uint64_t size;		 /* octets; between BDAT chunks: so far */
	unsigned flags;		 /* SMTP_BODY_* */
};
enum {
	SMTP_BODY_BARE = 1u << 0, /* held a bare CR or LF, and the client is not trusted with it */
	SMTP_BODY_TOO_BIG = 1u << 1, /* went over ret->octets; the rest was dropped */
	SMTP_BODY_ABORTED = 1u << 2, /* the client went away inside */
	SMTP_BODY_LOST = 1u << 3,    /* edge could not store it (no body file, disk full) */
};
static inline bool spool_body_id_equal(struct spool_body_id a, struct spool_body_id b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}
static inline bool smtp_body_is_stored(const struct smtp_body *b)
{
	return !spool_body_id_equal(b->id, (struct spool_body_id){{0}});
}

/* What scan found; `map` is codec/mime/map.h's binary form. */
struct smtp_scan {
	struct buf map;
	uint64_t size; /* true size of the body; preset with what edge said */
	uint8_t sha256[SPOOL_HASH_LEN];
	int view; /* of a stored body: read-only, the caller's to close; preset with -1 */
};
/* Values for a submission that lacks the fields; empty: none are to be added. */
struct smtp_scan_defaults {
	struct str date;
	struct str message_id;
};

/*
 * What the session asks of others. All may block, and return 0 or a negative fail code (the client
 * is then asked to try later).
 */
/* What the take-over guard is asked; as service/guard has it. */
struct smtp_guard_case {
	struct account_id account;
	struct str login;
	const struct str *rcpts; /* on other servers */
	size_t n;
	uint32_t all;	 /* recipients in all */
	uint32_t failed; /* RCPTs refused since the last message */
};
enum smtp_guard_verdict { SMTP_GUARD_PASS, SMTP_GUARD_HELD, SMTP_GUARD_RATE };
struct smtp_guarded {
	enum smtp_guard_verdict verdict;
	bool fresh;	   /* held from now on */
	struct str reason; /* in the arena */
};

/* BURL (RFC 4468). */
struct smtp_burl {
	struct str url;
	struct str owner; /* whose mailbox it is of */
	uint64_t max;	  /* octets */
};

struct smtp_backend {
	void *ctx;
	/* dir_route. */
	int (*route)(void *ctx, const struct dir_rcpt *rcpt, struct arena *a, struct dir_route *ret,
		     struct fail *why);
	/* dir_sender_allowed: 1 yes, 0 no. */
	int (*sender_allowed)(void *ctx, struct account_id account, struct str address,
			      struct fail *why);
	/* Is there such a name in the DNS? NULL: there is nobody to ask. */
	enum smtp_name (*name_exists)(void *ctx, struct str name);
	/* Try what waits for this domain now; how many recipients that is. NULL: nobody can. */
	int (*flush)(void *ctx, struct str domain, uint64_t *ret_n, struct fail *why);
	/* What is known about the client by now. Not for internal services. NULL: nothing. */
	void (*client)(void *ctx, struct smtp_client *ret);
	/* It does this once more. True: too often (SMTP_EVENT_LOGIN_FAILED counts nothing when
	 * `ask`). NULL: nobody counts. */
	bool (*too_often)(void *ctx, enum smtp_event event, bool ask);
	/* Seal a stored body, index it. ret->map is empty and has a maximum. */
	int (*scan)(void *ctx, const struct smtp_body *body,
		    const struct smtp_scan_defaults *defaults, struct smtp_scan *ret,
		    struct fail *why);
	/* May this user's message go? NULL: always. */
	int (*guard)(void *ctx, const struct smtp_guard_case *c, struct arena *a,
		     struct smtp_guarded *ret, struct fail *why);
	/* What rules say of the recipient or message that *r describes; `rcpts`: at the end of a
	 * message, whom it is for. NULL: there are no rules. */
	void (*policy)(void *ctx, const struct policy_request *r, const struct str *rcpts, size_t n,
		       struct policy_verdict *ret);
	/* On disk when it returns 0. Takes a stored body over, whatever the outcome. `login`: the
	 * account's address on submission. done, ctx and link_ of m are not used. */
	int (*submit)(void *ctx, const struct spool_message *m, struct str login,
		      uint64_t *ret_number, struct fail *why);
	/* A new body file, empty, for writing and reading; the id is to be submitted or dropped. */
	int (*body_create)(void *ctx, struct spool_body_id *ret_id, int *ret_fd, struct fail *why);
	/* What the URL names, for who has logged in, as sealed memory. -FAIL_AUTH: it is of
	 * another server; -FAIL_TOOBIG; -FAIL_PERM, -FAIL_NOTFOUND: nothing for this user. NULL:
	 * not offered. */
	int (*burl)(void *ctx, const struct smtp_burl *b, int *ret_fd, uint64_t *ret_size,
		    struct fail *why);
	/* Milters: as milter_ops' of the same names. Not used where none are configured. */
	int (*milter_connect)(void *ctx, struct str text, unsigned timeout_ms, int *ret_fd,
			      struct fail *why);
	bool (*milter_enter)(void *ctx, struct str text);
	void (*milter_leave)(void *ctx, struct str text);
	/* A stored body that will not be submitted. */
	void (*body_drop)(void *ctx, struct spool_body_id id);
	struct wall_us (*now)(void *ctx);
};

enum smtp_next {
	SMTP_CONTINUE,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_XCLIENT,
	SMTP_WAIT, /* mta's own: say what the client says within `octets` ms */
	SMTP_CLOSE
};

struct smtp_result {
	enum smtp_next next;
	uint32_t delay_ms; /* hold the replies back so long */
	uint64_t octets;   /* SMTP_DATA: most that the message may have; SMTP_BDAT: of this chunk */
	bool first;	   /* SMTP_BDAT: a new message begins; what edge has of another is void */
	bool last;	   /* SMTP_BDAT */
	bool discard;	   /* SMTP_BDAT */
	bool fed;	   /* SMTP_BDAT: the octets come from `feed`, not from the client */
	int feed;	   /* sealed memory, the caller's to close */
	struct str mechanism; /* SMTP_AUTH: borrowed from the batch */
	struct str xclient;   /* SMTP_XCLIENT: its arguments, good ones; borrowed likewise */
	struct str initial;   /* SMTP_AUTH: NULL p when there is none, or edge kept it back */
};

/*
 * *c and *b are borrowed and outlive the session. Never NULL. A session ends by SMTP_CLOSE or
 * smtp_session_end; free only releases memory.
 */
struct smtp_session *smtp_session_new(const struct smtp_config *c, const struct smtp_backend *b,
				      enum smtp_service service, const struct smtp_peer *peer);
void smtp_session_free(struct smtp_session *s);
/* Other values from the next command on; *c is borrowed in place of the one before. */
void smtp_session_configure(struct smtp_session *s, const struct smtp_config *c);
DEFINE_AUTO_PTR(smtp_session, struct smtp_session, smtp_session_free);

/* It spoke before its turn: its recipients are refused, whoever goes on with the session. */
void smtp_session_early_talker(struct smtp_session *s);

/* 220. */
void smtp_session_greet(const struct smtp_session *s, struct buf *out);

/*
 * Handle a batch. `more`: bytes had already arrived behind it. Lines behind one that changes the
 * mode are ignored, so edge ends batches where smtp_batch_ends says.
 */
void smtp_session_lines(struct smtp_session *s, struct str batch, bool more, struct buf *out,
			struct smtp_result *ret);
/*
 * The queue has opened a body file for edge, after SMTP_DATA or SMTP_BDAT. From here on the session
 * sees to it that the body is submitted or dropped, unless the session is exported and freed.
 */
void smtp_session_body_opened(struct smtp_session *s, struct spool_body_id id);
/* After SMTP_DATA, or SMTP_BDAT without discard. A stored body is from now on the session's too. */
void smtp_session_body(struct smtp_session *s, const struct smtp_body *body, struct buf *out,
		       struct smtp_result *ret);

/* The SASL mechanisms that edge will run for the client from now on: " PLAIN LOGIN". */
void smtp_session_offer(struct smtp_session *s, struct str mechanisms);

enum smtp_auth {
	SMTP_AUTH_GRANTED,
	SMTP_AUTH_REFUSED,
	SMTP_AUTH_MALFORMED,   /* not base64, not the mechanism's form */
	SMTP_AUTH_CANCELLED,   /* "*" */
	SMTP_AUTH_UNKNOWN,     /* no such mechanism */
	SMTP_AUTH_UNAVAILABLE, /* dir cannot be asked */
};
struct smtp_auth_result {
	enum smtp_auth outcome;
	bool replied; /* edge has sent the reply; only take note */
	struct account_id account;
	struct str login;    /* the account's address */
	uint64_t credential; /* the app password that was used; 0 = none */
};
/* Of the login. */
uint64_t smtp_session_credential(const struct smtp_session *s);
void smtp_session_auth_done(struct smtp_session *s, const struct smtp_auth_result *a,
			    struct buf *out, struct smtp_result *ret);
/*
 * A trusted front end has checked who the client is (XCLIENT LOGIN): as if it had authenticated.
 * To be called behind the greeting; there is no reply.
 */
void smtp_session_claim(struct smtp_session *s, struct account_id account, struct str login,
			struct smtp_result *ret);
/* Before smtp_session_tls_done: whose certificate the client has shown, as in struct smtp_peer. */
void smtp_session_certificate(struct smtp_session *s, struct str subject, struct str issuer);
/* After the handshake; RFC 3207 4.2: all that was said before is forgotten. */
void smtp_session_tls_done(struct smtp_session *s, struct str tls_text, struct smtp_result *ret);

enum smtp_end {
	SMTP_END_TIMEOUT,  /* the client was silent too long: 421 4.4.2 */
	SMTP_END_SHUTDOWN, /* we stop: 421 4.3.2 */
	SMTP_END_LOST,	   /* the client is gone: no reply */
};
void smtp_session_end(struct smtp_session *s, enum smtp_end why, struct buf *out);

/* Recipients of the open transaction so far, for status displays. */
size_t smtp_session_recipients(const struct smtp_session *s);

/*
 * The whole state as bytes (docs/formats/smtp-dialogue.md), for this build or a later one.
 * Returns 0 or -FAIL_LIMIT when `out` is too small.
 */
/* Who has logged in; 0 = nobody. */
struct account_id smtp_session_account(const struct smtp_session *s);
unsigned smtp_session_version(void); /* of what export writes */
MUST_CHECK int smtp_session_export(const struct smtp_session *s, struct buf *out);
/* FAIL_UNSUPPORTED: written by a newer version. FAIL_CORRUPT. */
MUST_CHECK int smtp_session_import(const struct smtp_config *c, const struct smtp_backend *b,
				   struct str state, struct smtp_session **ret, struct fail *why);

#endif
