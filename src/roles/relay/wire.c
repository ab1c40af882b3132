/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a connection, in the clear or by TLS, each call with its deadline.
 */
#include "roles/relay/wire.h"
#include "runtime/tls/tls.h"
#include "sys/clock.h"
#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#define LOOK_MS 1000 /* a clock that tests bend is looked at so often */

/* 1 = ready, 0 = the time is over, else a code. */
int wire_wait(int fd, short events, struct mono_ns deadline, struct fail *why)
{
	for (;;) {
		int64_t left = (deadline.v - clock_mono().v + MS_NS - 1) / MS_NS;
		struct pollfd p[] = {{.fd = relay.cut_fd, .events = POLLIN},
				     {.fd = fd, .events = events}};
		int n = poll(p, ARRAY_LEN(p), (int)MAX(MIN(left, LOOK_MS), 0));
		if (n > 0 && p[0].revents) {
			(void)fail_set(why, FAIL_PEER, NULL, "this server is being stopped");
			why->saved_errno = ECANCELED;
			return -FAIL_PEER;
		}
		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return fail_errno(why, FAIL_PEER, "poll");
		if (!mono_before(clock_mono(), deadline))
			return 0;
	}
}

static int await(int fd, short events, struct mono_ns deadline, struct fail *why)
{
	int r = wire_wait(fd, events, deadline, why);
	return r == 0 ? fail_set(why, FAIL_DEADLINE, NULL, "nothing came in time") : MIN(r, 0);
}

/* What TLS waits for. */
static int await_tls(const struct link *l, int want, struct mono_ns deadline, struct fail *why)
{
	return await(l->fd, want == TLS_WANT_OUT ? POLLOUT : POLLIN, deadline, why);
}

static int read_tls(struct link *l, char *to, size_t size, struct mono_ns deadline, size_t *ret_n,
		    struct fail *why)
{
	for (;;) {
		int r = tls_stream_read(l->tls, to, size, ret_n, why);
		if (r == TLS_EOF)
			*ret_n = 0;
		if (r == TLS_OK || r == TLS_EOF || r < 0)
			return MIN(r, 0);
		r = await_tls(l, r, deadline, why);
		if (r < 0)
			return r;
	}
}

static int wire_read(void *ctx, char *to, size_t size, struct mono_ns deadline, size_t *ret_n,
		     struct fail *why)
{
	struct link *l = ctx;
	if (l->tls)
		return read_tls(l, to, size, deadline, ret_n, why);
	for (;;) {
		int r = l->blocking ? 0 : await(l->fd, POLLIN, deadline, why);
		if (r < 0)
			return r;
		ssize_t n = recv(l->fd, to, size, 0);
		if (n >= 0) {
			*ret_n = (size_t)n;
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return fail_errno(why, FAIL_PEER, "recv");
		if (l->blocking && !mono_before(clock_mono(), deadline))
			return fail_set(why, FAIL_DEADLINE, NULL, "nothing came in time");
	}
}

static int write_tls(struct link *l, struct str bytes, struct mono_ns deadline, struct fail *why)
{
	while (bytes.n > 0) {
		size_t n = 0;
		int r = tls_stream_write(l->tls, bytes, &n, why);
		if (r == TLS_OK)
			bytes = str_skip(bytes, n);
		else if (r == TLS_EOF)
			return fail_set(why, FAIL_PEER, NULL, "TLS has ended");
		else if (r > 0)
			r = await_tls(l, r, deadline, why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int wire_write(void *ctx, struct str bytes, struct mono_ns deadline, struct fail *why)
{
	struct link *l = ctx;
	if (l->tls)
		return write_tls(l, bytes, deadline, why);
	while (bytes.n > 0) {
		ssize_t n = send(l->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n > 0) {
			bytes = str_skip(bytes, (size_t)n);
			if (bytes.n > 0 && !mono_before(clock_mono(), deadline))
				return fail_set(why, FAIL_DEADLINE, NULL,
						"it was taken too slowly");
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return fail_errno(why, FAIL_PEER, "send");
		int r = await(l->fd, POLLOUT, deadline, why);
		if (r < 0)
			return r;
	}
	return 0;
}

void wire_block(struct link *l)
{
	static const struct timeval moment = {.tv_sec = LOOK_MS / 1000};
	int off = 0;
	l->blocking = setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment) == 0 &&
		      setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment) == 0 &&
		      ioctl(l->fd, FIONBIO, &off) == 0;
}

struct smtp_wire wire_of(struct link *l)
{
	return (struct smtp_wire){.ctx = l, .read = wire_read, .write = wire_write};
}

int wire_handshake(struct link *l, struct mono_ns deadline, struct fail *why)
{
	for (;;) {
		int r = tls_stream_handshake(l->tls, why);
		if (r == TLS_EOF)
			return fail_set(why, FAIL_PEER, NULL, "the connection was lost");
		if (r == TLS_OK || r < 0)
			return r;
		r = await_tls(l, r, deadline, why);
		if (r < 0)
			return r;
	}
}
