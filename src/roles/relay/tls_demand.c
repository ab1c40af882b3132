/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/tls_demand.h"
#include <string.h>

/* A certificate of an authority for the name that we connect to. */
static void expect_name(const struct tls_question *q, struct arena *a, struct tls_demand *d)
{
	const char **names = arena_array(a, const char *, 1);
	if (!names)
		return;
	names[0] = q->target->host;
	d->expect.check = TLS_CHECK_AUTHORITY;
	d->expect.names = names;
	d->expect.names_n = 1;
}

static void demand(const struct tls_question *q, struct arena *a, struct tls_demand *d,
		   const char *policy, bool certificate)
{
	d->level = TLS_MUST;
	d->policy = policy;
	if (certificate)
		expect_name(q, a, d);
}

int tls_demand_find(const struct tls_question *q, struct arena *a, struct tls_demand *ret,
		    struct smtp_answer *answer)
{
	const char *setting = q->conf->relay_tls;
	bool local = q->hop->kind == NEXTHOP_ADDRESS && netaddr_is_loopback(&q->target->address);
	struct tls_demand d = {.level = strcmp(setting, "off") == 0 ? TLS_NEVER : TLS_MAY,
			       .policy = "opportunistic"};
	(void)answer;
	if (q->target->host[0] != '[')
		d.expect.server_name = q->target->host;
	if (strcmp(setting, "must") == 0 && !q->tls_optional && q->hop->protocol != NEXTHOP_LMTP)
		demand(q, a, &d, "setting", false);
	if (q->login && !local)
		demand(q, a, &d, "login", strcmp(q->conf->relay_login_tls, "verified") == 0);
	if (q->hop->protocol == NEXTHOP_SMTPS) {
		d.from_start = true;
		d.level = TLS_MUST;
		d.policy = "nexthop";
	}
	if (q->requiretls) {
		demand(q, a, &d, "requiretls", true);
		d.missing_status = "5.7.30";
	}
	*ret = d;
	return 0;
}
