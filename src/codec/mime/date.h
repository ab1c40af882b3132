/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date.h - the Date field.                                                     [codec, pure]
 *
 * RFC 5322 3.3 and 4.3 (two-digit years, zone names, comments), and beyond it what old mail has:
 * no weekday, no seconds, no zone (taken as UTC), "Tue Feb 3 12:00:00 2004" as asctime writes it,
 * day and month joined by "-".
 */
#ifndef BARID_CODEC_MIME_DATE_H
#define BARID_CODEC_MIME_DATE_H

#include "base/buf.h"
#include "base/ids.h"
#include "base/str.h"

/* False when `text` is no date; then nothing is stored. *ret_zone_min is minutes east of UTC. */
bool date_parse(struct str text, struct wall_us *ret, int *ret_zone_min);

/* Append "Tue, 3 Feb 2004 12:00:00 +0100". */
int date_write(struct buf *out, struct wall_us t, int zone_min);

#endif
