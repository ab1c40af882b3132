/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grey.h - what greylisting knows: rows of the operator, and who has been seen. [service/policy]
 *
 * Rows (greylisting_*) are a table of the policy service. Who has been seen is in memory: triplets
 * of sender, recipient and client's network that wait, and networks that have waited and came
 * again. Both are bounded; the longest unused goes. What changes is written to
 * greylisting_tracking behind the decision, many rows at once, and read again at the start; what a
 * crash loses costs a sender one more wait. Locks are inside; any thread.
 */
#ifndef BARID_SERVICE_POLICY_GREY_H
#define BARID_SERVICE_POLICY_GREY_H

#include "service/policy/policy_int.h"

/* --- rows --- */

struct grey_table;
/* A row that says who is asked about: in the texts that it borrows from the table. */
struct grey_row {
	struct str account, sender, comment;
	bool active;
};
/* On a white list? Accounts are keys of the recipient, senders those of sender and client. */
bool grey_white(const struct grey_table *t, const struct policy_keys *accounts,
		const struct policy_keys *const senders[2], const struct netaddr *client,
		struct grey_row *ret);
/* The setting of the highest priority. False: there is none. */
bool grey_setting(const struct grey_table *t, const struct policy_keys *accounts,
		  const struct policy_keys *const senders[2], const struct netaddr *client,
		  struct grey_row *ret);

/* Rows of greylisting_whitelists that whitelist_outbound writes: the newest count, the others are
 * deleted by the hour. */
#define GREY_LEARNED	 "AUTO-WHITELISTED"
#define GREY_LEARNED_MAX "100000"

/* --- who has been seen --- */

#define GREY_WAITING_MAX 200000u
#define GREY_CLIENTS_MAX 200000u

enum grey_judgement {
	GREY_KNOWN,  /* the client's network has passed before */
	GREY_PASSES, /* it came again, and passes from now on */
	GREY_NEW,    /* never seen, or too long ago */
	GREY_WAITS   /* it came again too soon */
};
struct grey_triplet {
	struct str sender, recipient; /* lower case, without detail */
	struct str sender_domain, recipient_domain;
	struct str network, client; /* "192.0.2.0/24", and the address itself */
	int64_t now;		    /* seconds */
	const struct policy_greylist *settings;
};
struct grey_state;
/* Known, without changing anything. */
bool grey_is_known(struct grey_state *s, const struct grey_triplet *t);
struct grey_answer {
	enum grey_judgement what;
	int64_t left_s; /* until it may come again; GREY_WAITS and GREY_NEW */
	bool changed;	/* there is something to write */
};
/* `dry`: nothing changes. */
struct grey_answer grey_judge(struct grey_state *s, const struct grey_triplet *t, bool dry);
/* It has passed by another way (or was put on a white list): what is known of this network goes. */
void grey_forget(struct grey_state *s, struct str network);
/* From now on it counts nothing for the metrics: a rehearsal. */
void grey_rehearse(struct grey_state *s);
size_t grey_count(struct grey_state *s, size_t *ret_clients);

#endif
