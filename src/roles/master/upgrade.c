/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To the next generation, seen from the one that goes.
 *
 *     check    the new program is started beside us with what we would leave to it: can it read
 *              that, the configuration and the data? When not, nothing has happened.
 *     quiet    no order of ours is under way at a role, so that no answer gets lost
 *     exec     the same process goes on as the new program (adopt.c)
 *
 * When the two builds understand each other's messages and sealed sessions, the new master takes
 * the roles over as they are and replaces them one at a time (rolling.c). When not, no role of one
 * build may meet one of the other: clients are sent away as at a stop, the roles end in order, and
 * the new master finds nobody. The listening sockets stay open in both cases: who connects
 * meanwhile waits in the kernel's queue.
 */
#include "base/check.h"
#include "roles/master/about.h"
#include "roles/master/handoff.h"
#include "roles/master/table.h"
#include "roles/role/role.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/fdpass.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_MS 20000
#define QUIET_MS 5000
#define LOOK_MS	 10
#define LEAVE_MS                                                                                   \
	10000 /* for clients to be sent away, when the builds do not understand each other */

struct upgrade {
	struct master *m;
	struct ipc_packet *request; /* NULL: SIGUSR2, or answered already */
	char exe[4000], libexec[4000];
	struct loop_io output;
	struct buf said;
	pid_t checker;
	struct loop_timer timer;
	struct mono_ns until;
	bool rolling;
};

/* --- what is left
 * ------------------------------------------------------------------------------------------- */

static void describe_child(const struct child *c, struct handoff *h)
{
	struct handoff_child *one = vec_push(&h->children);
	(void)snprintf(one->role, sizeof one->role, "%s", c->kind->name);
	(void)snprintf(one->build, sizeof one->build, "%s", c->build);
	(void)snprintf(one->version, sizeof one->version, "%s", c->version);
	(void)snprintf(one->sandbox, sizeof one->sandbox, "%s", c->sandbox);
	one->index = c->index;
	one->generation = (uint32_t)c->generation;
	one->restarts = c->restarts;
	one->pid = (uint32_t)c->pid;
	one->control = ipc_channel_fd(c->control);
	one->numbers = ipc_channel_numbers(c->control);
	one->draining = c->draining;
	one->has_log_level = c->has_log_level;
	one->log_level = (uint8_t)c->log_level;
}

static void describe(struct master *m, const struct upgrade *u, struct handoff *h)
{
	h->build = str_c(role_build_id());
	h->version = STR(BARID_VERSION);
	h->schema = str_c(role_schema());
	h->conf_path = str_c(m->o->conf_path);
	h->libexec = str_c(u->libexec);
	h->revision = m->revision;
	h->generation = m->generation;
	h->since_us = m->since.v;
	h->started_us = m->started.v;
	h->bent_us = clock_bent_us();
	memcpy(h->seal_key, m->seal_key, sizeof h->seal_key);
	h->tickets = (struct str){(const char *)m->tickets, sizeof m->tickets};
	h->blob_gid = m->blob_gid;
	h->state_fd = m->state_fd;
	h->lock_fd = m->lock_fd;
	h->admin_fd = m->admin_fd;
	h->say_ready = m->o->say_ready;
	for (size_t i = 0; i < m->listeners.n; i++) {
		struct handoff_listener *l = vec_push(&h->listeners);
		(void)snprintf(l->service, sizeof l->service, "%s", m->listeners.p[i].service);
		(void)snprintf(l->address, sizeof l->address, "%s", m->listeners.p[i].address);
		l->fd = m->listeners.p[i].fd;
	}
	for (size_t i = 0; i < m->certificates.n; i++)
		*vec_push(&h->identities) = m->certificates.ids[i];
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].pid > 0)
			describe_child(&m->children[i], h);
}

/* What the running roles are: their executables are open, whatever is installed now. */
static int running_about(struct master *m, struct buf *out, struct fail *why)
{
	int r = 0;
	for (size_t k = 0; k < role_kinds_n && r == 0; k++)
		r = about_read(master_child(m, role_kinds[k].name, 0)->exe_fd, out, why);
	return r;
}

static int leave(struct master *m, const struct upgrade *u, int *ret_fd, struct fail *why)
{
	AUTO(handoff) struct handoff h = HANDOFF_INIT;
	AUTO(buf)
	struct buf about = BUF_INIT(KIB(64)), conf = BUF_INIT(CONF_BYTES_MAX),
		   bytes = BUF_INIT(HANDOFF_MAX);
	int r = running_about(m, &about, why);
	if (r < 0)
		return r;
	conf_write(m->conf, &conf);
	describe(m, u, &h);
	h.about = buf_str(&about);
	h.conf = buf_str(&conf);
	handoff_write(&h, &bytes);
	r = bytes.failed ? fail_set(why, FAIL_TOOBIG, NULL, "there is too much to hand over")
			 : memfd_sealed("barid-handoff", buf_str(&bytes), ret_fd, why);
	if (bytes.p)
		explicit_bzero(bytes.p, bytes.n);
	return r;
}

