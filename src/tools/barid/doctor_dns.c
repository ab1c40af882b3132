/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and records: does mail find the server, and will others believe what it sends?
 */
#include "base/check.h"
#include "base/text.h"
#include "sys/sock.h"
#include "tools/barid/doctor.h"
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define ADDRESSES_MAX 64

struct addresses {
	struct netaddr v[ADDRESSES_MAX];
	size_t n;
};

/* Those of this machine that are not loopback or link-local. */
static void own_addresses(struct addresses *a)
{
	struct ifaddrs *all = NULL;
	struct netcidr link4, link6;
	a->n = 0;
	CHECK(netcidr_parse(STR("169.254.0.0/16"), &link4));
	CHECK(netcidr_parse(STR("fe80::/10"), &link6));
	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *i = all; i && a->n < ADDRESSES_MAX; i = i->ifa_next) {
		struct netaddr x = {0};
		if (!i->ifa_addr || !netaddr_from(i->ifa_addr, &x) || netaddr_is_loopback(&x) ||
		    netcidr_has(&link4, &x) || netcidr_has(&link6, &x))
			continue;
		a->v[a->n++] = x;
	}
	freeifaddrs(all);
}

static bool have(const struct addresses *a, const char *text)
{
	struct netaddr x;
	for (size_t i = 0; netaddr_parse(str_c(text), &x) && i < a->n; i++)
		if (netaddr_same_host(&a->v[i], &x))
			return true;
	return false;
}

static bool has_name(const struct resolved *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_eqi(str_c(r->v[i].text), str_c(name)))
			return true;
	return false;
}

/* Records that begin with a tag, such as v=spf1. */
static const char *tagged(const struct resolved *r, const char *tag, size_t *n)
{
	const char *found = NULL;
	*n = 0;
	for (size_t i = 0; i < r->n; i++)
		if (strncasecmp(r->v[i].text, tag, strlen(tag)) == 0) {
			found = r->v[i].text;
			++*n;
		}
	return found;
}

/* --- the host's own name --- */

static void check_reverse(struct doctor *d, const char *host, const char *address)
{
	static struct resolved ptr;
	char name[100];
	if (!resolve_reverse_name(address, name, sizeof name))
		return;
	int r = resolver_ask(d->dns, name, RESOLVE_PTR, &ptr);
	if (r == -FAIL_TEMP) {
		doctor_say(d, DOCTOR_SKIPPED, "dns", "nobody answers for %s", name);
		return;
	}
	if (r == 0 && has_name(&ptr, host)) {
		doctor_say(d, DOCTOR_OK, "dns", "%s is called %s", address, host);
		return;
	}
	doctor_say(d, DOCTOR_WARN, "dns",
		   "%s is called %s, not %s: many servers refuse mail from it", address,
		   ptr.n ? ptr.v[0].text : "nothing", host);
	doctor_mend(d, "Ask whoever gave you the address for: %s. PTR %s.", name, host);
}

static void check_host(struct doctor *d, const char *host)
{
	static struct resolved found[2];
	struct addresses own;
	bool ours = false;
	own_addresses(&own);
	int r = resolver_ask(d->dns, host, RESOLVE_A, &found[0]);
	int r6 = resolver_ask(d->dns, host, RESOLVE_AAAA, &found[1]);
	if (r == -FAIL_TEMP && r6 == -FAIL_TEMP) {
		doctor_say(d, DOCTOR_SKIPPED, "dns", "no name server answers");
		doctor_mend(d, "See /etc/resolv.conf, or give --resolver ADDRESS.");
		return;
	}
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < found[k].n; i++)
			ours |= have(&own, found[k].v[i].text);
	if (found[0].n + found[1].n == 0) {
		doctor_say(d, DOCTOR_BAD, "dns", "%s has no address: nobody finds the server",
			   host);
		doctor_mend(d, "Publish: %s. A YOUR.PUBLIC.ADDRESS", host);
		return;
	}
	if (ours)
		doctor_say(d, DOCTOR_OK, "dns", "%s is this machine", host);
	else
		doctor_say(d, DOCTOR_WARN, "dns",
			   "%s is %s, which this machine does not have; fine behind a NAT or a "
			   "proxy",
			   host, found[0].n ? found[0].v[0].text : found[1].v[0].text);
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < found[k].n; i++)
			check_reverse(d, host, found[k].v[i].text);
}

