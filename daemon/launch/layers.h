/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "oci-image.h"

/* Layers of an image, upon each other: lower directories of an overlay. As every site has its own users, it has
 * its own overlay of them; files and their pages in memory are the same for all. */

/* Clones of the folders of the image's layers, attached nowhere: [image->n_layers] descriptors, the lowest
 * first, -EBADF where none was opened. -errno; *ret is a new array all the same, to be given up by
 * layers_close(). */
int layers_open(const struct oci_image *image, const char *layers_dir, int **ret);
void layers_close(int *fds, unsigned n);

/* Attaches them in the working directory, the root of a namespace that nobody else sees, with a lowest one that
 * holds an empty folder, of this owner, for each thing that is put into every container. -errno. */
int layers_attach(const int *fds, unsigned n, uid_t owner);

/* An overlay of n layers that are attached there, with more options, read-only without any: an O_PATH
 * descriptor of its root, or -errno. */
int layers_mount(unsigned n, const char *options);
