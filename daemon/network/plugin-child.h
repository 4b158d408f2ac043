/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A plugin between clone3(2) and execve(2). It shares the daemon's memory, as the child of a start does: raw
 * system calls alone. */
struct plugin_child {
	const char *path;
	char *const *argv, *const *envp;
	int fds[3]; /* to be 0, 1 and 2; each above 2 */
	int error;  /* errno of what failed; 0: execve has happened */
};

/* Does not return. */
void plugin_child_main(void *child) __attribute__((noreturn));
