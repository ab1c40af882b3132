/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge_testing.h - edge in a test: its peers and its clients are played by hand.      [roles, tests
 * only]
 *
 * One thread, one loop: w_step serves both ends until nothing moves.
 */
#ifndef BARID_ROLES_EDGE_EDGE_TESTING_H
#define BARID_ROLES_EDGE_EDGE_TESTING_H

#include "base/check.h"
#include "base/test.h"
#include "roles/edge/edge.h"
#include "runtime/tls/tls_testing.h"
#include "sys/clock.h"
#include "sys/fdpass.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define GOT_MAX 64

/* A role that edge talks to. */
struct fake {
	struct ipc_channel *ch; /* NULL = dead */
	struct ipc_packet *got[GOT_MAX];
	size_t n;    /* received */
	size_t seen; /* looked at by w_expect */
};

struct world {
	struct role role;
	struct fake mta, dir, user;
};
static struct world w;

static inline void fake_message(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct fake *f = ipc_channel_context(ch);
	CHECK(f->n < GOT_MAX);
	f->got[f->n++] = p;
}
static const struct ipc_channel_ops fake_ops = {.message = fake_message};

static inline void w_step(void)
{
	for (int i = 0; i < 30; i++)
		loop_step(w.role.loop, 0);
}

static inline void fake_forget(struct fake *f)
{
	for (size_t i = 0; i < f->n; i++)
		ipc_packet_free(f->got[i]);
	f->n = f->seen = 0;
}

static inline void fake_start(struct fake *f, const char *name)
{
	int fds[2];
	CHECK(fdpass_pair(fds, NULL) == 0);
	f->ch = ipc_channel_new(w.role.loop, "edge", 0, &fake_ops, f);
	ipc_channel_attach(f->ch, fds[0]);
	ipc_channel_attach(role_peer(&w.role, name, 0), fds[1]);
	w_step();
}

/* It dies: its socket closes, and what it had in hand is lost. */
static inline void fake_die(struct fake *f)
{
	fake_forget(f);
	ipc_channel_free(f->ch);
	f->ch = NULL;
	w_step();
}

static inline void w_open(const char *conf)
{
	AUTO(buf) struct buf errors = BUF_INIT(KIB(4));
	AUTO(pems) struct pems pem = make_pems("DNS:mx.example");
	struct fail why = FAIL_INIT;
	tls_init();
	w = (struct world){.role = {.ops = &edge_role_ops}};
	edge = (struct edge){0};
	w.role.loop = loop_new();
	w.role.control = ipc_channel_new(w.role.loop, "master", 0, &fake_ops, &w.mta);
	AUTO(conf) struct conf *parsed = NULL;
	CHECK(conf_parse("test", str_c(conf), &parsed, &errors) == 0);
	parsed->user_workers = 1;
	parsed->edge_workers = 1;
	CHECK(role_conf_begin(&w.role, conf_freeze(parsed), &why) == 0);
	role_make_peers(&w.role);
	struct msg_identity id = {.chain = buf_str(&pem.cert), .key = buf_str(&pem.key)};
	CHECK(edge_role_ops.certificates(&w.role, &id, 1, &errors, &why) == 0);
	CHECK(edge_role_ops.open(&w.role, &why) == 0);
	w.role.started = true;
	fake_start(&w.mta, "mta");
	fake_start(&w.dir, "dir");
	fake_start(&w.user, "user");
}

static inline void w_close(void)
{
	struct fake *all[] = {&w.mta, &w.dir, &w.user};
	w_step();
	assert_int_equal(edge.open, 0);
	for (size_t i = 0; i < 3; i++)
		fake_die(all[i]);
	for (size_t i = 0; i < w.role.peers.n; i++)
		ipc_channel_free(w.role.peers.p[i]);
	ipc_channel_free(w.role.control);
	w_step();
	vec_clear(&w.role.peers);
	map_clear(&edge.sessions);
	map_clear(&edge.per_address);
	vec_clear(&edge.listeners);
	tls_ctx_unref(edge.tls);
	struct netcidrs *const nets[] = {&edge.trusted, &edge.trusted_clients, &edge.normalise,
					 &edge.xclient, &edge.xclient_login,   &edge.id_from,
					 &edge.relay};
	for (size_t i = 0; i < ARRAY_LEN(nets); i++)
		free(nets[i]->p);
	for (size_t i = 0; i < SERVICES; i++)
		free(edge.proxies[i].p);
	conf_drop(w.role.conf);
	loop_free(w.role.loop);
}

/* --- what the roles hear and say
 * --------------------------------------------------------------------- */

