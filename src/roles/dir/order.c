/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "roles/dir/internal.h"
#include "roles/role/scope.h"
#include "roles/role/task.h"
#include "service/dir/dir_admin.h"
#include "sys/crash.h"
#include "sys/log.h"

/* Who ordered what; never the values, which may be secrets. */
static void log_order(const struct msg_admin *m, bool ok, const struct fail *why)
{
	struct str word[3] = {STR("-"), STR("-"), STR("-")};
	for (size_t i = 0; i < MIN(m->args_n, ARRAY_LEN(word)); i++) {
		word[i] = m->args[i].s;
		if (str_starts(word[i], STR("--"))) /* --password=SECRET */
			word[i] = str_sub(word[i], 0, str_find(word[i], 0, '='));
	}
	if (ok && (str_eq(word[1], STR("list")) || str_eq(word[1], STR("show"))))
		return; /* nothing changed */
	log_event(LOG_INFO, "admin.order", log_str("by", m->by.n ? m->by : STR("operator")),
		  log_str("noun", word[0]), log_str("verb", word[1]), log_str("name", word[2]),
		  log_c("result", ok ? "ok" : fail_name(why->code)));
}

static void admin_now(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	struct fail why = FAIL_INIT;
	struct dir_table t = {0};
	struct dir_scope scope = {0};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	(void)role;
	int r = msg_admin_read(p, &m);
	struct str *args = arena_array(&a, struct str, r == 0 ? m.args_n : 0);
	for (size_t i = 0; r == 0 && args && i < m.args_n; i++)
		args[i] = m.args[i].s;
	if (r == 0)
		r = role_scope(&m, &a, &scope, &why);
	role_speak(r == 0 ? &m : NULL);
	if (r == 0)
		r = dir_admin(dir_role.dir, &scope, (struct dir_args){args, m.args_n}, &a, &t,
			      &why);
	role_speak(NULL);
	if (r == 0) {
		sweep_soon();
		policy_tell_change();
	}
	log_order(&m, r == 0, &why);
	if (r < 0) {
		(void)ipc_reply_fail(p, &why);
		return;
	}
	size_t n = t.n_columns * t.n_rows;
	struct msg_text *columns = arena_array(&a, struct msg_text, t.n_columns);
	struct msg_text *cells = arena_array(&a, struct msg_text, n);
	if (!columns || !cells) {
		(void)fail_set(&why, FAIL_LIMIT, "The answer is too long: ask for less.",
			       "arena full");
		(void)ipc_reply_fail(p, &why);
		return;
	}
	for (size_t i = 0; i < t.n_columns; i++)
		columns[i].s = t.columns[i];
	for (size_t i = 0; i < n; i++)
		cells[i].s = t.cells[i];
	struct msg_admin_reply reply = {.text = t.message,
					.columns = columns,
					.columns_n = t.n_columns,
					.cells = cells,
					.cells_n = n};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &reply);
	CRASH_POINT("dir.order-answered");
}

void order(struct role *role, struct ipc_packet *p)
{
	struct msg_admin m;
	if (msg_admin_read(p, &m) == 0 && guard_is_order(&m)) {
		role_task(role, dir_role.lookups, p, guard_order);
		return;
	}
	if (msg_admin_read(p, &m) == 0 && srs_is_order(&m)) {
		role_task(role, dir_role.lookups, p, srs_order);
		return;
	}
	if (msg_admin_read(p, &m) == 0 && tls_is_order(&m)) {
		role_task(role, dir_role.lookups, p, tls_order);
		return;
	}
	role_task(role, dir_role.known, p, admin_now);
}
