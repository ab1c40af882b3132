/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dane.h - what DNSSEC says about a mail host's certificate (RFC 7672).          [roles, private]
 */
#ifndef BARID_ROLES_RELAY_DANE_H
#define BARID_ROLES_RELAY_DANE_H

#include "roles/relay/relay.h"
#include "runtime/tls/tls_client.h"

enum dane_state {
	DANE_NONE,     /* no records, or none that DNSSEC proves: DANE says nothing */
	DANE_RECORDS,  /* TLS, and the certificate has to fit one of them */
	DANE_UNUSABLE, /* records of kinds that nobody can use: TLS with any certificate (2.2) */
	DANE_UNKNOWN,  /* the answer is bogus or missing: nothing may be sent there now (2.1.1) */
};

#define DANE_RECORDS_MAX 50
struct dane {
	enum dane_state state;
	const char *base; /* under whose name they stand: also the SNI (3.2.2) */
	struct tls_expected_tlsa *records;
	size_t n;
	struct str why; /* of DANE_UNKNOWN */
};

/*
 * For a host whose address DNSSEC proves. The host's name behind its aliases is asked about first
 * (2.2.2). Everything is in `a`; one that is full counts as DANE_UNKNOWN. Blocks on name service.
 */
void dane_find(const struct target *t, struct errand *e, struct arena *a, struct dane *ret);

#endif