/* The next message, which must be of this type; it stays the fake's. */
static inline struct ipc_packet *w_expect(struct fake *f, enum ipc_type type)
{
	w_step();
	if (f->seen == f->n)
		fail_msg("no %s came", ipc_type_name(type));
	struct ipc_packet *p = f->got[f->seen++];
	if (ipc_packet_type(p) != type)
		fail_msg("%s came instead of %s", ipc_type_name(ipc_packet_type(p)),
			 ipc_type_name(type));
	return p;
}

static inline void w_expect_nothing(struct fake *f)
{
	w_step();
	if (f->seen < f->n)
		fail_msg("%s came", ipc_type_name(ipc_packet_type(f->got[f->seen])));
}

static inline void w_done(struct fake *f, const struct msg_session_done *m)
{
	assert_int_equal(ipc_send(f->ch, (struct trace_id){0}, IPC_SESSION_DONE, m), 0);
	w_step();
}

static inline void w_out(struct fake *f, uint64_t session, struct str text)
{
	struct msg_session_out m = {.session = session, .text = text, .source = -1};
	assert_int_equal(ipc_send(f->ch, (struct trace_id){0}, IPC_SESSION_OUT, &m), 0);
	w_step();
}

/* --- clients
 * ---------------------------------------------------------------------------------------------- */

struct client {
	int fd;
	bool tls;
	struct tls_client tc;
	struct buf heard;
	bool eof;
	uint64_t session;
};

/* From an address of the test's choice. */
static inline void c_connect_from(struct client *c, enum service_kind kind, const char *from)
{
	int fds[2];
	struct netaddr addr;
	struct peer peer;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	CHECK(netaddr_parse(str_c(from), &addr));
	*c = (struct client){.fd = fds[0], .heard = BUF_INIT(MIB(4))};
	peer_from_socket(&peer, &edge, fds[1], &addr);
	c->session =
		session_begin(&edge, &edge_services[kind], fds[1], &peer, loop_now(w.role.loop))
			->id.v;
	w_step();
}

static inline void c_connect(struct client *c, enum service_kind kind)
{
	c_connect_from(c, kind, "127.0.0.1:4000");
}

/* As through the front door: a proxy may have to say first for whom it comes. */
static inline void c_knock(struct client *c, enum service_kind kind, const char *from)
{
	int fds[2];
	struct netaddr addr;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	CHECK(netaddr_parse(str_c(from), &addr));
	*c = (struct client){.fd = fds[0], .heard = BUF_INIT(MIB(4))};
	edge_knock(&edge, &edge_services[kind], fds[1], &addr);
	w_step();
}

static inline void c_shake(struct client *c)
{
	int r = -1;
	tls_client_open(&c->tc, c->fd);
	for (int i = 0; i < 50 && r == -1; i++) {
		r = tls_client_shake(&c->tc);
		w_step();
	}
	assert_int_equal(r, 1);
	c->tls = true;
}

static inline void c_say(struct client *c, struct str s)
{
	while (s.n) {
		ssize_t n =
			c->tls ? tls_client_write(&c->tc, s) : send(c->fd, s.p, s.n, MSG_NOSIGNAL);
		s = str_skip(s, n > 0 ? (size_t)n : 0);
		w_step();
	}
}
#define c_says(c, text) c_say((c), STR(text))

static inline void c_listen(struct client *c)
{
	char bytes[4096];
	for (;;) {
		w_step();
		ssize_t n = c->tls ? tls_client_read(&c->tc, bytes, sizeof bytes)
				   : recv(c->fd, bytes, sizeof bytes, 0);
		c->eof |= n == 0;
		if (n <= 0)
			return;
		CHECK(buf_add(&c->heard, str_make(bytes, (size_t)n)) == 0);
	}
}

/* Exactly this came since the last look. */
static inline void c_expect(struct client *c, const char *text)
{
	c_listen(c);
	assert_str(buf_str(&c->heard), text);
	buf_reset(&c->heard);
}

/* Something that begins like this. */
static inline void c_expect_begin(struct client *c, const char *text)
{
	c_listen(c);
	if (!str_starts(buf_str(&c->heard), str_c(text)))
		fail_msg("\"%s\" does not begin with \"%s\"", buf_c(&c->heard), text);
	buf_reset(&c->heard);
}

static inline void c_expect_end(struct client *c)
{
	c_listen(c);
	assert_true(c->eof);
}

static inline void c_leave(struct client *c)
{
	if (c->tls)
		tls_client_clear(&c->tc);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	buf_clear(&c->heard);
	w_step();
}

#endif
