/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "background.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#define NICE_LOWEST 19

static void set_policy(int policy, int nice)
{
	const struct sched_param none = {0};

	(void)pthread_setschedparam(pthread_self(), policy, &none);
	(void)setpriority(PRIO_PROCESS, 0, nice); /* 0: this thread, on Linux */
}

int background_begin(void)
{
	int nice = getpriority(PRIO_PROCESS, 0);

	set_policy(SCHED_BATCH, NICE_LOWEST);
	return nice;
}

void background_end(int nice)
{
	set_policy(SCHED_OTHER, nice);
}
