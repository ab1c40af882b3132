/* SPDX-License-Identifier: Apache-2.0 */
#include "base/civil.h"
#include "base/test.h"

static struct wall_us at(int32_t y, uint8_t mo, uint8_t d, uint8_t h, uint8_t mi, uint8_t s)
{
	struct civil c = {.year = y, .month = mo, .day = d, .hour = h, .minute = mi, .second = s};
	struct wall_us t = {0};
	assert_true(us_from_civil(&c, &t));
	return t;
}

static void known_moments(void **state)
{
	(void)state;
	assert_int_equal(at(1970, 1, 1, 0, 0, 0).v, 0);
	assert_int_equal(at(2000, 2, 29, 12, 0, 0).v, INT64_C(951825600) * SEC_US);
	assert_int_equal(at(2026, 11, 22, 0, 13, 44).v, INT64_C(1795306424) * SEC_US);
	assert_int_equal(at(1969, 12, 31, 23, 59, 59).v, -SEC_US);

	struct civil c;
	civil_from_us((struct wall_us){-1}, &c);
	assert_int_equal(c.year, 1969);
	assert_int_equal(c.us, 999999);
	assert_int_equal(c.second, 59);
	civil_from_us((struct wall_us){INT64_MIN}, &c);
	assert_int_equal(c.year, 1600);
	civil_from_us((struct wall_us){INT64_MAX}, &c);
	assert_int_equal(c.year, 9999);
	assert_int_equal(c.month, 12);
	assert_int_equal(c.day, 31);
	assert_int_equal(c.hour, 23);
}

static void rfc3339(void **state)
{
	static const struct {
		const char *text;
		int64_t us; /* -1: it is none */
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-22T00:13:44Z", INT64_C(1795306424) * SEC_US},
		{"2026-11-22t01:13:44+01:00", INT64_C(1795306424) * SEC_US},
		{"2026-11-21T19:43:44-04:30", INT64_C(1795306424) * SEC_US},
		{"2026-11-22T00:13:44.25z", INT64_C(1795306424) * SEC_US + 250000},
		{"2026-11-22T00:13:44.1234567Z", INT64_C(1795306424) * SEC_US + 123456},
		{"2026-11-22T00:13:44.Z", -1},
		{"2026-11-22T00:13:44", -1},
		{"2026-11-22T00:13:44+0100", -1},
		{"2026-11-22T00:13:44+24:00", -1},
		{"2026-02-30T00:13:44Z", -1},
		{"2026-11-22 00:13:44Z", -1},
		{"2026-11-22T00:13:44Z ", -1},
		{"2026-11-2", -1},
		{"", -1},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct wall_us t = {-1};
		assert_int_equal(us_from_rfc3339(str_c(rows[i].text), &t), rows[i].us >= 0);
		assert_int_equal(t.v, rows[i].us);
	}
}

/* Every day of the supported years follows the one before it, in both directions. */
static void every_day_follows_the_one_before(void **state)
{
	(void)state;
	struct wall_us t = at(1600, 1, 1, 13, 14, 15);
	struct civil was;
	civil_from_us(t, &was);
	assert_int_equal(was.weekday, 6);
	for (;;) {
		struct civil c;
		struct wall_us back = {0};
		t.v += INT64_C(86400) * SEC_US;
		if (t.v > at(9999, 12, 31, 23, 59, 59).v)
			break;
		civil_from_us(t, &c);
		assert_true(us_from_civil(&c, &back) && back.v == t.v);
		bool next_day = c.year == was.year && c.month == was.month && c.day == was.day + 1;
		bool next_month = c.year == was.year && c.month == was.month + 1 && c.day == 1;
		bool next_year = c.year == was.year + 1 && c.month == 1 && c.day == 1;
		assert_true(next_day || (next_month && was.day >= 28) ||
			    (next_year && was.day == 31));
		assert_int_equal(c.weekday, (was.weekday + 1) % 7);
		was = c;
	}
	assert_int_equal(was.year, 9999);
	assert_int_equal(was.day, 31);
}

static void impossible_dates_are_refused(void **state)
{
	(void)state;
	const struct civil bad[] = {
		{.year = 1599, .month = 12, .day = 31},
		{.year = 10000, .month = 1, .day = 1},
		{.year = 2026, .month = 0, .day = 1},
		{.year = 2026, .month = 13, .day = 1},
		{.year = 2026, .month = 1, .day = 0},
		{.year = 2026, .month = 4, .day = 31},
		{.year = 1900, .month = 2, .day = 29},
		{.year = 2023, .month = 2, .day = 29},
		{.year = 2026, .month = 1, .day = 1, .hour = 24},
		{.year = 2026, .month = 1, .day = 1, .minute = 60},
		{.year = 2026, .month = 1, .day = 1, .second = 61},
		{.year = 2026, .month = 1, .day = 1, .us = 1000000},
	};
	struct wall_us t = {7};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(us_from_civil(&bad[i], &t));
	assert_int_equal(t.v, 7);
	assert_int_equal(at(2016, 12, 31, 23, 59, 60).v, at(2016, 12, 31, 23, 59, 59).v);
	assert_string_equal(civil_month_name(12), "Dec");
	assert_string_equal(civil_weekday_name(0), "Sun");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_moments),
		cmocka_unit_test(rfc3339),
		cmocka_unit_test(every_day_follows_the_one_before),
		cmocka_unit_test(impossible_dates_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
