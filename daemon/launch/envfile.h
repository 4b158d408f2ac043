/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#define ENVFILE_BYTES           (256 * 1024) /* the largest EnvironmentFile= that is read */
#define ENVFILE_ASSIGNMENTS_MAX 4096         /* in the base and all files together */

/* base's assignments, then those of each file (a "-" before a path: may be missing), later ones winning: a new
 * NULL-terminated list in one block with its strings, freed by one free(). Files are read as by systemd:
 * NAME=value lines, # and ; comments, values plain or in '...' or "..." (which may hold line breaks), \ at the
 * end of a line joins it with the next; but what systemd passes over with a warning is refused. -errno with
 * *file naming the one that failed (-EINVAL: not such a file, -E2BIG: more than ENVFILE_BYTES or
 * ENVFILE_ASSIGNMENTS_MAX). *ret is untouched then. */
int envfile_read_all(const char *const *base, const char *const *files, char ***ret, const char **file);
