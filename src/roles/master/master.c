/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/master/master.h"
#include "base/check.h"
#include "roles/master/internal.h"
#include "roles/role/role.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/proc.h"
#include "sys/rand.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define STAGE_MS 1200
#define STAGES	 4u

static const char *const edge_peers[] = {"mta", "dir", "user", "admin", NULL};
static const char *const mta_peers[] = {"dir", "scan", "queue", "dns", "user", NULL};
static const char *const queue_peers[] = {"user", "dir", "scan", "dns", "relay", NULL};
static const char *const user_peers[] = {"user", "scan", "dir", NULL};
static const char *const relay_peers[] = {"dns", "dir", NULL};
static const char *const none[] = {NULL};

/* Each connection stands once, at either end. */
const struct role_kind role_kinds[] = {
	{.name = "edge", .stop_stage = 0, .talks_to = edge_peers},
	{.name = "mta", .stop_stage = 1, .seals = true, .folder = "policy", .talks_to = mta_peers},
	{.name = "queue",
	 .stop_stage = 2,
	 .shares_blobs = true,
	 .folder = "spool",
	 .talks_to = queue_peers},
	{.name = "user",
	 .stop_stage = 3,
	 .seals = true,
	 .shares_blobs = true,
	 .folder = "store",
	 .talks_to = user_peers},
	{.name = "scan", .stop_stage = 3, .talks_to = none},
	{.name = "dir", .stop_stage = 3, .folder = "dir", .talks_to = none},
	{.name = "admin", .stop_stage = 1, .talks_to = none},
	{.name = "dns", .stop_stage = 3, .talks_to = none},
	/* New ones go here: where no user of its name exists, a role's number is its place. */
	{.name = "relay", .stop_stage = 3, .talks_to = relay_peers},
};
const size_t role_kinds_n = ARRAY_LEN(role_kinds);

static unsigned count_of(const struct conf *c, const struct role_kind *k)
{
	if (strcmp(k->name, "edge") == 0)
		return (unsigned)c->edge_workers;
	if (strcmp(k->name, "user") == 0)
		return (unsigned)c->user_workers;
	if (strcmp(k->name, "scan") == 0)
		return (unsigned)c->scan_workers;
	return 1;
}

size_t master_processes(const struct master *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->children_n; i++)
		n += m->children[i].state != CHILD_SPARE;
	return n;
}

/* Edges of several generations may live side by side. */
static unsigned places_of(const struct conf *c, const struct role_kind *k)
{
	bool edge = strcmp(k->name, "edge") == 0;
	return count_of(c, k) * (edge ? ROLE_EDGE_GENERATIONS : 1);
}

struct child *master_child(struct master *m, const char *role, unsigned index)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].index == index && strcmp(m->children[i].kind->name, role) == 0)
			return &m->children[i];
	return NULL;
}

int master_make_children(struct master *m, struct fail *why)
{
	for (size_t k = 0; k < role_kinds_n; k++)
		m->children_n += places_of(m->conf, &role_kinds[k]);
	m->children = xcalloc(m->children_n, sizeof *m->children);
	size_t at = 0;
	for (size_t k = 0; k < role_kinds_n; k++)
		for (unsigned i = 0; i < places_of(m->conf, &role_kinds[k]); i++) {
			struct child *c = &m->children[at++];
			*c = (struct child){.master = m,
					    .kind = &role_kinds[k],
					    .index = i,
					    .pidfd = -1,
					    .exe_fd = -1};
			c->ended.fd = -1;
			if (i >= count_of(m->conf, &role_kinds[k]))
				c->state = CHILD_SPARE;
			int r = child_open(c, why);
			if (r < 0)
				return r;
		}
	return 0;
}

/* --- ready and end
 * ------------------------------------------------------------------------------------ */

void master_child_ready(struct child *c)
{
	struct master *m = c->master;
	rolling_child_ready(c);
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state != CHILD_READY && m->children[i].state != CHILD_SPARE)
			return;
	notify_child(c);
	if (m->said_ready)
		return;
	m->said_ready = true;
	log_event(LOG_INFO, "master.ready",
		  log_u64("ms", (uint64_t)(clock_wall().v - m->started.v) / 1000),
		  log_u64("roles", master_processes(m)));
	notify_ready(m);
	if (m->o->say_ready) {
		(void)puts("ready");
		(void)fflush(stdout);
	}
}

static bool stage_is_over(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].kind->stop_stage == m->stop_stage &&
		    m->children[i].state != CHILD_ENDED && m->children[i].state != CHILD_SPARE)
			return false;
	return true;
}

static void tell_stage(struct master *m)
{
	static const struct msg_stop stop = {0};
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (c->kind->stop_stage != m->stop_stage)
			continue;
		if (c->state != CHILD_ENDED && c->state != CHILD_SPARE)
			(void)ipc_send(c->control, (struct trace_id){0}, IPC_STOP, &stop);
	}
	loop_timer_in(m->loop, &m->stop_deadline, STAGE_MS);
}

