/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One role process: started from an executable that is opened once, so that a package upgrade
 * never mixes two builds; watched by pidfd; restarted at once, and ever more slowly when it keeps
 * ending by itself.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "roles/role/role.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/fdpass.h"
#include "sys/log.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

/* Users that no package created: numbers that no distribution hands out, so that roles are apart
 * all the same. */
#define UID_FALLBACK	61440u
#define FREE_RESTARTS	5u  /* a minute, of a role that ends by itself */
#define FREE_KILLS	60u /* a minute, of one that is killed: by people, or for lack of memory */
#define RESTART_MS_MAX	30000u
#define CANNOT_START_MS 1000
#define LOST_MS		300
#define LOST_GRACE_MS	2000

const char *child_state_name(enum child_state s)
{
	static const char *const names[] = {"down", "starting", "ready", "ended", "spare"};
	return names[s];
}

static void find_user(struct child *c)
{
	if (getuid() != 0)
		return;
	char name[32];
	struct proc_user u = {0};
	(void)snprintf(name, sizeof name, "barid-%s", c->kind->name);
	if (proc_find_user(name, &u, NULL) == 0) {
		c->uid = u.uid;
		c->gid = u.gid;
		return;
	}
	c->uid = c->gid = UID_FALLBACK + (uint32_t)(c->kind - role_kinds);
}

/* --- what a child says
 * ---------------------------------------------------------------------------------- */

/* Ends one that does what no role of ours does. */
static void condemn(struct child *c, const char *reason)
{
	log_event(LOG_ERROR, "role.broke-protocol", log_c("role", c->kind->name),
		  log_u64("index", c->index), log_c("reason", reason));
	(void)kill(c->pid, SIGKILL);
}

static void hello(struct child *c, struct ipc_packet *p)
{
	struct msg_hello m;
	if (c->wired) {
		condemn(c, "said hello again");
		return;
	}
	if (msg_hello_read(p, &m) == 0 && str_eq(m.build_id, str_c(role_build_id())) &&
	    str_eq(m.schema, str_c(role_schema()))) {
		(void)snprintf(c->build, sizeof c->build, "%.*s", STR_ARG(m.build_id));
		(void)snprintf(c->version, sizeof c->version, "%.*s", STR_ARG(m.version));
		CRASH_POINT("master.before-wiring");
		wire_child(c);
		CRASH_POINT("master.wired");
		return;
	}
	log_event(LOG_ERROR, "role.other-build", log_c("role", c->kind->name),
		  log_c("hint",
			"the executables are of different builds: install one build completely"));
	c->other_build = true;
	(void)kill(c->pid, SIGKILL);
}

/*
 * Two roles lost their connection. Mostly one of them has died and is about to be restarted; one
 * that lives on after a moment has broken the protocol, and starts afresh.
 *
 * Edge and scan, which strangers reach first, could end everybody by their word: what they say of
 * the others does not count. Where there is something to it the others say it of them.
 */
struct lost {
	struct loop_timer timer;
	struct child *peer;
	pid_t pid;
};

static bool is_exposed(const struct child *c)
{
	return child_is(c, "edge") || child_is(c, "scan");
}

static void lost_long_enough(struct loop_timer *t)
{
	struct lost *l = CONTAINER_OF(t, struct lost, timer);
	if (l->peer->pid == l->pid && !l->peer->master->stopping)
		condemn(l->peer, "lost a connection and lives");
	free(l);
}

static void lost(struct child *c, struct ipc_packet *p)
{
	struct msg_lost m;
	char name[24];
	if (msg_lost_read(p, &m) < 0)
		return;
	(void)snprintf(name, sizeof name, "%.*s", STR_ARG(m.role));
	struct child *peer = master_child(c->master, name, m.index);
	if (!peer || !wired_together(c, peer) || (is_exposed(c) && !is_exposed(peer)))
		return;
	/* The news of a death often comes when the successor has started. */
	if (peer->pid <= 0 || clock_mono().v - peer->spawned.v < LOST_GRACE_MS * MS_NS)
		return;
	struct lost *l = xcalloc(1, sizeof *l);
	*l = (struct lost){.timer.fire = lost_long_enough, .peer = peer, .pid = peer->pid};
	loop_timer_in(c->master->loop, &l->timer, LOST_MS);
}

