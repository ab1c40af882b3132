/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "runtime/loop.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

static int order[100];
static size_t order_n;

struct numbered {
	struct loop_timer timer;
	struct loop_task task;
	int number;
};

static void note_timer(struct loop_timer *t)
{
	order[order_n++] = CONTAINER_OF(t, struct numbered, timer)->number;
}

static void timers_fire_in_order_and_can_be_cleared(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	struct numbered t[20] = {0};
	order_n = 0;
	for (int i = 0; i < 20; i++) {
		t[i].number = (i * 7) % 20;
		t[i].timer.fire = note_timer;
		loop_timer_in(l, &t[i].timer, t[i].number);
	}
	for (int i = 0; i < 20; i++)
		if (t[i].number % 2)
			loop_timer_clear(l, &t[i].timer);
	for (int i = 0; i < 200 && order_n < 10; i++)
		loop_step(l, 50);
	assert_int_equal(order_n, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(order[i], i * 2);
	loop_free(l);
}

struct echo {
	struct loop_io a, b;
	struct loop *l;
	int calls;
};

/* Both ends become readable at once; the first to run removes the other, which must not be called.
 */
static void remove_other(struct loop_io *io, uint32_t events)
{
	(void)events;
	struct echo *e = *(struct echo **)(void *)(io + 1);
	e->calls++;
}

struct with_owner {
	struct loop_io io;
	struct echo *owner;
	struct with_owner *other;
};

static void remove_and_count(struct loop_io *io, uint32_t events)
{
	struct with_owner *w = CONTAINER_OF(io, struct with_owner, io);
	remove_other(io, events);
	loop_remove(w->owner->l, &w->other->io);
	loop_remove(w->owner->l, io);
}

static void events_of_a_removed_descriptor_are_dropped(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	int p[2], q[2];
	assert_int_equal(pipe(p), 0);
	assert_int_equal(pipe(q), 0);
	struct echo e = {.l = l};
	struct with_owner x = {.owner = &e}, y = {.owner = &e};
	x.other = &y;
	y.other = &x;
	x.io.ready = y.io.ready = remove_and_count;
	loop_add(l, &x.io, p[0], EPOLLIN);
	loop_add(l, &y.io, q[0], EPOLLIN);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(write(q[1], "x", 1), 1);
	loop_step(l, 1000);
	loop_step(l, 0);
	assert_int_equal(e.calls, 1);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
	loop_free(l);
}

/* epoll is told of changes before the loop sleeps: of what is wanted then, and of whom. */
static void changes_count_as_they_are_when_the_loop_sleeps(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	int p[2], q[2];
	assert_int_equal(pipe(p), 0);
	assert_int_equal(pipe(q), 0);
	struct echo e = {.l = l};
	struct with_owner x = {.owner = &e, .other = &x}, y = {.owner = &e, .other = &y};
	x.io.ready = y.io.ready = remove_and_count;
	assert_int_equal(write(p[1], "x", 1), 1);
	loop_add(l, &x.io, p[0], EPOLLIN);
	loop_want(l, &x.io, 0);
	loop_step(l, 0);
	assert_int_equal(e.calls, 0);
	loop_want(l, &x.io, EPOLLIN); /* and then another takes its place */
	loop_remove(l, &x.io);
	loop_add(l, &y.io, q[0], 0);
	loop_step(l, 0);
	assert_int_equal(e.calls, 0);
	assert_int_equal(write(q[1], "x", 1), 1);
	loop_want(l, &y.io, EPOLLIN);
	loop_want(l, &y.io, 0);
	loop_want(l, &y.io, EPOLLIN);
	loop_step(l, 1000);
	assert_int_equal(e.calls, 1);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
	loop_free(l);
}

static struct loop *shared;
static void note_task(struct loop_task *task)
{
	struct numbered *t = CONTAINER_OF(task, struct numbered, task);
	order[order_n++] = t->number;
	if (t->number == 99)
		loop_stop(shared);
}

static void *post_many(void *arg)
{
	struct numbered *t = arg;
	for (int i = 0; i < 100; i++)
		loop_post(shared, &t[i].task);
	return NULL;
}

static void posted_tasks_run_in_order_on_the_loop(void **state)
{
	(void)state;
	static struct numbered t[100];
	shared = loop_new();
	order_n = 0;
	for (int i = 0; i < 100; i++)
		t[i] = (struct numbered){.number = i, .task.run = note_task};
	pthread_t thread;
	pthread_create(&thread, NULL, post_many, t);
	loop_run(shared);
	pthread_join(thread, NULL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(order[i], i);
	loop_free(shared);
}

/* A task that posts another lets timers and sockets have their turn in between, and no post is
 * lost. */
static struct numbered chain[3];
static void post_next(struct loop_task *task)
{
	struct numbered *t = CONTAINER_OF(task, struct numbered, task);
	order[order_n++] = t->number;
	if (t->number < 2)
		loop_post(shared, &chain[t->number + 1].task);
}

static void a_task_may_post(void **state)
{
	(void)state;
	struct numbered timer = {.timer.fire = note_timer, .number = 50};
	shared = loop_new();
	order_n = 0;
	for (int i = 0; i < 3; i++)
		chain[i] = (struct numbered){.number = i, .task.run = post_next};
	loop_timer_in(shared, &timer.timer, 0);
	loop_post(shared, &chain[0].task);
	for (int i = 0; i < 3; i++)
		loop_step(shared, 10000); /* never sleeps while something is posted */
	assert_int_equal(order_n, 4);
	assert_int_equal(order[0], 0);
	assert_int_equal(order[1], 50);
	assert_int_equal(order[2], 1);
	assert_int_equal(order[3], 2);
	loop_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order_and_can_be_cleared),
		cmocka_unit_test(events_of_a_removed_descriptor_are_dropped),
		cmocka_unit_test(changes_count_as_they_are_when_the_loop_sleeps),
		cmocka_unit_test(posted_tasks_run_in_order_on_the_loop),
		cmocka_unit_test(a_task_may_post),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
