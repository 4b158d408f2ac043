/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Memory pressure as the kernel tells it (PSI, Linux 5.2): a trigger fires when tasks have stalled for want of
 * memory for longer than a threshold within a second, or within two where torpord lacks CAP_SYS_RESOURCE. */

enum pressure_scope { PRESSURE_HOST, PRESSURE_OWN, PRESSURE_SCOPES }; /* /proc/pressure; torpor's own cgroup */

struct pressure_trigger {
	uv_poll_t poll;
	int fd; /* -EBADF: not watched */
	struct pressure *pressure;
	uint64_t fired_ns; /* CLOCK_MONOTONIC; 0: it is over */
	uint64_t sampled_ns, stalled_us;
	uint64_t window_us;
};

struct pressure {
	struct pressure_trigger triggers[PRESSURE_SCOPES];
	uint64_t threshold_us; /* a second */
	void (*notify)(void *userdata);
	void *userdata;
};

/* Opens the triggers of both scopes, as far as this kernel has them; notify(userdata) is called from the loop,
 * while they are heeded. threshold_us: of stalled time a second, at least 1. Returns how many there are. */
unsigned pressure_watch(struct pressure *pressure, uv_loop_t *loop, int cgroup_fd, uint64_t threshold_us,
			void (*notify)(void *userdata), void *userdata);

/* Whether what the triggers say is news, or nobody's business: then the loop is not woken by it. What they have
 * said in between is forgotten. */
void pressure_heed(struct pressure *pressure, bool heed);

/* Closes what is watched; the loop gives the handles back. */
void pressure_close(struct pressure *pressure);

/* Whether there is pressure now: the trigger fired within its last window, and since then tasks have gone on to
 * stall as much. */
bool pressure_lasts(struct pressure *pressure, enum pressure_scope scope);
