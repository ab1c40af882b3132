/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h - mailboxes of other accounts in a session (RFC 4314; docs/adr/0050).   [proto, imap]
 *
 * The account of a session has one process, and the mailbox of another account may have another
 * one. So what concerns that mailbox is a question of the *home* session to a *visit*: the same
 * code, at the owner's store, as a guest. A visit is short: it begins with the state that the last
 * answer held, and leaves nothing behind but an unfinished command, or the watch of IDLE. So the
 * owner's process may end at any time, and a home session knows all of it when it is exported.
 *
 * What travels is the client's own command; the visit reads it again, and answers with lines as
 * the client gets them. The tagged line is the home session's.
 */
#ifndef BARID_PROTO_IMAP_GUEST_H
#define BARID_PROTO_IMAP_GUEST_H

#include "proto/imap/imap_session.h"

enum imap_guest_what {
	IMAP_GUEST_COMMAND, /* text; also the line that ends IDLE */
	IMAP_GUEST_RESUME,  /* after IMAP_MORE */
	IMAP_GUEST_WAKE,    /* in IDLE: what is new? */
	IMAP_GUEST_LIST,    /* all mailboxes that the guest may see, as guest_list.c writes them */
	IMAP_GUEST_TAKE,    /* text is COPY or MOVE: the messages, as cross.c writes them */
	IMAP_GUEST_PUT,	    /* text is such messages, `name` the mailbox that they go to */
	IMAP_GUEST_UNDO,    /* take back what came under the receipts 0 to `count` - 1 */
	IMAP_GUEST_FORGET,  /* these receipts are not needed any more */
	IMAP_GUEST_END,	    /* the home session ends or looks elsewhere; no answer is needed */
	IMAP_GUEST_WHAT_COUNT,
};

#define IMAP_GUEST_BODIES 12 /* files in one question or answer */
#define IMAP_GUEST_STATE  KIB(48)
#define IMAP_GUEST_NOTES  KIB(256) /* bytes of filters */

struct imap_guest_ask {
	enum imap_guest_what what;
	struct str owner;  /* address */
	struct str prefix; /* of names, for the client */
	struct str state;  /* as last answered; empty: nothing is selected there */
	uint32_t enabled;  /* enum imap_enable_bit */
	unsigned rights;   /* enum imap_right */
	struct str text;
	struct str name;    /* as the client has it */
	struct str filters; /* COMMAND: the viewer's, as search_filters_write has them */
	const struct imap_external *external;
	size_t external_count;
	struct store_body *bodies; /* of external literals, or of messages; sealed */
	size_t n_bodies;
	const struct store_receipt *receipt; /* PUT; UNDO and FORGET: `number` is of no interest */
	uint32_t count;			     /* UNDO, FORGET */
};

struct imap_guest_answer {
	enum imap_next next;
	uint32_t enabled;
	bool selected;	  /* a mailbox is, or still is */
	struct buf reply; /* of the tagged line: "OK ..."; PUT: "uidvalidity first" */
	struct buf state;
};
#define IMAP_GUEST_ANSWER_INIT                                                                     \
	((struct imap_guest_answer){.reply = BUF_INIT(MIB(8)), .state = BUF_INIT(KIB(64))})
void imap_guest_answer_clear(struct imap_guest_answer *a);
DEFINE_AUTO(imap_guest_answer, struct imap_guest_answer, imap_guest_answer_clear);

/* ---- at the owner's ------------------------------------------------------------------------ */

/* What stays between two questions of one home session. NULL: nothing. */
struct imap_visit;

/*
 * Answer one question. `args` is the owner's account, with the guest; lines go to `out`. *v is made
 * and freed as needed. Returns 0, or a negative code when the question could not be answered at
 * all (*v is NULL then): -FAIL_CONFLICT: the state cannot be rebuilt.
 */
MUST_CHECK int imap_visit_serve(struct imap_visit **v, const struct imap_session_args *args,
				const struct imap_guest_ask *ask, struct imap_out *out,
				struct imap_guest_answer *ret, struct fail *why);
void imap_visit_free(struct imap_visit *v); /* NULL is fine */

#endif
