/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <nettle/sha2.h>

#include "oci-document.h"

/* Files of an image's folder. No link leads out of it. */

/* A regular file, to be closed: 0 or more, or -errno (-EINVAL: it is something else). */
int oci_open_file(int folder_fd, const char *path);

/* "blobs/sha256/DIGEST" */
#define OCI_BLOB_PATH_BYTES (sizeof "blobs/sha256/" + OCI_DIGEST_BYTES)
const char *oci_blob_path(const char *digest, char buf[static OCI_BLOB_PATH_BYTES]);

/* Whether what was hashed is what the digits say. The hash begins anew. */
bool oci_digest_is(struct sha256_ctx *hash, const char *digits);

/* A document by its path, or by its descriptor: then it has to be what the digest says. To be given up by
 * json_decref(). -errno with *diag. */
int oci_read_file(int folder_fd, const char *path, json_t **ret, struct diag *diag);
int oci_read_blob(int folder_fd, const struct oci_descriptor *descriptor, json_t **ret, struct diag *diag);
