/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/orders.h"
#include "base/check.h"
#include "base/text.h"
#include "runtime/ipc/ipc.h"
#include "runtime/loop.h"
#include "service/dir/dir.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS 60000

struct orders {
	const struct cli *cli;
	/* a running server */
	struct loop *loop;
	struct ipc_channel *server;
	size_t open; /* not answered yet */
	/* or its files */
	struct dir *dir;
};

struct given {
	struct ipc_ask ask;
	struct orders *orders;
	order_done done;
	void *context;
};

int orders_complain(const struct fail *why)
{
	(void)fprintf(stderr, "%s\n",
		      why->public[0] ? why->public : fail_public_default(why->code));
	return why->code == FAIL_SYNTAX ? EXIT_USAGE : EXIT_FAILED;
}

/* --- the running server --- */

struct str cli_language(const struct cli *c)
{
	return str_c(c->json ? "" : text_language_name(text_spoken()));
}

int cli_connect(const char *dir)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	/* By descriptor: the folder's name may be longer than an address allows. */
	AUTO_FD int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	(void)snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/control.sock", folder);
	if (folder < 0 || fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		return -1;
	return TAKE_FD(fd);
}

static void unexpected(struct ipc_channel *ch, struct ipc_packet *p)
{
	(void)ch;
	ipc_packet_free(p);
}

static struct str *strs_of(const struct msg_text *t, size_t n)
{
	struct str *s = xcalloc(n, sizeof *s);
	for (size_t i = 0; i < n; i++)
		s[i] = t[i].s;
	return s;
}

static void answered(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct given *g = CONTAINER_OF(a, struct given, ask);
	struct order_answer answer = {.r = r, .why = why};
	struct msg_admin_reply m = {0};
	if (r == 0)
		answer.r = msg_admin_reply_read(p, &m);
	answer.code = (enum fail_code)m.code;
	struct str *columns = strs_of(m.columns, m.columns_n), *cells = strs_of(m.cells, m.cells_n);
	answer.table = (struct cli_table){.name = "rows",
					  .columns = columns,
					  .n_columns = m.columns_n,
					  .cells = cells,
					  .n_cells = m.cells_n,
					  .message = m.text};
	g->orders->open--;
	g->done(g->context, &answer);
	free(columns);
	free(cells);
	ipc_packet_free(p);
	free(g);
}

static void ask_server(struct orders *o, const struct str *words, size_t n, struct given *g)
{
	struct msg_text args[ORDER_WORDS_MAX];
	const char *as = o->cli->as;
	for (size_t i = 0; i < n; i++)
		args[i].s = words[i];
	struct msg_admin m = {.by = as ? str_c(as) : STR(""),
			      .language = cli_language(o->cli),
			      .args = args,
			      .args_n = n};
	struct ipc_question q = {
		.type = IPC_ADMIN, .msg = &m, .want = IPC_ADMIN_REPLY, .deadline_ms = ANSWER_MS};
	g->ask.done = answered;
	o->open++;
	ipc_ask(o->server, &q, &g->ask);
}

/* --- its files --- */

static struct dir *open_files(const char *state_dir)
{
	char folder[4096], path[4200];
	struct fail why = FAIL_INIT;
	struct dir_config config = dir_config_default();
	struct dir *dir = NULL;
	(void)snprintf(folder, sizeof folder, "%s/dir", state_dir);
	(void)snprintf(path, sizeof path, "%s/vmail.db", folder);
	if (fs_mkdir_all(fs_real(), state_dir, 0711, &why) < 0 ||
	    fs_mkdir_all(fs_real(), folder, 0700, &why) < 0) {
		(void)fprintf(stderr, T("Cannot make %s: %s\n"), folder, strerror(why.saved_errno));
		return NULL;
	}
	config.path = path;
	if (dir_open(&config, &dir, &why) < 0)
		(void)fprintf(stderr, "%s\n", why.detail);
	return dir;
}

