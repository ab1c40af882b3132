/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other addresses while the server runs: new ones are bound before anything changes, so that an
 * address that cannot be had refuses the whole configuration. Connections of an address that goes
 * live on.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "runtime/services.h"
#include "sys/log.h"
#include "sys/sock.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Does an address that is about to go stand in the way of this one? */
static bool blocked(const struct relisten *r, const struct netaddr *a)
{
	for (size_t i = 0; i < r->removed.n; i++) {
		struct netaddr old;
		if (!netaddr_parse(str_c(r->removed.p[i].address), &old)) /* a UNIX socket */
			continue;
		if (old.family == a->family && old.port == a->port &&
		    (netaddr_same_host(&old, a) || netaddr_is_any(&old) || netaddr_is_any(a)))
			return true;
	}
	return false;
}

static bool has(const struct conf_list *wanted, const char *address)
{
	for (size_t i = 0; i < wanted->n; i++)
		if (strcmp(wanted->p[i], address) == 0)
			return true;
	return false;
}

static bool served(const struct master *m, const char *service, const char *address)
{
	for (size_t i = 0; i < m->listeners.n; i++)
		if (strcmp(m->listeners.p[i].service, service) == 0 &&
		    strcmp(m->listeners.p[i].address, address) == 0)
			return true;
	return false;
}

static void find_removed(struct master *m, const struct conf *fresh, struct relisten *r)
{
	for (size_t i = 0; i < m->listeners.n; i++) {
		const struct listener *l = &m->listeners.p[i];
		const struct service_def *d = service_find(str_c(l->service));
		if (!d || !has(service_listen(d, fresh), l->address))
			*vec_push(&r->removed) = *l;
	}
}

static int add(struct master *m, struct relisten *r, struct listener l, struct fail *why)
{
	struct netaddr a;
	bool network = netaddr_parse(str_c(l.address), &a);
	l.address = xstrdup(l.address);
	if (network && blocked(r, &a)) {
		*vec_push(&r->deferred) = l;
		return 0;
	}
	int result = listener_bind(m, &l, why);
	if (result == 0)
		*vec_push(&r->added) = l;
	else
		free(l.address);
	return result < 0 ? result : 0;
}

int relisten_prepare(struct master *m, const struct conf *fresh, struct relisten *r,
		     struct fail *why)
{
	find_removed(m, fresh, r);
	for (size_t k = 0; k < SERVICES; k++) {
		const struct conf_list *wanted = service_listen(&service_defs[k], fresh);
		for (size_t i = 0; i < wanted->n; i++) {
			struct listener l = {
				.service = service_defs[k].name, .address = wanted->p[i], .fd = -1};
			if (served(m, l.service, l.address))
				continue;
			int result = add(m, r, l, why);
			if (result < 0)
				return result;
		}
	}
	return 0;
}

/* --- taking effect
 * --------------------------------------------------------------------------------- */

static void tell_edges(struct master *m, const struct listener *l)
{
	struct msg_listener msg = {
		.service = str_c(l->service), .address = str_c(l->address), .socket = l->fd};
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].wired && !m->children[i].draining &&
		    child_is(&m->children[i], "edge"))
			(void)ipc_send(m->children[i].control, (struct trace_id){0}, IPC_LISTENER,
				       &msg);
}

static void serve(struct master *m, const struct listener *l)
{
	log_event(LOG_INFO, "master.listen", log_c("service", l->service),
		  log_c("address", l->address));
	*vec_push(&m->listeners) = *l;
	tell_edges(m, l);
}

/* Addresses that wait until every edge has closed the ones in their way. */
struct closing {
	struct master *m;
	unsigned asked; /* edges that have not answered */
	VEC(struct listener) deferred;
};
struct closing_ask {
	struct ipc_ask ask;
	struct closing *all;
};

static void all_closed(struct closing *c)
{
	for (size_t i = 0; i < c->deferred.n; i++) {
		struct fail why = FAIL_INIT;
		struct listener *l = &c->deferred.p[i];
		int r = listener_bind(c->m, l, &why);
		if (r == 0)
			serve(c->m, l);
		else
			free(l->address);
		if (r < 0)
			log_event(LOG_ERROR, "master.cannot-listen", log_fail(&why));
	}
	vec_clear(&c->deferred);
	free(c);
}

static void closed(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why)
{
	struct closing_ask *one = CONTAINER_OF(a, struct closing_ask, ask);
	struct closing *c = one->all;
	(void)r; /* one that has ended has closed everything */
	(void)why;
	ipc_packet_free(p);
	free(one);
	if (--c->asked == 0)
		all_closed(c);
}

static void ask_to_close(struct closing *c, const struct listener *l)
{
	struct msg_unlisten msg = {.service = str_c(l->service), .address = str_c(l->address)};
	struct ipc_question q = {.type = IPC_UNLISTEN,
				 .msg = &msg,
				 .want = IPC_OK,
				 .only_while_up = true,
				 .deadline_ms = 2000};
	for (size_t i = 0; i < c->m->children_n; i++) {
		struct child *child = &c->m->children[i];
		if (!child->wired || strcmp(child->kind->name, "edge") != 0)
			continue;
		struct closing_ask *one = xcalloc(1, sizeof *one);
		*one = (struct closing_ask){.ask.done = closed, .all = c};
		c->asked++;
		ipc_ask(child->control, &q, &one->ask);
	}
}

static void drop(struct master *m, const struct listener *gone)
{
	for (size_t i = 0; i < m->listeners.n; i++)
		if (m->listeners.p[i].fd == gone->fd) {
			log_event(LOG_INFO, "master.unlisten", log_c("service", gone->service),
				  log_c("address", gone->address));
			(void)close(gone->fd);
			free(gone->address);
			vec_remove(&m->listeners, i);
			return;
		}
}

void relisten_commit(struct master *m, struct relisten *r)
{
	struct closing *c = xcalloc(1, sizeof *c);
	c->m = m;
	c->asked = 1; /* ours, until all are asked */
	for (size_t i = 0; i < r->added.n; i++)
		serve(m, &r->added.p[i]);
	for (size_t i = 0; i < r->removed.n; i++) {
		ask_to_close(c, &r->removed.p[i]);
		drop(m, &r->removed.p[i]);
	}
	for (size_t i = 0; i < r->deferred.n; i++)
		*vec_push(&c->deferred) = r->deferred.p[i];
	vec_clear(&r->added);
	vec_clear(&r->removed);
	vec_clear(&r->deferred);
	if (--c->asked == 0)
		all_closed(c);
}

void relisten_forget(struct relisten *r)
{
	for (size_t i = 0; i < r->added.n; i++) {
		(void)close(r->added.p[i].fd);
		free(r->added.p[i].address);
	}
	for (size_t i = 0; i < r->deferred.n; i++)
		free(r->deferred.p[i].address);
	vec_clear(&r->added);
	vec_clear(&r->removed);
	vec_clear(&r->deferred);
}
