/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.h - named places where a test can make the process die.                [sys]
 *
 *     CRASH_POINT("queue.before-commit");
 *
 * Nothing unless compiled with BARID_CRASH_POINTS=1; then one relaxed load while nothing is armed.
 * When armed, the process sends itself SIGKILL: no cleanup of any kind runs.
 */
#ifndef BARID_SYS_CRASH_H
#define BARID_SYS_CRASH_H

#include "base/attr.h"
#include <stdatomic.h>
#include <stdbool.h>

/* Has this build crash points, and the other orders of tests? */
static inline bool crash_points(void)
{
#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
	return true;
#else
	return false;
#endif
}

extern atomic_bool crash_armed;
void crash_hit(const char *name);

/*
 * Die the at_hit-th time (from 1) that a point with this name is reached. One point per process:
 * arming another replaces it; NULL disarms. False when the build has no crash points.
 */
bool crash_arm(const char *name, unsigned at_hit);
/* The same, but stop the first time with SIGSTOP, and go on with SIGCONT: others die meanwhile. */
bool crash_arm_pause(const char *name);

#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
#define CRASH_POINT(name)                                                                          \
	do {                                                                                       \
		if (UNLIKELY(atomic_load_explicit(&crash_armed, memory_order_relaxed)))            \
			crash_hit(name);                                                           \
	} while (0)
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
