/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lookup.h"

struct daemon;
struct diag;

/* Settings made by command, on top of a unit: drop-ins in the run folder (50-set.conf), gone at the next boot,
 * or for good in the etc folder (50-set-persist.conf). */

/* Writes settings, each "KEY=VALUE", of a site or a slice and brings them into force, or begins to. All or
 * nothing: on failure the files are as they were. 0 and *ret_file, a new string: where they stand; -errno with
 * *diag. */
int override_set(struct daemon *daemon, enum unit_kind kind, const char *name, const char *const *settings,
		 size_t n, bool persist, char **ret_file, struct diag *diag);
