/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Throttling: how much a sender, a client's network or a recipient may have.
 *
 * At the end of a message everything is judged and, when all of it is within its limits, counted:
 * first for who sends (kind outbound or external), then for each recipient (inbound). At RCPT the
 * recipient at hand is looked at without counting, so that one full mailbox refuses one recipient
 * and not the message. Rows are taken in order of priority; for each limit the first row that says
 * something counts.
 */
#include "service/policy/throttle.h"

struct mail {
	struct policy *p;
	const struct policy_query *q;
	const struct throttle_table *table;
	struct throttle_row *rows; /* THROTTLE_ROWS_MAX, of whom is looked at */
	struct throttle_use *use;
	size_t n, room;
	struct policy_verdict *ret;
};

/* Under which key a row counts: wildcards and networks as a whole, all other rows for each user. */
static struct str key_of(const struct throttle_row *row, const struct policy_query *q,
			 struct str user)
{
	switch (row->key) {
	case POLICY_KEY_IP:
	case POLICY_KEY_ALL_IP:
		return q->client_address;
	case POLICY_KEY_CIDR:
	case POLICY_KEY_WILDCARD_IP:
	case POLICY_KEY_WILDCARD_ADDRESS:
		return row->account;
	case POLICY_KEY_BAD:
	case POLICY_KEY_ALL:
	case POLICY_KEY_TLD:
	case POLICY_KEY_SUBDOMAIN:
	case POLICY_KEY_DOMAIN:
	case POLICY_KEY_ADDRESS:
	case POLICY_KEY_KINDS:
		break;
	}
	return user.n ? user : q->client_address;
}

/* The first row that says something of a limit; NULL: nobody limits it. */
static const struct throttle_row *first(const struct throttle_row *rows, size_t n,
					enum throttle_limit limit)
{
	bool periodic = limit == THROTTLE_MESSAGES || limit == THROTTLE_QUOTA;
	for (size_t i = 0; i < n; i++)
		if (rows[i].limit[limit] >= 0 && (!periodic || rows[i].period_s > 0))
			return rows[i].limit[limit] > 0 ? &rows[i] : NULL;
	return NULL;
}

/* 1: the message alone is over a limit. */
static int judge_message(struct mail *m, const struct throttle_row *rows, size_t n)
{
	const struct policy_query *q = m->q;
	const struct throttle_row *row = first(rows, n, THROTTLE_SIZE);
	if (row && q->size > (uint64_t)row->limit[THROTTLE_SIZE]) {
		(void)policy_reject(m->ret, "Message size is too large",
				    "%llu octets, %s of %.*s has a limit of %lld",
				    (unsigned long long)q->size, throttle_kind_name(row->kind),
				    STR_ARG(row->account), (long long)row->limit[THROTTLE_SIZE]);
		return 1;
	}
	row = first(rows, n, THROTTLE_RCPTS);
	if (row && q->recipient_count > (uint64_t)row->limit[THROTTLE_RCPTS]) {
		(void)policy_reject(m->ret, "Too many recipients in single message",
				    "%llu recipients, %s of %.*s has a limit of %lld",
				    (unsigned long long)q->recipient_count,
				    throttle_kind_name(row->kind), STR_ARG(row->account),
				    (long long)row->limit[THROTTLE_RCPTS]);
		return 1;
	}
	return 0;
}

static int add_use(struct mail *m, const struct throttle_row *rows, size_t n, struct str user,
		   int64_t messages, int64_t octets, struct fail *why)
{
	const struct throttle_row *const by[] = {first(rows, n, THROTTLE_MESSAGES),
						 first(rows, n, THROTTLE_QUOTA)};
	for (size_t i = 0; i < 2; i++) {
		const struct throttle_row *row = by[i];
		if (!row || (i == 1 && row == by[0]))
			continue;
		if (m->n == m->room)
			return fail_set(why, FAIL_LIMIT, NULL, "too much to be counted");
		struct throttle_use *u = &m->use[m->n++];
		*u = (struct throttle_use){.row = row->id,
					   .period_s = row->period_s,
					   .key = arena_str(m->q->arena, key_of(row, m->q, user)),
					   .messages_max = -1,
					   .quota_max = -1,
					   .messages = messages,
					   .octets = octets};
		if (row == by[0])
			u->messages_max = row->limit[THROTTLE_MESSAGES];
		if (row == by[1])
			u->quota_max = row->limit[THROTTLE_QUOTA];
		if (!u->key.p)
			return fail_set(why, FAIL_LIMIT, NULL, "no memory");
	}
	return 0;
}

static int64_t octets_of(const struct policy_query *q)
{
	return q->size > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)q->size;
}

/* Mail within a domain is not counted as sent. */
static int64_t recipients_counted(const struct policy_query *q, const struct policy_address *user)
{
	uint64_t n = q->recipient_count ? q->recipient_count : 1;
	if (!q->settings->throttle.same_domain || !user->domain.n)
		return (int64_t)MIN(n, (uint64_t)INT32_MAX);
	for (size_t i = 0; i < q->n_recipients && n > 0; i++)
		n -= str_eq(q->recipients[i].domain, user->domain);
	return (int64_t)MIN(n, (uint64_t)INT32_MAX);
}