static void next_stages(struct master *m)
{
	while (stage_is_over(m)) {
		if (++m->stop_stage == STAGES) {
			loop_stop(m->loop);
			return;
		}
		tell_stage(m);
	}
}

void master_child_ended(struct child *c)
{
	if (c->master->stopping)
		next_stages(c->master);
}

static void stage_took_too_long(struct loop_timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, stop_deadline);
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (c->kind->stop_stage == m->stop_stage && c->pid > 0) {
			log_event(LOG_WARN, "role.kill", log_c("role", c->kind->name),
				  log_u64("index", c->index));
			(void)kill(c->pid, SIGKILL);
		}
	}
}

static void stop(struct master *m)
{
	if (m->stopping)
		return;
	m->stopping = true;
	log_event(LOG_INFO, "master.stop");
	if (!m->upgrade)
		notify_stopping(m);
	loop_remove(m->loop, &m->admin_socket);
	for (size_t i = 0; i < m->children_n; i++) { /* nobody starts any more */
		m->children[i].replacing = false;
		loop_timer_clear(m->loop, &m->children[i].restart);
		if (m->children[i].state == CHILD_DOWN)
			m->children[i].state = CHILD_ENDED;
	}
	tell_stage(m);
	next_stages(m);
}

void master_give_up(struct child *c)
{
	struct master *m = c->master;
	log_event(LOG_ERROR, "master.cannot-start", log_c("role", c->kind->name),
		  log_c("reason", c->note));
	m->exit_status = ROLE_EXIT_FORMAT;
	stop(m);
}

static void on_signal(struct loop_io *io, uint32_t events)
{
	struct master *m = CONTAINER_OF(io, struct master, signals);
	struct signalfd_siginfo info;
	(void)events;
	while (read(io->fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP)
			reload_begin(m, NULL);
		else if (info.ssi_signo == SIGUSR1)
			logfile_rotate(m, NULL);
		else if (info.ssi_signo == SIGUSR2)
			upgrade_begin(m, NULL, NULL, m->libexec);
		else
			stop(m);
	}
}

void master_watch_signals(struct master *m)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	CHECK(fd >= 0);
	(void)signal(SIGPIPE, SIG_IGN);
	m->signals = (struct loop_io){.fd = -1, .ready = on_signal};
	loop_add(m->loop, &m->signals, fd, EPOLLIN);
}

static int open_everything(struct master *m, struct fail *why)
{
	struct proc_limits limits = {.files = 0, .no_core = true};
	int r = systemd_begin(&m->systemd, why);
	if (r == 0)
		r = proc_limit(&limits, why);
	if (r == 0)
		r = master_make_children(m, why);
	if (r == 0)
		notify_begin(m);
	if (r == 0)
		r = folders_prepare(m, why);
	if (r == 0)
		logfile_open(m);
	if (r == 0)
		r = conf_begin(m, why);
	if (r == 0)
		r = listeners_open(m, why);
	if (r == 0)
		r = edges_begin(m, why);
	if (r == 0)
		r = admin_open(m, why);
	return r;
}

struct master *master_new(const struct master_options *o)
{
	struct master *m = xcalloc(1, sizeof *m);
	m->o = o;
	m->state_fd = m->lock_fd = -1;
	m->logfile.folder = m->logfile.fd = -1;
	m->started = clock_wall();
	m->systemd.notify_fd = -1;
	m->conf_fd = -1;
	m->generation = 1;
	m->stop_deadline.fire = stage_took_too_long;
	m->loop = loop_new();
	(void)snprintf(m->libexec, sizeof m->libexec, "%s", o->libexec);
	return m;
}

int master_serve(struct master *m)
{
	renewal_begin(m);
	loop_run(m->loop);
	upgrade_finish(m);
	log_event(LOG_INFO, "master.ended");
	return m->exit_status;
}

int master_run(const struct master_options *o)
{
	struct master *m = master_new(o);
	struct fail why = FAIL_INIT;
	rand_bytes(m->seal_key, sizeof m->seal_key);
	conf_fill(o->conf);
	m->conf = conf_freeze(o->conf);
	proc_set_name("barid");
	enum log_level level = LOG_INFO;
	(void)log_level_parse(str_c(o->conf->log_level), &level);
	log_open("master", 2, level);
	if (open_everything(m, &why) < 0) {
		log_event(LOG_ERROR, "master.cannot-start", log_fail(&why));
		return why.code == FAIL_UNSUPPORTED ? ROLE_EXIT_FORMAT : 1;
	}
	master_watch_signals(m);
	if (getuid() != 0)
		log_event(LOG_WARN, "master.not-root",
			  log_c("note", "all roles run as one user: their memory is separate, "
					"their files are not"));
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state != CHILD_SPARE)
			child_spawn(&m->children[i]);
	return master_serve(m);
}
