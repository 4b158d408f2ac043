/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sources.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "mount-source.h"

static int open_path(const struct launch_job *job, const struct mount_op *op, const char *path)
{
	bool recursive = op->flags & MOUNT_OP_RECURSIVE, writable = !(op->flags & MOUNT_OP_RDONLY);
	autoclose int fd = mount_source_clone_trusted(op, path);
	int r = fd < 0 ? fd : identity_map_mount(&job->identity, job->plan, fd, path, recursive, writable);

	return r < 0 ? r : steal_fd(&fd);
}

/* A source without a '/' is one of the run's network. */
static int open_bind(const struct launch_job *job, const struct mount_op *op, const char *source)
{
	char path[PATH_MAX];

	if (*source == '/')
		return open_path(job, op, source);
	snprintf(path, sizeof path, "%s/%s", job->network, source);
	return open_path(job, op, path);
}

static int open_filesystem(const struct launch_job *job, const struct mount_op *op, const char *type,
			   const char *options)
{
	autofree char *owned = identity_tmpfs_options(&job->identity, options ? options : "");

	return owned ? mount_source_filesystem(op, type, owned) : -ENOMEM;
}

/* What an operation of the unit's list needs that neither the child nor, in the container, the launcher makes:
 * binds, whose sources are the host's, file systems, and in /proc all else that is new. 0: nothing. */
static int open_source(const struct launch_job *job, const struct mount_list *list, uint32_t i)
{
	const struct mount_op *op = &list->ops[i];
	const char *source = mount_text(list, op->source);

	if (op->kind == MOUNT_OP_BIND)
		return open_bind(job, op, source);
	if (op->kind == MOUNT_OP_FILESYSTEM)
		return open_filesystem(job, op, source, mount_text(list, op->options));
	if (i >= list->n_ahead && op->kind == MOUNT_OP_HIDE)
		return mount_source_unreadable();
	return 0;
}

int sources_open(struct start *start, struct launch_job *job)
{
	const struct mount_list *list = job->plan->unit_mounts->data;
	unsigned n_held = 0, n = 0;

	for (uint32_t i = 0; i < list->n_ops; i++)
		n_held += list->ops[i].kind == MOUNT_OP_HOLD;
	start->mount_fds = malloc((list->n_ops + n_held + 1) * sizeof *start->mount_fds);
	if (!start->mount_fds)
		return launch_job_fail(job, STEP_SOURCES, -ENOMEM, NULL);
	for (uint32_t i = 0; i < list->n_ops; i++) {
		const struct mount_op *op = &list->ops[i];
		int fd = open_source(job, list, i);

		if (fd < 0 && !(fd == -ENOENT && op->flags & MOUNT_OP_OPTIONAL))
			return launch_job_fail(
				job, STEP_SOURCES, fd,
				mount_text(list, op->kind == MOUNT_OP_BIND ? op->source : op->target));
		if (fd != 0)
			start->mount_fds[n++] = fd;
		start->n_mount_fds = n;
	}
	for (unsigned i = 0; i < n_held; i++)
		start->mount_fds[n + i] = -EBADF;
	start->n_mount_fds = n + n_held;
	start->mounts.source_fds = start->mount_fds;
	start->mounts.held_fds = start->mount_fds + n;
	start->mounts.untrusted = true;
	return 0;
}
