/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logfmt.h - read back what sys/log.h writes.                                  [codec, pure]
 *
 *     2026-11-22T00:13:44.123456Z info mta[123] event=smtp.accepted trace=1f from="a b" size=812
 *
 * A line may have anything in front of it (journald's prefix): it begins where the time does. What
 * is not such a line is refused, never guessed.
 */
#ifndef BARID_CODEC_LOGFMT_LOGFMT_H
#define BARID_CODEC_LOGFMT_LOGFMT_H

#include "base/buf.h"
#include "base/ids.h"
#include "base/str.h"

/* Borrows from the line. */
struct logfmt {
	struct wall_us at;
	struct str level;
	struct str role;
	uint32_t pid;
	struct str event;
	uint64_t trace;	   /* 0 = none */
	struct str fields; /* behind the event, the trace included */
};

/* Without its newline. False: not a line of ours. */
bool logfmt_parse(struct str line, struct logfmt *ret);

/* The next field of *rest; the value as it is written, quotes included. False at the end. */
bool logfmt_next(struct str *rest, struct str *ret_key, struct str *ret_value);
/* As it is written; false: there is no such field. */
bool logfmt_find(const struct logfmt *l, struct str key, struct str *ret_value);
/* What the value says. -FAIL_LIMIT: out is too small. */
int logfmt_value(struct str written, struct buf *out);

/* "2026-11-22T00:13:44.123456Z"; digits behind the dot may be missing, and the Z. */
bool logfmt_time(struct str s, struct wall_us *ret);

#endif
