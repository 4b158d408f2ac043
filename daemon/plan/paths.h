/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "mount-list.h"

/* Adds what InaccessiblePaths=, ReadOnlyPaths= and ReadWritePaths= come to, when all else is mounted. Of
 * several for one path the strictest counts; of paths within each other the inner one, unless the outer is
 * inaccessible. ReadWritePaths= gives back what ReadOnlyPaths= took, and nothing that the site could not write
 * before. Those in /proc are added apart from the others; ReadOnlyPaths=/ is one of both. */
void paths_add(struct mount_builder *b, const struct site_spec *spec, bool in_proc);
