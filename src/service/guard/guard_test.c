/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "service/guard/guard.h"
#include <stdio.h>
#include <stdlib.h>

#define HOUR_US (INT64_C(3600) * SEC_US)
#define START	(INT64_C(1763719200) * SEC_US)

static const struct guard_rules rules = {
	.new_max = 100, .failed_max = 50, .window_us = HOUR_US, .memory_us = 180 * 24 * HOUR_US};

struct place {
	char dir[40], path[80];
	struct guard *g;
};

static void open_guard(struct place *p)
{
	struct fail why = FAIL_INIT;
	assert_ok(guard_open(p->path, NULL, &p->g, &why), &why);
}

static void begin(struct place *p)
{
	*p = (struct place){.dir = "/tmp/barid-guard-XXXXXX"};
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->path, sizeof p->path, "%s/guard.db", p->dir);
	open_guard(p);
}

static void reopen(struct place *p)
{
	guard_close(p->g);
	open_guard(p);
}

static void end(struct place *p)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	guard_close(p->g);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char path[100];
		(void)snprintf(path, sizeof path, "%s%s", p->path, ends[i]);
		(void)remove(path);
	}
	assert_int_equal(remove(p->dir), 0);
}

/* Account 7 writes to strangers first..first+n-1. */
static struct guard_answer send_to(struct place *p, const struct guard_rules *u, unsigned first,
				   unsigned n, int64_t at, unsigned failed)
{
	char text[400][40];
	struct str rcpts[400];
	struct guard_answer a;
	struct fail why = FAIL_INIT;
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(text[i], sizeof text[i], "%s%u@far.test", i % 2 ? "S" : "s",
			       first + i);
		rcpts[i] = str_c(text[i]);
	}
	struct guard_message m = {.account = {7},
				  .rcpts = rcpts,
				  .n = n,
				  .all = n,
				  .failed = failed,
				  .now = {START + at}};
	assert_ok(guard_judge(p->g, u, &m, &a, &why), &why);
	return a;
}

static struct guard_answer send_from(struct place *p, const struct guard_rules *u, const char *ip,
				     unsigned rcpts, int64_t at)
{
	static const struct str to[] = {STR("old@far.test")};
	struct guard_answer a;
	struct fail why = FAIL_INIT;
	struct guard_message m = {.account = {7},
				  .rcpts = to,
				  .n = rcpts,
				  .all = 1,
				  .network = guard_network(str_c(ip)),
				  .now = {START + at}};
	assert_ok(guard_judge(p->g, u, &m, &a, &why), &why);
	return a;
}

static void networks_are_counted(void **state)
{
	(void)state;
	static const struct guard_rules few = {
		.networks_max = 3, .window_us = HOUR_US, .memory_us = 180 * 24 * HOUR_US};
	static const char *const same[] = {"192.0.2.1", "192.0.2.200", "2001:db8::1",
					   "2001:db8:0:ffff::1"};
	struct place p;
	struct fail why = FAIL_INIT;
	begin(&p);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		assert_int_equal(send_from(&p, &few, same[i], 1, 0).verdict, GUARD_PASS);
	/* A login counts as a message does; an hour later none of them does. */
	guard_login(p.g, (struct account_id){7}, STR("198.51.100.1"), (struct wall_us){START});
	assert_int_equal(send_from(&p, &few, "192.0.2.9", 1, SEC_US).verdict, GUARD_PASS);
	assert_int_equal(send_from(&p, &few, "203.0.113.1", 1, HOUR_US + SEC_US).verdict,
			 GUARD_PASS);
	for (unsigned i = 0; i < 2; i++) {
		char ip[30];
		(void)snprintf(ip, sizeof ip, "203.0.%u.1", i);
		assert_int_equal(send_from(&p, &few, ip, 1, HOUR_US + 2 * SEC_US).verdict,
				 GUARD_PASS);
	}
	/* Mail that stays here harms nobody. */
	assert_int_equal(send_from(&p, &few, "203.0.77.1", 0, HOUR_US + 3 * SEC_US).verdict,
			 GUARD_PASS);
	struct guard_answer a = send_from(&p, &few, "203.0.77.1", 1, HOUR_US + 3 * SEC_US);
	assert_int_equal(a.verdict, GUARD_HELD);
	assert_true(a.fresh);
	assert_string_equal(a.reason, "take-over guard: 4 networks within 60 minutes");
	/* Once it was the owner, these networks count no longer. */
	assert_ok(
		guard_release(p.g, (struct account_id){7}, (struct wall_us){START + HOUR_US}, &why),
		&why);
	assert_int_equal(send_from(&p, &few, "203.0.78.1", 1, HOUR_US + 4 * SEC_US).verdict,
			 GUARD_PASS);
	end(&p);
}

