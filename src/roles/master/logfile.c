/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log file: log/barid.log in the state folder, opened here for appending and handed to every
 * role. When it is large or old, or somebody says so, it is put aside as barid.log-TIME and the
 * roles get a new one; what is old, or too much, is deleted. A role that has not heard of the new
 * file yet writes into the old one: no line is lost.
 *
 * A disk that is full or a folder that cannot be written stops nobody: the log then goes to
 * standard error alone, and this is tried again.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "roles/role/role.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include "sys/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS	    5000
#define HAND_OUT_MS 5000
#define NAME	    "barid.log"
#define ASIDE	    NAME "-"
#define ASIDE_MAX   10000u

COUNTER(rotations, "log.rotations", "log files put aside");
COUNTER(open_failures, "log.open-failures", "times that the log file could not be opened");

/* --- opening
 * ------------------------------------------------------------------------------------ */

/* People of Debian's group adm read logs. */
static void give_to_readers(int fd, mode_t mode)
{
	const struct group *adm = getuid() == 0 ? getgrnam("adm") : NULL;
	if (adm)
		(void)!fchown(fd, 0, adm->gr_gid);
	(void)fchmod(fd, adm ? mode : mode & ~077u);
}

static int open_folder(const struct master *m)
{
	if (mkdirat(m->state_fd, "log", 0700) < 0 && errno != EEXIST)
		return -1;
	int fd = openat(m->state_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		give_to_readers(fd, 0750);
	return fd;
}

/* When the first line was written; now for an empty file. */
static int64_t begun_us(int folder)
{
	char text[32] = "";
	struct tm tm = {0};
	AUTO_FD int fd = openat(folder, NAME, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 20 &&
	    strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return (int64_t)timegm(&tm) * SEC_US;
	return clock_wall().v;
}

static int open_file(struct logfile *l, struct fail *why)
{
	int fd = openat(l->folder, NAME, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			0600);
	if (fd < 0) {
		counter_add(&open_failures, 1);
		return fail_errno(why, FAIL_IO, "cannot open log/" NAME);
	}
	give_to_readers(fd, 0640);
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = fd;
	l->begun_us = begun_us(l->folder);
	return 0;
}

/* What master says is little, and belongs into the journal. */
static void log_here(const struct master *m)
{
	role_log_to(m->conf, fcntl(m->logfile.fd, F_DUPFD_CLOEXEC, 0));
	log_limit_stream(LOG_INFO);
}

/* --- handing it out
 * ------------------------------------------------------------------------------ */

struct round {
	size_t open; /* roles that have not answered */
	struct ipc_packet *request;
};
struct hand_out {
	struct ipc_ask ask;
	struct round *round;
};

static void round_release(struct round *r)
{
	static const struct msg_admin_reply done = {.text = {"The log has a new file.", 23}};
	if (--r->open > 0)
		return;
	if (r->request)
		(void)ipc_reply(r->request, IPC_ADMIN_REPLY, &done);
	ipc_packet_free(r->request);
	free(r);
}

static void handed_out(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct hand_out *h = CONTAINER_OF(a, struct hand_out, ask);
	(void)r; /* a role that died gets the file with its configuration */
	(void)why;
	ipc_packet_free(p);
	round_release(h->round);
	free(h);
}

static void hand_out(struct master *m, struct ipc_packet *request)
{
	struct msg_log_file msg = {.file = m->logfile.fd};
	struct ipc_question q = {.type = IPC_LOG_FILE,
				 .msg = &msg,
				 .want = IPC_OK,
				 .deadline_ms = HAND_OUT_MS,
				 .only_while_up = true};
	struct round *round = xcalloc(1, sizeof *round);
	round->open = 1;
	round->request = request;
	for (size_t i = 0; i < m->children_n; i++) {
		if (!m->children[i].wired)
			continue;
		struct hand_out *h = xcalloc(1, sizeof *h);
		h->ask.done = handed_out;
		h->round = round;
		round->open++;
		ipc_ask(m->children[i].control, &q, &h->ask);
	}
	log_here(m);
	round_release(round);
}

/* --- putting aside
 * ------------------------------------------------------------------------------- */

/* Is the file that we write the one of that name? Others may have moved it. */
static bool is_ours(const struct logfile *l)
{
	struct stat ours, named;
	return fstat(l->fd, &ours) == 0 &&
	       fstatat(l->folder, NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* barid.log-20261122T031500Z: names sort by time. Never over a file that is there. */
static int put_aside(const struct logfile *l, struct fail *why)
{
	char when[32], name[64];
	time_t now = (time_t)(clock_wall().v / SEC_US);
	struct tm tm;
	(void)strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	for (unsigned n = 0; n < ASIDE_MAX; n++) {
		int len = snprintf(name, sizeof name, n ? ASIDE "%s.%04u" : ASIDE "%s", when, n);
		CHECK(len > 0 && (size_t)len < sizeof name);
		if (renameat2(l->folder, NAME, l->folder, name, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return fail_errno(why, FAIL_IO, "cannot rename log/" NAME);
}

static int rotate(struct master *m, struct ipc_packet *request, struct fail *why)
{
	struct logfile *l = &m->logfile;
	int r = l->fd >= 0 && is_ours(l) ? put_aside(l, why) : 0;
	if (r == 0)
		r = open_file(l, why);
	if (r < 0)
		return r;
	counter_add(&rotations, 1);
	hand_out(m, request);
	return 0;
}

void logfile_rotate(struct master *m, struct ipc_packet *request)
{
	struct fail why = FAIL_INIT;
	int r = m->logfile.folder >= 0
			? rotate(m, request, &why)
			: fail_set(&why, FAIL_UNSUPPORTED,
				   "This server logs to standard error only (setting log_to).",
				   "no log file");
	bool told = m->logfile.complained;
	m->logfile.complained = r < 0;
	if (r == 0)
		return;
	if (!told)
		log_event(LOG_WARN, "log.not-rotated", log_fail(&why));
	if (request) {
		(void)snprintf(why.public, sizeof why.public, "%.150s",
			       why.public[0] ? why.public : why.detail);
		(void)ipc_reply_fail(request, &why);
		ipc_packet_free(request);
	}
}

/* --- deleting
 * ------------------------------------------------------------------------------------- */

static int is_aside(const struct dirent *e)
{
	return strncmp(e->d_name, ASIDE, strlen(ASIDE)) == 0;
}

static int newest_first(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*b)->d_name, (*a)->d_name);
}

static void delete_old(const struct master *m)
{
	const struct conf *c = m->conf;
	struct dirent **names = NULL;
	int n = scandirat(m->logfile.folder, ".", &names, is_aside, newest_first);
	uint64_t total = c->log_file_size;
	for (int i = 0; i < n; i++) {
		struct stat st;
		if (fstatat(m->logfile.folder, names[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			int64_t age_ms = clock_wall().v / 1000 - (int64_t)st.st_mtime * 1000;
			total += (uint64_t)st.st_size;
			if ((c->log_total_size && total > c->log_total_size) ||
			    (c->log_keep_ms && age_ms > (int64_t)c->log_keep_ms))
				(void)unlinkat(m->logfile.folder, names[i]->d_name, 0);
		}
		free(names[i]);
	}
	free((void *)names);
}

/* --- life
 * ----------------------------------------------------------------------------------------- */

static bool is_due(const struct master *m)
{
	const struct logfile *l = &m->logfile;
	const struct conf *c = m->conf;
	struct stat st;
	if (l->fd < 0)
		return true;
	if (fstat(l->fd, &st) < 0 || st.st_size == 0)
		return false;
	if (c->log_file_size && (uint64_t)st.st_size >= c->log_file_size)
		return true;
	return c->log_file_age_ms &&
	       clock_wall().v - l->begun_us >= (int64_t)c->log_file_age_ms * 1000;
}

static void tick(struct loop_timer *t)
{
	struct master *m = CONTAINER_OF(t, struct master, logfile.tick);
	if (is_due(m)) {
		logfile_rotate(m, NULL);
		delete_old(m);
	}
	loop_timer_in(m->loop, &m->logfile.tick, TICK_MS);
}

void logfile_open(struct master *m)
{
	struct fail why = FAIL_INIT;
	struct logfile *l = &m->logfile;
	if (strcmp(m->conf->log_to, "stderr") == 0)
		return;
	l->folder = open_folder(m);
	int r = l->folder < 0 ? fail_errno(&why, FAIL_IO, "cannot make or open the folder log")
			      : open_file(l, &why);
	if (r < 0)
		log_event(LOG_ERROR, "log.not-opened", log_fail(&why));
	if (l->folder < 0)
		return;
	if (l->fd >= 0)
		log_here(m);
	delete_old(m);
	l->tick.fire = tick;
	loop_timer_in(m->loop, &l->tick, TICK_MS);
}

/* --- levels
 * --------------------------------------------------------------------------------------- */

void loglevel_give(const struct child *c)
{
	if (!c->has_log_level)
		return;
	struct msg_log_level msg = {.level = str_c(log_level_name(c->log_level))};
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_LOG_LEVEL, &msg);
}

bool loglevel_set(struct master *m, struct str role, enum log_level level)
{
	bool all = str_eq(role, STR("all")), found = all;
	if (all || str_eq(role, STR("master"))) {
		log_set_level(level);
		found = true;
	}
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (!all && !str_eq(role, str_c(c->kind->name)))
			continue;
		c->has_log_level = found = true;
		c->log_level = level;
		loglevel_give(c);
	}
	return found;
}
