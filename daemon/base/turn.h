/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How long a thread computes at a stretch while others wait for the same processor: the "slice" of the kernel's
 * scheduler, 1 to 3 ms, which a thread may have set since Linux 6.12; an earlier kernel takes it and does
 * nothing. Its share of the processor is the same. But of two that want to run, the one with shorter turns
 * comes first, as long as it has not had more than its share: who answers a visitor needs little, at once, and
 * who reads in a program much, at any time. (The kernel's Documentation/scheduler/sched-eevdf.rst.) */
#define TURN_LONGEST_NS UINT64_C(100000000) /* the most that the kernel allows */

#define TURN_KEEP_POLICY UINT64_C(0x08) /* SCHED_FLAG_KEEP_POLICY, of a header that goes with no <sched.h> */

/* struct sched_attr of sched_setattr(2), as first published; likewise. */
struct turn_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t turn_ns; /* sched_runtime; 0: as the kernel has it */
	uint64_t deadline_ns, period_ns;
};

/* Gives a thread the usual turns when it has the longest. Whether it had; one that is gone had not. */
bool turn_shorten(pid_t thread);
