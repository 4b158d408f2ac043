/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

struct resource_list;

#define ENFORCE_TEXT_BYTES 192 /* of what could not be written; more is cut */

/* Writes the limits of a control group. was is what was written before, of which only what differs is written
 * again, or with again = true all, and what is not wanted any more gets the kernel's own value; NULL: nothing,
 * the group is new. All of it is tried whatever fails; the first -errno, and in text all: "io.weight (Operation
 * not supported), cpuset.mems (Invalid argument)". May take long where a limit of memory is below what is used:
 * the kernel reclaims first. */
int enforce_resources(int cgroup_fd, const struct resource_list *was, const struct resource_list *wanted,
		      bool again, char text[static ENFORCE_TEXT_BYTES]);
