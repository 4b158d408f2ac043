/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>
#include <sys/mount.h>

#include "child.h"
#include "rawcall.h"

/* The mount operations of a launch plan. The working directory is the new root. Every target is found by
 * openat2(2) within it and mounted on by descriptor: whatever a tenant put there, or swaps meanwhile, a mount
 * cannot land outside. */

static void close_fd(long fd)
{
	if (fd >= 0)
		RAWCALL(SYS_close, fd);
}

/* An O_PATH descriptor of a path inside the root; links are followed within the root, where they are. */
static long find_target(const struct child_context *c, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | c->resolve};

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
		if (*path || directory) {
			r = RAWCALL(SYS_mkdirat, fd, name, *path ? 0755 : mode);
		} else {
			r = RAWCALL(SYS_openat, fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
			close_fd(r);
		}
		next = r < 0 && r != -EEXIST && r != -EROFS
			       ? r
			       : RAWCALL(SYS_openat, fd, name,
					 O_PATH | O_NOFOLLOW | O_CLOEXEC |
						 (*path || directory ? O_DIRECTORY : 0));
		close_fd(fd);
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
static int attach_at(struct child_context *c, long mount_fd, const char *path, bool directory)
{
	long target;
	int r;

	if (!c->untrusted) {
		if (directory)
			RAWCALL(SYS_mkdirat, AT_FDCWD, path + 1, 0755); /* mostly it is not there yet */
		r = (int)RAWCALL(SYS_move_mount, mount_fd, "", AT_FDCWD, path + 1, MOVE_MOUNT_F_EMPTY_PATH);
		if (r != -ENOENT)
			return r;
	}
	target = find_target(c, path);
	if (target == -ENOENT)
		target = make_target(path, directory, 0755);
	if (target < 0)
		return (int)target;
	r = attach(mount_fd, target);
	close_fd(target);
	return r;
}

/* The mount attributes and superblock parameters of "mode=0755,size=10%,ro". */
static long configure(long fs, const char *options, uint64_t *attributes)
{
	static const struct {
		const char *name;
		uint64_t attribute;
	} flags[] = {{"ro", MOUNT_ATTR_RDONLY},
		     {"rw", 0},
		     {"nosuid", MOUNT_ATTR_NOSUID},
		     {"nodev", MOUNT_ATTR_NODEV},
		     {"noexec", MOUNT_ATTR_NOEXEC}};
	char word[128];
	long r = 0;

	while (r >= 0 && options && *options) {
		size_t n = 0, equals = 0;
		bool known = false;

		for (; *options && *options != ','; options++) {
			if (n == sizeof word - 1)
				return -E2BIG;
			if (*options == '=' && !equals)
				equals = n;
			word[n++] = *options;
		}
		word[n] = '\0';
		options += *options == ',';
		for (size_t i = 0; !equals && i < sizeof flags / sizeof flags[0]; i++) {
			size_t k = 0;

			while (word[k] && word[k] == flags[i].name[k])
				k++;
			if (word[k] == flags[i].name[k]) {
				*attributes |= flags[i].attribute;
				known = true;
			}
		}
		if (equals) {
			word[equals] = '\0';
			r = RAWCALL(SYS_fsconfig, fs, FSCONFIG_SET_STRING, word, word + equals + 1, 0);
		} else if (n > 0 && !known) {
			r = RAWCALL(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, word, NULL, 0);
		}
	}
	return r;
}

/* A new file system that is mounted nowhere yet. */
int child_new_filesystem(const char *type, const char *options, uint64_t attributes)
{
	long fs = RAWCALL(SYS_fsopen, type, FSOPEN_CLOEXEC), r;

	if (fs < 0)
		return (int)fs;
	r = configure(fs, options, &attributes);
	if (r >= 0)
		r = RAWCALL(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r >= 0)
		r = RAWCALL(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
	close_fd(fs);
	return (int)r;
}

static uint64_t attributes_of(const struct mount_op *op)
{
	return MOUNT_ATTR_NOSUID | (op->flags & MOUNT_OP_DEVICES ? 0 : MOUNT_ATTR_NODEV) |
	       (op->flags & MOUNT_OP_NOEXEC ? MOUNT_ATTR_NOEXEC : 0) |
	       (op->flags & MOUNT_OP_RDONLY ? MOUNT_ATTR_RDONLY : 0);
}

int child_open_source(const struct mount_op *op, const char *source)
{
	unsigned recursive = op->flags & MOUNT_OP_RECURSIVE ? AT_RECURSIVE : 0;
	/* Where the host's mounts are shared, as under systemd, a clone is a peer: what is mounted on one would
	 * show in the other. */
	struct mount_attr attr = {.attr_set = attributes_of(op), .propagation = MS_PRIVATE};
	long fd = RAWCALL(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
	long r;

	if (fd < 0)
		return (int)fd;
	r = RAWCALL(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | recursive, &attr, sizeof attr);
	if (r < 0) {
		close_fd(fd);
		return (int)r;
	}
	return (int)fd;
}

/* Attaches a mount at a path, as a folder or a file. The descriptor is used up. */
static int attach_like(struct child_context *c, long fd, const char *target)
{
	int r = is_directory(fd);

	if (r >= 0)
		r = attach_at(c, fd, target, r);
	close_fd(fd);
	return r;
}

static int run_bind(struct child_context *c, const struct mount_op *op, const char *source, const char *target)
{
	int fd = c->bind_fds ? c->bind_fds[c->next_bind++] : child_open_source(op, source);

	return fd < 0 ? fd : attach_like(c, fd, target);
}

/* The process's root is the shared one still, or the sandbox's: a plain path is one in there. */
static int run_move(struct child_context *c, const char *path)
{
	long fd = RAWCALL(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLOEXEC);

	return fd < 0 ? (int)fd : attach_like(c, fd, path);
}

static int run_filesystem(struct child_context *c, const struct mount_op *op, const char *type,
			  const char *target, const char *options)
{
	int fd = child_new_filesystem(type, options, attributes_of(op));
	int r = fd < 0 ? fd : attach_at(c, fd, target, true);

	close_fd(fd);
	return r;
}

/* Binds by path, sealed: below /proc, where no tenant has a say. A target that is missing is found out before
 * the source is cloned; a clone that found no place to go would be taken apart again, which waits for an RCU
 * grace period. */
static int bind_sealed(const char *source, const char *target)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
	long r = RAWCALL(SYS_mount, source, target, NULL, MS_BIND, NULL);

	if (r == 0)
		r = RAWCALL(SYS_mount_setattr, AT_FDCWD, target, 0, &attr, sizeof attr);
	return (int)r;
}

/* Operations on what is there already. */
static int run_on_target(const struct child_context *c, const struct mount_op *op, const char *path)
{
	long target = find_target(c, path);
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
	close_fd(target);
	return r;
}

static long clone_tree(long target)
{
	return RAWCALL(SYS_open_tree, target, "",
		       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
}

/* What lies over a file that is hidden: a device that does not work as one. It has to be the container's own.
 */
static long open_null(struct child_context *c)
{
	struct statx stx = {0};
	long null, fd = -ELOOP;

	c->resolve = RESOLVE_NO_SYMLINKS;
	null = find_target(c, "/dev/null");
	if (null < 0)
		return null;
	if (RAWCALL(SYS_statx, null, "", AT_EMPTY_PATH, STATX_TYPE, &stx) == 0 &&
	    (stx.stx_mode & S_IFMT) == S_IFCHR && stx.stx_rdev_major == 1 && stx.stx_rdev_minor == 3)
		fd = clone_tree(null);
	close_fd(null);
	return fd;
}

static long open_cover(struct child_context *c, const struct mount_op *op, long target)
{
	const uint64_t nothing = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	long fd;
	int r;

	if (op->kind == MOUNT_OP_HIDE) {
		r = is_directory(target);
		if (r != 0)
			return r < 0 ? r
				     : child_new_filesystem("tmpfs", "mode=0000,size=4k,nr_inodes=2", nothing);
		fd = open_null(c);
	} else {
		fd = clone_tree(target);
	}
	if (fd < 0 || op->kind == MOUNT_OP_HOLD)
		return fd;
	r = set_attributes(fd, AT_RECURSIVE, op->kind == MOUNT_OP_HIDE ? nothing : MOUNT_ATTR_RDONLY, 0);
	if (r < 0)
		close_fd(fd);
	return r < 0 ? r : fd;
}

/* One of the unit's paths that are kept from it. */
static int run_on_path(struct child_context *c, const struct mount_op *op, const char *path)
{
	long target = find_target(c, path);
	long fd = op->kind == MOUNT_OP_RELEASE ? c->held_fds[c->next_held++] : target;
	int r;

	/* Nothing can be put over the root, where the process is already. */
	if (target >= 0 && op->kind == MOUNT_OP_COVER_READ_ONLY && path[1] == '\0') {
		r = set_attributes(target, AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0);
		close_fd(target);
		return r;
	}
	if (target >= 0 && op->kind != MOUNT_OP_RELEASE)
		fd = open_cover(c, op, target);
	if (op->kind == MOUNT_OP_HOLD)
		c->held_fds[c->n_held++] = (int)fd;
	r = fd < 0 ? (int)fd : (int)target;
	if (r >= 0)
		r = op->kind == MOUNT_OP_HOLD ? 0 : attach(fd, target);
	if (op->kind != MOUNT_OP_HOLD)
		close_fd(fd);
	close_fd(target);
	return r;
}

static int run_op(struct child_context *c, const struct mount_list *list, const struct mount_op *op)
{
	const char *source = mount_text(list, op->source), *target = mount_text(list, op->target);
	bool units = op->kind == MOUNT_OP_BIND || op->kind == MOUNT_OP_FILESYSTEM ||
		     (op->kind >= MOUNT_OP_HOLD && op->kind <= MOUNT_OP_HIDE);
	long fd;

	/* What is the container's own goes where it is said to, or nowhere: a /dev that is a link in the root
	 * would put it over something else. */
	c->resolve = units ? 0 : RESOLVE_NO_SYMLINKS;

	/* Paths of an operation are absolute, and relative to the root here. */
	switch (op->kind) {
	case MOUNT_OP_DIRECTORY:
		fd = make_target(target, true, op->mode);
		close_fd(fd);
		return fd < 0 ? (int)fd : 0;
	case MOUNT_OP_SYMLINK:
		return (int)RAWCALL(SYS_symlinkat, source, AT_FDCWD, target + 1);
	case MOUNT_OP_DEVICE:
		return (int)RAWCALL(SYS_mknodat, AT_FDCWD, target + 1,
				    (op->flags & MOUNT_OP_BLOCK ? S_IFBLK : S_IFCHR) | op->mode, op->device);
	case MOUNT_OP_BIND:
		return run_bind(c, op, source, target);
	case MOUNT_OP_MOVE:
		return run_move(c, target);
	case MOUNT_OP_MASK_FILE:
		return bind_sealed("dev/null", target + 1);
	case MOUNT_OP_MASK_FOLDER:
		return bind_sealed("dev/mqueue", target + 1);
	case MOUNT_OP_REBIND_READ_ONLY:
		return bind_sealed(target + 1, target + 1);
	case MOUNT_OP_FILESYSTEM:
		return run_filesystem(c, op, source, target, mount_text(list, op->options));
	case MOUNT_OP_HOLD:
	case MOUNT_OP_RELEASE:
	case MOUNT_OP_COVER_READ_ONLY:
	case MOUNT_OP_HIDE:
		return run_on_path(c, op, target);
	default:
		return run_on_target(c, op, target);
	}
}

int child_mount(struct child_context *c, const struct mount_list *list, uint32_t begin, uint32_t end)
{
	for (uint32_t i = begin; i < end; i++) {
		const struct mount_op *op = &list->ops[i];
		int r;

		c->detail = mount_text(list, op->target);
		r = run_op(c, list, op);
		if (r < 0 && !(r == -ENOENT && op->flags & MOUNT_OP_OPTIONAL))
			return r;
	}
	return 0;
}

int child_mount_root(void)
{
	long fd = child_new_filesystem("tmpfs", "mode=0755,size=1m,nr_inodes=4k",
				       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	long r = fd < 0 ? fd : RAWCALL(SYS_move_mount, fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);

	if (r >= 0)
		r = RAWCALL(SYS_fchdir, fd);
	close_fd(fd);
	return (int)r;
}
