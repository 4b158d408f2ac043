/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* torpor's own part of cgroup v2: the directory in which sites get theirs. */

/* Finds it (wanted, from --cgroup; else the cgroup this process was started in, or "torpor" below the root when
 * that is the root), makes it, moves this process out of the way into a child "torpord" where it stands in it,
 * hands the controllers on to children, and ends what an earlier torpord left behind. Returns a descriptor of
 * the directory and its path to *path, to be freed; or -errno, with the reason in the log. */
int delegation_open(const char *wanted, char **path, unsigned *controllers);

/* Removes what delegation_open() made, as far as it is empty. */
void delegation_close(int cgroup_fd, const char *path);
