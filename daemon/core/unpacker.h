/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "diag.h"

struct daemon;
struct site_spec;
struct unpacker;

/* Unpacks layers of images that units name, on a thread, one image after another. A unit waits for its image
 * outside of force: nobody else waits for it. Layers that no image in force has are removed. */

/* Cleans up what an earlier torpord left half done. -errno, logged. */
int unpacker_create(struct daemon *daemon, struct unpacker **ret);

/* Gives up what is under way. NULL is fine. */
void unpacker_destroy(struct unpacker *unpacker);

/* Makes sure that the layers are this torpord's alone: nobody else removes them. -errno with *diag. */
int unpacker_claim(struct unpacker *unpacker, const struct site_spec *spec, struct diag *diag);

/* Begins to unpack the image of a site's unit. When it is there, the unit is loaded again; where it is damaged,
 * the unit is refused for that. -EINPROGRESS, with *diag as it is; or another -errno with *diag. */
int unpacker_request(struct unpacker *unpacker, const struct site_spec *spec, struct diag *diag);

/* An image may not be used any more: looks for layers that nobody has, soon. Nothing is removed as long as a
 * unit is refused, which may be what wants them. */
void unpacker_sweep_soon(struct unpacker *unpacker);
