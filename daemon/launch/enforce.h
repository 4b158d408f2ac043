/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

struct resource_list;

/* Writes the limits of a control group. was is what was written before, of which only what differs is written
 * again, or with again = true all, and what is not wanted any more gets the kernel's own value; NULL: nothing,
 * the group is new. All of it is tried whatever fails; the first -errno, with the name of the file in
 * *ret_file. May take long where a limit of memory is below what is used: the kernel reclaims first. */
int enforce_resources(int cgroup_fd, const struct resource_list *was, const struct resource_list *wanted,
		      bool again, const char **ret_file);