static void note(struct child *c, struct ipc_packet *p)
{
	struct msg_note m;
	if (msg_note_read(p, &m) == 0)
		(void)snprintf(c->note, sizeof c->note, "%.*s", STR_ARG(m.text));
}

static void control_message(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct child *c = ipc_channel_context(ch);
	struct msg_ready m;
	if (ipc_packet_type(p) == IPC_HELLO) {
		hello(c, p);
	} else if (ipc_packet_type(p) == IPC_LOST) {
		lost(c, p);
	} else if (ipc_packet_type(p) == IPC_NOTE) {
		note(c, p);
	} else if (ipc_packet_type(p) == IPC_SURVEY && strcmp(c->kind->name, "admin") == 0) {
		survey(c->master, p);
		return; /* answers when it knows */
	} else if (ipc_packet_type(p) == IPC_MILTER_CONNECT && child_is(c, "mta")) {
		reach_milter(c->master, p);
		return; /* answers when it is connected */
	} else if (ipc_packet_type(p) == IPC_READY && c->state == CHILD_STARTING && c->wired &&
		   msg_ready_read(p, &m) == 0) {
		c->state = CHILD_READY;
		c->note[0] = '\0';
		(void)snprintf(c->sandbox, sizeof c->sandbox, "%.*s", STR_ARG(m.sandbox));
		CRASH_POINT("master.role-ready");
		log_event(LOG_INFO, "role.ready", log_c("role", c->kind->name),
			  log_u64("index", c->index), log_u64("pid", (uint64_t)c->pid),
			  log_c("sandbox", c->sandbox));
		ipc_packet_free(p);
		master_child_ready(c);
		return;
	}
	ipc_packet_free(p);
}

static const struct ipc_channel_ops control_ops = {.message = control_message};

int child_open(struct child *c, struct fail *why)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/barid-%s", c->master->libexec, c->kind->name);
	CHECK(n > 0 && (size_t)n < sizeof path);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Away from 3, where the child's control socket goes. */
	c->exe_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ROLE_CONTROL_FD + 1);
	if (c->exe_fd < 0)
		return fail_errno(why, FAIL_NOTFOUND,
				  "cannot open %s (is barid installed completely?)", path);
	find_user(c);
	c->control = ipc_channel_new(c->master->loop, c->kind->name, c->index, &control_ops, c);
	return 0;
}

/* --- end and restart
 * ------------------------------------------------------------------------------------ */

/* A role that somebody kills comes back at once; one that ends by itself again and again waits
 * longer. */
static unsigned restart_delay_ms(struct child *c, const struct proc_end *end)
{
	unsigned free_ends = end->by_signal && end->code == SIGKILL ? FREE_KILLS : FREE_RESTARTS;
	if (c->other_build)
		return RESTART_MS_MAX;
	struct mono_ns now = clock_mono();
	if (now.v - c->recent_since.v > 60 * SEC_NS) {
		c->recent_since = now;
		c->recent = 0;
	}
	if (++c->recent <= free_ends)
		return 0;
	unsigned doublings = MIN(c->recent - free_ends, 9u);
	return MIN(100u << doublings, RESTART_MS_MAX);
}

static void restart_now(struct loop_timer *t)
{
	child_spawn(CONTAINER_OF(t, struct child, restart));
}

static void ended(struct loop_io *io, uint32_t events)
{
	struct child *c = CONTAINER_OF(io, struct child, ended);
	struct master *m = c->master;
	struct proc_end end = {0};
	(void)events;
	if (proc_pidfd_reap(c->pidfd, &end, NULL) == 0)
		return;
	loop_remove(m->loop, io);
	(void)close(c->pidfd);
	c->pidfd = -1;
	bool meant = m->stopping || c->replacing || c->draining;
	log_event(meant ? LOG_INFO : LOG_ERROR, "role.ended", log_c("role", c->kind->name),
		  log_u64("index", c->index), log_u64("pid", (uint64_t)c->pid),
		  log_c("by", end.by_signal ? "signal" : "exit"),
		  log_u64("code", (uint64_t)end.code));
	edges_ended(m, c->pid);
	c->pid = 0;
	c->wired = false;
	CRASH_POINT("master.role-ended");
	if (m->stopping) {
		c->state = CHILD_ENDED;
		master_child_ended(c);
		return;
	}
	c->state = CHILD_DOWN;
	if (c->draining) {
		c->draining = false;
		c->state = CHILD_SPARE;
		rolling_child_ended(c);
		return;
	}
	if (c->replacing) {
		c->replacing = false;
		child_spawn(c);
		return;
	}
	if (!end.by_signal && end.code == ROLE_EXIT_FORMAT && !m->said_ready) {
		master_give_up(c);
		return;
	}
	c->restarts++;
	rolling_child_ended(c);
	notify_child(c);
	unsigned ms = restart_delay_ms(c, &end);
	if (ms == 0) {
		child_spawn(c);
		return;
	}
	log_event(LOG_ERROR, "role.restart-later", log_c("role", c->kind->name), log_u64("ms", ms));
	c->restart.fire = restart_now;
	loop_timer_in(m->loop, &c->restart, ms);
}

