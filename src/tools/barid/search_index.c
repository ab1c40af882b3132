/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid search-index status|rebuild USER
 *
 * An index file serves all accounts of a partition; so does a rebuild.
 */
#include "base/arena.h"
#include "base/check.h"
#include "base/text.h"
#include "tools/barid/options.h"
#include "tools/barid/tool.h"
#include <string.h>

static int ask(const char *state, const char *user, bool rebuild,
	       struct msg_search_index_reply *ret, struct fail *why)
{
	struct account_id id;
	struct tool_link *link = NULL;
	struct ipc_packet *p = NULL;
	int r = tool_account(state, user, &id, why);
	if (r < 0 || (r = tool_connect_account(state, id, &link, why)) < 0)
		return r;
	struct msg_search_index m = {.account = id.v, .rebuild = rebuild};
	r = tool_ask(link, IPC_SEARCH_INDEX, &m, IPC_SEARCH_INDEX_REPLY, &p, why);
	if (r == 0)
		r = msg_search_index_reply_read(p, ret); /* numbers only: nothing is borrowed */
	ipc_packet_free(p);
	tool_close(link);
	return r;
}

int cli_search_index(const struct cli *c)
{
	static const struct str columns[] = {
		{"partition", 9}, {"state", 5}, {"missing", 7}, {"files", 5}, {"bytes", 5}};
	AUTO(arena) struct arena a = ARENA_INIT(KIB(16));
	struct msg_search_index_reply m;
	struct fail why = FAIL_INIT;
	const char *words[2];
	size_t n;
	if (!options_take(c, NULL, 0, words, ARRAY_LEN(words), &n) || n != 2 ||
	    (strcmp(words[0], "status") != 0 && strcmp(words[0], "rebuild") != 0))
		return cli_usage("search-index");
	const char *state = cli_state_dir(c);
	if (!state)
		return EXIT_FAILED;
	if (ask(state, words[1], strcmp(words[0], "rebuild") == 0, &m, &why) < 0)
		return tool_complain(&why);
	const char *how = !m.on	      ? "off"
			  : m.paused  ? "paused"
			  : m.missing ? "catching-up"
				      : "complete";
	struct str cells[ARRAY_LEN(columns)] = {
		arena_printf(&a, "%llu", (unsigned long long)m.partition), str_c(how),
		arena_printf(&a, "%llu", (unsigned long long)m.missing),
		arena_printf(&a, "%llu", (unsigned long long)m.files),
		arena_printf(&a, "%llu", (unsigned long long)m.bytes)};
	struct cli_table t = {.name = "rows",
			      .columns = columns,
			      .n_columns = ARRAY_LEN(columns),
			      .cells = cells,
			      .n_cells = ARRAY_LEN(columns),
			      .message = STR("")};
	cli_print(c, &t);
	return EXIT_DONE;
}
