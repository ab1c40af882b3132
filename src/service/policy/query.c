/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked: lowered, expanded, once for all rules. */
#include "service/policy/policy_int.h"
#include "sys/clock.h"

static struct str lower(struct arena *a, struct str s)
{
	char *copy = arena_c(a, s);
	for (size_t i = 0; copy && i < s.n; i++)
		copy[i] = ascii_lower(copy[i]);
	return copy ? str_make(copy, s.n) : STR("");
}

static bool is_address(struct str s)
{
	size_t at = str_rfind(s, '@');
	if (s.n > 320 || at == 0 || at + 1 >= s.n)
		return false;
	for (size_t i = at; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	for (size_t i = 0; i < at; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

bool policy_address_init(struct policy_address *x, struct str address, char delimiter,
			 struct arena *a)
{
	*x = (struct policy_address){.full = STR(""), .bare = STR("")};
	if (address.n && !is_address(address))
		return false;
	x->full = x->bare = lower(a, address);
	size_t at = str_rfind(x->full, '@');
	size_t cut = delimiter ? str_find(x->full, 1, delimiter) : at;
	if (cut < at)
		x->bare = arena_printf(a, "%.*s%.*s", STR_ARG(str_sub(x->full, 0, cut)),
				       STR_ARG(str_skip(x->full, at)));
	at = str_rfind(x->bare, '@');
	x->local = str_sub(x->bare, 0, at);
	x->domain = x->bare.n ? str_skip(x->bare, at + 1) : STR("");
	policy_keys_of_address(x->full, x->bare, a, &x->keys);
	return true;
}

/* "unknown" is Postfix' word for no name. */
static struct str name_of(struct arena *a, struct str s)
{
	struct str name = lower(a, str_sub(s, 0, 255));
	return str_eq(name, STR("unknown")) ? STR("") : name;
}

static bool is_trusted(const struct policy_query *q)
{
	return q->client.family && netcidrs_have(&q->settings->trusted, &q->client);
}

int policy_query_init(struct policy_query *q, const struct policy_request *r,
		      const struct policy_settings *settings, struct arena *a, struct fail *why)
{
	*q = (struct policy_query){
		.settings = settings,
		.arena = a,
		.now = clock_wall(),
		.deadline = mono_add_ms(clock_mono(), settings->timeout_ms),
		.state = r->state,
		.instance = str_sub(r->instance, 0, 100),
		.queue_id = str_sub(r->queue_id, 0, 100),
		.protocol_name = str_sub(r->protocol_name, 0, 20),
		.helo_name = str_sub(r->helo_name, 0, 255),
		.client_address = lower(a, str_sub(r->client_address, 0, 60)),
		.client_name = name_of(a, r->client_name),
		.reverse_client_name = name_of(a, r->reverse_client_name),
		.server_address = str_sub(r->server_address, 0, 60),
		.server_port = r->server_port,
		.encryption_protocol = str_sub(r->encryption_protocol, 0, 40),
		.encryption_cipher = str_sub(r->encryption_cipher, 0, 100),
		.recipient_count = r->recipient_count,
		.size = r->size,
		.lazy = arena_new(a, struct policy_lazy),
	};
	bool sound = policy_address_init(&q->sender, r->sender, settings->delimiter, a);
	sound &= policy_address_init(&q->recipient, r->recipient, settings->delimiter, a);
	q->invalid = !sound;
	/* A login need not be an address; then it has no domain and no keys but "@.". */
	if (!policy_address_init(&q->login, r->sasl_username, 0, a))
		q->login.full = q->login.bare = q->login.local = lower(a, r->sasl_username);
	if (q->recipient.full.n) {
		q->recipients = &q->recipient;
		q->n_recipients = 1;
	}
	if (!netaddr_parse(q->client_address, &q->client))
		q->client = (struct netaddr){0};
	policy_keys_of_client(&q->client, a, &q->client_keys);
	q->trusted = is_trusted(q);
	return q->lazy ? 0 : fail_set(why, FAIL_LIMIT, NULL, "the request's arena is full");
}

int policy_domain(const struct policy_query *q, enum policy_who who,
		  const struct policy_domain_facts **ret, struct fail *why)
{
	static const struct policy_domain_facts foreign = {.kind = POLICY_DOMAIN_FOREIGN};
	const struct policy_address *const of[] = {&q->sender, &q->recipient, &q->login};
	*ret = &foreign;
	if (!of[who]->domain.n || !q->ask || !q->ask->domain)
		return 0;
	struct policy_domain_facts *facts = &q->lazy->domain[who].facts;
	if (!q->lazy->domain[who].known) {
		int r = q->ask->domain(q->ask->ctx, of[who]->domain, q->arena, facts, why);
		if (r < 0)
			return r;
		q->lazy->domain[who].known = true;
	}
	*ret = facts;
	return 0;
}
