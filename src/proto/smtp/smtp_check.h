/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_check.h - the checks of the front door, one function each.             [proto/smtp only]
 *
 * A check says DUNNO (the next one decides), PERMIT (no further check of its class) or REFUSE, with
 * the reply in `refusal`. The lists in smtp_check.c are the order of the reference; a further check
 * is a function and a line there.
 */
#ifndef BARID_PROTO_SMTP_SMTP_CHECK_H
#define BARID_PROTO_SMTP_SMTP_CHECK_H

#include "proto/smtp/smtp_session_int.h"

enum check_says { CHECK_DUNNO, CHECK_PERMIT, CHECK_REFUSE, CHECK_FAILED };

struct check {
	struct smtp_turn *t;
	struct smtp_session *s;
	struct arena *arena;	       /* of the texts in `refusal` */
	struct netaddr client;	       /* family 0: not known */
	const struct smtp_addr *rcpt;  /* the address at hand */
	struct smtp_routing *routing;  /* before the relay checks: to be filled by who asks dir */
	const struct dir_route *route; /* where it leads; NULL before the relay checks */
	struct smtp_status refusal;    /* CHECK_REFUSE */
	struct fail why;	       /* CHECK_FAILED: somebody inside could not be asked */
	struct counter *counter;       /* of refusals for this reason; NULL: by its status */
	const char *at;		       /* for the log: HELO, MAIL, RCPT */
};

typedef enum check_says check_fn(struct check *c);

/*
 * What comes before the recipient is looked up: client, HELO and sender. Asked once for each
 * transaction; the answer is kept. True: the recipient is refused, and the client was told.
 * May fill *ret_routing on the way.
 */
bool smtp_check_sender(struct smtp_turn *t, const struct smtp_addr *rcpt,
		       struct smtp_routing *ret_routing);
/* And behind it: relay and recipient. */
bool smtp_check_rcpt(struct smtp_turn *t, const struct smtp_addr *rcpt,
		     const struct dir_route *route);

/* --- for the checks --- */
/* "<about>: text", kept in c->arena. */
enum check_says check_refuse(struct check *c, unsigned code, const char *enhanced, struct str about,
			     const char *text);
/* A header field for the message, unless it has it already. */
void check_prepend(struct check *c, struct str field);
/* "name[address]" of the client, in c->arena. */
struct str check_client_text(struct check *c);
/* check_access.c, check_helo.c, check_sender.c */
check_fn check_client_access, check_helo_access, check_sender_access, check_rcpt_access;
check_fn check_helo_full, check_helo_known;
check_fn check_policy; /* policy.c */
check_fn check_sender_full, check_sender_listed, check_sender_known;

#endif
