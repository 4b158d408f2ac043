/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include <sys/mman.h>

#include "device-program.h"
#include "image.h"
#include "launcher.h"
#include "sandbox-pool.h"

/* What all launcher threads have in common. Descriptors are of their own table, not of the daemon's: a child
 * gets a copy of a few, instead of one of a descriptor for each site. */
struct launch_shared {
	int self_fd;                   /* pidfd of the daemon, to fetch descriptors from its table */
	int event_fd;                  /* the launcher's, to say that a job is done */
	int cgroup_fd;                 /* torpor's cgroup */
	int null_fd;                   /* /dev/null, open for both ways */
	int channel_fd;                /* the interceptor's: see interceptor.h */
	unsigned listener_flags;       /* of a filter with a listener, as this kernel has them */
	uint64_t sending_capabilities; /* with either of which descriptors can be sent whatever others do: see
					  start.c */
	struct id_ranges *ranges;
	struct sandbox_pool pool;
	struct image_cache images;
};

struct launch_thread {
	struct launch_shared *shared;
	struct device_program_cache device_programs;
	void *stack; /* for children */
	size_t stack_bytes;
};

#define LAUNCH_THREAD_NONE ((struct launch_thread){.stack = MAP_FAILED})

/* Gives the calling thread a descriptor table of its own, which the threads that it creates share, and opens
 * what they need. event_fd and channel_fd are of the process, max_spare at most SANDBOX_POOL_MAX. -errno; to be
 * finished all the same. */
int launch_shared_init(struct launch_shared *shared, const char *cgroup_path, int event_fd, int channel_fd,
		       struct id_ranges *ranges, unsigned max_spare);

/* Called by one of the threads, the last. */
void launch_shared_finish(struct launch_shared *shared);

/* Prepares the calling thread, which has the shared table. -errno. */
int launch_thread_init(struct launch_thread *thread, struct launch_shared *shared);
void launch_thread_finish(struct launch_thread *thread);

/* Carries one job out and fills in its result. A start that fails leaves no process and no cgroup. */
void launch_run(struct launch_thread *thread, struct launch_job *job);
