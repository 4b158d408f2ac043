/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The files of cgroup v2 that limits are written to. Which of them there are depends on the controllers that
 * torpor has, on the kernel's version and on its configuration. */
enum cgroup_file {
	FILE_CPU_WEIGHT,
	FILE_CPU_IDLE,
	FILE_CPU_MAX,
	FILE_CPUSET_CPUS,
	FILE_CPUSET_MEMS,
	FILE_MEMORY_MIN,
	FILE_MEMORY_LOW,
	FILE_MEMORY_HIGH,
	FILE_MEMORY_MAX,
	FILE_MEMORY_SWAP_MAX,
	FILE_MEMORY_ZSWAP_MAX,
	FILE_IO_WEIGHT,
	FILE_IO_BFQ_WEIGHT,
	FILE_IO_MAX,
	FILE_PIDS_MAX,
	CGROUP_FILES
};

#define CGROUP_FILES_ALL ((1U << CGROUP_FILES) - 1)

/* "memory.max", and the controller it belongs to: a bit of enum controller. */
const char *cgroup_file_name(enum cgroup_file file);
unsigned cgroup_file_controller(enum cgroup_file file);

/* Which of them an open cgroup directory has: bit n is file n. */
unsigned cgroup_files_present(int cgroup_fd);
