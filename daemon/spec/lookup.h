/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdbool.h>

struct stat;

#define LOOKUP_DROP_INS_MAX 256 /* drop-ins of one unit; more are refused with -E2BIG */

/* Where unit files are found: three folders, the first that has a name wins, drop-ins of all add up.
 * The strings belong to the caller and stay. */
struct lookup {
	const char *dirs[3]; /* etc, run, lib: "/etc/torpor", "/run/torpor", "/usr/lib/torpor" */
};

enum unit_kind { UNIT_SITE, UNIT_TEMPLATE, UNIT_SLICE, UNIT_KINDS };

/* Folder ("sites", "templates", "slices") and suffix (".site", ".template", ".slice") of a kind. */
const char *unit_kind_folder(enum unit_kind kind);
const char *unit_kind_suffix(enum unit_kind kind);

/* The path of the file that is in force for name: a new string that the caller frees. -ENOENT when no folder
 * has it, or when the winner is a link to /dev/null or an empty file of size 0 ("masked", as systemd's);
 * -EINVAL for what is no valid name. A file that cannot be looked at is returned too: reading it says why. */
int lookup_find(const struct lookup *lookup, enum unit_kind kind, const char *name, char **ret);

/* The drop-ins DIR/sites/NAME.site.d/[*].conf of all three folders, in the order they apply: by file name,
 * and of equal file names only the one in the first folder. A NULL-terminated list; free with
 * lookup_free_list(). */
int lookup_drop_ins(const struct lookup *lookup, enum unit_kind kind, const char *name, char ***ret);

/* The names of all units of a kind that have a file in any of the folders, sorted by byte order, each once;
 * invalid names are listed too (loading refuses them with a diag), hidden files are not. */
int lookup_list(const struct lookup *lookup, enum unit_kind kind, char ***ret, size_t *ret_count);

void lookup_free_list(char **list);

/* Whether a file is one that hides those of its name in later folders: a link to /dev/null, or of size 0. */
bool lookup_masked(const struct stat *st);

/* As lookup_find() and lookup_drop_ins(), for any file below the folders: "torpor.conf", "torpor.conf.d". */
int lookup_find_file(const struct lookup *lookup, const char *relative, char **ret);
int lookup_find_drop_ins(const struct lookup *lookup, const char *relative, char ***ret);

/* The drop-ins of one folder, which need not be there. */
int lookup_folder_drop_ins(const char *folder, char ***ret);
