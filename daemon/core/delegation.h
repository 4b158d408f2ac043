/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* torpor's own part of cgroup v2: the directory in which sites get theirs. */

struct delegation {
	int fd;               /* the directory; -EBADF: none */
	char *path;           /* owned, absolute */
	bool made;            /* it was not there before, so it is removed at the end */
	unsigned controllers; /* that sites' cgroups can use */
};

/* Finds it (wanted, from --cgroup; else the cgroup this process was started in, or "torpor" below the root when
 * that is the root), makes it, moves this process out of the way into a child "torpord" where it stands in it,
 * hands the controllers on to children, and ends what an earlier torpord left behind. 0, or -errno with the
 * reason in the log. */
int delegation_open(const char *wanted, struct delegation *ret);

/* Gives it up. One that is not open is fine. */
void delegation_close(struct delegation *delegation);
