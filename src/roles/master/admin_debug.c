/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_debug.c - `barid debug`, for tests (roles/role/debug.h):
 *
 *     debug clock MICROSECONDS | debug wall-clock [-]MICROSECONDS       master and all roles
 *     debug crash-point ROLE NAME [N] | debug pause-point ROLE NAME | debug disk ROLE ORDER...
 *                                                                       all processes of the role
 */
#include "base/buf.h"
#include "roles/master/internal.h"
#include "roles/role/debug.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include <stdio.h>

enum { ARG_MAX = 4000 };

static bool order_role(struct master *m, struct str role, const struct msg_debug *d)
{
	bool known = str_eq(role, STR("master")) && debug_obey(m->loop, d->verb, d->arg);
	for (size_t i = 0; i < m->children_n; i++) {
		if (!str_eq(str_c(m->children[i].kind->name), role))
			continue;
		(void)ipc_send(m->children[i].control, (struct trace_id){0}, IPC_DEBUG, d);
		known = true;
	}
	return known;
}

static bool order_all(struct master *m, const struct msg_debug *d)
{
	if (!debug_obey(m->loop, d->verb, d->arg))
		return false;
	for (size_t i = 0; i < m->children_n; i++)
		(void)ipc_send(m->children[i].control, (struct trace_id){0}, IPC_DEBUG, d);
	return true;
}

static void refuse(struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	(void)fail_set(
		&why, FAIL_SYNTAX,
		"Usage: barid debug clock|wall-clock US | crash-point|pause-point|disk ROLE NAME",
		"no such order of a test");
	(void)ipc_reply_fail(p, &why);
}

void admin_debug(struct master *m, struct ipc_packet *p, const struct msg_admin *a)
{
	static const struct msg_admin_reply done = {0};
	bool obeyed = false;
	if (!crash_points()) {
		refuse(p);
		return;
	}
	if (a->args_n >= 3 && str_ends(a->args[1].s, STR("clock"))) {
		struct msg_debug d = {.verb = a->args[1].s, .arg = a->args[2].s};
		obeyed = a->args_n == 3 && order_all(m, &d);
	} else if (a->args_n >= 4) {
		AUTO(buf) struct buf text = BUF_INIT(ARG_MAX);
		for (size_t i = 3; i < a->args_n; i++)
			(void)buf_addf(&text, "%s%.*s", i > 3 ? " " : "", STR_ARG(a->args[i].s));
		struct msg_debug d = {.verb = a->args[1].s, .arg = buf_str(&text)};
		obeyed = order_role(m, a->args[2].s, &d);
	}
	if (obeyed)
		(void)ipc_reply(p, IPC_ADMIN_REPLY, &done);
	else
		refuse(p);
}

static void give(struct child *c, const char *verb, int64_t us)
{
	char text[32];
	if (us == 0)
		return;
	(void)snprintf(text, sizeof text, "%lld", (long long)us);
	struct msg_debug d = {.verb = str_c(verb), .arg = str_c(text)};
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_DEBUG, &d);
}

void debug_give(struct child *c)
{
	give(c, "clock", clock_bent_us());
	give(c, "wall-clock", clock_bent_wall_us());
}
