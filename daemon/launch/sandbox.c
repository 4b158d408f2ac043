/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "mount-run.h"

#define FIRST_HIGH 8192

static int open_own(const struct sandbox_host *host, const char *path)
{
	int fd = openat(host->proc_fd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Above what a child needs of the table. */
static int open_high(const struct sandbox_host *host, const char *path)
{
	autoclose int fd = open_own(host, path);
	int high = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, host->first_high);

	return fd >= 0 && high < 0 ? -errno : high;
}

int sandbox_host_open(struct sandbox_host *host)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	host->first_high = limit.rlim_cur / 2 < FIRST_HIGH ? (int)limit.rlim_cur / 2 : FIRST_HIGH;
	host->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	host->network_fd = open_own(host, "thread-self/ns/net");
	host->ipc_fd = open_own(host, "thread-self/ns/ipc");
	host->uts_fd = open_own(host, "thread-self/ns/uts");
	host->mounts_fd = open_own(host, "thread-self/ns/mnt");
	if (host->proc_fd < 0 || host->network_fd < 0 || host->ipc_fd < 0 || host->uts_fd < 0 ||
	    host->mounts_fd < 0)
		return -errno;
	return 0;
}

void sandbox_host_close(struct sandbox_host *host)
{
	fd_close(host->proc_fd);
	fd_close(host->network_fd);
	fd_close(host->ipc_fd);
	fd_close(host->uts_fd);
	fd_close(host->mounts_fd);
}

int sandbox_raise_loopback(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0 ? -errno : 0;
}

static int make_namespaces(struct sandbox *sandbox, const struct sandbox_host *host)
{
	int r;

	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return -errno;
	r = sandbox_raise_loopback();
	if (r < 0)
		return r;
	sandbox->network_fd = open_high(host, "thread-self/ns/net");
	sandbox->ipc_fd = open_high(host, "thread-self/ns/ipc");
	sandbox->uts_fd = open_high(host, "thread-self/ns/uts");
	if (sandbox->network_fd < 0 || sandbox->ipc_fd < 0 || sandbox->uts_fd < 0)
		return -errno;
	return 0;
}

/* The container's root comes to lie over the shared one, of which nothing is left but empty folders. Who enters
 * the namespace later finds himself in the upper one. To unmount the lower would wait for an RCU grace period.
 */
static int make_root(struct sandbox *sandbox, const struct sandbox_host *host, const struct shared_root *shared,
		     const struct mount_list *list, const char **detail)
{
	struct mount_run run = MOUNT_RUN_NONE;
	int r = 0;

	if (setns(shared->namespace_fd, CLONE_NEWNS) < 0 || unshare(CLONE_NEWNS) < 0)
		r = -errno;
	if (r == 0)
		r = sandbox->mounts_fd = open_high(host, "thread-self/ns/mnt");
	if (r >= 0)
		r = mount_run_root();
	if (r >= 0)
		r = mount_run_list(&run, list, list->n_ahead);
	*detail = run.detail;
	return r;
}

int sandbox_make(struct sandbox *sandbox, const struct sandbox_host *host, const struct shared_root *shared,
		 const struct sandbox_kind *kind, const char **detail)
{
	struct sandbox made = SANDBOX_NONE;
	int r, left;

	*detail = NULL;
	made.list = malloc(kind->list_bytes);
	if (!made.list)
		return -ENOMEM;
	memcpy(made.list, kind->list, kind->list_bytes);
	made.list_bytes = kind->list_bytes;
	made.shared_ns = shared->made_ns;
	r = kind->private_users ? user_namespace_make(&made.users, host->proc_fd, host->first_high) : 0;
	if (r == 0)
		r = make_namespaces(&made, host);
	if (r == 0)
		r = make_root(&made, host, shared, kind->list, detail);
	left = sandbox_leave(host);
	if (r >= 0)
		r = left;
	if (r < 0) {
		sandbox_finish(&made);
		return r;
	}
	*sandbox = made;
	return 0;
}

bool sandbox_same_kind(const struct sandbox_kind *a, const struct sandbox_kind *b)
{
	return a->private_users == b->private_users && a->list_bytes == b->list_bytes &&
	       memcmp(a->list, b->list, a->list_bytes) == 0;
}

bool sandbox_fits(const struct sandbox *sandbox, const struct shared_root *shared,
		  const struct sandbox_kind *kind)
{
	const struct sandbox_kind made = {.list = sandbox->list,
					  .list_bytes = sandbox->list_bytes,
					  .private_users = sandbox->users.fd >= 0};

	return sandbox->shared_ns == shared->made_ns && sandbox_same_kind(&made, kind);
}

static int enter(int network_fd, int ipc_fd, int uts_fd, int mounts_fd)
{
	if (setns(network_fd, CLONE_NEWNET) < 0 || setns(ipc_fd, CLONE_NEWIPC) < 0 ||
	    setns(uts_fd, CLONE_NEWUTS) < 0 || setns(mounts_fd, CLONE_NEWNS) < 0)
		return -errno;
	return 0;
}

int sandbox_enter(const struct sandbox *sandbox)
{
	return enter(sandbox->network_fd, sandbox->ipc_fd, sandbox->uts_fd, sandbox->mounts_fd);
}

int sandbox_leave(const struct sandbox_host *host)
{
	return enter(host->network_fd, host->ipc_fd, host->uts_fd, host->mounts_fd);
}

void sandbox_finish(struct sandbox *sandbox)
{
	fd_close(sandbox->network_fd);
	fd_close(sandbox->ipc_fd);
	fd_close(sandbox->uts_fd);
	fd_close(sandbox->mounts_fd);
	user_namespace_finish(&sandbox->users);
	free(sandbox->list);
	*sandbox = SANDBOX_NONE;
}
