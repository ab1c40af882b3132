/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/relay/sts.h"
#include "base/list.h"
#include "base/map.h"
#include "codec/dns/dns.h"
#include "roles/relay/https.h"
#include "roles/role/ask_dns.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

COUNTER(fetched, "relay.sts-fetched", "MTA-STS policies that were fetched");
COUNTER(not_fetched, "relay.sts-failed", "MTA-STS policies that could not be fetched");

#define DAY_US	     (INT64_C(86400) * 1000000)
#define FETCH_MS     60000u /* RFC 8461 3.3 */
#define PATIENCE_NS  (300 * SEC_NS)
#define FAILURES_MAX 10000u
#define TURNS_MAX    3u /* others fetch it, and it cannot be kept: then it is not known */

/* What dir keeps, and what is in DNS. */
struct state {
	const char *domain;
	const struct conf *conf;
	struct errand *errand;
	struct arena *a;
	bool stored;
	bool unsure; /* what dir keeps is not known, or there is no room for it */
	char stored_id[STS_ID_MAX];
	int64_t fetched_us;
	struct str text;
	bool announced; /* there is one record in DNS */
	char id[STS_ID_MAX];
};

/* --- one fetches, and failures are left alone
 * --------------------------------------------------- */

struct busy {
	struct list link;
	const char *domain;
};
struct failure {
	struct mono_ns until;
	const char *kind; /* static */
	char domain[];
};
static struct {
	pthread_mutex_t lock;
	pthread_cond_t over;
	struct list busy;
	struct strmap failures;
} fetching = {.lock = PTHREAD_MUTEX_INITIALIZER,
	      .over = PTHREAD_COND_INITIALIZER,
	      .busy = LIST_INIT(fetching.busy)};

static bool is_busy(const char *domain)
{
	LIST_EACH (&fetching.busy, it)
		if (strcmp(CONTAINER_OF(it, struct busy, link)->domain, domain) == 0)
			return true;
	return false;
}

static void forget_failures(void)
{
	MAP_EACH (&fetching.failures, i)
		free(fetching.failures.slots[i].value);
	strmap_clear(&fetching.failures);
}

static void forget_failure(const char *domain)
{
	free(strmap_remove(&fetching.failures, str_c(domain)));
}

static void note_failure(const char *domain, const char *kind)
{
	struct failure *f = xcalloc(1, sizeof *f + strlen(domain) + 1);
	memcpy(f->domain, domain, strlen(domain) + 1);
	f->until = (struct mono_ns){clock_mono().v + PATIENCE_NS};
	f->kind = kind;
	forget_failure(domain);
	if (fetching.failures.n >= FAILURES_MAX)
		forget_failures();
	(void)strmap_put(&fetching.failures, str_c(f->domain), f);
}

/*
 * 1: it is ours to fetch, *me is in the list. 0: another one has done it meanwhile: look again.
 * -1: it failed a moment ago, *ret_kind.
 */
static int begin(struct busy *me, const char *domain, const char **ret_kind)
{
	int r = 1;
	(void)pthread_mutex_lock(&fetching.lock);
	struct failure *f = strmap_get(&fetching.failures, str_c(domain));
	if (f && mono_before(clock_mono(), f->until)) {
		*ret_kind = f->kind;
		r = -1;
	} else if (is_busy(domain)) {
		while (is_busy(domain))
			(void)pthread_cond_wait(&fetching.over, &fetching.lock);
		r = 0;
	} else {
		me->domain = domain;
		list_append(&fetching.busy, &me->link);
	}
	(void)pthread_mutex_unlock(&fetching.lock);
	return r;
}

static void end(struct busy *me, const char *failure)
{
	(void)pthread_mutex_lock(&fetching.lock);
	list_remove(&me->link);
	if (failure)
		note_failure(me->domain, failure);
	else
		forget_failure(me->domain);
	(void)pthread_cond_broadcast(&fetching.over);
	(void)pthread_mutex_unlock(&fetching.lock);
}

/* --- what is known
 * ------------------------------------------------------------------------------ */

static void ask_dir(struct state *s)
{
	struct msg_sts_find m = {.domain = str_c(s->domain)};
	struct ipc_question q = {
		.type = IPC_STS_FIND, .msg = &m, .want = IPC_STS_FOUND, .trace = s->errand->trace};
	struct msg_sts_found found;
	struct ipc_packet *p = NULL;
	struct fail why = FAIL_INIT;
	int r = -FAIL_PEER;
	for (int i = 0; i < 2 && r == -FAIL_PEER; i++)
		r = ipc_call(role_peer(relay.role, "dir", 0), &q, &p, &why);
	s->stored = r == 0 && msg_sts_found_read(p, &found) == 0 && found.known &&
		    found.id.n < sizeof s->stored_id;
	if (s->stored) {
		(void)snprintf(s->stored_id, sizeof s->stored_id, "%.*s", STR_ARG(found.id));
		s->fetched_us = found.fetched_us;
		s->text = arena_str(s->a, found.policy);
	}
	s->unsure = r < 0 || (s->stored && !s->text.p);
	if (r < 0)
		log_event(LOG_WARN, "relay.sts-unknown", log_c("domain", s->domain),
			  log_fail(&why));
	ipc_packet_free(p);
}

