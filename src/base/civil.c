/* SPDX-License-Identifier: Apache-2.0 */
#include "base/civil.h"
#include "base/num.h"

#define DAY_US	 (INT64_C(86400) * SEC_US)
#define FIRST_US (INT64_C(-135140) * DAY_US)	 /* 1600-01-01 */
#define LAST_US	 (INT64_C(2932897) * DAY_US - 1) /* the end of 9999-12-31 */

/*
 * Years are counted from 1 March, so that the leap day is the last of its year, in eras of 400
 * years = 146097 days. EPOCH_SHIFT is the number of days from 0000-03-01 to 1970-01-01.
 */
#define ERA_DAYS    INT64_C(146097)
#define EPOCH_SHIFT INT64_C(719468)

static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400; /* y is never negative here */
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (int64_t)((month + 9) % 12) + 2) / 5 + (int64_t)day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * ERA_DAYS + day_of_era - EPOCH_SHIFT;
}

static void date_from_days(int64_t days, struct civil *ret)
{
	int64_t z = days + EPOCH_SHIFT;
	int64_t era = z / ERA_DAYS;
	int64_t day_of_era = z - era * ERA_DAYS;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t from_march = (5 * day_of_year + 2) / 153;
	ret->day = (uint8_t)(day_of_year - (153 * from_march + 2) / 5 + 1);
	ret->month = (uint8_t)(from_march < 10 ? from_march + 3 : from_march - 9);
	ret->year = (int32_t)(year_of_era + era * 400 + (ret->month <= 2));
}

void civil_from_us(struct wall_us t, struct civil *ret)
{
	int64_t us = MIN(MAX(t.v, FIRST_US), LAST_US) - FIRST_US; /* >= 0: divisions round down */
	int64_t days = us / DAY_US + FIRST_US / DAY_US;
	int64_t second = us % DAY_US / SEC_US;
	date_from_days(days, ret);
	ret->hour = (uint8_t)(second / 3600);
	ret->minute = (uint8_t)(second / 60 % 60);
	ret->second = (uint8_t)(second % 60);
	ret->us = (uint32_t)(us % SEC_US);
	ret->weekday =
		(uint8_t)((days - FIRST_US / DAY_US + 6) % 7); /* 1600-01-01 was a Saturday */
}

static unsigned month_days(int32_t year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool us_from_civil(const struct civil *c, struct wall_us *ret)
{
	if (c->year < 1600 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
	    c->day > month_days(c->year, c->month))
		return false;
	if (c->hour > 23 || c->minute > 59 || c->second > 60 || c->us > 999999)
		return false;
	int64_t second = c->hour * 3600 + c->minute * 60 + MIN(c->second, 59);
	ret->v = days_from_date(c->year, c->month, c->day) * DAY_US + second * SEC_US + c->us;
	return true;
}

const char *civil_weekday_name(unsigned weekday)
{
	static const char names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	return names[weekday % 7];
}

const char *civil_month_name(unsigned month)
{
	static const char names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	return names[(month + 11) % 12];
}

/* --- RFC 3339 --- */

static bool digits(struct str s, size_t at, size_t n, uint32_t *ret)
{
	return at + n <= s.n && num_parse_u32(str_sub(s, at, at + n), ret);
}

/* The fraction, if there is one: digits beyond microseconds are not looked at. */
static bool fraction(struct str *rest, uint32_t *ret_us)
{
	uint32_t unit = 100000;
	size_t n = 0;
	*ret_us = 0;
	if (rest->n == 0 || rest->p[0] != '.')
		return true;
	*rest = str_skip(*rest, 1);
	for (; n < rest->n && ascii_digit(rest->p[n]); n++, unit /= 10)
		*ret_us += unit * (uint32_t)(rest->p[n] - '0');
	*rest = str_skip(*rest, n);
	return n > 0;
}

/* In seconds east of Greenwich. */
static bool zone(struct str s, int64_t *ret)
{
	uint32_t hours, minutes;
	*ret = 0;
	if (str_eqi(s, STR("Z")))
		return true;
	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' ||
	    !digits(s, 1, 2, &hours) || !digits(s, 4, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret = (int64_t)(hours * 60 + minutes) * 60 * (s.p[0] == '-' ? -1 : 1);
	return true;
}

bool us_from_rfc3339(struct str s, struct wall_us *ret)
{
	uint32_t year, month, day, hour, minute, second, us;
	int64_t east;
	struct str rest = str_skip(s, 19);
	struct wall_us t;
	if (!digits(s, 0, 4, &year) || !digits(s, 5, 2, &month) || !digits(s, 8, 2, &day) ||
	    !digits(s, 11, 2, &hour) || !digits(s, 14, 2, &minute) || !digits(s, 17, 2, &second) ||
	    s.p[4] != '-' || s.p[7] != '-' || ascii_lower(s.p[10]) != 't' || s.p[13] != ':' ||
	    s.p[16] != ':' || !fraction(&rest, &us) || !zone(rest, &east))
		return false;
	struct civil c = {.year = (int32_t)year,
			  .month = (uint8_t)month,
			  .day = (uint8_t)day,
			  .hour = (uint8_t)hour,
			  .minute = (uint8_t)minute,
			  .second = (uint8_t)second,
			  .us = us};
	if (!us_from_civil(&c, &t))
		return false;
	ret->v = t.v - east * SEC_US;
	return true;
}
