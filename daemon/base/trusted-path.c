/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trusted-path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

#define LINKS_MAX 40 /* as the kernel has it: path_resolution(7) */
#define NOBODY    ((uid_t)-1)

/* Where a walk has come to. */
struct walk {
	int fd;              /* the folder, or at the end whatever it is; owned */
	uid_t owner;         /* of a link that was followed and is not root's; NOBODY: none */
	unsigned n_links;    /* followed */
	char rest[PATH_MAX]; /* what is left to be walked */
};

static int set_root(struct walk *walk)
{
	fd_close(walk->fd);
	walk->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return walk->fd < 0 ? -errno : 0;
}

/* Puts a link's target in front of the rest. */
static int follow(struct walk *walk, int link_fd, uid_t owner)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof target);

	if (n < 0)
		return -errno;
	if (++walk->n_links > LINKS_MAX)
		return -ELOOP;
	if (owner != 0 && walk->owner != NOBODY && owner != walk->owner)
		return -EPERM;
	if (owner != 0)
		walk->owner = owner;
	strcpy(rest, walk->rest);
	if (snprintf(walk->rest, sizeof walk->rest, "%.*s/%s", (int)n, target, rest) >= (int)sizeof walk->rest)
		return -ENAMETOOLONG;
	return *walk->rest == '/' ? set_root(walk) : 0;
}

/* One name of the rest. */
static int step(struct walk *walk)
{
	char name[NAME_MAX + 1];
	size_t skip = strspn(walk->rest, "/"), length = strcspn(walk->rest + skip, "/");
	autoclose int fd = -EBADF;
	struct stat st;

	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, walk->rest + skip, length);
	name[length] = '\0';
	memmove(walk->rest, walk->rest + skip + length, strlen(walk->rest + skip + length) + 1);
	if (length == 0)
		return 0;
	fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return follow(walk, fd, st.st_uid);
	fd_close(walk->fd);
	walk->fd = steal_fd(&fd);
	return 0;
}

static int walk_path(const char *path)
{
	struct walk walk = {.fd = -EBADF, .owner = NOBODY};
	struct stat st;
	int r = set_root(&walk);

	if (r == 0 && strlen(path) >= sizeof walk.rest)
		r = -ENAMETOOLONG;
	if (r == 0)
		strcpy(walk.rest, path);
	while (r == 0 && *walk.rest)
		r = step(&walk);
	if (r == 0 && fstat(walk.fd, &st) < 0)
		r = -errno;
	if (r == 0 && walk.owner != NOBODY && st.st_uid != walk.owner)
		r = -EPERM;
	if (r < 0)
		fd_close(walk.fd);
	return r < 0 ? r : walk.fd;
}

/* The usual path has no link at all. As a folder first: that is what triggers an automount. */
int trusted_path_open(const char *path)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

	if (fd < 0 && errno == ENOTDIR) {
		how.flags = O_PATH | O_CLOEXEC;
		fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	}
	if (fd < 0 && errno == ELOOP)
		return walk_path(path);
	return fd < 0 ? -errno : fd;
}

int trusted_path_open_folder(const char *path, const char **name)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;

	if (!slash)
		return -EINVAL;
	if (length >= sizeof folder)
		return -ENAMETOOLONG;
	memcpy(folder, path, length);
	folder[length] = '\0';
	*name = slash + 1;
	return trusted_path_open(length ? folder : "/");
}
