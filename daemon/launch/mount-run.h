/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mounts.h"

/* How far a container's mounts have got. A launcher thread that has entered the container's namespace carries
 * out each list up to its n_ahead; what is left of it, /proc and what lies below, is the child's. Neither
 * closes a descriptor in here. */
struct mount_run {
	/* Mounts that are attached nowhere yet, of the operations for which they were opened before, in their
	 * order; -ENOENT where an optional one is missing. NULL: binds open their sources themselves, on the
	 * host, and file systems are made on the way. */
	const int *source_fds;
	unsigned next_source;
	int *held_fds; /* room for one of each MOUNT_OP_HOLD */
	unsigned n_held, next_held;
	int place_fd;           /* of MOUNT_OP_PLACE */
	int null_fd, folder_fd; /* MOUNT_COVER_FILE and MOUNT_COVER_FOLDER of the sandbox */
	/* Where the child finds them: there, or by its /proc once they were moved to a root of its own. */
	const char *null_path, *folder_path;

	bool untrusted;     /* targets may lie in what a tenant can write */
	uint64_t resolve;   /* how the targets of the present operation are found there */
	const char *detail; /* the target of the present operation */
};

/* Without descriptors. */
#define MOUNT_RUN_NONE                                                                                         \
	((struct mount_run){.place_fd = -EBADF,                                                                \
			    .null_fd = -EBADF,                                                                 \
			    .folder_fd = -EBADF,                                                               \
			    .null_path = MOUNT_COVER_FILE,                                                     \
			    .folder_path = MOUNT_COVER_FOLDER})

/* Puts an empty root over the present one of the calling thread, and goes there. -errno. */
int mount_run_root(void);

/* Carries operations 0 to end - 1 of a list out below the working directory. -errno, with run->detail. */
int mount_run_list(struct mount_run *run, const struct mount_list *list, uint32_t end);
