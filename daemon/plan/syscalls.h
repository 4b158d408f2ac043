/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "blob.h"

/* The default seccomp program of a container: the calls that a site may make, by name. Every other one fails
 * with ENOSYS, so that programs fall back as on an older kernel; arguments that no site may use fail with
 * EPERM. Native architecture only. */

/* Compiled once per pool; one reference to *ret, whose data is an array of struct sock_filter. -errno. */
int syscalls_compile_default(struct blob_pool *pool, struct blob **ret);
