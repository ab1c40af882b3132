/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/loop.h"
#include "base/check.h"
#include "base/vec.h"
#include "sys/clock.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * epoll carries slot number and generation, never a pointer: a slot that was removed (or given to
 * another descriptor) since the event was fetched does not match, and the event is dropped.
 */
struct slot {
	struct loop_io *io; /* NULL = free */
	uint32_t generation;
	uint32_t watched; /* what epoll has been told; io->events may be newer */
	bool changed;	  /* in loop->changed */
};

struct loop {
	int epoll_fd;
	int wake_fd;
	pthread_t thread;
	_Atomic bool stop;
	struct mono_ns now;
	VEC(struct slot) slots;
	VEC(uint32_t) free_slots;
	VEC(uint32_t) changed;	       /* index + 1: told to epoll before the loop sleeps */
	VEC(struct loop_timer *) heap; /* earliest first */
	pthread_mutex_t lock;	       /* guards posted and asleep */
	struct list posted;
	bool asleep; /* whoever posts must wake it; awake, it looks at `posted` before it sleeps */
};

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof *l);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(l->epoll_fd >= 0 && l->wake_fd >= 0);
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->posted);
	l->thread = pthread_self();
	l->now = clock_mono();
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 0};
	CHECK(epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) == 0);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	(void)close(l->epoll_fd);
	(void)close(l->wake_fd);
	vec_clear(&l->slots);
	vec_clear(&l->free_slots);
	vec_clear(&l->changed);
	vec_clear(&l->heap);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void control(struct loop *l, int op, struct loop_io *io)
{
	struct slot *s = &l->slots.p[io->slot - 1];
	struct epoll_event ev = {.events = io->events,
				 .data.u64 = (uint64_t)s->generation << 32 | io->slot};
	CHECK(epoll_ctl(l->epoll_fd, op, io->fd, &ev) == 0);
	s->watched = io->events;
}

void loop_add(struct loop *l, struct loop_io *io, int fd, uint32_t events)
{
	if (l->free_slots.n) {
		io->slot = *vec_pop(&l->free_slots);
	} else {
		(void)vec_push(&l->slots);
		io->slot = (uint32_t)l->slots.n;
	}
	l->slots.p[io->slot - 1].io = io;
	io->fd = fd;
	io->events = events;
	control(l, EPOLL_CTL_ADD, io);
}

void loop_want(struct loop *l, struct loop_io *io, uint32_t events)
{
	if (io->events == events || !io->slot)
		return;
	io->events = events;
	struct slot *s = &l->slots.p[io->slot - 1];
	if (!s->changed)
		*vec_push(&l->changed) = io->slot;
	s->changed = true;
}

/* Most changes are taken back before anybody looks: output is queued, and written at once. */
static void tell_changes(struct loop *l)
{
	for (size_t i = 0; i < l->changed.n; i++) {
		struct slot *s = &l->slots.p[l->changed.p[i] - 1];
		s->changed = false;
		if (s->io && s->io->events != s->watched)
			control(l, EPOLL_CTL_MOD, s->io);
	}
	l->changed.n = 0;
}

void loop_remove(struct loop *l, struct loop_io *io)
{
	if (!io->slot)
		return;
	struct slot *s = &l->slots.p[io->slot - 1];
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
	s->io = NULL;
	s->generation++;
	*vec_push(&l->free_slots) = io->slot;
	io->slot = 0;
	io->fd = -1;
}

static bool earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->at.v < b->at.v;
}

static void place(struct loop *l, size_t i, struct loop_timer *t)
{
	l->heap.p[i] = t;
	t->pos = i + 1;
}

static void sift_up(struct loop *l, size_t i, struct loop_timer *t)
{
	for (; i > 0 && earlier(t, l->heap.p[(i - 1) / 2]); i = (i - 1) / 2)
		place(l, i, l->heap.p[(i - 1) / 2]);
	place(l, i, t);
}

