/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ipc/ipc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "runtime/ipc/wire.h"
#include "runtime/loop.h"
#include "sys/clock.h"
#include "sys/fdpass.h"
#include "sys/futex.h"
#include "sys/sock.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MESSAGES_MAX 65536u
#define QUEUE_BYTES_MAX	   MIB(64)
#define RECEIVE_BURST	   64
#define STUCK_MS	   10000u
#define SECRET_GUESS	   KIB(12)
#define BODY_GUESS	   500 /* most messages are smaller: one allocation */

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

static void channel_ref(struct ipc_channel *ch)
{
	(void)atomic_fetch_add(&ch->refs, 1);
}

static void channel_unref(struct ipc_channel *ch)
{
	if (atomic_fetch_sub(&ch->refs, 1) != 1)
		return;
	map_clear(&ch->pending);
	pthread_cond_destroy(&ch->room);
	pthread_mutex_destroy(&ch->lock);
	free(ch->input);
	free(ch);
}

/* Messages that carry passwords or keys leave nothing of themselves in memory. */
static bool is_secret(unsigned type)
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
	if (is_secret(type) && body->n > 0)
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

/* --- sending; the lock is held ------------------------------------------------------------------
 */

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

static void forget(struct ipc_channel *ch, struct outgoing *o)
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
		forget(ch, o);
	}
	return true;
}

static void watch_for_room(struct ipc_channel *ch)
{
	if (ch->flush_posted)
		return;
	ch->flush_posted = true;
	channel_ref(ch);
	loop_post(ch->loop, &ch->flush);
}

static void flush(struct ipc_channel *ch)
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

/* Send or queue one message. The lock is held. */
static int submit(struct ipc_channel *ch, struct ipc_head *head, struct ipc_out *out,
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
		flush(ch);
	return r;
}

/* What a message is sent for, beside its type and text. */
struct sending {
	struct ipc_pending *pending; /* the question that it carries, or NULL */
	bool wait;		     /* for room in the queue */
	uint32_t generation;	     /* a reply: of who asked; else 0 */
};

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
		int r = submit(ch, head, out, how->pending);
		if (r != -FAIL_BUSY || !how->wait)
			return r;
		wait_for_room(ch);
	}
}

static int send_message(struct ipc_channel *ch, struct ipc_head *head, const void *msg,
			const struct sending *how)
{
	struct ipc_out out = {.body = BUF_INIT(IPC_BODY_MAX)};
	struct ipc_pending *pending = how->pending;
	AUTO_FD int spill = -1;
	/* One that grows leaves copies behind. */
	(void)buf_room(&out.body, is_secret(head->type) ? SECRET_GUESS : BODY_GUESS);
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
	return send_message(ch, &head, msg, &how);
}

