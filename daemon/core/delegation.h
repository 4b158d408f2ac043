/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* torpor's own part of cgroup v2: the directory in which sites get theirs. */

struct delegation {
	int fd;               /* the directory; -EBADF: none */
	char *path;           /* owned, absolute */
	bool made;            /* it was not there before, so it is removed at the end */
	unsigned controllers; /* that sites' cgroups can use */
	unsigned enabled;     /* of them, those that sites' cgroups have now */
	unsigned files;       /* of limits, that sites' cgroups can have: bit n is enum cgroup_file n */
	bool device_programs; /* sites' cgroups take them */
};

/* Finds it (wanted, from --cgroup; else the cgroup this process was started in, or "torpor" below the root when
 * that is the root), makes it, moves this process out of the way into a child "torpord" where it stands in it,
 * ends what an earlier torpord left behind, and finds out what limits the kernel can enforce there. 0, or
 * -errno with the reason in the log. */
int delegation_open(const char *wanted, struct delegation *ret);

/* Hands more controllers on to the cgroups of sites, there for good: those of `controllers` are possible.
 * -errno. */
int delegation_enable(struct delegation *delegation, unsigned controllers);

/* Gives it up. One that is not open is fine. */
void delegation_close(struct delegation *delegation);