static void held_mail_has_a_bound(void **state)
{
	(void)state;
	struct guard_rules few = rules;
	struct place p;
	begin(&p);
	few.new_max = 1;
	few.held_max = 2;
	assert_int_equal(send_to(&p, &few, 0, 2, 0, 0).verdict, GUARD_HELD);
	assert_int_equal(send_to(&p, &few, 0, 2, SEC_US, 0).verdict, GUARD_HELD);
	assert_int_equal(send_to(&p, &few, 0, 2, 2 * SEC_US, 0).verdict, GUARD_RATE);
	end(&p);
}

static void traffic_is_listed(void **state)
{
	(void)state;
	struct guard_rules u = {.hour_messages = 100, .window_us = HOUR_US, .memory_us = HOUR_US};
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct guard_traffic *rows = NULL;
	struct fail why = FAIL_INIT;
	struct place p;
	size_t n = 0;
	begin(&p);
	(void)send_to(&p, &u, 0, 3, 0, 0);
	(void)send_to(&p, &u, 0, 2, 2 * HOUR_US, 0);
	assert_ok(guard_traffic_list(p.g, 10, (struct wall_us){START + 2 * HOUR_US}, &a, &rows, &n,
				     &why),
		  &why);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].account.v, 7);
	assert_int_equal(rows[0].hour_messages, 1);
	assert_int_equal(rows[0].hour_recipients, 2);
	assert_int_equal(rows[0].day_messages, 2);
	assert_int_equal(rows[0].day_recipients, 5);
	end(&p);
}

static void strangers_are_counted(void **state)
{
	(void)state;
	struct place p;
	begin(&p);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(send_to(&p, &rules, i, 1, i * SEC_US, 0).verdict, GUARD_PASS);
	/* Known ones never count, however often, and restarts change nothing. */
	reopen(&p);
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(send_to(&p, &rules, 0, 100, 200 * SEC_US, 0).verdict, GUARD_PASS);
	struct guard_answer a = send_to(&p, &rules, 100, 1, 300 * SEC_US, 0);
	assert_int_equal(a.verdict, GUARD_HELD);
	assert_true(a.fresh);
	assert_string_equal(a.reason, "take-over guard: 101 new recipients within 60 minutes");
	/* From then on everything is held, after a restart too. */
	reopen(&p);
	a = send_to(&p, &rules, 0, 1, 400 * SEC_US, 0);
	assert_int_equal(a.verdict, GUARD_HELD);
	assert_false(a.fresh);
	assert_string_equal(a.reason, "take-over guard: 101 new recipients within 60 minutes");
	end(&p);
}

static void windows_pass(void **state)
{
	(void)state;
	struct place p;
	begin(&p);
	assert_int_equal(send_to(&p, &rules, 0, 100, 0, 0).verdict, GUARD_PASS);
	assert_int_equal(send_to(&p, &rules, 100, 100, HOUR_US + SEC_US, 0).verdict, GUARD_PASS);
	/* Whom it has not written to for long is a stranger again. */
	assert_int_equal(send_to(&p, &rules, 0, 200, 181 * 24 * HOUR_US, 0).verdict, GUARD_HELD);
	end(&p);
}

