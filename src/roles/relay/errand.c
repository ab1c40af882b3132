/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/relay.h"
#include "roles/role/ask_dns.h"
#include "sys/clock.h"

int errand_resolve(struct errand *e, struct str name, uint16_t type, struct arena *a,
		   struct dns_answer *ret, struct fail *why)
{
	if (atomic_load(&relay.cut))
		return fail_set(why, FAIL_CANCELLED, NULL, "this server is being stopped");
	struct mono_ns begun = clock_mono();
	struct dns_errand what = {.name = name,
				  .type = type,
				  .trace = e->trace,
				  .wait_ms = (unsigned)MAX(e->names_ns / MS_NS, INT64_C(0))};
	int r = role_resolve(relay.role, &what, a, ret, why);
	e->names_ns -= MAX(clock_mono().v - begun.v, INT64_C(0));
	return r;
}
