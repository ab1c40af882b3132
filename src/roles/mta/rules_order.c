/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders about rules (`barid policy ...`), and the networks of well-known senders, which are looked
 * up a few at a time.
 */
#include "base/check.h"
#include "roles/mta/door.h"
#include "roles/mta/rules.h"
#include "roles/role/scope.h"
#include "roles/role/task.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/rand.h"

#define MEMORY	 MIB(64)
#define FIRST_MS 120000 /* a server that has just started has other things to ask */
#define EACH_MS	 60000
#define DOMAINS	 5u

static struct {
	struct loop_timer timer;
	struct pool_job job;
	_Atomic bool busy;
} refresh;

static int reply_with(struct ipc_packet *p, const struct policy_answer *answer, struct arena *a,
		      struct fail *why)
{
	struct msg_text *columns = arena_array(a, struct msg_text, answer->n_columns);
	struct msg_text *cells = arena_array(a, struct msg_text, answer->n_cells);
	if (!columns || !cells)
		return fail_set(why, FAIL_LIMIT, "The answer is too long: ask for less.",
				"arena full");
	for (size_t i = 0; i < answer->n_columns; i++)
		columns[i].s = answer->columns[i];
	for (size_t i = 0; i < answer->n_cells; i++)
		cells[i].s = answer->cells[i];
	struct msg_admin_reply m = {.text = answer->message,
				    .columns = columns,
				    .columns_n = answer->n_columns,
				    .cells = cells,
				    .cells_n = answer->n_cells};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &m);
	return 0;
}

static int carry_out(struct role *role, const struct msg_admin *m, struct ipc_packet *p,
		     struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MEMORY);
	struct rules_asker asker = {.trace = ipc_packet_trace(p)};
	struct policy_ask ask = rules_ask(&asker);
	struct policy_answer answer;
	struct dir_scope scope;
	struct str *args = arena_array(&a, struct str, m->args_n);
	int r = role_scope(m, &a, &scope, why);
	if (r < 0 || !args)
		return r;
	for (size_t i = 1; i < m->args_n; i++)
		args[i - 1] = m->args[i].s;
	const struct conf *c = role_conf_hold(role);
	const struct mta_config *config = conf_extra(c);
	struct policy_scope whose = {.everything = scope.kind == DIR_SCOPE_GLOBAL};
	if (scope.kind == DIR_SCOPE_DOMAINS) {
		whose.domains = scope.domains;
		whose.n_domains = scope.n_domains;
	}
	struct policy_order o = {.settings = &config->policy,
				 .ask = &ask,
				 .scope = &whose,
				 .args = args,
				 .n = m->args_n - 1};
	r = policy_order(rules_engine(), &o, &a, &answer, why);
	conf_drop(c);
	if (r >= 0 && answer.changed)
		log_event(LOG_INFO, "admin.order", log_str("by", m->by.n ? m->by : STR("operator")),
			  log_c("noun", "policy"), log_str("verb", o.n > 0 ? args[0] : STR("-")),
			  log_str("name", o.n > 1 ? args[1] : STR("-")), log_c("result", "ok"));
	return r < 0 ? r : reply_with(p, &answer, &a, why);
}

void rules_order(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	int r = msg_admin_read(p, &m);
	if (r == 0) {
		role_speak(&m);
		r = carry_out(role, &m, p, &why);
		role_speak(NULL);
	}
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
}

/* --- well-known senders --- */

static void look_up(struct job *job)
{
	struct rules_asker asker = {.trace = {rand_u64()}};
	struct policy_ask ask = rules_ask(&asker);
	size_t failed = 0;
	(void)job;
	size_t n = policy_refresh_domains(rules_engine(), &ask, clock_wall(), DOMAINS, &failed);
	if (n)
		log_event(failed ? LOG_WARN : LOG_INFO, "policy.domains", log_u64("looked-up", n),
			  log_u64("failed", failed));
	refresh.busy = false;
}

static void tick(struct loop_timer *t)
{
	const struct mta_config *m = conf_extra(mta.role->conf);
	if (!refresh.busy && !m->policy.off[POLICY_RULE_GREYLISTING]) {
		refresh.busy = true;
		refresh.job = (struct pool_job){.job.run = look_up};
		pool_submit(mta.pool, &refresh.job);
	}
	loop_timer_in(mta.role->loop, t, EACH_MS);
}

void rules_refresh_begin(void)
{
	refresh.timer.fire = tick;
	loop_timer_in(mta.role->loop, &refresh.timer, FIRST_MS);
}
