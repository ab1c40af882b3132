/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futex.h - sleep on a word of memory until somebody wakes it.                 [sys]
 *
 * For one waiter whose waker holds a lock: the waker changes the word under the lock and wakes
 * behind it, so the waiter does not wake only to wait for the lock. By then the word may be gone
 * (a stack of a call that has returned): waking an address touches no memory, and whoever else
 * sleeps there by now sees a spurious wake-up, which every waiter has to expect.
 * Deadlines are by the real monotonic clock. Thread: any.
 */
#ifndef BARID_SYS_FUTEX_H
#define BARID_SYS_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline struct timespec futex_deadline(uint64_t ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Sleep while *word is 0. True when it is not 0, false when the deadline is over. */
static inline bool futex_wait(_Atomic uint32_t *word, const struct timespec *until)
{
	struct timespec now;
	while (atomic_load(word) == 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > until->tv_sec ||
		    (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec))
			return false;
		(void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, 0, until, NULL,
			      FUTEX_BITSET_MATCH_ANY);
	}
	return true;
}

static inline void futex_wake(_Atomic uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#endif
