/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#define ENVFILE_BYTES (256 * 1024) /* the largest EnvironmentFile= that is read */

/* base's assignments, then those of each file (a "-" before a path: may be missing), later ones winning: a new
 * NULL-terminated list in one block with its strings, freed by one free(). Files are as systemd's: NAME=value
 * lines, # and ; comments, values plain or in '...' or "...". -errno with *file naming the one that failed
 * (-EINVAL: not such a file). */
int envfile_read_all(const char *const *base, const char *const *files, char ***ret, const char **file);
