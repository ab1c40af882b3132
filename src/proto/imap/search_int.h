/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_int.h - does a message meet a search key?                             [proto, imap]
 *
 * Keys are looked at on three levels, cheapest first: what the mailbox map holds in memory, what
 * one row with its message map tells, and the bytes. A verdict that a level cannot give is OPEN;
 * the last level gives all. So FROM "x" BODY "y" opens only bodies of mail from x.
 */
#ifndef BARID_PROTO_IMAP_SEARCH_INT_H
#define BARID_PROTO_IMAP_SEARCH_INT_H

#include "proto/imap/fetch_int.h"

enum search_level { SEARCH_MEMORY, SEARCH_ROW, SEARCH_BYTES };
enum search_verdict { SEARCH_NO, SEARCH_YES, SEARCH_OPEN };

/*
 * Prepare a tree for this mailbox: sets are resolved in place, columns (enum store_column) that
 * the row level needs are added to *columns. -FAIL_UNSUPPORTED: a text that is not UTF-8.
 */
MUST_CHECK int search_prepare(struct imap_session *s, struct imap_search_key *key,
			      unsigned *columns, struct fail *why);
/* Errors come from reading only, so SEARCH_MEMORY never fails. */
MUST_CHECK int search_eval(struct msg *m, const struct imap_search_key *key,
			   enum search_level level, enum search_verdict *ret, struct fail *why);

/* The keys HEADER, BODY and TEXT (search_text.c), on the row or bytes level. */
MUST_CHECK int search_text(struct msg *m, const struct imap_search_key *key,
			   enum search_level level, enum search_verdict *ret, struct fail *why);

#endif
