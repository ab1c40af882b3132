/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/test.h"
#include "runtime/worker.h"
#include <stdatomic.h>
#include <unistd.h>

#define LANES 8
#define JOBS  200

struct counted {
	struct job job;
	int lane;
	int number;
};
static struct counted jobs[LANES][JOBS];
static int next_of[LANES]; /* guarded by the lane's order alone: TSan proves it */
static _Atomic int done;

static void run(struct job *job)
{
	struct counted *c = CONTAINER_OF(job, struct counted, job);
	if (next_of[c->lane] == c->number)
		next_of[c->lane]++;
	if (c->number % 50 == 0)
		usleep(1000);
	atomic_fetch_add(&done, 1);
}

static void lanes_keep_their_order(void **state)
{
	(void)state;
	struct pool *p = pool_new("test", 4, 0);
	struct lane lanes[LANES];
	for (int l = 0; l < LANES; l++)
		lane_init(&lanes[l], p);
	for (int i = 0; i < JOBS; i++)
		for (int l = 0; l < LANES; l++) {
			jobs[l][i] = (struct counted){.job.run = run, .lane = l, .number = i};
			lane_submit(&lanes[l], &jobs[l][i].job);
		}
	assert_true(pool_threads(p) >= 1 && pool_threads(p) <= 4);
	pool_free(p); /* finishes what waits */
	assert_int_equal(atomic_load(&done), LANES * JOBS);
	for (int l = 0; l < LANES; l++)
		assert_int_equal(next_of[l], JOBS);
}

static void count_and_free(struct job *job)
{
	free(CONTAINER_OF(job, struct pool_job, job));
	atomic_fetch_add(&done, 1);
}

static void a_job_of_its_own_may_free_itself(void **state)
{
	(void)state;
	struct pool *p = pool_new("test", 4, 0);
	atomic_store(&done, 0);
	for (int i = 0; i < 2000; i++) {
		struct pool_job *j = xcalloc(1, sizeof *j);
		j->job.run = count_and_free;
		pool_submit(p, j);
	}
	pool_free(p);
	assert_int_equal(atomic_load(&done), 2000);
}

/* Threads come as they are needed, and one after another is enough for jobs that come one by one.
 */
static void idle_threads_are_used_again(void **state)
{
	(void)state;
	struct pool *p = pool_new("test", 4, 0);
	atomic_store(&done, 0);
	for (int i = 0; i < 200; i++) {
		struct pool_job *j = xcalloc(1, sizeof *j);
		j->job.run = count_and_free;
		pool_submit(p, j);
		while (atomic_load(&done) <= i)
			usleep(10);
		usleep(50); /* it goes back to sleep */
	}
	assert_true(pool_threads(p) <= 2);
	pool_free(p);
}

/* --- tenants --- */

#define NOISY 20

static _Atomic int noisy_now, noisy_peak, noisy_done;
static struct counted noisy[NOISY], quiet;
static _Atomic bool quiet_ran;

static void run_noisy(struct job *job)
{
	(void)job;
	int now = atomic_fetch_add(&noisy_now, 1) + 1;
	int peak = atomic_load(&noisy_peak);
	while (now > peak && !atomic_compare_exchange_weak(&noisy_peak, &peak, now))
		;
	usleep(5000);
	atomic_fetch_sub(&noisy_now, 1);
	atomic_fetch_add(&noisy_done, 1);
}

static void run_quiet(struct job *job)
{
	(void)job;
	atomic_store(&quiet_ran, true);
	assert_true(atomic_load(&noisy_done) < NOISY / 2);
}

static void a_tenant_leaves_room_for_others(void **state)
{
	static const unsigned max[LANE_TENANTS] = {2, 3};
	struct lane lanes[NOISY], other;
	(void)state;
	struct pool *p = pool_new("test", 4, 0);
	pool_tenant_max(p, max);
	for (int i = 0; i < NOISY; i++) {
		lane_init(&lanes[i], p);
		lane_tenants(&lanes[i], (const uint64_t[]){7, 70});
		noisy[i].job.run = run_noisy;
		lane_submit(&lanes[i], &noisy[i].job);
	}
	lane_init(&other, p);
	lane_tenants(&other, (const uint64_t[]){8, 70}); /* another account of the same domain */
	quiet.job.run = run_quiet;
	lane_submit(&other, &quiet.job);
	pool_free(p);
	assert_true(atomic_load(&quiet_ran));
	assert_int_equal(atomic_load(&noisy_done), NOISY);
	assert_true(atomic_load(&noisy_peak) >= 1 && atomic_load(&noisy_peak) <= 2);
}

static void a_domain_has_its_limit_too(void **state)
{
	static const unsigned max[LANE_TENANTS] = {0, 3};
	struct lane lanes[NOISY];
	(void)state;
	atomic_store(&noisy_peak, 0);
	atomic_store(&noisy_done, 0);
	struct pool *p = pool_new("test", 8, 0);
	pool_tenant_max(p, max);
	for (int i = 0; i < NOISY; i++) {
		lane_init(&lanes[i], p);
		lane_tenants(&lanes[i], (const uint64_t[]){(uint64_t)i + 1, 70});
		lane_submit(&lanes[i], &noisy[i].job);
	}
	pool_free(p);
	assert_int_equal(atomic_load(&noisy_done), NOISY);
	assert_true(atomic_load(&noisy_peak) >= 1 && atomic_load(&noisy_peak) <= 3);
}

static _Atomic bool hold_on[2];
static _Atomic int behind_done;

static void run_held(struct job *job)
{
	const struct counted *c = CONTAINER_OF(job, struct counted, job);
	while (atomic_load(&hold_on[c->number]))
		usleep(100);
}

static void run_behind(struct job *job)
{
	(void)job;
	atomic_fetch_add(&behind_done, 1);
}

/* Who comes next has to wait for somebody else: those behind it go all the same. */
static void a_place_is_not_lost(void **state)
{
	static const unsigned max[LANE_TENANTS] = {1, 1};
	static const uint64_t tenants[4][LANE_TENANTS] = {{7, 0}, {0, 80}, {7, 0}, {7, 0}};
	static struct counted held[2];
	static struct job behind[2] = {{.run = run_behind}, {.run = run_behind}};
	struct lane lanes[4];
	(void)state;
	struct pool *p = pool_new("test", 4, 0);
	pool_tenant_max(p, max);
	for (int i = 0; i < 4; i++) {
		lane_init(&lanes[i], p);
		lane_tenants(&lanes[i], tenants[i]);
		if (i < 2) {
			atomic_store(&hold_on[i], true);
			held[i] = (struct counted){.job.run = run_held, .number = i};
		}
		lane_submit(&lanes[i], i < 2 ? &held[i].job : &behind[i - 2]);
	}
	/* The first that waits turns out to be of the other's domain. */
	lane_tenants(&lanes[2], (const uint64_t[]){7, 80});
	atomic_store(&hold_on[0], false);
	for (int i = 0; i < 20000 && atomic_load(&behind_done) < 1; i++)
		usleep(100);
	assert_int_equal(atomic_load(&behind_done), 1);
	atomic_store(&hold_on[1], false);
	pool_free(p);
	assert_int_equal(atomic_load(&behind_done), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lanes_keep_their_order),
		cmocka_unit_test(a_job_of_its_own_may_free_itself),
		cmocka_unit_test(idle_threads_are_used_again),
		cmocka_unit_test(a_tenant_leaves_room_for_others),
		cmocka_unit_test(a_domain_has_its_limit_too),
		cmocka_unit_test(a_place_is_not_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
