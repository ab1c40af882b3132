/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/mta/rules.h"
#include "base/check.h"
#include "roles/mta/door.h"
#include "sys/clock.h"
#include "sys/log.h"
#include <stdlib.h>
#include <string.h>

#define QUERY_MAX MIB(4)
#define RCPT_MAX  KIB(8) /* of it: a recipient with all its keys, and what counts against it */

static struct {
	struct policy *policy;
} rules;

/* --- life --- */

void rules_open(struct role *role)
{
	struct fail why = FAIL_INIT;
	const struct mta_config *m = conf_extra(role->conf);
	rules.policy = policy_open("policy/policy.db", &m->policy.keep, &why);
	if (why.code) /* mail goes on; it is tried again */
		log_event(LOG_ERROR, "policy.database", log_fail(&why));
}

void rules_reconfigure(struct role *role)
{
	const struct mta_config *m = conf_extra(role->conf);
	policy_configure(rules.policy, &m->policy.keep);
}

void rules_finish(void)
{
	policy_finish(rules.policy);
}

struct policy *rules_engine(void)
{
	return rules.policy;
}

/* --- the configuration --- */

static bool on(const char *choice)
{
	return strcmp(choice, "on") == 0;
}

/* Our own machines: those that may relay, and those whose names are not looked at. */
static void join(struct netcidrs *ret, const struct conf_list *a, const struct conf_list *b)
{
	struct netcidrs x = {0}, y = {0};
	conf_networks(a, &x);
	conf_networks(b, &y);
	ret->n = x.n + y.n;
	ret->p = xcalloc(ret->n + 1, sizeof *ret->p);
	for (size_t i = 0; i < ret->n; i++)
		ret->p[i] = i < x.n ? x.p[i] : y.p[i - x.n];
	free(x.p);
	free(y.p);
}

void rules_settings_make(struct policy_settings *ret, const struct conf *c)
{
	const struct {
		enum policy_rule_id id;
		const char *choice;
	} switches[] = {
		{POLICY_RULE_REJECT_NULL_SENDER, c->policy_reject_null_sender},
		{POLICY_RULE_REJECT_TO_HOSTNAME, c->policy_reject_to_hostname},
		{POLICY_RULE_WBLIST_RDNS, c->policy_wblist_rdns},
		{POLICY_RULE_LOGIN_MISMATCH, c->policy_login_mismatch},
		{POLICY_RULE_LIST_ACCESS, c->policy_list_access},
		{POLICY_RULE_WBLIST, c->policy_wblist},
		{POLICY_RULE_FORCE_CHANGE_PASSWORD, c->policy_force_change_password},
		{POLICY_RULE_WHITELIST_OUTBOUND, c->policy_whitelist_outbound},
		{POLICY_RULE_SENDERSCORE, c->policy_senderscore},
		{POLICY_RULE_GREYLISTING, c->policy_greylisting},
		{POLICY_RULE_THROTTLE, c->policy_throttle},
	};
	*ret = policy_settings_default();
	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		ret->off[switches[i].id] = !on(switches[i].choice);
	ret->on_failure = strcmp(c->policy_on_failure, "defer") == 0 ? POLICY_FAILURE_DEFER
								     : POLICY_FAILURE_DUNNO;
	join(&ret->trusted, &c->relay_from, &c->known_networks);
	ret->hostname = c->hostname;
	ret->sender =
		(struct policy_sender){.strangers = strcmp(c->policy_forged_senders, "refuse") == 0,
				       .spf = on(c->policy_forged_spf),
				       .forged = c->policy_allowed_forged,
				       .aliases = on(c->policy_alias_senders),
				       .members = on(c->policy_member_senders),
				       .mismatch = c->policy_mismatch_allowed};
	ret->password = (struct policy_password){.age_s = c->policy_password_age_ms / 1000,
						 .message = c->policy_password_message,
						 .spared = c->policy_password_spared};
	ret->wblist_discard = strcmp(c->policy_wblist_action, "discard") == 0;
	ret->senderscore_max = (unsigned)c->policy_senderscore_max;
	ret->keep.scores_s = c->policy_senderscore_keep_ms / 1000;
	ret->log_sessions = on(c->policy_sessions);
	ret->keep.sessions_s = c->policy_sessions_keep_ms / 1000;
	ret->timeout_ms = c->policy_timeout_ms;
	ret->greylist = (struct policy_greylist){.training = on(c->greylist_training),
						 .spf = on(c->greylist_spf),
						 .wait_s = c->greylist_wait_ms / 1000,
						 .retry_s = c->greylist_retry_ms / 1000,
						 .keep_s = c->greylist_keep_ms / 1000,
						 .bits4 = (unsigned)c->greylist_network4,
						 .bits6 = (unsigned)c->greylist_network6,
						 .message = c->greylist_message};
	ret->throttle =
		(struct policy_throttle){.same_domain = !on(c->throttle_same_domain),
					 .spare_trusted = !on(c->throttle_trusted),
					 .reject = strcmp(c->throttle_answer, "reject") == 0};
}

