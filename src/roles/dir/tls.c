/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What relay has learned of other servers' TLS is kept here, because relay has no files.
 */
#include "base/num.h"
#include "base/text.h"
#include "roles/dir/internal.h"
#include "roles/role/scope.h"
#include "service/dir/scope.h"
#include "sys/clock.h"
#include "sys/log.h"

#define DAY_US	     (INT64_C(86400) * 1000000)
#define ROWS_MAX     10000u
#define DAYS_DEFAULT 7u
#define DAYS_MAX     30u

static int refuse_reply(struct ipc_packet *p, const struct fail *why)
{
	log_event(LOG_WARN, "dir.tlsbook", log_fail(why));
	(void)ipc_reply_fail(p, why);
	return -1;
}

void tls_find(struct role *role, struct ipc_packet *p)
{
	struct msg_sts_find m;
	struct fail why = FAIL_INIT;
	struct tlsbook_policy found = {0};
	AUTO(arena) struct arena a = ARENA_INIT(KIB(256));
	(void)role;
	int r = msg_sts_find_read(p, &m);
	if (r == 0)
		r = tlsbook_find(dir_role.tlsbook, m.domain, clock_wall(), &a, &found, &why);
	if (r < 0) {
		(void)refuse_reply(p, &why);
		return;
	}
	struct msg_sts_found reply = {.known = r == 1,
				      .id = found.id,
				      .fetched_us = found.fetched.v,
				      .expires_us = found.expires.v,
				      .policy = found.text};
	(void)ipc_reply(p, IPC_STS_FOUND, &reply);
}

void tls_keep(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_sts_keep m;
	struct fail why = FAIL_INIT;
	(void)role;
	int r = msg_sts_keep_read(p, &m);
	if (r == 0) {
		struct tlsbook_policy policy = {.domain = m.domain,
						.id = m.id,
						.fetched = {m.fetched_us},
						.expires = {m.expires_us},
						.text = m.policy};
		r = tlsbook_keep(dir_role.tlsbook, &policy, &why);
	}
	if (r < 0)
		(void)refuse_reply(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &ok);
}

void tls_session(struct role *role, struct ipc_packet *p)
{
	struct msg_tls_session m;
	(void)role;
	if (msg_tls_session_read(p, &m) < 0)
		return;
	struct tlsbook_sessions s = {.day = (uint32_t)(clock_wall().v / DAY_US),
				     .domain = m.domain,
				     .policy = m.policy,
				     .result = m.result,
				     .mx = m.mx,
				     .ip = m.ip,
				     .reason = m.reason,
				     .count = 1};
	tlsbook_count(dir_role.tlsbook, &s);
}

/* --- reports to others
 * -------------------------------------------------------------------------- */

#define COUNTS_MAX 300u

void tls_due(struct role *role, struct ipc_packet *p)
{
	struct msg_tls_due m;
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(KIB(256));
	struct tlsbook_due found;
	struct msg_text domains[TLSBOOK_DUE_MAX];
	struct msg_tls_due_reply reply = {.domains = domains};
	(void)role;
	int r = msg_tls_due_read(p, &m);
	if (r == 0)
		r = tlsbook_due(dir_role.tlsbook, m.day, m.after, &a, &found, &why);
	for (size_t i = 0; r == 0 && i < found.n; i++)
		domains[reply.domains_n++].s = found.v[i];
	if (r < 0)
		(void)refuse_reply(p, &why);
	else
		(void)ipc_reply(p, IPC_TLS_DUE_REPLY, &reply);
}

void tls_counts(struct role *role, struct ipc_packet *p)
{
	struct msg_tls_counts m;
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct tlsbook_policy policy = {0};
	struct tlsbook_sessions *rows = NULL;
	struct msg_tls_count *counts = arena_array(&a, struct msg_tls_count, COUNTS_MAX);
	size_t n = 0;
	(void)role;
	int r = counts ? msg_tls_counts_read(p, &m) : fail_set(&why, FAIL_LIMIT, NULL, "no room");
	if (r == 0)
		r = tlsbook_find(dir_role.tlsbook, m.domain, clock_wall(), &a, &policy, &why);
	struct tlsbook_span span = {
		.domain = m.domain, .from = m.day, .to = m.day, .max = COUNTS_MAX};
	if (r >= 0)
		r = tlsbook_report(dir_role.tlsbook, &span, &a, &rows, &n, &why);
	if (r < 0) {
		(void)refuse_reply(p, &why);
		return;
	}
	for (size_t i = 0; i < n; i++)
		counts[i] = (struct msg_tls_count){.policy = rows[i].policy,
						   .result = rows[i].result,
						   .mx = rows[i].mx,
						   .ip = rows[i].ip,
						   .reason = rows[i].reason,
						   .count = rows[i].count};
	struct msg_tls_counts_reply reply = {
		.policy = policy.text, .counts = counts, .counts_n = n};
	(void)ipc_reply(p, IPC_TLS_COUNTS_REPLY, &reply);
}

void tls_reported(struct role *role, struct ipc_packet *p)
{
	static const struct msg_ok ok = {0};
	struct msg_tls_reported m;
	struct fail why = FAIL_INIT;
	(void)role;
	int r = msg_tls_reported_read(p, &m);
	if (r == 0)
		r = tlsbook_reported(dir_role.tlsbook, m.day, m.domain, &why);
	if (r < 0)
		(void)refuse_reply(p, &why);
	else
		(void)ipc_reply(p, IPC_OK, &ok);
}

