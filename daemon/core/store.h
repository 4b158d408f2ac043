/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct daemon;
struct inheritance;

/* The sites' listeners over a restart of torpord: they stay open with the service manager, in its store of
 * descriptors (sd_pid_notify_with_fds(3), FDSTORE=; FileDescriptorStoreMax= of systemd.service(5)), and who
 * connects meanwhile waits. The manager compares each descriptor with each that it has by a system call, which
 * for ten thousand would keep it from all else for many seconds. So it gets one: a socket in which messages
 * with the listeners wait (SCM_RIGHTS), as many to a message as the kernel takes. (While they do, processes of
 * root without CAP_SYS_RESOURCE and CAP_SYS_ADMIN cannot send descriptors, unless they may open more files than
 * that: unix(7), ETOOMANYREFS.) */

/* Whose a listener is: a hash of the site's name. */
uint64_t store_site(const char *name);

/* Whether a descriptor that was passed under this name is one. */
bool store_is_one(const char *name);

/* Leaves all listeners of the sites that are not the manager's own. Nobody may need them any more. 0 when the
 * manager has them; -ENOENT: there is no manager that stores any, else -errno: they are to be closed as if it
 * had not been tried. */
int store_leave(const struct daemon *daemon);

/* Takes what is in a store over, whose descriptor is closed, and empties the manager's. What another version
 * has written otherwise is passed over. -ENOMEM: the manager keeps the rest. */
int store_receive(int fd, struct inheritance *inheritance);
