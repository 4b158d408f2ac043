/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mapping.h"

#include <fcntl.h>
#include <string.h>

#include "fd.h"
#include "str.h"

FILE *mapping_open_processes(int cgroup_fd)
{
	int fd = openat(cgroup_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *processes = fd < 0 ? NULL : fdopen(fd, "r");

	if (!processes)
		fd_close(fd);
	return processes;
}

bool mapping_parse(const char *line, uint64_t *start, uint64_t *end)
{
	unsigned long long from, to;
	char access[5];

	if (sscanf(line, "%llx-%llx %4s", &from, &to, access) != 3 || to <= from)
		return false;
	*start = from;
	*end = to;
	return !str_equal(access, "---p") && !strstr(line, "[v"); /* [vvar], [vdso], [vsyscall] */
}
