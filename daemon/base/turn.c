/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "turn.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

bool turn_shorten(pid_t thread)
{
	struct turn_attributes a = {.size = sizeof a};

	if (syscall(SYS_sched_getattr, thread, &a, sizeof a, 0) < 0 || a.turn_ns != TURN_LONGEST_NS)
		return false;
	if (a.policy != SCHED_OTHER && a.policy != SCHED_BATCH)
		return false; /* of SCHED_DEADLINE it means something else */
	a.turn_ns = 0;
	return syscall(SYS_sched_setattr, thread, &a, 0) == 0;
}