/* --- the end of it, one way or the other
 * -------------------------------------------------------------------- */

static void upgrade_free(struct upgrade *u)
{
	u->m->upgrade = NULL;
	loop_timer_clear(u->m->loop, &u->timer);
	if (u->output.fd >= 0) {
		int fd = u->output.fd;
		loop_remove(u->m->loop, &u->output);
		(void)close(fd);
	}
	ipc_packet_free(u->request);
	buf_clear(&u->said);
	free(u);
}

/* The server runs on, untouched. */
static void refuse(struct upgrade *u, struct str reasons)
{
	struct master *m = u->m;
	struct str rest = reasons, line;
	static const char *const names[] = {"reason"};
	struct table *t = table_new(names, 1);
	while (str_cut(&rest, '\n', &line)) {
		if (!line.n)
			continue;
		log_event(LOG_ERROR, "upgrade.refused", log_str("reason", line));
		table_cell(t, "%.*s", STR_ARG(line));
	}
	(void)snprintf(m->refused, sizeof m->refused, "%.*s",
		       STR_ARG(str_sub(reasons, 0, sizeof m->refused - 1)));
	(void)buf_add_c(&t->message, "Nothing was changed: the server runs on as it was.");
	t->code = FAIL_CONFLICT;
	if (u->request)
		table_reply(u->request, t);
	else
		table_free(t);
	admin_listen(m, true);
	upgrade_free(u);
}

static void refuse_for(struct upgrade *u, const struct fail *why)
{
	refuse(u, str_c(why->detail[0] ? why->detail : fail_public_default(why->code)));
}

/* --- exec
 * ---------------------------------------------------------------------------------------------------
 */

/* Descriptors that the next image must find open. */
static void keep_open(struct master *m, int handoff, bool keep)
{
	(void)!proc_cloexec(m->state_fd, !keep, NULL);
	(void)!proc_cloexec(m->lock_fd, !keep, NULL);
	(void)!proc_cloexec(m->admin_fd, !keep, NULL);
	(void)!proc_cloexec(handoff, !keep, NULL);
	for (size_t i = 0; i < m->listeners.n; i++)
		(void)!proc_cloexec(m->listeners.p[i].fd, !keep, NULL);
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].pid > 0)
			(void)!proc_cloexec(ipc_channel_fd(m->children[i].control), !keep, NULL);
}

/* systemd's variables were taken out of the environment, so that no child believes in them. */
static void give_systemd(const struct systemd *s, bool give)
{
	struct sockaddr_un a;
	char path[sizeof a.sun_path + 1] = "", number[32];
	if (s->notify_fd < 0)
		return;
	memcpy(&a, &s->notify_to, sizeof a);
	size_t n = s->notify_len - offsetof(struct sockaddr_un, sun_path);
	memcpy(path, a.sun_path, MIN(n, sizeof a.sun_path));
	if (path[0] == '\0')
		path[0] = '@';
	if (!give) {
		(void)unsetenv("NOTIFY_SOCKET");
		(void)unsetenv("WATCHDOG_USEC");
		(void)unsetenv("WATCHDOG_PID");
		return;
	}
	(void)setenv("NOTIFY_SOCKET", path, 1);
	if (!s->watchdog_us)
		return;
	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)s->watchdog_us);
	(void)setenv("WATCHDOG_USEC", number, 1);
	(void)snprintf(number, sizeof number, "%d", (int)getpid());
	(void)setenv("WATCHDOG_PID", number, 1);
}

/* Returns only when it did not work. */
static int become_next(struct master *m, struct upgrade *u, struct fail *why)
{
	static char name[] = "barid", command[] = "adopt";
	char number[16];
	AUTO_FD int handoff = -1;
	int r = leave(m, u, &handoff, why);
	if (r < 0)
		return r;
	(void)snprintf(number, sizeof number, "%d", handoff);
	char *argv[] = {name, command, number, NULL};
	keep_open(m, handoff, true);
	give_systemd(&m->systemd, true);
	CRASH_POINT("master.upgrade.exec");
	(void)execve(u->exe, argv, environ);
	r = fail_errno(why, FAIL_IO, "cannot execute %s", u->exe);
	give_systemd(&m->systemd, false);
	keep_open(m, handoff, false);
	return r;
}

static bool roles_are_quiet(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].pid > 0 && !ipc_channel_idle(m->children[i].control))
			return false;
	return true;
}

