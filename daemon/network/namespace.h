/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Makes a network namespace, its loopback up, and binds it to a new file, by which plugins and the launcher
 * find it and which keeps it alive: a path below /proc would be gone with torpord, and with it what a plugin
 * has to know to take its rules back. The calling thread is in its own namespace again afterwards. -errno. */
int namespace_create(const char *path);

/* Whether a namespace is bound to the file. */
bool namespace_exists(const char *path);

/* Takes the binding, and the file, away; the kernel ends the namespace when nobody is in it. What is not there
 * is fine. -errno. */
int namespace_remove(const char *path);
