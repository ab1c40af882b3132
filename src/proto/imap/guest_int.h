/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_int.h - other accounts' mailboxes, between the files that have to do with them.
 *                                                                              [proto, imap]
 */
#ifndef BARID_PROTO_IMAP_GUEST_INT_H
#define BARID_PROTO_IMAP_GUEST_INT_H

#include "base/map.h"
#include "proto/imap/acl_int.h"
#include "proto/imap/guest.h"

#define SHARED_PREFIX "Shared/"
#define PUBLIC_PREFIX "Public/"

/* ---- guest.c: at home ------------------------------------------------------------------------ */

/* Is this a mailbox of another account? Then whose (in the command's arena), and what its names
 * begin with. */
bool guest_of_name(struct imap_session *s, struct str name, struct str *ret_owner,
		   struct str *ret_prefix);
/*
 * Where does the parsed command go? 0: it is carried out here. 1: run.row is set, to what passes it
 * on. -FAIL_*: refused.
 */
MUST_CHECK int guest_route(struct imap_session *s, struct imap_out *out, struct fail *why);
/* The mailbox of another account is not looked at any more. */
void guest_leave(struct imap_session *s);
/* Ask the visit where a mailbox is selected, or another one ("" state). Output goes to `out`. */
MUST_CHECK int guest_ask(struct imap_session *s, struct imap_guest_ask *ask, struct imap_out *out,
			 struct imap_guest_answer *ret, struct fail *why);
/* While parked in a mailbox of another account: its news. As a step of sync. */
MUST_CHECK int guest_news(struct imap_session *s, struct imap_out *out, struct fail *why);
/* The line that ends IDLE there. */
MUST_CHECK int guest_idle_end(struct imap_session *s, struct str line, struct imap_out *out,
			      struct fail *why);

/* At the owner's: names of the command lose their prefix. False: one is not of this account. */
bool guest_strip(struct imap_session *s);
bool guest_strip_name(const struct imap_session *s, struct str *name);

/* ---- search_filter.c ---------------------------------------------------------------------------
 */

/* The user's filters, for a search in another account: u16 and entry, u32 and value, of each. */
MUST_CHECK int search_filters_write(struct imap_session *s, struct buf *out, struct fail *why);

/* ---- guest_list.c ------------------------------------------------------------------------------
 */

/* At the owner's: the mailboxes that the guest may look up. */
MUST_CHECK int guest_list_write(struct imap_session *s, struct buf *out, struct fail *why);
/* At home: mailboxes of others, whose names could match, join the list; `rights` gets theirs, by
 * name, plus one. */
MUST_CHECK int guest_list_join(struct imap_session *s, const struct str *patterns, size_t n,
			       struct store_mailboxes *boxes, struct strmap *rights,
			       struct fail *why);

/* ---- cross.c: COPY and MOVE between accounts ----------------------------------------------------
 */

/* Where the messages are: the messages of the set, window by window. A handler. */
int cmd_take(struct imap_session *s, struct imap_out *out, struct fail *why);
/* Where they go to: `ask->text` is what cmd_take wrote, ask->bodies its files. "validity first" to
 * `reply`, also when it was there already. */
MUST_CHECK int cross_put(struct imap_session *s, const struct imap_guest_ask *ask,
			 struct buf *reply, struct fail *why);
/* IMAP_GUEST_UNDO, IMAP_GUEST_FORGET: by receipt alone, whatever the rights are by now. */
MUST_CHECK int cross_receipts(struct imap_session *s, const struct imap_guest_ask *ask,
			      struct fail *why);
/* At home: the command, whosever the two mailboxes are. A handler. */
int cmd_cross(struct imap_session *s, struct imap_out *out, struct fail *why);

#endif
