/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer-store.h"
#include "mount-source.h"

#define OPTIONS       ",redirect_dir=nofollow,metacopy=off,index=off"
#define OPTIONS_BYTES 4096 /* a page is what mount(2) takes */

static const char *const folders[] = {"layers/base",     "layers/base/dev", "layers/base/proc",
				      "layers/base/run", "layers/base/sys", "layers/base/tmp"};

int layers_open(const struct oci_image *image, const char *layers_dir, int **ret)
{
	static const struct mount_op read_only = {.flags = MOUNT_OP_RDONLY};
	int *fds = malloc(image->n_layers * sizeof *fds);

	*ret = fds;
	for (unsigned i = 0; fds && i < image->n_layers; i++)
		fds[i] = -EBADF;
	for (unsigned i = 0; fds && i < image->n_layers; i++) {
		autofree char *path = layer_store_path(layers_dir, image->layers[i].digest);

		fds[i] = path ? mount_source_clone(&read_only, path) : -ENOMEM;
		if (fds[i] < 0)
			return fds[i];
	}
	return fds ? 0 : -ENOMEM;
}

void layers_close(int *fds, unsigned n)
{
	for (unsigned i = 0; fds && i < n; i++)
		fd_close(fds[i]);
	free(fds);
}

int layers_attach(const int *fds, unsigned n, uid_t owner)
{
	char path[24];

	if (mkdir("layers", 0700) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (mkdir(folders[i], 0755) < 0 || (owner && chown(folders[i], owner, owner) < 0))
			return -errno;
	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof path, "layers/%u", i);
		if (mkdir(path, 0700) < 0 ||
		    move_mount(fds[i], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
			return -errno;
	}
	return 0;
}

int layers_mount(unsigned n, const char *options)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | (*options ? 0 : MS_RDONLY);
	char text[OPTIONS_BYTES], *at = stpcpy(text, "lowerdir=");
	int fd;

	for (unsigned i = n; i-- > 0;)
		at += sprintf(at, "layers/%u:", i);
	stpcpy(stpcpy(stpcpy(at, "layers/base"), options), OPTIONS);
	/* By mount(2): fsconfig(2) takes 256 bytes at once. */
	if (mkdir("root", 0700) < 0 || mount("overlay", "root", "overlay", flags, text) < 0)
		return -errno;
	fd = open_tree(AT_FDCWD, "root", OPEN_TREE_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
