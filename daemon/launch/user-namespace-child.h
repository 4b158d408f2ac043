/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is born in a user namespace so that there is one. It shares the launcher's memory and descriptors: raw
 * system calls only, as in child.h. */
struct user_namespace_child {
	int proc_fd; /* /proc of the host */
	int error;   /* errno; 0: all is well. To be read when it is gone */
};

/* Gives the namespace limits of its own, and ends. Suits clone3_call(). */
void user_namespace_child_main(void *child) __attribute__((noreturn));
