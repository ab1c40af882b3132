/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: `barid` commands against the running server. Open to root and to master's
 * own user. Master answers what it knows itself (status, ports, counters, reload, debug, stop) and
 * passes the rest to the role whose data it is.
 */
#include "base/arena.h"
#include "base/check.h"
#include "base/num.h"
#include "roles/master/internal.h"
#include "roles/master/table.h"
#include "roles/role/role.h"
#include "roles/role/scope.h"
#include "service/dir/scope.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/log.h"
#include "sys/sock.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A request that a role is answering. The connection may end meanwhile: the packet keeps it. */
struct forward {
	struct ipc_ask ask;
	struct ipc_packet *request;
};

static void reply_fail(struct ipc_packet *p, enum fail_code code, const char *text)
{
	struct fail why = FAIL_INIT;
	(void)fail_set(&why, code, text, "%s", text);
	(void)ipc_reply_fail(p, &why);
}

static void forwarded(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct forward *f = CONTAINER_OF(a, struct forward, ask);
	struct msg_admin_reply m;
	if (r == 0 && msg_admin_reply_read(p, &m) == 0)
		(void)ipc_reply(f->request, IPC_ADMIN_REPLY, &m);
	else
		(void)ipc_reply_fail(f->request, why);
	ipc_packet_free(p);
	ipc_packet_free(f->request);
	free(f);
}

static void forward_to(struct child *c, struct ipc_packet *p, const struct msg_admin *m)
{
	struct forward *f = xcalloc(1, sizeof *f);
	f->ask.done = forwarded;
	f->request = p;
	struct ipc_question q = {
		.type = IPC_ADMIN, .msg = m, .want = IPC_ADMIN_REPLY, .trace = ipc_packet_trace(p)};
	ipc_ask(c->control, &q, &f->ask);
}

/* --- what master knows
 * ------------------------------------------------------------------------------------ */

static void status(struct master *m, struct ipc_packet *p)
{
	static const char *const names[] = {"role",    "index", "pid",	      "state",	 "restarts",
					    "version", "build", "generation", "sandbox", "note"};
	struct table *t = table_new(names, ARRAY_LEN(names));
	table_cell(t, "master");
	table_cell(t, "0");
	table_cell(t, "%d", (int)getpid());
	table_cell(t, "ready");
	table_cell(t, "0");
	table_cell(t, "%s", BARID_VERSION);
	table_cell(t, "%.8s", role_build_id());
	table_cell(t, "%llu", (unsigned long long)m->generation);
	table_cell(t, "parses nothing from outside");
	table_cell(t, "%s", "");
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (c->state == CHILD_SPARE)
			continue;
		table_cell(t, "%s", c->kind->name);
		table_cell(t, "%u", c->index);
		table_cell(t, "%d", (int)c->pid);
		table_cell(t, "%s", c->draining ? "draining" : child_state_name(c->state));
		table_cell(t, "%u", c->restarts);
		table_cell(t, "%s", c->version);
		table_cell(t, "%.8s", c->build);
		table_cell(t, "%llu", (unsigned long long)c->generation);
		table_cell(t, "%s", c->sandbox);
		table_cell(t, "%s", c->note);
	}
	table_reply(p, t);
}

/* What runs, for `barid check`. */
static void running_conf(struct master *m, struct ipc_packet *p)
{
	static const char *const names[] = {"setting", "value"};
	struct table *t = table_new(names, ARRAY_LEN(names));
	for (size_t i = 0; i < conf_settings_n; i++) {
		AUTO(buf) struct buf value = BUF_INIT(MIB(1));
		char name[CONF_NAME_MAX];
		conf_show_value(m->conf, &conf_settings[i], &value);
		table_cell(t, "%.*s", STR_ARG(conf_name(&conf_settings[i], name)));
		table_cell(t, "%s", buf_c(&value));
	}
	(void)buf_addf(&t->message, "Configuration number %llu since the start.",
		       (unsigned long long)m->revision);
	table_reply(p, t);
}

/* --- counters: every role is asked, the sums are the answer
 * ------------------------------------------------------------- */

struct count {
	struct ipc_packet *request;
	size_t open; /* roles that have not answered */
	struct arena arena;
	VEC(struct msg_counter) sums;
};
struct count_ask {
	struct ipc_ask ask;
	struct count *count;
};

static void add_counter(struct count *c, const struct msg_counter *one)
{
	for (size_t i = 0; i < c->sums.n; i++)
		if (str_eq(c->sums.p[i].name, one->name)) {
			c->sums.p[i].value += one->value;
			return;
		}
	*vec_push(&c->sums) =
		(struct msg_counter){.name = arena_str(&c->arena, one->name), .value = one->value};
}

static void reply_counters(struct count *c)
{
	static const char *const names[] = {"counter", "value"};
	struct table *t = table_new(names, ARRAY_LEN(names));
	for (size_t i = 0; i < c->sums.n; i++) {
		table_cell(t, "%.*s", STR_ARG(c->sums.p[i].name));
		table_cell(t, "%llu", (unsigned long long)c->sums.p[i].value);
	}
	table_reply(c->request, t);
	ipc_packet_free(c->request);
	vec_clear(&c->sums);
	arena_clear(&c->arena);
	free(c);
}

