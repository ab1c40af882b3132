/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - does a login send as it is used to?                                  [service]
 *
 * A stolen password is used to write to many strangers at once. Here is kept to whom an account has
 * written (hashes, no addresses), and how many were new to it lately. Who goes over the limit is
 * held until an operator says that it was the owner, or was not. dir keeps the file,
 * `dir/guard.db`; it may be lost: the guard then learns again, and nobody is held.
 *
 * Threads: any; a guard has a lock. Calls read and write the file; a message to people known
 * already only reads. Held accounts are on disk when a call returns, what was learned shortly
 * after.
 */
#ifndef BARID_SERVICE_GUARD_GUARD_H
#define BARID_SERVICE_GUARD_GUARD_H

#include "base/arena.h"
#include "base/fail.h"
#include "base/ids.h"

struct fs;
struct guard;

/* 0 = no such limit. */
struct guard_rules {
	uint32_t new_max;      /* recipients new to the account, within `window` */
	uint32_t failed_max;   /* recipients that were refused, within it */
	uint32_t networks_max; /* from which it is logged in to, within it */
	uint32_t held_max;     /* messages that wait while it is held; more are put off */
	int64_t window_us;
	int64_t memory_us; /* whom the account has not written to for so long is new again */
	uint32_t hour_messages, hour_recipients, day_messages, day_recipients;
};

/* A message that is about to be taken. */
struct guard_message {
	struct account_id account;
	const struct str *rcpts; /* on other servers */
	size_t n;
	uint32_t all;	  /* recipients in all, for the rates */
	uint32_t failed;  /* RCPTs refused since the last message */
	uint64_t network; /* guard_network of the client; 0 = not known */
	struct wall_us now;
};

enum guard_verdict {
	GUARD_PASS,
	GUARD_HELD, /* the account is held, and this message with it */
	GUARD_RATE, /* too many messages or recipients for the hour or the day, or held ones */
};
struct guard_answer {
	enum guard_verdict verdict;
	bool fresh; /* GUARD_HELD: from now on */
	char reason[200];
};

unsigned guard_format(void); /* version of the file */
/* `fs`: NULL = the real one. */
MUST_CHECK int guard_open(const char *path, struct fs *fs, struct guard **ret, struct fail *why);
void guard_close(struct guard *g); /* NULL is fine */

MUST_CHECK int guard_judge(struct guard *g, const struct guard_rules *rules,
			   const struct guard_message *m, struct guard_answer *ret,
			   struct fail *why);

#define GUARD_NETWORKS_MAX 32 /* that are remembered of an account */
/* The network of an address, as a number: IPv4 /24, IPv6 /48. 0 = it is no address. */
uint64_t guard_network(struct str ip);
/* Somebody has logged in to the account from there. */
void guard_login(struct guard *g, struct account_id account, struct str ip, struct wall_us now);

/* --- what operators see and say --- */

struct guard_row {
	struct account_id account;
	struct wall_us since; /* held since; 0: it is allowed everything */
	struct str reason;
	uint64_t messages; /* that came since */
	uint64_t strangers;
};
MUST_CHECK int guard_list(struct guard *g, size_t max, struct arena *a, struct guard_row **ret,
			  size_t *ret_n, struct fail *why);
/* Who sent how much, the most recipients of a day first. Only where rates are set. */
struct guard_traffic {
	struct account_id account;
	uint64_t hour_messages, hour_recipients, day_messages, day_recipients;
};
MUST_CHECK int guard_traffic_list(struct guard *g, size_t max, struct wall_us now, struct arena *a,
				  struct guard_traffic **ret, size_t *ret_n, struct fail *why);
/* It was the owner: whom the account wrote to is known from now on. -FAIL_NOTFOUND: not held. */
MUST_CHECK int guard_release(struct guard *g, struct account_id account, struct wall_us now,
			     struct fail *why);
/* It was not: what was learned since is forgotten. -FAIL_NOTFOUND: not held. */
MUST_CHECK int guard_reject(struct guard *g, struct account_id account, struct fail *why);
/* The account may write to whom it likes (newsletters), or no longer. Rates stay. */
MUST_CHECK int guard_allow(struct guard *g, struct account_id account, bool on, struct fail *why);

#endif