/* --- orders
 * ------------------------------------------------------------------------------------ */

struct answer {
	struct arena arena;
	struct msg_text *cells;
	size_t n;
};

static void cell(struct answer *w, struct str s)
{
	w->cells[w->n++].s = s;
}

static void reply(struct ipc_packet *p, const struct answer *w, const char *const *names, size_t n)
{
	struct msg_text columns[10];
	for (size_t i = 0; i < n; i++)
		columns[i].s = str_c(names[i]);
	struct msg_admin_reply m = {
		.columns = columns, .columns_n = n, .cells = w->cells, .cells_n = w->n};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &m);
}

static struct str day_text(struct arena *a, int64_t us)
{
	char text[CLOCK_TEXT_MAX];
	return arena_str(a, str_sub(clock_iso8601(text, (struct wall_us){us}), 0, 10));
}

/* [DOMAIN] [DAYS] */
static int read_span(const struct msg_admin *m, struct tlsbook_span *ret, struct fail *why)
{
	uint32_t days = DAYS_DEFAULT;
	size_t n = m->args_n;
	bool good = n <= 3;
	if (n > 1 && num_parse_u32(m->args[n - 1].s, &days))
		n--;
	if (n > 1)
		ret->domain = m->args[1].s;
	if (!good || n > 2 || days == 0 || days > DAYS_MAX)
		return fail_set(why, FAIL_SYNTAX,
				"Usage: tls-report [DOMAIN] [DAYS], of the last 30 days at most",
				"tls-report");
	ret->to = (uint32_t)(clock_wall().v / DAY_US);
	ret->from = ret->to - (days - 1);
	ret->max = ROWS_MAX;
	return 0;
}

static int report(struct ipc_packet *p, const struct msg_admin *m, struct answer *w,
		  struct fail *why)
{
	static const char *const names[] = {"day",   "domain", "policy", "result",
					    "count", "mx",     "ip",	 "reason"};
	struct tlsbook_span span = {0};
	struct tlsbook_sessions *rows = NULL;
	size_t n = 0;
	int r = read_span(m, &span, why);
	if (r == 0)
		r = tlsbook_report(dir_role.tlsbook, &span, &w->arena, &rows, &n, why);
	for (size_t i = 0; r == 0 && i < n; i++) {
		cell(w, day_text(&w->arena, (int64_t)rows[i].day * DAY_US));
		cell(w, rows[i].domain);
		cell(w, rows[i].policy);
		cell(w, rows[i].result);
		cell(w, arena_printf(&w->arena, "%llu", (unsigned long long)rows[i].count));
		cell(w, rows[i].mx);
		cell(w, rows[i].ip);
		cell(w, rows[i].reason);
	}
	if (r == 0)
		reply(p, w, names, ARRAY_LEN(names));
	return r;
}

/* A policy on one line. */
static struct str one_line(struct arena *a, struct str text)
{
	char *copy = arena_c(a, str_trim(text));
	for (char *c = copy; c && *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = *c == '\n' ? ';' : ' ';
	return str_c(copy);
}

static int policies(struct ipc_packet *p, struct answer *w, struct fail *why)
{
	static const char *const names[] = {"domain", "id", "fetched", "expires", "policy"};
	struct tlsbook_policy *rows = NULL;
	size_t n = 0;
	int r = tlsbook_policies(dir_role.tlsbook, ROWS_MAX, &w->arena, &rows, &n, why);
	for (size_t i = 0; r == 0 && i < n; i++) {
		char text[CLOCK_TEXT_MAX];
		cell(w, rows[i].domain);
		cell(w, rows[i].id);
		cell(w, arena_str(&w->arena, clock_iso8601(text, rows[i].fetched)));
		cell(w, arena_str(&w->arena, clock_iso8601(text, rows[i].expires)));
		cell(w, one_line(&w->arena, rows[i].text));
	}
	if (r == 0)
		reply(p, w, names, ARRAY_LEN(names));
	return r;
}

bool tls_is_order(const struct msg_admin *m)
{
	return m->args_n > 0 && (str_eq(m->args[0].s, STR("tls-report")) ||
				 str_eq(m->args[0].s, STR("tls-policies")));
}

void tls_order(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	struct answer w = {.arena = ARENA_INIT(MIB(64))};
	(void)role;
	int r = msg_admin_read(p, &m);
	role_speak(r == 0 ? &m : NULL);
	w.cells = xcalloc((size_t)ROWS_MAX * 8, sizeof *w.cells);
	if (r == 0 && m.scope != DIR_SCOPE_GLOBAL)
		r = fail_set(&why, FAIL_PERM, "Only a global administrator may do this.",
			     "tls order by somebody else");
	else if (r == 0)
		r = str_eq(m.args[0].s, STR("tls-report")) ? report(p, &m, &w, &why)
							   : policies(p, &w, &why);
	if (r < 0)
		(void)ipc_reply_fail(p, &why);
	role_speak(NULL);
	arena_clear(&w.arena);
	free(w.cells);
}
