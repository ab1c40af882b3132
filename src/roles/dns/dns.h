/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.h - what the files of the dns role share.                          [roles, private]
 *
 * Everything runs on the loop; the resolver has a thread of its own.
 */
#ifndef BARID_ROLES_DNS_DNS_H
#define BARID_ROLES_DNS_DNS_H

#include "roles/role/role.h"
#include "runtime/dns/resolver.h"

/* A question under way. `answer` runs once, on the loop, and frees it by what it stands in. */
struct dns_query {
	struct resolver_question question; /* first: private, as all but answer */
	struct loop_timer deadline;
	struct mono_ns begun;
	uint16_t type;
	void (*answer)(struct dns_query *q, const struct resolver_result *result);
};

/*
 * Ask. The answer comes later, or now when the question is none or too many are under way: then
 * with the outcome DNS_FAILED.
 */
void dns_ask(struct dns_query *q, struct str name, uint16_t type);

/* ops->admin: `barid dns lookup NAME [TYPE]`. */
void dns_admin(struct role *role, struct ipc_packet *p);

#endif
