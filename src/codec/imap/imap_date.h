/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imap_date.h - INTERNALDATE and search dates.                                 [codec, pure]
 *
 * RFC 3501 section 9: date-time "dd-Mon-yyyy hh:mm:ss +zzzz" and date-text "d-Mon-yyyy".
 * Month names are case-insensitive.
 */
#ifndef BARID_CODEC_IMAP_DATE_H
#define BARID_CODEC_IMAP_DATE_H

#include "base/buf.h"
#include "base/ids.h"

/* A moment and the zone that it was written in (what SEARCH BEFORE/ON/SINCE compare). */
struct imap_datetime {
	struct wall_us at;
	int16_t zone_min; /* minutes east of Greenwich */
};

/* All of s, without the quotes. A leap second counts as :59. -FAIL_SYNTAX otherwise. */
int imap_datetime_parse(struct str s, struct imap_datetime *ret) MUST_CHECK;
/* With the quotes. */
int imap_datetime_write(struct buf *out, struct imap_datetime t);

/* All of s ("1-Feb-1994") into days since 1970-01-01. */
int imap_day_parse(struct str s, int32_t *ret_day) MUST_CHECK;
/* Day of t in its own zone, in days since 1970-01-01. */
int32_t imap_day_of(struct imap_datetime t);

#endif
