/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fd.h"

#define LAYERS_MAX 16 /* mapped devices on mapped devices */

static int read_number(const char *path, dev_t *ret)
{
	unsigned major, minor;
	char text[32];
	ssize_t n = fd_read_attribute(AT_FDCWD, path, text, sizeof text);

	if (n < 0)
		return (int)n;
	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		return -EBADMSG;
	*ret = makedev(major, minor);
	return 0;
}

/* The one device that a mapped device lies on; -ENOENT where there is none or several. */
static int find_slave(dev_t device, dev_t *ret)
{
	char folder[64], path[384];
	const struct dirent *entry;
	int r = -ENOENT;
	DIR *dir;

	snprintf(folder, sizeof folder, "/sys/dev/block/%u:%u/slaves", major(device), minor(device));
	dir = opendir(folder);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (r == 0) {
			r = -ENOENT;
			break;
		}
		snprintf(path, sizeof path, "%s/%s/dev", folder, entry->d_name);
		r = read_number(path, ret);
		if (r < 0)
			break;
	}
	closedir(dir);
	return r;
}

int disk_find(const char *path, dev_t *ret)
{
	char text[80];
	struct stat st;
	dev_t disk, below = 0;

	if (stat(path, &st) < 0)
		return -errno;
	disk = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	if (major(disk) == 0)
		return -ENODEV;
	for (int i = 0; i < LAYERS_MAX && find_slave(disk, &below) == 0; i++)
		disk = below;
	snprintf(text, sizeof text, "/sys/dev/block/%u:%u/partition", major(disk), minor(disk));
	if (access(text, F_OK) == 0) {
		/* The link leads into the folder of the disk. */
		snprintf(text, sizeof text, "/sys/dev/block/%u:%u/../dev", major(disk), minor(disk));
		if (read_number(text, &below) == 0)
			disk = below;
	}
	*ret = disk;
	return 0;
}
