/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets that clients connect to. Master makes them, or takes them over from systemd when it
 * started us with open sockets (LISTEN_FDS); edge serves them.
 *
 * An inherited socket belongs to the service that the configuration has at its address and port.
 * One that belongs nowhere would take connections that nobody serves: that is an error, except for
 * sockets that we gave to systemd ourselves before a restart with another configuration.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "sys/log.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#define BACKLOG	    1024
#define STORED_NAME "barid-listener"

/* --- why not
 * ------------------------------------------------------------------------------------------- */

/* Who usually holds the port. */
static const char *usual_holder(uint16_t port)
{
	switch (port) {
	case 25:
	case 465:
	case 587:
		return "Postfix, Exim or another barid";
	case 143:
	case 993:
		return "Dovecot, Courier or another barid";
	default:
		return "another server, perhaps another barid";
	}
}

static int explain(struct fail *why, int r, const char *service, const char *address,
		   const struct netaddr *a)
{
	unsigned port = a->port;
	struct fail cause = *why;
	if (r == -FAIL_EXISTS)
		return fail_set(why, FAIL_EXISTS, NULL,
				"cannot listen on %s for %s: another program has port %u (%s). "
				"`ss -ltnp 'sport = :%u'` as root shows which; stop it, or set "
				"listen in [%s]",
				address, service, port, usual_holder(a->port), port, service);
	if (r == -FAIL_PERM && port < 1024)
		return fail_set(why, FAIL_PERM, NULL,
				"cannot listen on %s for %s: ports below 1024 need root, the "
				"capability CAP_NET_BIND_SERVICE, or a socket unit of systemd",
				address, service);
	if (r == -FAIL_NOTFOUND)
		return fail_set(why, FAIL_NOTFOUND, NULL,
				"cannot listen on %s for %s: this machine has no such address or "
				"interface now. `ip address` shows what it has; correct listen in "
				"[%s]",
				address, service, service);
	return fail_set(why, cause.code, NULL, "cannot listen on %s for %s: %.200s", address,
			service, cause.detail);
}

/* --- inherited
 * ----------------------------------------------------------------------------------------- */

struct inherited {
	const struct systemd_fd *from;
	struct netaddr at;
	bool dual; /* an IPv6 socket that takes IPv4 too */
	bool used;
};

static int socket_option(int fd, int level, int name)
{
	int value = 0;
	socklen_t n = sizeof value;
	return getsockopt(fd, level, name, &value, &n) < 0 ? -1 : value;
}

