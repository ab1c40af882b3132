/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to another server: TCP, greeting, hello, TLS as it is demanded, login.
 */
#include "base/check.h"
#include "roles/relay/tls_demand.h"
#include "roles/relay/wire.h"
#include "runtime/tls/tls.h"
#include "sys/clock.h"
#include "sys/counter.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>

COUNTER(connected, "relay.connected", "connections made to other servers");
COUNTER(unreachable, "relay.unreachable",
	"hosts that could not be connected to, or had no greeting");
COUNTER(encrypted, "relay.encrypted", "connections to other servers that are encrypted");
COUNTER(resumed, "relay.resumed", "those of them that went on with an earlier TLS session");

/* ---- the life of a link ---- */

static void free_link(struct link *l)
{
	pthread_mutex_lock(&relay.lock);
	list_remove(&l->all);
	pthread_mutex_unlock(&relay.lock);
	tls_stream_free(l->tls);
	(void)close(l->fd);
	smtp_client_clear(&l->client);
	free(l);
}

void link_close(struct link *l)
{
	if (!l)
		return;
	smtp_client_quit(&l->client);
	if (l->tls)
		tls_stream_close_notify(l->tls);
	free_link(l);
}

void links_abort(void)
{
	pthread_mutex_lock(&relay.lock);
	LIST_EACH (&relay.open, it)
		(void)shutdown(CONTAINER_OF(it, struct link, all)->fd, SHUT_RDWR);
	pthread_mutex_unlock(&relay.lock);
}

static struct link *new_link(const struct link_wish *w, int fd)
{
	struct link *l = xcalloc(1, sizeof *l);
	char text[NETADDR_TEXT_MAX];
	const struct conf *c = w->conf;
	struct smtp_client_times times = {.greeting = c->relay_greeting_timeout_ms,
					  .hello = c->relay_command_timeout_ms,
					  .mail = c->relay_command_timeout_ms,
					  .rcpt = c->relay_command_timeout_ms,
					  .data_init = c->relay_data_init_timeout_ms,
					  .data_block = c->relay_data_timeout_ms,
					  .data_done = c->relay_data_done_timeout_ms};
	l->fd = fd;
	l->wire = wire_of(l);
	smtp_client_init(&l->client, &l->wire, w->hop->protocol == NEXTHOP_LMTP, &times);
	(void)snprintf(l->key, sizeof l->key, "%s", w->key);
	(void)snprintf(l->host, sizeof l->host, "%s", w->target->host);
	struct str ip = netaddr_text(&w->target->address, false, text);
	(void)snprintf(l->ip, sizeof l->ip, "%.*s", STR_ARG(ip));
	l->born = clock_mono();
	list_init(&l->idle);
	pthread_mutex_lock(&relay.lock);
	list_append(&relay.open, &l->all);
	pthread_mutex_unlock(&relay.lock);
	return l;
}

static int not_connected(const struct target *t, const char *reason, struct smtp_answer *answer)
{
	char place[NETADDR_TEXT_MAX], text[400];
	struct str where = netaddr_text(&t->address, true, place);
	(void)snprintf(text, sizeof text, "connecting to %s (%.*s): %s", t->host, STR_ARG(where),
		       reason);
	smtp_answer_own(answer, "4.4.1", str_c(text));
	counter_add(&unreachable, 1);
	return -FAIL_PEER;
}

