/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running configuration, and its change as a whole.
 *
 *     file and certificates read, checked; addresses bound      may refuse, nothing has changed
 *     prepare -> every role                                     each may refuse; then forget
 *     all have answered: committed                              who starts now gets the new one
 *     commit -> every role                                      who fails here is started afresh
 *
 * A role that dies on the way is no reason to refuse: its successor is given what is committed
 * then. One that was started in between gets both steps at the end.
 */
#include "base/arena.h"
#include "base/check.h"
#include "roles/master/internal.h"
#include "roles/master/table.h"
#include "service/access/access.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/fdpass.h"
#include "sys/log.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 5000
#define TEXT_MAX  CONF_BYTES_MAX

struct reload {
	struct master *m;
	struct ipc_packet *request; /* NULL after SIGHUP */
	struct conf *file;	    /* what the file says */
	struct conf *fresh;	    /* the same, but for what needs a restart */
	int fd;
	uint64_t revision;
	struct certificates certificates;
	struct relisten listen;
	struct buf notes, errors; /* lines */
	unsigned open;		  /* roles that have not answered */
	bool refused;
};

struct asked {
	struct ipc_ask ask;
	struct reload *reload;
	struct child *child;
	pid_t pid;
	uint64_t revision;
};

/* --- the first one
 * ----------------------------------------------------------------------------------------- */

static int seal_text(const struct conf *c, int *ret_fd, struct fail *why)
{
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	conf_write(c, &text);
	if (text.failed)
		return fail_set(why, FAIL_TOOBIG, NULL, "the configuration is larger than 1 MiB");
	return memfd_sealed("barid-conf", buf_str(&text), ret_fd, why);
}

/* Unless one was set by hand, which counts until the server ends. */
static void take_log_level(const struct conf *before, const struct conf *now)
{
	enum log_level level;
	if (strcmp(before->log_level, now->log_level) != 0 &&
	    log_level_parse(str_c(now->log_level), &level))
		log_set_level(level);
}

static void log_lines(enum log_level level, const char *event, struct str lines)
{
	struct str line;
	while (str_cut(&lines, '\n', &line))
		if (line.n)
			log_event(level, event, log_str("text", line));
}

int conf_begin(struct master *m, struct fail *why)
{
	AUTO(buf) struct buf notes = BUF_INIT(KIB(64));
	int r = seal_text(m->conf, &m->conf_fd, why);
	if (r == 0)
		r = certificates_read(m->conf, &m->certificates, &notes, why);
	if (r < 0)
		return r;
	log_lines(LOG_WARN, "conf.note", notes.n ? buf_str(&notes) : STR_NULL);
	m->revision = 1;
	m->since = clock_wall();
	return 0;
}

/* --- the answer
 * -----------------------------------------------------------------------------------------------
 */

static void reload_free(struct reload *r)
{
	struct master *m = r->m;
	m->reload = NULL;
	ipc_packet_free(r->request);
	conf_free(r->file);
	conf_free(r->fresh);
	certificates_clear(&r->certificates);
	relisten_forget(&r->listen);
	buf_clear(&r->notes);
	buf_clear(&r->errors);
	if (r->fd >= 0)
		(void)close(r->fd);
	free(r);
	notify_ready(m);
	if (m->reload_again && !m->stopping) {
		m->reload_again = false;
		reload_begin(m, NULL);
	}
}

/* The old one stays, and each reason stands in the log and in the answer. */
static void refuse(struct reload *r)
{
	struct str lines = buf_str(&r->errors), line;
	log_lines(LOG_ERROR, "conf.error", lines);
	log_event(LOG_ERROR, "master.reload",
		  log_c("result", "refused: the old configuration stays"));
	if (r->request) {
		static const char *const names[] = {"error"};
		struct table *t = table_new(names, 1);
		while (str_cut(&lines, '\n', &line))
			if (line.n)
				table_cell(t, "%.*s", STR_ARG(line));
		t->code = FAIL_SYNTAX;
		(void)buf_add_c(&t->message, "Nothing was changed: the server runs on with the old "
					     "configuration.");
		table_reply(r->request, t);
	}
	reload_free(r);
}

static void complain(struct reload *r, const struct fail *why)
{
	(void)buf_addf(&r->errors, "%s\n",
		       why->detail[0] ? why->detail : fail_public_default(why->code));
}

static const char *effect_of(const struct conf_setting *s)
{
	switch (s->apply) {
	case CONF_LIVE:
		return "in effect";
	case CONF_NEW:
		return "in effect for new connections";
	case CONF_RESTART:
		return "waits for a restart";
	}
	return "";
}