static int judge_sender(struct mail *m, struct fail *why)
{
	const struct policy_query *q = m->q;
	bool logged_in = policy_logged_in(q);
	enum throttle_kind kind = logged_in || (q->client.family && netaddr_is_loopback(&q->client))
					  ? THROTTLE_OUTBOUND
					  : THROTTLE_EXTERNAL;
	const struct policy_address *user = logged_in ? &q->login : &q->sender;
	const struct policy_keys *const accounts[2] = {&user->keys, &q->client_keys};
	int64_t messages = recipients_counted(q, user);
	if (!throttle_any(m->table, kind) || messages == 0)
		return 0;
	size_t n = throttle_rows(m->table, kind, accounts, &q->client, m->rows);
	if (n == 0)
		return 0;
	int r = judge_message(m, m->rows, n);
	return r != 0 ? r : add_use(m, m->rows, n, user->bare, messages, octets_of(q), why);
}

static int judge_recipient(struct mail *m, const struct policy_address *rcpt, struct fail *why)
{
	const struct policy_query *q = m->q;
	const struct policy_keys *const accounts[2] = {&rcpt->keys, &q->client_keys};
	bool same = q->settings->throttle.same_domain && q->sender.domain.n &&
		    str_eq(q->sender.domain, rcpt->domain);
	if (!throttle_any(m->table, THROTTLE_INBOUND) || policy_logged_in(q) || same)
		return 0;
	size_t n = throttle_rows(m->table, THROTTLE_INBOUND, accounts, &q->client, m->rows);
	if (n == 0)
		return 0;
	int r = judge_message(m, m->rows, n);
	return r != 0 ? r : add_use(m, m->rows, n, rcpt->bare, 1, octets_of(q), why);
}

static int judge_all(struct mail *m, struct fail *why)
{
	static const struct policy_address nobody;
	const struct policy_query *q = m->q;
	int r = q->state == POLICY_STATE_END_OF_MESSAGE ? judge_sender(m, why) : 0;
	for (size_t i = 0; r == 0 && i < q->n_recipients; i++)
		r = judge_recipient(m, &q->recipients[i], why);
	/* Several, and Postfix does not name them: rows about the client hold all the same. */
	if (r == 0 && q->n_recipients == 0)
		r = judge_recipient(m, &nobody, why);
	return r;
}

static int say_exceeded(const struct mail *m, const struct throttle_excess *x)
{
	static const char text[] = "Throttling quota exceeded";
	bool messages = x->limit == THROTTLE_MESSAGES;
	struct policy_verdict *ret = m->ret;
	ret->notify = x->tell;
	if (m->q->settings->throttle.reject)
		(void)policy_reject(ret, text, "-");
	else
		(void)policy_defer(ret, text, "-");
	struct policy_verdict because = {0};
	(void)policy_dunno(&because,
			   "%.*s: %lld of %lld %s within %lld s are used, for %lld s more",
			   STR_ARG(x->use->key), (long long)x->used,
			   (long long)(messages ? x->use->messages_max : x->use->quota_max),
			   messages ? "messages" : "octets", (long long)x->use->period_s,
			   (long long)x->left_s);
	memcpy(ret->why, because.why, sizeof ret->why);
	return 0;
}

static int judge(struct mail *m, struct fail *why)
{
	const struct policy_query *q = m->q;
	enum throttle_mode mode = q->dry				    ? THROTTLE_DRY
				  : q->state == POLICY_STATE_END_OF_MESSAGE ? THROTTLE_COUNT
									    : THROTTLE_LOOK;
	struct throttle_excess excess = {0};
	m->room = 2 * (q->n_recipients + 2); /* who sends, and each recipient: two limits */
	m->use = arena_array(q->arena, struct throttle_use, m->room);
	m->rows = arena_array(q->arena, struct throttle_row, THROTTLE_ROWS_MAX);
	if (!m->use || !m->rows)
		return fail_set(why, FAIL_LIMIT, NULL, "no memory");
	int r = judge_all(m, why);
	if (r != 0)
		return r < 0 ? r : 0;
	if (m->n == 0)
		return policy_dunno(m->ret, "no row limits it");
	bool within = throttle_count(policy_state(m->p, POLICY_PART_THROTTLE), m->use, m->n,
				     q->now.v / SEC_US, mode, &excess);
	if (excess.changed)
		policy_dirty(m->p);
	if (!within)
		return say_exceeded(m, &excess);
	return policy_dunno(m->ret, "within %zu limits", m->n);
}

int rule_throttle(struct policy *p, const struct policy_query *q, struct policy_verdict *ret,
		  struct fail *why)
{
	const void *table;
	struct mail m = {.p = p, .q = q, .ret = ret};
	if (q->trusted && !policy_logged_in(q) && q->settings->throttle.spare_trusted)
		return policy_dunno(ret, "the client is trusted");
	int r = policy_table(p, POLICY_PART_THROTTLE_ROWS, &table, why);
	if (r < 0)
		return r;
	m.table = table;
	bool any = false;
	for (enum throttle_kind k = 0; k < THROTTLE_KINDS; k++)
		any |= throttle_any(table, k);
	r = any ? judge(&m, why) : policy_dunno(ret, "there are no rows");
	policy_table_done(p);
	return r;
}
