/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc.h - requests and notices between roles over SOCK_SEQPACKET pairs.             [runtime]
 *
 * A channel names a peer ("user 1"), not a socket: when the peer restarts, master sends a fresh
 * socket and the channel carries on. While it is down, requests wait (until their deadline) and
 * notices are refused with -FAIL_PEER. Requests that were sent when the peer died fail with
 * FAIL_PEER: the caller cannot know whether they took effect. (A `fail` reply never has this code.)
 *
 * Flow: every message except a reply takes one credit of the receiver's window (IPC_WINDOW);
 * without credit it waits in a bounded queue here (-FAIL_BUSY when full). Sending never blocks.
 *
 * Threads: a channel's handler and callbacks run on the loop; ipc_send, ipc_reply and ipc_call may
 * be used from any thread, ipc_call not on the loop (it blocks).
 */
#ifndef BARID_RUNTIME_IPC_IPC_H
#define BARID_RUNTIME_IPC_IPC_H

#include "base/fail.h"
#include "base/ids.h"
#include "ipc_msg.h"

#define IPC_WINDOW	512u
#define IPC_DEADLINE_MS 30000u

struct loop;
struct ipc_channel;
struct ipc_packet;

struct ipc_channel_ops {
	/* A request (ipc_packet_request(p) != 0) or a notice arrived; the handler owns p. */
	void (*message)(struct ipc_channel *ch, struct ipc_packet *p);
	/* The peer is gone / is there (again). May be NULL. */
	void (*down)(struct ipc_channel *ch);
	void (*up)(struct ipc_channel *ch);
};

struct ipc_channel *ipc_channel_new(struct loop *loop, const char *name, unsigned index,
				    const struct ipc_channel_ops *ops, void *context);
void ipc_channel_free(struct ipc_channel *ch);
/* Take over a connected socket (the previous one, if any, is dropped first). */
void ipc_channel_attach(struct ipc_channel *ch, int fd);
bool ipc_channel_is_up(struct ipc_channel *ch);
bool ipc_channel_was_up(struct ipc_channel *ch); /* a connection has ended */
void *ipc_channel_context(const struct ipc_channel *ch);
const char *ipc_channel_name(const struct ipc_channel *ch);
unsigned ipc_channel_index(const struct ipc_channel *ch);
struct loop *ipc_channel_loop(const struct ipc_channel *ch);
/* Messages sent or waiting whose credit the peer has not given back: how busy it is. */
/* When its last message came; loop_now of then. Any thread. */
struct mono_ns ipc_channel_heard(struct ipc_channel *ch);
unsigned ipc_channel_load(struct ipc_channel *ch);

/*
 * Held: requests and notices wait in the queue, replies go out. Until it is released, or the next
 * socket is attached. Quiet: nothing that was sent is unanswered. Any thread.
 */
void ipc_channel_hold(struct ipc_channel *ch, bool hold);
bool ipc_channel_quiet(struct ipc_channel *ch);

/*
 * Going over to another program image with the sockets open: what the peer takes for granted. Only
 * while ipc_channel_idle: no question is out, nothing waits to be sent.
 */
struct ipc_numbers {
	uint32_t unacked, to_credit, next_request;
};
bool ipc_channel_idle(struct ipc_channel *ch);
int ipc_channel_fd(struct ipc_channel *ch); /* stays the channel's; -1 = down */
struct ipc_numbers ipc_channel_numbers(struct ipc_channel *ch);
void ipc_channel_adopt(struct ipc_channel *ch, int fd, const struct ipc_numbers *n);

/* Send a notice. `msg` is the struct msg_* of `type`; descriptors in it stay the caller's. */
int ipc_send(struct ipc_channel *ch, struct trace_id trace, enum ipc_type type, const void *msg);
/* The same, but waits while the queue is full. Not on the loop. */
int ipc_send_wait(struct ipc_channel *ch, struct trace_id trace, enum ipc_type type,
		  const void *msg);

/*
 * Ask and wait. On success *ret holds the reply (a packet of type `want`), to be freed by the
 * caller. A `fail` reply becomes its code and texts in *why; another type is -FAIL_PEER.
 */
struct ipc_question {
	enum ipc_type type;
	const void *msg;
	enum ipc_type want;
	struct trace_id trace;
	unsigned deadline_ms; /* 0 = IPC_DEADLINE_MS */
	bool only_while_up;   /* -FAIL_PEER instead of waiting for a peer that is down */
};
MUST_CHECK int ipc_call(struct ipc_channel *ch, const struct ipc_question *q,
			struct ipc_packet **ret, struct fail *why);

/* Who waits in ipc_call for this peer's answer goes on, with -FAIL_CANCELLED. Any thread. */
void ipc_channel_cancel(struct ipc_channel *ch);

/*
 * Ask without waiting: `done` runs once on the loop, never inside of this call, with r = 0 and the
 * reply (owned by done), or a negative code and p = NULL. The owner keeps `a` alive until then.
 * Loop thread only.
 */
struct ipc_ask {
	void (*done)(struct ipc_ask *a, int r, struct ipc_packet *p, const struct fail *why);
	struct ipc_pending *pending; /* private */
};
void ipc_ask(struct ipc_channel *ch, const struct ipc_question *q, struct ipc_ask *a);

/* Answer a request; the packet stays the caller's. ipc_reply_fail answers with code and texts. */
int ipc_reply(struct ipc_packet *request, enum ipc_type type, const void *msg);
int ipc_reply_fail(struct ipc_packet *request, const struct fail *why);

enum ipc_type ipc_packet_type(const struct ipc_packet *p);
/* By which channel it came. */
const struct ipc_channel *ipc_packet_from(const struct ipc_packet *p);
bool ipc_packet_wants_reply(const struct ipc_packet *p);
struct trace_id ipc_packet_trace(const struct ipc_packet *p);
/* Move descriptor number `fd` (a value that msg_*_read gave) out of the packet. -1 stays -1. */
int ipc_packet_take_fd(struct ipc_packet *p, int fd);
/*
 * Give the credit back now, for a packet that is kept for long (behind others of its session): its
 * keeper bounds how many it keeps.
 */
void ipc_packet_accept(struct ipc_packet *p);
void ipc_packet_free(struct ipc_packet *p); /* gives the credit back; NULL is fine */
const char *ipc_type_name(enum ipc_type type);

static inline void auto_ipc_packet_(struct ipc_packet **p)
{
	ipc_packet_free(*p);
}

#endif
