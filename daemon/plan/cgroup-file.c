/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cgroup-file.h"

#include <unistd.h>

#include "host.h"

static const struct {
	const char *name;
	unsigned controller;
} files[CGROUP_FILES] = {
	[FILE_CPU_WEIGHT] = {"cpu.weight", CONTROLLER_CPU},
	[FILE_CPU_IDLE] = {"cpu.idle", CONTROLLER_CPU},
	[FILE_CPU_MAX] = {"cpu.max", CONTROLLER_CPU},
	[FILE_CPUSET_CPUS] = {"cpuset.cpus", CONTROLLER_CPUSET},
	[FILE_CPUSET_MEMS] = {"cpuset.mems", CONTROLLER_CPUSET},
	[FILE_MEMORY_MIN] = {"memory.min", CONTROLLER_MEMORY},
	[FILE_MEMORY_LOW] = {"memory.low", CONTROLLER_MEMORY},
	[FILE_MEMORY_HIGH] = {"memory.high", CONTROLLER_MEMORY},
	[FILE_MEMORY_MAX] = {"memory.max", CONTROLLER_MEMORY},
	[FILE_MEMORY_SWAP_MAX] = {"memory.swap.max", CONTROLLER_MEMORY},
	[FILE_MEMORY_ZSWAP_MAX] = {"memory.zswap.max", CONTROLLER_MEMORY},
	[FILE_IO_WEIGHT] = {"io.weight", CONTROLLER_IO},
	[FILE_IO_BFQ_WEIGHT] = {"io.bfq.weight", CONTROLLER_IO},
	[FILE_IO_MAX] = {"io.max", CONTROLLER_IO},
	[FILE_PIDS_MAX] = {"pids.max", CONTROLLER_PIDS},
};

const char *cgroup_file_name(enum cgroup_file file)
{
	return files[file].name;
}

unsigned cgroup_file_controller(enum cgroup_file file)
{
	return files[file].controller;
}

unsigned cgroup_files_present(int cgroup_fd)
{
	unsigned mask = 0;

	for (unsigned file = 0; file < CGROUP_FILES; file++)
		if (faccessat(cgroup_fd, files[file].name, W_OK, 0) == 0)
			mask |= 1U << file;
	return mask;
}
