/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "arena.h"
#include "diag.h"

/* Images as the Open Container Initiative describes them: an image layout (a folder with oci-layout, index.json
 * and blobs/sha256) or a bundle (a folder with config.json and the root beside it). What is read here is what
 * they say; layers are for layer-store.h. Documents are as hostile as the images' makers. */

#define OCI_DIGEST_BYTES   65                /* the hexadecimal digits of SHA-256, and a NUL */
#define OCI_LAYERS_MAX     127               /* as many as Docker has */
#define OCI_DOCUMENT_BYTES (4 * 1024 * 1024) /* the largest; registries have the same bound */

struct oci_layer {
	char digest[OCI_DIGEST_BYTES]; /* of the blob as it lies there, compressed or not */
	uint64_t bytes;                /* of the blob */
};

struct oci_image {
	struct oci_image *next; /* the cache's */
	unsigned refs;
	struct arena arena;

	const char *name;      /* "FOLDER" or "FOLDER:REFERENCE", as the unit has it */
	const char *folder;    /* absolute */
	const char *reference; /* NULL: none */
	struct stat stamp;     /* of index.json or config.json, when it was read */

	const char *digest;             /* of a layout: the manifest's; NULL for a bundle */
	const struct oci_layer *layers; /* [n_layers], the lowest first */
	unsigned n_layers;
	unsigned n_listed; /* with those that the manifest has twice */
	const char *root;  /* of a bundle: its root, relative to the folder; NULL for a layout */

	/* Lists are NULL-terminated, or NULL where the image has none. */
	const char *const *environment; /* "NAME=value" */
	const char *const *entrypoint, *const *command;
	const char *user;              /* "USER", "USER:GROUP", names or numbers; NULL: none */
	const char *working_directory; /* absolute; NULL: none */
};

/* Images that plans have in common, by name: read again where the file on disk is another one. */
struct oci_cache {
	struct oci_image *images;      /* those that somebody has a reference to */
	void (*unused)(void *context); /* says when one is gone; NULL: nobody */
	void *context;
};

/* The image of this name, one reference to which is the caller's: 0 and *ret, or -errno with *diag, whose file
 * is relative to the image's folder. Blocks for three small files at most, and for one stat where the image is
 * known. */
int oci_cache_get(struct oci_cache *cache, const char *name, struct oci_image **ret, struct diag *diag);

struct oci_image *oci_image_ref(struct oci_image *image);

/* Gives one reference up. NULL is fine. */
void oci_image_unref(struct oci_cache *cache, struct oci_image *image);

/* "FOLDER:REFERENCE": the folder's length. */
size_t oci_name_folder(const char *name);

/* Reads what lies in a folder, as oci_cache_get() does, without a cache: to be given up by oci_image_free(). */
int oci_image_load(const char *name, struct oci_image **ret, struct diag *diag);
void oci_image_free(struct oci_image *image);
