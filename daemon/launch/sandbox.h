/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "shared-root.h"

/* Everything of a container that can be made before anybody knows whose it will be: its network (with loopback
 * up), IPC and UTS namespaces, and a mount namespace with its root in place. Launcher threads keep a few ahead;
 * a child cloned by a thread that has entered one is born in it. The kernel takes it apart when the descriptors
 * are closed and the last process in it has gone. */
struct sandbox {
	int network_fd, ipc_fd, uts_fd, mounts_fd; /* -EBADF: none */
	struct mount_list *list;                   /* owned copy of what the root was made from */
	size_t list_bytes;
	uint64_t shared_ns; /* made_ns of the shared root that it was copied from */
};

#define SANDBOX_NONE                                                                                           \
	((struct sandbox){.network_fd = -EBADF, .ipc_fd = -EBADF, .uts_fd = -EBADF, .mounts_fd = -EBADF})

/* Namespaces of the host that a thread comes back to, and the folder through which it finds its own. */
struct sandbox_host {
	int network_fd, ipc_fd, uts_fd, mounts_fd;
	int proc_fd;    /* /proc */
	int first_high; /* descriptors of sandboxes are this and above: a child's table ends below */
};

#define SANDBOX_HOST_NONE ((struct sandbox_host){-EBADF, -EBADF, -EBADF, -EBADF, -EBADF, 0})

/* Of the calling thread. -errno; to be closed all the same. */
int sandbox_host_open(struct sandbox_host *host);
void sandbox_host_close(struct sandbox_host *host);

/* Makes one, its root by the part of the list (list_bytes long) that can be carried out ahead. The calling
 * thread must not share its fs_struct. It is back in the host's namespaces afterwards. -errno, with *detail
 * saying at what. */
int sandbox_make(struct sandbox *sandbox, const struct sandbox_host *host, const struct shared_root *shared,
		 const struct mount_list *list, size_t list_bytes, const char **detail);

/* Whether a start with this list, and the shared root as it is now, may use it. */
bool sandbox_fits(const struct sandbox *sandbox, const struct shared_root *shared,
		  const struct mount_list *list, size_t list_bytes);

/* Brings up the loopback interface of the calling thread's network. -errno. */
int sandbox_raise_loopback(void);

/* Into the namespaces (the working directory is the container's root then), and back out. -errno. */
int sandbox_enter(const struct sandbox *sandbox);
int sandbox_leave(const struct sandbox_host *host);

/* Closes what is open. */
void sandbox_finish(struct sandbox *sandbox);
