/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "turns.h"

#include <stdio.h>

#include "cgroup.h"
#include "cleanup.h"
#include "daemon.h"
#include "turn.h"

#define THREADS_MOST 4096 /* some milliseconds; who makes more than any server does comes after others, too */
#define PASSES_MOST                                                                                            \
	8 /* a program that makes threads faster than this only harms itself: it comes after others */

/* Whether there was one with long turns. */
static bool shorten_all(const struct container *container)
{
	autofclose FILE *threads = cgroup_open_list(container->cgroup_fd, "cgroup.threads");
	bool found = false;
	int thread;

	for (unsigned n = 0; threads && n < THREADS_MOST && fscanf(threads, "%d", &thread) == 1; n++)
		found |= turn_shorten(thread);
	return found;
}

void turns_shorten(struct run *run)
{
	if (!run->long_turns)
		return;
	run->long_turns = false;
	/* A thread has the turns of the one that made it, perhaps just before that one's were shortened. */
	for (unsigned i = 0; i < PASSES_MOST && shorten_all(&run->container); i++)
		continue;
}
