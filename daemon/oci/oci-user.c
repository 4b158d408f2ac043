/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oci-user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer-store.h"
#include "str.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define FIELDS         7 /* of a line of passwd(5); group(5) has 4 */
#define NAME           0
#define NUMBER         2

static int open_beneath(int folder_fd, const char *path, int flags)
{
	const struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int fd = (int)syscall(SYS_openat2, folder_fd, path, &how, sizeof how);

	return fd < 0 ? -errno : fd;
}

static int open_root(const struct oci_image *image)
{
	autoclose int folder_fd = open(image->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return folder_fd < 0 ? -errno : open_beneath(folder_fd, image->root, O_PATH | O_DIRECTORY);
}

/* Whether lower layers show through this one's /etc. 1, 0, or -errno. */
static int shows_below(int layer_fd)
{
	autoclose int fd = open_beneath(layer_fd, "etc", O_RDONLY | O_DIRECTORY);
	char opaque;

	if (fd == -ENOENT)
		return 1;
	if (fd < 0)
		return fd == -ENOTDIR || fd == -ELOOP ? 0 : fd; /* a whiteout, a file, a link */
	return fgetxattr(fd, "trusted.overlay.opaque", &opaque, 1) == 1 && opaque == 'y' ? 0 : 1;
}

/* A file of /etc as a process of the image would see it; NULL where there is none. */
static int read_etc(const struct oci_image *image, const char *store, const char *path, char **ret)
{
	size_t bytes;
	int r;

	if (image->root) {
		autoclose int root_fd = open_root(image);
		autoclose int fd = root_fd < 0 ? root_fd : open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK);
		char own[32];

		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
		return fd_read_file(AT_FDCWD, own, FILE_BYTES_MAX, ret, &bytes);
	}
	for (unsigned i = image->n_layers; i-- > 0;) {
		autofree char *layer = layer_store_path(store, image->layers[i].digest);
		autoclose int layer_fd = layer ? open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC) : -ENOMEM;
		autoclose int fd = -EBADF;
		char own[32];

		if (layer_fd < 0)
			return layer ? -errno : -ENOMEM;
		fd = open_beneath(layer_fd, path, O_RDONLY | O_NONBLOCK);
		if (fd >= 0) {
			snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
			return fd_read_file(AT_FDCWD, own, FILE_BYTES_MAX, ret, &bytes);
		}
		if (fd != -ENOENT)
			return fd == -ENXIO ? 0 : fd; /* a whiteout cannot be opened */
		r = shows_below(layer_fd);
		if (r <= 0)
			return r;
	}
	return 0;
}

/* Splits a line in place. */
static unsigned split(char *line, char *fields[static FIELDS])
{
	unsigned n = 0;

	while (n < FIELDS && line)
		fields[n++] = strsep(&line, ":");
	return n;
}

/* The line with a number whose field is what is wanted. Splits it; 0 where there is none. */
static unsigned find_line(char *text, const char *wanted, unsigned field, char *fields[static FIELDS])
{
	char *line;

	while (text && (line = strsep(&text, "\n"))) {
		unsigned n = split(line, fields);

		if (n > NUMBER && str_equal(fields[field], wanted))
			return n;
	}
	return 0;
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int to_number(const char *text, unsigned *ret)
{
	uint64_t number;

	if (str_to_u64(text, &number) < 0 || number >= UINT32_MAX)
		return -EUCLEAN;
	*ret = (unsigned)number;
	return 0;
}

/* What a number is called, and where it is at home, is the image's to say; never that it is another number. */
static int find_user(const struct oci_image *image, const char *store, const char *user, struct oci_user *ret)
{
	autofree char *text = NULL;
	char *fields[FIELDS], number[16];
	bool by_number = is_number(user);
	int r = by_number ? to_number(user, &ret->uid) : 0;
	unsigned n;

	if (r < 0)
		return r;
	snprintf(number, sizeof number, "%u", ret->uid);
	r = read_etc(image, store, "etc/passwd", &text);
	n = r < 0 ? 0 : find_line(text, by_number ? number : user, by_number ? NUMBER : NAME, fields);
	if (n < 4) {
		/* Layers that are not there yet, and a file that cannot be read, matter to names alone. */
		ret->gid = ret->uid;
		return by_number ? 0 : r < 0 ? r : -ENOENT;
	}
	snprintf(ret->name, sizeof ret->name, "%s", fields[NAME]);
	snprintf(ret->home, sizeof ret->home, "%s", n > 5 ? fields[5] : "");
	snprintf(ret->shell, sizeof ret->shell, "%s", n > 6 ? fields[6] : "");
	r = to_number(fields[NUMBER], &ret->uid);
	return r < 0 ? r : to_number(fields[3], &ret->gid);
}

static int find_group(const struct oci_image *image, const char *store, const char *group, gid_t *ret)
{
	autofree char *text = NULL;
	char *fields[FIELDS];
	int r;

	if (is_number(group))
		return to_number(group, ret);
	r = read_etc(image, store, "etc/group", &text);
	if (r < 0)
		return r;
	return find_line(text, group, NAME, fields) == 0 ? -ENOENT : to_number(fields[NUMBER], ret);
}

int oci_user_find(const struct oci_image *image, const char *store, const char *user, const char *group,
		  struct oci_user *ret, const char **missing)
{
	size_t length = strcspn(user, ":");
	autofree char *name = strndup(user, length);
	int r = name ? 0 : -ENOMEM;

	memset(ret, 0, sizeof *ret);
	*missing = user;
	if (r == 0)
		r = find_user(image, store, name, ret);
	if (r == 0 && !group && user[length] && user[length + 1])
		group = user + length + 1;
	if (r == 0 && group) {
		*missing = group;
		r = find_group(image, store, group, &ret->gid);
	}
	return r;
}
