/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_sasl.h - a SASL exchange in the lines of IMAP, SMTP or POP3.           [proto]
 *
 * RFC 3501 6.2.2 with RFC 4959, RFC 4954, RFC 5034. No I/O: each call appends the line to send,
 * CRLF included, to `reply`. Runs in edge. One thread at a time.
 *
 *     r = login_sasl_begin(&x, &start, &reply); then, by r:
 *     LOGIN_SASL_CONTINUE  send reply; r = login_sasl_line(&x, next line, &reply)
 *     LOGIN_SASL_VERIFY    ask dir: about x.credentials, or, when x.relayed, with the client's
 *                          message, x.message; then r = login_sasl_answer(&x, its answer, &reply)
 *     LOGIN_SASL_DECIDED   x.verdict; write it with login_sasl_verdict
 *     LOGIN_SASL_FAILED    send reply; the exchange is over
 *
 * PLAIN and LOGIN are understood here; what proves a password without showing it, and tokens, are
 * dir's (service/dir/dir.h, dir_sasl_begin): their messages pass through unseen.
 */
#ifndef BARID_PROTO_LOGIN_SASL_H
#define BARID_PROTO_LOGIN_SASL_H

#include "base/buf.h"
#include "codec/sasl/sasl.h"

enum login_dialect { LOGIN_IMAP, LOGIN_SMTP, LOGIN_POP3, LOGIN_MANAGESIEVE };

enum login_sasl_result {
	LOGIN_SASL_CONTINUE,
	LOGIN_SASL_VERIFY,
	LOGIN_SASL_DECIDED,
	LOGIN_SASL_FAILED
};

/* What a connection is offered. */
struct login_offer {
	uint32_t mechanisms; /* enum sasl_offer */
	bool tls;
	bool binding; /* the connection has a channel binding: -PLUS */
};

/* What dir said. Unknown user, wrong password and disabled service are one and the same outside. */
enum login_verdict {
	LOGIN_VERDICT_OK,
	LOGIN_VERDICT_REFUSED,
	LOGIN_VERDICT_UNAVAILABLE, /* dir cannot be asked now */
	LOGIN_VERDICT_BUSY,	   /* too many attempts; later */
};

#define LOGIN_TAG_MAX	    64
#define LOGIN_SASL_LINE_MAX 12288 /* RFC 4954 section 4: a base64 line without CRLF */

struct login_sasl {
	bool asked_again; /* IMAP_QUIRK_EMPTY_PLAIN */
	enum login_dialect dialect;
	char tag[LOGIN_TAG_MAX];
	size_t tag_n;
	struct sasl sasl;
	struct sasl_credentials credentials; /* secret */
	const char *mechanism;		     /* its name, or NULL: IMAP's LOGIN command */
	bool relayed;			     /* dir speaks it */
	bool begun;			     /* dir has the exchange's first message */
	bool ending;	    /* dir has granted; the client must answer its last challenge first */
	struct buf message; /* secret: what the client said, decoded */
	enum login_verdict verdict;
	const char *failed; /* LOGIN_SASL_FAILED: why, for the log */
};

struct login_sasl_start {
	enum login_dialect dialect;
	struct str tag; /* for IMAP, at most LOGIN_TAG_MAX bytes */
	struct str mechanism;
	struct str initial; /* as written in the command; {NULL, 0} when there was none */
	const struct login_offer *offer;
};

/* Dir's answer. */
struct login_answer {
	enum login_verdict verdict; /* unless more */
	bool more;
	struct str challenge; /* decoded; with a verdict: to be sent before it */
};

/* A mechanism that is not offered fails. */
enum login_sasl_result login_sasl_begin(struct login_sasl *x, const struct login_sasl_start *start,
					struct buf *reply);
/* A line from the client, without CRLF. */
enum login_sasl_result login_sasl_line(struct login_sasl *x, struct str line, struct buf *reply);
enum login_sasl_result login_sasl_answer(struct login_sasl *x, const struct login_answer *a,
					 struct buf *reply);
/* Append the names of what is offered, best first, each behind `prefix`; PLAIN and LOGIN last. */
void login_sasl_names(const struct login_offer *offer, const char *prefix, bool plain,
		      struct buf *out);
/* Overwrites what is secret, and frees. A struct that is all zero is cleared. */
void login_sasl_clear(struct login_sasl *x);

/*
 * The closing line after dir's verdict, for SMTP and POP3 and for IMAP's failures. For IMAP's
 * success login_imap writes it, because it carries capabilities.
 */
void login_sasl_verdict(struct buf *reply, enum login_dialect dialect, struct str tag,
			enum login_verdict verdict);

#endif
