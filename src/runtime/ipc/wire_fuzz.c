/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams of a hostile peer, with descriptors and with their body in a sealed file: every type of
 * message is read from the same bytes. What was read lies within the packet and is written again to
 * the same bytes.
 */
#include "base/check.h"
#include "runtime/ipc/ipc.h"
#include "runtime/ipc/wire.h"
#include "sys/fdpass.h"
#include <fcntl.h>
#include <unistd.h>

#define FDS_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

union any {
#define MEMBER(name, NAME) struct msg_##name name;
	IPC_EACH_MESSAGE(MEMBER)
#undef MEMBER
};

static int read_as(struct ipc_packet *p, union any *m)
{
	switch ((enum ipc_type)p->head.type) {
#define READ(name, NAME)                                                                           \
	case IPC_##NAME:                                                                           \
		return msg_##name##_read(p, &m->name);
		IPC_EACH_MESSAGE(READ)
#undef READ
	case IPC_NONE:
	case IPC_TYPE_COUNT:
		break;
	}
	return -FAIL_PEER;
}

/* Descriptors as the header names them; the last one of a spilled body is its file. */
static size_t make_fds(struct ipc_head *h, struct str *body, int fds[FDS_MAX])
{
	size_t n = h->fds % (FDS_MAX + 1u);
	for (size_t i = 0; i < n; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	if ((h->flags & IPC_SPILLED) && n > 0 && h->credits % 4) {
		(void)close(fds[n - 1]);
		CHECK(memfd_sealed("fuzz", *body, &fds[n - 1], NULL) == 0);
		*body = STR_NULL;
	}
	return n;
}

static struct ipc_packet *make(struct str in)
{
	unsigned char head[IPC_HEAD_SIZE];
	struct ipc_head h = {0};
	int fds[FDS_MAX];
	AUTO(buf) struct buf datagram = BUF_INIT(KIB(64));
	if (!ipc_head_read(in, &h) && in.n < IPC_HEAD_SIZE)
		return ipc_packet_make(in, NULL, 0);
	struct str body = str_skip(in, IPC_HEAD_SIZE);
	size_t n = make_fds(&h, &body, fds);
	h.fds = (uint8_t)n;
	h.type = (uint16_t)(h.type % (IPC_TYPE_COUNT + 1u));
	ipc_head_write(&h, head);
	CHECK(buf_add(&datagram, str_make((const char *)head, sizeof head)) == 0);
	CHECK(buf_add(&datagram, body) == 0);
	return ipc_packet_make(buf_str(&datagram), fds, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union any m;
	struct ipc_out out = {.body = BUF_INIT(IPC_BODY_MAX)};
	if (size > IPC_INLINE_MAX)
		return 0;
	struct ipc_packet *p = make(str_make((const char *)data, size));
	if (!p)
		return 0;
	CHECK(p->head.type < IPC_TYPE_COUNT);
	if (read_as(p, &m) == 0) {
		ipc_kinds[p->head.type].put(&m, &out);
		CHECK(!out.body.failed && str_eq(buf_str(&out.body), p->body));
		for (size_t i = 0; i < out.nfds; i++)
			CHECK(out.fds[i] == p->fds[i] && out.fds[i] >= 0);
	}
	buf_clear(&out.body);
	ipc_packet_free(p);
	return 0;
}
