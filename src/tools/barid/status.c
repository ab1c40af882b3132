/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid status: what the server does, in a few lines, and its processes.
 *
 * Rates are of the half second between two looks at the counters.
 */
#include "base/arena.h"
#include "base/check.h"
#include "base/num.h"
#include "base/text.h"
#include "base/vec.h"
#include "sys/clock.h"
#include "tools/barid/progress.h"
#include "tools/barid/tool.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_US 500000

struct status {
	const struct cli *cli;
	struct arena arena;
	VEC(struct str) cells; /* of the processes */
	size_t columns_n;
	struct ipc_packet *packets[2];
	struct msg_survey_reply looks[2];
	double seconds; /* between them */
	VEC(struct cli_figure) figures;
};

/* --- figures --- */

static uint64_t sum(const struct msg_survey_reply *m, const char *name)
{
	uint64_t n = 0;
	for (size_t i = 0; i < m->samples_n; i++)
		if (str_eq(m->samples[i].name, str_c(name)))
			n += m->samples[i].value;
	return n;
}

static uint64_t sum_of_all(const struct msg_survey_reply *m, const char *prefix)
{
	uint64_t n = 0;
	for (size_t i = 0; i < m->samples_n; i++)
		if (str_starts(m->samples[i].name, str_c(prefix)))
			n += m->samples[i].value;
	return n;
}

static uint64_t memory(const struct msg_survey_reply *m)
{
	uint64_t n = 0;
	for (size_t i = 0; i < m->roles_n; i++)
		n += m->roles[i].rss_bytes;
	return n;
}

static unsigned long long now(const struct status *s, const char *name)
{
	return sum(&s->looks[1], name);
}

static void collect(struct status *s)
{
	static const char *const names[] = {"queue.recipients.queued", "queue.recipients.deferred",
					    "queue.recipients.held",   "smtp.accepted",
					    "queue.outcome.delivered", "queue.outcome.deferred",
					    "queue.outcome.failed",    "dir.logins",
					    "dir.logins-refused",      "user.imap-commands"};
	const struct msg_survey_reply *m = &s->looks[1];
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		*vec_push(&s->figures) = (struct cli_figure){names[i], now(s, names[i])};
	*vec_push(&s->figures) =
		(struct cli_figure){"smtp.refused", sum_of_all(m, "smtp.refused.")};
	*vec_push(&s->figures) = (struct cli_figure){"edge.open", sum_of_all(m, "edge.open.")};
	*vec_push(&s->figures) = (struct cli_figure){"memory", memory(m)};
	*vec_push(&s->figures) = (struct cli_figure){"disk.free", m->disk_free};
}

static double rate(const struct status *s, const char *name)
{
	uint64_t before = sum(&s->looks[0], name), after = sum(&s->looks[1], name);
	return after > before && s->seconds > 0 ? (double)(after - before) / s->seconds : 0;
}

static const char *duration(uint64_t seconds, char text[40])
{
	unsigned long long d = seconds / 86400, h = seconds / 3600 % 24, m = seconds / 60 % 60;
	if (d)
		(void)snprintf(text, 40, "%llu d %llu h", d, h);
	else if (h)
		(void)snprintf(text, 40, "%llu h %llu min", h, m);
	else if (m)
		(void)snprintf(text, 40, "%llu min", m);
	else
		(void)snprintf(text, 40, "%llu s", (unsigned long long)seconds);
	return text;
}

/* --- lines --- */

static void say_server(const struct status *s)
{
	const struct msg_survey_reply *m = &s->looks[1];
	char up[40], disk[32], size[32];
	int64_t us = clock_wall().v - m->started_us;
	(void)printf(T("server    barid %s, up %s; %s of %s left on the disk\n"), BARID_VERSION,
		     duration(us > 0 ? (uint64_t)us / (uint64_t)SEC_US : 0, up),
		     progress_bytes(m->disk_free, disk), progress_bytes(m->disk_size, size));
}

static void say_queue(const struct status *s)
{
	char since[40];
	uint64_t waiting = now(s, "queue.recipients.queued"),
		 deferred = now(s, "queue.recipients.deferred"),
		 held = now(s, "queue.recipients.held"), oldest = now(s, "queue.oldest");
	uint64_t at = (uint64_t)(clock_wall().v / SEC_US);
	(void)printf(T("queue     %llu to deliver, %llu deferred, %llu held"),
		     (unsigned long long)waiting, (unsigned long long)deferred,
		     (unsigned long long)held);
	if (oldest && oldest < at)
		(void)printf(T("; the oldest since %s"), duration(at - oldest, since));
	(void)puts("");
}

static void say_mail(const struct status *s)
{
	(void)printf(T("mail      %llu accepted (%.1f/s), %llu refused, %llu delivered (%.1f/s), "
		       "%llu deferred, %llu failed\n"),
		     now(s, "smtp.accepted"), rate(s, "smtp.accepted"),
		     (unsigned long long)sum_of_all(&s->looks[1], "smtp.refused."),
		     now(s, "queue.outcome.delivered"), rate(s, "queue.outcome.delivered"),
		     now(s, "queue.outcome.deferred"), now(s, "queue.outcome.failed"));
}

