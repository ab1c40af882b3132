/* SPDX-License-Identifier: Apache-2.0 */
/*
 * what-if --set KEY=VALUE ... [--days N] [--examples N]
 *
 * What smtp_sessions has of the last days is asked again, in its order and at its times, twice:
 * with the settings of now and with the changed ones, each with a memory of its own that begins
 * empty. So what differs is what the change does. Rows of today hold for both.
 */
#include "base/check.h"
#include "base/num.h"
#include "base/text.h"
#include "service/policy/grey.h"
#include "service/policy/orders_int.h"
#include "service/policy/throttle.h"
#include "sys/clock.h"
#include <stdlib.h>

#define ROWS_MAX  50000
#define TIME_MS	  20000
#define DNS_MS	  300
#define EXAMPLES  10
#define QUERY_MAX MIB(1)

struct decision {
	int64_t time;
	struct str client, reverse, helo, sender, login, recipient;
	uint64_t size, count;
	bool put_off; /* at RCPT: it has not come to a message */
};
struct replay {
	struct order *x;
	struct decision *d;
	size_t n, room;
	struct policy_settings settings[2];
	struct policy *memory[2];
	size_t changed, before_passed, after_passed, examples, examples_max;
};

/* --- the changed settings --- */

static bool seconds(struct str s, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
	size_t digits = 0;
	while (digits < s.n && ascii_digit(s.p[digits]))
		digits++;
	struct str unit = str_trim(str_skip(s, digits));
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (str_eq(unit, str_c(units[i].name)) && digits < 10 &&
		    num_parse_u64(str_sub(s, 0, digits), ret)) {
			*ret *= units[i].factor;
			return true;
		}
	return false;
}

static bool yes(struct str value, bool *ret)
{
	*ret = str_eq(value, STR("on"));
	return *ret || str_eq(value, STR("off"));
}

static bool bits(struct str value, unsigned max, unsigned *ret)
{
	uint32_t v;
	if (!num_parse_u32(value, &v) || v < 8 || v > max)
		return false;
	*ret = v;
	return true;
}

static bool set_greylist(struct policy_greylist *g, struct str key, struct str value)
{
	if (str_eq(key, STR("wait")))
		return seconds(value, &g->wait_s);
	if (str_eq(key, STR("retry")))
		return seconds(value, &g->retry_s);
	if (str_eq(key, STR("keep")))
		return seconds(value, &g->keep_s);
	if (str_eq(key, STR("spf")))
		return yes(value, &g->spf);
	if (str_eq(key, STR("training")))
		return yes(value, &g->training);
	if (str_eq(key, STR("network4")))
		return bits(value, 32, &g->bits4);
	return str_eq(key, STR("network6")) && bits(value, 128, &g->bits6);
}

static bool set_throttle(struct policy_throttle *t, struct str key, struct str value)
{
	bool on;
	if (str_eq(key, STR("answer"))) {
		t->reject = str_eq(value, STR("reject"));
		return t->reject || str_eq(value, STR("defer"));
	}
	if (!yes(value, &on))
		return false;
	if (str_eq(key, STR("same_domain")))
		t->same_domain = !on;
	else if (str_eq(key, STR("trusted")))
		t->spare_trusted = !on;
	else
		return false;
	return true;
}

static bool set_rule(struct policy_settings *s, struct str key, struct str value)
{
	bool on;
	for (enum policy_rule_id i = 0; i < POLICY_RULES; i++)
		if (str_eq(key, str_c(policy_rule_name(i))) && yes(value, &on)) {
			s->off[i] = !on;
			return true;
		}
	return false;
}

static int change(struct order *x, struct policy_settings *s)
{
	struct str group, key, one;
	size_t n = 0;
	while ((one = order_option(x, "set")).p) {
		struct str whole = one;
		bool ok = str_cut(&one, '.', &group) && str_cut(&one, '=', &key) && one.p;
		key = str_trim(key);
		struct str value = str_trim(one);
		if (ok && str_eq(group, STR("policy")))
			ok = set_rule(s, key, value);
		else if (ok && str_eq(group, STR("greylist")))
			ok = set_greylist(&s->greylist, key, value);
		else
			ok = ok && str_eq(group, STR("throttle")) &&
			     set_throttle(&s->throttle, key, value);
		if (!ok)
			return fail_set(x->why, FAIL_SYNTAX,
					T("This setting cannot be tried, or has no such value."),
					"%.*s", STR_ARG(whole));
		n++;
	}
	return n ? 0 : order_usage(x);
}

/* --- what was decided --- */

static void take_row(struct order *x, struct db_stmt *st)
{
	struct replay *r = x->context;
	if (r->n == r->room) {
		r->room = r->room ? r->room * 2 : 256;
		r->d = realloc(r->d, r->room * sizeof(*r->d));
		CHECK(r->d);
	}
	struct str action = db_col_text(st, 1);
	r->d[r->n++] = (struct decision){.time = db_col_i64(st, 0),
					 .put_off = str_eq(action, STR("DEFER")) ||
						    str_eq(action, STR("REJECT")),
					 .client = arena_str(x->a, db_col_text(st, 2)),
					 .reverse = arena_str(x->a, db_col_text(st, 3)),
					 .helo = arena_str(x->a, db_col_text(st, 4)),
					 .sender = arena_str(x->a, db_col_text(st, 5)),
					 .login = arena_str(x->a, db_col_text(st, 6)),
					 .recipient = arena_str(x->a, db_col_text(st, 7)),
					 .size = db_col_u64(st, 8),
					 .count = db_col_u64(st, 9)};
}

