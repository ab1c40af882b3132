/* SPDX-License-Identifier: Apache-2.0 */
/*
 * past.c - names of mailboxes as they were: "INBOX@2026-11-20T10:00:00Z".       [proto, imap]
 *
 * A mailbox that really has such a name comes first. The names are in no LIST.
 */
#include "base/civil.h"
#include "base/num.h"
#include "proto/imap/imap_int.h"

static bool number(struct str s, size_t from, size_t to, uint32_t *ret)
{
	return num_parse_u32(str_sub(s, from, to), ret);
}

bool past_name(struct str name, struct str *ret_mailbox, struct wall_us *ret)
{
	static const char form[] = "0000-00-00T00:00:00Z";
	const size_t n = sizeof form - 1;
	uint32_t year, month, day, hour, minute, second;
	if (name.n < n + 2 || name.p[name.n - n - 1] != '@')
		return false;
	struct str when = str_skip(name, name.n - n);
	for (size_t i = 0; i < n; i++)
		if (form[i] == '0' ? !ascii_digit(when.p[i]) : form[i] != when.p[i])
			return false;
	if (!number(when, 0, 4, &year) || !number(when, 5, 7, &month) ||
	    !number(when, 8, 10, &day) || !number(when, 11, 13, &hour) ||
	    !number(when, 14, 16, &minute) || !number(when, 17, 19, &second))
		return false;
	*ret_mailbox = str_sub(name, 0, name.n - n - 1);
	const struct civil c = {.year = (int32_t)year,
				.month = (uint8_t)month,
				.day = (uint8_t)day,
				.hour = (uint8_t)hour,
				.minute = (uint8_t)minute,
				.second = (uint8_t)second};
	return us_from_civil(&c, ret);
}