static void say_clients(const struct status *s)
{
	static const char prefix[] = "edge.open.";
	const struct msg_survey_reply *m = &s->looks[1];
	(void)printf(T("clients   %llu connected"), (unsigned long long)sum_of_all(m, prefix));
	const char *between = ": ";
	for (size_t i = 0; i < m->samples_n; i++) {
		struct str name = m->samples[i].name;
		if (!str_starts(name, str_c(prefix)) || m->samples[i].value == 0)
			continue;
		(void)printf("%s%.*s %llu", between, STR_ARG(str_skip(name, sizeof prefix - 1)),
			     (unsigned long long)m->samples[i].value);
		between = ", ";
	}
	(void)printf("; %llu logins, %llu refused; %.1f commands/s\n", now(s, "dir.logins"),
		     now(s, "dir.logins-refused"), rate(s, "user.imap-commands"));
}

static void say_memory(const struct status *s)
{
	char text[32];
	(void)printf(T("memory    %s resident in %zu processes (pages that they share counted in "
		       "each)\n\n"),
		     progress_bytes(memory(&s->looks[1]), text), s->looks[1].roles_n);
}

static void say(const struct status *s)
{
	say_server(s);
	say_queue(s);
	say_mail(s);
	say_clients(s);
	say_memory(s);
}

/* --- processes --- */

/* A row of `status`, with what the survey says of the process behind it. */
static int take_role(void *arg, const struct str *cells, size_t n)
{
	struct status *s = arg;
	const struct msg_survey_reply *m = &s->looks[1];
	char size[32] = "";
	uint64_t files = 0, index = 0;
	if (n < 3 || !num_parse_u64(cells[1], &index))
		return -FAIL_PEER;
	for (size_t i = 0; i < m->roles_n; i++)
		if (str_eq(m->roles[i].role, cells[0]) && m->roles[i].index == index) {
			(void)progress_bytes(m->roles[i].rss_bytes, size);
			files = m->roles[i].descriptors;
		}
	for (size_t i = 0; i < n; i++)
		*vec_push(&s->cells) = arena_str(&s->arena, cells[i]);
	*vec_push(&s->cells) = arena_str(&s->arena, str_c(size));
	*vec_push(&s->cells) = arena_printf(&s->arena, "%llu", (unsigned long long)files);
	s->columns_n = n + 2;
	return 0;
}

static void print(struct status *s, const struct str *names)
{
	struct str columns[20];
	size_t n = s->columns_n;
	CHECK(n >= 2 && n <= ARRAY_LEN(columns));
	for (size_t i = 0; i + 2 < n; i++)
		columns[i] = names[i];
	columns[n - 2] = STR("memory");
	columns[n - 1] = STR("files");
	struct cli_table t = {.name = "roles",
			      .columns = columns,
			      .n_columns = n,
			      .cells = s->cells.p,
			      .n_cells = s->cells.n,
			      .figures = s->figures.p,
			      .n_figures = s->figures.n};
	cli_print(s->cli, &t);
}

/* --- asking --- */

static int look(struct status *s, struct tool_link *master, size_t i, struct fail *why)
{
	static const struct msg_survey nothing = {0};
	int r = tool_ask(master, IPC_SURVEY, &nothing, IPC_SURVEY_REPLY, &s->packets[i], why);
	return r < 0 ? r : msg_survey_reply_read(s->packets[i], &s->looks[i]);
}

static int look_twice(struct status *s, struct tool_link *master, struct fail *why)
{
	struct mono_ns begin = clock_mono();
	int r = s->cli->json ? 1 : look(s, master, 0, why);
	if (r > 0)
		return look(s, master, 1, why); /* programs make their own rates */
	if (r < 0)
		return r;
	(void)usleep(PAUSE_US);
	r = look(s, master, 1, why);
	s->seconds = (double)(clock_mono().v - begin.v) / (double)SEC_NS;
	return r;
}

static int ask_roles(struct status *s, struct tool_link *master, struct fail *why)
{
	struct msg_text word = {STR("status")};
	struct msg_admin order = {.by = s->cli->as ? str_c(s->cli->as) : STR(""),
				  .language = cli_language(s->cli),
				  .args = &word,
				  .args_n = 1};
	struct ipc_packet *p = NULL;
	struct msg_admin_reply m;
	struct str names[20];
	int r = tool_ask(master, IPC_ADMIN, &order, IPC_ADMIN_REPLY, &p, why);
	if (r == 0)
		r = msg_admin_reply_read(p, &m);
	if (r == 0)
		r = look_twice(s, master, why);
	if (r == 0)
		r = tool_each_row(&m, take_role, s);
	if (r == 0) {
		for (size_t i = 0; i < m.columns_n && i < ARRAY_LEN(names); i++)
			names[i] = m.columns[i].s;
		collect(s);
		if (!s->cli->json)
			say(s);
		print(s, names);
	}
	ipc_packet_free(p);
	return r;
}

int cli_status(const struct cli *c)
{
	struct status s = {.cli = c, .arena = ARENA_INIT(MIB(4))};
	AUTO(tool_link) struct tool_link *master = NULL;
	struct fail why = FAIL_INIT;
	if (c->n > 1)
		return cli_usage("status");
	const char *dir = cli_state_dir(c);
	int r = dir ? tool_connect_master(dir, &master, &why) : -FAIL_NOTFOUND;
	if (r == 0)
		r = ask_roles(&s, master, &why);
	for (size_t i = 0; i < ARRAY_LEN(s.packets); i++)
		ipc_packet_free(s.packets[i]);
	vec_clear(&s.cells);
	vec_clear(&s.figures);
	arena_clear(&s.arena);
	if (r == 0 || !dir)
		return r == 0 ? EXIT_DONE : EXIT_FAILED;
	int exit_code = tool_complain(&why);
	return r == -FAIL_NOTFOUND ? EXIT_NOT_RUNNING : exit_code;
}
