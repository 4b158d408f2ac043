/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "oci-image.h"

/* The documents of images, JSON, read strictly: what is of another type than specified is refused. Each returns
 * 0, or -EINVAL (-ENOMEM) with *diag naming the file given. */

struct oci_descriptor {
	char digest[OCI_DIGEST_BYTES];
	uint64_t bytes;
};

/* This machine's architecture as images name it: "amd64", "arm64". */
const char *oci_architecture(void);

/* The object in text, to be given up by json_decref(). */
int oci_document_parse(const char *text, size_t bytes, const char *file, json_t **ret, struct diag *diag);

/* That a layout is of version 1. */
int oci_layout_check(const json_t *layout, const char *file, struct diag *diag);

/* Which entry of an index is meant: of those of this architecture (or that name none) the one whose annotation
 * org.opencontainers.image.ref.name is the reference; without a reference the first, if no other has another
 * such name. *nested: it is an index itself. */
int oci_index_choose(const json_t *index, const char *reference, const char *architecture,
		     struct oci_descriptor *ret, bool *nested, const char *file, struct diag *diag);

/* A manifest's layers, into the image, and the descriptor of its configuration. */
int oci_manifest_read(const json_t *manifest, struct oci_image *image, struct oci_descriptor *config,
		      const char *file, struct diag *diag);

/* An image's configuration, once its layers are known. */
int oci_config_read(const json_t *config, const char *architecture, struct oci_image *image, const char *file,
		    struct diag *diag);

/* A bundle's config.json. Of it count root.path, which has to lie in the bundle, and of the process args, cwd,
 * env and the user's numbers. */
int oci_bundle_read(const json_t *config, struct oci_image *image, const char *file, struct diag *diag);
