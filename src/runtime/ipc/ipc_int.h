/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc_int.h - a channel, between the files of ipc.                             [runtime, private to
 * ipc]
 *
 * ipc.c has its life and what comes in, ipc_send.c what goes out, ipc_ask.c the questions. "The
 * lock is held" means ch->lock, by the caller; without these words it must not be held.
 */
#ifndef BARID_RUNTIME_IPC_IPC_INT_H
#define BARID_RUNTIME_IPC_IPC_INT_H

#include "base/list.h"
#include "base/map.h"
#include "runtime/ipc/ipc.h"
#include "runtime/ipc/wire.h"
#include "runtime/loop.h"
#include <pthread.h>
#include <stdatomic.h>

/* A message that waits for credit, for room in the socket, or for the peer to come (back). */
struct outgoing {
	struct list link;
	struct ipc_head head;
	struct buf body;
	int fds[IPC_FDS_MAX]; /* owned */
	size_t nfds;
	bool takes_credit;
	struct ipc_pending *pending; /* the question it carries, or NULL */
};

/* A question whose answer is outstanding. Guarded by the channel's lock. */
struct ipc_pending {
	uint32_t request;
	enum ipc_type want;
	bool only_while_up;
	bool sent;
	bool finished;
	int r;
	struct ipc_packet *reply;
	struct fail why;
	struct outgoing *waiting; /* not sent yet */
	_Atomic uint32_t done;	  /* ipc_call: a futex; set last, the caller's stack goes then */
	struct ipc_channel *ch;	  /* ipc_ask, from here on */
	struct ipc_ask *ask;
	struct loop_timer timer;
};

struct ipc_channel {
	struct loop *loop;
	const struct ipc_channel_ops *ops;
	void *context;
	char name[24];
	unsigned index;
	_Atomic unsigned refs;
	struct loop_io io;	/* loop thread */
	struct loop_task flush; /* asks the loop to watch for room; posted at most once */
	char *input;		/* one datagram, loop thread */
	_Atomic int64_t heard;	/* a mono_ns */

	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t room;  /* the queue shrank, or the peer is gone */
	unsigned wait_for_room;
	int fd; /* -1 = down */
	uint32_t generation;
	uint32_t next_request;
	struct map pending;    /* request -> struct ipc_pending */
	struct list urgent;    /* replies and credits: they take no credit */
	struct list questions; /* requests and notices */
	size_t queued;
	size_t queued_bytes;
	uint32_t unacked;    /* messages whose credit is out */
	uint32_t to_credit;  /* finished messages that the peer does not know of */
	uint32_t unfinished; /* messages of the peer that hold its credit */
	uint64_t left_queue; /* messages that were sent, or given up, after they had waited */
	bool flush_posted;
	bool held;
};

/* What a message is sent for, beside its type and text. */
struct sending {
	struct ipc_pending *pending; /* the question that it carries, or NULL */
	bool wait;		     /* for room in the queue */
	uint32_t generation;	     /* a reply: of who asked; else 0 */
};

/* ipc.c */
/* A reference keeps the memory, not the connection. The last one may go on any thread. */
void ipc_channel_ref(struct ipc_channel *ch);
void ipc_channel_unref(struct ipc_channel *ch);

/* ipc_send.c */
/* Messages that carry passwords or keys leave nothing of themselves in memory. */
bool ipc_is_secret(unsigned type);
/* Take a message out of its queue, sent or not, and free it. The lock is held. */
void ipc_forget(struct ipc_channel *ch, struct outgoing *o);
/* Send what may go; the loop watches for room for the rest. The lock is held. */
void ipc_flush(struct ipc_channel *ch);
/* Send or queue one message. The lock is held. Takes out->body when it is queued. -FAIL_BUSY: the
 * queue is full; -FAIL_PEER: nobody is there. */
int ipc_submit(struct ipc_channel *ch, struct ipc_head *head, struct ipc_out *out,
	       struct ipc_pending *pending);
/* The same for a message that is not encoded yet; a question gets its number and is entered in
 * ch->pending, unless it fails. */
int ipc_send_message(struct ipc_channel *ch, struct ipc_head *head, const void *msg,
		     const struct sending *how);

/* ipc_ask.c; the loop's thread */
/* An answer came: to who waits for it, or, too late, to nobody. Owns p. */
void ipc_take_reply(struct ipc_channel *ch, struct ipc_packet *p);
/* An answer whose descriptors had no room here: its question fails. */
void ipc_lose_reply(struct ipc_channel *ch, uint32_t request);
/* Fail every question that the dead peer had received, and those that may not wait for the next; or
 * all. */
void ipc_fail_questions(struct ipc_channel *ch, bool all);

#endif
