/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.h - the DNS records that a domain needs for this server.                     [tools]
 *
 * RFC 5321 (MX), 7208 (SPF), 7489 (DMARC), 6186 and 8314 (SRV of mail clients), 8460 (TLS-RPT).
 * Only what this server does is printed: no DKIM key while nothing signs with it.
 */
#ifndef BARID_TOOLS_BARID_DNS_H
#define BARID_TOOLS_BARID_DNS_H

#include "tools/barid/cli.h"

/*
 * Print them on standard output, as lines of a zone file with comments, or as JSON. The addresses
 * are those of the machine that the command runs on, as far as other machines may reach them.
 */
void dns_print(const struct cli *c, const struct conf *conf, const char *domain);

/* Letters, digits and hyphens, at least two labels: what a host of the public DNS is called. */
bool dns_is_host_name(struct str name);

#endif
