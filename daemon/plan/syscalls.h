/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/seccomp.h>
#include <stdbool.h>

#include "blob.h"
#include "restrictions.h"

/* The seccomp program of a container, from the keys of its unit. Where they say nothing it lets in @container,
 * by arguments that no site may use with EPERM, and all else fails with ENOSYS, so that programs fall back as
 * on an older kernel. Where its handover intercepts, bind(2) and listen(2) notify whoever listens to the
 * program (SECCOMP_RET_USER_NOTIF) if they are let in at all; with AcceptWhenReady=, accept(2) does. Native
 * architecture only. */

#define SYSCALLS_ERRNO(number) (SECCOMP_RET_ERRNO | (number))

/* The answer to every call, and what it points into. */
struct syscalls {
	struct filter_rules rules;
	struct restrictions restrictions;
};

/* Fills *ret, which must stay where it is. */
void syscalls_decide(const struct site_spec *spec, struct syscalls *ret);

/* The compiled program: one reference to *ret, whose data is an array of struct sock_filter. Compiled once per
 * pool for all sites whose keys say the same. -ENOMEM, -E2BIG. */
int syscalls_compile(struct blob_pool *pool, const struct site_spec *spec, struct blob **ret);

/* Whether some call notifies who listens to the filter. */
bool syscalls_notify(const struct blob *program);
