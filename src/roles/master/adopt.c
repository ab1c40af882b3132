/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To the next generation, seen from the one that comes: the process and its children are there,
 * the program is new.
 */
#include "base/check.h"
#include "roles/master/about.h"
#include "roles/master/handoff.h"
#include "roles/role/role.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/fdpass.h"
#include "sys/proc.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *copy_of(struct str s)
{
	char *p = xcalloc(1, s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

static int read_handoff(int fd, struct memmap *map, struct handoff *ret, struct fail *why)
{
	int r = memmap_sealed(fd, HANDOFF_MAX, map, why);
	return r < 0 ? r : handoff_read(map->bytes, ret, why);
}

static void close_on_exec(const struct handoff *h)
{
	const int fds[] = {h->state_fd, h->lock_fd, h->admin_fd};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		(void)!proc_cloexec(fds[i], true, NULL);
	for (size_t i = 0; i < h->listeners.n; i++)
		(void)!proc_cloexec(h->listeners.p[i].fd, true, NULL);
	for (size_t i = 0; i < h->children.n; i++)
		(void)!proc_cloexec(h->children.p[i].control, true, NULL);
}

/* --- taking over
 * ------------------------------------------------------------------------------------- */

static int take_conf(struct master *m, const struct handoff *h, struct fail *why)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(64)), text = BUF_INIT(CONF_BYTES_MAX);
	AUTO(conf) struct conf *c = NULL;
	if (conf_parse_known(h->conf, &c, &errors) < 0)
		return fail_set(why, FAIL_UNSUPPORTED, NULL,
				"the running configuration does not fit this build: %.300s",
				buf_c(&errors));
	m->conf = conf_freeze(c);
	m->revision = h->revision;
	m->since.v = h->since_us;
	conf_write(m->conf, &text);
	return memfd_sealed("barid-conf", buf_str(&text), &m->conf_fd, why);
}

static struct str keep(struct str s)
{
	return (struct str){copy_of(s), s.n};
}

static void take_certificates(struct master *m, const struct handoff *h)
{
	m->certificates.ids = xcalloc(h->identities.n, sizeof *m->certificates.ids);
	for (size_t i = 0; i < h->identities.n; i++)
		m->certificates.ids[m->certificates.n++] =
			(struct msg_identity){.chain = keep(h->identities.p[i].chain),
					      .key = keep(h->identities.p[i].key)};
}

static void take_listeners(struct master *m, const struct handoff *h)
{
	for (size_t i = 0; i < h->listeners.n; i++) {
		const struct handoff_listener *l = &h->listeners.p[i];
		const struct service_def *d = service_find(str_c(l->service));
		if (!d) { /* this build does not have it any more */
			(void)close(l->fd);
			continue;
		}
		*vec_push(&m->listeners) = (struct listener){
			.service = d->name, .address = xstrdup(l->address), .fd = l->fd};
	}
}

static void take_child(struct master *m, const struct handoff_child *from)
{
	struct child *c = master_child(m, from->role, from->index);
	if (!c) { /* no place for it: it ends with its control socket */
		(void)close(from->control);
		return;
	}
	(void)snprintf(c->build, sizeof c->build, "%s", from->build);
	(void)snprintf(c->version, sizeof c->version, "%s", from->version);
	(void)snprintf(c->sandbox, sizeof c->sandbox, "%s", from->sandbox);
	c->generation = from->generation;
	c->restarts = from->restarts;
	c->draining = from->draining;
	c->has_log_level = from->has_log_level;
	if (from->log_level <= LOG_DEBUG)
		c->log_level = (enum log_level)from->log_level;
	child_adopt(c, (pid_t)from->pid, from->control, &from->numbers);
}

static bool has_child(const struct handoff *h, const struct child *c)
{
	for (size_t i = 0; i < h->children.n; i++)
		if (h->children.p[i].index == c->index && child_is(c, h->children.p[i].role))
			return true;
	return false;
}

/* Edge 0 may be an empty place, and another one serve. */
static void take_children(struct master *m, const struct handoff *h)
{
	bool any_edge = false;
	for (size_t i = 0; i < h->children.n; i++)
		any_edge |= strcmp(h->children.p[i].role, "edge") == 0;
	for (size_t i = 0; i < m->children_n; i++)
		if (any_edge && child_is(&m->children[i], "edge"))
			m->children[i].state = CHILD_SPARE;
	for (size_t i = 0; i < h->children.n; i++)
		take_child(m, &h->children.p[i]);
	for (size_t i = 0; i < m->children_n; i++)
		if (!has_child(h, &m->children[i]) && m->children[i].state != CHILD_SPARE)
			child_spawn(&m->children[i]);
}

