/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slow_sync.c - a slower disk for programs that know nothing of it: preloaded, it lets each fsync,
 * fdatasync, sync_file_range, msync and sync take SLOW_SYNC_US microseconds longer, after the real
 * call. Waiting calls do not wait for each other, as in barid's own seam (BARID_SYNC_LATENCY_US).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_range)(int, off64_t, off64_t, unsigned);
static int (*real_msync)(void *, size_t, int);
static void (*real_sync)(void);
static long latency_us;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ISO C has no way from void * to a function; POSIX promises that this one works. */
static void find(void *into, const char *name)
{
	*(void **)into = dlsym(RTLD_NEXT, name);
	if (!*(void **)into)
		abort();
}

static void prepare(void)
{
	const char *us = getenv("SLOW_SYNC_US");
	latency_us = us ? strtol(us, NULL, 10) : 0;
	find(&real_fsync, "fsync");
	find(&real_fdatasync, "fdatasync");
	find(&real_range, "sync_file_range");
	find(&real_msync, "msync");
	find(&real_sync, "sync");
}

static void ready(void)
{
	(void)pthread_once(&once, prepare);
}

static int slowly(int r)
{
	int kept = errno;
	struct timespec left = {latency_us / 1000000, latency_us % 1000000 * 1000};
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
	errno = kept;
	return r;
}

int fsync(int fd)
{
	ready();
	return slowly(real_fsync(fd));
}

int fdatasync(int fd)
{
	ready();
	return slowly(real_fdatasync(fd));
}

int sync_file_range(int fd, off64_t offset, off64_t n, unsigned flags)
{
	ready();
	return slowly(real_range(fd, offset, n, flags));
}

int msync(void *p, size_t n, int flags)
{
	ready();
	return slowly(real_msync(p, n, flags));
}

void sync(void)
{
	ready();
	real_sync();
	(void)slowly(0);
}
