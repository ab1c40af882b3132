/* SPDX-License-Identifier: Apache-2.0 */
/* Who has logged in sends as somebody: the null sender is how stolen logins send "bounces". */
#include "service/policy/policy_int.h"

int rule_reject_null_sender(struct policy *p, const struct policy_query *q,
			    struct policy_verdict *ret, struct fail *why)
{
	(void)p;
	(void)why;
	if (!policy_logged_in(q))
		return policy_dunno(ret, "nobody has logged in");
	if (q->sender.full.n)
		return policy_dunno(ret, "there is a sender");
	if (q->inside)
		return policy_dunno(ret, "judged at MAIL (submission.null_sender)");
	return policy_reject(ret, "Policy rejection due to null sender",
			     "%.*s has logged in and says no sender", STR_ARG(q->login.full));
}
