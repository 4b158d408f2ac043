/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Opens what an absolute path of a unit names on the host, with O_PATH. Folders on the way may belong to the
 * tenant, who could make a link of any of its names between two starts: a link that is not root's is followed
 * only to what belongs to the link's owner. -EPERM where it leads elsewhere, or -errno. */
int trusted_path_open(const char *path);

/* Opens the folder that a path's last name is in, in the same way, for openat(2) with O_NOFOLLOW; *name is the
 * rest of the path. */
int trusted_path_open_folder(const char *path, const char **name);
