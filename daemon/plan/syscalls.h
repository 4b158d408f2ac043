/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "blob.h"

/* The seccomp programs of a container, compiled by libseccomp once per distinct content (about 3 ms) and
 * shared. Two are installed, and the kernel takes the stricter answer of both: allowed   the calls that a site
 * may make; every other one fails with ENOSYS, so that programs fall back as on an older kernel refused
 * arguments that no site may use: socket families that reach outside, ioctls that type into a terminal. A list
 * of its own because the kernel reads these arguments as 32 bits, and libseccomp can compare masked values for
 * equality only. */
#define SYSCALL_PROGRAMS 2

/* The default programs, one reference each: data is an array of struct sock_filter. -errno. */
int syscalls_compile_default(struct blob_pool *pool, struct blob *ret[static SYSCALL_PROGRAMS]);
