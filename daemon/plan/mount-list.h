/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mounts.h"

/* A list of mount operations under construction: operations and texts grow apart and are joined at the end. */
struct mount_builder {
	struct mount_op *ops;
	size_t n_ops, size_ops, n_ahead;
	char *texts;
	size_t texts_bytes, texts_size;
	int error; /* sticky: the first -errno */
};

/* Adds an operation; texts may be NULL, and are copied. */
void mount_list_add(struct mount_builder *b, struct mount_op op, const char *source, const char *target,
		    const char *options);

/* Joins operations and texts to one malloc block, *ret of *ret_bytes. The builder is empty afterwards. -ENOMEM,
 * -E2BIG. */
int mount_list_finish(struct mount_builder *b, struct mount_list **ret, size_t *ret_bytes);
