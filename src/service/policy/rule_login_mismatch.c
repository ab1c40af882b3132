/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Senders of ours are used by those whom they belong to. Who has logged in sends as itself, by one
 * of its aliases, or as somebody who let it (`barid send-as`); who has not, sends as nobody of
 * ours, unless the domain's SPF record names the client. It is the sender of the envelope that
 * counts.
 */
#include "service/policy/policy_int.h"

/* One of the words, between commas or blanks, without regard to case. */
bool policy_words_have(const char *words, struct str word)
{
	struct str rest = str_c(words);
	while (rest.n && word.n) {
		size_t n = 0;
		while (n < rest.n && rest.p[n] != ',' && rest.p[n] != ' ')
			n++;
		if (str_eqi(str_sub(rest, 0, n), word))
			return true;
		rest = str_skip(rest, n + 1);
	}
	return false;
}

/* --- nobody has logged in --- */

static bool is_let(const struct policy_query *q)
{
	const char *words = q->settings->sender.forged;
	struct str anywhere = arena_printf(q->arena, "%.*s@*", STR_ARG(q->sender.local));
	return policy_words_have(words, q->sender.bare) ||
	       policy_words_have(words, q->sender.domain) || policy_words_have(words, anywhere);
}

static int judge_stranger(const struct policy_query *q, struct policy_verdict *ret,
			  struct fail *why)
{
	const struct policy_sender *u = &q->settings->sender;
	const struct policy_domain_facts *d;
	if (q->trusted)
		return policy_dunno(ret, "the client is trusted");
	if (!u->strangers)
		return policy_dunno(ret, "nobody has logged in (policy.forged_senders)");
	if (is_let(q))
		return policy_dunno(ret, "policy.allowed_forged_senders has the sender");
	int r = policy_domain(q, POLICY_SENDER, &d, why);
	if (r < 0)
		return r;
	if (!policy_is_ours(d))
		return policy_dunno(ret, "the sender's domain is not ours");
	const struct spf_verdict *spf = u->spf ? policy_spf(q) : NULL;
	if (policy_busy(q))
		return -FAIL_BUSY;
	if (spf && spf->result == SPF_TEMPERROR) /* perhaps it names the client: for later */
		return fail_set(why, FAIL_TEMP, NULL, "SPF of %.*s is not known now: %.*s",
				STR_ARG(q->sender.domain), STR_ARG(spf->problem));
	if (policy_spf_passes(spf))
		return policy_dunno(ret, "SPF of %.*s passes by %.*s", STR_ARG(spf->domain),
				    STR_ARG(spf->mechanism));
	return policy_reject(ret, "SMTP AUTH is required for users under this sender domain",
			     "%.*s is a domain of ours, and nobody has logged in",
			     STR_ARG(q->sender.domain));
}

/* --- somebody has --- */

static bool is_free(const struct policy_query *q)
{
	const char *words = q->settings->sender.mismatch;
	if (policy_words_have(words, q->login.full) || policy_words_have(words, q->login.domain))
		return true;
	struct str own = arena_printf(q->arena, "@%.*s", STR_ARG(q->login.domain));
	return str_eq(q->sender.domain, q->login.domain) &&
	       (policy_words_have(words, own) || policy_words_have(words, STR("@.")));
}

static int judge_login(const struct policy_query *q, struct policy_verdict *ret, struct fail *why)
{
	const struct policy_sender *u = &q->settings->sender;
	struct policy_login_facts f = {0};
	if (q->inside)
		return policy_dunno(ret, "judged at MAIL");
	if (str_eq(q->sender.full, q->login.full) || str_eq(q->sender.bare, q->login.full))
		return policy_dunno(ret, "the sender is who has logged in");
	if (is_free(q))
		return policy_dunno(ret, "policy.login_mismatch_allowed has the login");
	int r = q->ask && q->ask->login
			? q->ask->login(q->ask->ctx, q->login.full, q->sender.full, &f, why)
			: 0;
	if (r < 0)
		return r;
	if (u->aliases && f.may_send)
		return policy_dunno(ret, "the sender is an alias of the login, or lets it");
	if (u->members && f.list_member)
		return policy_dunno(ret, "the login is a member of the list that sends");
	return policy_reject(ret, "Sender is not same as SMTP authenticate username",
			     "%.*s sends as %.*s", STR_ARG(q->login.full), STR_ARG(q->sender.full));
}

int rule_login_mismatch(struct policy *p, const struct policy_query *q, struct policy_verdict *ret,
			struct fail *why)
{
	(void)p;
	if (!q->sender.full.n)
		return policy_dunno(ret, "there is no sender");
	return policy_logged_in(q) ? judge_login(q, ret, why) : judge_stranger(q, ret, why);
}
