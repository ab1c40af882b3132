/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test --client IP --sender A --recipient A [--helo N] [--login A] [--size N] [--name N]
 *      [--at rcpt|end] [--recipients N]
 *
 * A rehearsal: each rule is asked, and nothing is counted or recorded.
 */
#include "base/num.h"
#include "base/text.h"
#include "service/policy/orders_int.h"
#include <stdio.h>

static int read_request(struct order *x, struct policy_request *r)
{
	int64_t size = 0, recipients = 0;
	struct str at = order_option(x, "at");
	*r = (struct policy_request){.state = POLICY_STATE_RCPT,
				     .client_address = order_option(x, "client"),
				     .sender = order_option(x, "sender"),
				     .recipient = order_option(x, "recipient"),
				     .helo_name = order_option(x, "helo"),
				     .sasl_username = order_option(x, "login")};
	r->reverse_client_name = r->client_name = order_option(x, "name");
	if (order_octets(x, "size", &size) < 0 || order_number(x, "recipients", &recipients) < 0)
		return -FAIL_SYNTAX;
	r->size = (uint64_t)MAX(size, 0);
	r->recipient_count = (uint64_t)MAX(recipients, 0);
	if (str_eq(at, STR("end"))) {
		r->state = POLICY_STATE_END_OF_MESSAGE;
		r->recipient_count = MAX(r->recipient_count, UINT64_C(1));
	} else if (at.p && !str_eq(at, STR("rcpt"))) {
		return order_usage(x);
	}
	return x->words != 1 ? order_usage(x) : order_understood(x);
}

static int may_ask(struct order *x, const struct policy_request *r)
{
	const struct str who[] = {r->recipient, r->sasl_username};
	for (size_t i = 0; i < ARRAY_LEN(who); i++)
		if (who[i].n && order_may(x, who[i]))
			return 0;
	return order_global(x);
}

static void say_step(struct order *x, const struct policy_step *s)
{
	struct policy_verdict v = s->verdict;
	order_cell(x, str_c(s->rule));
	if (!s->asked)
		order_cell(x, STR("-"));
	else if (v.code)
		order_cellf(x, "%s %u %s %s", policy_act_name(v.act), v.code, v.status, v.text);
	else
		order_cell(x, str_c(policy_act_name(v.act)));
	order_cell(x, str_c(v.why));
	order_cellf(x, "%llu", (unsigned long long)(s->took_ns / 1000));
}

int order_test(struct order *x)
{
	static const char *const names[] = {"rule", "answer", "why", "microseconds"};
	AUTO(buf) struct buf action = BUF_INIT(KIB(4));
	struct policy_request r;
	struct policy_query q;
	struct policy_verdict v;
	struct policy_walk *walk = arena_new(x->a, struct policy_walk);
	int ret = read_request(x, &r);
	if (ret == 0)
		ret = may_ask(x, &r);
	if (ret == 0 && !walk)
		ret = fail_set(x->why, FAIL_LIMIT, NULL, "no memory");
	if (ret == 0)
		ret = policy_query_init(&q, &r, x->o->settings, x->a, x->why);
	if (ret == 0)
		ret = order_columns(x, names, ARRAY_LEN(names));
	if (ret < 0)
		return ret;
	if (q.invalid || (r.client_address.n && !q.client.family))
		return fail_set(x->why, FAIL_SYNTAX,
				T("The sender, the recipient or the client is no "
				  "address."),
				"policy test");
	q.ask = x->o->ask;
	q.dry = true;
	policy_decide(x->p, &q, walk, &v);
	for (size_t i = 0; i < walk->n; i++)
		say_step(x, &walk->step[i]);
	policy_verdict_action(&v, STR(""), &action);
	x->ret->message =
		v.rule ? arena_printf(x->a, T("Answer: %s (rule %s)"), buf_c(&action), v.rule)
		       : arena_printf(x->a, T("Answer: %s"), buf_c(&action));
	return 0;
}
