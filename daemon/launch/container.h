/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"

/* A running container as the loop holds it: a process known by its pidfd, and its cgroup. */
struct container {
	pid_t pid;
	int pidfd;     /* readable when the process has ended */
	int cgroup_fd; /* its directory */
	int events_fd; /* its cgroup.events: POLLPRI at each change */
	int freeze_fd; /* its cgroup.freeze, from a freeze until the thaw, which needs no descriptor then */
};

/* Marks a container as none. */
void container_init(struct container *container);

/* Takes hold of a child that launcher started. It is not waited for by anybody else, so its pid is its own.
 * -errno; the container is none then. */
int container_open(struct container *container, pid_t pid, int parent_cgroup_fd, const char *cgroup);

/* Closes the descriptors. The process is not touched. */
void container_finish(struct container *container);

static inline bool container_exists(const struct container *container)
{
	return container->pid > 0;
}

/* Signals the first process. Where it has no handler for the signal, and the signal would end any ordinary
 * process, the whole container is killed at once: as the first of its pid namespace it would ignore it
 * (pid_namespaces(7)), and a default action is what its author expects. Returns 1 when it was killed so. */
int container_signal(const struct container *container, int signal);

/* Kills all of it. Where there is no descriptor for that the first process is, which takes the others along. */
int container_kill(const struct container *container);

/* Asks the kernel to freeze all of it; that has happened when events_fd says so. -errno: it goes on, or soon
 * does.
 */
int container_freeze(struct container *container);

/* Has it go on, where it was frozen. -errno: it does not, which may be tried again; not for want of
 * descriptors. */
int container_thaw(struct container *container);

/* Collects the ended process: its si_code and si_status as waitid(2) gives them. -EAGAIN: it still lives. */
int container_reap(const struct container *container, int *code, int *status);
