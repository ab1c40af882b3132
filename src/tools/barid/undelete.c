/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid undelete USER [MAILBOX | --all] [--at TIME | --hours N] [--into NAME]
 *
 * Without a mailbox, or with --list: what there is to bring back. --at: what was there at that
 * moment and went since. A repetition brings nothing twice.
 */
#include "base/arena.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/num.h"
#include "base/text.h"
#include "base/vec.h"
#include "sys/clock.h"
#include "tools/barid/options.h"
#include "tools/barid/tool.h"
#include "tools/barid/when.h"
#include <stdio.h>

struct done {
	struct str cell[3];
};
struct undelete {
	const struct cli *cli;
	const char *account, *mailbox, *into;
	bool all, list;
	uint64_t hours; /* 0 = as far back as there is something */
	const char *state;
	struct account_id id;
	struct tool_link *link;
	struct wall_us since, came;
	struct arena arena;
	VEC(struct done) done;
};

static struct str moment(struct arena *a, int64_t us)
{
	struct civil c;
	civil_from_us((struct wall_us){us}, &c);
	return arena_printf(a, "%04d-%02u-%02u %02u:%02u", (int)c.year, (unsigned)c.month,
			    (unsigned)c.day, (unsigned)c.hour, (unsigned)c.minute);
}

/* A deleted mailbox has lost its name: it is "#NUMBER". */
static struct str name_of(struct arena *a, const struct msg_lost_box *b)
{
	return b->name.n ? b->name : arena_printf(a, "#%llu", (unsigned long long)b->mailbox);
}

static int print_list(const struct undelete *u, const struct msg_box_lost_reply *m)
{
	static const struct str columns[] = {
		{"mailbox", 7}, {"messages", 8}, {"first-deleted", 13}, {"last-deleted", 12}};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct str *cells = arena_array(&a, struct str, m->boxes_n * ARRAY_LEN(columns) + 1);
	for (size_t i = 0; cells && i < m->boxes_n; i++) {
		struct str *row = &cells[i * ARRAY_LEN(columns)];
		row[0] = name_of(&a, &m->boxes[i]);
		row[1] = arena_printf(&a, "%u", m->boxes[i].messages);
		row[2] = moment(&a, m->boxes[i].first_us);
		row[3] = moment(&a, m->boxes[i].last_us);
	}
	struct cli_table t = {.name = "rows",
			      .columns = columns,
			      .n_columns = ARRAY_LEN(columns),
			      .cells = cells,
			      .n_cells = m->boxes_n * ARRAY_LEN(columns),
			      .message =
				      m->boxes_n ? STR("") : STR("Nothing can be brought back.")};
	cli_print(u->cli, &t);
	return EXIT_DONE;
}

static int bring_back(struct undelete *u, const struct msg_lost_box *b, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	struct str name = name_of(&a, b);
	struct str target =
		u->into ? str_c(u->into) : arena_printf(&a, "Undeleted/%.*s", STR_ARG(name));
	struct msg_box_make make = {.account = u->id.v, .name = target, .subscribe = true};
	struct msg_undelete m = {.account = u->id.v,
				 .mailbox = b->mailbox,
				 .since_us = u->since.v,
				 .came_us = u->came.v,
				 .target = target};
	struct msg_undelete_reply reply;
	struct ipc_packet *p = NULL;
	int r = tool_ask(u->link, IPC_BOX_MAKE, &make, IPC_OK, NULL, why);
	if (r == 0)
		r = tool_ask(u->link, IPC_UNDELETE, &m, IPC_UNDELETE_REPLY, &p, why);
	if (r == 0 && (r = msg_undelete_reply_read(p, &reply)) == 0 && !u->cli->json)
		(void)printf(T("%.*s: %u messages are back.\n"), STR_ARG(target), reply.messages);
	if (r == 0) {
		struct str *row = vec_push(&u->done)->cell;
		row[0] = arena_str(&u->arena, name);
		row[1] = arena_str(&u->arena, target);
		row[2] = arena_printf(&u->arena, "%u", reply.messages);
	}
	ipc_packet_free(p);
	return r;
}