static int look_at(const struct systemd_fd *fd, struct inherited *ret, struct fail *why)
{
	*ret = (struct inherited){.from = fd};
	if (socket_option(fd->fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
	    socket_option(fd->fd, SOL_SOCKET, SO_ACCEPTCONN) != 1 ||
	    sock_local(fd->fd, &ret->at, NULL) < 0 || ret->at.family == 0)
		return fail_set(why, FAIL_SYNTAX, NULL,
				"systemd passed descriptor %d (%s), which is no listening TCP "
				"socket: correct ListenStream= in the socket unit",
				fd->fd, fd->name);
	ret->dual =
		ret->at.family == AF_INET6 && socket_option(fd->fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
	return sock_nonblock(fd->fd, why);
}

/* [::]:25 without V6ONLY is 0.0.0.0:25 as well. */
static bool serves(const struct inherited *i, const struct netaddr *a)
{
	if (i->at.port != a->port)
		return false;
	bool other_half =
		i->dual && a->family == AF_INET && netaddr_is_any(a) && netaddr_is_any(&i->at);
	return other_half ||
	       (i->at.family == a->family && memcmp(i->at.bytes, a->bytes, sizeof a->bytes) == 0);
}

static struct inherited *find_inherited(struct inherited *all, size_t n, const struct netaddr *a)
{
	for (size_t i = 0; i < n; i++)
		if (serves(&all[i], a))
			return &all[i];
	return NULL;
}

/* Every one that no service took. */
static int refuse_unused(const struct inherited *all, size_t n, struct fail *why)
{
	AUTO(buf) struct buf names = BUF_INIT(KIB(4));
	for (size_t i = 0; i < n; i++) {
		char text[NETADDR_TEXT_MAX];
		struct str at = netaddr_text(&all[i].at, true, text);
		if (all[i].used)
			continue;
		if (strcmp(all[i].from->name, STORED_NAME) == 0) {
			log_event(LOG_INFO, "master.socket-not-needed", log_str("address", at));
			(void)close(all[i].from->fd);
			continue;
		}
		(void)buf_addf(&names, "%s%.*s (%s)", names.n ? ", " : "", STR_ARG(at),
			       all[i].from->name);
	}
	if (!names.n)
		return 0;
	return fail_set(why, FAIL_SYNTAX, NULL,
			"systemd passed sockets that no service has in its listen: %.200s. Correct "
			"the socket unit or listen",
			buf_c(&names));
}

/* --- opening
 * ------------------------------------------------------------------------------------------- */

/* A socket file of before is of a server that has ended: there is one per state folder. */
static int listen_locally(struct master *m, struct listener *l, struct fail *why)
{
	int r = sock_listen_unix(m->state_fd, l->address, BACKLOG, &l->fd, why);
	if (r < 0) {
		struct fail cause = *why;
		return fail_set(why, cause.code, NULL,
				"cannot listen on %s for %s: %.200s. Correct listen in [%s]",
				l->address, l->service, cause.detail, l->service);
	}
	return 0;
}

int listener_bind(struct master *m, struct listener *l, struct fail *why)
{
	struct netaddr a = {0};
	int r;
	if (service_find(str_c(l->service))->local)
		return listen_locally(m, l, why);
	CHECK(netaddr_parse(str_c(l->address), &a));
	r = sock_listen(&a, BACKLOG, &l->fd, why);
	if (r == -FAIL_UNSUPPORTED && a.family == AF_INET6) {
		log_event(LOG_WARN, "master.no-ipv6", log_c("address", l->address));
		return 1;
	}
	if (r < 0)
		return explain(why, r, l->service, l->address, &a);
	sock_watch_peers(l->fd);
	systemd_store(&m->systemd, l->fd, STORED_NAME);
	return 0;
}

static int open_one(struct master *m, const struct service_def *d, const char *address,
		    struct fail *why)
{
	struct listener l = {.service = d->name, .address = xstrdup(address), .fd = -1};
	int r = listener_bind(m, &l, why);
	if (r == 0)
		*vec_push(&m->listeners) = l;
	else
		free(l.address);
	return r < 0 ? r : 0;
}

static int open_service(struct master *m, const struct service_def *d, struct inherited *all,
			size_t n, struct fail *why)
{
	const struct conf_list *l = service_listen(d, m->conf);
	for (size_t i = 0; i < l->n; i++) {
		struct netaddr a;
		struct inherited *in = NULL;
		if (netaddr_parse(str_c(l->p[i]), &a))
			in = find_inherited(all, n, &a);
		if (!in) {
			int r = open_one(m, d, l->p[i], why);
			if (r < 0)
				return r;
			continue;
		}
		if (!in->used)
			*vec_push(&m->listeners) = (struct listener){.service = d->name,
								     .address = xstrdup(l->p[i]),
								     .fd = in->from->fd};
		in->used = true;
		sock_watch_peers(in->from->fd);
		log_event(LOG_INFO, "master.socket-inherited", log_c("service", d->name),
			  log_c("address", l->p[i]), log_c("name", in->from->name));
	}
	return 0;
}

int listeners_open(struct master *m, struct fail *why)
{
	size_t n = m->systemd.fds_n;
	struct inherited *all = xcalloc(n, sizeof *all);
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = look_at(&m->systemd.fds[i], &all[i], why);
	for (size_t i = 0; r == 0 && i < SERVICES; i++)
		r = open_service(m, &service_defs[i], all, n, why);
	if (r == 0)
		r = refuse_unused(all, n, why);
	free(all);
	return r;
}
