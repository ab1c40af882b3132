/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `barid log`: levels, a closer look at one client, a new file. All of it lasts until master ends;
 * none of it is written to the configuration.
 */
#include "base/num.h"
#include "roles/master/internal.h"
#include "sys/sock.h"
#include <stdio.h>
#include <string.h>

#define PEER_SECONDS	 600u
#define PEER_SECONDS_MAX 86400u
#define ROWS_MAX	 32

static void refuse(struct ipc_packet *p, enum fail_code code, const char *text)
{
	struct fail why = FAIL_INIT;
	(void)fail_set(&why, code, text, "%s", text);
	(void)ipc_reply_fail(p, &why);
}

static void say(struct ipc_packet *p, const char *text)
{
	struct msg_admin_reply m = {.text = str_c(text)};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &m);
}

/* --- levels
 * ----------------------------------------------------------------------------------------- */

static enum log_level level_of(const struct master *m, const struct role_kind *kind)
{
	enum log_level level = LOG_INFO;
	(void)log_level_parse(str_c(m->conf->log_level), &level);
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].kind == kind && m->children[i].has_log_level)
			level = m->children[i].log_level;
	return level;
}

static void show_levels(struct master *m, struct ipc_packet *p)
{
	struct msg_text columns[] = {{STR("role")}, {STR("level")}}, cells[2 * ROWS_MAX];
	size_t n = 0;
	cells[n++].s = STR("master");
	cells[n++].s = str_c(log_level_name(log_level_now()));
	for (size_t k = 0; k < role_kinds_n && n + 2 <= ARRAY_LEN(cells); k++) {
		cells[n++].s = str_c(role_kinds[k].name);
		cells[n++].s = str_c(log_level_name(level_of(m, &role_kinds[k])));
	}
	struct msg_admin_reply reply = {
		.columns = columns, .columns_n = ARRAY_LEN(columns), .cells = cells, .cells_n = n};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &reply);
}

static void set_level(struct master *m, struct ipc_packet *p, const struct msg_admin *a)
{
	enum log_level level;
	/* One word alone is a level for everybody. */
	struct str role = a->args_n == 4 ? a->args[2].s : STR("all");
	struct str word = a->args[a->args_n - 1].s;
	if (!log_level_parse(word, &level))
		refuse(p, FAIL_SYNTAX, "A level is one of: error, warn, info, debug.");
	else if (!loglevel_set(m, role, level))
		refuse(p, FAIL_NOTFOUND,
		       "No such role. `barid log level` without more words lists them.");
	else
		say(p, "Done. It counts until the server ends; the setting log_level stays.");
}

/* --- one client
 * ------------------------------------------------------------------------------------- */

/* "10min", "30s", "2h"; also with a blank that the shell kept. */
static bool read_seconds(struct str s, uint32_t *ret)
{
	static const struct {
		const char *unit;
		uint32_t seconds;
	} units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}};
	size_t digits = 0;
	uint32_t n;
	while (digits < s.n && ascii_digit(s.p[digits]))
		digits++;
	if (!num_parse_u32(str_sub(s, 0, digits), &n) || n == 0 || n > PEER_SECONDS_MAX)
		return false;
	struct str unit = str_trim(str_skip(s, digits));
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (str_eqi(unit, str_c(units[i].unit))) {
			*ret = n * units[i].seconds;
			return *ret <= PEER_SECONDS_MAX;
		}
	return false;
}

static void debug_peer(struct master *m, struct ipc_packet *p, const struct msg_admin *a)
{
	struct str ip = STR_NULL;
	struct netcidr net;
	uint32_t seconds = PEER_SECONDS;
	bool good = a->args_n % 2 == 0;
	for (size_t i = 2; good && i + 1 < a->args_n; i += 2) {
		if (str_eq(a->args[i].s, STR("--peer")))
			ip = a->args[i + 1].s;
		else if (!str_eq(a->args[i].s, STR("--for")) ||
			 !read_seconds(a->args[i + 1].s, &seconds))
			good = false;
	}
	if (!good || !netcidr_parse(ip, &net)) {
		refuse(p, FAIL_SYNTAX,
		       "Usage: barid log debug --peer ADDRESS[/BITS] [--for 10min] (at most a "
		       "day)");
		return;
	}
	struct msg_log_peer msg = {.ip = ip, .seconds = seconds};
	for (size_t i = 0; i < m->children_n; i++)
		if (strcmp(m->children[i].kind->name, "edge") == 0)
			(void)ipc_send(m->children[i].control, (struct trace_id){0}, IPC_LOG_PEER,
				       &msg);
	say(p, "New connections of this client are logged at level debug, in all roles, for that "
	       "time. Read them with: barid trace ADDRESS");
}

/* --- all
 * -------------------------------------------------------------------------------------------- */

void admin_log(struct master *m, struct ipc_packet *p, const struct msg_admin *a)
{
	struct str verb = a->args_n > 1 ? a->args[1].s : STR_NULL;
	if (str_eq(verb, STR("rotate")) && a->args_n == 2) {
		logfile_rotate(m, p);
		return; /* answers when it is done */
	}
	if (str_eq(verb, STR("level")) && a->args_n == 2)
		show_levels(m, p);
	else if (str_eq(verb, STR("level")) && a->args_n <= 4)
		set_level(m, p, a);
	else if (str_eq(verb, STR("debug")))
		debug_peer(m, p, a);
	else
		refuse(p, FAIL_SYNTAX,
		       "Usage: barid log level [ROLE|all] [LEVEL] | rotate | debug --peer ADDRESS");
	ipc_packet_free(p);
}