static int tcp_connect(const struct link_wish *w, int *ret_fd, struct smtp_answer *answer)
{
	struct fail why = FAIL_INIT;
	AUTO_FD int fd = -1;
	char text[128];
	const struct netaddr *from =
		w->target->address.family == AF_INET6 ? &relay.from6 : &relay.from4;
	int r = sock_connect_from(&w->target->address, from->family ? from : NULL, &fd, &why);
	if (r < 0)
		return not_connected(w->target, strerror_r(why.saved_errno, text, sizeof text),
				     answer);
	if (r == 0) {
		struct mono_ns deadline =
			mono_add_ms(clock_mono(), w->conf->relay_connect_timeout_ms);
		r = wire_wait(fd, POLLOUT, deadline, &why);
		if (r == 0)
			return not_connected(w->target, "no answer in time", answer);
		int error = r < 0 ? why.saved_errno : sock_error(fd);
		if (error)
			return not_connected(w->target, strerror_r(error, text, sizeof text),
					     answer);
	}
	sock_nodelay(fd);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- TLS ---- */

/* TLS does not come about, or is not good enough. */
static int no_tls(struct link *l, const char *status, const char *what, const char *detail)
{
	char text[400];
	(void)snprintf(text, sizeof text, "TLS with %s: %s%s%s", l->host, what,
		       detail[0] ? ": " : "", detail);
	smtp_answer_own(&l->client.answer, status, str_c(text));
	return status[0] == '5' ? -FAIL_PERM : -FAIL_PEER;
}

static int missing(struct link *l, const struct link_wish *w, const char *what, const char *detail)
{
	const struct tls_demand *d = w->demand;
	tls_demand_report(d, w->target, "starttls-not-supported", what);
	if (d->level != TLS_MUST)
		return 0;
	return no_tls(l, d->missing_status ? d->missing_status : "4.7.4", what, detail);
}

static int start_tls(struct link *l, const struct link_wish *w, enum link_stage *ret_stage)
{
	const struct tls_demand *d = w->demand;
	struct fail why = FAIL_INIT;
	const char *reason = "";
	*ret_stage = LINK_TLS;
	char at[NETADDR_TEXT_MAX], place[RELAY_HOST_MAX + NETADDR_TEXT_MAX];
	struct str ip = netaddr_text(&w->target->address, true, at);
	(void)snprintf(place, sizeof place, "%s %.*s", w->target->host, STR_ARG(ip));
	struct tls_expect e = d->expect;
	e.place = place;
	l->tls = tls_stream_connect(relay.tls, l->fd, &e);
	int r = wire_handshake(l, mono_add_ms(clock_mono(), w->conf->relay_command_timeout_ms),
			       &why);
	if (r < 0) {
		l->client.broken = true;
		tls_demand_report(d, w->target, "validation-failure", why.detail);
		return no_tls(l, "4.7.5", "the handshake failed", why.detail);
	}
	enum tls_verdict verdict = tls_stream_verdict(l->tls, &reason);
	tls_demand_report(d, w->target, tls_demand_result(verdict), reason);
	struct str text = tls_stream_text(l->tls);
	(void)snprintf(l->tls_text, sizeof l->tls_text, "%.*s%s", STR_ARG(text),
		       verdict == TLS_GOOD ? ", verified" : "");
	if (d->level == TLS_MUST && d->expect.check != TLS_CHECK_NOTHING && verdict != TLS_GOOD) {
		*ret_stage = LINK_POLICY;
		return no_tls(l, d->missing_status ? d->missing_status : "4.7.5",
			      "its certificate is not good enough", reason);
	}
	counter_add(&encrypted, 1);
	counter_add(&resumed, tls_stream_resumed(l->tls));
	smtp_client_secured(&l->client);
	return 0;
}

/* After the first hello: to TLS, and hello again; or on in the clear. */
static int upgrade(struct link *l, const struct link_wish *w, enum link_stage *ret_stage)
{
	struct smtp_client *c = &l->client;
	if (l->tls || w->demand->level == TLS_NEVER)
		return 0;
	*ret_stage = LINK_POLICY;
	if (!(c->offers & SMTP_OFFERS_STARTTLS))
		return missing(l, w, "it is not offered", "");
	int r = smtp_client_starttls(c);
	if ((r == -FAIL_TEMP || r == -FAIL_PERM) && !c->broken)
		return missing(l, w, "it is refused", c->answer.text);
	*ret_stage = LINK_TLS;
	if (r == 0)
		r = start_tls(l, w, ret_stage);
	if (r < 0)
		return r;
	*ret_stage = LINK_HELLO;
	return smtp_client_hello(c, str_c(w->conf->hostname));
}

/* ---- all of it ---- */

/* A mail exchanger that has our name is ourselves: the message would come back. */
static bool is_loop(const struct link *l, const struct link_wish *w)
{
	return w->hop->kind == NEXTHOP_DOMAIN &&
	       str_eqi(str_c(l->client.name), str_c(w->conf->hostname));
}

static int greet(struct link *l, const struct link_wish *w, enum link_stage *ret_stage)
{
	int r = w->demand->from_start ? start_tls(l, w, ret_stage) : 0;
	if (r < 0)
		return r;
	*ret_stage = LINK_GREETING;
	r = smtp_client_greeting(&l->client);
	if (r == 0 && is_loop(l, w)) {
		*ret_stage = LINK_LOOP;
		smtp_answer_own(&l->client.answer, "5.4.6",
				STR("The host greets with this server's own name: the message "
				    "would come back for ever."));
		return -FAIL_PERM;
	}
	if (r < 0)
		return r;
	*ret_stage = LINK_HELLO;
	r = smtp_client_hello(&l->client, str_c(w->conf->hostname));
	if (r == 0)
		r = upgrade(l, w, ret_stage);
	if (r == 0 && w->user.n > 0) {
		*ret_stage = LINK_LOGIN;
		l->client.can_bind =
			l->tls && tls_stream_exporter(l->tls, l->client.binding, NULL) == 0;
		r = smtp_client_auth(&l->client, w->user, w->password);
	}
	return r;
}

int link_open(const struct link_wish *w, struct link **ret, struct smtp_answer *answer,
	      enum link_stage *ret_stage)
{
	int fd = -1;
	*ret_stage = LINK_CONNECT;
	int r = tcp_connect(w, &fd, answer);
	if (r < 0)
		return r;
	struct link *l = new_link(w, fd);
	counter_add(&connected, 1);
	r = greet(l, w, ret_stage);
	if (r < 0) {
		*answer = l->client.answer;
		counter_add(&unreachable, 1);
		link_close(l);
		return r;
	}
	(void)snprintf(l->user, sizeof l->user, "%.*s", STR_ARG(w->user));
	if (!l->tls)
		wire_block(l);
	*ret = l;
	return 0;
}
