/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/sched.h>
#include <stdint.h>

/* clone3(2), for which glibc has no wrapper: legacy clone(2) cannot place a child in a cgroup. The child runs
 * function(argument) on the stack that args names, and must not return. Returns the child's pid or -errno; with
 * CLONE_VFORK not before the child has executed a program or is gone. */
long clone3_call(struct clone_args *args, void (*function)(void *argument), void *argument);
