/* SPDX-License-Identifier: Apache-2.0 */
/* What a check asks the name service, and what it may (RFC 7208 4.6.4). */
#include "codec/spf/spf_int.h"

#define TXT_MAX 16384

void spf_ask(struct spf_run *run, struct str name, enum dns_type type, struct dns_answer *ret)
{
	*ret = (struct dns_answer){.outcome = DNS_FAILED};
	if (name.p && name.n)
		run->dns->ask(run->dns->ctx, name, type, run->a, ret);
	if (dns_is_known(ret->outcome))
		run->ttl = MIN(run->ttl, ret->ttl);
	else if (run->problem.n == 0)
		run->problem = arena_printf(run->a, "%.*s: %s", STR_ARG(name),
					    dns_outcome_name(ret->outcome));
}

bool spf_ask_counted(struct spf_run *run, struct str name, enum dns_type type,
		     struct dns_answer *ret)
{
	spf_ask(run, name, type, ret);
	if (ret->outcome == DNS_NODATA || ret->outcome == DNS_NXDOMAIN)
		run->voids++;
	if (run->voids <= run->voids_max)
		return true;
	run->problem = STR("too many questions that have no answer");
	return false;
}

int spf_fetch(struct spf_run *run, struct str domain, struct spf_record *ret)
{
	AUTO(buf) struct buf text = BUF_INIT(TXT_MAX);
	struct dns_answer answer;
	struct str found = STR_NULL;
	struct fail why = FAIL_INIT;
	spf_ask(run, domain, DNS_TXT, &answer);
	if (!dns_is_known(answer.outcome))
		return -FAIL_DNS;
	for (size_t i = 0; i < answer.n; i++) {
		buf_reset(&text);
		if (!dns_read_txt(answer.records[i], &text) || !spf_is_record(buf_str(&text)))
			continue;
		if (found.p) {
			run->problem = arena_printf(run->a, "%.*s has several SPF records",
						    STR_ARG(domain));
			return -FAIL_SYNTAX;
		}
		found = arena_str(run->a, buf_str(&text));
		if (!found.p)
			return -FAIL_DNS;
	}
	if (!found.p)
		return 0;
	if (spf_record_parse(found, run->a, ret, &why) == 0)
		return 1;
	for (char *c = why.detail; *c; c++) /* it quotes the record */
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	run->problem = arena_printf(run->a, "%.*s: %s", STR_ARG(domain), why.detail);
	return -FAIL_SYNTAX;
}

bool spf_bits_same(const uint8_t *x, const uint8_t *y, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(x, y, whole) != 0)
		return false;
	return rest == 0 || ((x[whole] ^ y[whole]) >> (8 - rest)) == 0;
}

/* Does this name have the client's address? Failures are no. */
static bool leads_back(struct spf_run *run, struct str name)
{
	struct dns_answer answer;
	uint8_t ip[16] = {0};
	struct str problem = run->problem;
	spf_ask(run, name, run->ip_n == 4 ? DNS_A : DNS_AAAA, &answer);
	run->problem = problem; /* 5.5: of no consequence */
	for (size_t i = 0; i < answer.n; i++) {
		bool read = run->ip_n == 4 ? dns_read_a(answer.records[i], ip)
					   : dns_read_aaaa(answer.records[i], ip);
		if (read && memcmp(ip, run->ip, run->ip_n) == 0)
			return true;
	}
	return false;
}

static bool fits(struct str name, struct str want)
{
	if (want.n == 0 || str_eqi(name, want))
		return true;
	return name.n > want.n && str_endsi(name, want) && name.p[name.n - want.n - 1] == '.';
}

struct str spf_validated(struct spf_run *run, struct str want, bool counted, bool *ret_over)
{
	struct dns_answer answer;
	char reverse[DNS_NAME_MAX], name[DNS_NAME_MAX];
	struct str problem = run->problem;
	*ret_over = false;
	if (!dns_reverse_name(run->ip, run->ip_n, NULL, reverse))
		return STR_NULL;
	if (!counted) {
		spf_ask(run, str_c(reverse), DNS_PTR, &answer);
	} else if (!spf_ask_counted(run, str_c(reverse), DNS_PTR, &answer)) {
		*ret_over = true;
		return STR_NULL;
	}
	run->problem = problem;
	for (size_t i = 0; i < answer.n && i < SPF_HOSTS; i++) {
		if (!dns_read_name(answer.records[i], name) || !fits(str_c(name), want))
			continue;
		if (leads_back(run, str_c(name)))
			return arena_str(run->a, str_c(name));
	}
	return STR_NULL;
}
