/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a next hop to the hosts that stand for it, in the order in which they are tried.
 *
 * RFC 5321 5.1 (MX by preference, equal ones at random; no MX: the name's own addresses; hosts that
 * are not better than ourselves are left out), RFC 7505 (null MX). Of each host IPv6 and IPv4 by
 * turns, as relay.prefer says, so that a network that is cut off costs one attempt.
 */
#include "base/check.h"
#include "codec/dns/dns.h"
#include "roles/relay/relay.h"
#include "roles/role/ask_dns.h"
#include "sys/rand.h"
#include <stdio.h>
#include <string.h>

#define MX_MAX	      20
#define ADDRESSES_MAX 8 /* of a host, of each family */
#define ANSWERS_MAX   KIB(256)

struct mx {
	char host[DNS_NAME_MAX];
	uint16_t preference;
	uint64_t lot;
	bool secure;
};

struct finding {
	const struct conf *conf;
	struct errand *errand;
	struct arena arena;
	uint16_t port;
	struct targets *to;
	struct smtp_answer *answer;
};

static int say(struct finding *f, int r, const char *status, const char *name, const char *what)
{
	char text[600];
	(void)snprintf(text, sizeof text, "%s: %s", name, what);
	smtp_answer_own(f->answer, status, str_c(text));
	return r;
}

/* An outcome that is not known. */
static int not_now(struct finding *f, const char *name, const struct dns_answer *a)
{
	char text[300];
	(void)snprintf(text, sizeof text, "the name service does not know now (%s%s%.*s)",
		       dns_outcome_name(a->outcome), a->why.n ? ": " : "", STR_ARG(a->why));
	return say(f, -FAIL_TEMP, "4.4.3", name, text);
}

static int ask(struct finding *f, const char *name, uint16_t type, struct dns_answer *ret)
{
	struct fail why = FAIL_INIT;
	int r = errand_resolve(f->errand, str_c(name), type, &f->arena, ret, &why);
	if (r == -FAIL_DEADLINE)
		return say(f, -FAIL_TEMP, "4.4.3", name, "the name service takes too long");
	if (r < 0)
		return say(f, -FAIL_TEMP, "4.4.3", name, "the name service cannot be asked");
	return 0;
}

/* ---- addresses of a host ---- */

static bool wants(const struct conf *c, int family)
{
	const char *other = family == AF_INET ? "ipv6-only" : "ipv4-only";
	return strcmp(c->relay_prefer, other) != 0;
}

static void shuffle(struct netaddr *v, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)(rand_u64() % i);
		struct netaddr kept = v[i - 1];
		v[i - 1] = v[k];
		v[k] = kept;
	}
}

/* Reads addresses of one family; negative: not known now. */
static int read_addresses(struct finding *f, const char *host, int family, struct netaddr *v,
			  size_t *ret_n, bool *ret_secure)
{
	struct dns_answer a;
	size_t n = 0;
	*ret_n = 0;
	if (!wants(f->conf, family))
		return 0;
	int r = ask(f, host, family == AF_INET ? DNS_A : DNS_AAAA, &a);
	if (r < 0)
		return r;
	if (!dns_is_known(a.outcome))
		return not_now(f, host, &a);
	*ret_secure = *ret_secure && a.secure;
	for (size_t i = 0; i < a.n && n < ADDRESSES_MAX; i++) {
		struct netaddr addr = {.family = (uint16_t)family, .port = f->port};
		bool ok = family == AF_INET ? dns_read_a(a.records[i], addr.bytes)
					    : dns_read_aaaa(a.records[i], addr.bytes);
		if (ok)
			v[n++] = addr;
	}
	shuffle(v, n);
	*ret_n = n;
	return 0;
}

static void add_target(struct finding *f, const char *host, const struct netaddr *a, bool secure)
{
	if (f->to->n == TARGETS_MAX)
		return;
	struct target *t = &f->to->v[f->to->n++];
	*t = (struct target){.address = *a, .secure = secure};
	(void)snprintf(t->host, sizeof t->host, "%s", host);
}

/*
 * Add a host's addresses. 0, also when it has none; negative when it is not known, and then what
 * is known was added.
 */
static int add_host(struct finding *f, const char *host, bool secure)
{
	struct netaddr v4[ADDRESSES_MAX], v6[ADDRESSES_MAX];
	size_t n4 = 0, n6 = 0;
	bool safe = secure;
	int r4 = read_addresses(f, host, AF_INET, v4, &n4, &safe);
	int r6 = read_addresses(f, host, AF_INET6, v6, &n6, &safe);
	/* By default whoever comes first is left to chance, as the networks' quality is. */
	bool first6 = strcmp(f->conf->relay_prefer, "ipv6") == 0 ||
		      (strcmp(f->conf->relay_prefer, "any") == 0 && rand_u64() % 2);
	for (size_t i = 0; i < MAX(n4, n6); i++) {
		if (first6 && i < n6)
			add_target(f, host, &v6[i], safe);
		if (i < n4)
			add_target(f, host, &v4[i], safe);
		if (!first6 && i < n6)
			add_target(f, host, &v6[i], safe);
	}
	return r4 < 0 ? r4 : r6;
}

/* ---- mail exchangers ---- */

static int mx_order(const void *a, const void *b)
{
	const struct mx *x = a, *y = b;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->lot < y->lot ? -1 : x->lot > y->lot;
}

