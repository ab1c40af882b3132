/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what the DNS says about clients and names, found out beside the sessions.  [roles,
 * private]
 *
 * A fact has a key: "is there such a name", "what is this address called", "what do the lists say
 * of it", "has it passed the test of patience". Who asks for one that is not there starts the
 * questions, on the loop, all lists at the same time; who needs the answer waits for it on a worker
 * thread, at most as long as it likes, and gets what has come by then. Facts are kept as long as
 * their records say, within bounds, and forgotten with the process.
 */
#ifndef BARID_ROLES_MTA_FACTS_H
#define BARID_ROLES_MTA_FACTS_H

#include "base/ids.h"
#include "codec/smtp/dnsbl.h"
#include "proto/smtp/smtp_door.h"
#include "roles/role/role.h"

/* Before the first question. */
void facts_begin(struct role *role);

/* Any thread: ask, unless it is known or being asked. */
void facts_want_client(const struct netaddr *client);
struct fact_lists { /* which lists; of a configuration */
	const struct dnsbl_site *sites;
	size_t n;
};
void facts_want_lists(const struct netaddr *client, const struct fact_lists *lists);

/*
 * Worker threads: ask and wait, at most ms. When half of the threads wait already (a stranger's
 * name servers may be as slow as they like), nobody else does: what is not there yet is not known.
 */
enum smtp_name facts_name(struct str name, uint64_t ms);
/*
 * The verified name of a client, one that its address has and that has this address, and the first
 * that the address has (ret->name, ret->ptr). False: it has no verified one, or nobody knows by
 * now; *ret_sure tells which.
 */
bool facts_client(const struct netaddr *client, uint64_t ms, struct smtp_client *ret,
		  bool *ret_sure);
struct fact_score {
	int score;
	char zone[200]; /* the list that weighs most; empty: none lists it */
};
void facts_score(const struct netaddr *client, const struct fact_lists *lists, uint64_t ms,
		 struct fact_score *ret);

/* The test of patience. Any thread. */
bool facts_passed(const struct netaddr *client);
void facts_pass(const struct netaddr *client, uint64_t ms);

#endif
