/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_session_int.h - between the files of the SMTP dialogue.                 [proto/smtp only]
 *
 * smtp_session.c   life, the loop over lines, ends
 * cmd_hello.c      HELO EHLO STARTTLS AUTH XCLIENT
 * cmd_mail.c       MAIL RSET, and the transaction's life
 * cmd_rcpt.c       RCPT: routing, expansion, duplicates
 * smtp_check.c     the checks of the front door, in their order; check_*.c, one by one
 * cmd_data.c       DATA BDAT
 * message.c        the arrived message: scan, trace header, queue (smtp_message.h)
 * content.c        its lines in the operator's tables; draft.c: a message that is written anew
 * filter.c         milters: the events of a session
 * filter_mail.c    milters: a message, and what they make of it
 * alert.c          mail to the postmaster
 * guard.c          a user's message, seen by the take-over guard
 * policy.c         the rules about recipients and messages (service/policy)
 * lmtp.c           LMTP's replies to a message
 * cmd_extra.c      XFORWARD ETRN
 * cmd_other.c      NOOP VRFY EXPN HELP QUIT, and what is no command
 * wishes.c         FUTURERELEASE, DELIVERBY, MT-PRIORITY, REQUIRETLS
 * smtp_state.c     export and import
 */
#ifndef BARID_PROTO_SMTP_SMTP_SESSION_INT_H
#define BARID_PROTO_SMTP_SMTP_SESSION_INT_H

#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/smtp/smtp_cmd.h"
#include "proto/smtp/smtp_session.h"
#include "sys/counter.h"
#include "sys/offence.h"

#define SMTP_TEXT_MAX	     512     /* session texts: names, addresses */
#define SMTP_TRANSACTION_MAX MIB(16) /* memory of one transaction */
#define SMTP_MAP_MAX	     MIB(4)  /* of a message map */

/* What the next call must be. */
enum smtp_mode {
	SMTP_MODE_LINES,
	SMTP_MODE_DATA,
	SMTP_MODE_BDAT,
	SMTP_MODE_TLS,
	SMTP_MODE_AUTH,
	SMTP_MODE_CLOSED,
};

struct smtp_said {
	struct str address;
	struct smtp_status verdict; /* on the message; code 0: it may have it */
};

/* What tables of the operator order for a message. Exported. */
struct smtp_orders {
	bool discard;
	struct str held;     /* why it waits for the operator; empty: it does not */
	struct str filter;   /* next hop of a content filter */
	struct str prepend;  /* header lines, each with its CRLF */
	struct str redirect; /* the only recipient */
	struct str bcc;	     /* one recipient more */
};

/* From MAIL to the end of the message. All texts live in the arena. */
struct smtp_transaction {
	bool open;
	bool bdat; /* a chunk was taken: only BDAT and RSET may follow */
	bool bdat_last;
	bool copies; /* some of rcpts are there for a copy */
	bool smtputf8;
	enum smtp_body_type body;
	enum smtp_ret ret;
	uint32_t accepted;	      /* RCPT commands answered 250 */
	uint64_t size;		      /* announced; 0 = not */
	uint64_t chunk;		      /* octets of the BDAT that is being collected */
	uint64_t bdat_size;	      /* with it */
	struct spool_body_id body_id; /* the open file, ours to submit or drop; zero: none */
	struct str from;	      /* empty: the null sender */
	bool arrived;		      /* the message is here and counted */
	bool discarded; /* a milter wants it accepted and forgotten; not exported: it says so again
			 */
	struct str envid;
	struct spool_wishes wish; /* what MAIL asked for; its texts are empty */
	/* What the front door thinks of client, HELO and sender; not exported: it looks again. */
	bool passed;
	struct smtp_status refused; /* code 0: not (yet) */
	const char *refused_at;
	struct counter *refused_counter;
	struct str refused_rule;
	struct smtp_orders orders;
	VEC(struct spool_rcpt) rcpts; /* destinations, no two alike */
	VEC(struct smtp_said) said;   /* LMTP: each RCPT that was accepted, in order */
	struct strmap seen;	      /* their keys */
	struct arena arena;
};

struct smtp_session {
	const struct smtp_config *config;
	const struct smtp_backend *backend;
	enum smtp_service service;
	enum smtp_mode mode;
	struct trace_id trace;
	bool trusted;
	bool may_relay;		   /* to any domain, without a login */
	bool xclient;		   /* the peer is one of xclient_from */
	bool xclient_login;	   /* and of xclient_login_from */
	bool esmtp;		   /* EHLO, not HELO */
	bool early;		   /* it spoke before the greeting */
	struct account_id account; /* after AUTH */
	uint64_t credential;
	uint32_t errors;       /* since the last accepted message */
	uint32_t junk;	       /* likewise */
	uint32_t messages;     /* accepted or refused after DATA */
	uint32_t failed_rcpts; /* of a user, refused since the last message; not exported */
	struct buf ip, rdns, tls, helo, login;
	struct buf user;       /* of this machine, whose program it is; empty: a network client */
	struct buf mechanisms; /* of AUTH, each behind a blank */
	uint16_t port;	       /* the client's; 0: not known */
	struct buf local_ip;   /* what it has connected to; empty: not known */
	uint16_t local_port;
	struct buf cert_subject; /* common names of its certificate, not verified; or empty */
	struct buf cert_issuer;
	struct buf auth_type;	 /* the mechanism of the login */
	struct milters *milters; /* NULL: none, or not needed yet. Not exported */
	struct str milter_rcpt;	 /* whom the event is about, for macros */
	bool milter_rcpt_local;
	struct buf forward; /* XFORWARD attributes, until the transaction ends */
	bool client_known;  /* `client` was asked for. Not exported, as the next */
	struct smtp_client client;
	struct smtp_transaction t;
};