static void counted(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct count_ask *one = CONTAINER_OF(a, struct count_ask, ask);
	struct count *c = one->count;
	struct msg_stats_reply m;
	(void)why; /* a role that is down has nothing to add */
	if (r == 0 && msg_stats_reply_read(p, &m) == 0)
		for (size_t i = 0; i < m.counters_n; i++)
			add_counter(c, &m.counters[i]);
	ipc_packet_free(p);
	free(one);
	if (--c->open == 0)
		reply_counters(c);
}

static void counters(struct master *m, struct ipc_packet *p)
{
	static const struct msg_stats nothing = {0};
	struct count *c = xcalloc(1, sizeof *c);
	c->request = p;
	c->arena = ARENA_INIT(MIB(1));
	c->open = 1; /* ours, until all are asked */
	struct ipc_question q = {
		.type = IPC_STATS, .msg = &nothing, .want = IPC_STATS_REPLY, .deadline_ms = 2000};
	for (size_t i = 0; i < m->children_n; i++) {
		if (m->children[i].state == CHILD_SPARE)
			continue;
		struct count_ask *one = xcalloc(1, sizeof *one);
		one->ask.done = counted;
		one->count = c;
		c->open++;
		ipc_ask(m->children[i].control, &q, &one->ask);
	}
	if (--c->open == 0)
		reply_counters(c);
}

static void reply_done(struct ipc_packet *p)
{
	static const struct msg_admin_reply done = {0};
	(void)ipc_reply(p, IPC_ADMIN_REPLY, &done);
}

/* upgrade EXECUTABLE LIBEXEC | upgrade status */
static void upgrade(struct master *m, struct ipc_packet *p, const struct msg_admin *a)
{
	char exe[4000], libexec[4000];
	if (a->args_n == 2 && str_eq(a->args[1].s, STR("status"))) {
		upgrade_status(m, p);
		ipc_packet_free(p);
		return;
	}
	if (a->args_n != 3 || a->args[1].s.n >= sizeof exe || a->args[2].s.n >= sizeof libexec) {
		reply_fail(p, FAIL_SYNTAX, "Usage: barid upgrade");
		ipc_packet_free(p);
		return;
	}
	(void)snprintf(exe, sizeof exe, "%.*s", STR_ARG(a->args[1].s));
	(void)snprintf(libexec, sizeof libexec, "%.*s", STR_ARG(a->args[2].s));
	upgrade_begin(m, p, exe, libexec);
}

/* What somebody else than the operator may ask: the roles look at the scope themselves. */
static void carry_out(struct master *m, struct ipc_packet *p, const struct msg_admin *a);

/* An order --as somebody: dir says first what that administrator may do. */
struct borrowed {
	struct ipc_ask ask;
	struct master *master;
	struct ipc_packet *request;
};

#define SCOPE_DOMAINS_MAX 1000

static void scope_known(struct ipc_ask *ask, int r, struct ipc_packet *p, const struct fail *why)
{
	struct borrowed *b = CONTAINER_OF(ask, struct borrowed, ask);
	static struct msg_text domains[SCOPE_DOMAINS_MAX];
	struct msg_admin_reply said;
	struct msg_admin a;
	if (r == 0)
		r = msg_admin_reply_read(p, &said);
	if (r < 0 || msg_admin_read(b->request, &a) < 0) {
		(void)ipc_reply_fail(b->request, why);
		ipc_packet_free(b->request);
	} else {
		a.scope = DIR_SCOPE_NOTHING;
		a.domains = domains;
		a.domains_n = 0;
		for (size_t i = 0; i + 1 < said.cells_n; i += 2) {
			struct str key = said.cells[i].s, value = said.cells[i + 1].s;
			if (str_eq(key, STR("scope")))
				a.scope = (uint8_t)dir_scope_kind_parse(value);
			else if (str_eq(key, STR("domain")) && a.domains_n < SCOPE_DOMAINS_MAX)
				domains[a.domains_n++].s = value;
		}
		carry_out(b->master, b->request, &a);
	}
	ipc_packet_free(p);
	free(b);
}

static void ask_scope(struct master *m, struct ipc_packet *p, const struct msg_admin *a)
{
	struct msg_text words[] = {{STR("admin")}, {STR("show")}, {a->by}};
	struct msg_admin order = {.scope = DIR_SCOPE_GLOBAL, .args = words, .args_n = 3};
	struct borrowed *b = xcalloc(1, sizeof *b);
	*b = (struct borrowed){.ask.done = scope_known, .master = m, .request = p};
	struct ipc_question q = {
		.type = IPC_ADMIN, .msg = &order, .want = IPC_ADMIN_REPLY, .deadline_ms = 5000};
	ipc_ask(master_child(m, "dir", 0)->control, &q, &b->ask);
}

