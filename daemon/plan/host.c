/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "fd.h"
#include "str.h"

static const struct {
	enum controller controller;
	const char *name;
} controllers[] = {
	{CONTROLLER_CPU, "cpu"},       {CONTROLLER_CPUSET, "cpuset"}, {CONTROLLER_IO, "io"},
	{CONTROLLER_MEMORY, "memory"}, {CONTROLLER_PIDS, "pids"},
};

unsigned controller_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof controllers / sizeof controllers[0]; i++)
		if (str_equal(controllers[i].name, name))
			return controllers[i].controller;
	return 0;
}

const char *controller_name(unsigned controller)
{
	for (size_t i = 0; i < sizeof controllers / sizeof controllers[0]; i++)
		if (controllers[i].controller == controller)
			return controllers[i].name;
	return "unknown";
}

unsigned controllers_available(int cgroup_fd)
{
	unsigned mask = 0;

	for (size_t i = 0; i < sizeof controllers / sizeof controllers[0]; i++)
		if (cgroup_has_controller(cgroup_fd, controllers[i].name))
			mask |= controllers[i].controller;
	return mask;
}

int controllers_enable(int cgroup_fd, unsigned mask, bool enable)
{
	char text[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < sizeof controllers / sizeof controllers[0]; i++)
		if (mask & controllers[i].controller)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%c%s", n ? " " : "",
					      enable ? '+' : '-', controllers[i].name);
	return n ? fd_write_attribute(cgroup_fd, "cgroup.subtree_control", text) : 0;
}

static uint64_t read_number(const char *path, uint64_t otherwise)
{
	char text[32];
	uint64_t number;

	return fd_read_attribute(AT_FDCWD, path, text, sizeof text) > 0 && str_to_u64(text, &number) == 0
		       ? number
		       : otherwise;
}

/* As systemd reckons shares: of the memory that is built in, and of the tasks that the kernel can have. */
static void probe_size(struct host *host)
{
	uint64_t pids = read_number("/proc/sys/kernel/pid_max", 32768),
		 threads = read_number("/proc/sys/kernel/threads-max", pids);

	host->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	host->tasks_max = pids < threads ? pids : threads;
}

int host_probe(struct host *host)
{
	static const char *const names[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
	char buf[16];

	host->n_links = 0;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[32] = "/", link[32];
		struct stat st;
		ssize_t n;

		strcat(path, names[i]);
		if (lstat(path, &st) < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		n = S_ISLNK(st.st_mode) ? readlink(path, link, sizeof link - 1) : 0;
		if (n < 0)
			return -errno;
		link[n] = '\0';
		if (!S_ISLNK(st.st_mode) && !S_ISDIR(st.st_mode))
			continue;
		strcpy(host->links[host->n_links].name, names[i]);
		/* A link to anywhere else than /usr would dangle in the default root: bind what it leads to. */
		if (strncmp(link, "usr/", 4) == 0 || strncmp(link, "/usr/", 5) == 0)
			strcpy(host->links[host->n_links].link, link);
		host->n_links++;
	}
	if (getrlimit(RLIMIT_NOFILE, &host->open_files) < 0)
		return -errno;
	probe_size(host);
	host->oom_score_adj = 0;
	if (fd_read_attribute(AT_FDCWD, "/proc/self/oom_score_adj", buf, sizeof buf) > 0)
		host->oom_score_adj = atoi(buf);
	return 0;
}