static int collect(struct replay *r, int64_t days)
{
	struct order *x = r->x;
	struct str since =
		arena_printf(x->a, "%lld", (long long)(clock_wall().v / SEC_US - days * 86400));
	x->context = r;
	return order_select(
		x,
		"SELECT time_num, action, client_address, reverse_client_name,"
		" helo_name, sender, sasl_username, recipient, size, recipient_count"
		" FROM (SELECT * FROM smtp_sessions WHERE time_num >= CAST(?1 AS INTEGER)"
		" ORDER BY id DESC LIMIT 50000) ORDER BY id",
		&since, 1, take_row);
}

/* --- asked again --- */

static void ask_at(struct replay *r, const struct decision *d, size_t which,
		   enum policy_state state, struct policy_verdict *ret)
{
	AUTO(arena) struct arena a = ARENA_INIT(QUERY_MAX);
	struct policy_request request = {.state = state,
					 .client_address = d->client,
					 .reverse_client_name = d->reverse,
					 .client_name = d->reverse,
					 .helo_name = d->helo,
					 .sender = d->sender,
					 .sasl_username = d->login,
					 .recipient = d->recipient,
					 .size = d->size,
					 .recipient_count =
						 state == POLICY_STATE_RCPT ? 0 : d->count};
	struct policy_query q;
	*ret = (struct policy_verdict){0};
	if (policy_query_init(&q, &request, &r->settings[which], &a, NULL) < 0)
		return;
	q.ask = r->x->o->ask;
	q.now.v = d->time * SEC_US;
	policy_decide(r->memory[which], &q, NULL, ret);
}

static void judge(struct replay *r, const struct decision *d, size_t which,
		  struct policy_verdict *ret)
{
	ask_at(r, d, which, POLICY_STATE_RCPT, ret);
	if (ret->act == POLICY_DUNNO && !d->put_off)
		ask_at(r, d, which, POLICY_STATE_END_OF_MESSAGE, ret);
}

static bool passes(const struct policy_verdict *v)
{
	return v->act == POLICY_DUNNO || v->act == POLICY_OK;
}

static void compare(struct replay *r, const struct decision *d)
{
	struct policy_verdict before, after;
	char when[CLOCK_TEXT_MAX];
	judge(r, d, 0, &before);
	judge(r, d, 1, &after);
	r->before_passed += passes(&before);
	r->after_passed += passes(&after);
	if (before.act == after.act)
		return;
	r->changed++;
	if (r->examples >= r->examples_max)
		return;
	r->examples++;
	const struct policy_verdict *v = passes(&after) ? &before : &after;
	order_cell(r->x, clock_iso8601(when, (struct wall_us){d->time * SEC_US}));
	order_cell(r->x, d->client);
	order_cell(r->x, d->login.n ? d->login : d->sender);
	order_cell(r->x, d->recipient);
	order_cell(r->x, str_c(policy_act_name(before.act)));
	order_cell(r->x, str_c(policy_act_name(after.act)));
	order_cellf(r->x, "%s: %s", v->rule ? v->rule : "-", v->why);
}

static void run(struct replay *r)
{
	struct mono_ns until = mono_add_ms(clock_mono(), TIME_MS);
	size_t i = 0;
	for (size_t k = 0; k < 2; k++) {
		r->memory[k] = policy_shadow(r->x->p);
		grey_rehearse(policy_state(r->memory[k], POLICY_PART_GREY));
		throttle_rehearse(policy_state(r->memory[k], POLICY_PART_THROTTLE));
	}
	for (; i < r->n && mono_before(clock_mono(), until); i++)
		compare(r, &r->d[i]);
	for (size_t k = 0; k < 2; k++)
		policy_shadow_free(r->memory[k]);
	r->x->ret->message = arena_printf(
		r->x->a,
		T("%zu of %zu recorded decisions were asked again: %zu pass now, %zu would pass "
		  "then; %zu change."),
		i, r->n, r->before_passed, r->after_passed, r->changed);
}

int order_what_if(struct order *x)
{
	static const char *const names[] = {"time",   "client", "sender", "recipient",
					    "before", "after",	"why"};
	int64_t days = 7, examples = EXAMPLES;
	struct replay r = {.x = x, .settings = {*x->o->settings, *x->o->settings}};
	int ret = order_global(x);
	if (ret == 0)
		ret = change(x, &r.settings[1]);
	if (ret == 0)
		ret = order_number(x, "days", &days);
	if (ret == 0)
		ret = order_number(x, "examples", &examples);
	if (ret == 0)
		ret = x->words != 1 || days < 1 || days > 3650 || examples < 0
			      ? order_usage(x)
			      : order_understood(x);
	if (ret == 0)
		ret = order_columns(x, names, ARRAY_LEN(names));
	if (ret == 0)
		ret = collect(&r, days);
	if (ret < 0) {
		free(r.d);
		return ret;
	}
	for (size_t k = 0; k < 2; k++)
		r.settings[k].dns_timeout_ms = MIN(r.settings[k].dns_timeout_ms, (uint64_t)DNS_MS);
	r.examples_max = (size_t)MIN(examples, (int64_t)1000);
	run(&r);
	free(r.d);
	return 0;
}
