/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "user-namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "clone.h"
#include "id-ranges.h"
#include "user-namespace-child.h"

#define STACK_BYTES 4096
#define PATH_BYTES  64

/* One of a process's files, above what a child needs of the table. */
static int open_file(int proc_fd, pid_t pid, const char *name, int flags, int first_high)
{
	char path[PATH_BYTES];
	autoclose int fd = -EBADF;
	int high;

	snprintf(path, sizeof path, "%d/%s", pid, name);
	fd = openat(proc_fd, path, flags | O_CLOEXEC);
	high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, first_high);
	return high < 0 ? -errno : high;
}

int user_namespace_make(struct user_namespace *users, int proc_fd, int first_high)
{
	/* Of a process with threads none can leave its user namespace. One that has ended is in its own until
	 * it is waited for, which is long enough to look: nothing is left running should torpord be killed. */
	unsigned char stack[STACK_BYTES] __attribute__((aligned(16)));
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWUSER,
		.stack = (uint64_t)(uintptr_t)stack,
		.stack_size = sizeof stack,
	};
	struct user_namespace_child child = {.proc_fd = proc_fd};
	long pid = clone3_call(&args, user_namespace_child_main, &child);

	if (pid < 0)
		return (int)pid;
	users->fd = open_file(proc_fd, (pid_t)pid, "ns/user", O_RDONLY, first_high);
	users->uid_map_fd = open_file(proc_fd, (pid_t)pid, "uid_map", O_WRONLY, first_high);
	users->gid_map_fd = open_file(proc_fd, (pid_t)pid, "gid_map", O_WRONLY, first_high);
	(void)waitpid((pid_t)pid, NULL, __WALL);
	return child.error             ? -child.error
	       : users->fd < 0         ? users->fd
	       : users->uid_map_fd < 0 ? users->uid_map_fd
	       : users->gid_map_fd < 0 ? users->gid_map_fd
				       : 0;
}

int user_namespace_map(const struct user_namespace *users, uint32_t first)
{
	char map[PATH_BYTES];
	int r;

	snprintf(map, sizeof map, "0 %u %u\n", first, ID_RANGE_COUNT);
	r = fd_write_all(users->uid_map_fd, map, strlen(map));
	return r < 0 ? r : fd_write_all(users->gid_map_fd, map, strlen(map));
}

int user_namespace_map_mount(int mount_fd, bool recursive, int users_fd)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)users_fd};

	if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) ==
	    0)
		return 1;
	/* EPERM: one is mapped already. */
	return errno == EINVAL || errno == EPERM ? 0 : -errno;
}

void user_namespace_finish(struct user_namespace *users)
{
	fd_close(users->fd);
	fd_close(users->uid_map_fd);
	fd_close(users->gid_map_fd);
	*users = USER_NAMESPACE_NONE;
}
