/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "plan.h"
#include "sandbox-kinds.h"
#include "step.h"

#define SANDBOX_POOL_MAX 64 /* one costs the kernel about 150 KiB */

/* Sandboxes that launcher threads have made ahead, and the shared root that they are copied from. The threads
 * have one descriptor table in common, which is where its descriptors are. */
struct sandbox_pool {
	struct sandbox_host host;
	unsigned max_spare;

	pthread_mutex_t mutex;              /* guards what follows */
	struct shared_root shared_roots[2]; /* for the default root, and for roots of sites' own */
	struct sandbox spare[SANDBOX_POOL_MAX];
	atomic_uint n_spare;        /* read without it, too */
	struct sandbox_kinds kinds; /* for which they are */
};

/* max_spare: how many to keep, at most SANDBOX_POOL_MAX. */
void sandbox_pool_init(struct sandbox_pool *pool, unsigned max_spare);

/* Opens what belongs to the calling thread's descriptor table. -errno. */
int sandbox_pool_open(struct sandbox_pool *pool);
void sandbox_pool_finish(struct sandbox_pool *pool);

/* A sandbox for this plan: one made ahead, or one made now. -errno, with *step and *detail saying at what. */
int sandbox_pool_take(struct sandbox_pool *pool, const struct launch_plan *plan, struct sandbox *ret,
		      enum launch_step *step, const char **detail);

/* How many are made ahead, just now. Waits for nobody: a root that is made anew takes its time, with the mutex.
 */
unsigned sandbox_pool_n_spare(struct sandbox_pool *pool);

/* Makes one more ahead, of the kind of recent starts of which fewest are there (before the first start there is
 * nothing to do), and the shared roots anew when they are old. 1: there is more to do; 0: all is ready; -errno.
 */
int sandbox_pool_prepare(struct sandbox_pool *pool);
