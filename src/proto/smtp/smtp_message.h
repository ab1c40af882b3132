/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_message.h - a message on its way from the last octet to the answer.      [proto/smtp only]
 */
#ifndef BARID_PROTO_SMTP_SMTP_MESSAGE_H
#define BARID_PROTO_SMTP_SMTP_MESSAGE_H

#include "codec/mime/map.h"
#include "proto/smtp/smtp_session_int.h"

/* What comes together. */
struct smtp_incoming {
	struct smtp_session *s;
	const struct smtp_body *body;
	struct wall_us now;
	struct buf date; /* defaults of a submission */
	struct buf message_id;
	struct smtp_scan scan;
	struct buf prefix;
	struct buf sent_id; /* the message's Message-ID, for the log */
	uint32_t hops;
	bool tls_optional;
	uint64_t number; /* of the queue */
	/* What milters made of it. */
	struct smtp_body rewritten; /* `body` points here then */
	struct buf bytes;	    /* of it, when small */
	struct buf held;	    /* not empty: it waits for the operator, and why */
	bool pass;		    /* a table says that nobody else is to look at it */
	bool dated, identified;	    /* the prefix has the default of Date, of Message-ID */
};

/* The message waits for the operator, for this reason, which may be any text: it is made to fit. */
void smtp_message_hold(struct buf *held, struct str reason);

/*
 * Look for the message's lines in the operator's tables, and make the changes that these want; a
 * submission without From gets it. 0: go on; 1: the client has its answer; or a negative fail code.
 */
MUST_CHECK int smtp_content_check(struct smtp_turn *t, struct smtp_incoming *in, struct fail *why);

/* A mail to the postmaster, in the server's language: `write` says the text, in lines. */
struct smtp_alert {
	const char *subject; /* and behind it, */
	struct str about;
	void (*write)(const struct smtp_session *s, struct str reason, struct buf *out);
};
MUST_CHECK int smtp_alert(struct smtp_session *s, const struct smtp_alert *what, struct str reason,
			  struct fail *why);

/* Index the body that in->body is; once more, and the prefix has what is missing then. */
MUST_CHECK int smtp_message_scan(struct smtp_incoming *in, struct fail *why);
MUST_CHECK int smtp_message_rescan(struct smtp_incoming *in, struct fail *why);

/*
 * Show the message to the milters, and make the changes that they want. 0: go on; 1: the client has
 * its answer; or a negative fail code.
 */
MUST_CHECK int smtp_filter_message(struct smtp_turn *t, struct smtp_incoming *in, struct fail *why);

#endif
