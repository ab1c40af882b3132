/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sts.h - the MTA-STS policy of a domain, found, fetched and remembered (RFC 8461). [roles,
 * private]
 *
 * A policy counts until it expires, also when it can no longer be found or fetched (5.1): dir keeps
 * it on disk. It is fetched anew when its id in DNS changes, and once a day. A domain whose policy
 * could not be fetched is left alone for five minutes; one thread fetches, others wait for it.
 */
#ifndef BARID_ROLES_RELAY_STS_H
#define BARID_ROLES_RELAY_STS_H

#include "codec/sts/sts.h"
#include "roles/relay/relay.h"

struct sts {
	bool known;		  /* a policy counts, which may be "none" */
	struct sts_policy policy; /* its texts are in the arena */
	const char *failure; /* RFC 8460's name of what went wrong on the way, or NULL; static */
	struct str why;
	bool unsure; /* what is kept cannot be read now: whether a policy counts is not known */
};
/* Blocks on name service, dir and the policy's server. */
void sts_find(const char *domain, const struct conf *conf, struct errand *e, struct arena *a,
	      struct sts *ret);

#endif
