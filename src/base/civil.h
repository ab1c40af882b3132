/* SPDX-License-Identifier: Apache-2.0 */
/*
 * civil.h - calendar dates and times of day from moments, and back.            [base]
 *
 * Proleptic Gregorian calendar in UTC, no leap seconds, no zones: add the offset of a zone before
 * civil_from_us and subtract it after us_from_civil. Years 1600 to 9999.
 */
#ifndef BARID_BASE_CIVIL_H
#define BARID_BASE_CIVIL_H

#include "ids.h"
#include "str.h"

struct civil {
	int32_t year;
	uint8_t month; /* 1..12 */
	uint8_t day;   /* 1..31 */
	uint8_t hour;
	uint8_t minute;
	uint8_t second;	 /* 0..59; a 60 (RFC 5322 leap second) is read as 59 by us_from_civil */
	uint8_t weekday; /* 0 = Sunday; ignored by us_from_civil */
	uint32_t us;	 /* 0..999999 */
};

/* Moments outside the years 1600..9999 are clamped to the first or last of them. */
void civil_from_us(struct wall_us t, struct civil *ret);
/* False when a field is out of range or the day does not exist in that month. */
bool us_from_civil(const struct civil *c, struct wall_us *ret);

/* "2026-11-22T11:27:00Z", with an offset ("+01:00") instead of Z, and with a fraction of a second,
 * down to microseconds (RFC 3339 section 5.6): all of s. */
bool us_from_rfc3339(struct str s, struct wall_us *ret);

/* "Sun".."Sat" for 0..6; "Jan".."Dec" for 1..12. */
const char *civil_weekday_name(unsigned weekday);
const char *civil_month_name(unsigned month);

#endif
