/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "plan.h"
#include "user-namespace.h"

struct id_ranges;

/* Who a container is on the host. Its plan names users as they are counted inside: what they are outside is
 * given out at the first start. */
struct identity {
	struct id_ranges *ranges; /* the caller's */
	uint32_t first;           /* of the range that its user namespace has; 0: it has none */
	uint32_t single;          /* of DynamicUser= without one; 0: none */
	int users_fd;             /* of the user namespace; the sandbox's; -EBADF: none */
};

#define IDENTITY_NONE ((struct identity){.users_fd = -EBADF})

/* Acquires what the plan needs, and says so to the user namespace that was made ahead, if it is to have one.
 * -errno of id_ranges_acquire() or of the kernel. */
int identity_take(struct identity *identity, struct id_ranges *ranges, const struct launch_plan *plan,
		  const struct user_namespace *users);

/* What a user or group of the plan is to the program, and on the host. */
uint32_t identity_inside(const struct identity *identity, uint32_t id);
uint32_t identity_on_host(const struct identity *identity, uint32_t id);

/* Has the owners in a mount that is attached nowhere yet mean ids of the container. Where a file system cannot
 * do that, or there is no user namespace, they stay the host's: the container may read what everybody may, and
 * where it can write identity_leave_files() is called. recursive: with those mounted below it, where all of
 * them can be. 1: it is mapped; 0: not; -errno. */
int identity_map_mount(const struct identity *identity, const struct launch_plan *plan, int mount_fd,
		       const char *path, bool recursive, bool writable);

/* The container may leave files with ids that were given out to it below path: they stay its own. 0 or -errno.
 */
int identity_leave_files(const struct identity *identity, const struct launch_plan *plan, const char *path);

/* The options of a tmpfs with its owner, root of the container where they name none, as the host counts. A new
 * string that the caller frees; NULL when out of memory. */
char *identity_tmpfs_options(const struct identity *identity, const char *options);

/* Gives the file systems that the sandbox has brought along, which the calling thread has entered, to the
 * container's root. -errno. */
int identity_own_sandbox(const struct identity *identity);

/* Until identity_end(), the calling thread makes files as the root of the container does, for mounts that are
 * mapped; it loses no capability. -errno. */
int identity_begin(const struct identity *identity);
void identity_end(void);
