/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "user-namespace-child.h"

#include <fcntl.h>
#include <stddef.h>

#include "rawcall.h"

/* What a container makes counts for its own users, and for root as well, who has made the namespace: of 128
 * inotify instances that root has by default, one hog would leave none to the host and to the other containers.
 * A program that watches files has one or two. */
static const struct {
	const char *path, *limit;
	size_t bytes;
} limits[] = {
	{"sys/user/max_inotify_instances", "16", 2},
	{"sys/user/max_inotify_watches", "8192", 4},
};

static long write_limit(int proc_fd, const char *path, const char *limit, size_t bytes)
{
	long fd = RAWCALL(SYS_openat, proc_fd, path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd; /* a kernel without inotify */
	r = RAWCALL(SYS_write, fd, limit, bytes);
	RAWCALL(SYS_close, fd);
	return r < 0 ? r : 0;
}

void user_namespace_child_main(void *child)
{
	struct user_namespace_child *c = child;
	long r = 0;

	for (size_t i = 0; r == 0 && i < sizeof limits / sizeof *limits; i++)
		r = write_limit(c->proc_fd, limits[i].path, limits[i].limit, limits[i].bytes);
	c->error = (int)-r;
	for (;;)
		syscall(SYS_exit_group, 0);
}