static struct child *owner_of(struct master *m, struct str verb)
{
	static const char *const dir_verbs[] = {
		"domain",  "user",	"alias", "admin",      "master",       "forward", "bcc",
		"send-as", "relayhost", "route", "tls-report", "tls-policies", "guard",	  "srs"};
	if (str_eq(verb, STR("queue")))
		return master_child(m, "queue", 0);
	if (str_eq(verb, STR("clients")) || str_eq(verb, STR("policy")))
		return master_child(m, "mta", 0);
	if (str_eq(verb, STR("dns")))
		return master_child(m, "dns", 0);
	for (size_t i = 0; i < ARRAY_LEN(dir_verbs); i++)
		if (str_eq(verb, str_c(dir_verbs[i])))
			return master_child(m, "dir", 0);
	return NULL;
}

/* --- connections
 * ------------------------------------------------------------------------------------------- */

static void admin_message(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct master *m = ipc_channel_context(ch);
	struct msg_admin a;
	if (ipc_packet_type(p) == IPC_SURVEY) {
		survey(m, p);
		return;
	}
	if (ipc_packet_type(p) == IPC_TOOL_OPEN) {
		tool_open(m, p);
		return;
	}
	if (msg_admin_read(p, &a) < 0 || a.args_n == 0) {
		reply_fail(p, FAIL_SYNTAX,
			   "The server does not understand this order. Is the command of another "
			   "version? Then: barid upgrade");
		ipc_packet_free(p);
		return;
	}
	a.scope = DIR_SCOPE_GLOBAL;
	a.domains_n = 0;
	if (a.by.n)
		ask_scope(m, p, &a);
	else
		carry_out(m, p, &a);
}

static void order(struct master *m, struct ipc_packet *p, const struct msg_admin *a)
{
	struct str verb = a->args[0].s;
	struct child *owner = owner_of(m, verb);
	if (owner) {
		forward_to(owner, p, a);
		return; /* the packet lives until the answer */
	}
	if (a->scope != DIR_SCOPE_GLOBAL) {
		reply_fail(p, FAIL_PERM, "Only a global administrator may do this.");
		ipc_packet_free(p);
		return;
	}
	if (str_eq(verb, STR("counters"))) {
		counters(m, p);
		return;
	}
	if (str_eq(verb, STR("log"))) {
		admin_log(m, p, a);
		return;
	}
	if (str_eq(verb, STR("upgrade"))) {
		upgrade(m, p, a);
		return;
	}
	if (str_eq(verb, STR("reload"))) {
		reload_begin(m, p);
		return;
	}
	if (str_eq(verb, STR("status")))
		status(m, p);
	else if (str_eq(verb, STR("conf")))
		running_conf(m, p);
	else if (str_eq(verb, STR("ports")))
		ports_reply(m, p);
	else if (str_eq(verb, STR("debug")))
		admin_debug(m, p, a);
	else if (str_eq(verb, STR("stop"))) {
		reply_done(p);
		(void)kill(getpid(), SIGTERM);
	} else
		reply_fail(p, FAIL_SYNTAX, "Unknown command.");
	ipc_packet_free(p);
}

static void carry_out(struct master *m, struct ipc_packet *p, const struct msg_admin *a)
{
	role_speak(a);
	order(m, p, a);
	role_speak(NULL);
}

static void admin_down(struct ipc_channel *ch)
{
	ipc_channel_free(ch);
}

static const struct ipc_channel_ops admin_ops = {.message = admin_message, .down = admin_down};

static void admin_accept(struct loop_io *io, uint32_t events)
{
	struct master *m = CONTAINER_OF(io, struct master, admin_socket);
	struct ucred who = {0};
	socklen_t n = sizeof who;
	(void)events;
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 ||
	    (who.uid != 0 && who.uid != getuid())) {
		(void)close(fd);
		return;
	}
	ipc_channel_attach(ipc_channel_new(m->loop, "command", 0, &admin_ops, m), fd);
}

int admin_open(struct master *m, struct fail *why)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_errno(why, FAIL_IO, "cannot make the control socket");
	/* By descriptor: the folder's full name may be longer than an address allows. */
	int n = snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", m->state_fd,
			 MASTER_SOCKET);
	CHECK(n > 0 && (size_t)n < sizeof a.sun_path);
	(void)unlinkat(m->state_fd, MASTER_SOCKET, 0);
	mode_t before = umask(0177);
	int r = bind(fd, (struct sockaddr *)&a, sizeof a);
	(void)umask(before);
	if (r < 0 || listen(fd, 64) < 0)
		return fail_errno(why, FAIL_IO, "cannot bind the control socket");
	admin_serve(m, TAKE_FD(fd));
	return 0;
}

void admin_serve(struct master *m, int fd)
{
	m->admin_socket = (struct loop_io){.fd = -1, .ready = admin_accept};
	m->admin_fd = fd;
	loop_add(m->loop, &m->admin_socket, fd, EPOLLIN);
}

void admin_listen(struct master *m, bool on)
{
	loop_want(m->loop, &m->admin_socket, on ? EPOLLIN : 0);
}
