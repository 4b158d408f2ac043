/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "interceptor.h"
#include "plan.h"
#include "step.h"

/* The child between clone3(2) and execve(2). It shares the daemon's memory (CLONE_VM | CLONE_VFORK: nothing is
 * copied, however many sites the daemon holds) while the launcher thread that made it sleeps, so it runs one
 * ordered array of steps with raw system calls only: no malloc, no stdio, no lock, no change of memory outside
 * its context and its own stack. It has its own descriptor table, a small one: see launcher.c. */

/* Descriptors below this are the program's; the child's sources all lie above. */
#define CHILD_FD_BASE 256

struct child_context {
	const struct launch_plan *plan;
	char *const *envp;
	int table_end;           /* what of the launcher's descriptors it needs lies below */
	const int *listener_fds; /* [plan->spec->n_listeners], each at least CHILD_FD_BASE, as the next three */
	int stdin_fd, stdout_fd, stderr_fd;

	struct intercept_hello hello;     /* to the interceptor, */
	struct intercept_socket *sockets; /* [hello.n_listeners] */
	int channel_fd;                   /* by this socket */
	int notify_fd;                    /* the listener of its own seccomp filter */

	/* Sources of the binds in the unit's list, in their order: mounts that are attached nowhere yet;
	 * -ENOENT where an optional one is missing. NULL: binds open their sources themselves, on the host. */
	const int *bind_fds;
	unsigned next_bind;
	int *held_fds; /* room for one of each MOUNT_OP_HOLD */
	unsigned n_held, next_held;

	int root_fd;      /* of the root that the container has for its own; -EBADF: the sandbox's */
	bool untrusted;   /* targets may lie in what a tenant can write */
	uint64_t resolve; /* how the targets of the present operation are found there */

	/* What the launcher reads when the child is gone. */
	int error;             /* errno of the failed step; 0: execve has happened */
	enum launch_step step; /* which */
	const char *detail;    /* what it was about: a mount's target, a path; or NULL */
};

/* Runs every step. Does not return: it becomes the program, or exits with the context's error set. Suits
 * clone3_vfork(). */
void child_main(void *context) __attribute__((noreturn));

/* Mounts (child-mounts.c); also used by the launcher to make the shared root and sandboxes. Each 0 or -errno.
 * child_mount_root() puts an empty root over the present one and goes there; child_mount() carries operations
 * begin to end - 1 of a list out below the working directory, and sets context->detail. */
int child_mount_root(void);
int child_mount(struct child_context *context, const struct mount_list *list, uint32_t begin, uint32_t end);

/* A new file system of a type that is mounted nowhere yet, with parameters and attributes "mode=0755,ro": a
 * descriptor or -errno. */
int child_new_filesystem(const char *type, const char *options, uint64_t attributes);

/* A mount of the host's source that is attached nowhere yet, with the operation's attributes: a descriptor or
 * -errno. */
int child_open_source(const struct mount_op *op, const char *source);