static int take_over(struct master *m, const struct handoff *h, struct fail *why)
{
	m->generation = h->generation + 1;
	m->started.v = h->started_us;
	m->state_fd = h->state_fd;
	m->lock_fd = h->lock_fd;
	m->blob_gid = h->blob_gid;
	m->said_ready = h->children.n > 0;
	memcpy(m->seal_key, h->seal_key, sizeof m->seal_key);
	clock_bend_us(h->bent_us);
	int r = take_conf(m, h, why);
	if (r == 0)
		r = systemd_begin(&m->systemd, why);
	if (r == 0)
		r = master_make_children(m, why);
	if (r == 0) /* a board of its own: what old edges count, they count on theirs */
		r = edges_begin(m, why);
	if (r < 0)
		return r;
	if (h->tickets.n == sizeof m->tickets)
		memcpy(m->tickets, h->tickets.p, sizeof m->tickets);
	notify_begin(m);
	logfile_open(m);
	take_certificates(m, h);
	take_listeners(m, h);
	admin_serve(m, h->admin_fd);
	return 0;
}

static const struct master_options *options_of(const struct handoff *h)
{
	static struct master_options o;
	o = (struct master_options){.conf_path = copy_of(h->conf_path),
				    .libexec = copy_of(h->libexec),
				    .say_ready = h->say_ready};
	return &o;
}

int master_adopt(int fd)
{
	struct fail why = FAIL_INIT;
	AUTO(memmap) struct memmap map = {0};
	AUTO(handoff) struct handoff h = HANDOFF_INIT;
	proc_set_name("barid");
	log_open("master", 2, LOG_INFO);
	if (read_handoff(fd, &map, &h, &why) < 0) {
		log_event(LOG_ERROR, "upgrade.failed", log_fail(&why));
		return 1;
	}
	close_on_exec(&h);
	struct master *m = master_new(options_of(&h));
	master_watch_signals(m);
	if (take_over(m, &h, &why) < 0) {
		log_event(LOG_ERROR, "upgrade.failed", log_fail(&why));
		return 1;
	}
	(void)close(fd);
#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
	/* The control socket cannot be faster than what it would stop. */
	if (getenv("BARID_UPGRADE_CRASH"))
		(void)crash_arm(getenv("BARID_UPGRADE_CRASH"), 1);
#endif
	CRASH_POINT("master.upgrade.adopted");
	log_event(LOG_INFO, "upgrade.took-over", log_u64("generation", m->generation),
		  log_c("build", role_build_id()), log_str("from", h.build),
		  log_u64("processes", h.children.n));
	take_children(m, &h);
	if (h.children.n)
		rolling_begin(m);
	return master_serve(m);
}

/* --- would it work?
 * ----------------------------------------------------------------------------------- */

static int check_conf(const struct handoff *h, struct buf *errors)
{
	AUTO(conf) struct conf *running = NULL, *file = NULL;
	char *path = copy_of(h->conf_path);
	int r = conf_parse_known(h->conf, &running, errors);
	if (r == 0)
		r = conf_load(path, &file, errors);
	free(path);
	return r;
}

int master_self_check(int fd, const char *libexec)
{
	struct fail why = FAIL_INIT;
	AUTO(memmap) struct memmap map = {0};
	AUTO(handoff) struct handoff h = HANDOFF_INIT;
	AUTO(buf) struct buf about = BUF_INIT(KIB(64)), errors = BUF_INIT(KIB(64));
	bool rolling = false;
	int r = read_handoff(fd, &map, &h, &why);
	if (r == 0)
		r = about_of_build(libexec, &about, &why);
	if (r == 0)
		r = about_judge(h.about, buf_str(&about), &rolling, &why);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", why.detail);
		return 1;
	}
	if (check_conf(&h, &errors) < 0) {
		(void)fputs(buf_c(&errors), stderr);
		return 1;
	}
	(void)printf("%s%s\n", buf_c(&about), rolling ? "rolling" : "restart");
	return fflush(stdout) == 0 ? 0 : 1;
}
