/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount-run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>
#include <sys/mount.h>

#include "cleanup.h"
#include "mount-source.h"
#include "rawcall.h"

/* The mount operations of a launch plan. The working directory is the new root. Every target is found by
 * openat2(2) within it and mounted on by descriptor: whatever a tenant put there, or swaps meanwhile, a mount
 * cannot land outside. */

/* An O_PATH descriptor of a path inside the root; links are followed within the root, where they are. */
static long find_target(const struct mount_run *run, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | run->resolve};

	return RAWCALL(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static int set_attributes(long fd, unsigned flags, uint64_t set, uint64_t clear)
{
	struct mount_attr attr = {.attr_set = set, .attr_clr = clear};

	return (int)RAWCALL(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attr, sizeof attr);
}

static int is_directory(long fd)
{
	struct statx stx;
	long r = RAWCALL(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx);

	return r < 0 ? (int)r : (stx.stx_mode & S_IFMT) == S_IFDIR;
}

/* Makes path, a folder or an empty file, with its parents; no link is followed on the way. Returns an O_PATH
 * descriptor of it. */
static long make_target(const char *path, bool directory, mode_t mode)
{
	char name[256];
	long fd = RAWCALL(SYS_openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), next, r;

	while (fd >= 0) {
		size_t n = 0;

		while (*path == '/')
			path++;
		while (*path && *path != '/' && n < sizeof name - 1)
			name[n++] = *path++;
		name[n] = '\0';
		if (n == 0)
			return fd;
		/* No descriptor that is open for writing, not for a moment: a child of another thread would
		 * copy it, and its mount could not be made read-only. */
		r = *path || directory ? RAWCALL(SYS_mkdirat, fd, name, *path ? 0755 : mode)
				       : RAWCALL(SYS_mknodat, fd, name, S_IFREG | 0444, 0);
		next = r < 0 && r != -EEXIST && r != -EROFS
			       ? r
			       : RAWCALL(SYS_openat, fd, name,
					 O_PATH | O_NOFOLLOW | O_CLOEXEC |
						 (*path || directory ? O_DIRECTORY : 0));
		fd_close((int)fd);
		fd = next;
	}
	return fd;
}

static int attach(long mount_fd, long target_fd)
{
	return (int)RAWCALL(SYS_move_mount, mount_fd, "", target_fd, "",
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* Mounts mount_fd at path, making the mount point where it is missing. Where everything so far is the kernel's
 * or our own (in the lists before the unit's), a plain path will do, at half the calls. */
static int attach_at(struct mount_run *run, long mount_fd, const char *path, bool directory)
{
	long target;
	int r;

	if (!run->untrusted) {
		if (directory)
			RAWCALL(SYS_mkdirat, AT_FDCWD, path + 1, 0755); /* mostly it is not there yet */
		r = (int)RAWCALL(SYS_move_mount, mount_fd, "", AT_FDCWD, path + 1, MOVE_MOUNT_F_EMPTY_PATH);
		if (r != -ENOENT)
			return r;
	}
	target = find_target(run, path);
	if (target == -ENOENT)
		target = make_target(path, directory, 0755);
	if (target < 0)
		return (int)target;
	r = attach(mount_fd, target);
	fd_close((int)target);
	return r;
}

/* Attaches a mount at a path, as a folder or a file. */
static int attach_like(struct mount_run *run, long fd, const char *target)
{
	int r = is_directory(fd);

	return r < 0 ? r : attach_at(run, fd, target, r);
}

static int run_bind(struct mount_run *run, const struct mount_op *op, const char *source, const char *target)
{
	autoclose int own_fd = -EBADF;
	int fd = run->source_fds ? run->source_fds[run->next_source++]
				 : (own_fd = mount_source_clone(op, source));

	return fd < 0 ? fd : attach_like(run, fd, target);
}

/* The process's root is the shared one still, or the sandbox's: a plain path is one in there. */
static int run_move(struct mount_run *run, const char *path)
{
	autoclose int fd = (int)RAWCALL(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLOEXEC);

	return fd < 0 ? fd : attach_like(run, fd, path);
}

static int run_filesystem(struct mount_run *run, const struct mount_op *op, const char *type,
			  const char *target, const char *options)
{
	autoclose int own_fd = -EBADF;
	int fd = run->source_fds ? run->source_fds[run->next_source++]
				 : (own_fd = mount_source_filesystem(op, type, options));

	return fd < 0 ? fd : attach_at(run, fd, target, true);
}

static int run_place(struct mount_run *run, const char *path)
{
	run->place_fd = (int)find_target(run, path);
	if (run->place_fd == -ENOENT)
		run->place_fd = (int)make_target(path, true, 0755);
	return run->place_fd;
}

/* Operations on what is there already. */
static int run_on_target(const struct mount_run *run, const struct mount_op *op, const char *path)
{
	long target = find_target(run, path);
	int r = 0;

	if (target < 0)
		return (int)target;
	switch (op->kind) {
	case MOUNT_OP_READ_ONLY:
		r = set_attributes(target, 0, MOUNT_ATTR_RDONLY, 0);
		break;
	case MOUNT_OP_WRITABLE:
		r = set_attributes(target, 0, 0, MOUNT_ATTR_RDONLY);
		break;
	default: /* MOUNT_OP_SEAL */
		r = set_attributes(target, AT_RECURSIVE,
				   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
	}
	fd_close((int)target);
	return r;
}

static long clone_tree(long target)
{
	return RAWCALL(SYS_open_tree, target, "",
		       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
}

static long open_cover(const struct mount_run *run, const struct mount_op *op, long target)
{
	const uint64_t nothing = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	bool hide = op->kind == MOUNT_OP_HIDE;
	autoclose int fd = -EBADF;
	int r = hide ? is_directory(target) : 0;

	if (r != 0)
		return r < 0 ? r : mount_source_unreadable();
	/* Over a file, a device that does not work as one. */
	fd = (int)clone_tree(hide ? run->null_fd : target);
	r = fd < 0 ? fd : set_attributes(fd, AT_RECURSIVE, hide ? nothing : MOUNT_ATTR_RDONLY, 0);
	return r < 0 ? r : steal_fd(&fd);
}

/* One of the unit's paths that are kept from it. */
static int run_on_path(struct mount_run *run, const struct mount_op *op, const char *path)
{
	autoclose int target = (int)find_target(run, path), cover = -EBADF;
	int fd;

	if (op->kind == MOUNT_OP_HOLD) {
		run->held_fds[run->n_held++] = target < 0 ? target : (int)clone_tree(target);
		return run->held_fds[run->n_held - 1];
	}
	fd = op->kind == MOUNT_OP_RELEASE ? run->held_fds[run->next_held++] : 0;
	if (target < 0 || fd < 0)
		return target < 0 ? target : fd;
	/* Nothing can be put over the root, where the process is already. */
	if (op->kind == MOUNT_OP_COVER_READ_ONLY && path[1] == '\0')
		return set_attributes(target, AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0);
	if (op->kind != MOUNT_OP_RELEASE)
		fd = cover = (int)open_cover(run, op, target);
	return fd < 0 ? fd : attach(fd, target);
}

static int run_op(struct mount_run *run, const struct mount_list *list, const struct mount_op *op)
{
	const char *source = mount_text(list, op->source), *target = mount_text(list, op->target);
	bool units = op->kind == MOUNT_OP_BIND || op->kind == MOUNT_OP_FILESYSTEM ||
		     (op->kind >= MOUNT_OP_HOLD && op->kind <= MOUNT_OP_HIDE);
	long fd;

	/* What is the container's own goes where it is said to, or nowhere: a /dev that is a link in the root
	 * would put it over something else. */
	run->resolve = units ? 0 : RESOLVE_NO_SYMLINKS;

	/* Paths of an operation are absolute, and relative to the root here. */
	switch (op->kind) {
	case MOUNT_OP_DIRECTORY:
		fd = make_target(target, true, op->mode);
		fd_close((int)fd);
		return fd < 0 ? (int)fd : 0;
	case MOUNT_OP_SYMLINK:
		return (int)RAWCALL(SYS_symlinkat, source, AT_FDCWD, target + 1);
	case MOUNT_OP_DEVICE:
		return (int)RAWCALL(SYS_mknodat, AT_FDCWD, target + 1,
				    (op->flags & MOUNT_OP_BLOCK ? S_IFBLK : S_IFCHR) | op->mode, op->device);
	case MOUNT_OP_BIND:
		return run_bind(run, op, source, target);
	case MOUNT_OP_MOVE:
		return run_move(run, target);
	case MOUNT_OP_PLACE:
		return run_place(run, target);
	case MOUNT_OP_FILESYSTEM:
		return run_filesystem(run, op, source, target, mount_text(list, op->options));
	case MOUNT_OP_HOLD:
	case MOUNT_OP_RELEASE:
	case MOUNT_OP_COVER_READ_ONLY:
	case MOUNT_OP_HIDE:
		return run_on_path(run, op, target);
	default:
		return run_on_target(run, op, target);
	}
}

int mount_run_list(struct mount_run *run, const struct mount_list *list, uint32_t end)
{
	for (uint32_t i = 0; i < end; i++) {
		const struct mount_op *op = &list->ops[i];
		int r;

		run->detail = mount_text(list, op->target);
		r = run_op(run, list, op);
		if (r < 0 && !(r == -ENOENT && op->flags & MOUNT_OP_OPTIONAL))
			return r;
	}
	return 0;
}

int mount_run_root(void)
{
	autoclose int fd = mount_source_create("tmpfs", "mode=0755,size=1m,nr_inodes=4k",
					       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	long r = fd < 0 ? fd : RAWCALL(SYS_move_mount, fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);

	return r < 0 ? (int)r : (int)RAWCALL(SYS_fchdir, fd);
}
