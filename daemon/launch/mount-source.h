/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "mounts.h"

/* Mounts that are attached nowhere yet. Each function returns a descriptor, the caller's, or -errno. */

/* A new file system of a type, with parameters and attributes as in "mode=0755,ro", and further attributes. */
int mount_source_create(const char *type, const char *options, uint64_t attributes);

/* What an operation asks for: a new file system of this type, */
int mount_source_filesystem(const struct mount_op *op, const char *type, const char *options);

/* a clone of the host's source, */
int mount_source_clone(const struct mount_op *op, const char *source);

/* of what a descriptor is open for (O_PATH will do), */
int mount_source_clone_fd(const struct mount_op *op, int fd);

/* or one that a unit names: see trusted-path.h. */
int mount_source_clone_trusted(const struct mount_op *op, const char *source);

/* A folder that nobody may read or enter. */
int mount_source_unreadable(void);
