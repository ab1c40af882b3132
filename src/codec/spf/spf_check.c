/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 7208 4 to 6: check_host(). Includes and redirects recurse, at most SPF_LOOKUPS deep. */
#include "codec/spf/spf_int.h"

/* What one record says. */
struct finding {
	enum spf_result result;
	struct str mechanism, where;
	struct str exp; /* domain-spec of its exp, whose domain is `where` */
};

static enum spf_result check_host(struct spf_run *run, struct str domain, struct finding *f);

/* One more term that asks. */
static bool may_ask(struct spf_run *run)
{
	if (run->lookups++ < run->lookups_max)
		return true;
	run->problem = STR("too many terms that ask the name service");
	return false;
}

/* Is the client one of the hosts of `name`? 1, 0, or the result that ends the check, negated. */
static int at_host(struct spf_run *run, struct str name, const struct spf_term *t, bool counted)
{
	struct dns_answer answer;
	uint8_t ip[16] = {0};
	enum dns_type type = run->ip_n == 4 ? DNS_A : DNS_AAAA;
	if (!counted)
		spf_ask(run, name, type, &answer);
	else if (!spf_ask_counted(run, name, type, &answer))
		return -SPF_PERMERROR;
	if (!dns_is_known(answer.outcome))
		return -SPF_TEMPERROR;
	for (size_t i = 0; i < answer.n; i++) {
		bool read = type == DNS_A ? dns_read_a(answer.records[i], ip)
					  : dns_read_aaaa(answer.records[i], ip);
		if (read && spf_bits_same(ip, run->ip, type == DNS_A ? t->bits4 : t->bits6))
			return 1;
	}
	return 0;
}

static int at_mx(struct spf_run *run, struct str name, const struct spf_term *t)
{
	struct dns_answer answer;
	struct dns_mx mx;
	if (!spf_ask_counted(run, name, DNS_MX, &answer))
		return -SPF_PERMERROR;
	if (!dns_is_known(answer.outcome))
		return -SPF_TEMPERROR;
	if (answer.n > SPF_HOSTS) {
		run->problem = arena_printf(run->a, "%.*s has more than %d MX records",
					    STR_ARG(name), SPF_HOSTS);
		return -SPF_PERMERROR;
	}
	for (size_t i = 0; i < answer.n; i++) {
		if (!dns_read_mx(answer.records[i], &mx) || !mx.host[0])
			continue;
		int r = at_host(run, arena_str(run->a, str_c(mx.host)), t, false);
		if (r != 0)
			return r;
	}
	return 0;
}

static int does_exist(struct spf_run *run, struct str name)
{
	struct dns_answer answer;
	if (!spf_ask_counted(run, name, DNS_A, &answer))
		return -SPF_PERMERROR;
	if (!dns_is_known(answer.outcome))
		return -SPF_TEMPERROR;
	return answer.outcome == DNS_FOUND && answer.n > 0;
}

static int includes(struct spf_run *run, struct str name)
{
	struct finding inner;
	switch (check_host(run, name, &inner)) {
	case SPF_PASS:
		return 1;
	case SPF_TEMPERROR:
		return -SPF_TEMPERROR;
	case SPF_NONE: /* 5.2: the domain that includes it is wrong */
		run->problem = arena_printf(run->a, "%.*s has no SPF record", STR_ARG(name));
		return -SPF_PERMERROR;
	case SPF_PERMERROR:
		return -SPF_PERMERROR;
	case SPF_NEUTRAL:
	case SPF_FAIL:
	case SPF_SOFTFAIL:
	case SPF_RESULTS:
		break;
	}
	return 0;
}

static int by_ptr(struct spf_run *run, struct str name)
{
	bool over;
	if (spf_validated(run, name, true, &over).n)
		return 1;
	return over ? -SPF_PERMERROR : 0;
}

/* Does this mechanism match? As at_host. */
static int matches(struct spf_run *run, struct str domain, const struct spf_term *t)
{
	if (t->kind == SPF_ALL)
		return 1;
	if (t->kind == SPF_IP4)
		return run->ip_n == 4 && spf_bits_same(run->ip, t->net, t->bits4);
	if (t->kind == SPF_IP6)
		return run->ip_n == 16 && spf_bits_same(run->ip, t->net, t->bits6);
	if (!may_ask(run))
		return -SPF_PERMERROR;
	struct str name = spf_target(run, domain, t->domain);
	if (!name.p)
		return -SPF_TEMPERROR;
	switch (t->kind) {
	case SPF_INCLUDE:
		return includes(run, name);
	case SPF_A:
		return at_host(run, name, t, true);
	case SPF_MX:
		return at_mx(run, name, t);
	case SPF_PTR:
		return by_ptr(run, name);
	case SPF_EXISTS:
	case SPF_ALL:
	case SPF_IP4:
	case SPF_IP6:
		break;
	}
	return does_exist(run, name);
}

