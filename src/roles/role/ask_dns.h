/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask_dns.h - the name service, asked from a role's worker thread.                   [roles]
 *
 * The dns role resolves and validates; answers are kept here for their TTL, at most five minutes
 * (also that there is none; what failed for five seconds), in a cache of bounded size. The role's
 * peers must include dns. Records are read by codec/dns/dns.h.
 */
#ifndef BARID_ROLES_ROLE_ASK_DNS_H
#define BARID_ROLES_ROLE_ASK_DNS_H

#include "codec/dns/dns.h"
#include "roles/role/role.h"

/*
 * Ask for the records of `type` of a name in A-labels; a final dot is fine. Blocking for at most
 * `wait_ms` (0: only what is remembered here is told): a worker thread. 0: *ret says what came of
 * it, all of it in `a`, failures of the name service too (a name that is none fails as
 * DNS_NXDOMAIN). Negative: the dns role did not answer, also when asked again, or the arena is
 * full.
 */
struct dns_errand {
	struct str name;
	uint16_t type;
	struct trace_id trace;
	unsigned wait_ms;
};
MUST_CHECK int role_resolve(struct role *role, const struct dns_errand *what, struct arena *a,
			    struct dns_answer *ret, struct fail *why);

#endif
