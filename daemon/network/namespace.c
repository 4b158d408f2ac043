/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "sandbox.h"

#define OWN "/proc/thread-self/ns/net"

static int bind_new(const char *path)
{
	int r;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	r = sandbox_raise_loopback();
	if (r == 0 && mount(OWN, path, NULL, MS_BIND, NULL) < 0)
		r = -errno;
	return r;
}

int namespace_create(const char *path)
{
	autoclose int own_fd = open(OWN, O_RDONLY | O_CLOEXEC);
	autoclose int file_fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (own_fd < 0 || file_fd < 0)
		return -errno;
	r = bind_new(path);
	if (setns(own_fd, CLONE_NEWNET) < 0 && r == 0)
		r = -errno;
	if (r < 0)
		(void)namespace_remove(path);
	return r;
}

bool namespace_exists(const char *path)
{
	struct statfs st;

	return statfs(path, &st) == 0 && st.f_type == NSFS_MAGIC;
}

int namespace_remove(const char *path)
{
	/* Detached: whoever has it open has no say. */
	while (namespace_exists(path))
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return -errno;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
