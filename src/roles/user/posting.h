/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posting.h - where mail to user+mailbox@domain goes.                        [roles/user, private]
 *
 * RFC 4314's right "p". Who has logged in to send is known, whatever the sender's address says;
 * everybody else is a stranger, whom entries for "anyone" alone speak of. Where no entry of the
 * mailbox speaks of "p" to who sends, mail may come into a user's mailboxes, as users of such
 * addresses expect, but not into public ones. What may not come there goes to the inbox.
 *
 * Addresses compare without regard to case, and lose it on their way: so do the names of mailboxes
 * here, where there is none that agrees exactly.
 */
#ifndef BARID_ROLES_USER_POSTING_H
#define BARID_ROLES_USER_POSTING_H

#include "base/arena.h"
#include "base/ids.h"
#include "base/str.h"

struct posting {
	struct account_id account; /* one of ours, */
	struct str address;	   /* and its address */
	struct str detail;	   /* the mailbox, perhaps */
	struct account_id sender;  /* who has logged in; {0}: nobody */
};
/* The mailbox's name in `a`, or "" for the inbox; also when it cannot be told now. Blocking. */
struct str posting_target(const struct posting *p, struct arena *a);

#endif
