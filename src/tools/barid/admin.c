/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders to the running server over its control socket. Accounts can also be managed while no
 * server runs: then the database is opened directly.
 */
#include "base/check.h"
#include "runtime/ipc/ipc.h"
#include "runtime/loop.h"
#include "service/dir/dir.h"
#include "service/dir/dir_admin.h"
#include "tools/barid/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define ANSWER_MS 60000

struct order {
	struct ipc_ask ask;
	const struct cli *cli;
	bool done;
	int exit_code;
};

static int complain(const struct fail *why)
{
	(void)fprintf(stderr, "%s\n",
		      why->public[0] ? why->public : fail_public_default(why->code));
	return why->code == FAIL_SYNTAX ? EXIT_USAGE : EXIT_FAILED;
}

/* --- over the socket
 * ----------------------------------------------------------------------------------------------------
 */

static int connect_to(const char *dir)
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

static const char *rows_name(const struct cli *c)
{
	const char *command = c->args[0];
	if (strcmp(command, "status") == 0)
		return "roles";
	return strcmp(command, "ports") == 0 ? "ports" : "rows";
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
	struct order *o = CONTAINER_OF(a, struct order, ask);
	struct msg_admin_reply m;
	o->done = true;
	if (r < 0 || msg_admin_reply_read(p, &m) < 0) {
		o->exit_code = complain(why);
		ipc_packet_free(p);
		return;
	}
	struct str *columns = strs_of(m.columns, m.columns_n), *cells = strs_of(m.cells, m.cells_n);
	struct cli_table t = {.name = rows_name(o->cli),
			      .columns = columns,
			      .n_columns = m.columns_n,
			      .cells = cells,
			      .n_cells = m.cells_n,
			      .message = m.text};
	cli_print(o->cli, &t);
	free(columns);
	free(cells);
	ipc_packet_free(p);
}

static void unexpected(struct ipc_channel *ch, struct ipc_packet *p)
{
	(void)ch;
	ipc_packet_free(p);
}

static int ask_server(const struct cli *c, int fd)
{
	static const struct ipc_channel_ops ops = {.message = unexpected};
	struct loop *loop = loop_new();
	struct ipc_channel *ch = ipc_channel_new(loop, "barid", 0, &ops, NULL);
	struct msg_text *args = xcalloc(c->n, sizeof *args);
	for (size_t i = 0; i < c->n; i++)
		args[i].s = str_c(c->args[i]);
	struct msg_admin m = {.by = c->as ? str_c(c->as) : STR(""), .args = args, .args_n = c->n};
	struct ipc_question q = {
		.type = IPC_ADMIN, .msg = &m, .want = IPC_ADMIN_REPLY, .deadline_ms = ANSWER_MS};
	struct order o = {.ask.done = answered, .cli = c};
	ipc_channel_attach(ch, fd);
	ipc_ask(ch, &q, &o.ask);
	while (!o.done)
		loop_step(loop, 1000);
	ipc_channel_free(ch);
	loop_free(loop);
	free(args);
	return o.exit_code;
}

/* --- without a server
 * ------------------------------------------------------------------------------------------------------
 */

static bool is_account_order(const char *command)
{
	return strcmp(command, "domain") == 0 || strcmp(command, "user") == 0 ||
	       strcmp(command, "alias") == 0 || strcmp(command, "admin") == 0;
}

static int open_directly(const struct cli *c, const char *state_dir)
{
	char folder[4096], path[4200];
	struct fail why = FAIL_INIT;
	struct dir_config config = dir_config_default();
	AUTO(dir) struct dir *dir = NULL;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(64));
	(void)snprintf(folder, sizeof folder, "%s/dir", state_dir);
	(void)snprintf(path, sizeof path, "%s/vmail.db", folder);
	if ((mkdir(state_dir, 0711) < 0 && errno != EEXIST) ||
	    (mkdir(folder, 0700) < 0 && errno != EEXIST)) {
		(void)fprintf(stderr, "cannot make %s: %s\n", folder, strerror(errno));
		return EXIT_FAILED;
	}
	config.path = path;
	if (dir_open(&config, &dir, &why) < 0) {
		(void)fprintf(stderr, "%s\n", why.detail);
		return EXIT_FAILED;
	}
	struct str *args = xcalloc(c->n, sizeof *args);
	for (size_t i = 0; i < c->n; i++)
		args[i] = str_c(c->args[i]);
	struct dir_scope scope = {.kind = DIR_SCOPE_GLOBAL};
	struct dir_table t = {0};
	int r = c->as ? dir_scope_of(dir, str_c(c->as), &a, &scope, &why) : 0;
	if (r == 0)
		r = dir_admin(dir, &scope, (struct dir_args){args, c->n}, &a, &t, &why);
	free(args);
	if (r < 0)
		return complain(&why);
	struct cli_table out = {.name = "rows",
				.columns = t.columns,
				.n_columns = t.n_columns,
				.cells = t.cells,
				.n_cells = t.n_columns * t.n_rows,
				.message = t.message};
	cli_print(c, &out);
	return EXIT_DONE;
}

/* --- passwords that are not given as an argument
 * ---------------------------------------------------------------------------- */

static char *ask_password(void)
{
	struct termios before, quiet;
	static char line[1100];
	bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (terminal) {
		(void)fputs("New password: ", stderr);
		quiet = before;
		quiet.c_lflag &= (tcflag_t)~ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	}
	char *got = fgets(line, sizeof line, stdin);
	if (terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
		(void)fputc('\n', stderr);
	}
	if (!got)
		return NULL;
	line[strcspn(line, "\r\n")] = '\0';
	return line[0] ? line : NULL;
}

/* Words that no order of this kind has are a mistake, not something to pass over. */
static bool fits(const struct cli *c)
{
	static const char *const bare[] = {"status", "ports", "counters", "reload", "stop"};
	for (size_t i = 0; i < ARRAY_LEN(bare); i++)
		if (strcmp(c->args[0], bare[i]) == 0)
			return c->n == 1;
	bool queue = strcmp(c->args[0], "queue") == 0;
	for (size_t i = 1; queue && i < c->n; i++)
		if (c->args[i][0] == '-')
			return false;
	return true;
}

int cli_admin(const struct cli *given)
{
	struct cli c = *given;
	if (c.n == 3 && strcmp(c.args[0], "user") == 0 && strcmp(c.args[1], "passwd") == 0) {
		char *password = ask_password();
		if (!password) {
			(void)fputs("No password was given: nothing changed.\n", stderr);
			return EXIT_FAILED;
		}
		c.args[c.n++] = password; /* there is room for one more */
	}
	if (!fits(&c))
		return cli_usage(c.args[0]);
	const char *dir = cli_state_dir(&c);
	if (!dir)
		return EXIT_FAILED;
	int fd = connect_to(dir);
	if (fd >= 0)
		return ask_server(&c, fd);
	if (errno == EACCES || errno == EPERM) {
		(void)fprintf(stderr,
			      "No access to the server in %s: run this as root or as the server's "
			      "user.\n",
			      dir);
		return EXIT_FAILED;
	}
	if (is_account_order(c.args[0]))
		return open_directly(&c, dir);
	(void)fprintf(stderr, "No server runs in %s. Start it with: barid serve\n", dir);
	return EXIT_NOT_RUNNING;
}
