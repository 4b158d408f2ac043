/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "diag.h"
#include "key.h"

/* Drop-ins that torporctl set writes: a few keys of a table, one after the other. */

/* The text of the drop-in at path after these settings, each "KEY=VALUE", have been made: what it says of other
 * keys stays, several settings of a key that takes a list make the list, whatever the unit says. Only keys that
 * a container follows while it runs can be set. A new string; "" where nothing is left to be said. -EINVAL with
 * *diag: a key that is unknown or cannot be set, a value of several lines, a file that is wrong already. Values
 * are not looked at. */
int drop_in_set(const struct key_table *table, const char *path, const char *const *settings, size_t n,
		char **ret, struct diag *diag);

/* The same after the keys of these settings have been taken out of it. */
int drop_in_forget(const struct key_table *table, const char *path, const char *const *settings, size_t n,
		   char **ret, struct diag *diag);