/* --- start
 * ---------------------------------------------------------------------------------------------- */

NORETURN static void become_role(struct child *c, int control)
{
	char index[16], name[32], parent[16];
	(void)snprintf(index, sizeof index, "%u", c->index);
	(void)snprintf(name, sizeof name, "barid-%s", c->kind->name);
	(void)snprintf(parent, sizeof parent, "%d", (int)c->master_pid);
	char *argv[] = {name, index, parent, NULL};
	sigset_t none;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(control, 3) == 3 && proc_cloexec(3, false, NULL) == 0 &&
	    proc_cloexec_from(4, NULL) == 0) {
		/* Not fexecve's /proc fallback: the descriptor itself, even where /proc is missing.
		 */
		(void)execveat(c->exe_fd, "", argv, environ, AT_EMPTY_PATH);
	}
	_exit(127);
}

static void try_later(struct child *c, const struct fail *why)
{
	log_event(LOG_ERROR, "role.cannot-start", log_c("role", c->kind->name), log_fail(why));
	c->restart.fire = restart_now;
	loop_timer_in(c->master->loop, &c->restart, CANNOT_START_MS);
}

/* Make the process; what it needs comes by its control socket, of which *ret_control is our end. */
static int fork_child(struct child *c, int *ret_control, struct fail *why)
{
	int pair[2];
	int r = fdpass_pair(pair, why);
	if (r < 0)
		return r;
	c->master_pid = getpid();
	c->pid = fork();
	if (c->pid == 0)
		become_role(c, pair[1]);
	r = c->pid < 0 ? fail_errno(why, FAIL_LIMIT, "fork") : proc_pidfd(c->pid, &c->pidfd, why);
	if (r < 0 && c->pid > 0) { /* nobody would notice its end */
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	(void)close(pair[1]);
	if (r < 0) {
		(void)close(pair[0]);
		c->pid = 0;
		return r;
	}
	*ret_control = pair[0];
	return 0;
}

void child_spawn(struct child *c)
{
	struct fail why = FAIL_INIT;
	int control = -1;
	if (fork_child(c, &control, &why) < 0) {
		try_later(c, &why);
		return;
	}
	c->other_build = false;
	c->generation = c->master->generation;
	c->state = CHILD_STARTING;
	c->spawned = clock_mono();
	c->wired = false;
	c->ended.ready = ended;
	loop_add(c->master->loop, &c->ended, c->pidfd, EPOLLIN);
	CRASH_POINT("master.spawned");
	ipc_channel_attach(c->control, control);
}

/* A process of the last generation: it lives, or has ended while nobody looked. */
void child_adopt(struct child *c, pid_t pid, int control, const struct ipc_numbers *n)
{
	struct fail why = FAIL_INIT;
	c->master_pid = getpid();
	c->pid = pid;
	c->spawned = clock_mono();
	if (proc_pidfd(pid, &c->pidfd, &why) < 0) {
		log_event(LOG_ERROR, "role.lost", log_c("role", c->kind->name), log_fail(&why));
		(void)close(control);
		c->pid = 0;
		child_spawn(c);
		return;
	}
	c->state = CHILD_READY;
	c->wired = true;
	c->ended.ready = ended;
	loop_add(c->master->loop, &c->ended, c->pidfd, EPOLLIN);
	ipc_channel_adopt(c->control, control, n);
}
