/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barid ports: what really listens, who reaches it, why it does, and whether anybody answers.
 */
#include "base/check.h"
#include "roles/master/internal.h"
#include "roles/master/table.h"
#include "runtime/services.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* From where an address can be reached, as far as the address itself says. */
static const char *reach_of(const struct netaddr *a)
{
	static const char *const private[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
					      "fc00::/7",   "fe80::/10",     "169.254.0.0/16"};
	struct netcidr net;
	if (netaddr_is_loopback(a))
		return "this machine";
	for (size_t i = 0; i < ARRAY_LEN(private); i++)
		if (netcidr_parse(str_c(private[i]), &net) && netcidr_has(&net, a))
			return "private network";
	return "public";
}

static bool lists_equal(const struct conf_list *a, const struct conf_list *b)
{
	bool same = a->n == b->n;
	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->p[i], b->p[i]) == 0;
	return same;
}

static bool is_default(const struct service_def *d, const struct conf *c)
{
	struct conf *plain = NULL;
	struct buf errors = BUF_INIT(KIB(4));
	bool same = false;
	if (conf_parse("default", STR(""), &plain, &errors) == 0)
		same = lists_equal(service_listen(d, c), service_listen(d, plain));
	conf_free(plain);
	buf_clear(&errors);
	return same;
}

/* Connections that are through the kernel's handshake and wait to be accepted. */
static unsigned waiting(int fd)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof info;
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 ? info.tcpi_unacked : 0;
}

static void write_state(struct table *t, const struct child *edge, int fd)
{
	unsigned n = waiting(fd);
	if (edge->state != CHILD_READY)
		table_cell(t, "waits for its process");
	else if (n)
		table_cell(t, "serving; %u waiting", n);
	else
		table_cell(t, "serving");
}

/* A UNIX socket has no port, and the number of who waits is not told. */
static void write_local_row(struct master *m, const struct service_def *d, const struct listener *l,
			    struct table *t)
{
	bool ready = master_edge(m)->state == CHILD_READY;
	table_cell(t, "-");
	table_cell(t, "%s", l->service);
	if (l->address[0] == '/')
		table_cell(t, "%s", l->address);
	else
		table_cell(t, "%s/%s", m->conf->state_dir, l->address);
	table_cell(t, "this machine");
	table_cell(t, "%s", d->what);
	table_cell(t, "listen in [%s]%s", l->service,
		   is_default(d, m->conf) ? ", the default" : "");
	table_cell(t, "%s", ready ? "serving" : "waits for its process");
}

static void write_row(struct master *m, const struct listener *l, struct table *t)
{
	const struct service_def *d = service_find(str_c(l->service));
	struct netaddr a = {0};
	char text[NETADDR_TEXT_MAX];
	if (!d || sock_local(l->fd, &a, NULL) < 0)
		return;
	if (d->local) {
		write_local_row(m, d, l, t);
		return;
	}
	const char *reach = reach_of(&a);
	bool exposed = d->internal && !netaddr_is_loopback(&a);
	table_cell(t, "%u", a.port);
	table_cell(t, "%s", l->service);
	table_cell(t, "%.*s", STR_ARG(netaddr_text(&a, false, text)));
	table_cell(t, "%s%s", reach, exposed ? " (!)" : "");
	table_cell(t, "%s", d->what);
	table_cell(t, "listen in [%s]%s", l->service,
		   is_default(d, m->conf) ? ", the default" : "");
	write_state(t, master_edge(m), l->fd);
	if (exposed)
		(void)buf_addf(&t->message,
			       "Warning: %s is meant for this machine, but %.*s can be reached "
			       "from elsewhere. Only trusted_clients are answered; set listen in "
			       "[%s] to 127.0.0.1:%u, [::1]:%u unless you need it.\n",
			       l->service, STR_ARG(netaddr_text(&a, true, text)), l->service,
			       a.port, a.port);
}

void ports_reply(struct master *m, struct ipc_packet *request)
{
	static const char *const columns[] = {"port", "service", "address", "reach",
					      "for",  "why",	 "state"};
	struct table *t = table_new(columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < m->listeners.n; i++)
		write_row(m, &m->listeners.p[i], t);
	table_reply(request, t);
}
