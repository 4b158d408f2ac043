/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount-source.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mount.h>

#include "cleanup.h"
#include "rawcall.h"
#include "trusted-path.h"

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

int mount_source_create(const char *type, const char *options, uint64_t attributes)
{
	long fs = RAWCALL(SYS_fsopen, type, FSOPEN_CLOEXEC), r;

	if (fs < 0)
		return (int)fs;
	r = configure(fs, options, &attributes);
	if (r >= 0)
		r = RAWCALL(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r >= 0)
		r = RAWCALL(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
	fd_close((int)fs);
	return (int)r;
}

static uint64_t attributes_of(const struct mount_op *op)
{
	return MOUNT_ATTR_NOSUID | (op->flags & MOUNT_OP_DEVICES ? 0 : MOUNT_ATTR_NODEV) |
	       (op->flags & MOUNT_OP_NOEXEC ? MOUNT_ATTR_NOEXEC : 0) |
	       (op->flags & MOUNT_OP_RDONLY ? MOUNT_ATTR_RDONLY : 0);
}

int mount_source_filesystem(const struct mount_op *op, const char *type, const char *options)
{
	return mount_source_create(type, options, attributes_of(op));
}

static int clone_tree(const struct mount_op *op, int folder_fd, const char *source, unsigned flags)
{
	unsigned recursive = op->flags & MOUNT_OP_RECURSIVE ? AT_RECURSIVE : 0;
	/* Where the host's mounts are shared, as under systemd, a clone is a peer: what is mounted on one would
	 * show in the other. */
	struct mount_attr attr = {.attr_set = attributes_of(op), .propagation = MS_PRIVATE};
	long fd = RAWCALL(SYS_open_tree, folder_fd, source,
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive | flags);
	long r;

	if (fd < 0)
		return (int)fd;
	r = RAWCALL(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | recursive, &attr, sizeof attr);
	if (r < 0) {
		fd_close((int)fd);
		return (int)r;
	}
	return (int)fd;
}

int mount_source_clone(const struct mount_op *op, const char *source)
{
	return clone_tree(op, AT_FDCWD, source, 0);
}

int mount_source_clone_fd(const struct mount_op *op, int fd)
{
	return clone_tree(op, fd, "", AT_EMPTY_PATH);
}

int mount_source_clone_trusted(const struct mount_op *op, const char *source)
{
	autoclose int fd = trusted_path_open(source);

	return fd < 0 ? fd : mount_source_clone_fd(op, fd);
}

int mount_source_unreadable(void)
{
	return mount_source_create("tmpfs", "mode=0000,size=4k,nr_inodes=2",
				   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					   MOUNT_ATTR_NOEXEC);
}
