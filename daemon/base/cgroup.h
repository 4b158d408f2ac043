/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What torpor does with one directory of a cgroup v2 hierarchy, always through an open descriptor of it
 * (O_PATH will do not: O_DIRECTORY|O_RDONLY). */

/* Makes child below parent_fd and opens it; one that is there already is emptied by cgroup.kill and used.
 * Returns the descriptor (the caller's) or -errno. */
int cgroup_create(int parent_fd, const char *child);

/* Removes child below parent_fd. 0 also when it is not there; -EBUSY while a process lives in it. */
int cgroup_remove(int parent_fd, const char *child);

/* Kills everything in child and below, waits for the end (at most about 2 s), and removes the whole subtree.
 * For what an earlier torpord left behind. */
int cgroup_destroy_tree(int parent_fd, const char *child);

/* SIGKILL to every process inside, frozen ones included (Linux 5.14). */
int cgroup_kill(int cgroup_fd);

/* Opens cgroup.freeze for cgroup_set_frozen(). Returns the descriptor (the caller's) or -errno. */
int cgroup_open_freeze(int cgroup_fd);

/* Asks the kernel to freeze or thaw; freezing ends when cgroup.events says so. */
int cgroup_set_frozen(int freeze_fd, bool frozen);

struct cgroup_events {
	bool populated, frozen;
};

/* Reads cgroup.events, from a descriptor of that file (kept open for POLLPRI) at offset 0. */
int cgroup_read_events(int events_fd, struct cgroup_events *ret);

/* Opens cgroup.procs or cgroup.threads, which have a number a line. The caller's; NULL: errno says why. */
FILE *cgroup_open_list(int cgroup_fd, const char *name);

/* CPU time used so far, in microseconds, from cpu.stat (there without a cpu controller). */
int cgroup_cpu_usage_us(int cgroup_fd, uint64_t *ret);

enum cgroup_oom {
	CGROUP_OOM_NONE, /* nobody was killed for want of memory, or the memory controller is not in cgroup v2
			  */
	CGROUP_OOM_OWN_LIMIT, /* somebody was, at memory.max */
	CGROUP_OOM_ABOVE,     /* somebody was, and the limit was that of a cgroup above, or the host's memory */
};

/* What the kernel's OOM killer has done in the cgroup, from memory.events. */
enum cgroup_oom cgroup_read_oom(int cgroup_fd);

/* Bytes charged now: memory.current, or -ENOENT where the memory controller is not in cgroup v2. */
int cgroup_memory_bytes(int cgroup_fd, uint64_t *ret);

/* Whether controller ("memory", "pids" ...) is listed in cgroup.controllers of the directory. */
bool cgroup_has_controller(int cgroup_fd, const char *controller);
