/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/crash.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

atomic_bool crash_armed;

#if defined(BARID_CRASH_POINTS) && BARID_CRASH_POINTS
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char armed_name[64];
static unsigned left;

void crash_hit(const char *name)
{
	(void)pthread_mutex_lock(&lock);
	bool now = strcmp(name, armed_name) == 0 && left > 0 && --left == 0;
	if (now)
		(void)kill(getpid(), SIGKILL);
	(void)pthread_mutex_unlock(&lock);
}

bool crash_arm(const char *name, unsigned at_hit)
{
	(void)pthread_mutex_lock(&lock);
	(void)snprintf(armed_name, sizeof armed_name, "%s", name ? name : "");
	left = at_hit;
	atomic_store(&crash_armed, name != NULL && at_hit > 0);
	(void)pthread_mutex_unlock(&lock);
	return true;
}
#else
void crash_hit(const char *name)
{
	(void)name;
}

bool crash_arm(const char *name, unsigned at_hit)
{
	(void)name;
	(void)at_hit;
	return false;
}
#endif
