/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_delay.h - a disk that is slower than the machine's, for tests.          [sys]
 *
 * In builds with BARID_CRASH_POINTS=1 and BARID_SYNC_LATENCY_US=N in the environment, every call
 * that forces a file or folder to disk (fs_datasync, fs_sync, fs_sync_dir, and SQLite's) takes N
 * microseconds longer: it is done and then waits before it returns, as a disk makes its caller
 * wait. Waiting calls do not wait for each other. Elsewhere this is nothing.
 */
#ifndef BARID_SYS_SYNC_DELAY_H
#define BARID_SYS_SYNC_DELAY_H

#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
/* The environment is read once. Keeps errno. Threads: any. */
void sync_delay(void);
#else
static inline void sync_delay(void) {}
#endif

#endif
