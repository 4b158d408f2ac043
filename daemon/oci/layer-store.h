/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "oci-image.h"

/* Unpacked layers, one folder each, by the digest of their blob: whatever images have a layer, it lies there
 * once. A layer is unpacked beside its place and moved there when it is whole, so what is there is whole. Files
 * in there have the owners and modes of the image, so nobody but root gets in. */
struct layer_store {
	char *folder; /* owned: of all layers */
	int fd;       /* the folder, locked: one torpord has it; -EBADF: not open yet */
};

/* STATE is torpord's state folder; nothing is opened yet. -ENOMEM. */
int layer_store_init(struct layer_store *store, const char *state);
void layer_store_finish(struct layer_store *store);

/* Makes the folder where it is missing and takes it. -EWOULDBLOCK: another torpord has it; -errno. */
int layer_store_open(struct layer_store *store);

/* The folder of the layers below a state folder, and of one layer: new strings; NULL when out of memory. */
char *layer_store_folder(const char *state);
char *layer_store_path(const char *folder, const char *digest);

/* How many of the image's layers are not there. */
unsigned layer_store_missing(const char *folder, const struct oci_image *image);

/* A new folder for a layer to be unpacked into, its path in *path, to be freed: a descriptor, or -errno. */
int layer_store_begin(const struct layer_store *store, char **path);

/* The layer at path is whole. -errno. */
int layer_store_commit(const struct layer_store *store, const char *path, const char *digest);

/* Moves what is whole of an image to its place, written out to the disk before. -errno. */
int layer_store_publish(const struct layer_store *store, const struct oci_image *image);

/* Takes a layer that nobody uses out of its place; layer_store_clean() removes it. -errno. */
int layer_store_drop(const struct layer_store *store, const char *digest);

/* The digests of all layers that are there: calls back for each. */
void layer_store_each(const struct layer_store *store, void (*each)(void *context, const char *digest),
		      void *context);

/* Removes what was begun and not finished, by this torpord or one before, and what was dropped. Takes its time;
 * nothing may be begun meanwhile. -errno of the first that failed. */
int layer_store_clean(const struct layer_store *store);
