/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages out: now, or in a queue until there is credit, room in the socket, or a peer.
 */
#include "base/check.h"
#include "runtime/ipc/ipc_int.h"
#include "sys/futex.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MESSAGES_MAX 65536u
#define QUEUE_BYTES_MAX	   MIB(64)
#define STUCK_MS	   10000u
#define SECRET_GUESS	   KIB(12)
#define BODY_GUESS	   500 /* most messages are smaller: one allocation */

bool ipc_is_secret(unsigned type)
{
	switch (type) {
	case IPC_LOGIN:
	case IPC_LOGIN_SASL:
	case IPC_ADMIN:
	case IPC_CONFIGURE:
	case IPC_CERTIFICATES:
	case IPC_PREPARE:
	case IPC_TICKETS:
		return true;
	default:
		return false;
	}
}

static void body_clear(struct buf *body, unsigned type)
{
	if (ipc_is_secret(type) && body->n > 0)
		explicit_bzero(body->p, body->n);
	buf_clear(body);
}

static void outgoing_free(struct outgoing *o)
{
	for (size_t i = 0; i < o->nfds; i++)
		(void)close(o->fds[i]);
	body_clear(&o->body, o->head.type);
	free(o);
}

static int send_now(struct ipc_channel *ch, struct ipc_head *head, struct str body, const int *fds,
		    size_t nfds)
{
	unsigned char bytes[IPC_HEAD_SIZE];
	head->credits = ch->to_credit;
	head->fds = (uint8_t)nfds;
	ipc_head_write(head, bytes);
	struct iovec iov[2] = {{bytes, sizeof bytes}, {(void *)(uintptr_t)body.p, body.n}};
	int r = fdpass_send(ch->fd, iov, body.n ? 2 : 1, fds, nfds, NULL);
	if (r == 0)
		ch->to_credit -= head->credits;
	return r;
}

void ipc_forget(struct ipc_channel *ch, struct outgoing *o)
{
	list_remove(&o->link);
	ch->left_queue++;
	ch->queued--;
	ch->queued_bytes -= o->body.n;
	if (o->pending)
		o->pending->waiting = NULL;
	if (ch->wait_for_room)
		pthread_cond_broadcast(&ch->room);
	outgoing_free(o);
}

/* Send what can be sent of one queue; false when the socket has no room. */
static bool drain(struct ipc_channel *ch, struct list *queue)
{
	while (!list_empty(queue)) {
		struct outgoing *o = CONTAINER_OF(queue->next, struct outgoing, link);
		if (o->takes_credit && (ch->unacked >= IPC_WINDOW || ch->held))
			return true;
		int r = send_now(ch, &o->head, buf_str(&o->body), o->fds, o->nfds);
		if (r == -FAIL_BUSY ||
		    r == -FAIL_LIMIT) /* LIMIT: others have too many descriptors in flight */
			return false;
		/* Any other error means a dead peer: the loop sees the hang-up and cleans up. */
		if (r < 0)
			return true;
		if (o->takes_credit)
			ch->unacked++;
		if (o->pending)
			o->pending->sent = true;
		ipc_forget(ch, o);
	}
	return true;
}

static void watch_for_room(struct ipc_channel *ch)
{
	if (ch->flush_posted)
		return;
	ch->flush_posted = true;
	ipc_channel_ref(ch);
	loop_post(ch->loop, &ch->flush);
}

void ipc_flush(struct ipc_channel *ch)
{
	if (ch->fd < 0)
		return;
	if (!drain(ch, &ch->urgent) || !drain(ch, &ch->questions))
		watch_for_room(ch);
}

static int enqueue(struct ipc_channel *ch, const struct ipc_head *head, struct ipc_out *out,
		   bool takes_credit, struct ipc_pending *pending)
{
	/* Replies and credits are bounded by what the peer has asked. */
	if (takes_credit &&
	    (ch->queued >= QUEUE_MESSAGES_MAX || ch->queued_bytes + out->body.n > QUEUE_BYTES_MAX))
		return -FAIL_BUSY;
	struct outgoing *o = xcalloc(1, sizeof *o);
	o->head = *head;
	o->takes_credit = takes_credit;
	for (size_t i = 0; i < out->nfds; i++) {
		o->fds[i] = fcntl(out->fds[i], F_DUPFD_CLOEXEC, 0);
		if (o->fds[i] < 0) {
			outgoing_free(o);
			return -FAIL_LIMIT;
		}
		o->nfds++;
	}
	o->body = out->body;
	out->body = BUF_INIT(0);
	o->pending = pending;
	if (pending)
		pending->waiting = o;
	list_append(takes_credit ? &ch->questions : &ch->urgent, &o->link);
	ch->queued++;
	ch->queued_bytes += o->body.n;
	return 0;
}

/* Encode msg; a body that does not fit a datagram moves into a sealed memfd, *ret_spill (else -1).
 */
static int encode(enum ipc_type type, const void *msg, struct ipc_out *out, struct ipc_head *head,
		  int *ret_spill)
{
	ipc_kinds[type].put(msg, out);
	*ret_spill = -1;
	if (out->body.failed)
		return -FAIL_TOOBIG;
	if (out->body.n <= IPC_INLINE_MAX)
		return 0;
	if (out->nfds == IPC_FDS_MAX)
		return -FAIL_TOOBIG;
	int r = memfd_sealed("ipc", buf_str(&out->body), ret_spill, NULL);
	if (r < 0)
		return r;
	out->fds[out->nfds++] = *ret_spill;
	head->flags |= IPC_SPILLED;
	buf_reset(&out->body);
	return 0;
}

