/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct memory;

/* Writes the memory of a frozen container to the swap: by memory.reclaim where its cgroup has that, else by
 * process_madvise(2) with MADV_PAGEOUT over all that its processes have mapped, which leaves out what other
 * processes use too. It is done a piece at a time, each of about a millisecond, and given up between two of
 * them as soon as *cancelled is set. */

struct pageout_result {
	uint64_t before_bytes, after_bytes; /* resident: see pageout_resident() */
};

/* 0, also when it was cancelled. -ENOSPC, and nothing was done: there is no swap, or less is left of it than it
 * would need; -EDQUOT: the cgroup may not use as much (memory.swap.max). Any other -errno: not possible on this
 * host. */
int pageout_run(int cgroup_fd, const struct memory *memory, const atomic_bool *cancelled,
		struct pageout_result *ret);

/* Bytes of a cgroup that only the swap can hold, and all that it has in memory: memory.current, or the sum over
 * its processes, in which shared pages count for each. -errno. */
int pageout_resident(int cgroup_fd, uint64_t *ret_anonymous_bytes, uint64_t *ret_bytes);
