/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail from outside to somebody@the-host's-own-name: nobody gives such an address to others, but
 * guessers know it from the greeting. Bounces to addresses that SRS has rewritten may come there.
 */
#include "codec/srs/srs_addr.h"
#include "service/policy/policy_int.h"

int rule_reject_to_hostname(struct policy *p, const struct policy_query *q,
			    struct policy_verdict *ret, struct fail *why)
{
	struct str host = str_c(q->settings->hostname), to = q->recipient.domain;
	const struct policy_domain_facts *d;
	(void)p;
	if (policy_logged_in(q) || q->trusted)
		return policy_dunno(ret, "the client is trusted");
	if (!to.n || (!str_eqi(to, host) && !str_eqi(to, str_sub(host, 0, str_find(host, 0, '.')))))
		return policy_dunno(ret, "the recipient is not at this host's own name");
	/* As it was written: the separator of SRS may be that of details. */
	if (srs_is(q->recipient.full))
		return policy_dunno(ret, "an address that SRS has rewritten");
	if (str_eq(q->recipient.local, STR("postmaster")) ||
	    str_eq(q->recipient.local, STR("abuse")))
		return policy_dunno(ret, "the postmaster is always reached (RFC 5321 4.5.1)");
	int r = policy_domain(q, POLICY_RECIPIENT, &d, why);
	if (r < 0)
		return r;
	if (policy_is_ours(d))
		return policy_dunno(ret, "the host's own name is a domain of ours with mailboxes");
	return policy_reject(ret, "Not authorized", "the recipient is at this host's own name, %s",
			     q->settings->hostname);
}
