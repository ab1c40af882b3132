/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_demand.h - what has to be encrypted on the way to a host, and how its certificate is judged.
 *                                                                             [roles, private]
 * The one place that decides about TLS: from the operator's settings, the next hop, and what the
 * message asks for. link.c carries it out.
 */
#ifndef BARID_ROLES_RELAY_TLS_DEMAND_H
#define BARID_ROLES_RELAY_TLS_DEMAND_H

#include "roles/relay/relay.h"
#include "runtime/tls/tls_client.h"

enum tls_level {
	TLS_NEVER,
	TLS_MAY,  /* where it is offered, with any certificate; in the clear where it fails */
	TLS_MUST, /* and the certificate has to pass expect.check, or nothing is sent */
};

struct tls_demand {
	enum tls_level level;
	bool from_start;    /* TLS from the first byte (RFC 8314) */
	const char *policy; /* whose demand it is, for the log: "opportunistic", "setting" */
	/* A host without TLS, or with a bad certificate, where it is a must: NULL = perhaps later
	 * ("4.7.4", "4.7.5"). */
	const char *missing_status;
	struct tls_expect expect;
	const char *report_domain; /* how it goes is counted for this one; NULL: not at all */
	const char *report_policy; /* RFC 8460 4.4: "tlsa", "sts", "no-policy-found" */
};

struct tls_question {
	const struct conf *conf;
	struct errand *errand;
	const struct nexthop *hop;
	const struct target *target;
	bool domain_secure; /* DNSSEC proves that the host belongs to the domain */
	bool requiretls;    /* RFC 8689 */
	bool tls_optional;
	bool unreported; /* a report about TLS: how it goes there is no news (RFC 8460 5.3) */
	bool login;	 /* a password will be shown */
};

/*
 * Whose demand counts, in this order (RFC 8461 2): TLSA records that DNSSEC proves, the MTA-STS
 * policy of the domain, the settings. What asks for more than these (requiretls, a login) adds to
 * it. Of a message that says "TLS-Required: No" they are looked at and reported, and stop nothing
 * (RFC 8689 4.2.2).
 */
/*
 * What to do at this host. All that *ret points to is in `a` or in *q. Negative: the host is not to
 * be tried now, and *answer says why. Blocking (name service).
 */
MUST_CHECK int tls_demand_find(const struct tls_question *q, struct arena *a,
			       struct tls_demand *ret, struct smtp_answer *answer);

/*
 * How a connection went, for reports (RFC 8460): `result` is "ok" or a result type of its section
 * 4.3. dir keeps the figures. Never blocks.
 */
void tls_demand_report(const struct tls_demand *d, const struct target *t, const char *result,
		       const char *reason);
const char *tls_demand_result(enum tls_verdict verdict);

#endif
