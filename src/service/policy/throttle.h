/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle.h - how much of what, and how much was it?                          [service/policy]
 *
 * A row of `throttle` has up to four limits for an account and a kind of mail. What counts against
 * it is in memory, one counter for each row and each key that it counts for, bounded in number, and
 * written to throttle_tracking behind the decision. Locks are inside; any thread.
 */
#ifndef BARID_SERVICE_POLICY_THROTTLE_H
#define BARID_SERVICE_POLICY_THROTTLE_H

#include "service/policy/policy_int.h"

enum throttle_kind {
	THROTTLE_OUTBOUND, /* who sends has logged in, or is a program of this machine */
	THROTTLE_EXTERNAL, /* anybody else who sends */
	THROTTLE_INBOUND,  /* who receives */
	THROTTLE_KINDS
};
const char *throttle_kind_name(enum throttle_kind k);

enum throttle_limit {
	THROTTLE_SIZE,	   /* octets of one message */
	THROTTLE_RCPTS,	   /* recipients of one message */
	THROTTLE_MESSAGES, /* within the period; a message counts once for each recipient */
	THROTTLE_QUOTA,	   /* octets within the period */
	THROTTLE_LIMITS
};
struct throttle_row {
	int64_t id, period_s, priority;
	int64_t limit[THROTTLE_LIMITS]; /* -1: another row says; 0: none */
	struct str account;
	enum policy_key_kind key;
	enum throttle_kind kind;
};

struct throttle_table;
#define THROTTLE_ROWS_MAX 64u /* that apply to one sender or recipient */
/*
 * Rows of a kind for these accounts and this client, the highest priority first; copies, whose
 * texts are the table's. Returns how many.
 */
size_t throttle_rows(const struct throttle_table *t, enum throttle_kind kind,
		     const struct policy_keys *const accounts[2], const struct netaddr *client,
		     struct throttle_row ret[THROTTLE_ROWS_MAX]);
bool throttle_any(const struct throttle_table *t, enum throttle_kind kind);

/* One thing to be counted: against this row, under this key. */
struct throttle_use {
	int64_t row, period_s;
	struct str key;
	int64_t messages_max, quota_max; /* -1: not limited here */
	int64_t messages, octets;	 /* of this mail */
};
struct throttle_excess {
	const struct throttle_use *use;
	enum throttle_limit limit;
	int64_t used; /* before this mail */
	int64_t left_s;
	bool first;   /* in this period */
	bool tell;    /* somebody is to be told of it: at most THROTTLE_TOLD_MAX an hour */
	bool changed; /* there is something to write; told without an excess, too */
};

#define THROTTLE_COUNTERS_MAX 200000u
#define THROTTLE_TOLD_MAX     20u /* strangers choose under which senders they come */
struct throttle_state;
enum throttle_mode { THROTTLE_DRY, THROTTLE_LOOK, THROTTLE_COUNT };
/* From now on it counts nothing for the metrics: a rehearsal. */
void throttle_rehearse(struct throttle_state *s);
/*
 * True: all of them are within their limits, and are counted with THROTTLE_COUNT. False: *ret is
 * the first that is not; nothing is counted, and unless THROTTLE_DRY it is noted that somebody was
 * told.
 */
bool throttle_count(struct throttle_state *s, const struct throttle_use *use, size_t n, int64_t now,
		    enum throttle_mode mode, struct throttle_excess *ret);

#endif
