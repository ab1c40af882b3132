/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid queue list [ADDRESS] | show N | delete N|all | flush [N] | hold N | release N|all
 */
#include "base/num.h"
#include "base/text.h"
#include "roles/queue/queue.h"
#include "roles/role/scope.h"
#include "sys/clock.h"
#include <stdio.h>

static const char usage[] = "Usage: queue list [ADDRESS] | show NUMBER | delete NUMBER|all | flush "
			    "[NUMBER] | hold NUMBER | release NUMBER|all";

static const char *const columns[] = {"number", "state", "age",	 "size",  "from",
				      "to",	"tries", "next", "reason"};
#define COLUMNS ARRAY_LEN(columns)

static struct str duration(struct arena *a, int64_t us)
{
	int64_t s = us > 0 ? us / SEC_US : 0;
	if (s < 120)
		return arena_printf(a, "%llds", (long long)s);
	if (s < 7200)
		return arena_printf(a, "%lldmin", (long long)(s / 60));
	return s < 172800 ? arena_printf(a, "%lldh", (long long)(s / 3600))
			  : arena_printf(a, "%lldd", (long long)(s / 86400));
}

static void write_row(struct arena *a, const struct spool_row *r, struct msg_text *cells)
{
	struct wall_us now = clock_wall();
	bool waits = r->state == SPOOL_QUEUED || r->state == SPOOL_DEFER;
	cells[0].s = arena_printf(a, "%llu", (unsigned long long)r->key.number);
	cells[1].s = r->in_flight ? STR("in flight") : str_c(spool_state_name(r->state));
	cells[2].s = duration(a, now.v - r->arrival.v);
	cells[3].s = arena_printf(a, "%llu", (unsigned long long)r->size);
	cells[4].s = r->sender.n ? r->sender : STR("<>");
	cells[5].s = r->rcpt;
	cells[6].s = arena_printf(a, "%u", r->attempts);
	cells[7].s = waits && !r->in_flight ? duration(a, r->next_attempt.v - now.v) : STR("");
	cells[8].s = r->text.n ? arena_printf(a, "%.*s %.*s", STR_ARG(r->status), STR_ARG(r->text))
			       : STR("");
}

/* A domain's administrator sees what comes from or goes to the domain. */
static bool concerns(const struct dir_scope *scope, const struct spool_row *r)
{
	const struct str addresses[] = {r->sender, r->rcpt, r->original};
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		struct str domain = str_skip(addresses[i], str_rfind(addresses[i], '@') + 1);
		if (dir_scope_has(scope, domain))
			return true;
	}
	return false;
}

/* Changing a message is for those who may see all of its recipients. */
static int may_change(const struct dir_scope *scope, uint64_t number, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	struct spool_query q = {.number = number, .max = 100000};
	struct spool_row *rows = NULL;
	size_t n = 0;
	if (scope->kind == DIR_SCOPE_GLOBAL)
		return 0;
	if (number == 0)
		return fail_set(why, FAIL_PERM, "Only a global administrator may change all.",
				"order on the whole queue");
	int r = spool_list(queue.spool, &q, &a, &rows, &n, why);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!concerns(scope, &rows[i]))
			r = fail_set(why, FAIL_PERM,
				     "This message has recipients that are not yours to manage.",
				     "order outside of the scope");
	return r;
}

static int list(struct ipc_packet *p, const struct dir_scope *scope, struct str address,
		struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	struct spool_query q = {.address = address, .max = 20000};
	struct spool_row *rows = NULL;
	size_t n = 0;
	int r = spool_list(queue.spool, &q, &a, &rows, &n, why);
	if (r < 0)
		return r;
	struct msg_text names[COLUMNS];
	struct msg_text *cells = arena_array(&a, struct msg_text, n * COLUMNS);
	if (!cells)
		return fail_set(why, FAIL_LIMIT, "The queue is too long to list: give an address.",
				"arena full");
	for (size_t i = 0; i < COLUMNS; i++)
		names[i].s = str_c(columns[i]);
	size_t shown = 0;
	for (size_t i = 0; i < n; i++)
		if (concerns(scope, &rows[i]))
			write_row(&a, &rows[i], &cells[shown++ * COLUMNS]);
	struct msg_admin_reply reply = {.text = shown ? STR("") : str_c(T("The queue is empty.")),
					.columns = names,
					.columns_n = COLUMNS,
					.cells = cells,
					.cells_n = shown * COLUMNS};
	return ipc_reply(p, IPC_ADMIN_REPLY, &reply);
}

static int show(struct ipc_packet *p, uint64_t number, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct str text;
	int r = spool_show(queue.spool, number, KIB(60), &a, &text, why);
	if (r < 0)
		return r;
	struct msg_text column = {STR("message")}, cell = {text};
	struct msg_admin_reply reply = {
		.columns = &column, .columns_n = 1, .cells = &cell, .cells_n = 1};
	return ipc_reply(p, IPC_ADMIN_REPLY, &reply);
}

static int change(struct ipc_packet *p, int (*fn)(struct spool *, uint64_t, struct fail *),
		  uint64_t number, const char *what, struct fail *why)
{
	char text[200];
	int r = fn(queue.spool, number, why);
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof text, "%s %d", text_of(what), r);
	struct msg_admin_reply reply = {.text = str_c(text)};
	return ipc_reply(p, IPC_ADMIN_REPLY, &reply);
}

static int carry_out(struct ipc_packet *p, const struct msg_admin *m, struct fail *why)
{
	struct str verb = m->args_n > 1 ? m->args[1].s : STR("");
	struct str arg = m->args_n > 2 ? m->args[2].s : STR("");
	uint64_t number = 0;
	bool numbered = num_parse_u64(arg, &number) && number > 0;
	bool all = str_eq(arg, STR("all"));
	AUTO(arena) struct arena a = ARENA_INIT(KIB(64));
	struct dir_scope scope = {0};
	int r = role_scope(m, &a, &scope, why);
	if (r < 0)
		return r;
	if (scope.kind < DIR_SCOPE_DOMAINS)
		return fail_set(why, FAIL_PERM, "The queue is for administrators.", "no scope");
	if (str_eq(verb, STR("list")))
		return list(p, &scope, arg, why);
	if (numbered || arg.n == 0 || all)
		r = may_change(&scope, number, why);
	if (r < 0)
		return r;
	if (str_eq(verb, STR("show")) && numbered)
		return show(p, number, why);
	if (str_eq(verb, STR("delete")) && (numbered || all))
		return change(p, spool_delete, number, TX("Deleted recipients:"), why);
	if (str_eq(verb, STR("flush")) && (numbered || arg.n == 0 || all))
		return change(p, spool_flush, number, TX("Recipients that will be tried now:"),
			      why);
	if (str_eq(verb, STR("hold")) && (numbered || all))
		return change(p, spool_hold, number, TX("Held recipients:"), why);
	if (str_eq(verb, STR("release")) && (numbered || all))
		return change(p, spool_release, number, TX("Released recipients:"), why);
	return fail_set(why, FAIL_SYNTAX, usage, "queue: bad arguments");
}

void queue_admin(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	(void)role;
	if (msg_admin_read(p, &m) < 0)
		return;
	role_speak(&m);
	if (carry_out(p, &m, &why) < 0)
		(void)ipc_reply_fail(p, &why);
	role_speak(NULL);
}