int ipc_send_wait(struct ipc_channel *ch, struct trace_id trace, enum ipc_type type,
		  const void *msg)
{
	struct ipc_head head = {.type = (uint16_t)type, .trace = trace.v};
	struct sending how = {.wait = true};
	CHECK(!loop_is_own_thread(ch->loop));
	return send_message(ch, &head, msg, &how);
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
	int r = send_message(request->from, &head, msg, &how);
	if (r == -FAIL_TOOBIG || r == -FAIL_LIMIT) { /* the asker must not wait for its deadline */
		struct msg_fail m = {.code = (uint16_t)-r};
		head.type = IPC_FAIL;
		head.flags = IPC_REPLY;
		(void)send_message(request->from, &head, &m, &how);
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

/* --- asking
 * --------------------------------------------------------------------------------------- */

/* Judge a reply; on anything but the wanted type it is freed. */
static int judge(struct ipc_packet **reply, enum ipc_type want, struct fail *why)
{
	struct ipc_packet *p = *reply;
	if (p->head.type == want)
		return 0;
	int r = fail_set(why, FAIL_BUG, NULL, "answer of type %s instead of %s",
			 ipc_type_name(p->head.type), ipc_type_name(want));
	struct msg_fail m;
	if (p->head.type == IPC_FAIL && msg_fail_read(p, &m) == 0 && m.code > 0 &&
	    m.code < FAIL_CODE_COUNT) {
		char text[FAIL_PUBLIC_MAX];
		/* FAIL_PEER is kept for "who was asked has ended"; this one lives, but somebody
		 * behind it does not. */
		enum fail_code code = m.code == FAIL_PEER ? FAIL_TEMP : (enum fail_code)m.code;
		(void)snprintf(text, sizeof text, "%.*s", STR_ARG(m.public));
		r = fail_set(why, code, text, "%.*s", STR_ARG(m.detail));
	}
	ipc_packet_free(p);
	*reply = NULL;
	return r;
}

/* Finish a question: nobody will look it up again. The lock is held. */
static void retire(struct ipc_channel *ch, struct ipc_pending *w)
{
	(void)map_remove(&ch->pending, w->request);
	if (w->waiting)
		forget(ch, w->waiting);
	w->finished = true;
}

/* The deadline is over; an answer that came at the last moment counts. */
static void give_up_waiting(struct ipc_channel *ch, struct ipc_pending *w,
			    const struct ipc_question *q, unsigned ms)
{
	pthread_mutex_lock(&ch->lock);
	if (!w->finished) {
		retire(ch, w);
		w->r = fail_set(&w->why, FAIL_DEADLINE, NULL, "%s %u did not answer %s in %u ms",
				ch->name, ch->index, ipc_type_name(q->type), ms);
	}
	pthread_mutex_unlock(&ch->lock);
}

int ipc_call(struct ipc_channel *ch, const struct ipc_question *q, struct ipc_packet **ret,
	     struct fail *why)
{
	unsigned ms = q->deadline_ms ? q->deadline_ms : IPC_DEADLINE_MS;
	struct timespec until = futex_deadline(ms);
	struct ipc_head head = {.type = (uint16_t)q->type, .trace = q->trace.v, .deadline_ms = ms};
	struct ipc_pending w = {.want = q->want, .only_while_up = q->only_while_up};
	struct sending how = {.pending = &w};
	CHECK(!loop_is_own_thread(ch->loop)); /* it would wait for itself */
	int r = send_message(ch, &head, q->msg, &how);
	if (r < 0)
		return fail_set(why, (enum fail_code) - r, NULL, "cannot ask %s %u for %s",
				ch->name, ch->index, ipc_type_name(q->type));
	if (!futex_wait(&w.done, &until))
		give_up_waiting(ch, &w, q, ms);
	if (w.r == 0) {
		w.r = judge(&w.reply, q->want, &w.why);
		*ret = w.reply;
	}
	if (w.r < 0 && why)
		*why = w.why;
	return w.r;
}

static void finish_ask(struct ipc_pending *w)
{
	struct ipc_channel *ch = w->ch;
	loop_timer_clear(ch->loop, &w->timer);
	struct ipc_packet *reply = w->reply;
	int r = w->r;
	if (r == 0)
		r = judge(&reply, w->want, &w->why);
	w->ask->pending = NULL;
	w->ask->done(w->ask, r, r == 0 ? reply : NULL, &w->why);
	free(w);
}

static void ask_timed_out(struct loop_timer *t)
{
	struct ipc_pending *w = CONTAINER_OF(t, struct ipc_pending, timer);
	pthread_mutex_lock(&w->ch->lock);
	retire(w->ch, w);
	pthread_mutex_unlock(&w->ch->lock);
	w->r = fail_set(&w->why, FAIL_DEADLINE, NULL, "%s %u did not answer in time", w->ch->name,
			w->ch->index);
	finish_ask(w);
}

static void ask_was_refused(struct loop_timer *t)
{
	finish_ask(CONTAINER_OF(t, struct ipc_pending, timer));
}

void ipc_ask(struct ipc_channel *ch, const struct ipc_question *q, struct ipc_ask *a)
{
	unsigned ms = q->deadline_ms ? q->deadline_ms : IPC_DEADLINE_MS;
	struct ipc_head head = {.type = (uint16_t)q->type, .trace = q->trace.v, .deadline_ms = ms};
	struct ipc_pending *w = xcalloc(1, sizeof *w);
	struct sending how = {.pending = w};
	w->want = q->want;
	w->only_while_up = q->only_while_up;
	w->ch = ch;
	w->ask = a;
	w->timer.fire = ask_timed_out;
	a->pending = w;
	loop_timer_in(ch->loop, &w->timer, ms);
	int r = send_message(ch, &head, q->msg, &how);
	if (r < 0) {
		w->r = fail_set(&w->why, (enum fail_code) - r, NULL, "cannot ask %s %u", ch->name,
				ch->index);
		/* By the timer: `done` never runs inside ipc_ask. */
		w->timer.fire = ask_was_refused;
		loop_timer_in(ch->loop, &w->timer, 0);
	}
}

/* --- receiving; the loop's thread ----------------------------------------------------------------
 */

static void take_credits(struct ipc_channel *ch, uint32_t credits)
{
	if (!credits)
		return;
	pthread_mutex_lock(&ch->lock);
	ch->unacked -= MIN(credits, ch->unacked);
	flush(ch);
	pthread_mutex_unlock(&ch->lock);
}

static void take_reply(struct ipc_channel *ch, struct ipc_packet *p)
{
	pthread_mutex_lock(&ch->lock);
	struct ipc_pending *w = map_get(&ch->pending, p->head.request);
	if (!w) { /* too late: the question was given up */
		pthread_mutex_unlock(&ch->lock);
		ipc_packet_free(p);
		return;
	}
	w->reply = p;
	retire(ch, w);
	bool ask = w->ask != NULL;
	if (!ask)
		atomic_store(&w->done, 1);
	pthread_mutex_unlock(&ch->lock);
	if (ask)
		finish_ask(w);
	else
		futex_wake(&w->done);
}

/* False: it sends without credit, and would fill our memory. */
static bool take_into_window(struct ipc_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	bool good = ch->unfinished < IPC_WINDOW;
	ch->unfinished += good;
	pthread_mutex_unlock(&ch->lock);
	return good;
}

/* An answer whose descriptors had no room here. */
static void lose_reply(struct ipc_channel *ch, uint32_t request)
{
	pthread_mutex_lock(&ch->lock);
	struct ipc_pending *w = map_get(&ch->pending, request);
	if (w) {
		w->r = fail_set(&w->why, FAIL_LIMIT, NULL, "no descriptor is free for an answer");
		retire(ch, w);
		if (!w->ask)
			atomic_store(&w->done, 1);
	}
	bool ask = w && w->ask;
	pthread_mutex_unlock(&ch->lock);
	if (ask)
		finish_ask(w);
	else if (w)
		futex_wake(&w->done);
}

/*
 * A datagram came, but not its descriptors, as this process may open no more. Who asks hears so; a
 * notice that nobody can take back ends the connection (false).
 */
static bool lack_descriptors(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	bool good = true;
	if (p->head.flags & IPC_REPLY) {
		lose_reply(ch, p->head.request);
	} else if (p->head.request && take_into_window(ch)) {
		p->from = ch;
		p->generation = ch->generation;
		channel_ref(ch);
		(void)fail_set(&why, FAIL_LIMIT, NULL, "no descriptor is free for a question");
		(void)ipc_reply_fail(p, &why);
	} else {
		good = false;
	}
	ipc_packet_free(p);
	return good;
}

/* Fail every question that the dead peer had received, and those that may not wait for the next; or
 * all. */
static void fail_questions(struct ipc_channel *ch, bool all)
{
	for (bool again = true; again;) {
		again = false;
		pthread_mutex_lock(&ch->lock);
		struct ipc_pending *ask = NULL;
		_Atomic uint32_t *call = NULL;
		MAP_EACH (&ch->pending, i) {
			struct ipc_pending *w = ch->pending.slots[i].value;
			if (!w->sent && !w->only_while_up && !all)
				continue;
			again = true;
			w->r = fail_set(&w->why, FAIL_PEER, NULL, "%s %u ended", ch->name,
					ch->index);
			retire(ch, w);
			if (w->ask) {
				ask = w;
			} else {
				call = &w->done;
				atomic_store(call, 1);
			}
			break;
		}
		pthread_mutex_unlock(&ch->lock);
		if (ask)
			finish_ask(ask);
		if (call)
			futex_wake(call);
	}
}

static void go_down(struct ipc_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	int fd = ch->fd;
	ch->fd = -1;
	if (++ch->generation == 0) /* 0 = not a reply */
		ch->generation = 1;
	ch->unacked = 0;
	ch->to_credit = 0;
	ch->unfinished = 0;
	LIST_EACH (&ch->urgent, n)
		forget(ch, CONTAINER_OF(n, struct outgoing, link));
	LIST_EACH (&ch->questions, n) {
		struct outgoing *o = CONTAINER_OF(n, struct outgoing, link);
		if (!o->pending)
			forget(ch, o); /* notices do not outlive the peer that they were for */
	}
	pthread_cond_broadcast(&ch->room);
	pthread_mutex_unlock(&ch->lock);
	if (fd < 0)
		return;
	loop_remove(ch->loop, &ch->io);
	(void)close(fd);
	channel_ref(ch);
	fail_questions(ch, false);
	if (ch->ops->down)
		ch->ops->down(ch);
	channel_unref(ch);
}

/* One datagram; false when the connection is at its end. */
static bool receive_one(struct ipc_channel *ch, bool *ret_more)
{
	struct fdpass_in in;
	int r = fdpass_recv(ch->fd, ch->input, IPC_DATAGRAM_MAX, &in, NULL);
	*ret_more = r > 0;
	if (r <= 0)
		return r == -FAIL_BUSY;
	struct str datagram = {ch->input, in.n};
	struct ipc_packet *p = in.cut ? ipc_packet_make_bare(datagram)
				      : ipc_packet_make(datagram, in.fds, in.n_fds);
	if (!p)
		return false; /* a peer that breaks the rules is as good as dead */
	if (is_secret(p->head.type))
		explicit_bzero(ch->input, in.n);
	atomic_store(&ch->heard, clock_mono().v);
	take_credits(ch, p->head.credits);
	if (in.cut)
		return lack_descriptors(ch, p);
	if (p->head.flags & IPC_CREDIT) {
		ipc_packet_free(p);
		return true;
	}
	bool reply = p->head.flags & IPC_REPLY;
	if (!reply && !take_into_window(ch)) {
		ipc_packet_free(p);
		return false;
	}
	p->from = ch;
	p->generation = ch->generation;
	channel_ref(ch);
	if (reply)
		take_reply(ch, p);
	else
		ch->ops->message(ch, p);
	return true;
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct ipc_channel *ch = CONTAINER_OF(io, struct ipc_channel, io);
	channel_ref(ch);
	if (events & EPOLLOUT) {
		loop_want(ch->loop, io, EPOLLIN);
		pthread_mutex_lock(&ch->lock);
		flush(ch);
		pthread_mutex_unlock(&ch->lock);
	}
	bool alive = true, more = true;
	for (int i = 0; i < RECEIVE_BURST && alive && more && ch->fd >= 0; i++)
		alive = receive_one(ch, &more);
	if (!alive)
		go_down(ch);
	channel_unref(ch);
}

static void run_flush(struct loop_task *task)
{
	struct ipc_channel *ch = CONTAINER_OF(task, struct ipc_channel, flush);
	pthread_mutex_lock(&ch->lock);
	ch->flush_posted = false;
	bool up = ch->fd >= 0;
	pthread_mutex_unlock(&ch->lock);
	if (up)
		loop_want(ch->loop, &ch->io, EPOLLIN | EPOLLOUT);
	channel_unref(ch);
}

/* --- life
 * ------------------------------------------------------------------------------------------ */

struct ipc_channel *ipc_channel_new(struct loop *loop, const char *name, unsigned index,
				    const struct ipc_channel_ops *ops, void *context)
{
	struct ipc_channel *ch = xcalloc(1, sizeof *ch);
	ch->loop = loop;
	ch->ops = ops;
	ch->context = context;
	(void)snprintf(ch->name, sizeof ch->name, "%s", name);
	ch->index = index;
	ch->refs = 1;
	ch->fd = -1;
	ch->io = (struct loop_io){.fd = -1, .ready = ready};
	ch->flush.run = run_flush;
	ch->input = malloc(IPC_DATAGRAM_MAX);
	CHECK(ch->input);
	ch->generation = 1;
	pthread_mutex_init(&ch->lock, NULL);
	pthread_cond_init(&ch->room, NULL);
	list_init(&ch->urgent);
	list_init(&ch->questions);
	return ch;
}

void ipc_channel_free(struct ipc_channel *ch)
{
	if (!ch)
		return;
	go_down(ch);
	fail_questions(ch, true);
	channel_unref(ch);
}

void ipc_channel_attach(struct ipc_channel *ch, int fd)
{
	go_down(ch);
	CHECK(sock_nonblock(fd, NULL) == 0);
	loop_add(ch->loop, &ch->io, fd, EPOLLIN);
	pthread_mutex_lock(&ch->lock);
	ch->fd = fd;
	ch->held = false;
	atomic_store(&ch->heard, clock_mono().v);
	pthread_mutex_unlock(&ch->lock);
	if (ch->ops->up)
		ch->ops->up(ch);
	pthread_mutex_lock(&ch->lock);
	flush(ch);
	pthread_mutex_unlock(&ch->lock);
}

bool ipc_channel_is_up(struct ipc_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	bool up = ch->fd >= 0;
	pthread_mutex_unlock(&ch->lock);
	return up;
}

struct mono_ns ipc_channel_heard(struct ipc_channel *ch)
{
	return (struct mono_ns){atomic_load(&ch->heard)};
}

bool ipc_channel_was_up(struct ipc_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	bool was = ch->generation != 1;
	pthread_mutex_unlock(&ch->lock);
	return was;
}

unsigned ipc_channel_load(struct ipc_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	unsigned load = ch->unacked + (unsigned)ch->pending.n + (unsigned)ch->queued +
			(ch->held ? 100000u : 0);
	pthread_mutex_unlock(&ch->lock);
	return load;
}

void ipc_channel_hold(struct ipc_channel *ch, bool hold)
{
	pthread_mutex_lock(&ch->lock);
	ch->held = hold;
	if (!hold)
		flush(ch);
	pthread_mutex_unlock(&ch->lock);
}

bool ipc_channel_quiet(struct ipc_channel *ch)
{
	bool quiet = true;
	pthread_mutex_lock(&ch->lock);
	MAP_EACH (&ch->pending, i) {
		const struct ipc_pending *w = ch->pending.slots[i].value;
		quiet = quiet && !w->sent;
	}
	quiet = quiet && list_empty(&ch->urgent);
	pthread_mutex_unlock(&ch->lock);
	return quiet;
}

bool ipc_channel_idle(struct ipc_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	bool idle = ch->pending.n == 0 && ch->queued == 0;
	pthread_mutex_unlock(&ch->lock);
	return idle;
}

int ipc_channel_fd(struct ipc_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	int fd = ch->fd;
	pthread_mutex_unlock(&ch->lock);
	return fd;
}

struct ipc_numbers ipc_channel_numbers(struct ipc_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	struct ipc_numbers n = {.unacked = ch->unacked,
				.to_credit = ch->to_credit,
				.next_request = ch->next_request};
	pthread_mutex_unlock(&ch->lock);
	return n;
}

void ipc_channel_adopt(struct ipc_channel *ch, int fd, const struct ipc_numbers *n)
{
	ipc_channel_attach(ch, fd);
	pthread_mutex_lock(&ch->lock);
	ch->unacked = n->unacked;
	ch->to_credit = n->to_credit;
	ch->next_request = n->next_request;
	pthread_mutex_unlock(&ch->lock);
}

void *ipc_channel_context(const struct ipc_channel *ch)
{
	return ch->context;
}

const char *ipc_channel_name(const struct ipc_channel *ch)
{
	return ch->name;
}

unsigned ipc_channel_index(const struct ipc_channel *ch)
{
	return ch->index;
}

struct loop *ipc_channel_loop(const struct ipc_channel *ch)
{
	return ch->loop;
}

/* --- packets
 * --------------------------------------------------------------------------------------- */

static void give_credit(struct ipc_channel *ch, uint32_t generation)
{
	pthread_mutex_lock(&ch->lock);
	if (ch->generation == generation && ch->fd >= 0) {
		ch->to_credit++;
		ch->unfinished -= ch->unfinished > 0;
		/* What waits to be sent will carry it. */
		if (ch->to_credit >= IPC_WINDOW / 4 && list_empty(&ch->urgent)) {
			struct ipc_head head = {.flags = IPC_CREDIT};
			struct ipc_out out = {.body = BUF_INIT(0)};
			(void)submit(ch, &head, &out, NULL);
		}
	}
	pthread_mutex_unlock(&ch->lock);
}

void ipc_packet_accept(struct ipc_packet *p)
{
	if (!p->from || p->credited || (p->head.flags & IPC_REPLY))
		return;
	p->credited = true;
	give_credit(p->from, p->generation);
}

void ipc_packet_free(struct ipc_packet *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < IPC_FDS_MAX; i++)
		if (p->fds[i] >= 0)
			(void)close(p->fds[i]);
	if (is_secret(p->head.type) && p->body.p == p->data)
		explicit_bzero(p->data, p->body.n);
	memmap_clear(&p->spilled);
	arena_clear(&p->arena);
	if (p->from) {
		ipc_packet_accept(p);
		channel_unref(p->from);
	}
	free(p);
}

enum ipc_type ipc_packet_type(const struct ipc_packet *p)
{
	return p->head.type;
}

const struct ipc_channel *ipc_packet_from(const struct ipc_packet *p)
{
	return p->from;
}

bool ipc_packet_wants_reply(const struct ipc_packet *p)
{
	return p->head.request != 0;
}

struct trace_id ipc_packet_trace(const struct ipc_packet *p)
{
	return (struct trace_id){p->head.trace};
}

int ipc_packet_take_fd(struct ipc_packet *p, int fd)
{
	for (size_t i = 0; i < IPC_FDS_MAX && fd >= 0; i++)
		if (p->fds[i] == fd) {
			p->fds[i] = -1;
			return fd;
		}
	return -1;
}

const char *ipc_type_name(enum ipc_type type)
{
	return type < IPC_TYPE_COUNT && ipc_kinds[type].name ? ipc_kinds[type].name : "nothing";
}