/* One call: the session, where replies go, what edge does next. */
/* Where the recipient at hand leads. The question about the sender brings it along. */
struct smtp_routing {
	struct arena *arena;
	struct dir_route route;
	bool known;
};

struct smtp_turn {
	struct smtp_session *s;
	struct buf *out;
	struct smtp_result *ret;
	bool more;		 /* bytes wait behind the current line */
	struct counter *counter; /* of what is about to be refused; NULL: by its status */
	struct str rule; /* for the log: the directory's word on what is about to be refused */
	bool told;	 /* the log has the refusal already */
	bool drop_rcpt;	 /* the recipient at hand is accepted, and nobody gets its copy */
	size_t replies;	 /* LMTP: the reply is said once for each recipient; 0 = 1 */
};

/* --- smtp_session.c --- */
/* Replies of a constant text, or formatted. Each 5xx counts as an error of the client; refusals are
 * logged. */
void smtp_say(struct smtp_turn *t, struct smtp_status status);
void smtp_sayf(struct smtp_turn *t, unsigned code, const char *enhanced, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* The same, and a line in the log: `what` was refused for `about`, because of *why if not NULL. */
void smtp_refuse(struct smtp_turn *t, struct smtp_status status, const char *what, struct str about,
		 const struct fail *why);
/* The reply for a failure inside: always 4xx, told in the log. */
void smtp_refuse_fail(struct smtp_turn *t, int r, const char *what, struct str about,
		      const struct fail *why);
void smtp_close(struct smtp_turn *t);
/* 421, a line in the log, and the end. */
/* Count and log what the client did. */
void smtp_offence(const struct smtp_session *s, const struct offence *o, const char *why);
void smtp_hang_up(struct smtp_turn *t, const char *enhanced, const char *text);
struct smtp_turn smtp_turn_begin(struct smtp_session *s, struct buf *out, struct smtp_result *ret);
/* Unless `fits`: edge called what it should not have (it may be compromised); hangs up. */
bool smtp_wrong_mode(struct smtp_turn *t, bool fits);
/* Keep `text` as the session's. */
void smtp_keep(struct buf *b, struct str text);
/* True when no message may come now; *ret is the reply. */
bool smtp_data_refusal(const struct smtp_session *s, struct smtp_status *ret);
/* The next `size` octets of the message are taken, by BDAT or BURL. */
void smtp_chunk_begin(struct smtp_turn *t, uint64_t size, bool last);
/* True when the service lets nobody do this yet; *ret says why. */
bool smtp_gate(const struct smtp_session *s, struct smtp_status *ret);
/* LMTP, and where filters give mail back: the client is a program of ours. */
static inline bool smtp_is_internal(const struct smtp_session *s)
{
	return s->service >= SMTP_SERVICE_LMTP;
}
/* Not of programs that call sendmail: those are anybody's. */
static inline bool smtp_is_filter(const struct smtp_session *s)
{
	return smtp_is_internal(s) && s->service != SMTP_SERVICE_LOCAL;
}
static inline bool smtp_is_lmtp(const struct smtp_session *s)
{
	return s->service == SMTP_SERVICE_LMTP;
}
/* As the log and others call it. */
struct str smtp_service_name(const struct smtp_session *s);
struct smtp_session *smtp_session_alloc(const struct smtp_config *c, const struct smtp_backend *b);

/* --- the commands --- */
void smtp_cmd_hello(struct smtp_turn *t, const struct smtp_cmd *cmd);
void smtp_cmd_starttls(struct smtp_turn *t);
void smtp_cmd_xclient(struct smtp_turn *t, const struct smtp_cmd *cmd);
void smtp_cmd_xforward(struct smtp_turn *t, const struct smtp_cmd *cmd);
void smtp_cmd_etrn(struct smtp_turn *t, const struct smtp_cmd *cmd);
void smtp_cmd_auth(struct smtp_turn *t, const struct smtp_cmd *cmd);
void smtp_cmd_mail(struct smtp_turn *t, const struct smtp_cmd *cmd);
void smtp_cmd_rcpt(struct smtp_turn *t, const struct smtp_cmd *cmd);
void smtp_cmd_data(struct smtp_turn *t);
void smtp_cmd_bdat(struct smtp_turn *t, const struct smtp_cmd *cmd);
void smtp_cmd_burl(struct smtp_turn *t, const struct smtp_cmd *cmd);
bool smtp_burl_offered(const struct smtp_session *s);
void smtp_cmd_other(struct smtp_turn *t, const struct smtp_cmd *cmd);
/* A BDAT that cannot be understood: what follows it cannot either. */
void smtp_cmd_bdat_broken(struct smtp_turn *t, struct smtp_status refusal);
/* A line without a known verb. */
void smtp_cmd_unknown(struct smtp_turn *t, struct str line, struct smtp_status refusal);

/* "1f", and "1f-2" for the second message of a connection, as in the log. */
void smtp_trace_write(struct buf *out, const struct smtp_session *s);
/* The whole message is here: accept or refuse it, with the reply. The body is then taken care of.
 */
void smtp_message(struct smtp_turn *t, const struct smtp_body *body);

/* --- guard.c --- */
/*
 * Before a message is submitted: why it is to be held goes into `held`, if it is. Returns 1 when it
 * was refused with a reply, 0, or a negative fail code.
 */
MUST_CHECK int smtp_guard(struct smtp_turn *t, struct buf *held, struct fail *why);

/* --- policy.c --- */
/* Before a message is submitted. True: it was refused or thrown away, and the client was told. */
bool smtp_policy_message(struct smtp_turn *t, uint64_t size);

/* --- wishes.c --- */
/* What EHLO names of them. */
void smtp_wish_keywords(const struct smtp_session *s, struct buf *out);
/* True when MAIL asks for what it cannot have; *ret is the reply. */
bool smtp_wish_refusal(const struct smtp_session *s, const struct smtp_mail *m,
		       struct smtp_status *ret);
/* Keep what MAIL asked for in the transaction that has begun, and answer MAIL. */
void smtp_wish_take(struct smtp_turn *t, const struct smtp_mail *m);

/* --- lmtp.c --- */
/*
 * The message has `size` octets, perhaps more than was announced: who cannot have it gets a verdict
 * and loses its destinations. Returns 0 or a negative fail code.
 */
MUST_CHECK int smtp_lmtp_judge(struct smtp_turn *t, uint64_t size, struct fail *why);
/* A reply for each recipient; the others' copies are in the queue under this number. */
void smtp_lmtp_answer(struct smtp_turn *t, uint64_t number);

/* --- cmd_extra.c --- */
bool smtp_xforward_offered(const struct smtp_session *s);
bool smtp_etrn_offered(const struct smtp_session *s);
/* Somebody has said by XFORWARD whose mail this is. */
struct xclient;
bool smtp_forwarded(const struct smtp_session *s, struct xclient *ret);

/* --- smtp_check.c --- */
/* One more of these. True: too often, and the client was told so. */
bool smtp_too_often(struct smtp_turn *t, enum smtp_event event, const char *at, struct str about);
/* Ask once who the client is: for its name in Received and in the log. */
void smtp_learn_client(struct smtp_session *s);

/* --- check_access.c --- */
/* Before the message is submitted: the recipients that tables name. */
MUST_CHECK int smtp_orders_apply(struct smtp_session *s, struct fail *why);
/* True: the message is thrown away, and the client was told that all is well. */
bool smtp_orders_discard(struct smtp_turn *t);
/* --- filter.c: each is true when a milter has refused, and the client was told --- */
bool smtp_filter_helo(struct smtp_turn *t);
bool smtp_filter_mail(struct smtp_turn *t, const struct smtp_cmd *cmd);
bool smtp_filter_rcpt(struct smtp_turn *t, const struct smtp_cmd *cmd, struct str to, bool local);
bool smtp_filter_data(struct smtp_turn *t);
bool smtp_filter_unknown(struct smtp_turn *t, struct str line);
/* A recipient that was refused by us. */
void smtp_filter_rcpt_refused(struct smtp_session *s, const struct smtp_cmd *cmd, struct str to);
/* The session's milters, told what they need to know; NULL: there are none. */
struct milters *smtp_milters(struct smtp_session *s);
/* Say what a milter wants said. */
bool smtp_filter_settle(struct smtp_turn *t, const struct milter_outcome *o, const char *what,
			struct str about);

/* --- cmd_mail.c, cmd_rcpt.c --- */
/* What dir's verdict means for this client; code 0: accepted. */
struct smtp_status smtp_verdict_reply(const struct smtp_session *s, const struct dir_route *route);
/* Where the address leads, seen from this service. */
MUST_CHECK int smtp_route(const struct smtp_session *s, struct str to, uint64_t size,
			  struct arena *a, struct dir_route *ret, struct fail *why);
/* Take away the destinations that a RCPT of this address brought. */
void smtp_transaction_forget(struct smtp_transaction *t, struct str original);
/* Forget the transaction and drop its body file. */
void smtp_transaction_reset(struct smtp_session *s);
/*
 * Add a destination unless it is there; texts are copied. 1 added, 0 there already, or -FAIL_LIMIT
 * when the transaction's memory is full.
 */
MUST_CHECK int smtp_transaction_add(struct smtp_transaction *t, const struct spool_rcpt *r);
/* All destinations of a recipient, or none. */
MUST_CHECK int smtp_transaction_add_rcpt(struct smtp_transaction *t, const struct smtp_rcpt *rcpt,
					 struct str original, const struct dir_route *route);

#endif
