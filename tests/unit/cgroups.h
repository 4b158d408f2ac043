/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "cgroup.h"
#include "fd.h"

/* For tests of real cgroups and of children in them: a cgroup of the test's own below the cgroup2 mount. */

#define CGROUPS_SKIPPED 77 /* what Meson takes for a skipped test */

struct cgroups {
	int parent_fd; /* the cgroup2 mount */
	int fd;        /* the test's own cgroup */
	char name[48];
};

static inline int cgroups_open_mount(void)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		int fd = open(mounts[i], O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		struct statfs fs;

		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return fd;
		fd_close(fd);
	}
	return -ENOENT;
}

/* Whether there is a cgroup for the test; says why not. */
static inline bool cgroups_init(struct cgroups *cgroups)
{
	*cgroups = (struct cgroups){.parent_fd = cgroups_open_mount(), .fd = -EBADF};
	snprintf(cgroups->name, sizeof cgroups->name, "torpor-test-%d", getpid());
	if (cgroups->parent_fd < 0) {
		puts("skipped: no cgroup2 file system at /sys/fs/cgroup or /sys/fs/cgroup/unified");
		return false;
	}
	if (mkdirat(cgroups->parent_fd, cgroups->name, 0755) == 0)
		cgroups->fd = openat(cgroups->parent_fd, cgroups->name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (cgroups->fd < 0 || faccessat(cgroups->fd, "cgroup.kill", W_OK, 0) < 0) {
		printf("skipped: no cgroup can be made or killed: %s\n", strerror(errno));
		unlinkat(cgroups->parent_fd, cgroups->name, AT_REMOVEDIR);
		return false;
	}
	return true;
}

static inline void cgroups_finish(struct cgroups *cgroups)
{
	cgroup_destroy_tree(cgroups->parent_fd, cgroups->name);
	fd_close(cgroups->fd);
	fd_close(cgroups->parent_fd);
}

/* A new child, which lives in the cgroup and runs body(argument) until its end. It is there already when this
 * returns. */
static inline pid_t cgroups_fork(int cgroup_fd, void (*body)(void *argument), void *argument)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		close(fds[0]);
		if (fd_write_attribute(cgroup_fd, "cgroup.procs", "0") < 0 || write(fds[1], "", 1) != 1)
			_exit(99);
		close(fds[1]);
		body(argument);
		_exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		abort();
	close(fds[0]);
	return pid;
}

static inline void cgroups_pause(void *argument)
{
	(void)argument;
	for (;;)
		pause();
}

/* Waits until cgroup.events says so. */
static inline void cgroups_wait(int cgroup_fd, bool populated, bool frozen)
{
	int fd = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd pollfd = {.fd = fd, .events = POLLPRI};
	struct cgroup_events events;

	while (cgroup_read_events(fd, &events) == 0 &&
	       (events.populated != populated || events.frozen != frozen))
		poll(&pollfd, 1, -1);
	fd_close(fd);
}

/* How the child ended, as waitpid(2) gives it. */
static inline int cgroups_wait_child(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		abort();
	return status;
}
