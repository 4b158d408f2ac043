/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "lookup.h"

/* What a golden test makes of each NAME.site of a folder is compared with a file of the same name and another
 * suffix. Templates are in templates/ there, drop-ins in NAME.site.d/. */

/* The folder, which is the working directory, so that files are named alike wherever it is. */
extern const struct lookup golden_lookup;

/* The text for one site: a new string; NULL: there is none. */
typedef char *golden_describe(const char *path);

/* Runs over the folder that the command line names, and says what differs; with --update writes the files anew.
 * Returns the exit code: 1 when anything differs. */
int golden_run(int argc, char **argv, const char *suffix, golden_describe *describe);

/* Whether the text that a unit comes to (NULL: none) is what the file at path holds; says what differs. With
 * update the file is written instead. */
bool golden_check(const char *name, const char *path, const char *actual, bool update);
