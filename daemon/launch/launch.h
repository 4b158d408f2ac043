/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "launcher.h"
#include "shared-root.h"

/* What one launcher thread keeps from start to start. Descriptors are of the thread's own table. */
struct launch_thread {
	int self_fd;         /* pidfd of the daemon, to fetch descriptors from its table */
	int event_fd;        /* the launcher's, to say that a job is done */
	int cgroup_fd;       /* torpor's cgroup */
	int null_fd;         /* /dev/null, open for both ways */
	int host_network_fd; /* for PrivateNetwork=no */
	int host_mounts_fd;  /* the way back from the shared root */
	struct shared_root shared_root;
	bool fresh;  /* the thread sits in network, IPC and UTS namespaces that nobody has used */
	void *stack; /* for children */
	size_t stack_bytes;
};

/* Gives the calling thread its own descriptor table and prepares it; event_fd is of the process. -errno. */
int launch_thread_init(struct launch_thread *thread, const char *cgroup_path, int event_fd);
void launch_thread_finish(struct launch_thread *thread);

/* Makes the next container's network, IPC and UTS namespaces, unless there are some, and the shared root anew
 * when it is old: what a start would otherwise have to wait for. -errno. */
int launch_prepare(struct launch_thread *thread);

/* Carries one job out and fills in its result. A start that fails leaves no process and no cgroup. */
void launch_run(struct launch_thread *thread, struct launch_job *job);