/* What the server would know of its configuration; a broken one is no obstacle here. */
static void configure(struct dir *dir, const struct cli *c)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64));
	AUTO(conf) struct conf *conf = NULL;
	if (dir && !c->dir && conf_load(c->conf, &conf, &errors) == 0)
		dir_configure(dir, conf->hostname, conf->relay_host);
}

static void order_files(struct orders *o, const struct str *words, size_t n, const struct given *g)
{
	struct fail why = FAIL_INIT;
	struct dir_scope scope = {.kind = DIR_SCOPE_GLOBAL};
	struct dir_table t = {0};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	struct order_answer answer = {.why = &why};
	if (o->cli->as)
		answer.r = dir_scope_of(o->dir, str_c(o->cli->as), &a, &scope, &why);
	if (answer.r == 0)
		answer.r = dir_admin(o->dir, &scope, (struct dir_args){words, n}, &a, &t, &why);
	answer.table = (struct cli_table){.name = "rows",
					  .columns = t.columns,
					  .n_columns = t.n_columns,
					  .cells = t.cells,
					  .n_cells = t.n_columns * t.n_rows,
					  .message = t.message};
	g->done(g->context, &answer);
}

/* --- either --- */

struct orders *orders_connect(const struct cli *c, const char *state_dir)
{
	static const struct ipc_channel_ops ops = {.message = unexpected};
	int fd = cli_connect(state_dir);
	if (fd < 0)
		return NULL;
	struct orders *o = xcalloc(1, sizeof *o);
	o->cli = c;
	o->loop = loop_new();
	o->server = ipc_channel_new(o->loop, "barid", 0, &ops, NULL);
	ipc_channel_attach(o->server, fd);
	return o;
}

struct orders *orders_open(const struct cli *c, bool accounts, int *exit_code)
{
	const char *state = cli_state_dir(c);
	struct orders *o = state ? orders_connect(c, state) : NULL;
	*exit_code = EXIT_FAILED;
	if (o)
		return o;
	o = xcalloc(1, sizeof *o);
	o->cli = c;
	if (state && (errno == EACCES || errno == EPERM)) {
		(void)fprintf(
			stderr,
			T("No access to the server in %s: run this as root or as the server's "
			  "user.\n"),
			state);
	} else if (state && accounts) {
		o->dir = open_files(state);
		configure(o->dir, c);
	} else if (state) {
		(void)fprintf(stderr, T("No server runs in %s. Start it with: barid serve\n"),
			      state);
		*exit_code = EXIT_NOT_RUNNING;
	}
	if (o->dir)
		return o;
	free(o);
	return NULL;
}

bool orders_running(const struct cli *c)
{
	const char *state = cli_state_dir(c);
	AUTO_FD int fd = state ? cli_connect(state) : -1;
	return fd >= 0;
}

void orders_give(struct orders *o, const struct str *words, size_t n, order_done done,
		 void *context)
{
	CHECK(n <= ORDER_WORDS_MAX);
	struct given *g = xcalloc(1, sizeof *g);
	*g = (struct given){.orders = o, .done = done, .context = context};
	if (o->server) {
		ask_server(o, words, n, g);
		return;
	}
	order_files(o, words, n, g);
	free(g);
}

void orders_wait(struct orders *o)
{
	while (o->open)
		loop_step(o->loop, 1000);
}

/* --- rights --- */

static void take_scope(void *context, const struct order_answer *answer)
{
	bool *global = context;
	const struct cli_table *t = &answer->table;
	for (size_t i = 0; answer->r == 0 && i + 1 < t->n_cells && t->n_columns == 2; i += 2)
		if (str_eq(t->cells[i], STR("scope")))
			*global = str_eq(t->cells[i + 1], STR("global"));
}

bool orders_global(struct orders *o, const char *address)
{
	const struct str words[] = {STR("admin"), STR("show"), str_c(address)};
	bool global = false;
	orders_give(o, words, ARRAY_LEN(words), take_scope, &global);
	orders_wait(o);
	return global;
}

void orders_close(struct orders *o)
{
	if (!o)
		return;
	orders_wait(o);
	if (o->server) {
		ipc_channel_free(o->server);
		loop_free(o->loop);
	}
	dir_close(o->dir);
	free(o);
}
