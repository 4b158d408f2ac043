/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mount.h>

#include "child.h"
#include "rawcall.h"

/* The ends of the plan's lists: /proc and what lies below it. All of that is done in the sandbox's own root,
 * where no tenant has a say, so plain paths will do. Descriptors are left to step_descriptors(). */

static long attach(long mount_fd, const char *path)
{
	return RAWCALL(SYS_move_mount, mount_fd, "", AT_FDCWD, path,
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS);
}

static long clone_tree(int at, const char *path)
{
	return RAWCALL(SYS_open_tree, at, path,
		       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
}

static long mount_proc(const char *path, const char *hidepid)
{
	long fs = RAWCALL(SYS_fsopen, "proc", FSOPEN_CLOEXEC), r = fs;

	if (r >= 0 && hidepid)
		r = RAWCALL(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "hidepid", hidepid, 0);
	if (r >= 0)
		r = RAWCALL(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r >= 0)
		r = RAWCALL(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
			    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return r < 0 ? r : attach(r, path);
}

static long set_attributes(const char *path, uint64_t set)
{
	struct mount_attr attr = {.attr_set = set};

	return RAWCALL(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof attr);
}

/* By mount(2), which looks for the place before it clones the cover: a clone that found no place to go would be
 * taken apart again, which waits for an RCU grace period. */
static long mask(const struct mount_run *run, const struct mount_op *op, const char *path)
{
	const char *cover = op->flags & MOUNT_OP_FOLDER ? run->folder_path : run->null_path;

	return RAWCALL(SYS_mount, cover, path, NULL, MS_BIND, NULL);
}

/* Puts a device that does not work over a file, and a folder that nobody may read over a folder. */
static long hide(struct child_context *c, const char *path)
{
	int unreadable_fd = c->mounts->source_fds[c->mounts->next_source++];
	struct statx stx;
	long r = RAWCALL(SYS_statx, AT_FDCWD, path, 0, STATX_TYPE, &stx);

	if (r < 0)
		return r;
	r = (stx.stx_mode & S_IFMT) == S_IFDIR ? unreadable_fd : clone_tree(c->mounts->null_fd, "");
	if (r >= 0)
		r = attach(r, path);
	return r < 0 ? r : set_attributes(path, MOUNT_ATTR_NODEV);
}

static long run_op(struct child_context *c, const struct mount_op *op, const char *path, const char *options)
{
	struct mount_run *run = c->mounts;
	long fd;

	switch (op->kind) {
	case MOUNT_OP_PROC:
		return mount_proc(path, options);
	case MOUNT_OP_MASK:
		return mask(run, op, path);
	case MOUNT_OP_HIDE:
		return hide(c, path);
	case MOUNT_OP_COVER_READ_ONLY:
		fd = RAWCALL(SYS_mount, path, path, NULL, MS_BIND | MS_REC, NULL);
		return fd < 0 ? fd : set_attributes(path, MOUNT_ATTR_RDONLY);
	case MOUNT_OP_HOLD:
		fd = clone_tree(AT_FDCWD, path);
		run->held_fds[run->n_held++] = (int)fd;
		return fd;
	case MOUNT_OP_RELEASE:
		return attach(run->held_fds[run->next_held++], path);
	case MOUNT_OP_MOVE:
		fd = RAWCALL(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLOEXEC);
		return fd < 0 ? fd
			      : RAWCALL(SYS_move_mount, fd, "", run->place_fd, "",
					MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	default: /* what the launcher has opened: MOUNT_OP_BIND, MOUNT_OP_FILESYSTEM */
		fd = run->source_fds[run->next_source++];
		return fd < 0 ? fd : attach(fd, path);
	}
}

long child_mount(struct child_context *c, const struct mount_list *list, uint32_t begin)
{
	for (uint32_t i = begin; i < list->n_ops; i++) {
		const struct mount_op *op = &list->ops[i];
		long r;

		c->detail = mount_text(list, op->target);
		r = run_op(c, op, c->detail, mount_text(list, op->options));
		if (r < 0 && !(r == -ENOENT && op->flags & MOUNT_OP_OPTIONAL))
			return r;
	}
	return 0;
}