static void refusals_count(void **state)
{
	(void)state;
	struct place p;
	begin(&p);
	assert_int_equal(send_to(&p, &rules, 0, 1, 0, 50).verdict, GUARD_PASS);
	struct guard_answer a = send_to(&p, &rules, 0, 1, SEC_US, 1);
	assert_int_equal(a.verdict, GUARD_HELD);
	assert_string_equal(a.reason, "take-over guard: 51 refused recipients within 60 minutes");
	end(&p);
}

static void operators_decide(void **state)
{
	(void)state;
	struct place p;
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct guard_row *rows = NULL;
	size_t n = 0;
	begin(&p);
	assert_int_equal(guard_release(p.g, (struct account_id){7}, (struct wall_us){START}, &why),
			 -FAIL_NOTFOUND);
	assert_int_equal(send_to(&p, &rules, 0, 300, 0, 0).verdict, GUARD_HELD);
	assert_int_equal(send_to(&p, &rules, 0, 300, 0, 0).fresh, false);
	assert_ok(guard_list(p.g, 10, &a, &rows, &n, &why), &why);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].account.v, 7);
	assert_int_equal(rows[0].messages, 2);
	assert_int_equal(rows[0].strangers, 300);
	/* It was not the owner: all are strangers as before. */
	assert_ok(guard_reject(p.g, (struct account_id){7}, &why), &why);
	assert_int_equal(send_to(&p, &rules, 0, 300, 0, 0).verdict, GUARD_HELD);
	/* It was: they are known, and count no more. */
	assert_ok(guard_release(p.g, (struct account_id){7}, (struct wall_us){START}, &why), &why);
	assert_int_equal(send_to(&p, &rules, 0, 300, 0, 0).verdict, GUARD_PASS);
	assert_int_equal(send_to(&p, &rules, 300, 100, 0, 0).verdict, GUARD_PASS);
	/* Who sends newsletters may. */
	assert_ok(guard_allow(p.g, (struct account_id){7}, true, &why), &why);
	assert_int_equal(send_to(&p, &rules, 1000, 400, 0, 0).verdict, GUARD_PASS);
	assert_ok(guard_allow(p.g, (struct account_id){7}, false, &why), &why);
	assert_int_equal(send_to(&p, &rules, 2000, 1, 0, 0).verdict, GUARD_HELD);
	end(&p);
}

static void rates_are_kept(void **state)
{
	(void)state;
	struct place p;
	struct guard_rules u = {.hour_messages = 3, .day_recipients = 10, .memory_us = HOUR_US};
	begin(&p);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(send_to(&p, &u, 0, 2, 0, 0).verdict, GUARD_PASS);
	struct guard_answer a = send_to(&p, &u, 0, 1, 0, 0);
	assert_int_equal(a.verdict, GUARD_RATE);
	assert_string_equal(a.reason, "3 messages an hour");
	/* What was refused does not count; the next hour has room, the day less. */
	reopen(&p);
	assert_int_equal(send_to(&p, &u, 0, 4, HOUR_US + 60 * SEC_US, 0).verdict, GUARD_PASS);
	a = send_to(&p, &u, 0, 1, HOUR_US + 60 * SEC_US, 0);
	assert_string_equal(a.reason, "10 recipients a day");
	assert_int_equal(send_to(&p, &u, 0, 10, 26 * HOUR_US, 0).verdict, GUARD_PASS);
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_are_counted), cmocka_unit_test(held_mail_has_a_bound),
		cmocka_unit_test(traffic_is_listed),	cmocka_unit_test(strangers_are_counted),
		cmocka_unit_test(windows_pass),		cmocka_unit_test(refusals_count),
		cmocka_unit_test(operators_decide),	cmocka_unit_test(rates_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
