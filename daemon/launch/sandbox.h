/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "shared-root.h"
#include "user-namespace.h"

/* Everything of a container that can be made before anybody knows whose it will be: its network (with loopback
 * up), IPC and UTS namespaces, and a mount namespace with its root in place. Launcher threads keep a few ahead;
 * a child cloned by a thread that has entered one is born in it. The kernel takes it apart when the descriptors
 * are closed and the last process in it has gone. */
struct sandbox {
	int network_fd, ipc_fd, uts_fd, mounts_fd; /* -EBADF: none */
	struct user_namespace users;               /* none where the start is to have none; owns no other */
	struct mount_list *list;                   /* owned copy of what the root was made from */
	size_t list_bytes;
	uint64_t shared_ns; /* made_ns of the shared root that it was copied from */
};

#define SANDBOX_NONE                                                                                           \
	((struct sandbox){.network_fd = -EBADF,                                                                \
			  .ipc_fd = -EBADF,                                                                    \
			  .uts_fd = -EBADF,                                                                    \
			  .mounts_fd = -EBADF,                                                                 \
			  .users = USER_NAMESPACE_NONE})

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

/* What a sandbox is made for. */
struct sandbox_kind {
	const struct mount_list *list; /* of which its root is made by the part that can be carried out ahead */
	size_t list_bytes;
	bool private_users; /* it has a user namespace too */
};

bool sandbox_same_kind(const struct sandbox_kind *a, const struct sandbox_kind *b);

/* Makes one. The calling thread must not share its fs_struct. It is back in the host's namespaces afterwards.
 * -errno, with *detail saying at what. */
int sandbox_make(struct sandbox *sandbox, const struct sandbox_host *host, const struct shared_root *shared,
		 const struct sandbox_kind *kind, const char **detail);

/* Whether a start of this kind, with the shared root as it is now, may use it. */
bool sandbox_fits(const struct sandbox *sandbox, const struct shared_root *shared,
		  const struct sandbox_kind *kind);

/* Brings up the loopback interface of the calling thread's network. -errno. */
int sandbox_raise_loopback(void);

/* Into the namespaces (the working directory is the container's root then), and back out. -errno. */
int sandbox_enter(const struct sandbox *sandbox);
int sandbox_leave(const struct sandbox_host *host);

/* Closes what is open. */
void sandbox_finish(struct sandbox *sandbox);
