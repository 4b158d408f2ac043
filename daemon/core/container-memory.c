/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "container-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "container.h"
#include "fd.h"

static int resident_bytes(int cgroup_fd, unsigned most, uint64_t *ret)
{
	autofclose FILE *procs = cgroup_open_list(cgroup_fd, "cgroup.procs");
	uint64_t pages = 0;
	int pid;

	if (!procs)
		return -errno;
	while (fscanf(procs, "%d", &pid) == 1) {
		char path[64], statm[128];
		unsigned long resident;

		if (most-- == 0)
			return -E2BIG;
		snprintf(path, sizeof path, "/proc/%d/statm", pid);
		if (fd_read_attribute(AT_FDCWD, path, statm, sizeof statm) > 0 &&
		    sscanf(statm, "%*u %lu", &resident) == 1)
			pages += resident;
	}
	*ret = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int container_memory(const struct container *container, unsigned most, uint64_t *ret)
{
	if (!container_exists(container))
		return -ESRCH;
	if (cgroup_memory_bytes(container->cgroup_fd, ret) == 0)
		return 0;
	return resident_bytes(container->cgroup_fd, most, ret);
}
