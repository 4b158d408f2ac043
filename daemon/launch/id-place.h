/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Paths as words of a line: " PATH PATH...", NULL for none. */

/* Adds a path. 1 and *ret, a new string; 0 where it is there already; -ENOMEM. */
int id_places_join(const char *places, const char *path, char **ret);

/* Whether something is left of any of them, as far as can be told. */
bool id_places_exist(const char *places);
