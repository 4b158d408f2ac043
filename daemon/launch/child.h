/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/capability.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "mount-run.h"
#include "plan.h"
#include "step.h"

/* The child between clone3(2) and execve(2). It shares the daemon's memory (CLONE_VM | CLONE_VFORK: nothing is
 * copied, however many sites the daemon holds) while the launcher thread that made it sleeps, so it runs one
 * ordered array of steps with raw system calls only: no malloc, no stdio, no lock, no change of memory outside
 * its context and its own stack. It has its own descriptor table, a small one: see launcher.c. */

/* Descriptors below this are the program's; the child's sources all lie above. */
#define CHILD_FD_BASE 256

/* Something to be written to a file in the process's own folder of /proc, by one write(2). */
struct child_write {
	const char *path, *text;
	size_t bytes;     /* 0: nothing is */
	const char *name; /* for who reads of a failure, or NULL */
	bool optional;    /* any error is passed over */
};

struct child_context {
	const struct launch_plan *plan;
	char *const *envp;
	const char *const *programs; /* paths to be tried, NULL-terminated */
	struct child_write oom_score, app_armor, selinux;
	uint64_t turn_ns; /* of its threads (turn.h); 0: as the kernel has it */
	int table_end;    /* what of the launcher's descriptors it needs lies below */

	const int *fds; /* [n_fds], what will be 0, 1, ...: each at least CHILD_FD_BASE, as the next one */
	unsigned n_fds;
	int channel_fd; /* the interceptor's, where this message goes: */
	const struct msghdr *message;
	int *notify_fd; /* where the listener of its filter is written to before */

	struct sock_fprog filter; /* of system calls, set with these flags */
	unsigned filter_flags;

	uid_t uid; /* as it is counted in its user namespace, */
	gid_t gid;
	int users_fd; /* which is this one; at least CHILD_FD_BASE; -EBADF: the host's */
	struct __user_cap_data_struct capabilities[2];
	bool keep_capabilities; /* when the user becomes another: some are left */

	struct mount_run *mounts; /* as the launcher leaves it */
	int root_fd;              /* of the root that the container has for its own; -EBADF: the sandbox's */

	/* What the launcher reads when the child is gone. */
	int error;             /* errno of the failed step; 0: execve has happened */
	enum launch_step step; /* which */
	const char *detail;    /* what it was about: a mount's target, a path; or NULL */
};

/* Runs every step. Does not return: it becomes the program, or exits with the context's error set. Suits
 * clone3_call(). */
void child_main(void *context) __attribute__((noreturn));

/* The step of child_main() that carries out a list from `begin` to its end (child-mounts.c). 0 or -errno, with
 * the context's detail. */
long child_mount(struct child_context *context, const struct mount_list *list, uint32_t begin);
