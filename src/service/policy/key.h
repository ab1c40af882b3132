/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h - what the rows of the policy tables call an account.                  [service/policy]
 *
 * A row is for an address, a domain, all subdomains of one, a network, or everybody:
 *
 *     user@example.com     user@*          @example.com    @.example.com    @.com    @.
 *     192.0.2.1            192.0.2.*       192.0.*.1       192.0.2.0/24     @ip
 *
 * "@.example.com" is example.com and what is below it, as in the reference. Keys are in lower case.
 */
#ifndef BARID_SERVICE_POLICY_KEY_H
#define BARID_SERVICE_POLICY_KEY_H

#include "base/arena.h"
#include "sys/sock.h"

/* The most specific last, as their priorities are. */
enum policy_key_kind {
	POLICY_KEY_BAD,
	POLICY_KEY_ALL,	   /* "@." */
	POLICY_KEY_ALL_IP, /* "@ip" */
	POLICY_KEY_TLD,	   /* "@.com" */
	POLICY_KEY_SUBDOMAIN,
	POLICY_KEY_DOMAIN,
	POLICY_KEY_CIDR,
	POLICY_KEY_WILDCARD_IP,
	POLICY_KEY_WILDCARD_ADDRESS,
	POLICY_KEY_IP,
	POLICY_KEY_ADDRESS,
	POLICY_KEY_KINDS
};
enum policy_key_kind policy_key_kind(struct str key);
/* The numbers that the reference's tools write: greylisting and throttle (100 .. 0), and Amavis'
 * users and mailaddr (10 .. 0). */
int policy_key_priority(enum policy_key_kind k);
int policy_key_mail_priority(enum policy_key_kind k);
/* In lower case, without blanks around it, a network in its shortest form. False: it is none. */
bool policy_key_normal(struct str key, struct arena *a, struct str *ret);

#define POLICY_KEYS_MAX	   20u
#define POLICY_PARENTS_MAX 12u /* domains above the own one that are looked at */
struct policy_keys {
	struct str v[POLICY_KEYS_MAX]; /* the most specific first */
	size_t n;
};
/*
 * All keys that an address has: itself, without its detail, user@*, @domain, @.domain, @.parent,
 * ..., @. ; texts are in the arena, or borrowed. `full` and `bare` are in lower case; bare is the
 * address without what follows the delimiter. An empty address has "@." alone.
 */
void policy_keys_of_address(struct str full, struct str bare, struct arena *a,
			    struct policy_keys *ret);
/* And a client: 192.0.2.1, 192.0.2.*, 192.0.*.1, 192.*.2.1 and so on (IPv4 alone), @ip, @. . */
void policy_keys_of_client(const struct netaddr *client, struct arena *a, struct policy_keys *ret);
bool policy_keys_have(const struct policy_keys *k, struct str key);

#endif
