/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid quota list [DOMAIN]        who has used how much
 * barid quota recount ADDRESS|all  count the messages again, and correct what was counted wrong
 */
#include "base/arena.h"
#include "base/check.h"
#include "base/num.h"
#include "base/text.h"
#include "base/vec.h"
#include "tools/barid/progress.h"
#include "tools/barid/tool.h"
#include <stdio.h>
#include <string.h>

struct quota {
	const struct cli *cli;
	const char *dir;
	struct arena arena;
	VEC(struct str) cells; /* of the table that is printed */
	VEC(struct str) users;
	struct progress progress;
	size_t wrong;
};

/* Columns of `user list`. */
enum { USER_ADDRESS, USER_NAME, USER_QUOTA_MB, USER_USED, USER_COLUMNS };

/* --- list --- */

/* In the units that quotas are given in: "5g" is 5 GiB. */
static struct str size_text(struct quota *q, uint64_t n)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)n;
	size_t i = 0;
	if (q->cli->json)
		return arena_printf(&q->arena, "%llu", (unsigned long long)n);
	for (; v >= 1024 && i + 1 < ARRAY_LEN(units); i++)
		v /= 1024;
	return arena_printf(&q->arena, v == (double)(uint64_t)v ? "%.0f %s" : "%.1f %s", v,
			    units[i]);
}

static int take_usage(void *arg, const struct str *cells, size_t n)
{
	struct quota *q = arg;
	uint64_t quota = 0, used = 0;
	if (n < USER_COLUMNS)
		return -FAIL_PEER;
	(void)num_parse_u64(cells[USER_QUOTA_MB], &quota);
	(void)num_parse_u64(cells[USER_USED], &used);
	quota *= MIB(1);
	*vec_push(&q->cells) = arena_str(&q->arena, cells[USER_ADDRESS]);
	*vec_push(&q->cells) = size_text(q, used);
	*vec_push(&q->cells) = quota || q->cli->json ? size_text(q, quota) : STR("unlimited");
	if (q->cli->json)
		return 0;
	*vec_push(&q->cells) =
		quota ? arena_printf(&q->arena, "%.0f %%", 100.0 * (double)used / (double)quota)
		      : STR("");
	return 0;
}

static int list(struct quota *q, struct fail *why)
{
	static const struct str columns[] = {{"user", 4}, {"used", 4}, {"quota", 5}, {"full", 4}};
	static const struct str keys[] = {{"user", 4}, {"used-bytes", 10}, {"quota-bytes", 11}};
	bool json = q->cli->json;
	const char *words[] = {"user", "list", q->cli->n > 2 ? q->cli->args[2] : NULL};
	int r = tool_order(q->dir, q->cli->as, words, q->cli->n > 2 ? 3 : 2, take_usage, q, why);
	if (r < 0)
		return r;
	struct cli_table t = {.name = "rows",
			      .columns = json ? keys : columns,
			      .n_columns = json ? ARRAY_LEN(keys) : ARRAY_LEN(columns),
			      .cells = q->cells.p,
			      .n_cells = q->cells.n};
	cli_print(q->cli, &t);
	return 0;
}

/* --- recount --- */

static int take_user(void *arg, const struct str *cells, size_t n)
{
	struct quota *q = arg;
	if (n < USER_COLUMNS)
		return -FAIL_PEER;
	*vec_push(&q->users) = arena_str(&q->arena, cells[USER_ADDRESS]);
	return 0;
}

static bool is_listed(const struct quota *q, struct str address)
{
	for (size_t i = 0; i < q->users.n; i++)
		if (str_eqi(q->users.p[i], address))
			return true;
	return false;
}

static void say(struct quota *q, const char *address, const struct msg_recounted *m)
{
	bool same = m->bytes == m->bytes_before && m->messages == m->messages_before;
	if (same)
		return;
	q->wrong++;
	(void)printf(T("%s: %llu bytes in %llu messages; was counted as %llu in %llu\n"), address,
		     (unsigned long long)m->bytes, (unsigned long long)m->messages,
		     (unsigned long long)m->bytes_before, (unsigned long long)m->messages_before);
}

static int recount_one(struct quota *q, const char *address, struct fail *why)
{
	AUTO(tool_link) struct tool_link *link = NULL;
	struct account_id id = {0};
	struct ipc_packet *p = NULL;
	struct msg_recounted counted;
	int r = tool_account(q->dir, address, &id, why);
	if (r == 0)
		r = tool_connect_account(q->dir, id, &link, why);
	struct msg_recount m = {.account = id.v};
	if (r == 0)
		r = tool_ask(link, IPC_RECOUNT, &m, IPC_RECOUNTED, &p, why);
	if (r == 0)
		r = msg_recounted_read(p, &counted);
	if (r == 0)
		say(q, address, &counted);
	ipc_packet_free(p);
	return r == -FAIL_NOTFOUND && id.v ? 0 : r; /* had no mail yet */
}

static int recount(struct quota *q, struct fail *why)
{
	static const char *const all[] = {"user", "list"};
	const char *who = q->cli->args[2], *as = q->cli->as;
	bool one = strcmp(who, "all") != 0;
	int r = !one || as ? tool_order(q->dir, as, all, ARRAY_LEN(all), take_user, q, why) : 0;
	if (r == 0 && one && as && !is_listed(q, str_c(who)))
		r = fail_set(why, FAIL_PERM, "This user is not yours to manage.", "%s", who);
	if (r == 0 && one) {
		vec_clear(&q->users);
		*vec_push(&q->users) = str_c(who);
	}
	progress_begin(&q->progress, "users", q->users.n);
	for (size_t i = 0; r == 0 && i < q->users.n; i++) {
		r = recount_one(q, arena_c(&q->arena, q->users.p[i]), why);
		progress_add(&q->progress, 1);
	}
	progress_end(&q->progress);
	if (r == 0)
		(void)printf(T("%zu users counted, %zu corrected\n"), q->users.n, q->wrong);
	return r;
}

int cli_quota(const struct cli *c)
{
	struct quota q = {.cli = c, .arena = ARENA_INIT(MIB(256))};
	struct fail why = FAIL_INIT;
	bool lists = c->n >= 2 && c->n <= 3 && strcmp(c->args[1], "list") == 0;
	bool counts = c->n == 3 && strcmp(c->args[1], "recount") == 0;
	if (!lists && !counts)
		return cli_usage("quota");
	if (!(q.dir = cli_state_dir(c)))
		return EXIT_FAILED;
	int r = lists ? list(&q, &why) : recount(&q, &why);
	vec_clear(&q.cells);
	vec_clear(&q.users);
	arena_clear(&q.arena);
	return r < 0 ? tool_complain(&why) : EXIT_DONE;
}
