/* SPDX-License-Identifier: Apache-2.0 */
/* spf_int.h - what the files of this folder share.                                 [codec/spf] */
#ifndef BARID_CODEC_SPF_SPF_INT_H
#define BARID_CODEC_SPF_SPF_INT_H

#include "codec/spf/spf.h"

/* One check, with what it has used up. */
struct spf_run {
	const struct spf_question *q;
	const struct spf_dns *dns;
	struct arena *a;
	uint8_t ip[16];
	size_t ip_n;
	struct str sender, local, sender_domain;
	unsigned lookups, lookups_max, voids, voids_max;
	uint32_t ttl;
	struct str problem;
	struct str validated; /* %{p}; empty: not yet looked for */
};

/* "all/24//64" without what stands in front: the lengths at the end of a domain-spec. */
bool spf_cut_cidr(struct str *text, unsigned *ret_bits4, unsigned *ret_bits6);
/* Is this a macro-string (7.1)? in_exp: the letters c, r and t and blanks are fine too. */
bool spf_macro_ok(struct str s, bool in_exp);
/* Is it a domain-spec? */
bool spf_domain_spec_ok(struct str s);

/*
 * Expand a macro-string for the domain that is asked about. 0, or -FAIL_LIMIT: too long. Asks the
 * name service for %{p}.
 */
MUST_CHECK int spf_expand(struct spf_run *run, struct str domain, struct str text, bool in_exp,
			  struct buf *ret);
/* A domain-spec expanded, in lower case, cut to 253 octets from the left; NULL: no room. */
struct str spf_target(struct spf_run *run, struct str domain, struct str spec);

/* An FQDN in the sense of 4.3, a final dot taken off. Empty: it is none. */
struct str spf_domain(struct str name, struct arena *a);

void spf_ask(struct spf_run *run, struct str name, enum dns_type type, struct dns_answer *ret);
/* The same for a term that counts answers without records. false: there were too many. */
bool spf_ask_counted(struct spf_run *run, struct str name, enum dns_type type,
		     struct dns_answer *ret);

/*
 * The one record of a domain. Returns 1 (*ret), 0: there is none; -FAIL_DNS: nobody knows,
 * -FAIL_SYNTAX: there are several, or none that can be understood; run->problem says which.
 */
MUST_CHECK int spf_fetch(struct spf_run *run, struct str domain, struct spf_record *ret);

/* The first `bits` of two addresses are the same. */
bool spf_bits_same(const uint8_t *x, const uint8_t *y, unsigned bits);
/*
 * Names of the client that lead back to it (5.5), at most SPF_HOSTS. The first that is `want` or
 * ends in it; want empty: any. Empty: none. *ret_voids_over: too many answers without records.
 */
struct str spf_validated(struct spf_run *run, struct str want, bool counted, bool *ret_over);

#endif
