/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The take-over guard: mta asks about each message of a user, operators say who may go on.
 *
 *     barid guard list | rates | release ADDRESS | reject ADDRESS [--disable] | allow ADDRESS [off]
 */
#include "base/text.h"
#include "roles/dir/internal.h"
#include "roles/role/scope.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"

#define ROWS_MAX 1000u
#define COLUMNS	 5u

COUNTER(guard_held, "guard.held", "accounts that the take-over guard has held");
COUNTER(guard_messages, "guard.messages", "messages of held accounts");
COUNTER(guard_rates, "guard.rates", "messages refused because of a user's rate");

static const char usage[] =
	"Usage: guard list | rates | release ADDRESS | reject ADDRESS | allow ADDRESS [off]";

static struct guard_rules rules_of(const struct conf *c)
{
	bool on = strcmp(c->guard_action, "off") != 0;
	return (struct guard_rules){.new_max = on ? (uint32_t)c->guard_new_max : 0,
				    .failed_max = on ? (uint32_t)c->guard_failed_max : 0,
				    .networks_max = on ? (uint32_t)c->guard_networks_max : 0,
				    .held_max = (uint32_t)c->guard_held_max,
				    .window_us = (int64_t)c->guard_window_ms * 1000,
				    .memory_us = (int64_t)c->guard_memory_ms * 1000,
				    .hour_messages = (uint32_t)c->rate_hour_messages,
				    .hour_recipients = (uint32_t)c->rate_hour_recipients,
				    .day_messages = (uint32_t)c->rate_day_messages,
				    .day_recipients = (uint32_t)c->rate_day_recipients};
}

/* What is said for the user or the domain counts in place of the configuration. */
static int apply_rates(struct guard_rules *rules, struct account_id account, struct fail *why)
{
	struct dir_rates own;
	uint32_t *const rates[DIR_RATES] = {&rules->hour_messages, &rules->hour_recipients,
					    &rules->day_messages, &rules->day_recipients};
	int r = dir_rates(dir_role.dir, account, &own, why);
	for (size_t i = 0; r == 0 && i < DIR_RATES; i++)
		if (own.v[i] >= 0)
			*rates[i] = (uint32_t)own.v[i];
	return r;
}

static void tell(const struct msg_guard *m, const struct guard_answer *a)
{
	if (a->verdict == GUARD_RATE)
		counter_add(&guard_rates, 1);
	if (a->verdict == GUARD_HELD)
		counter_add(&guard_messages, 1);
	if (a->fresh)
		counter_add(&guard_held, 1);
	if (a->fresh || a->verdict == GUARD_RATE)
		log_event(LOG_WARN, a->fresh ? "guard.held" : "guard.rate",
			  log_address("login", m->login), log_u64("account", m->account),
			  log_c("why", a->reason));
}

void guard_question(struct role *role, struct ipc_packet *p)
{
	struct msg_guard m;
	struct fail why = FAIL_INIT;
	struct guard_answer answer = {0};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(8));
	int r = msg_guard_read(p, &m);
	struct str *rcpts = arena_array(&a, struct str, r == 0 ? m.rcpts_n : 0);
	for (size_t i = 0; r == 0 && rcpts && i < m.rcpts_n; i++)
		rcpts[i] = m.rcpts[i].s;
	if (r == 0 && !rcpts)
		r = fail_set(&why, FAIL_LIMIT, NULL, "too many recipients");
	if (r == 0) {
		const struct conf *c = role_conf_hold(role);
		struct guard_rules rules = rules_of(c);
		struct guard_message message = {.account = {m.account},
						.rcpts = rcpts,
						.n = m.rcpts_n,
						.all = m.all,
						.failed = m.failed,
						.network = guard_network(m.ip),
						.now = clock_wall()};
		conf_drop(c);
		r = apply_rates(&rules, message.account, &why);
		if (r == 0)
			r = guard_judge(dir_role.guard, &rules, &message, &answer, &why);
	}
	if (r < 0) {
		log_event(LOG_WARN, "guard.failed", log_fail(&why));
		(void)ipc_reply_fail(p, &why);
		return;
	}
	tell(&m, &answer);
	struct msg_guarded reply = {.verdict = (uint8_t)answer.verdict,
				    .fresh = answer.fresh,
				    .reason = str_c(answer.reason)};
	(void)ipc_reply(p, IPC_GUARDED, &reply);
}

/* --- orders --- */

static struct str address_of(struct arena *a, struct account_id id)
{
	struct dir_account account;
	if (dir_account_by_id(dir_role.dir, id, a, &account, NULL) < 0)
		return arena_printf(a, "%llu", (unsigned long long)id.v);
	return account.address;
}

static void write_row(struct arena *a, const struct guard_row *row, struct msg_text *cells)
{
	char since[CLOCK_TEXT_MAX];
	cells[0].s = address_of(a, row->account);
	cells[1].s = row->since.v ? arena_str(a, clock_iso8601(since, row->since)) : STR("");
	cells[2].s = row->since.v ? row->reason : str_c(T("allowed by the operator"));
	cells[3].s = arena_printf(a, "%llu", (unsigned long long)row->messages);
	cells[4].s = arena_printf(a, "%llu", (unsigned long long)row->strangers);
}

