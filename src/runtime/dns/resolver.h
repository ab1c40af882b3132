/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.h - questions to the name service, validated by DNSSEC; the adapter of libunbound.
 * [runtime]
 *
 * A validating resolver with a cache of its own (RFC 4033 to 4035, RFC 8198), which asks the
 * servers of the zones itself or other resolvers, by setting [dns] mode. It works on a thread of
 * libunbound that begins with the first question; answers come through resolver_fd on the caller's
 * loop.
 *
 * resolver_new reads the trust anchor and makes descriptors: it is called before the sandbox is
 * entered. Afterwards sockets of AF_INET and AF_INET6, connect and threads are all that is needed,
 * where somebody stands in for two calls of libunbound's (src/roles/dns/calls.c).
 *
 * libunbound has no deadline for a question: the caller cancels. One thread, that of the loop.
 */
#ifndef BARID_RUNTIME_DNS_RESOLVER_H
#define BARID_RUNTIME_DNS_RESOLVER_H

#include "base/fail.h"
#include "codec/dns/dns.h"
#include "runtime/conf.h"

struct resolver;

/* What it found; all borrowed, valid inside of `done`. */
struct resolver_result {
	enum dns_outcome outcome;
	bool secure;
	uint32_t ttl;
	const char *canonical; /* as a name, without the final dot; never NULL */
	char *const *data;     /* RDATA, NULL-ended when there is any */
	const int *sizes;
	const char *why; /* never NULL */
};

/* The caller's; `done` runs once, never inside of resolver_ask, and never after a cancel. */
struct resolver_question {
	void (*done)(struct resolver_question *q, const struct resolver_result *result);
	int id; /* private */
};

/* FAIL_SYNTAX: what the trust anchor's file holds is none. */
MUST_CHECK int resolver_new(const struct conf *c, struct resolver **ret, struct fail *why);
/* Readable: call resolver_serve. */
int resolver_fd(struct resolver *r);
void resolver_serve(struct resolver *r);

/* `name` as dns_name_ok wants it. */
MUST_CHECK int resolver_ask(struct resolver *r, struct resolver_question *q, const char *name,
			    uint16_t type, struct fail *why);
void resolver_cancel(struct resolver *r, struct resolver_question *q);

#endif
