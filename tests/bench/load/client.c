/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - connections, TLS and lines of the load clients.
 */
#include "base/check.h"
#include "sys/clock.h"
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 2

void client_close(struct client *c)
{
	int fd = c->io.fd;
	SSL_free(c->ssl);
	c->ssl = NULL;
	c->stage = CLIENT_OVER;
	loop_remove(c->crowd->loop, &c->io);
	(void)close(fd);
}

void client_failed(struct client *c, const char *why)
{
	struct shared *s = c->crowd->shared;
	if (atomic_load(&s->leave) || c->stage == CLIENT_OVER)
		return;
	if (atomic_fetch_add(&s->failed, 1) == 0)
		(void)snprintf(s->why, sizeof s->why, "client %u, step %u: %s", c->number, c->step, why);
	client_close(c);
}

void client_is_up(struct client *c)
{
	CHECK(!c->up);
	c->up = true;
	c->crowd->up++;
}

static void wait_for_room(const struct client *c)
{
	struct pollfd p = {.fd = c->io.fd, .events = POLLOUT};
	(void)poll(&p, 1, 10000);
}

void client_say(struct client *c, struct str text)
{
	while (text.n > 0) {
		ssize_t n = c->ssl ? SSL_write(c->ssl, text.p, (int)text.n)
				   : send(c->io.fd, text.p, text.n, MSG_NOSIGNAL);
		if (n > 0)
			text = str_skip(text, (size_t)n);
		else if (c->ssl ? SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_WRITE : errno == EAGAIN)
			wait_for_room(c);
		else {
			client_failed(c, "it could not write");
			return;
		}
	}
}

static void take(struct client *c, const char *p, size_t n)
{
	for (size_t i = 0; i < n && c->stage == CLIENT_OPEN; i++) {
		if (p[i] == '\n') {
			struct str line = {c->line, c->line_n};
			c->line_n = 0;
			c->dialogue->line(c, line);
		} else if (p[i] != '\r' && c->line_n < sizeof c->line) {
			c->line[c->line_n++] = p[i];
		}
	}
}

static void read_some(struct client *c)
{
	static char piece[KIB(16)];
	while (c->stage == CLIENT_OPEN) {
		ssize_t n = c->ssl ? SSL_read(c->ssl, piece, sizeof piece)
				   : recv(c->io.fd, piece, sizeof piece, 0);
		if (n <= 0) {
			bool later = c->ssl ? SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ
					    : n < 0 && errno == EAGAIN;
			if (!later)
				client_failed(c, "the server closed the connection");
			return;
		}
		take(c, piece, (size_t)n);
	}
}

static void shake(struct client *c)
{
	int r = SSL_connect(c->ssl);
	int e = SSL_get_error(c->ssl, r);
	if (r == 1)
		c->stage = CLIENT_OPEN;
	else if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		client_failed(c, "the TLS handshake failed");
	if (c->stage != CLIENT_OVER)
		loop_want(c->crowd->loop, &c->io, e == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN);
}

static void connected(struct client *c)
{
	int error = 0;
	socklen_t n = sizeof error;
	(void)getsockopt(c->io.fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (error) {
		client_failed(c, strerror(error));
		return;
	}
	loop_want(c->crowd->loop, &c->io, EPOLLIN);
	c->stage = c->crowd->tls ? CLIENT_SHAKING : CLIENT_OPEN;
	if (!c->crowd->tls)
		return;
	c->ssl = SSL_new(c->crowd->tls);
	CHECK(c->ssl && SSL_set_fd(c->ssl, c->io.fd) == 1);
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct client *c = CONTAINER_OF(io, struct client, io);
	(void)events;
	if (c->stage == CLIENT_CONNECTING)
		connected(c);
	if (c->stage == CLIENT_SHAKING)
		shake(c);
	if (c->stage == CLIENT_OPEN)
		read_some(c);
}

/* An address of its own, as clients of the world have: 127.1.0.1 and on. */
static int from_own_address(unsigned number)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	a.sin_addr.s_addr = htonl(0x7f010000u + number / 250 * 256 + number % 250 + 1);
	CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
	return fd;
}

static void begin(struct crowd *crowd, unsigned i)
{
	struct client *c = &crowd->clients[i];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)crowd->port)};
	CHECK(inet_pton(AF_INET, crowd->o->host, &to.sin_addr) == 1);
	*c = (struct client){.crowd = crowd, .dialogue = crowd->dialogue, .number = crowd->first + i};
	c->io.ready = ready;
	int fd = from_own_address(c->number);
	int r = connect(fd, (struct sockaddr *)&to, sizeof to);
	loop_add(crowd->loop, &c->io, fd, EPOLLOUT);
	if (r < 0 && errno != EINPROGRESS)
		client_failed(c, strerror(errno));
}

void crowd_run(struct crowd *c, void (*tick)(struct crowd *c))
{
	c->loop = loop_new();
	c->clients = xcalloc(c->n, sizeof *c->clients);
	while (!atomic_load(&c->shared->leave) && !atomic_load(&c->shared->failed)) {
		while (c->begun < c->n && c->begun - c->up < c->o->width)
			begin(c, c->begun++);
		loop_step(c->loop, TICK_MS);
		if (tick)
			tick(c);
	}
	_exit(0); /* the kernel closes thousands of connections faster than we do */
}
