/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct ctl;

/* torpord knows the keys, so that it reads files for us. */

/* A command line of torpord: these options, NULL-terminated, the folders that were given, the arguments of the
 * command. An array to be freed, its strings in the arena of ctl; NULL when out of memory. */
char **torpord_arguments(struct ctl *ctl, const char *const *options);

/* Becomes torpord: the one beside this program, else the first in an absolute folder of $PATH, /usr/sbin or
 * /usr/libexec. Returns only where there is none, which has been said. */
void torpord_become(struct ctl *ctl, char **arguments);
