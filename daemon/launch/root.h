/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>

#include "identity.h"
#include "image.h"
#include "plan.h"

/* A container's own root, as mounts that are attached nowhere yet. */
struct root {
	int base_fd;    /* read-only; -EBADF: the default root, or layers */
	int *layer_fds; /* owned: [n_layers], the lowest first, read-only; NULL: none */
	unsigned n_layers;
	int upper_fd;                   /* what the overlay writes to; -EBADF: there is none, or */
	bool upper_ahead;               /* the sandbox has it, in memory */
	bool base_mapped, upper_mapped; /* owners in them are meant as users of the container */
};

#define ROOT_NONE ((struct root){.base_fd = -EBADF, .upper_fd = -EBADF})

/* Opens what the unit names, on the host, as image_open() does, for this identity. Nothing to do for the
 * default root. -errno, with *detail saying at what; to be finished all the same. */
int root_open(struct root *root, const struct launch_plan *plan, const struct identity *identity,
	      struct image_cache *images, const struct sandbox_host *host, const char **detail);

/* Puts the root over the sandbox that the calling thread has entered, whose own root stays its working
 * directory: what is to be moved into the new one. *ret_fd, of the new one, is the caller's to close, and
 * untouched for the default root. -errno, with *detail. */
int root_mount(const struct root *root, const struct launch_plan *plan, const struct identity *identity,
	       int *ret_fd, const char **detail);

void root_finish(struct root *root);
