/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/tls_demand.h"
#include "roles/relay/dane.h"
#include "roles/relay/sts.h"
#include "sys/counter.h"
#include <stdio.h>
#include <string.h>

COUNTER(by_tlsa, "relay.demand-dane", "connections whose certificate has to fit a TLSA record");
COUNTER(by_sts, "relay.demand-sts", "connections whose certificate MTA-STS wants to be good");
COUNTER(held_up, "relay.demand-unmet", "hosts left out by DANE, MTA-STS or REQUIRETLS");

/* A question with its answer in the making. */
struct making {
	const struct tls_question *q;
	struct arena *a;
	struct tls_demand d;
	bool name_proved; /* by DNSSEC or MTA-STS: the host does belong to the domain */
	struct smtp_answer *answer;
	bool no_room; /* for what has to be checked: then nothing may be sent */
};

/* A certificate of an authority for the name that we connect to. */
static void expect_name(struct making *m)
{
	const char **names = arena_array(m->a, const char *, 1);
	if (!names) {
		m->no_room = true;
		return;
	}
	names[0] = m->q->target->host;
	if (names[0][0] == '[') { /* an address: its text stands in the certificate, bare */
		size_t n = strlen(names[0]);
		names[0] = arena_c(m->a, str_make(names[0] + 1, n - 2));
		m->no_room = !names[0];
		if (m->no_room)
			return;
	}
	m->d.expect.check = TLS_CHECK_AUTHORITY;
	m->d.expect.names = names;
	m->d.expect.names_n = 1;
}

static void demand(struct making *m, const char *policy, bool certificate)
{
	m->d.level = TLS_MUST;
	m->d.policy = policy;
	if (certificate)
		expect_name(m);
}

/* The host is left out, now or for good. */
static int leave_out(struct making *m, const char *status, const char *what, struct str detail)
{
	char text[500];
	(void)snprintf(text, sizeof text, "TLS with %s: %s%s%.*s", m->q->target->host, what,
		       detail.n ? ": " : "", STR_ARG(detail));
	smtp_answer_own(m->answer, status, str_c(text));
	counter_add(&held_up, 1);
	return status[0] == '5' ? -FAIL_PERM : -FAIL_TEMP;
}

/* --- DANE
 * --------------------------------------------------------------------------------------- */

/* RFC 7672 3.2.2: for certificates of a trust anchor, the name that the records stand under, the
 * host's and the domain's are good. */
static void expect_tlsa(struct making *m, const struct dane *dane)
{
	const char **names = arena_array(m->a, const char *, 3);
	if (!names) {
		m->no_room = true;
		return;
	}
	m->d.expect = (struct tls_expect){.check = TLS_CHECK_TLSA,
					  .server_name = dane->base,
					  .names = names,
					  .names_n = 1,
					  .tlsa = dane->records,
					  .tlsa_n = dane->n};
	names[0] = dane->base;
	if (strcmp(dane->base, m->q->target->host) != 0)
		names[m->d.expect.names_n++] = m->q->target->host;
	if (m->q->hop->kind == NEXTHOP_DOMAIN)
		names[m->d.expect.names_n++] = m->q->hop->name;
}

static bool may_have_tlsa(const struct tls_question *q)
{
	if (strcmp(q->conf->relay_dane, "on") != 0 || !q->target->secure)
		return false;
	return q->hop->kind == NEXTHOP_HOST || (q->hop->kind == NEXTHOP_DOMAIN && q->domain_secure);
}

/* 1: DANE says what counts. 0: it says nothing. */
static int ask_dane(struct making *m)
{
	struct dane dane = {0};
	if (!may_have_tlsa(m->q))
		return 0;
	dane_find(m->q->target, m->q->errand, m->a, &dane);
	if (dane.state == DANE_NONE)
		return 0;
	m->d.report_policy = "tlsa";
	m->name_proved = true;
	if (dane.state == DANE_UNKNOWN) {
		tls_demand_report(&m->d, m->q->target, "dnssec-invalid", "no answer about TLSA");
		if (m->q->tls_optional)
			return 1;
		return leave_out(m, "4.7.5", "what DNS says of its certificate (TLSA) is not known",
				 dane.why);
	}
	if (!m->q->tls_optional)
		demand(m, "dane", false);
	if (dane.state == DANE_RECORDS) {
		expect_tlsa(m, &dane);
		counter_add(&by_tlsa, 1);
	}
	return 1;
}

/* --- MTA-STS
 * ------------------------------------------------------------------------------------ */

static int enforce(struct making *m, const struct sts *sts)
{
	struct str host = str_c(m->q->target->host);
	bool enforced = sts->policy.mode == STS_ENFORCE && !m->q->tls_optional;
	m->d.report_policy = "sts";
	if (!sts_policy_has(&sts->policy, host)) {
		tls_demand_report(&m->d, m->q->target, "validation-failure",
				  "not in the policy of MTA-STS");
		if (!enforced)
			return 0;
		return leave_out(m, "4.7.5", "the domain's MTA-STS policy does not name this host",
				 STR_NULL);
	}
	m->name_proved = true;
	expect_name(m);
	if (enforced) {
		demand(m, "mta-sts", true);
		counter_add(&by_sts, 1);
	}
	return 0;
}

