/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "layer-store.h"

/* Unpacks the layers of an image that are not in the store, one after another, each by the program
 * (torpor-unpack) in a process of its own that has no privilege but those of writing files of any owner, and
 * sees nothing but the layer's folder. It gets the blob's bytes and no file, and says nothing of their digest,
 * which is checked here: a layer that takes it over harms what goes by its own digest alone. Takes its time;
 * for one thread at a time. cancel_fd, an eventfd, ends it. -errno with *diag, whose file is the blob's,
 * relative to the image's folder: -ECANCELED; -EBADMSG: the layer is damaged or hostile. */
int layers_unpack(const struct layer_store *store, const struct oci_image *image, const char *program,
		  int cancel_fd, struct diag *diag);
