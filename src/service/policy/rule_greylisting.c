/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greylisting: who is not known is asked to come again later, which most of those who send
 * unwanted mail do not. In this order, each of which ends it: the client is trusted or has logged
 * in; a white list; the setting of the account; the client's network has passed before; the
 * sender's domain vouches for the client by SPF; the triplet.
 */
#include "service/policy/grey.h"
#include "service/policy/netset.h"

/* The recipient's keys, and those in the domain that an alias domain stands for. */
static int accounts_of(const struct policy_query *q, struct policy_keys *ret, struct fail *why)
{
	const struct policy_domain_facts *facts;
	*ret = q->recipient.keys;
	int r = policy_domain(q, POLICY_RECIPIENT, &facts, why);
	if (r < 0 || facts->kind != POLICY_DOMAIN_ALIAS || !facts->target.n)
		return r;
	struct policy_keys more;
	struct str target = arena_printf(q->arena, "%.*s@%.*s", STR_ARG(q->recipient.local),
					 STR_ARG(facts->target));
	policy_keys_of_address(target, target, q->arena, &more);
	for (size_t i = 0; i < more.n && ret->n < POLICY_KEYS_MAX; i++)
		if (!policy_keys_have(ret, more.v[i]))
			ret->v[ret->n++] = more.v[i];
	return 0;
}

/* 1: a row lets the mail pass, *ret says which. */
static int by_rows(struct policy *p, const struct policy_query *q, struct policy_verdict *ret,
		   struct fail *why)
{
	const struct policy_keys *const senders[2] = {&q->sender.keys, &q->client_keys};
	struct policy_keys accounts;
	struct grey_row row;
	const void *table;
	int r = accounts_of(q, &accounts, why);
	if (r < 0 || (r = policy_table(p, POLICY_PART_GREY_ROWS, &table, why)) < 0)
		return r;
	r = 1;
	if (grey_white(table, &accounts, senders, &q->client, &row))
		(void)policy_dunno(ret, "on the white list of %.*s: %.*s%s%.*s",
				   STR_ARG(row.account), STR_ARG(row.sender),
				   row.sender.n && row.comment.n ? ", " : "", STR_ARG(row.comment));
	else if (!grey_setting(table, &accounts, senders, &q->client, &row))
		(void)policy_dunno(ret, "no setting of this recipient asks for it");
	else if (!row.active)
		(void)policy_dunno(ret, "switched off for mail from %.*s to %.*s",
				   STR_ARG(row.sender), STR_ARG(row.account));
	else
		r = 0;
	policy_table_done(p);
	return r;
}

static int put_off(const struct policy_query *q, const struct grey_answer *said,
		   const char *network, struct policy_verdict *ret)
{
	const struct policy_greylist *g = &q->settings->greylist;
	const char *what = said->what == GREY_NEW ? "were never seen" : "came too soon";
	long long left = said->left_s;
	if (g->training)
		return policy_dunno(ret, "training: this sender, recipient and %s %s", network,
				    what);
	return policy_defer(ret, g->message, "this sender, recipient and %s %s: %lld s to wait",
			    network, what, left);
}

static int by_triplet(struct policy *p, const struct policy_query *q, struct policy_verdict *ret)
{
	const struct policy_greylist *g = &q->settings->greylist;
	struct grey_state *s = policy_state(p, POLICY_PART_GREY);
	char network[NETADDR_TEXT_MAX + 8], client[NETADDR_TEXT_MAX + 8];
	struct grey_triplet t = {.sender = q->sender.bare,
				 .recipient = q->recipient.bare,
				 .network = netset_network(&q->client, g->bits4, g->bits6, network),
				 .client = netset_network(&q->client, 32, 128, client),
				 .now = q->now.v / SEC_US,
				 .settings = g};
	if (g->spf && !grey_is_known(s, &t)) {
		const struct spf_verdict *v = policy_spf(q);
		if (policy_busy(q))
			return -FAIL_BUSY;
		if (policy_spf_passes(v))
			return policy_dunno(ret, "SPF of %.*s passes by %.*s", STR_ARG(v->domain),
					    STR_ARG(v->mechanism));
	}
	struct grey_answer said = grey_judge(s, &t, q->dry);
	if (said.changed)
		policy_dirty(p);
	if (said.what == GREY_KNOWN)
		return policy_dunno(ret, "%s has passed before", network);
	if (said.what == GREY_PASSES)
		return policy_dunno(ret, "%s has waited and came again", network);
	return put_off(q, &said, network, ret);
}

int rule_greylisting(struct policy *p, const struct policy_query *q, struct policy_verdict *ret,
		     struct fail *why)
{
	if (policy_logged_in(q) || q->trusted)
		return policy_dunno(ret, "the client is trusted");
	if (!q->client.family || !q->recipient.full.n)
		return policy_dunno(ret, "the client or the recipient is not known");
	int r = by_rows(p, q, ret, why);
	if (r != 0)
		return r < 0 ? r : 0;
	return by_triplet(p, q, ret);
}
