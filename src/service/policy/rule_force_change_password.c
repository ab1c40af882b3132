/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever has had the same password for too long sends nothing until it is changed. */
#include "service/policy/policy_int.h"

#define DAY_S UINT64_C(86400)

int rule_force_change_password(struct policy *p, const struct policy_query *q,
			       struct policy_verdict *ret, struct fail *why)
{
	const struct policy_password *u = &q->settings->password;
	struct policy_login_facts f = {0};
	(void)p;
	if (!policy_logged_in(q) || !q->ask || !q->ask->login)
		return policy_dunno(ret, "nobody has logged in");
	if (policy_words_have(u->spared, q->login.full) ||
	    policy_words_have(u->spared, q->login.domain))
		return policy_dunno(ret, "policy.password_spared has the login");
	int r = q->ask->login(q->ask->ctx, q->login.full, q->login.full, &f, why);
	if (r < 0)
		return r;
	if (!f.known || f.password_age_s < u->age_s)
		return policy_dunno(ret, "the password is %llu days old",
				    (unsigned long long)(f.password_age_s / DAY_S));
	return policy_reject(ret, u->message, "the password of %.*s is %llu days old",
			     STR_ARG(q->login.full),
			     (unsigned long long)(f.password_age_s / DAY_S));
}
