/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/tool.h"
#include "base/check.h"
#include "base/num.h"
#include "runtime/loop.h"
#include "service/store/store.h"
#include <errno.h>
#include <stdio.h>

#define DEADLINE_MS 600000

struct tool_link {
	struct loop *loop;
	struct ipc_channel *ch;
};

static void unexpected(struct ipc_channel *ch, struct ipc_packet *p)
{
	(void)ch;
	ipc_packet_free(p);
}

static struct tool_link *link_new(int fd)
{
	static const struct ipc_channel_ops ops = {.message = unexpected};
	struct tool_link *l = xcalloc(1, sizeof *l);
	l->loop = loop_new();
	l->ch = ipc_channel_new(l->loop, "barid", 0, &ops, NULL);
	ipc_channel_attach(l->ch, fd);
	return l;
}

void tool_close(struct tool_link *l)
{
	if (!l)
		return;
	ipc_channel_free(l->ch);
	loop_free(l->loop);
	free(l);
}

static void answered(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct tool_pending *q = CONTAINER_OF(a, struct tool_pending, ask);
	q->done = true;
	q->r = r;
	q->p = p;
	if (why)
		q->why = *why;
}

void tool_begin(struct tool_link *l, struct tool_pending *q, enum ipc_type type, const void *msg,
		enum ipc_type want)
{
	struct ipc_question question = {.type = type,
					.msg = msg,
					.want = want,
					.deadline_ms = DEADLINE_MS,
					.only_while_up = true};
	*q = (struct tool_pending){.ask.done = answered, .asked = true};
	ipc_ask(l->ch, &question, &q->ask);
	/* Get it on its way: the other side works while the caller prepares the next. */
	loop_step(l->loop, 0);
}

int tool_finish(struct tool_link *l, struct tool_pending *q, struct ipc_packet **ret,
		struct fail *why)
{
	while (!q->done)
		loop_step(l->loop, 1000);
	q->asked = false;
	if (q->r < 0) {
		if (why)
			*why = q->why;
		return q->r;
	}
	if (ret)
		*ret = q->p;
	else
		ipc_packet_free(q->p);
	return 0;
}

int tool_ask(struct tool_link *l, enum ipc_type type, const void *msg, enum ipc_type want,
	     struct ipc_packet **ret, struct fail *why)
{
	struct tool_pending q;
	tool_begin(l, &q, type, msg, want);
	return tool_finish(l, &q, ret, why);
}

/* --- connecting
 * ------------------------------------------------------------------------------------------ */

int tool_connect_master(const char *dir, struct tool_link **ret, struct fail *why)
{
	int fd = cli_connect(dir);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return fail_set(why, FAIL_PERM,
				"No access to the server: run this as root or as its user.", "%s",
				dir);
	if (fd < 0)
		return fail_set(why, FAIL_NOTFOUND,
				"The server does not run. Start it with: barid serve", "%s", dir);
	*ret = link_new(fd);
	return 0;
}

int tool_connect(const char *dir, const char *role, unsigned index, struct tool_link **ret,
		 struct tool_server *ret_server, struct fail *why)
{
	AUTO(tool_link) struct tool_link *master = NULL;
	struct ipc_packet *p = NULL;
	struct msg_tool_socket m;
	int r = tool_connect_master(dir, &master, why);
	if (r < 0)
		return r;
	struct msg_tool_open open = {.role = str_c(role), .index = (uint16_t)index};
	r = tool_ask(master, IPC_TOOL_OPEN, &open, IPC_TOOL_SOCKET, &p, why);
	if (r < 0)
		return r;
	if (msg_tool_socket_read(p, &m) < 0 || m.socket < 0 || m.partitions == 0 ||
	    m.user_workers == 0) {
		ipc_packet_free(p);
		return fail_set(why, FAIL_PEER, "The server is of another version.", "tool");
	}
	*ret = link_new(ipc_packet_take_fd(p, m.socket));
	if (ret_server)
		*ret_server = (struct tool_server){m.partitions, m.user_workers};
	ipc_packet_free(p);
	return 0;
}

int tool_connect_account(const char *dir, struct account_id account, struct tool_link **ret,
			 struct fail *why)
{
	struct tool_server s;
	AUTO(tool_link) struct tool_link *any = NULL;
	int r = tool_connect(dir, "user", 0, &any, &s, why);
	if (r < 0)
		return r;
	unsigned shard = (unsigned)(store_place(account, s.partitions) % s.user_workers);
	if (shard == 0) {
		*ret = TAKE(any);
		return 0;
	}
	return tool_connect(dir, "user", shard, ret, NULL, why);
}

/* --- orders
 * ------------------------------------------------------------------------------------------ */

int tool_each_row(const struct msg_admin_reply *m,
		  int (*fn)(void *arg, const struct str *cells, size_t n), void *arg)
{
	struct str cells[50];
	size_t n = m->columns_n;
	for (size_t at = 0; n && n <= ARRAY_LEN(cells) && at + n <= m->cells_n; at += n) {
		for (size_t i = 0; i < n; i++)
			cells[i] = m->cells[at + i].s;
		int r = fn(arg, cells, n);
		if (r < 0)
			return r;
	}
	return 0;
}

int tool_order(const char *dir, const char *as, const char *const *words, size_t n,
	       int (*fn)(void *arg, const struct str *cells, size_t n), void *arg, struct fail *why)
{
	AUTO(tool_link) struct tool_link *master = NULL;
	struct msg_text args[16];
	struct ipc_packet *p = NULL;
	struct msg_admin_reply m;
	CHECK(n <= ARRAY_LEN(args));
	for (size_t i = 0; i < n; i++)
		args[i].s = str_c(words[i]);
	struct msg_admin order = {.by = as ? str_c(as) : STR(""), .args = args, .args_n = n};
	int r = tool_connect_master(dir, &master, why);
	if (r == 0)
		r = tool_ask(master, IPC_ADMIN, &order, IPC_ADMIN_REPLY, &p, why);
	if (r == 0 && (r = msg_admin_reply_read(p, &m)) == 0 && fn)
		r = tool_each_row(&m, fn, arg);
	ipc_packet_free(p);
	return r;
}

static int take_id(void *arg, const struct str *cells, size_t n)
{
	struct account_id *id = arg;
	if (n >= 2 && str_eq(cells[0], STR("id")))
		(void)num_parse_u64(cells[1], &id->v);
	return 0;
}

int tool_account(const char *dir, const char *address, struct account_id *ret, struct fail *why)
{
	const char *const words[] = {"user", "show", address};
	struct account_id id = {0};
	int r = tool_order(dir, NULL, words, ARRAY_LEN(words), take_id, &id, why);
	if (r == 0 && id.v == 0)
		r = fail_set(why, FAIL_NOTFOUND, "The user has no mailboxes yet.", "%s", address);
	if (r == 0)
		*ret = id;
	return r;
}

int tool_complain(const struct fail *why)
{
	const char *text = why->public[0]   ? why->public
			   : why->detail[0] ? why->detail
					    : fail_public_default(why->code);
	(void)fprintf(stderr, "%s\n", text);
	if (why->public[0] && why->detail[0] && strcmp(why->public, why->detail) != 0)
		(void)fprintf(stderr, "(%s)\n", why->detail);
	return why->code == FAIL_SYNTAX ? EXIT_USAGE : EXIT_FAILED;
}
