/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/clock.h"
#include "base/check.h"
#include "base/civil.h"
#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t bent_us;
static _Atomic int64_t bent_wall_us;

static struct timespec now(clockid_t which)
{
	struct timespec ts;
	CHECK(clock_gettime(which, &ts) == 0);
	return ts;
}

struct wall_us clock_wall(void)
{
	struct timespec ts = now(CLOCK_REALTIME);
	return (struct wall_us){ts.tv_sec * SEC_US + ts.tv_nsec / 1000 + clock_bent_us() +
				clock_bent_wall_us()};
}

struct mono_ns clock_mono(void)
{
	struct timespec ts = now(CLOCK_MONOTONIC);
	return (struct mono_ns){ts.tv_sec * SEC_NS + ts.tv_nsec + clock_bent_us() * 1000};
}

void clock_bend_us(int64_t offset)
{
	atomic_store_explicit(&bent_us, offset, memory_order_relaxed);
}

int64_t clock_bent_us(void)
{
	return atomic_load_explicit(&bent_us, memory_order_relaxed);
}

void clock_bend_wall_us(int64_t offset)
{
	atomic_store_explicit(&bent_wall_us, offset, memory_order_relaxed);
}

int64_t clock_bent_wall_us(void)
{
	return atomic_load_explicit(&bent_wall_us, memory_order_relaxed);
}

static struct str written(const char *buf, int n)
{
	return (struct str){buf, MIN((size_t)n, (size_t)CLOCK_TEXT_MAX - 1)};
}

struct str clock_rfc5322(char buf[CLOCK_TEXT_MAX], struct wall_us t, int zone_minutes)
{
	struct civil c;
	civil_from_us((struct wall_us){t.v + zone_minutes * 60 * SEC_US}, &c);
	int away = zone_minutes < 0 ? -zone_minutes : zone_minutes;
	return written(buf,
		       snprintf(buf, CLOCK_TEXT_MAX, "%s, %u %s %04d %02u:%02u:%02u %c%02d%02d",
				civil_weekday_name(c.weekday), c.day, civil_month_name(c.month),
				(int)c.year, c.hour, c.minute, c.second,
				zone_minutes < 0 ? '-' : '+', away / 60, away % 60));
}

struct str clock_iso8601(char buf[CLOCK_TEXT_MAX], struct wall_us t)
{
	struct civil c;
	civil_from_us(t, &c);
	return written(buf,
		       snprintf(buf, CLOCK_TEXT_MAX, "%04d-%02u-%02uT%02u:%02u:%02u.%06uZ",
				(int)c.year, c.month, c.day, c.hour, c.minute, c.second, c.us));
}