static void answer_begun(struct upgrade *u, const char *how)
{
	struct msg_admin_reply m = {.text = str_c(how)};
	if (u->request)
		(void)ipc_reply(u->request, IPC_ADMIN_REPLY, &m);
	ipc_packet_free(TAKE(u->request));
}

static bool has_edges(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (child_is(&m->children[i], "edge") && m->children[i].pid > 0)
			return true;
	return false;
}

/* Clients are gone: the others end in stages; then exec (upgrade_finish). */
static void wait_for_clients(struct loop_timer *t)
{
	struct upgrade *u = CONTAINER_OF(t, struct upgrade, timer);
	if (has_edges(u->m)) {
		loop_timer_in(u->m->loop, t, LOOK_MS);
		return;
	}
	(void)kill(getpid(), SIGTERM); /* the one way to stop in order */
}

static void send_clients_away(struct upgrade *u)
{
	static const struct msg_drain now = {.grace_ms = 0, .deadline_ms = LEAVE_MS};
	struct master *m = u->m;
	log_event(LOG_WARN, "upgrade.restart",
		  log_c("why", "the builds do not understand each other's messages or sealed "
			       "sessions: clients are sent away, and may come back at once"));
	answer_begun(u, "The new version cannot serve the sessions of the old one: the clients are "
			"sent away and come back to the new one.");
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (!child_is(c, "edge") || c->pid <= 0)
			continue;
		c->draining = true;
		(void)ipc_send(c->control, (struct trace_id){0}, IPC_DRAIN, &now);
	}
	u->timer.fire = wait_for_clients;
	loop_timer_in(m->loop, &u->timer, LOOK_MS);
}

static void wait_for_quiet(struct loop_timer *t)
{
	struct upgrade *u = CONTAINER_OF(t, struct upgrade, timer);
	struct master *m = u->m;
	struct fail why = FAIL_INIT;
	bool quiet = roles_are_quiet(m) && !m->reload;
	if (!quiet && clock_mono().v < u->until.v) {
		loop_timer_in(m->loop, t, LOOK_MS);
		return;
	}
	if (!quiet) {
		refuse(u, STR("an order to a role is still under way: try again when it is "
			      "finished"));
		return;
	}
	CRASH_POINT("master.upgrade.quiet");
	if (!u->rolling) {
		send_clients_away(u);
		return;
	}
	answer_begun(u, "The new version takes over, one process after the other.");
	(void)become_next(m, u, &why);
	refuse_for(u, &why);
}

void upgrade_finish(struct master *m)
{
	struct fail why = FAIL_INIT;
	if (!m->upgrade)
		return;
	(void)become_next(m, m->upgrade, &why);
	log_event(LOG_ERROR, "upgrade.failed", log_fail(&why));
}

/* --- check
 * ---------------------------------------------------------------------------------------------------
 */

static void judge(struct upgrade *u, int status)
{
	struct str said = u->said.n ? buf_str(&u->said) : STR("");
	bool rolling = str_ends(said, STR("rolling\n"));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 ||
	    (!rolling && !str_ends(said, STR("restart\n")))) {
		if (!said.n)
			said = STR("the new program does not run");
		refuse(u, said);
		return;
	}
	u->rolling = rolling;
	log_event(LOG_INFO, "upgrade.checked", log_str("build", about_value(said, STR("build"))),
		  log_c("how", rolling ? "rolling" : "restart"));
	CRASH_POINT("master.upgrade.checked");
	admin_listen(u->m, false); /* who comes now is answered by the next one */
	u->until.v = clock_mono().v + QUIET_MS * MS_NS;
	u->timer.fire = wait_for_quiet;
	loop_timer_in(u->m->loop, &u->timer, 0);
}