int ipc_submit(struct ipc_channel *ch, struct ipc_head *head, struct ipc_out *out,
	       struct ipc_pending *pending)
{
	bool takes_credit = !(head->flags & (IPC_REPLY | IPC_CREDIT));
	bool question = pending != NULL;
	if (ch->fd < 0 && !question)
		return -FAIL_PEER;
	struct list *queue = takes_credit ? &ch->questions : &ch->urgent;
	bool may_send = ch->fd >= 0 && list_empty(queue) &&
			(!takes_credit || (ch->unacked < IPC_WINDOW && !ch->held));
	if (may_send) {
		int r = send_now(ch, head, buf_str(&out->body), out->fds, out->nfds);
		if (r == 0) {
			ch->unacked += takes_credit;
			if (question)
				pending->sent = true;
			return 0;
		}
		if (r != -FAIL_BUSY && r != -FAIL_LIMIT && !question)
			return -FAIL_PEER;
	}
	int r = enqueue(ch, head, out, takes_credit, pending);
	if (r == 0)
		ipc_flush(ch);
	return r;
}

/*
 * A peer that takes nothing for so long while everything is full would hold our threads for ever:
 * it is as good as dead, and the loop will find its connection ended. The lock is held.
 */
static void wait_for_room(struct ipc_channel *ch)
{
	struct timespec until = futex_deadline(STUCK_MS);
	uint64_t before = ch->left_queue;
	ch->wait_for_room++;
	int e = pthread_cond_clockwait(&ch->room, &ch->lock, CLOCK_MONOTONIC, &until);
	ch->wait_for_room--;
	if (e == ETIMEDOUT && ch->left_queue == before && ch->fd >= 0)
		(void)shutdown(ch->fd, SHUT_RDWR);
}

/* The lock is held. */
static int submit_or_wait(struct ipc_channel *ch, struct ipc_head *head, struct ipc_out *out,
			  const struct sending *how)
{
	for (;;) {
		if (how->generation && how->generation != ch->generation)
			return -FAIL_PEER; /* who asked is gone */
		int r = ipc_submit(ch, head, out, how->pending);
		if (r != -FAIL_BUSY || !how->wait)
			return r;
		wait_for_room(ch);
	}
}

int ipc_send_message(struct ipc_channel *ch, struct ipc_head *head, const void *msg,
		     const struct sending *how)
{
	struct ipc_out out = {.body = BUF_INIT(IPC_BODY_MAX)};
	struct ipc_pending *pending = how->pending;
	AUTO_FD int spill = -1;
	/* One that grows leaves copies behind. */
	(void)buf_room(&out.body, ipc_is_secret(head->type) ? SECRET_GUESS : BODY_GUESS);
	int r = encode(head->type, msg, &out, head, &spill);
	if (r == 0) {
		pthread_mutex_lock(&ch->lock);
		if (pending) {
			if (++ch->next_request == 0)
				ch->next_request = 1;
			head->request = pending->request = ch->next_request;
			(void)map_put(&ch->pending, pending->request, pending);
		}
		r = pending && pending->only_while_up && ch->fd < 0
			    ? -FAIL_PEER
			    : submit_or_wait(ch, head, &out, how);
		if (r < 0 && pending)
			(void)map_remove(&ch->pending, pending->request);
		pthread_mutex_unlock(&ch->lock);
	}
	body_clear(&out.body, head->type);
	return r;
}

int ipc_send(struct ipc_channel *ch, struct trace_id trace, enum ipc_type type, const void *msg)
{
	struct ipc_head head = {.type = (uint16_t)type, .trace = trace.v};
	struct sending how = {0};
	return ipc_send_message(ch, &head, msg, &how);
}

int ipc_send_wait(struct ipc_channel *ch, struct trace_id trace, enum ipc_type type,
		  const void *msg)
{
	struct ipc_head head = {.type = (uint16_t)type, .trace = trace.v};
	struct sending how = {.wait = true};
	CHECK(!loop_is_own_thread(ch->loop));
	return ipc_send_message(ch, &head, msg, &how);
}

int ipc_reply(struct ipc_packet *request, enum ipc_type type, const void *msg)
{
	struct ipc_head head = {.type = (uint16_t)type,
				.flags = IPC_REPLY,
				.request = request->head.request,
				.trace = request->head.trace};
	struct sending how = {.generation = request->generation};
	if (!head.request)
		return -FAIL_PEER; /* nobody asked */
	int r = ipc_send_message(request->from, &head, msg, &how);
	if (r == -FAIL_TOOBIG || r == -FAIL_LIMIT) { /* the asker must not wait for its deadline */
		struct msg_fail m = {.code = (uint16_t)-r};
		head.type = IPC_FAIL;
		head.flags = IPC_REPLY;
		(void)ipc_send_message(request->from, &head, &m, &how);
	}
	return r;
}

int ipc_reply_fail(struct ipc_packet *request, const struct fail *why)
{
	struct msg_fail m = {.code = (uint16_t)why->code,
			     .public = str_c(why->public),
			     .detail = str_c(why->detail)};
	return ipc_reply(request, IPC_FAIL, &m);
}
