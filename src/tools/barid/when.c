/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/barid/when.h"
#include "base/num.h"
#include "base/text.h"
#include "codec/logfmt/logfmt.h"
#include "sys/clock.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

bool when_read(const char *text, struct wall_us *ret)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = {{"s", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	static const char *const forms[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
					    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
	size_t digits = strspn(text, "0123456789");
	uint32_t n;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (digits && strcmp(text + digits, units[i].unit) == 0 &&
		    num_parse_u32(str_make(text, digits), &n)) {
			ret->v = clock_wall().v - n * units[i].seconds * SEC_US;
			return true;
		}
	if (str_ends(str_c(text), STR("Z")))
		return logfmt_time(str_c(text), ret);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, forms[i], &tm);
		if (end && *end == '\0') {
			ret->v = (int64_t)mktime(&tm) * SEC_US;
			return true;
		}
	}
	(void)fprintf(stderr, T("No time: %s. Give 2h, 3d, 2026-11-22 or \"2026-11-22 14:00\".\n"),
		      text);
	return false;
}
