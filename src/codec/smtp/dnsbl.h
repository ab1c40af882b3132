/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnsbl.h - which DNS lists are asked about a client, and what their answers count. [codec, pure]
 *
 * As Postfix' postscreen_dnsbl_sites: "zone", "zone*weight", "zone=filter*weight". The weight is
 * from -100 to 100, 1 without one; a list of good clients has a negative one. The filter says which
 * answers count (RFC 5782: an address in 127.0.0.0/8), each of its four parts a number or numbers
 * in brackets: "127.0.0.[2..11]", "127.0.[0;5].[2;4..8]". Without one every answer counts.
 */
#ifndef BARID_CODEC_SMTP_DNSBL_H
#define BARID_CODEC_SMTP_DNSBL_H

#include "base/attr.h"
#include "base/str.h"

#define DNSBL_SITES_MAX 32

struct dnsbl_site {
	char zone[200];
	int weight;
	uint8_t part[4][32]; /* bit n: this part of the address may be n */
};

/* NULL when it is good; else what is wrong with it, for people. */
MUST_CHECK const char *dnsbl_parse(struct str spec, struct dnsbl_site *ret);
/* Does an answer of the list count? */
bool dnsbl_matches(const struct dnsbl_site *site, const uint8_t answer[4]);

#endif
