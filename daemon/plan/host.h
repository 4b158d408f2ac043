/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* What a launch plan needs to know of the machine, found out once at start. */

/* Controllers of cgroup v2 that torpor writes to. */
enum controller {
	CONTROLLER_CPU = 1 << 0,
	CONTROLLER_CPUSET = 1 << 1,
	CONTROLLER_IO = 1 << 2,
	CONTROLLER_MEMORY = 1 << 3,
	CONTROLLER_PIDS = 1 << 4,
};

/* Those that every site's cgroup has, where the host has them: the others are enabled when a unit needs them.
 */
#define CONTROLLERS_ALWAYS (CONTROLLER_CPU | CONTROLLER_MEMORY | CONTROLLER_PIDS)

#define HOST_LINKS_MAX 8

struct host {
	unsigned controllers;  /* those that sites' cgroups can use */
	unsigned cgroup_files; /* files of limits that this kernel has: bit n is enum cgroup_file n */
	bool device_programs;  /* the kernel takes BPF programs for the use of devices */
	uint64_t memory_bytes; /* what a share of memory is one of */
	uint64_t tasks_max;    /* what a share of tasks is one of */
	const char *run_dir;   /* torpor's run folder: where the notify socket is; the caller's string */
	const char
		*layers_dir; /* where layers of images are unpacked, the caller's; NULL: none are looked for */
	struct rlimit open_files; /* RLIMIT_NOFILE as torpord was started with: what sites get by default */
	int oom_score_adj;        /* torpord's own: a site with another one writes it */
	/* Top-level names of the default root that point into /usr on this host ("bin" -> "usr/bin"), and those
	 * that are folders of their own (a host that is not usr-merged). */
	struct {
		char name[16];
		char link[32]; /* empty: a folder, to be bound */
	} links[HOST_LINKS_MAX];
	unsigned n_links;
};

/* Fills all but what is known of control groups (the first three), run_dir and layers_dir. -errno when / cannot
 * be read. */
int host_probe(struct host *host);

/* The controller named "cpu", "cpuset", "io", "memory" or "pids"; 0 for another. And back, for one bit. */
unsigned controller_from_name(const char *name);
const char *controller_name(unsigned controller);

/* The controllers listed in cgroup.controllers of an open cgroup directory. */
unsigned controllers_available(int cgroup_fd);

/* Hands controllers on to the children of a cgroup, or takes them back. -errno, and nothing is done then. */
int controllers_enable(int cgroup_fd, unsigned mask, bool enable);
