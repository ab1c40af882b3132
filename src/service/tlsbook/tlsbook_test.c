/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "service/tlsbook/tlsbook.h"
#include <stdio.h>
#include <stdlib.h>

#define DAY_US (INT64_C(86400) * 1000000)

struct place {
	char dir[40], path[80];
};

static struct place make_place(void)
{
	struct place p = {.dir = "/tmp/barid-tlsbook-XXXXXX"};
	assert_non_null(mkdtemp(p.dir));
	(void)snprintf(p.path, sizeof p.path, "%s/tls.db", p.dir);
	return p;
}

static void remove_place(const struct place *p)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char path[100];
		(void)snprintf(path, sizeof path, "%s%s", p->path, ends[i]);
		(void)remove(path);
	}
	assert_int_equal(remove(p->dir), 0);
}

static struct tlsbook *open_book(const struct place *p)
{
	struct fail why = FAIL_INIT;
	struct tlsbook *b = NULL;
	assert_ok(tlsbook_open(p->path, NULL, &b, &why), &why);
	return b;
}

static void policies_outlive_a_restart(void **state)
{
	(void)state;
	struct place place = make_place();
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct tlsbook *b = open_book(&place);
	struct tlsbook_policy p = {STR("far.test"), STR("1"), {5}, {100}, STR("version: STSv1\n")};
	assert_ok(tlsbook_keep(b, &p, &why), &why);
	p.id = STR("2"); /* in place of the first */
	assert_ok(tlsbook_keep(b, &p, &why), &why);
	tlsbook_close(b);
	b = open_book(&place);
	struct tlsbook_policy got = {0};
	assert_int_equal(tlsbook_find(b, STR("far.test"), (struct wall_us){99}, &a, &got, &why), 1);
	assert_true(str_eq(got.id, STR("2")) && str_eq(got.text, p.text));
	assert_int_equal(got.fetched.v, 5);
	assert_int_equal(tlsbook_find(b, STR("far.test"), (struct wall_us){100}, &a, &got, &why),
			 0);
	assert_int_equal(tlsbook_find(b, STR("test"), (struct wall_us){0}, &a, &got, &why), 0);
	struct tlsbook_policy *all = NULL;
	size_t n = 0;
	assert_ok(tlsbook_policies(b, 10, &a, &all, &n, &why), &why);
	assert_int_equal(n, 1);
	tlsbook_close(b);
	remove_place(&place);
}

static struct tlsbook_sessions went(uint32_t day, const char *domain, const char *result)
{
	return (struct tlsbook_sessions){.day = day,
					 .domain = str_c(domain),
					 .policy = STR("sts"),
					 .result = str_c(result),
					 .mx = STR("mx.far.test"),
					 .ip = STR("192.0.2.1"),
					 .reason = STR("because"),
					 .count = 1};
}

static void sessions_are_summed(void **state)
{
	(void)state;
	struct place place = make_place();
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct tlsbook *b = open_book(&place);
	struct tlsbook_sessions s = went(100, "far.test", "ok");
	tlsbook_count(b, &s);
	tlsbook_count(b, &s);
	assert_ok(tlsbook_flush(b, (struct wall_us){100 * DAY_US}, &why), &why);
	tlsbook_count(b, &s);
	s = went(100, "far.test", "certificate-expired");
	tlsbook_count(b, &s);
	s = went(101, "other.test", "ok");
	tlsbook_count(b, &s);
	tlsbook_close(b); /* what was not flushed is written */
	b = open_book(&place);
	struct tlsbook_sessions *all = NULL;
	size_t n = 0;
	struct tlsbook_span span = {.domain = STR("far.test"), .from = 0, .to = 200, .max = 10};
	assert_ok(tlsbook_report(b, &span, &a, &all, &n, &why), &why);
	assert_int_equal(n, 2);
	assert_true(str_eq(all[0].result, STR("ok")) && all[0].count == 3);
	assert_true(str_eq(all[1].result, STR("certificate-expired")) && all[1].count == 1);
	assert_true(str_eq(all[1].reason, STR("because")) && str_eq(all[1].ip, STR("192.0.2.1")));
	span = (struct tlsbook_span){.from = 101, .to = 101, .max = 10};
	assert_ok(tlsbook_report(b, &span, &a, &all, &n, &why), &why);
	assert_true(n == 1 && str_eq(all[0].domain, STR("other.test")));
	/* After 30 days the first day goes. */
	s = went(131, "far.test", "ok");
	tlsbook_count(b, &s);
	assert_ok(tlsbook_flush(b, (struct wall_us){131 * DAY_US}, &why), &why);
	span = (struct tlsbook_span){.to = 200, .max = 10};
	assert_ok(tlsbook_report(b, &span, &a, &all, &n, &why), &why);
	assert_int_equal(n, 2);
	assert_int_equal(all[0].day, 131);
	tlsbook_close(b);
	remove_place(&place);
}

static void kinds_are_bounded(void **state)
{
	(void)state;
	struct place place = make_place();
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(16));
	struct tlsbook *b = open_book(&place);
	for (unsigned i = 0; i < TLSBOOK_KINDS + 500; i++) {
		char ip[40];
		(void)snprintf(ip, sizeof ip, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		struct tlsbook_sessions s = went(1, "far.test", "validation-failure");
		s.ip = str_c(ip);
		tlsbook_count(b, &s);
	}
	struct tlsbook_sessions *all = NULL;
	size_t n = 0;
	uint64_t sum = 0;
	struct tlsbook_span span = {.to = 200, .max = TLSBOOK_KINDS + 1000};
	assert_ok(tlsbook_report(b, &span, &a, &all, &n, &why), &why);
	assert_int_equal(n, TLSBOOK_KINDS + 1);
	for (size_t i = 0; i < n; i++)
		sum += all[i].count;
	assert_int_equal(sum, TLSBOOK_KINDS + 500);
	tlsbook_close(b);
	remove_place(&place);
}

static void reports_are_due_once(void **state)
{
	(void)state;
	struct place place = make_place();
	struct fail why = FAIL_INIT;
	AUTO(arena) struct arena a = ARENA_INIT(MIB(1));
	struct tlsbook_due due;
	struct tlsbook *b = open_book(&place);
	static const char *const names[] = {"c.test", "a.test", "b.test"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct tlsbook_sessions s = went(100, names[i], "ok");
		tlsbook_count(b, &s);
		s = went(100, names[i], "validation-failure");
		tlsbook_count(b, &s);
	}
	assert_ok(tlsbook_due(b, 100, STR(""), &a, &due, &why), &why);
	assert_int_equal(due.n, 3);
	assert_str(due.v[0], "a.test");
	assert_str(due.v[1], "b.test");
	assert_ok(tlsbook_reported(b, 100, STR("b.test"), &why), &why);
	assert_ok(tlsbook_reported(b, 100, STR("b.test"), &why), &why);
	assert_ok(tlsbook_due(b, 100, STR("a.test"), &a, &due, &why), &why);
	assert_int_equal(due.n, 1);
	assert_str(due.v[0], "c.test");
	assert_ok(tlsbook_due(b, 99, STR(""), &a, &due, &why), &why);
	assert_int_equal(due.n, 0);
	tlsbook_close(b);
	remove_place(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_outlive_a_restart),
		cmocka_unit_test(sessions_are_summed),
		cmocka_unit_test(kinds_are_bounded),
		cmocka_unit_test(reports_are_due_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
