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
static int armed_signal;

void crash_hit(const char *name)
{
	(void)pthread_mutex_lock(&lock);
	bool now = strcmp(name, armed_name) == 0 && left > 0 && --left == 0;
	if (now)
		(void)kill(getpid(), armed_signal);
	(void)pthread_mutex_unlock(&lock);
}

static void arm(const char *name, unsigned at_hit, int sign)
{
	(void)pthread_mutex_lock(&lock);
	(void)snprintf(armed_name, sizeof armed_name, "%s", name ? name : "");
	left = at_hit;
	armed_signal = sign;
	atomic_store(&crash_armed, name != NULL && at_hit > 0);
	(void)pthread_mutex_unlock(&lock);
}

bool crash_arm(const char *name, unsigned at_hit)
{
	arm(name, at_hit, SIGKILL);
	return true;
}

bool crash_arm_pause(const char *name)
{
	arm(name, 1, SIGSTOP);
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

bool crash_arm_pause(const char *name)
{
	(void)name;
	return false;
}
#endif