void rules_settings_clear(struct policy_settings *s)
{
	free(s->trusted.p);
}

/* --- questions --- */

static void log_verdict(const struct policy_query *q, const struct policy_verdict *v)
{
	if (v->failed)
		log_event(LOG_WARN, "policy.failed", log_c("rule", v->rule ? v->rule : "-"),
			  log_c("answer", policy_act_name(v->act)), log_c("why", v->why));
	if (v->act != POLICY_DUNNO)
		log_event(LOG_INFO, "policy.decided", log_c("at", policy_state_name(q->state)),
			  log_c("rule", v->rule), log_c("answer", policy_act_name(v->act)),
			  log_c("why", v->why), log_address("from", q->sender.full),
			  log_address("rcpt", q->recipient.full),
			  log_address("login", q->login.full), log_str("ip", q->client_address));
}

static bool take_recipients(struct policy_query *q, const struct str *rcpts, size_t n)
{
	struct policy_address *x = arena_array(q->arena, struct policy_address, n);
	if (!x)
		return false;
	q->recipients = x;
	q->n_recipients = 0;
	for (size_t i = 0; i < n; i++)
		if (policy_address_init(&x[q->n_recipients], rcpts[i], q->settings->delimiter,
					q->arena))
			q->n_recipients++;
	return true;
}

int rules_decide(const struct rules_case *c, struct policy_verdict *ret)
{
	struct policy_ask ask = rules_ask(c->asker);
	struct policy_query q;
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(QUERY_MAX + c->n * RCPT_MAX);
	int r = 0;
	*ret = (struct policy_verdict){0};
	if (policy_query_init(&q, c->request, c->settings, &a, &why) < 0)
		return 0;
	q.ask = &ask;
	q.inside = c->inside;
	q.id = c->id;
	if (c->n && !take_recipients(&q, c->rcpts, c->n))
		return 0;
	if (c->asker->nowait) {
		q.busy = &c->asker->busy;
		r = policy_decide_now(rules.policy, &q, ret);
	} else {
		policy_decide(rules.policy, &q, NULL, ret);
	}
	if (r == 0 && (ret->failed || ret->act != POLICY_DUNNO)) {
		log_context(c->asker->trace, (struct session_id){0});
		log_verdict(&q, ret);
	}
	return r;
}

void rules_judge(void *ctx, const struct policy_request *r, const struct str *rcpts, size_t n,
		 struct policy_verdict *ret)
{
	struct mta_session *s = ctx;
	const struct mta_config *m = conf_extra(s->conf);
	struct rules_asker asker = {.trace = s->trace};
	struct rules_case c = {.request = r,
			       .settings = &m->policy,
			       .asker = &asker,
			       .inside = true,
			       .rcpts = rcpts,
			       .n = n};
	(void)!rules_decide(&c, ret);
	log_context(s->trace, s->id);
}
