/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sync_delay.h"

#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
#include "base/num.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LATENCY_US_MAX 10000000u /* what is more is a slip of the pen */

static uint32_t latency_us;

static void read_environment(void)
{
	const char *text = getenv("BARID_SYNC_LATENCY_US");
	uint32_t us = 0;
	if (text && num_parse_u32(str_c(text), &us) && us <= LATENCY_US_MAX)
		latency_us = us;
}

void sync_delay(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int kept = errno;
	(void)pthread_once(&once, read_environment);
	struct timespec left = {latency_us / 1000000, latency_us % 1000000 * 1000L};
	if (latency_us > 0)
		while (nanosleep(&left, &left) < 0 && errno == EINTR)
			continue;
	errno = kept;
}
#endif
