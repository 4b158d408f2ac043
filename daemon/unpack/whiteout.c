/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"

#define BYTES_MAX (64 * 1024 * 1024) /* of all paths */

static const char prefix[] = ".wh.", opaque_name[] = ".wh..wh..opq", aufs_prefix[] = ".wh..wh.";

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

enum whiteout whiteout_kind(const char *path)
{
	const char *name = last_part(path), *hidden = name + sizeof prefix - 1;

	for (const char *at = path; at < name; at += strcspn(at, "/") + 1)
		if (strncmp(at, prefix, sizeof prefix - 1) == 0)
			return WHITEOUT_WRONG; /* nothing can lie in one */
	if (strncmp(name, prefix, sizeof prefix - 1) != 0)
		return WHITEOUT_NONE;
	if (strcmp(name, opaque_name) == 0)
		return WHITEOUT_OPAQUE;
	if (strncmp(name, aufs_prefix, sizeof aufs_prefix - 1) == 0)
		return WHITEOUT_IGNORED;
	return strcmp(hidden, "") == 0 || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0 ? WHITEOUT_WRONG
												: WHITEOUT_NAME;
}

int whiteouts_add(struct whiteouts *whiteouts, const char *path)
{
	size_t bytes = strlen(path) + 1;

	if (bytes > BYTES_MAX - whiteouts->bytes)
		return -E2BIG;
	if (bytes > whiteouts->room - whiteouts->bytes) {
		size_t room = 2 * whiteouts->room + bytes + 4096;
		char *grown = realloc(whiteouts->text, room);

		if (!grown)
			return -ENOMEM;
		whiteouts->text = grown;
		whiteouts->room = room;
	}
	memcpy(whiteouts->text + whiteouts->bytes, path, bytes);
	whiteouts->bytes += bytes;
	return 0;
}

/* The folder that path's last part is in, made with its parents where it is missing; no link is followed. */
static int open_parent(const char *path)
{
	const char *name = last_part(path);
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && path < name) {
		size_t length = strcspn(path, "/");
		char part[256];
		int next;

		if (length >= sizeof part) {
			fd_close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(part, path, length);
		part[length] = '\0';
		(void)mkdirat(fd, part, 0755);
		next = openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		fd_close(fd);
		fd = next;
		path += length + 1;
	}
	return fd < 0 ? -errno : fd;
}

static int make_one(const char *path, void (*opaque)(const char *path))
{
	const char *name = last_part(path);
	bool whole = strcmp(name, opaque_name) == 0;
	const char *hidden = name + sizeof prefix - 1;
	char own[4096];
	int fd = open_parent(path), r = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (whole) {
		/* The folder itself. */
		size_t length = name == path ? 0 : (size_t)(name - path - 1);

		memcpy(own, path, length);
		own[length] = '\0';
		opaque(length > 0 ? own : ".");
	} else if (mknodat(fd, hidden, S_IFCHR, 0) < 0) {
		r = -errno;
		if (r == -EEXIST && fstatat(fd, hidden, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			r = 0;
			memcpy(own, path, (size_t)(name - path));
			strcpy(own + (name - path), hidden);
			if (S_ISDIR(st.st_mode))
				opaque(own);
		}
	}
	fd_close(fd);
	return r;
}

int whiteouts_make(const struct whiteouts *whiteouts, void (*opaque)(const char *path), const char **path)
{
	for (const char *at = whiteouts->text, *end = at + whiteouts->bytes; at < end; at += strlen(at) + 1) {
		int r = make_one(at, opaque);

		*path = at;
		if (r < 0)
			return r;
	}
	return 0;
}

void whiteouts_finish(struct whiteouts *whiteouts)
{
	free(whiteouts->text);
	*whiteouts = (struct whiteouts){0};
}
