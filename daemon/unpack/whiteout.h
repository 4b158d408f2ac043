/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What a layer removes from those below it. In an image layer that is an empty file ".wh.NAME" beside where
 * NAME was, or ".wh..wh..opq" for all that was in its folder; overlayfs has a device 0:0 called NAME, and a
 * mark on the folder. */

enum whiteout { WHITEOUT_NONE, WHITEOUT_NAME, WHITEOUT_OPAQUE, WHITEOUT_IGNORED, WHITEOUT_WRONG };

/* What the last part of a normal, relative path says; WHITEOUT_IGNORED is what AUFS kept for itself. */
enum whiteout whiteout_kind(const char *path);

/* The whiteouts of a layer, made when all else is there: what the same layer brings is not hidden by them. */
struct whiteouts {
	char *text; /* owned: paths, each with its NUL */
	size_t bytes, room;
};

/* Remembers the path of an entry of the kind WHITEOUT_NAME or WHITEOUT_OPAQUE. -E2BIG, -ENOMEM. */
int whiteouts_add(struct whiteouts *whiteouts, const char *path);

/* Makes all of them below the working directory; says for each folder that hides what is below it. -errno, with
 * *path at which. */
int whiteouts_make(const struct whiteouts *whiteouts, void (*opaque)(const char *path), const char **path);

void whiteouts_finish(struct whiteouts *whiteouts);