/* Exactly one record that begins as one of MTA-STS (RFC 8461 3.1). */
static void ask_dns(struct state *s)
{
	struct fail why = FAIL_INIT;
	struct dns_answer answer;
	struct str name = arena_printf(s->a, "_mta-sts.%s", s->domain);
	size_t n = 0;
	s->announced = false;
	if (!name.p || errand_resolve(s->errand, name, DNS_TXT, s->a, &answer, &why) < 0)
		return;
	for (size_t i = 0; i < answer.n; i++) {
		AUTO(buf) struct buf text = BUF_INIT(KIB(4));
		if (!dns_read_txt(answer.records[i], &text) ||
		    !str_starts(buf_str(&text), STR("v=STSv1")))
			continue;
		n++;
		s->announced = sts_record_parse(buf_str(&text), s->id);
	}
	s->announced = s->announced && n == 1;
}

static bool wants_fetch(const struct state *s)
{
	if (!s->announced)
		return false;
	return !s->stored || strcmp(s->id, s->stored_id) != 0 ||
	       clock_wall().v - s->fetched_us > DAY_US;
}

/* --- fetching
 * ----------------------------------------------------------------------------------- */

static void keep(const struct state *s, const struct sts_policy *policy, struct str text)
{
	int64_t now = clock_wall().v;
	struct msg_sts_keep m = {.domain = str_c(s->domain),
				 .id = str_c(s->id),
				 .fetched_us = now,
				 .expires_us = now + (int64_t)policy->max_age * 1000000,
				 .policy = text};
	struct ipc_question q = {
		.type = IPC_STS_KEEP, .msg = &m, .want = IPC_OK, .trace = s->errand->trace};
	struct ipc_packet *p = NULL;
	struct fail why = FAIL_INIT;
	if (ipc_call(role_peer(relay.role, "dir", 0), &q, &p, &why) < 0)
		log_event(LOG_WARN, "relay.sts-not-kept", log_c("domain", s->domain),
			  log_fail(&why));
	ipc_packet_free(p);
}

/* NULL, or RFC 8460's name of the failure. The text of a good policy goes to *text. */
static const char *fetch(const struct state *s, struct buf *text, struct fail *why)
{
	struct sts_policy policy;
	char host[300];
	(void)snprintf(host, sizeof host, "mta-sts.%s", s->domain);
	struct https_question q = {.conf = s->conf,
				   .errand = s->errand,
				   .host = host,
				   .port = (uint16_t)s->conf->relay_sts_port,
				   .path = "/.well-known/mta-sts.txt",
				   .type = "text/plain",
				   .time_ms = FETCH_MS};
	enum https_result r = https_ask(&q, text, why);
	if (r == HTTPS_BAD_CERTIFICATE)
		return "sts-webpki-invalid";
	if (r == HTTPS_FAILED)
		return "sts-policy-fetch-error";
	if (!sts_policy_parse(buf_str(text), &policy)) {
		(void)fail_set(why, FAIL_SYNTAX, NULL, "the policy is malformed");
		return "sts-policy-invalid";
	}
	keep(s, &policy, buf_str(text));
	return NULL;
}

/* A failure changes nothing about what was known. False: somebody else has fetched it. */
static bool refresh(struct state *s, struct sts *ret)
{
	AUTO(buf) struct buf text = BUF_INIT(STS_POLICY_MAX - 1024);
	struct fail why = FAIL_INIT;
	struct busy me = {0};
	list_init(&me.link);
	int r = begin(&me, s->domain, &ret->failure);
	if (r < 0)
		ret->why = STR("it failed a moment ago");
	if (r <= 0)
		return r < 0;
	ret->failure = fetch(s, &text, &why);
	if (ret->failure && atomic_load(&relay.cut)) {
		/* Cut off by ourselves: nothing is known, and nothing is to be reported. */
		end(&me, NULL);
		ret->failure = NULL;
		s->unsure = true;
		return true;
	}
	end(&me, ret->failure);
	counter_add(ret->failure ? &not_fetched : &fetched, 1);
	if (ret->failure) {
		ret->why = arena_str(s->a, str_c(why.detail));
		log_event(LOG_INFO, "relay.sts-failed", log_c("domain", s->domain),
			  log_c("result", ret->failure), log_c("why", why.detail));
		return true;
	}
	log_event(LOG_INFO, "relay.sts-fetched", log_c("domain", s->domain), log_c("id", s->id));
	s->stored = true;
	s->text = arena_str(s->a, buf_str(&text));
	s->unsure = !s->text.p;
	return true;
}

void sts_find(const char *domain, const struct conf *conf, struct errand *e, struct arena *a,
	      struct sts *ret)
{
	struct state s = {.domain = domain, .conf = conf, .errand = e, .a = a};
	*ret = (struct sts){0};
	ask_dir(&s);
	ask_dns(&s);
	unsigned turns = 0;
	while (wants_fetch(&s) && turns++ < TURNS_MAX && !refresh(&s, ret)) {
		ask_dir(&s); /* what the other one has found */
		s.unsure = s.unsure || (turns == TURNS_MAX && !s.stored);
	}
	ret->unsure = s.unsure;
	ret->known = s.stored && s.text.p && sts_policy_parse(s.text, &ret->policy);
}
