/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include "child.h"
#include "interceptor.h"
#include "launch.h"

/* The first part of the message to the interceptor, its parts, and the descriptor that goes with it. */
struct start_message {
	struct intercept_hello hello;
	struct intercept_socket sockets[SPEC_LISTENERS_MAX];
	struct iovec parts[2 + SPEC_LISTENERS_MAX];
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(__alignof__(struct cmsghdr))));
	struct msghdr header;
};

/* What the launcher opens and puts together for one child, so that a child has nothing to look for and nothing
 * to work out. Its descriptors and memory are its own, but for what is the plan's. Not to be moved: the context
 * points into it. */
struct start {
	struct child_context context;
	int listener_fds[SPEC_LISTENERS_MAX];
	int stdio_fds[3];
	int fds[3 + SPEC_LISTENERS_MAX]; /* of those, in the program's order */
	struct start_message message;
	struct mount_run mounts;
	int *mount_fds; /* sources, then what is held */
	unsigned n_sources, n_mount_fds;
	char **envp;
	const char **programs;
	char oom_score[8];
	char null_path[32], folder_path[32];
	char *label_text;
};

void start_init(struct start *start, const struct launch_shared *shared, const struct launch_job *job);

/* Opens what is the host's, with the calling thread in the host's namespaces. -errno, and the job says why. */
int start_open(struct start *start, const struct launch_shared *shared, struct launch_job *job);

void start_finish(struct start *start);

/* Moves a new descriptor (-1: errno says why there is none) to CHILD_FD_BASE or above; the lower one is closed.
 * The new one or -errno. */
int start_move_high(int fd);
