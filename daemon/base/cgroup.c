/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "fd.h"
#include "str.h"

#define DESTROY_WAIT_MS 2000

static int open_directory(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

int cgroup_create(int parent_fd, const char *child)
{
	int r;

	if (mkdirat(parent_fd, child, 0755) < 0) {
		if (errno != EEXIST)
			return -errno;
		r = cgroup_destroy_tree(parent_fd, child);
		if (r < 0)
			return r;
		if (mkdirat(parent_fd, child, 0755) < 0)
			return -errno;
	}
	return open_directory(parent_fd, child);
}

int cgroup_remove(int parent_fd, const char *child)
{
	if (unlinkat(parent_fd, child, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* Waits until nothing lives in the cgroup: cgroup.events signals POLLPRI at each change. */
static int wait_empty(int cgroup_fd)
{
	autoclose int events_fd = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct cgroup_events events;
	uint64_t start_ns = clock_now_ns();

	if (events_fd < 0)
		return -errno;
	for (;;) {
		uint64_t waited_ms;
		struct pollfd pollfd = {.fd = events_fd, .events = POLLPRI};
		int r = cgroup_read_events(events_fd, &events);

		if (r < 0)
			return r;
		if (!events.populated)
			return 0;
		waited_ms = (clock_now_ns() - start_ns) / 1000000;
		if (waited_ms >= DESTROY_WAIT_MS)
			return -EBUSY;
		(void)poll(&pollfd, 1, (int)(DESTROY_WAIT_MS - waited_ms));
	}
}

/* Children first: a cgroup with children cannot be removed. */
static int remove_children(int cgroup_fd)
{
	int dup_fd = openat(cgroup_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC), r = 0;
	DIR *dir = dup_fd < 0 ? NULL : fdopendir(dup_fd);
	struct dirent *entry;

	if (!dir) {
		r = -errno;
		fd_close(dup_fd);
		return r;
	}
	while (r == 0 && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		autoclose int child_fd = open_directory(cgroup_fd, entry->d_name);

		if (child_fd >= 0)
			r = remove_children(child_fd);
		if (r == 0)
			r = cgroup_remove(cgroup_fd, entry->d_name);
	}
	closedir(dir);
	return r;
}

int cgroup_destroy_tree(int parent_fd, const char *child)
{
	autoclose int fd = open_directory(parent_fd, child);
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	r = cgroup_kill(fd);
	if (r < 0)
		return r;
	r = wait_empty(fd);
	if (r < 0)
		return r;
	r = remove_children(fd);
	if (r < 0)
		return r;
	return cgroup_remove(parent_fd, child);
}

int cgroup_kill(int cgroup_fd)
{
	return fd_write_attribute(cgroup_fd, "cgroup.kill", "1");
}

int cgroup_open_freeze(int cgroup_fd)
{
	int fd = openat(cgroup_fd, "cgroup.freeze", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int cgroup_set_frozen(int freeze_fd, bool frozen)
{
	return pwrite(freeze_fd, frozen ? "1" : "0", 1, 0) < 0 ? -errno : 0;
}

int cgroup_read_events(int events_fd, struct cgroup_events *ret)
{
	char buf[256];
	ssize_t n = pread(events_fd, buf, sizeof buf - 1, 0);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	ret->populated = strstr(buf, "populated 1") != NULL;
	ret->frozen = strstr(buf, "frozen 1") != NULL;
	return 0;
}

FILE *cgroup_open_list(int cgroup_fd, const char *name)
{
	int fd = openat(cgroup_fd, name, O_RDONLY | O_CLOEXEC);
	FILE *list = fd < 0 ? NULL : fdopen(fd, "r");

	if (!list)
		fd_close(fd);
	return list;
}

int cgroup_cpu_usage_us(int cgroup_fd, uint64_t *ret)
{
	char buf[1024];
	ssize_t n = fd_read_attribute(cgroup_fd, "cpu.stat", buf, sizeof buf);
	unsigned long long usage;

	if (n < 0)
		return (int)n;
	if (sscanf(buf, "usage_usec %llu", &usage) != 1)
		return -EBADMSG;
	*ret = usage;
	return 0;
}

enum cgroup_oom cgroup_read_oom(int cgroup_fd)
{
	char buf[512], *rest = buf, *line;
	unsigned long long n, at_limit = 0, killed = 0;

	if (fd_read_attribute(cgroup_fd, "memory.events", buf, sizeof buf) < 0)
		return CGROUP_OOM_NONE;
	/* "oom": the cgroup's own limit was met and nothing could be reclaimed (cgroup-v2.rst). */
	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "oom %llu", &n) == 1)
			at_limit = n;
		else if (sscanf(line, "oom_kill %llu", &n) == 1)
			killed = n;
	}
	return !killed ? CGROUP_OOM_NONE : at_limit ? CGROUP_OOM_OWN_LIMIT : CGROUP_OOM_ABOVE;
}

int cgroup_memory_bytes(int cgroup_fd, uint64_t *ret)
{
	char buf[64];
	ssize_t n = fd_read_attribute(cgroup_fd, "memory.current", buf, sizeof buf);

	return n < 0 ? (int)n : str_to_u64(buf, ret);
}

bool cgroup_has_controller(int cgroup_fd, const char *controller)
{
	char buf[512], *rest = buf, *word;

	if (fd_read_attribute(cgroup_fd, "cgroup.controllers", buf, sizeof buf) < 0)
		return false;
	while ((word = strsep(&rest, " ")))
		if (str_equal(word, controller))
			return true;
	return false;
}
