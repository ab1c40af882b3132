/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/offence.h"
#include "base/str.h"
#include "sys/log.h"
#include "sys/log_gate.h"

LOG_GATE(offences, "offence");

void offence_note(const struct offence *o, const struct offender *who, const char *why)
{
	counter_add(o->count, 1);
	const struct log_field none = {.kind = LOG_KIND_NONE};
	if (!log_wants(LOG_INFO) ||
	    !log_gate_passes(&offences, str_hash(who->ip.n ? who->ip : who->user)))
		return;
	log_event(LOG_INFO, "offence", log_c("kind", o->kind), log_str("service", who->service),
		  who->ip.n ? log_str("ip", who->ip) : none,
		  who->user.n ? log_address("user", who->user) : none, log_c("why", why));
}