/* --- a domain --- */

static void check_mx(struct doctor *d, const char *domain, const char *host)
{
	static struct resolved mx, cname;
	int r = resolver_ask(d->dns, domain, RESOLVE_MX, &mx);
	if (r == -FAIL_TEMP) {
		doctor_say(d, DOCTOR_SKIPPED, "dns", "nobody answers for %s", domain);
		return;
	}
	if (mx.n == 0) {
		doctor_say(d, DOCTOR_BAD, "dns", "%s has no MX record: its mail goes elsewhere",
			   domain);
		doctor_mend(d, "Publish: %s. MX 10 %s.", domain, host);
		return;
	}
	for (size_t i = 0; i < mx.n; i++)
		if (resolver_ask(d->dns, mx.v[i].text, RESOLVE_CNAME, &cname) == 0 && cname.n) {
			doctor_say(d, DOCTOR_WARN, "dns",
				   "the MX %s of %s is an alias, which RFC 2181 forbids",
				   mx.v[i].text, domain);
			doctor_mend(d, "Publish: %s. MX %u %s.", domain, mx.v[i].preference,
				    cname.v[0].text);
		}
	if (has_name(&mx, host)) {
		doctor_say(d, DOCTOR_OK, "dns", "mail for %s comes to %s", domain, host);
		return;
	}
	doctor_say(d, DOCTOR_WARN, "dns", "mail for %s goes to %s, not to %s", domain, mx.v[0].text,
		   host);
	doctor_mend(d, "Unless a filter stands before this server, publish: %s. MX 10 %s.", domain,
		    host);
}

static void check_spf(struct doctor *d, const char *domain)
{
	static struct resolved txt;
	size_t n = 0;
	int r = resolver_ask(d->dns, domain, RESOLVE_TXT, &txt);
	if (r == -FAIL_TEMP)
		return;
	const char *record = tagged(&txt, "v=spf1", &n);
	if (n == 1 && !strstr(record, "+all")) {
		doctor_say(d, DOCTOR_OK, "dns", "SPF of %s: %s", domain, record);
		return;
	}
	if (n > 1)
		doctor_say(d, DOCTOR_BAD, "dns",
			   "%s has %zu SPF records, which makes all of them void", domain, n);
	else if (n == 1)
		doctor_say(d, DOCTOR_WARN, "dns", "SPF of %s lets everybody send in its name",
			   domain);
	else
		doctor_say(d, DOCTOR_WARN, "dns",
			   "%s has no SPF record: others may forge its mail, and yours is trusted "
			   "less",
			   domain);
	doctor_mend(d, "Publish: %s. TXT \"v=spf1 mx -all\"", domain);
}

static void check_dmarc(struct doctor *d, const char *domain)
{
	static struct resolved txt;
	char name[300];
	size_t n = 0;
	(void)snprintf(name, sizeof name, "_dmarc.%s", domain);
	int r = resolver_ask(d->dns, name, RESOLVE_TXT, &txt);
	if (r == -FAIL_TEMP)
		return;
	const char *record = tagged(&txt, "v=DMARC1", &n);
	if (n == 1) {
		doctor_say(d, DOCTOR_OK, "dns", "DMARC of %s: %s", domain, record);
		return;
	}
	doctor_say(d, DOCTOR_WARN, "dns", "%s has %s", domain,
		   n ? T("several DMARC records, which makes all of them void")
		     : T("no DMARC record"));
	doctor_mend(d, "Publish: %s. TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@%s\"",
		    name, domain);
}

void doctor_dns(struct doctor *d)
{
	const char *host = d->conf ? d->conf->hostname : NULL;
	if (!d->dns) {
		doctor_say(d, DOCTOR_SKIPPED, "dns", "not asked: --offline");
		return;
	}
	if (!host || !strchr(host, '.')) {
		doctor_say(d, host ? DOCTOR_BAD : DOCTOR_SKIPPED, "dns",
			   "the host name of the server is not known in full");
		doctor_mend(d, "Set hostname in %s, for example: hostname = mail.example.org",
			    d->cli->conf);
		return;
	}
	check_host(d, host);
	for (size_t i = 0; i < d->domains.n; i++) {
		const char *domain = arena_c(&d->arena, d->domains.p[i]);
		check_mx(d, domain, host);
		check_spf(d, domain);
		check_dmarc(d, domain);
	}
}
