/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the milters of a session need of this process: connected sockets, which master hands out
 * (mta can make none), and places for the threads that wait for an answer. One milter that hangs
 * takes its own places, never the threads that others need.
 */
#include "roles/mta/mta.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Threads that may wait for one milter. */
#define PLACES 128u
#define GATES  (2 * MILTERS_MAX)

struct gate {
	char text[400];
	unsigned inside;
};
static struct {
	pthread_mutex_t lock;
	struct gate gates[GATES];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The gate of this milter, or the first that nobody is in. */
static struct gate *find(struct str text)
{
	struct gate *free_one = NULL;
	for (size_t i = 0; i < GATES; i++) {
		struct gate *g = &all.gates[i];
		if (g->inside && str_eq(str_c(g->text), text))
			return g;
		if (!g->inside && !free_one)
			free_one = g;
	}
	return free_one;
}

bool mta_milter_enter(void *ctx, struct str text)
{
	(void)ctx;
	pthread_mutex_lock(&all.lock);
	struct gate *g = find(text);
	bool in = g && g->inside < PLACES && text.n < sizeof g->text;
	if (in && g->inside++ == 0)
		(void)snprintf(g->text, sizeof g->text, "%.*s", STR_ARG(text));
	pthread_mutex_unlock(&all.lock);
	return in;
}

void mta_milter_leave(void *ctx, struct str text)
{
	(void)ctx;
	pthread_mutex_lock(&all.lock);
	for (size_t i = 0; i < GATES; i++)
		if (all.gates[i].inside && str_eq(str_c(all.gates[i].text), text)) {
			all.gates[i].inside--;
			break;
		}
	pthread_mutex_unlock(&all.lock);
}

int mta_milter_connect(void *ctx, struct str text, unsigned timeout_ms, int *ret_fd,
		       struct fail *why)
{
	const struct mta_session *s = ctx;
	struct msg_milter_connect m = {.milter = text, .timeout_ms = timeout_ms};
	struct ipc_question q = {.type = IPC_MILTER_CONNECT,
				 .msg = &m,
				 .want = IPC_MILTER_SOCKET,
				 .trace = s->trace,
				 .deadline_ms = timeout_ms + 1000};
	struct msg_milter_socket reply;
	struct ipc_packet *p = NULL;
	int r = ipc_call(mta.role->control, &q, &p, why);
	if (r == 0 && (msg_milter_socket_read(p, &reply) < 0 || reply.socket < 0))
		r = fail_set(why, FAIL_PEER, NULL, "bad answer of master");
	if (r == 0)
		*ret_fd = ipc_packet_take_fd(p, reply.socket);
	ipc_packet_free(p);
	return r;
}

/* --- configuration --- */

static enum milter_default default_of(const struct conf *c)
{
	enum milter_default d = MILTER_DEFAULT_TEMPFAIL;
	(void)milter_default_parse(str_c(c->milter_default_action), &d);
	return d;
}

static void make_list(struct smtp_filters *f, const struct conf_list *l, const struct conf *c)
{
	struct milter_spec *specs = l->n ? xcalloc(l->n, sizeof *specs) : NULL;
	for (size_t i = 0; i < l->n; i++)
		specs[i] = (struct milter_spec){.text = str_c(l->p[i]), .otherwise = default_of(c)};
	f->milters = specs;
	f->milters_n = l->n;
}

void mta_filters_make(struct smtp_config *smtp, const struct conf *c)
{
	struct smtp_filters *mx = &smtp->filters[SMTP_SERVICE_MX];
	struct smtp_filters *submission = &smtp->filters[SMTP_SERVICE_SUBMISSION];
	make_list(mx, &c->smtp_milters, c);
	make_list(submission, &c->submission_milters, c);
	/* What programs of this machine send goes the way of what users send. */
	struct smtp_filters *local = &smtp->filters[SMTP_SERVICE_LOCAL];
	make_list(local, &c->submission_milters, c);
	local->next = c->submission_content_filter;
	mx->next = c->smtp_content_filter;
	submission->next = c->submission_content_filter;
	smtp->milter_times =
		(struct milter_times){.connect_ms = (unsigned)c->milter_connect_timeout_ms,
				      .command_ms = (unsigned)c->milter_command_timeout_ms,
				      .content_ms = (unsigned)c->milter_content_timeout_ms,
				      .total_ms = (unsigned)c->milter_total_timeout_ms};
}

void mta_filters_clear(struct smtp_config *smtp)
{
	for (size_t i = 0; i < SMTP_SERVICES; i++)
		free(smtp->filters[i].milters);
}

/* Threads for those who wait for milters, beside those that everybody has. */
unsigned mta_filters_threads(const struct conf *c)
{
	size_t n = MAX(c->smtp_milters.n, c->submission_milters.n);
	return (unsigned)MIN(n, (size_t)4) * PLACES;
}