static void check_output(struct loop_io *io, uint32_t events)
{
	struct upgrade *u = CONTAINER_OF(io, struct upgrade, output);
	char *room = buf_room(&u->said, 4096);
	ssize_t n = room ? read(io->fd, room, 4096) : 0;
	int status = 0, fd = io->fd;
	(void)events;
	if (n > 0) {
		buf_added(&u->said, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* It has closed its output: it has ended, or is about to. */
	loop_remove(u->m->loop, io);
	(void)close(fd);
	u->output.fd = -1;
	loop_timer_clear(u->m->loop, &u->timer);
	while (waitpid(u->checker, &status, 0) < 0 && errno == EINTR)
		;
	judge(u, status);
}

static void check_took_too_long(struct loop_timer *t)
{
	struct upgrade *u = CONTAINER_OF(t, struct upgrade, timer);
	(void)kill(u->checker, SIGKILL); /* its output ends */
}

NORETURN static void run_check(const struct upgrade *u, int handoff, int out)
{
	char number[16];
	static char name[] = "barid", command[] = "self-check";
	char *argv[] = {name, command, number, (char *)(uintptr_t)u->libexec, NULL};
	sigset_t none;
	(void)snprintf(number, sizeof number, "%d", handoff);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(out, STDOUT_FILENO) == STDOUT_FILENO &&
	    dup2(out, STDERR_FILENO) == STDERR_FILENO && proc_cloexec(handoff, false, NULL) == 0)
		(void)execve(u->exe, argv, environ);
	(void)dprintf(out, "cannot execute %s: %s\n", u->exe, strerror(errno));
	_exit(127);
}

static int start_check(struct upgrade *u, struct fail *why)
{
	int ends[2];
	AUTO_FD int handoff = -1;
	int r = leave(u->m, u, &handoff, why);
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(why, FAIL_LIMIT, "pipe");
	u->checker = fork();
	if (u->checker == 0)
		run_check(u, handoff, ends[1]);
	(void)close(ends[1]);
	if (u->checker < 0) {
		(void)close(ends[0]);
		return fail_errno(why, FAIL_LIMIT, "fork");
	}
	u->output.ready = check_output;
	loop_add(u->m->loop, &u->output, ends[0], EPOLLIN);
	u->timer.fire = check_took_too_long;
	loop_timer_in(u->m->loop, &u->timer, CHECK_MS);
	return 0;
}

/* --- begin
 * ---------------------------------------------------------------------------------------------------
 */

static const char *not_now(const struct master *m)
{
	if (m->upgrade || m->rolling)
		return "an upgrade is under way already: see barid upgrade --status";
	if (m->stopping)
		return "the server is about to stop";
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state != CHILD_READY && m->children[i].state != CHILD_SPARE)
			return "not every process is ready: see barid status";
	return NULL;
}

/* The program that we are; a package may have put another one in its place. */
static void own_program(char *into, size_t size)
{
	static const struct str gone = STR(" (deleted)");
	ssize_t n = readlink("/proc/self/exe", into, size - 1);
	into[MAX(n, 0)] = '\0';
	struct str path = str_c(into);
	if (str_ends(path, gone))
		into[path.n - gone.n] = '\0';
}

void upgrade_begin(struct master *m, struct ipc_packet *request, const char *exe,
		   const char *libexec)
{
	struct fail why = FAIL_INIT;
	const char *reason = not_now(m);
	if (reason) {
		log_event(LOG_ERROR, "upgrade.refused", log_c("reason", reason));
		(void)fail_set(&why, FAIL_BUSY, NULL, "%s", reason);
		(void)snprintf(why.public, sizeof why.public, "Not now: %s.", reason);
		if (request)
			(void)ipc_reply_fail(request, &why);
		ipc_packet_free(request);
		return;
	}
	struct upgrade *u = m->upgrade = xcalloc(1, sizeof *u);
	*u = (struct upgrade){
		.m = m, .request = request, .said = BUF_INIT(KIB(64)), .output.fd = -1};
	if (exe)
		(void)snprintf(u->exe, sizeof u->exe, "%s", exe);
	else
		own_program(u->exe, sizeof u->exe);
	(void)snprintf(u->libexec, sizeof u->libexec, "%s", libexec);
	m->refused[0] = '\0';
	log_event(LOG_INFO, "upgrade.begin", log_c("program", u->exe));
	if (start_check(u, &why) < 0)
		refuse_for(u, &why);
}

void upgrade_status(struct master *m, struct ipc_packet *request)
{
	static const char *const names[] = {"role",    "index",	     "state",
					    "version", "generation", "note"};
	struct table *t = table_new(names, ARRAY_LEN(names));
	size_t old = 0;
	for (size_t i = 0; i < m->children_n; i++) {
		const struct child *c = &m->children[i];
		if (c->state == CHILD_SPARE)
			continue;
		old += c->generation < m->generation && !c->draining;
		table_cell(t, "%s", c->kind->name);
		table_cell(t, "%u", c->index);
		table_cell(t, "%s", c->draining ? "draining" : child_state_name(c->state));
		table_cell(t, "%s", c->version);
		table_cell(t, "%llu", (unsigned long long)c->generation);
		table_cell(t, "%s", c->note);
	}
	if (m->refused[0])
		(void)buf_addf(&t->message, "The last upgrade was refused: %s\n", m->refused);
	const char *state = m->rolling ? "under way" : m->upgrade ? "being checked" : "finished";
	(void)buf_addf(&t->message,
		       "Generation %llu, build %.8s: %s, %zu processes of the last one.",
		       (unsigned long long)m->generation, role_build_id(), state, old);
	table_reply(request, t);
}