static int list(struct ipc_packet *p, struct fail *why)
{
	static const char *const names[COLUMNS] = {"account", "since", "reason", "messages", "new"};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct guard_row *rows = NULL;
	size_t n = 0;
	int r = guard_list(dir_role.guard, ROWS_MAX, &a, &rows, &n, why);
	struct msg_text columns[COLUMNS];
	struct msg_text *cells = arena_array(&a, struct msg_text, n * COLUMNS);
	if (r < 0)
		return r;
	if (!cells)
		return fail_set(why, FAIL_LIMIT, NULL, "the list is too long");
	for (size_t i = 0; i < COLUMNS; i++)
		columns[i].s = str_c(names[i]);
	for (size_t i = 0; i < n; i++)
		write_row(&a, &rows[i], &cells[i * COLUMNS]);
	struct msg_admin_reply m = {.text = n ? STR("") : str_c(T("Nobody is held.")),
				    .columns = columns,
				    .columns_n = COLUMNS,
				    .cells = cells,
				    .cells_n = n * COLUMNS};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &m);
	return 0;
}

/* "12", or "12 of 100". */
static struct str of_limit(struct arena *a, uint64_t n, uint32_t max)
{
	return max ? arena_printf(a, "%llu of %u", (unsigned long long)n, max)
		   : arena_printf(a, "%llu", (unsigned long long)n);
}

static int write_rates(struct role *role, struct arena *a, const struct guard_traffic *row,
		       struct msg_text *cells, struct fail *why)
{
	const struct conf *c = role_conf_hold(role);
	struct guard_rules rules = rules_of(c);
	conf_drop(c);
	int r = apply_rates(&rules, row->account, why);
	cells[0].s = address_of(a, row->account);
	cells[1].s = of_limit(a, row->hour_messages, rules.hour_messages);
	cells[2].s = of_limit(a, row->hour_recipients, rules.hour_recipients);
	cells[3].s = of_limit(a, row->day_messages, rules.day_messages);
	cells[4].s = of_limit(a, row->day_recipients, rules.day_recipients);
	return r;
}

/* Who has sent how much of what is allowed. */
static int list_rates(struct role *role, struct ipc_packet *p, struct fail *why)
{
	static const char *const names[COLUMNS] = {"account", "messages-hour", "recipients-hour",
						   "messages-day", "recipients-day"};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct guard_traffic *rows = NULL;
	size_t n = 0;
	int r = guard_traffic_list(dir_role.guard, ROWS_MAX, clock_wall(), &a, &rows, &n, why);
	struct msg_text columns[COLUMNS];
	struct msg_text *cells = arena_array(&a, struct msg_text, n * COLUMNS);
	if (r == 0 && !cells)
		r = fail_set(why, FAIL_LIMIT, NULL, "the list is too long");
	for (size_t i = 0; i < COLUMNS; i++)
		columns[i].s = str_c(names[i]);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = write_rates(role, &a, &rows[i], &cells[i * COLUMNS], why);
	if (r < 0)
		return r;
	struct msg_admin_reply m = {
		.text = n ? STR("") : str_c(T("Nobody with a rate has sent within a day.")),
		.columns = columns,
		.columns_n = COLUMNS,
		.cells = cells,
		.cells_n = n * COLUMNS};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &m);
	return 0;
}

static int decide(struct ipc_packet *p, const struct msg_admin *m, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct dir_account account;
	struct str verb = m->args[1].s;
	const char *text = NULL;
	bool off = m->args_n == 4 && str_eq(m->args[3].s, STR("off"));
	int r = dir_account_by_address(dir_role.dir, m->args[2].s, &a, &account, why);
	if (r < 0)
		return r;
	if (str_eq(verb, STR("allow")) && (m->args_n == 3 || off)) {
		text = off ? T("The guard looks at this account again.")
			   : T("This account may write to whom it likes.");
		r = guard_allow(dir_role.guard, account.id, !off, why);
	} else if (str_eq(verb, STR("release")) && m->args_n == 3) {
		text = T("This account is held no longer; whom it wrote to is known from now on.");
		r = guard_release(dir_role.guard, account.id, clock_wall(), why);
	} else if (str_eq(verb, STR("reject")) && m->args_n == 3) {
		text = T("This account is held no longer; what it did is forgotten.");
		r = guard_reject(dir_role.guard, account.id, why);
	} else {
		return fail_set(why, FAIL_SYNTAX, usage, "guard order");
	}
	if (r < 0)
		return r;
	log_event(LOG_INFO, "guard.order", log_str("by", m->by.n ? m->by : STR("operator")),
		  log_str("verb", verb), log_address("account", account.address));
	struct msg_admin_reply reply = {.text = str_c(text)};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &reply);
	return 0;
}

bool guard_is_order(const struct msg_admin *m)
{
	return m->args_n > 0 && str_eq(m->args[0].s, STR("guard"));
}

void guard_order(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	int r = msg_admin_read(p, &m);
	role_speak(r == 0 ? &m : NULL);
	if (r == 0 && m.scope != DIR_SCOPE_GLOBAL)
		r = fail_set(&why, FAIL_PERM, "Only a global administrator may do this.",
			     "guard order by somebody else");
	else if (r == 0 && m.args_n == 2 && str_eq(m.args[1].s, STR("list")))
		r = list(p, &why);
	else if (r == 0 && m.args_n == 2 && str_eq(m.args[1].s, STR("rates")))
		r = list_rates(role, p, &why);
	else if (r == 0 && m.args_n >= 3)
		r = decide(p, &m, &why);
	else if (r == 0)
		r = fail_set(&why, FAIL_SYNTAX, usage, "guard order");
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	role_speak(NULL);
}