static int ask_sts(struct making *m)
{
	if (m->q->hop->kind != NEXTHOP_DOMAIN || strcmp(m->q->conf->relay_mta_sts, "on") != 0)
		return 0;
	struct sts *sts = arena_alloc(m->a, sizeof *sts);
	if (!sts) {
		m->no_room = true;
		return 0;
	}
	sts_find(m->q->hop->name, m->q->conf, m->q->errand, m->a, sts);
	if (sts->failure) {
		struct tls_demand said = m->d;
		said.report_policy = "sts";
		tls_demand_report(&said, m->q->target, sts->failure, arena_c(m->a, sts->why));
	}
	if (sts->unsure && !m->q->tls_optional)
		return leave_out(m, "4.7.5", "the domain's MTA-STS policy cannot be read now",
				 STR_NULL);
	return sts->known && sts->policy.mode != STS_NONE ? enforce(m, sts) : 0;
}

/* --- the others
 * --------------------------------------------------------------------------------- */

/* RFC 8689 4.2.1: the host's name has to be proved, and its certificate. */
static int ask_requiretls(struct making *m)
{
	if (m->q->hop->kind == NEXTHOP_DOMAIN && !m->q->domain_secure && !m->name_proved)
		return leave_out(m, "5.7.10",
				 "REQUIRETLS is asked for, and neither DNSSEC nor MTA-STS proves "
				 "that this host takes the domain's mail",
				 STR_NULL);
	demand(m, "requiretls", m->d.expect.check == TLS_CHECK_NOTHING);
	m->d.missing_status = "5.7.10";
	return 0;
}

static struct making begin(const struct tls_question *q, struct arena *a,
			   struct smtp_answer *answer)
{
	const char *setting = q->conf->relay_tls;
	struct making m = {.q = q, .a = a, .answer = answer};
	m.d = (struct tls_demand){.level = strcmp(setting, "off") == 0 ? TLS_NEVER : TLS_MAY,
				  .policy = "opportunistic",
				  .report_policy = "no-policy-found"};
	if (q->target->host[0] != '[')
		m.d.expect.server_name = q->target->host;
	if (q->hop->protocol != NEXTHOP_LMTP && q->hop->kind == NEXTHOP_DOMAIN && !q->unreported)
		m.d.report_domain = q->hop->name;
	if (strcmp(setting, "must") == 0 && !q->tls_optional && q->hop->protocol != NEXTHOP_LMTP)
		demand(&m, "setting", false);
	return m;
}

int tls_demand_find(const struct tls_question *q, struct arena *a, struct tls_demand *ret,
		    struct smtp_answer *answer)
{
	bool local = q->hop->kind == NEXTHOP_ADDRESS && netaddr_is_loopback(&q->target->address);
	struct making m = begin(q, a, answer);
	int r = q->hop->protocol == NEXTHOP_LMTP ? 1 : ask_dane(&m);
	if (r == 0)
		r = ask_sts(&m);
	if (r < 0)
		return r;
	if (q->login && !local)
		demand(&m, "login",
		       strcmp(q->conf->relay_login_tls, "verified") == 0 &&
			       m.d.expect.check == TLS_CHECK_NOTHING);
	if (q->hop->protocol == NEXTHOP_SMTPS) {
		m.d.from_start = true;
		m.d.level = TLS_MUST;
		m.d.policy = "nexthop";
	}
	r = q->requiretls ? ask_requiretls(&m) : 0;
	if (r == 0 && m.no_room && !q->tls_optional)
		r = leave_out(&m, "4.7.5", "there is no room for what has to be checked", STR_NULL);
	*ret = m.d;
	return r;
}

/* --- reports
 * ------------------------------------------------------------------------------------ */

const char *tls_demand_result(enum tls_verdict verdict)
{
	static const char *const results[TLS_VERDICTS] = {
		[TLS_NOT_CHECKED] = "ok",
		[TLS_GOOD] = "ok",
		[TLS_BAD_NAME] = "certificate-host-mismatch",
		[TLS_EXPIRED] = "certificate-expired",
		[TLS_UNTRUSTED] = "certificate-not-trusted",
		[TLS_TLSA_MISMATCH] = "validation-failure"};
	return results[verdict];
}

void tls_demand_report(const struct tls_demand *d, const struct target *t, const char *result,
		       const char *reason)
{
	char ip[NETADDR_TEXT_MAX];
	bool ok = strcmp(result, "ok") == 0;
	if (!d->report_domain)
		return;
	struct msg_tls_session m = {.domain = str_sub(str_c(d->report_domain), 0, 255),
				    .policy = str_c(d->report_policy),
				    .result = str_c(result),
				    .mx = ok ? STR("") : str_sub(str_c(t->host), 0, 255),
				    .ip = ok ? STR("") : netaddr_text(&t->address, false, ip),
				    .reason = ok ? STR("") : str_sub(str_c(reason), 0, 200)};
	(void)ipc_send(role_peer(relay.role, "dir", 0), (struct trace_id){0}, IPC_TLS_SESSION, &m);
}