/* One setting that differs between what ran and what the file says. */
static void tell_change(const struct conf *before, const struct conf *file,
			const struct conf_setting *s, struct table *t)
{
	char name[CONF_NAME_MAX];
	AUTO(buf) struct buf old = BUF_INIT(TEXT_MAX), new = BUF_INIT(TEXT_MAX);
	conf_show_value(before, s, &old);
	conf_show_value(file, s, &new);
	log_event(LOG_INFO, "conf.changed", log_str("setting", conf_name(s, name)),
		  log_c("from", buf_c(&old)), log_c("to", buf_c(&new)),
		  log_c("effect", effect_of(s)));
	table_cell(t, "%.*s", STR_ARG(conf_name(s, name)));
	table_cell(t, "%s", buf_c(&old));
	table_cell(t, "%s", buf_c(&new));
	table_cell(t, "%s", effect_of(s));
}

static void tell_notes(struct table *t, struct str notes)
{
	struct str line;
	while (str_cut(&notes, '\n', &line)) {
		if (!line.n)
			continue;
		table_cell(t, "note");
		table_cell(t, "%s", "");
		table_cell(t, "%.*s", STR_ARG(line));
		table_cell(t, "%s", "look at it");
	}
}

static void tell_success(struct reload *r, const struct conf *before)
{
	static const char *const names[] = {"setting", "before", "now", "effect"};
	struct table *t = table_new(names, ARRAY_LEN(names));
	size_t changed = 0, waiting = 0;
	for (size_t i = 0; i < conf_settings_n; i++) {
		const struct conf_setting *s = &conf_settings[i];
		if (conf_same(before, r->file, s))
			continue;
		tell_change(before, r->file, s, t);
		if (s->apply == CONF_RESTART)
			waiting++;
		else
			changed++;
	}
	tell_notes(t, r->notes.n ? buf_str(&r->notes) : STR_NULL);
	log_event(LOG_INFO, "master.reload", log_c("result", "ok"),
		  log_u64("revision", r->revision), log_u64("changed", changed),
		  log_u64("waiting", waiting));
	if (!r->request) {
		table_free(t);
		return;
	}
	(void)buf_addf(&t->message,
		       "The configuration and the certificates were read again: %zu settings "
		       "changed, %zu wait for a restart.",
		       changed, waiting);
	table_reply(r->request, t);
}

/* --- commit
 * ---------------------------------------------------------------------------------------------------
 */

/* Who cannot follow is started afresh, with the configuration that counts. */
static void committed(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct asked *one = CONTAINER_OF(a, struct asked, ask);
	ipc_packet_free(p);
	if (r < 0 && one->child->pid == one->pid && one->pid > 0 && !one->child->master->stopping) {
		log_event(LOG_ERROR, "conf.role-failed", log_c("role", one->child->kind->name),
			  log_fail(why));
		(void)kill(one->pid, SIGKILL);
	}
	free(one);
}

static void send_commit(struct child *c)
{
	struct msg_commit m = {.revision = c->master->revision};
	struct ipc_question q = {.type = IPC_COMMIT,
				 .msg = &m,
				 .want = IPC_OK,
				 .only_while_up = true,
				 .deadline_ms = ANSWER_MS};
	struct asked *one = xcalloc(1, sizeof *one);
	*one = (struct asked){.ask.done = committed, .child = c, .pid = c->pid};
	ipc_ask(c->control, &q, &one->ask);
}

static struct msg_prepare prepare_message(const struct child *c, uint64_t revision, int fd,
					  const struct certificates *certificates)
{
	struct msg_prepare m = {.revision = revision, .conf = fd};
	if (strcmp(c->kind->name, "edge") == 0) {
		m.identities = certificates->ids;
		m.identities_n = certificates->n;
	}
	return m;
}

/* One that was started while the others prepared: both steps at once. */
static void catch_up(struct child *c)
{
	struct master *m = c->master;
	struct msg_prepare msg = prepare_message(c, m->revision, m->conf_fd, &m->certificates);
	(void)ipc_send(c->control, (struct trace_id){0}, IPC_PREPARE, &msg);
	c->prepared = m->revision;
}

