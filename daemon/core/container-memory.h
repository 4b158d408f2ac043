/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

struct container;

#define CONTAINER_MEMORY_FEW 64 /* processes, where somebody may be kept waiting */

/* The memory of a container: memory.current; where the memory controller is not in cgroup v2 the resident bytes
 * of its processes, at most so many (shared pages count in each, so that this is an upper bound). -errno;
 * -E2BIG. */
int container_memory(const struct container *container, unsigned most, uint64_t *ret);
