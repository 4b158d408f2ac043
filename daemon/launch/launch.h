/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "launcher.h"
#include "shared-root.h"

#define LAUNCH_SPARES_MAX 8 /* a set costs the kernel about 100 KiB */

/* What one launcher thread keeps from start to start. Descriptors are of the thread's own table. */
struct launch_thread {
	int self_fd;         /* pidfd of the daemon, to fetch descriptors from its table */
	int event_fd;        /* the launcher's, to say that a job is done */
	int cgroup_fd;       /* torpor's cgroup */
	int null_fd;         /* /dev/null, open for both ways */
	int host_network_fd; /* for PrivateNetwork=no */
	int host_mounts_fd;  /* the way back from the shared root */
	struct shared_root shared_root;
	bool fresh; /* the thread sits in network, IPC and UTS namespaces that nobody has used */
	struct fresh_set {
		int network_fd, ipc_fd, uts_fd;
	} spare[LAUNCH_SPARES_MAX]; /* more of them, for a burst of starts */
	unsigned n_spare, max_spare;
	void *stack; /* for children */
	size_t stack_bytes;
};

/* Gives the calling thread its own descriptor table and prepares it; event_fd is of the process, max_spare at
 * most LAUNCH_SPARES_MAX. -errno. */
int launch_thread_init(struct launch_thread *thread, const char *cgroup_path, int event_fd, unsigned max_spare);
void launch_thread_finish(struct launch_thread *thread);

/* Makes one more set of network, IPC and UTS namespaces ahead, until the thread sits in one and has max_spare
 * to spare, and the shared root anew when it is old: what a start would otherwise have to wait for. 1: there is
 * more to do; 0: all is ready; -errno. */
int launch_prepare(struct launch_thread *thread);

/* Carries one job out and fills in its result. A start that fails leaves no process and no cgroup. */
void launch_run(struct launch_thread *thread, struct launch_job *job);
