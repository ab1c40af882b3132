/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/imap/imap_date.h"
#include "base/civil.h"
#include "base/num.h"
#include "base/str.h"

#define DAY_US (86400 * SEC_US)
#define MIN_US (60 * SEC_US)

/* Exactly `digits` digits at the front. */
static bool cut_number(struct str *s, size_t digits, uint32_t *ret)
{
	if (s->n < digits || !num_parse_u32(str_sub(*s, 0, digits), ret))
		return false;
	*s = str_skip(*s, digits);
	return true;
}

static bool cut_char(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = str_skip(*s, 1);
	return true;
}

/* "Mon-yyyy" */
static bool cut_month_year(struct str *s, struct civil *c)
{
	uint32_t year;
	for (unsigned m = 1; m <= 12; m++) {
		if (!str_startsi(*s, str_c(civil_month_name(m))))
			continue;
		*s = str_skip(*s, 3);
		if (!cut_char(s, '-') || !cut_number(s, 4, &year))
			return false;
		c->month = (uint8_t)m;
		c->year = (int32_t)year;
		return true;
	}
	return false;
}

/* "d-Mon-yyyy", "dd-Mon-yyyy" or " d-Mon-yyyy" */
static bool cut_day(struct str *s, bool blank_allowed, struct civil *c)
{
	uint32_t day;
	if (blank_allowed)
		(void)cut_char(s, ' ');
	size_t digits = s->n > 1 && ascii_digit(s->p[1]) ? 2 : 1;
	if (!cut_number(s, digits, &day) || !cut_char(s, '-') || !cut_month_year(s, c))
		return false;
	c->day = (uint8_t)day;
	return true;
}

static bool cut_time(struct str *s, struct civil *c)
{
	uint32_t h;
	uint32_t m;
	uint32_t sec;
	if (!cut_number(s, 2, &h) || !cut_char(s, ':') || !cut_number(s, 2, &m) ||
	    !cut_char(s, ':') || !cut_number(s, 2, &sec))
		return false;
	c->hour = (uint8_t)h;
	c->minute = (uint8_t)m;
	c->second = (uint8_t)sec;
	return true;
}

static bool cut_zone(struct str *s, int *ret_min)
{
	uint32_t h;
	uint32_t m;
	bool west = cut_char(s, '-');
	if (!west && !cut_char(s, '+'))
		return false;
	if (!cut_number(s, 2, &h) || !cut_number(s, 2, &m) || h > 23 || m > 59)
		return false;
	int min = (int)(h * 60 + m);
	*ret_min = west ? -min : min;
	return true;
}

int imap_datetime_parse(struct str s, struct imap_datetime *ret)
{
	struct civil c = {0};
	struct wall_us at;
	int zone;
	if (!cut_day(&s, true, &c) || !cut_char(&s, ' ') || !cut_time(&s, &c) ||
	    !cut_char(&s, ' ') || !cut_zone(&s, &zone) || s.n > 0 || !us_from_civil(&c, &at))
		return -FAIL_SYNTAX;
	ret->at.v = at.v - zone * MIN_US;
	ret->zone_min = (int16_t)zone;
	return 0;
}

/* Two digits, the first one blank below ten if `blank`. */
static char *put_two(char *p, unsigned v, bool blank)
{
	*p++ = v < 10 && blank ? ' ' : (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

/* Not by printf: FETCH writes one for each message. Years of struct civil have four digits. */
int imap_datetime_write(struct buf *out, struct imap_datetime t)
{
	struct civil c;
	char text[28];
	char *p = text;
	civil_from_us((struct wall_us){t.at.v + t.zone_min * MIN_US}, &c);
	unsigned zone = (unsigned)(t.zone_min < 0 ? -t.zone_min : t.zone_min);
	*p++ = '"';
	p = put_two(p, c.day, true);
	*p++ = '-';
	memcpy(p, civil_month_name(c.month), 3);
	p += 3;
	*p++ = '-';
	p = put_two(p, (unsigned)c.year / 100, false);
	p = put_two(p, (unsigned)c.year % 100, false);
	*p++ = ' ';
	p = put_two(p, c.hour, false);
	*p++ = ':';
	p = put_two(p, c.minute, false);
	*p++ = ':';
	p = put_two(p, c.second, false);
	*p++ = ' ';
	*p++ = t.zone_min < 0 ? '-' : '+';
	p = put_two(p, zone / 60, false);
	p = put_two(p, zone % 60, false);
	*p++ = '"';
	return buf_add(out, str_make(text, (size_t)(p - text)));
}

int imap_day_parse(struct str s, int32_t *ret_day)
{
	struct civil c = {0};
	struct wall_us at;
	if (!cut_day(&s, false, &c) || s.n > 0 || !us_from_civil(&c, &at))
		return -FAIL_SYNTAX;
	*ret_day = imap_day_of((struct imap_datetime){.at = at});
	return 0;
}

int32_t imap_day_of(struct imap_datetime t)
{
	int64_t us = t.at.v + t.zone_min * MIN_US;
	return (int32_t)((us - (us < 0 ? DAY_US - 1 : 0)) / DAY_US);
}