static bool is_ourselves(const struct finding *f, const char *host)
{
	return str_eqi(str_c(host), str_c(f->conf->hostname));
}

/* Of more than there is room for the best ones stay. */
static void keep_mx(struct mx *v, size_t *n, const struct mx *mx)
{
	if (*n < MX_MAX) {
		v[(*n)++] = *mx;
		return;
	}
	size_t worst = 0;
	for (size_t i = 1; i < *n; i++)
		if (mx_order(&v[i], &v[worst]) > 0)
			worst = i;
	if (mx_order(mx, &v[worst]) < 0)
		v[worst] = *mx;
}

/* 0 with the hosts in order; *ret_n 0 when only a null MX is there. */
static int read_mx(struct finding *f, const char *domain, const struct dns_answer *a, struct mx *v,
		   size_t *ret_n)
{
	size_t n = 0, null = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct dns_mx mx;
		if (!dns_read_mx(a->records[i], &mx))
			continue;
		if (mx.host[0] == '\0') {
			null++;
			continue;
		}
		struct mx one = {
			.preference = mx.preference, .lot = rand_u64(), .secure = a->secure};
		(void)snprintf(one.host, sizeof one.host, "%s", mx.host);
		keep_mx(v, &n, &one);
	}
	if (n == 0 && null == 0)
		return say(f, -FAIL_PERM, "5.4.4", domain, "its MX records name no host");
	if (n == 0)
		return say(f, -FAIL_PERM, "5.1.10", domain, "the domain takes no mail (null MX)");
	qsort(v, n, sizeof *v, mx_order);
	*ret_n = n;
	return 0;
}

/* What is not better than ourselves would send the message back (RFC 5321 5.1). */
static int leave_out_ourselves(struct finding *f, const char *domain, const struct mx *v, size_t *n)
{
	size_t before = *n;
	for (size_t i = 0; i < *n; i++)
		if (is_ourselves(f, v[i].host)) {
			size_t k = i;
			while (k > 0 && v[k - 1].preference == v[i].preference)
				k--;
			*n = k;
		}
	if (before > 0 && *n == 0)
		return say(f, -FAIL_PERM, "5.4.6", domain,
			   "its mail is for this server, which does "
			   "not know it: it would come back for ever");
	return 0;
}

static int add_exchangers(struct finding *f, const char *domain, const struct mx *v, size_t n)
{
	int unknown = 0;
	for (size_t i = 0; i < n; i++) {
		int r = add_host(f, v[i].host, v[i].secure);
		unknown = r < 0 ? r : unknown;
	}
	if (f->to->n > 0)
		return 0;
	if (unknown < 0)
		return unknown;
	return say(f, -FAIL_PERM, "5.4.4", domain, "none of its mail exchangers has an address");
}

static int find_host(struct finding *f, const char *host, const char *missing)
{
	int r = add_host(f, host, true);
	if (f->to->n > 0)
		return 0;
	return r < 0 ? r : say(f, -FAIL_PERM, "5.4.4", host, missing);
}

static int find_domain(struct finding *f, const char *domain)
{
	struct dns_answer a;
	struct mx v[MX_MAX];
	size_t n = 0;
	int r = ask(f, domain, DNS_MX, &a);
	if (r < 0)
		return r;
	if (a.outcome == DNS_NXDOMAIN)
		return say(f, -FAIL_PERM, "5.1.2", domain, "there is no such domain");
	if (a.outcome == DNS_NODATA) {
		f->to->secure = a.secure;
		return find_host(f, domain,
				 "the domain has neither a mail exchanger nor an address");
	}
	if (a.outcome != DNS_FOUND)
		return not_now(f, domain, &a);
	f->to->secure = a.secure;
	r = read_mx(f, domain, &a, v, &n);
	if (r == 0)
		r = leave_out_ourselves(f, domain, v, &n);
	return r < 0 ? r : add_exchangers(f, domain, v, n);
}

/* ---- together ---- */

static void add_literal(struct finding *f, const struct nexthop *hop)
{
	char text[NETADDR_TEXT_MAX], host[NETADDR_TEXT_MAX + 2];
	struct netaddr a = {.family = hop->address.family == ENDPOINT_V6 ? AF_INET6 : AF_INET,
			    .port = f->port};
	memcpy(a.bytes, hop->address.bytes, sizeof a.bytes);
	struct str s = netaddr_text(&a, false, text);
	(void)snprintf(host, sizeof host, "[%.*s]", STR_ARG(s));
	add_target(f, host, &a, false);
}

int targets_find(const struct nexthop *hop, const struct conf *conf, struct errand *e,
		 struct targets *ret, struct smtp_answer *answer)
{
	struct finding f = {.conf = conf,
			    .errand = e,
			    .arena = ARENA_INIT(ANSWERS_MAX),
			    .port = nexthop_port(hop, (uint16_t)conf->relay_port),
			    .to = ret,
			    .answer = answer};
	int r = 0;
	ret->n = 0;
	ret->secure = false;
	if (hop->kind == NEXTHOP_ADDRESS)
		add_literal(&f, hop);
	else if (hop->kind == NEXTHOP_HOST)
		r = find_host(&f, hop->name, "the host has no address");
	else
		r = find_domain(&f, hop->name);
	arena_clear(&f.arena);
	return r;
}
