/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port 7777: another mail server asks the rules (codec/policy). Each request is judged on its own;
 * what has to be known of accounts and the DNS is waited for on a worker thread, and a decision
 * that needs none of that is made on the loop. A refusal gets a trace id of its own, which its text
 * names. Who says nonsense is disconnected, as Postfix expects: it asks again and then does what it
 * is configured to do.
 */
#include "base/check.h"
#include "roles/mta/door.h"
#include "roles/mta/inquiry.h"
#include "roles/mta/rules.h"
#include "sys/counter.h"
#include "sys/log.h"
#include "sys/rand.h"
#include <stdio.h>

COUNTER(served, "policy.requests", "requests of other mail servers to the policy service");
COUNTER(nonsense, "policy.malformed", "requests to the policy service that are none");

#define QUERY_MAX MIB(1)

static int answer(const struct inquiry_ask *q, const struct policy_request *r, struct buf *out)
{
	const struct mta_config *m = conf_extra(q->conf);
	struct rules_asker asker = {.trace = {rand_u64()}, .nowait = !q->wait};
	struct policy_verdict v;
	char id[20];
	(void)snprintf(id, sizeof id, "%llx", (unsigned long long)asker.trace.v);
	struct rules_case c = {
		.request = r, .settings = &m->policy, .asker = &asker, .id = str_c(id)};
	int said = rules_decide(&c, &v);
	if (said < 0)
		return said;
	AUTO(buf) struct buf action = BUF_INIT(POLICY_ACTION_MAX);
	policy_verdict_action(&v, c.id, &action);
	policy_answer_write(out, buf_str(&action));
	counter_add(&served, 1);
	return 0;
}

static bool is_one(struct str input)
{
	size_t end = 0;
	return policy_frame_end(input, &end) == 1 && end == input.n;
}

int inquiry_policy(const struct inquiry_ask *q, struct buf *out, bool *ret_close)
{
	struct str rest = q->input;
	if (!q->wait && !is_one(q->input)) /* nothing is judged twice */
		return -FAIL_BUSY;
	while (rest.n) {
		struct policy_request r;
		size_t end = 0;
		int said = policy_frame_end(rest, &end);
		if (said == 1)
			said = policy_request_parse(str_sub(rest, 0, end), &r);
		if (said < 0 || end == 0) {
			counter_add(&nonsense, 1);
			log_event(LOG_WARN, "policy.malformed",
				  log_str("request", str_sub(rest, 0, 100)));
			*ret_close = true;
			return 1;
		}
		said = answer(q, &r, out);
		if (said < 0)
			return said;
		rest = str_skip(rest, end);
	}
	return 1;
}
