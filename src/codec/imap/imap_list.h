/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_list.h - does a mailbox name match a LIST pattern?                      [codec, pure]
 *
 * RFC 3501 section 6.3.8. The hierarchy separator is '/'. Names and patterns are UTF-8.
 */
#ifndef BARID_CODEC_IMAP_LIST_H
#define BARID_CODEC_IMAP_LIST_H

#include "base/buf.h"

#define IMAP_SEPARATOR	      '/'
#define IMAP_LIST_PATTERN_MAX 2048 /* bytes; a longer pattern matches nothing */

/*
 * `*` matches anything, `%` anything without a separator. The first level INBOX matches in any
 * case, the rest bytewise. Time is bounded by pattern length times name length.
 */
bool imap_list_match(struct str pattern, struct str name);

/* The canonical pattern of LIST reference mailbox: a leading separator in `mailbox` makes it
 * absolute, otherwise it is appended. */
int imap_list_pattern(struct buf *out, struct str reference, struct str mailbox);

/* "INBOX" in any case. */
bool imap_is_inbox(struct str name);

#endif
