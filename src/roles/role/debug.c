/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/role/debug.h"
#include "base/num.h"
#include "runtime/loop.h"
#include "sys/clock.h"
#include "sys/crash.h"
#include "sys/fs_order.h"
#include <stdio.h>

static bool microseconds(struct str text, int64_t *ret)
{
	uint64_t v;
	bool back = str_starts(text, STR("-"));
	if (!num_parse_u64(str_skip(text, back), &v) || v > INT64_MAX)
		return false;
	*ret = back ? -(int64_t)v : (int64_t)v;
	return true;
}

static bool crash_point(struct str text)
{
	char name[200];
	struct str head = text;
	uint32_t nth = 1;
	size_t blank = str_find(text, 0, ' ');
	if (blank < text.n) {
		head = str_sub(text, 0, blank);
		if (!num_parse_u32(str_skip(text, blank + 1), &nth))
			return false;
	}
	(void)snprintf(name, sizeof name, "%.*s", STR_ARG(head));
	return crash_arm(name, nth);
}

static bool pause_point(struct str text)
{
	char name[200];
	(void)snprintf(name, sizeof name, "%.*s", STR_ARG(text));
	return crash_arm_pause(name);
}

bool debug_obey(struct loop *loop, struct str verb, struct str arg)
{
	int64_t us;
	if (!crash_points())
		return false;
	if (str_eq(verb, STR("crash-point")))
		return crash_point(arg);
	if (str_eq(verb, STR("pause-point")))
		return pause_point(arg);
	if (str_eq(verb, STR("disk")))
		return fs_order(arg);
	if (str_eq(verb, STR("clock")) && microseconds(arg, &us) && us >= 0)
		clock_bend_us(us);
	else if (str_eq(verb, STR("wall-clock")) && microseconds(arg, &us))
		clock_bend_wall_us(us);
	else
		return false;
	loop_clock_bent(loop);
	return true;
}
