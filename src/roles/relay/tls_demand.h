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
	/* A host that offers none, with TLS_MUST: NULL = perhaps later ("4.7.4"). */
	const char *missing_status;
	struct tls_expect expect;
};

struct tls_question {
	const struct conf *conf;
	struct trace_id trace;
	const struct nexthop *hop;
	const struct target *target;
	bool domain_secure; /* DNSSEC proves that the host belongs to the domain */
	bool requiretls;    /* RFC 8689 */
	bool tls_optional;
	bool login; /* a password will be shown */
};

/*
 * What to do at this host. All that *ret points to is in `a` or in *q. Negative: the host is not to
 * be tried now, and *answer says why. Blocking (name service).
 */
MUST_CHECK int tls_demand_find(const struct tls_question *q, struct arena *a,
			       struct tls_demand *ret, struct smtp_answer *answer);

#endif
