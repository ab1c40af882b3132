/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/dane.h"
#include "codec/dns/dns.h"
#include "roles/role/ask_dns.h"
#include <stdio.h>

enum { USAGE_TA = 2, USAGE_EE = 3, SELECTOR_MAX = 1, MATCHING_MAX = 2 };

/* RFC 7672 3.1: of usages, trust anchor and end entity alone; RFC 6698 2.1.2, 2.1.3. */
static bool is_usable(const struct dns_tlsa *t)
{
	static const size_t sizes[] = {[1] = 32, [2] = 64};
	return (t->usage == USAGE_TA || t->usage == USAGE_EE) && t->selector <= SELECTOR_MAX &&
	       t->matching <= MATCHING_MAX && (t->matching == 0 || t->data.n == sizes[t->matching]);
}

static void take(const struct dns_answer *answer, struct arena *a, struct dane *ret)
{
	size_t room = MIN(answer->n, (size_t)DANE_RECORDS_MAX);
	ret->records = arena_array(a, struct tls_expected_tlsa, room);
	ret->n = 0;
	for (size_t i = 0; ret->records && i < room; i++) {
		struct dns_tlsa t;
		if (dns_read_tlsa(answer->records[i], &t) && is_usable(&t))
			ret->records[ret->n++] =
				(struct tls_expected_tlsa){t.usage, t.selector, t.matching, t.data};
	}
	ret->state = !ret->records ? DANE_UNKNOWN : ret->n ? DANE_RECORDS : DANE_UNUSABLE;
}

static void unknown(struct dane *ret, struct str why)
{
	ret->state = DANE_UNKNOWN;
	ret->why = why;
}

static void look(struct str base, uint16_t port, struct errand *e, struct arena *a,
		 struct dane *ret)
{
	struct fail why = FAIL_INIT;
	struct dns_answer answer;
	struct str name = arena_printf(a, "_%u._tcp.%.*s", port, STR_ARG(base));
	ret->base = arena_c(a, base);
	ret->state = DANE_NONE;
	if (!name.p || !ret->base)
		unknown(ret, STR("no room"));
	else if (errand_resolve(e, name, DNS_TLSA, a, &answer, &why) < 0)
		unknown(ret, STR("the name service cannot be asked"));
	else if (!dns_is_known(answer.outcome))
		unknown(ret, answer.why);
	else if (answer.outcome == DNS_FOUND && answer.secure)
		take(&answer, a, ret);
}

void dane_find(const struct target *t, struct errand *e, struct arena *a, struct dane *ret)
{
	struct fail why = FAIL_INIT;
	struct dns_answer answer;
	struct str host = str_c(t->host);
	uint16_t type = t->address.family == AF_INET6 ? DNS_AAAA : DNS_A;
	*ret = (struct dane){.state = DANE_NONE};
	/* It was asked a moment ago, so it is remembered. */
	if (errand_resolve(e, host, type, a, &answer, &why) < 0) {
		unknown(ret, STR("the name service cannot be asked"));
		return;
	}
	/* Forgotten meanwhile, and not known now: nor is under which name the records stand. */
	if (!dns_is_known(answer.outcome)) {
		unknown(ret, answer.why);
		return;
	}
	if (answer.outcome == DNS_FOUND && answer.secure && answer.canonical.n > 0 &&
	    !str_eqi(answer.canonical, host))
		look(answer.canonical, t->address.port, e, a, ret);
	if (ret->state == DANE_NONE)
		look(host, t->address.port, e, a, ret);
}