static void commit(struct reload *r)
{
	struct master *m = r->m;
	const struct conf *before = m->conf;
	CRASH_POINT("master.reload.prepared");
	m->conf = conf_freeze(r->fresh);
	m->revision = r->revision;
	m->since = clock_wall();
	int fd = m->conf_fd;
	m->conf_fd = r->fd;
	r->fd = fd;
	struct certificates old = m->certificates;
	m->certificates = r->certificates;
	r->certificates = old;
	CRASH_POINT("master.reload.committed");
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (!c->wired)
			continue;
		if (c->prepared != m->revision)
			catch_up(c);
		send_commit(c);
		loglevel_give(c); /* one that was set by hand stays */
	}
	relisten_commit(m, &r->listen);
	take_log_level(before, m->conf);
	tell_success(r, before);
	conf_drop(before);
	reload_free(r);
}

/* --- prepare
 * ----------------------------------------------------------------------------------------------------
 */

static void forget(struct reload *r)
{
	struct msg_forget msg = {.revision = r->revision};
	for (size_t i = 0; i < r->m->children_n; i++) {
		struct child *c = &r->m->children[i];
		if (c->wired && c->prepared == r->revision)
			(void)ipc_send(c->control, (struct trace_id){0}, IPC_FORGET, &msg);
		c->prepared = 0;
	}
}

static void one_answered(struct reload *r)
{
	if (--r->open)
		return;
	if (!r->refused) {
		commit(r);
		return;
	}
	forget(r);
	refuse(r);
}

static void keep_notes(struct reload *r, struct ipc_packet *p)
{
	struct msg_prepared m;
	if (msg_prepared_read(p, &m) < 0)
		return;
	for (size_t i = 0; i < m.notes_n; i++)
		(void)buf_addf(&r->notes, "%.*s\n", STR_ARG(m.notes[i].text));
}

static void prepared(struct ipc_ask *a, int result, struct ipc_packet *p, const struct fail *why)
{
	struct asked *one = CONTAINER_OF(a, struct asked, ask);
	struct reload *r = one->reload;
	if (result == 0) {
		if (one->child->pid == one->pid)
			one->child->prepared = one->revision;
		keep_notes(r, p);
	} else if (result != -FAIL_PEER) { /* one that died has no say */
		(void)buf_addf(&r->errors, "%s: %s\n", one->child->kind->name, why->detail);
		r->refused = true;
	}
	ipc_packet_free(p);
	free(one);
	one_answered(r);
}

static void ask_all(struct reload *r)
{
	struct master *m = r->m;
	r->open = 1; /* ours, until all are asked */
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];
		if (!c->wired)
			continue;
		struct msg_prepare msg = prepare_message(c, r->revision, r->fd, &r->certificates);
		struct ipc_question q = {.type = IPC_PREPARE,
					 .msg = &msg,
					 .want = IPC_PREPARED,
					 .only_while_up = true,
					 .deadline_ms = ANSWER_MS};
		struct asked *one = xcalloc(1, sizeof *one);
		*one = (struct asked){.ask.done = prepared,
				      .reload = r,
				      .child = c,
				      .pid = c->pid,
				      .revision = r->revision};
		r->open++;
		ipc_ask(c->control, &q, &one->ask);
	}
	one_answered(r);
}

/* --- what the system says
 * ------------------------------------------------------------------------------------ */

static int read_everything(struct reload *r)
{
	struct master *m = r->m;
	struct fail why = FAIL_INIT;
	int result = conf_load(m->o->conf_path, &r->file, &r->errors);
	if (result == 0)
		result = access_check_conf(r->file, &r->errors);
	if (result < 0)
		return result;
	conf_fill(r->file);
	r->fresh = conf_copy(r->file);
	conf_keep_running(r->fresh, m->conf);
	result = certificates_read(r->fresh, &r->certificates, &r->notes, &why);
	if (result == 0)
		result = relisten_prepare(m, r->fresh, &r->listen, &why);
	if (result == 0)
		result = seal_text(r->fresh, &r->fd, &why);
	if (result < 0)
		complain(r, &why);
	return result;
}

void reload_begin(struct master *m, struct ipc_packet *request)
{
	if (m->reload && !request) {
		m->reload_again = true;
		return;
	}
	if (m->reload) {
		struct fail why = FAIL_INIT;
		(void)fail_set(&why, FAIL_BUSY, "Another reload is under way: try again.",
			       "reload under way");
		(void)ipc_reply_fail(request, &why);
		ipc_packet_free(request);
		return;
	}
	struct reload *r = m->reload = xcalloc(1, sizeof *r);
	*r = (struct reload){.m = m,
			     .request = request,
			     .fd = -1,
			     .revision = m->revision + 1,
			     .notes = BUF_INIT(KIB(64)),
			     .errors = BUF_INIT(KIB(256))};
	notify_reloading(m);
	if (read_everything(r) < 0)
		refuse(r);
	else
		ask_all(r);
}