static enum spf_result redirected(struct spf_run *run, struct str domain, struct str spec,
				  struct finding *f)
{
	if (!may_ask(run))
		return SPF_PERMERROR;
	struct str name = spf_target(run, domain, spec);
	if (!name.p)
		return SPF_TEMPERROR;
	enum spf_result r = check_host(run, name, f);
	if (r != SPF_NONE)
		return r;
	run->problem = arena_printf(run->a, "%.*s has no SPF record", STR_ARG(name));
	return SPF_PERMERROR;
}

static enum spf_result check_host(struct spf_run *run, struct str domain, struct finding *f)
{
	struct spf_record record;
	*f = (struct finding){.result = SPF_NONE};
	domain = spf_domain(domain, run->a);
	if (domain.n == 0)
		return SPF_NONE; /* 4.3 */
	int r = spf_fetch(run, domain, &record);
	if (r <= 0)
		return r == 0 ? SPF_NONE : r == -FAIL_DNS ? SPF_TEMPERROR : SPF_PERMERROR;
	for (size_t i = 0; i < record.n; i++) {
		const struct spf_term *t = &record.terms[i];
		r = matches(run, domain, t);
		if (r == 0)
			continue;
		*f = (struct finding){.mechanism = t->text, .where = domain, .exp = record.exp};
		return r > 0 ? t->then : (enum spf_result) - r;
	}
	if (record.redirect.n)
		return redirected(run, domain, record.redirect, f);
	*f = (struct finding){.where = domain};
	return SPF_NEUTRAL; /* 4.7 */
}

/* 6.2: why a domain refuses, in one line of ASCII; whatever is wrong with it, there is none. */
static struct str explain(struct spf_run *run, const struct finding *f)
{
	AUTO(buf) struct buf text = BUF_INIT(4096), said = BUF_INIT(4096);
	struct dns_answer answer;
	if (f->exp.n == 0)
		return STR_NULL;
	struct str name = spf_target(run, f->where, f->exp), problem = run->problem;
	if (!name.p)
		return STR_NULL;
	spf_ask(run, name, DNS_TXT, &answer);
	run->problem = problem;
	if (answer.outcome != DNS_FOUND || answer.n != 1 ||
	    !dns_read_txt(answer.records[0], &text) ||
	    spf_expand(run, f->where, buf_str(&text), true, &said) < 0)
		return STR_NULL;
	for (size_t i = 0; i < said.n; i++) /* the sender's own words come back with the macros */
		if (said.p[i] < 0x20 || said.p[i] > 0x7e)
			return STR_NULL;
	return arena_str(run->a, buf_str(&said));
}

/* 4.3: without a local part it is postmaster's, without a sender that of HELO. */
static bool identify(struct spf_run *run)
{
	const struct spf_question *q = run->q;
	size_t at = str_rfind(q->sender, '@');
	struct str local = at < q->sender.n ? str_sub(q->sender, 0, at) : STR_NULL;
	run->sender_domain = q->sender.n == 0	? q->helo
			     : at < q->sender.n ? str_skip(q->sender, at + 1)
						: q->sender;
	run->local = local.n ? local : STR("postmaster");
	run->sender =
		local.n ? q->sender
			: arena_printf(run->a, "postmaster@%.*s", STR_ARG(run->sender_domain));
	return run->sender.p != NULL;
}

void spf_check(const struct spf_question *q, const struct spf_dns *dns, struct arena *a,
	       struct spf_verdict *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct spf_run run = {.q = q,
			      .dns = dns,
			      .a = a,
			      .lookups_max = q->lookups ? q->lookups : SPF_LOOKUPS,
			      .voids_max = q->voids ? q->voids : SPF_VOIDS,
			      .ttl = UINT32_MAX};
	bool is_mapped = q->ip_n == 16 && memcmp(q->ip, mapped, 12) == 0;
	run.ip_n = is_mapped ? 4 : q->ip_n;
	memcpy(run.ip, q->ip + (is_mapped ? 12 : 0), run.ip_n);
	struct finding f = {.result = SPF_NONE};
	*ret = (struct spf_verdict){.result = SPF_TEMPERROR, .problem = STR("no memory")};
	if (!identify(&run))
		return;
	ret->result = check_host(&run, run.sender_domain, &f);
	ret->domain = spf_domain(run.sender_domain, a);
	ret->mechanism = f.mechanism;
	ret->where = f.where;
	ret->explanation = ret->result == SPF_FAIL ? explain(&run, &f) : STR_NULL;
	bool error = ret->result == SPF_TEMPERROR || ret->result == SPF_PERMERROR;
	ret->problem = error ? run.problem : STR_NULL;
	ret->ttl = run.ttl == UINT32_MAX ? 0 : run.ttl;
	ret->lookups = run.lookups;
	ret->voids = run.voids;
}
