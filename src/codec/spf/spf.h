/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spf.h - may this address send mail of this domain? RFC 7208.                     [codec, pure]
 *
 * Records are read with the whole grammar of section 12, and evaluated with a name service that the
 * caller brings: check_host() of section 4. What a domain publishes is bounded by section 4.6.4
 * (ten terms that ask, ten hosts of an MX or PTR, two answers without records) and by the arena;
 * nothing in a record is an error of the program. Domain names are compared and asked in lower
 * case.
 */
#ifndef BARID_CODEC_SPF_SPF_H
#define BARID_CODEC_SPF_SPF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "codec/dns/dns.h"

/* RFC 7208 2.6. */
enum spf_result {
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR, /* the name service did not answer: try later */
	SPF_PERMERROR, /* the domain publishes what cannot be understood */
	SPF_RESULTS
};
/* "none", "pass", ... as in Received-SPF. */
const char *spf_result_name(enum spf_result r);

enum spf_kind { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS };

/* A mechanism with its qualifier. Texts borrow from the record. */
struct spf_term {
	enum spf_kind kind;
	enum spf_result then;  /* when it matches */
	struct str text;       /* as it stands there, with the qualifier */
	struct str domain;     /* domain-spec with its macros; empty: the domain asked about */
	uint8_t net[16];       /* of ip4 and ip6, network order */
	unsigned bits4, bits6; /* of ip4, ip6, a, mx */
};

#define SPF_TERMS_MAX 500
struct spf_record {
	struct spf_term *terms;
	size_t n;
	struct str redirect; /* domain-specs; empty: not there */
	struct str exp;
};

/* Does this TXT record speak of SPF (section 4.5)? */
bool spf_is_record(struct str txt);
/*
 * Read a record that spf_is_record. FAIL_SYNTAX: it is none, all of it is void (4.6), and the
 * detail says where; FAIL_LIMIT: more than SPF_TERMS_MAX, or the arena is full.
 */
MUST_CHECK int spf_record_parse(struct str txt, struct arena *a, struct spf_record *ret,
				struct fail *why);

/*
 * The name service as the evaluator asks it, one question after another. `ask` may block; it always
 * fills *ret, its records from the arena, and what cannot be found out in the caller's time is
 * DNS_TIMEOUT or DNS_FAILED. `name` is in lower case without the final dot, and need not be one
 * that exists in any zone (dns_name_ok): such a name is answered as DNS_NXDOMAIN.
 */
struct spf_dns {
	void *ctx;
	void (*ask)(void *ctx, struct str name, enum dns_type type, struct arena *a,
		    struct dns_answer *ret);
};

#define SPF_LOOKUPS 10
#define SPF_VOIDS   2
#define SPF_HOSTS   10 /* of one MX or PTR */

struct spf_question {
	uint8_t ip[16];	   /* of the client, network order */
	size_t ip_n;	   /* 4 or 16; an IPv4-mapped address is taken as the IPv4 address */
	struct str sender; /* of MAIL FROM; empty: postmaster at helo (2.4) */
	struct str helo;
	struct str receiver; /* %{r}: our name */
	uint64_t now;	     /* %{t}: seconds since 1970 */
	unsigned lookups;    /* 0 = SPF_LOOKUPS */
	unsigned voids;	     /* 0 = SPF_VOIDS */
};

struct spf_verdict {
	enum spf_result result;
	struct str domain;	/* that was asked about; empty: there is none (4.3) */
	struct str mechanism;	/* that decided, as it stands in the record; empty: none did */
	struct str where;	/* the domain whose record it stands in */
	struct str explanation; /* of a fail, in the domain's own words (6.2), one line; or empty */
	struct str problem;	/* of the two errors, for logs */
	uint32_t ttl;		/* seconds for which all the answers stand */
	unsigned lookups, voids;
};
/* Texts of *ret are the arena's or the question's. Never fails: a full arena is SPF_TEMPERROR. */
void spf_check(const struct spf_question *q, const struct spf_dns *dns, struct arena *a,
	       struct spf_verdict *ret);

/* Networks that a domain sends from. */
struct spf_network {
	uint8_t ip[16];
	uint8_t n; /* 4 or 16 */
	uint8_t bits;
};
#define SPF_NETWORKS_MAX 2000
struct spf_networks {
	struct spf_network *p;
	size_t n;
	uint32_t ttl;
	bool published; /* by SPF; else these are its hosts for incoming mail */
};
/*
 * All of them, as far as they can be listed: ip4, ip6, a, mx, and those of include and redirect,
 * where a qualifier other than "-" stands; without a record the addresses of the hosts in MX.
 * Asks at most `lookups` questions. FAIL_DNS: the name service did not answer, or the record cannot
 * be understood; FAIL_NOTFOUND: there are none; FAIL_LIMIT.
 */
MUST_CHECK int spf_networks_of(struct str domain, unsigned lookups, const struct spf_dns *dns,
			       struct arena *a, struct spf_networks *ret, struct fail *why);
/* "192.0.2.0/24" */
void spf_network_text(const struct spf_network *net, struct buf *ret);

#endif
