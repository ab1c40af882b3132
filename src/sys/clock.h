/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - what time it is, and a way for tests to bend it.                   [sys]
 *
 * Wall time is UTC. clock_bend_us(offset) shifts both clocks of this process by `offset` from the
 * real ones (an absolute offset: 0 restores them); it is meant for tests, over the control socket
 * of their own server. clock_bend_wall_us shifts the wall clock alone, as when somebody sets the
 * machine's clock: backwards, too. All calls are thread-safe and never fail.
 */
#ifndef BARID_SYS_CLOCK_H
#define BARID_SYS_CLOCK_H

#include "base/ids.h"
#include "base/str.h"

struct wall_us clock_wall(void);
struct mono_ns clock_mono(void);

void clock_bend_us(int64_t offset);
int64_t clock_bent_us(void);
void clock_bend_wall_us(int64_t offset);
int64_t clock_bent_wall_us(void);

static inline struct mono_ns mono_add_ms(struct mono_ns t, uint64_t ms)
{
	return (struct mono_ns){t.v + (int64_t)ms * MS_NS};
}
static inline bool mono_before(struct mono_ns a, struct mono_ns b)
{
	return a.v < b.v;
}

#define CLOCK_TEXT_MAX 40
/* "Sun, 22 Nov 2026 00:13:44 +0000" (RFC 5322 3.3); zone in minutes east. Borrowed from buf. */
struct str clock_rfc5322(char buf[CLOCK_TEXT_MAX], struct wall_us t, int zone_minutes);
/* "2026-11-22T00:13:44.123456Z" (RFC 3339). Borrowed from buf. */
struct str clock_iso8601(char buf[CLOCK_TEXT_MAX], struct wall_us t);

#endif
