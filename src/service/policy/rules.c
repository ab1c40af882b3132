/* SPDX-License-Identifier: Apache-2.0 */
/* The rules in their order, and the walk over them. */
#include "base/check.h"
#include "service/policy/policy_int.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <stdarg.h>
#include <stdio.h>

COUNTER(asked, "policy.asked", "questions about a recipient or a message that rules have judged");
COUNTER(refused, "policy.refused", "of them: refused");
COUNTER(deferred, "policy.deferred", "of them: put off");
COUNTER(failed, "policy.failed", "rules that could not be asked: what is configured was answered");
COUNTER(invalid, "policy.invalid", "questions whose sender or recipient is no address");

/* Priorities are the reference's. Rules of one priority are asked as they stand here. */
const struct policy_rule policy_rules[POLICY_RULES] = {
	[POLICY_RULE_REJECT_NULL_SENDER] = {"reject_null_sender", 100,
					    POLICY_AT_RCPT | POLICY_AT_END, rule_reject_null_sender,
					    false},
	[POLICY_RULE_REJECT_TO_HOSTNAME] = {"reject_to_hostname", 100, POLICY_AT_RCPT,
					    rule_reject_to_hostname, false},
	[POLICY_RULE_WBLIST_RDNS] = {"wblist_rdns", 99, POLICY_AT_RCPT, rule_wblist_rdns, false},
	[POLICY_RULE_LOGIN_MISMATCH] = {"login_mismatch", 90, POLICY_AT_RCPT, rule_login_mismatch,
					true},
	[POLICY_RULE_FORCE_CHANGE_PASSWORD] = {"force_change_password", 70, POLICY_AT_RCPT,
					       rule_force_change_password, false},
	[POLICY_RULE_LIST_ACCESS] = {"list_access", 50, POLICY_AT_RCPT, rule_list_access, true},
	[POLICY_RULE_WBLIST] = {"wblist", 40, POLICY_AT_RCPT, rule_wblist, false},
	[POLICY_RULE_WHITELIST_OUTBOUND] = {"whitelist_outbound", 30, POLICY_AT_END,
					    rule_whitelist_outbound, false},
	[POLICY_RULE_SENDERSCORE] = {"senderscore", 10, POLICY_AT_RCPT, rule_senderscore, false},
	[POLICY_RULE_GREYLISTING] = {"greylisting", 80, POLICY_AT_RCPT, rule_greylisting, false},
	[POLICY_RULE_THROTTLE] = {"throttle", 60, POLICY_AT_RCPT | POLICY_AT_END, rule_throttle,
				  false},
};

const char *policy_rule_name(enum policy_rule_id id)
{
	return policy_rules[id].name;
}

const char *policy_act_name(enum policy_act a)
{
	static const char *const names[POLICY_ACTS] = {
		"DUNNO", "OK", "REJECT", "DEFER", "DEFER_IF_PERMIT", "DISCARD", "HOLD", "PREPEND"};
	return names[a < POLICY_ACTS ? a : POLICY_DUNNO];
}

/* --- answers of rules --- */

#define WHY(ret, fmt)                                                                              \
	do {                                                                                       \
		va_list ap_;                                                                       \
		va_start(ap_, fmt);                                                                \
		(void)vsnprintf((ret)->why, sizeof(ret)->why, fmt, ap_);                           \
		va_end(ap_);                                                                       \
	} while (0)

int policy_dunno(struct policy_verdict *ret, const char *why, ...)
{
	ret->act = POLICY_DUNNO;
	WHY(ret, why);
	return 0;
}

int policy_ok(struct policy_verdict *ret, const char *why, ...)
{
	ret->act = POLICY_OK;
	WHY(ret, why);
	return 0;
}

static void say(struct policy_verdict *ret, enum policy_act act, unsigned code, const char *status,
		const char *text)
{
	ret->act = act;
	ret->code = code;
	(void)snprintf(ret->status, sizeof ret->status, "%s", status);
	(void)snprintf(ret->text, sizeof ret->text, "%s", text);
}

int policy_reject(struct policy_verdict *ret, const char *text, const char *why, ...)
{
	say(ret, POLICY_REJECT, 554, "5.7.1", text);
	WHY(ret, why);
	return 0;
}

int policy_discard(struct policy_verdict *ret, const char *text, const char *why, ...)
{
	say(ret, POLICY_DISCARD, 0, "", text);
	WHY(ret, why);
	return 0;
}

int policy_defer(struct policy_verdict *ret, const char *text, const char *why, ...)
{
	say(ret, POLICY_DEFER, 451, "4.7.1", text);
	WHY(ret, why);
	return 0;
}

/* --- the walk --- */

static void note(struct policy_walk *w, const struct policy_verdict *v, bool was_asked,
		 struct mono_ns begun)
{
	CHECK(w->n < POLICY_RULES);
	w->step[w->n++] = (struct policy_step){.rule = v->rule,
					       .asked = was_asked,
					       .took_ns = (uint64_t)(clock_mono().v - begun.v),
					       .verdict = *v};
}

static void say_failed(const struct policy_query *q, const struct policy_rule *rule,
		       const struct fail *why, struct policy_verdict *ret)
{
	counter_add(&failed, 1);
	*ret = (struct policy_verdict){.rule = rule->name, .failed = true};
	if (rule->strict || q->settings->on_failure == POLICY_FAILURE_DEFER)
		(void)policy_defer(ret, "Policy service is not available, please try again later",
				   "%s", why->detail);
	else
		(void)policy_dunno(ret, "could not be asked: %s", why->detail);
}

