/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared-root.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "mount-run.h"

void shared_root_init(struct shared_root *root)
{
	*root = (struct shared_root){.namespace_fd = -EBADF};
}

void shared_root_finish(struct shared_root *root)
{
	fd_close(root->namespace_fd);
	shared_root_init(root);
}

static uint64_t etc_stamp(void)
{
	struct stat st;

	return stat("/etc", &st) < 0 ? 0
				     : (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
}

/* In a copy of the host's namespace: mount all of it, and leave the rest behind. */
static int mount_all(const struct mount_list *list, const char **detail)
{
	struct mount_run run = MOUNT_RUN_NONE;
	/* Nothing that is mounted here may show on the host, nor the other way round. */
	int r = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;

	if (r == 0)
		r = mount_run_root();
	if (r == 0)
		r = mount_run_list(&run, list, list->n_ops);
	*detail = run.detail;
	/* The host's own root comes to lie on top of the new one, and is taken off. */
	if (r == 0 && (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0))
		r = -errno;
	return r;
}

int shared_root_refresh(struct shared_root *root, const struct mount_list *list, int host_fd,
			uint64_t max_age_ns, const char **detail)
{
	uint64_t stamp = etc_stamp(), now = clock_now_ns();
	autoclose int fd = -EBADF;
	int r = 0;

	if (root->namespace_fd >= 0 && root->list == list && root->etc_stamp == stamp &&
	    now - root->made_ns < max_age_ns)
		return 0;
	*detail = NULL;
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	fd = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		r = -errno;
	if (r == 0)
		r = mount_all(list, detail);
	if (setns(host_fd, CLONE_NEWNS) < 0 && r == 0)
		r = -errno;
	if (r < 0)
		return r;
	fd_close(root->namespace_fd);
	*root = (struct shared_root){
		.namespace_fd = steal_fd(&fd), .list = list, .etc_stamp = stamp, .made_ns = now};
	return 0;
}
