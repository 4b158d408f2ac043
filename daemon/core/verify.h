/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "lookup.h"

/* Checks files without a daemon: units, torpor.conf and drop-ins by their names, folders with all that is in
 * them, where two sites that claim one listener are an error of the later one, and masked files are passed
 * over. Prints each error as file:line: message (or one JSON array of FileError). Returns the exit code: 1 when
 * there was an error. */
int verify_files(const struct lookup *lookup, char **paths, bool json);
