/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ipc/wire.h"
#include "base/check.h"
#include "runtime/ipc/ipc.h"
#include "sys/fdpass.h"
#include <unistd.h>

void ipc_put_str(struct ipc_out *o, struct str s, size_t max)
{
	if (s.n > max)
		o->body.failed = true;
	(void)buf_put_u32(&o->body, (uint32_t)s.n);
	(void)buf_add(&o->body, s);
}

void ipc_put_count(struct ipc_out *o, size_t n, size_t max)
{
	if (n > max)
		o->body.failed = true;
	(void)buf_put_u32(&o->body, (uint32_t)n);
}

/* A descriptor is its position among the datagram's descriptors, 255 = none. */
void ipc_put_fd(struct ipc_out *o, int fd)
{
	if (fd < 0) {
		(void)buf_put_u8(&o->body, UINT8_MAX);
		return;
	}
	if (o->nfds == IPC_FDS_MAX) {
		o->body.failed = true;
		return;
	}
	(void)buf_put_u8(&o->body, (uint8_t)o->nfds);
	o->fds[o->nfds++] = fd;
}

bool ipc_in_begin(struct ipc_in *in, struct ipc_packet *p, enum ipc_type type)
{
	if (p->head.type != type)
		return false;
	*in = (struct ipc_in){.c = cursor_of(p->body), .p = p};
	return true;
}

int ipc_in_end(struct ipc_in *in)
{
	return in->c.bad || cursor_left(&in->c) ? -FAIL_PEER : 0;
}

bool ipc_get_bool(struct ipc_in *in)
{
	uint8_t v = cursor_u8(&in->c);
	if (v > 1)
		in->c.bad = true;
	return v == 1;
}

struct str ipc_get_str(struct ipc_in *in, size_t max)
{
	uint32_t n = cursor_u32(&in->c);
	if (n > max)
		in->c.bad = true;
	struct str s = cursor_bytes(&in->c, in->c.bad ? 0 : n);
	return in->c.bad ? STR_NULL : s;
}

int ipc_get_fd(struct ipc_in *in)
{
	uint8_t at = cursor_u8(&in->c);
	if (at == UINT8_MAX || in->c.bad)
		return -1;
	if (at != in->next_fd || at >= IPC_FDS_MAX || in->p->fds[at] < 0) {
		in->c.bad = true;
		return -1;
	}
	in->next_fd++;
	return in->p->fds[at];
}

void *ipc_get_list(struct ipc_in *in, size_t max, size_t size, size_t *ret_n)
{
	uint32_t n = cursor_u32(&in->c);
	*ret_n = 0;
	/* Every element takes at least one byte, so a count beyond the rest is a lie. */
	if (in->c.bad || n > max || n > cursor_left(&in->c)) {
		in->c.bad = true;
		return NULL;
	}
	void *p = arena_alloc_array(&in->p->arena, n, size);
	if (!p) {
		in->c.bad = true;
		return NULL;
	}
	*ret_n = n;
	return p;
}

static void put_le(unsigned char *p, uint64_t v, size_t width)
{
	for (size_t i = 0; i < width; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

void ipc_head_write(const struct ipc_head *h, unsigned char out[IPC_HEAD_SIZE])
{
	put_le(out, h->type, 2);
	put_le(out + 2, h->flags, 1);
	put_le(out + 3, h->fds, 1);
	put_le(out + 4, h->request, 4);
	put_le(out + 8, h->trace, 8);
	put_le(out + 16, h->deadline_ms, 4);
	put_le(out + 20, h->credits, 4);
}

bool ipc_head_read(struct str datagram, struct ipc_head *ret)
{
	struct cursor c = cursor_of(datagram);
	ret->type = cursor_u16(&c);
	ret->flags = cursor_u8(&c);
	ret->fds = cursor_u8(&c);
	ret->request = cursor_u32(&c);
	ret->trace = cursor_u64(&c);
	ret->deadline_ms = cursor_u32(&c);
	ret->credits = cursor_u32(&c);
	bool known =
		ret->type < IPC_TYPE_COUNT && (ret->type != IPC_NONE || (ret->flags & IPC_CREDIT));
	return !c.bad && known && ret->fds <= IPC_FDS_MAX;
}

static bool open_spilled(struct ipc_packet *p, size_t nfds)
{
	if (nfds == 0 || p->body.n != 0)
		return false;
	if (memmap_sealed(p->fds[nfds - 1], IPC_BODY_MAX, &p->spilled, NULL) < 0)
		return false;
	(void)close(p->fds[nfds - 1]);
	p->fds[nfds - 1] = -1;
	p->body = p->spilled.bytes;
	return true;
}

struct ipc_packet *ipc_packet_make(struct str datagram, const int *fds, size_t nfds)
{
	struct ipc_head head = {0};
	bool good = ipc_head_read(datagram, &head) && head.fds == nfds;
	size_t n = good ? datagram.n - IPC_HEAD_SIZE : 0;
	struct ipc_packet *p = malloc(sizeof *p + n + 1);
	CHECK(p);
	*p = (struct ipc_packet){.head = head, .arena = ARENA_INIT(IPC_BODY_MAX)};
	for (size_t i = 0; i < IPC_FDS_MAX; i++)
		p->fds[i] = i < nfds ? fds[i] : -1;
	if (n)
		memcpy(p->data, datagram.p + IPC_HEAD_SIZE, n);
	p->body = (struct str){p->data, n};
	if (good && (head.flags & IPC_SPILLED))
		good = open_spilled(p, nfds);
	if (good)
		return p;
	ipc_packet_free(p);
	return NULL;
}

struct ipc_packet *ipc_packet_make_bare(struct str datagram)
{
	struct ipc_head head = {0};
	if (!ipc_head_read(datagram, &head))
		return NULL;
	struct ipc_packet *p = xcalloc(1, sizeof *p + 1);
	head.fds = 0;
	head.flags &= (uint8_t)~IPC_SPILLED;
	*p = (struct ipc_packet){.head = head, .arena = ARENA_INIT(IPC_BODY_MAX)};
	for (size_t i = 0; i < IPC_FDS_MAX; i++)
		p->fds[i] = -1;
	p->body = (struct str){p->data, 0};
	return p;
}
