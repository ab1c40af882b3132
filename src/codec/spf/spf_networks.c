/* SPDX-License-Identifier: Apache-2.0 */
/* Where a domain sends from, as a list: what its SPF record names without looking at a client. */
#include "codec/spf/spf_int.h"
#include <arpa/inet.h>

#define DEPTH_MAX 10

struct listing {
	struct spf_run run;
	struct spf_networks *found;
	size_t room;
	struct fail *why;
};

static int list_domain(struct listing *l, struct str domain, unsigned depth);

static int add(struct listing *l, const uint8_t *ip, size_t n, unsigned bits)
{
	struct spf_network net = {.n = (uint8_t)n, .bits = (uint8_t)bits};
	for (size_t i = 0; i < n && i * 8 < bits; i++)
		net.ip[i] = (uint8_t)(bits >= (i + 1) * 8 ? ip[i]
							  : ip[i] & (0xff00u >> (bits - i * 8)));
	for (size_t i = 0; i < l->found->n; i++) {
		const struct spf_network *x = &l->found->p[i];
		if (x->n == net.n && x->bits == net.bits && memcmp(x->ip, net.ip, n) == 0)
			return 0;
	}
	if (l->found->n == SPF_NETWORKS_MAX)
		return fail_set(l->why, FAIL_LIMIT, NULL, "more than %d networks",
				SPF_NETWORKS_MAX);
	if (l->found->n == l->room) {
		size_t room = l->room ? l->room * 2 : 16;
		struct spf_network *p = arena_array(l->run.a, struct spf_network, room);
		if (!p)
			return fail_set(l->why, FAIL_LIMIT, NULL, "networks: no memory");
		if (l->found->n)
			memcpy(p, l->found->p, l->found->n * sizeof(*p));
		l->found->p = p;
		l->room = room;
	}
	l->found->p[l->found->n++] = net;
	return 0;
}

/* One more question. */
static int question(struct listing *l, struct str name, enum dns_type type, struct dns_answer *ret)
{
	if (l->run.lookups++ >= l->run.lookups_max)
		return fail_set(l->why, FAIL_LIMIT, NULL, "more than %u questions",
				l->run.lookups_max);
	spf_ask(&l->run, name, type, ret);
	if (!dns_is_known(ret->outcome))
		return fail_set(l->why, FAIL_DNS, NULL, "%.*s", STR_ARG(l->run.problem));
	return 0;
}

static int add_host(struct listing *l, struct str name, unsigned bits4, unsigned bits6)
{
	struct dns_answer answer;
	uint8_t ip[16] = {0};
	for (int six = 0; six < 2; six++) {
		int r = question(l, name, six ? DNS_AAAA : DNS_A, &answer);
		for (size_t i = 0; r >= 0 && i < answer.n; i++) {
			if (six ? dns_read_aaaa(answer.records[i], ip)
				: dns_read_a(answer.records[i], ip))
				r = add(l, ip, six ? 16 : 4, six ? bits6 : bits4);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_mx(struct listing *l, struct str name, unsigned bits4, unsigned bits6)
{
	struct dns_answer answer;
	struct dns_mx mx;
	int r = question(l, name, DNS_MX, &answer);
	for (size_t i = 0; r >= 0 && i < answer.n && i < SPF_HOSTS; i++)
		if (dns_read_mx(answer.records[i], &mx) && mx.host[0])
			r = add_host(l, arena_str(l->run.a, str_c(mx.host)), bits4, bits6);
	return r;
}

/* Names that are made of who asks cannot be listed. */
static bool is_fixed(struct str spec)
{
	return str_find(spec, 0, '%') == spec.n;
}

static int add_term(struct listing *l, struct str domain, const struct spf_term *t, unsigned depth)
{
	if (t->then == SPF_FAIL || !is_fixed(t->domain))
		return 0;
	struct str name = spf_target(&l->run, domain, t->domain);
	if (!name.p)
		return fail_set(l->why, FAIL_LIMIT, NULL, "networks: no memory");
	switch (t->kind) {
	case SPF_IP4:
		return add(l, t->net, 4, t->bits4);
	case SPF_IP6:
		return add(l, t->net, 16, t->bits6);
	case SPF_A:
		return add_host(l, name, t->bits4, t->bits6);
	case SPF_MX:
		return add_mx(l, name, t->bits4, t->bits6);
	case SPF_INCLUDE:
		return list_domain(l, name, depth + 1);
	case SPF_ALL: /* everywhere is no network */
	case SPF_PTR:
	case SPF_EXISTS:
		break;
	}
	return 0;
}

/* 1: it has a record, 0: it has none. */
static int list_domain(struct listing *l, struct str domain, unsigned depth)
{
	struct spf_record record;
	domain = spf_domain(domain, l->run.a);
	if (domain.n == 0 || depth > DEPTH_MAX)
		return 0;
	if (l->run.lookups++ >= l->run.lookups_max)
		return fail_set(l->why, FAIL_LIMIT, NULL, "more than %u questions",
				l->run.lookups_max);
	int r = spf_fetch(&l->run, domain, &record);
	if (r < 0)
		return fail_set(l->why, FAIL_DNS, NULL, "%.*s", STR_ARG(l->run.problem));
	if (r == 0)
		return 0;
	for (size_t i = 0; i < record.n; i++) {
		r = add_term(l, domain, &record.terms[i], depth);
		if (r < 0)
			return r;
	}
	if (record.redirect.n && is_fixed(record.redirect)) {
		r = list_domain(l, record.redirect, depth + 1);
		if (r < 0)
			return r;
	}
	return 1;
}

int spf_networks_of(struct str domain, unsigned lookups, const struct spf_dns *dns, struct arena *a,
		    struct spf_networks *ret, struct fail *why)
{
	static const struct spf_question nobody = {.ip_n = 4};
	struct spf_networks found = {0};
	struct listing l = {.run = {.q = &nobody,
				    .dns = dns,
				    .a = a,
				    .ip_n = 4,
				    .lookups_max = lookups,
				    .ttl = UINT32_MAX},
			    .found = &found,
			    .why = why};
	int r = list_domain(&l, domain, 0);
	if (r < 0)
		return r;
	found.published = r > 0;
	if (!found.published) {
		r = add_mx(&l, domain, 32, 128);
		if (r < 0)
			return r;
	}
	if (found.n == 0)
		return fail_set(why, FAIL_NOTFOUND, NULL, "%.*s names no networks",
				STR_ARG(domain));
	found.ttl = l.run.ttl == UINT32_MAX ? 0 : l.run.ttl;
	*ret = found;
	return 0;
}

void spf_network_text(const struct spf_network *net, struct buf *ret)
{
	char c[INET6_ADDRSTRLEN];
	inet_ntop(net->n == 4 ? AF_INET : AF_INET6, net->ip, c, sizeof(c));
	buf_addf(ret, "%s/%u", c, net->bits);
}