/* With --json, one document of all that was done. */
static void print_done(const struct undelete *u)
{
	static const struct str columns[] = {{"mailbox", 7}, {"into", 4}, {"messages", 8}};
	struct cli_table t = {.name = "rows",
			      .columns = columns,
			      .n_columns = ARRAY_LEN(columns),
			      .cells = u->done.n ? u->done.p[0].cell : NULL,
			      .n_cells = u->done.n * ARRAY_LEN(columns),
			      .message = STR("")};
	cli_print(u->cli, &t);
}

static int work(struct undelete *u, const struct msg_box_lost_reply *m, int *code, struct fail *why)
{
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	bool any = false;
	int r = 0;
	if (u->list || (!u->mailbox && !u->all)) {
		*code = print_list(u, m);
		return 0;
	}
	for (size_t i = 0; r == 0 && i < m->boxes_n; i++)
		if (u->all || str_eq(name_of(&a, &m->boxes[i]), str_c(u->mailbox))) {
			any = true;
			r = bring_back(u, &m->boxes[i], why);
		}
	if (r == 0 && !any)
		r = fail_set(why, FAIL_NOTFOUND, "Nothing of that can be brought back.", "%s",
			     u->account);
	if (r == 0 && u->cli->json)
		print_done(u);
	return r;
}

static int run(struct undelete *u, int *code, struct fail *why)
{
	struct ipc_packet *p = NULL;
	struct msg_box_lost_reply m;
	int r = tool_account(u->state, u->account, &u->id, why);
	if (r < 0 || (r = tool_connect_account(u->state, u->id, &u->link, why)) < 0)
		return r;
	if (u->hours)
		u->since.v = clock_wall().v - (int64_t)u->hours * 3600 * SEC_US;
	struct msg_box_lost ask = {
		.account = u->id.v, .since_us = u->since.v, .came_us = u->came.v};
	r = tool_ask(u->link, IPC_BOX_LOST, &ask, IPC_BOX_LOST_REPLY, &p, why);
	if (r == 0)
		r = msg_box_lost_reply_read(p, &m);
	if (r == 0)
		r = work(u, &m, code, why);
	ipc_packet_free(p);
	return r;
}

/* USER and MAILBOX, as words or by the options that were there before. */
static bool take_words(struct undelete *u, const char *const *words, size_t n)
{
	size_t i = 0;
	if (!u->account && i < n)
		u->account = words[i++];
	if (!u->mailbox && i < n)
		u->mailbox = words[i++];
	return u->account && i == n && !(u->mailbox && u->all) && u->hours <= 1000000;
}

int cli_undelete(const struct cli *c)
{
	struct undelete u = {.cli = c, .arena = ARENA_INIT(MIB(16))};
	struct fail why = FAIL_INIT;
	const char *words[2], *at = NULL;
	size_t n;
	int code = EXIT_DONE;
	const struct option options[] = {{"--account", .text = &u.account},
					 {"--mailbox", .text = &u.mailbox},
					 {"--into", .text = &u.into},
					 {"--all", .flag = &u.all},
					 {"--list", .flag = &u.list},
					 {"--hours", .number = &u.hours},
					 {"--at", .text = &at}};
	if (!options_take(c, options, ARRAY_LEN(options), words, 2, &n) ||
	    !take_words(&u, words, n) || (at && u.hours))
		return cli_usage("undelete");
	if (at && !when_read(at, &u.since))
		return EXIT_FAILED;
	u.came = u.since;
	u.state = cli_state_dir(c);
	if (!u.state)
		return EXIT_FAILED;
	int r = run(&u, &code, &why);
	tool_close(u.link);
	vec_clear(&u.done);
	arena_clear(&u.arena);
	return r < 0 ? tool_complain(&why) : code;
}
