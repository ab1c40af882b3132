/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may write to an alias account or a mailing list: accesspolicy of the directory's alias and
 * maillists. Who has logged in counts as itself, too, by whatever name it sends.
 */
#include "service/policy/policy_int.h"

static int look(const struct policy_query *q, struct str sender, struct policy_access_facts *ret,
		struct fail *why)
{
	return q->ask->access(q->ask->ctx, q->recipient.bare, sender, q->arena, ret, why);
}

int rule_list_access(struct policy *p, const struct policy_query *q, struct policy_verdict *ret,
		     struct fail *why)
{
	const struct policy_domain_facts *d;
	struct policy_access_facts f = {.access = POLICY_ACCESS_NONE};
	(void)p;
	int r = policy_domain(q, POLICY_RECIPIENT, &d, why);
	if (r < 0)
		return r;
	if (!policy_is_ours(d) || !q->ask->access)
		return policy_dunno(ret, "the recipient's domain is not ours");
	r = look(q, q->sender.bare, &f, why);
	if (r == 0 && f.access == POLICY_ACCESS_NO && policy_logged_in(q) &&
	    !str_eq(q->login.full, q->sender.bare))
		r = look(q, q->login.full, &f, why);
	if (r < 0)
		return r;
	switch (f.access) {
	case POLICY_ACCESS_NO:
		return policy_reject(ret, "Not authorized", "%.*s", STR_ARG(f.why));
	case POLICY_ACCESS_DISABLED:
		return policy_reject(ret, "Policy rejection", "%.*s", STR_ARG(f.why));
	case POLICY_ACCESS_YES:
		return policy_dunno(ret, "%.*s, and the sender is one of them", STR_ARG(f.why));
	case POLICY_ACCESS_NONE:
		break;
	}
	return policy_dunno(ret, "anybody may write to the recipient");
}
