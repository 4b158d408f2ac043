/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "mounts.h"

/* A mount namespace that holds nothing but what all containers have alike. A child cloned from a thread that
 * sits in it gets a copy of some thirty mounts, read-only and ready, instead of one of the whole host's, and
 * has no way back to the host from the first instruction. */
struct shared_root {
	int namespace_fd;              /* -EBADF: not made yet */
	const struct mount_list *list; /* what it was made from; the plan's */
	uint64_t etc_stamp, made_ns;   /* of /etc when it was made; CLOCK_MONOTONIC */
};

void shared_root_init(struct shared_root *root);
void shared_root_finish(struct shared_root *root);

/* Makes the namespace, unless there is one from the same list that is younger than max_age_ns and from the same
 * /etc: a bind holds on to the file that was there, and files of /etc are replaced by renaming. The calling
 * thread must not share its fs_struct, and is back in host_fd's namespace afterwards. -errno, with *detail
 * saying at what. */
int shared_root_refresh(struct shared_root *root, const struct mount_list *list, int host_fd,
			uint64_t max_age_ns, const char **detail);