/* -FAIL_BUSY: it would have to wait, and must not. */
static int ask(struct policy *p, const struct policy_query *q, const struct policy_rule *rule,
	       struct policy_verdict *ret)
{
	struct fail why = FAIL_INIT;
	*ret = (struct policy_verdict){.rule = rule->name};
	int r = mono_before(q->deadline, clock_mono())
			? fail_set(&why, FAIL_DEADLINE, NULL, "the rules before it took too long")
			: rule->ask(p, q, ret, &why);
	if (policy_busy(q))
		return -FAIL_BUSY;
	if (r < 0)
		say_failed(q, rule, &why, ret);
	return 0;
}

static int ask_noted(struct policy *p, const struct policy_query *q, const struct policy_rule *rule,
		     struct policy_walk *w, struct policy_verdict *ret)
{
	struct mono_ns begun = w ? clock_mono() : (struct mono_ns){0};
	bool had_failed = ret->failed;
	int r = ask(p, q, rule, ret);
	if (r == 0 && w)
		note(w, ret, true, begun);
	ret->failed |= had_failed;
	return r;
}

static int walk_over(struct policy *p, const struct policy_query *q, struct policy_walk *w,
		     struct policy_verdict *ret)
{
	for (size_t i = 0; i < POLICY_RULES; i++) {
		const struct policy_rule *rule = &policy_rules[i];
		if (!(rule->states & 1u << q->state))
			continue;
		if (q->settings->off[i]) {
			struct policy_verdict off = {.rule = rule->name, .why = "switched off"};
			if (w)
				note(w, &off, false, clock_mono());
			continue;
		}
		int r = ask_noted(p, q, rule, w, ret);
		if (r < 0 || ret->act != POLICY_DUNNO)
			return r;
	}
	ret->rule = NULL;
	ret->why[0] = '\0';
	return 0;
}

static void record(struct policy *p, const struct policy_query *q, const struct policy_verdict *v)
{
	counter_add(&asked, 1);
	if (q->invalid)
		counter_add(&invalid, 1);
	else if (v->act == POLICY_REJECT)
		counter_add(&refused, 1);
	else if (v->act == POLICY_DEFER || v->act == POLICY_DEFER_IF_PERMIT)
		counter_add(&deferred, 1);
	if (!q->invalid)
		policy_session_note(p, q, v);
}

static int decide(struct policy *p, const struct policy_query *q, struct policy_walk *walk,
		  struct policy_verdict *ret)
{
	*ret = (struct policy_verdict){0};
	if (walk)
		walk->n = 0;
	if (q->invalid)
		(void)policy_dunno(ret, "the sender or the recipient is no address");
	int r = q->invalid ? 0 : walk_over(p, q, walk, ret);
	if (r == 0 && !q->dry && !policy_is_shadow(p))
		record(p, q, ret);
	return r;
}

void policy_decide(struct policy *p, const struct policy_query *q, struct policy_walk *walk,
		   struct policy_verdict *ret)
{
	CHECK(!q->busy);
	CHECK(decide(p, q, walk, ret) == 0);
}

/* What rules ask of accounts, fetched for those that come. False: it cannot be had now. */
static bool facts_at_hand(const struct policy_query *q)
{
	const struct policy_domain_facts *d;
	struct policy_access_facts access;
	struct policy_login_facts login;
	for (enum policy_who who = POLICY_SENDER; who <= POLICY_LOGIN; who++)
		if (policy_domain(q, who, &d, NULL) < 0)
			return false;
	if (!q->ask || q->state != POLICY_STATE_RCPT)
		return true;
	if (q->ask->access && policy_domain(q, POLICY_RECIPIENT, &d, NULL) == 0 &&
	    policy_is_ours(d) &&
	    q->ask->access(q->ask->ctx, q->recipient.bare, q->sender.bare, q->arena, &access,
			   NULL) < 0)
		return false;
	return !q->login.full.n || !q->ask->login ||
	       q->ask->login(q->ask->ctx, q->login.full, q->sender.full, &login, NULL) == 0;
}

/*
 * Facts are fetched before the first rule: no rule has counted anything when one is not there. A
 * client's score is asked for by the last one, so with it nothing is decided here.
 */
static bool at_hand(struct policy *p, const struct policy_query *q)
{
	return policy_tables_at_hand(p) && q->settings->off[POLICY_RULE_SENDERSCORE] &&
	       facts_at_hand(q) && !policy_busy(q);
}

int policy_decide_now(struct policy *p, const struct policy_query *q, struct policy_verdict *ret)
{
	CHECK(q->busy);
	return at_hand(p, q) ? decide(p, q, NULL, ret) : -FAIL_BUSY;
}

void policy_verdict_action(const struct policy_verdict *v, struct str id, struct buf *out)
{
	switch (v->act) {
	case POLICY_REJECT:
	case POLICY_DEFER:
	case POLICY_DEFER_IF_PERMIT:
		if (v->act == POLICY_DEFER_IF_PERMIT)
			(void)buf_add_c(out, "DEFER_IF_PERMIT ");
		else if (v->act == POLICY_REJECT && v->code == 554 &&
			 strcmp(v->status, "5.7.1") == 0)
			(void)buf_add_c(out, "REJECT "); /* Postfix makes 554 5.7.1 of it */
		else
			(void)buf_addf(out, "%u %s ", v->code, v->status);
		(void)buf_add_c(out, v->text);
		if (id.n)
			(void)buf_addf(out, " (%.*s)", STR_ARG(id));
		break;
	case POLICY_DISCARD:
	case POLICY_HOLD:
	case POLICY_PREPEND:
		(void)buf_addf(out, "%s %s", policy_act_name(v->act), v->text);
		break;
	case POLICY_DUNNO:
	case POLICY_OK:
	case POLICY_ACTS:
		(void)buf_add_c(out, policy_act_name(v->act));
		break;
	}
}