static void sift_down(struct loop *l, size_t i, struct loop_timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= l->heap.n)
			break;
		if (child + 1 < l->heap.n && earlier(l->heap.p[child + 1], l->heap.p[child]))
			child++;
		if (!earlier(l->heap.p[child], t))
			break;
		place(l, i, l->heap.p[child]);
		i = child;
	}
	place(l, i, t);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	if (!t->pos)
		return;
	size_t i = t->pos - 1;
	t->pos = 0;
	struct loop_timer *last = *vec_pop(&l->heap);
	if (last == t)
		return;
	if (i > 0 && earlier(last, l->heap.p[(i - 1) / 2]))
		sift_up(l, i, last);
	else
		sift_down(l, i, last);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, struct mono_ns at)
{
	loop_timer_clear(l, t);
	t->at = at;
	(void)vec_push(&l->heap);
	sift_up(l, l->heap.n - 1, t);
}

void loop_timer_in(struct loop *l, struct loop_timer *t, int64_t ms)
{
	loop_timer_set(l, t, (struct mono_ns){clock_mono().v + ms * MS_NS});
}

static void wake(struct loop *l)
{
	uint64_t one = 1;
	(void)!write(l->wake_fd, &one, sizeof one);
}

void loop_post(struct loop *l, struct loop_task *task)
{
	pthread_mutex_lock(&l->lock);
	list_append(&l->posted, &task->link);
	bool must_wake = l->asleep;
	l->asleep = false;
	pthread_mutex_unlock(&l->lock);
	if (must_wake)
		wake(l);
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	wake(l);
}

bool loop_is_own_thread(const struct loop *l)
{
	return pthread_equal(l->thread, pthread_self());
}

void loop_clock_bent(struct loop *l)
{
	l->now = clock_mono();
}

struct mono_ns loop_now(const struct loop *l)
{
	return l->now;
}

/* True when nothing is posted: from now on, who posts wakes us. */
static bool may_sleep(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->asleep = list_empty(&l->posted);
	bool asleep = l->asleep;
	pthread_mutex_unlock(&l->lock);
	return asleep;
}

/* What is posted from now on is seen at the end of the round. */
static void wake_up(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->asleep = false;
	pthread_mutex_unlock(&l->lock);
}

/* What a task posts runs in the next round, so that sockets and timers have their turn. */
static void run_posted(struct loop *l)
{
	struct list batch = LIST_INIT(batch);
	pthread_mutex_lock(&l->lock);
	for (struct list *n; (n = list_pop(&l->posted));)
		list_append(&batch, n);
	pthread_mutex_unlock(&l->lock);
	for (struct list *n; (n = list_pop(&batch));) {
		struct loop_task *task = CONTAINER_OF(n, struct loop_task, link);
		task->run(task);
	}
}

static void run_timers(struct loop *l)
{
	while (l->heap.n && l->heap.p[0]->at.v <= l->now.v) {
		struct loop_timer *t = l->heap.p[0];
		loop_timer_clear(l, t);
		t->fire(t);
	}
}

static int sleep_ms(struct loop *l, int max_ms)
{
	if (!l->heap.n)
		return max_ms;
	int64_t ms = (l->heap.p[0]->at.v - clock_mono().v + MS_NS - 1) / MS_NS;
	if (ms < 0)
		ms = 0;
	return max_ms < 0 || ms < max_ms ? (int)MIN(ms, INT64_C(3600000)) : max_ms;
}

void loop_step(struct loop *l, int max_ms)
{
	struct epoll_event events[128];
	tell_changes(l);
	int ms = may_sleep(l) ? sleep_ms(l, max_ms) : 0;
	int n = epoll_wait(l->epoll_fd, events, (int)ARRAY_LEN(events), ms);
	CHECK(n >= 0 || errno == EINTR);
	wake_up(l);
	l->now = clock_mono();
	for (int i = 0; i < n; i++) {
		uint32_t slot = (uint32_t)events[i].data.u64;
		uint32_t generation = (uint32_t)(events[i].data.u64 >> 32);
		if (slot == 0) {
			uint64_t count;
			(void)!read(l->wake_fd, &count, sizeof count);
			continue;
		}
		struct slot *s = &l->slots.p[slot - 1];
		if (s->io && s->generation == generation)
			s->io->ready(s->io, events[i].events);
	}
	run_posted(l);
	run_timers(l);
}

void loop_run(struct loop *l)
{
	l->thread = pthread_self();
	while (!atomic_load(&l->stop))
		loop_step(l, -1);
}
