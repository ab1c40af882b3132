/* SPDX-License-Identifier: Apache-2.0 */
/* SPF of a query's sender, found out once, when the first rule wants it. */
#include "service/policy/policy_int.h"
#include "sys/clock.h"
#include <sys/socket.h>

#define MEMORY MIB(1)

struct asking {
	const struct policy_query *q;
	struct mono_ns until;
};

/* What the time does not suffice for is told from memory alone. */
static void ask_dns(void *ctx, struct str name, enum dns_type type, struct arena *a,
		    struct dns_answer *ret)
{
	const struct asking *x = ctx;
	int64_t left = (x->until.v - clock_mono().v) / MS_NS;
	x->q->ask->dns(x->q->ask->ctx, name, type, left > 0 ? (unsigned)left : 0, a, ret);
}

static void keep(struct arena *a, struct str *s)
{
	*s = arena_str(a, str_sub(*s, 0, 500));
}

const struct spf_verdict *policy_spf(const struct policy_query *q)
{
	struct spf_verdict *v = &q->lazy->spf;
	if (q->lazy->spf_known || !q->ask || !q->ask->dns || !q->client.family)
		return q->lazy->spf_known ? v : NULL;
	AUTO(arena) struct arena memory = ARENA_INIT(MEMORY);
	struct asking x = {q, mono_add_ms(clock_mono(), q->settings->dns_timeout_ms)};
	if (mono_before(q->deadline, x.until))
		x.until = q->deadline;
	struct spf_dns dns = {&x, ask_dns};
	struct spf_question s = {.ip_n = q->client.family == AF_INET ? 4 : 16,
				 .sender = q->sender.full,
				 .helo = q->helo_name,
				 .receiver = str_c(q->settings->hostname),
				 .now = (uint64_t)(q->now.v / SEC_US)};
	memcpy(s.ip, q->client.bytes, sizeof(s.ip));
	spf_check(&s, &dns, &memory, v);
	keep(q->arena, &v->domain);
	keep(q->arena, &v->mechanism);
	keep(q->arena, &v->where);
	keep(q->arena, &v->explanation);
	keep(q->arena, &v->problem);
	q->lazy->spf_known = true;
	return v;
}

bool policy_spf_passes(const struct spf_verdict *v)
{
	/* A domain that lets everybody send for it vouches for nobody. */
	return v && v->result == SPF_PASS && !str_eqi(v->mechanism, STR("all")) &&
	       !str_eqi(v->mechanism, STR("+all"));
}
