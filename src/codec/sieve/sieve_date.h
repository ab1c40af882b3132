/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sieve_date.h - the parts of a moment that `date` compares (RFC 5260 4.2). [codec/sieve, internal]
 */
#ifndef BARID_CODEC_SIEVE_DATE_H
#define BARID_CODEC_SIEVE_DATE_H

#include "base/buf.h"
#include "base/ids.h"

bool sieve_date_part_known(struct str part);
/* Append the part of @t as seen @zone_min east of UTC; nothing when there is no such part. */
void sieve_date_part(struct buf *out, struct str part, struct wall_us t, int zone_min);

#endif
