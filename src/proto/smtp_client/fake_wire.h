/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_wire.h - a server whose answers are known beforehand.                [proto, tests only]
 *
 * What the client reads comes from `server`, in pieces of `piece` octets; what it writes goes to
 * `client`. The end of the answers is the end of the connection, or silence.
 */
#ifndef BARID_PROTO_SMTP_CLIENT_FAKE_WIRE_H
#define BARID_PROTO_SMTP_CLIENT_FAKE_WIRE_H

#include "base/num.h"
#include "proto/smtp_client/smtp_client.h"
#include <time.h>

struct fake_wire {
	struct smtp_wire wire;
	struct str server;
	struct buf client;
	size_t piece;
	bool silent;	   /* at the end */
	unsigned slow_ms;  /* each piece takes so long */
	size_t write_most; /* octets that are taken, then the connection is lost; 0 = all */
};

static int fake_read(void *ctx, char *to, size_t size, struct mono_ns deadline, size_t *ret_n,
		     struct fail *why)
{
	struct fake_wire *f = ctx;
	size_t n = MIN(MIN(size, f->server.n), f->piece);
	struct timespec pause = {.tv_nsec = f->slow_ms * 1000000L};
	(void)deadline;
	if (f->slow_ms)
		(void)nanosleep(&pause, NULL);
	if (n == 0 && f->silent)
		return fail_set(why, FAIL_DEADLINE, NULL, "silence");
	if (n)
		memcpy(to, f->server.p, n);
	f->server = str_skip(f->server, n);
	*ret_n = n;
	return 0;
}

static int fake_write(void *ctx, struct str bytes, struct mono_ns deadline, struct fail *why)
{
	struct fake_wire *f = ctx;
	(void)deadline;
	if (f->write_most && f->client.n + bytes.n > f->write_most)
		return fail_set(why, FAIL_PEER, NULL, "lost");
	buf_add(&f->client, bytes);
	return 0;
}

static inline void fake_init(struct fake_wire *f, struct str server, size_t piece)
{
	*f = (struct fake_wire){.wire = {f, fake_read, fake_write},
				.server = server,
				.client = BUF_INIT(MIB(4)),
				.piece = piece};
}

#endif
