/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel: its life, what comes in by it, and the credit for that.
 */
#include "runtime/ipc/ipc.h"
#include "base/check.h"
#include "runtime/ipc/ipc_int.h"
#include "sys/clock.h"
#include "sys/sock.h"
#include <sys/epoll.h>
#include <unistd.h>

#define RECEIVE_BURST 64

void ipc_channel_ref(struct ipc_channel *ch)
{
	(void)atomic_fetch_add(&ch->refs, 1);
}

void ipc_channel_unref(struct ipc_channel *ch)
{
	if (atomic_fetch_sub(&ch->refs, 1) != 1)
		return;
	map_clear(&ch->pending);
	pthread_cond_destroy(&ch->room);
	pthread_mutex_destroy(&ch->lock);
	free(ch->input);
	free(ch);
}

/* --- receiving; the loop's thread ----------------------------------------------------------------
 */

static void take_credits(struct ipc_channel *ch, uint32_t credits)
{
	if (!credits)
		return;
	pthread_mutex_lock(&ch->lock);
	ch->unacked -= MIN(credits, ch->unacked);
	ipc_flush(ch);
	pthread_mutex_unlock(&ch->lock);
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

/*
 * A datagram came, but not its descriptors, as this process may open no more. Who asks hears so; a
 * notice that nobody can take back ends the connection (false).
 */
static bool lack_descriptors(struct ipc_channel *ch, struct ipc_packet *p)
{
	struct fail why = FAIL_INIT;
	bool good = true;
	if (p->head.flags & IPC_REPLY) {
		ipc_lose_reply(ch, p->head.request);
	} else if (p->head.request && take_into_window(ch)) {
		p->from = ch;
		p->generation = ch->generation;
		ipc_channel_ref(ch);
		(void)fail_set(&why, FAIL_LIMIT, NULL, "no descriptor is free for a question");
		(void)ipc_reply_fail(p, &why);
	} else {
		good = false;
	}
	ipc_packet_free(p);
	return good;
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
		ipc_forget(ch, CONTAINER_OF(n, struct outgoing, link));
	LIST_EACH (&ch->questions, n) {
		struct outgoing *o = CONTAINER_OF(n, struct outgoing, link);
		if (!o->pending)
			ipc_forget(ch, o); /* notices do not outlive the peer that they were for */
	}
	pthread_cond_broadcast(&ch->room);
	pthread_mutex_unlock(&ch->lock);
	if (fd < 0)
		return;
	loop_remove(ch->loop, &ch->io);
	(void)close(fd);
	ipc_channel_ref(ch);
	ipc_fail_questions(ch, false);
	if (ch->ops->down)
		ch->ops->down(ch);
	ipc_channel_unref(ch);
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
	if (ipc_is_secret(p->head.type))
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
	ipc_channel_ref(ch);
	if (reply)
		ipc_take_reply(ch, p);
	else
		ch->ops->message(ch, p);
	return true;
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct ipc_channel *ch = CONTAINER_OF(io, struct ipc_channel, io);
	ipc_channel_ref(ch);
	if (events & EPOLLOUT) {
		loop_want(ch->loop, io, EPOLLIN);
		pthread_mutex_lock(&ch->lock);
		ipc_flush(ch);
		pthread_mutex_unlock(&ch->lock);
	}
	bool alive = true, more = true;
	for (int i = 0; i < RECEIVE_BURST && alive && more && ch->fd >= 0; i++)
		alive = receive_one(ch, &more);
	if (!alive)
		go_down(ch);
	ipc_channel_unref(ch);
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
	ipc_channel_unref(ch);
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
	ipc_fail_questions(ch, true);
	ipc_channel_unref(ch);
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
	ipc_flush(ch);
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
		ipc_flush(ch);
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
			(void)ipc_submit(ch, &head, &out, NULL);
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
	if (ipc_is_secret(p->head.type) && p->body.p == p->data)
		explicit_bzero(p->data, p->body.n);
	memmap_clear(&p->spilled);
	arena_clear(&p->arena);
	if (p->from) {
		ipc_packet_accept(p);
		ipc_channel_unref(p->from);
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
