/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Names of system calls, and the @groups of them. */

#define SYSCALL_NAME_BYTES 32 /* the longest name of a call or a group, NUL included */

/* What a site may call where SystemCallFilter= is not set: torpor's own group, beside systemd's. */
#define SYSCALL_GROUP_CONTAINER "@container"

/* What a program cannot do without: part of every allow-list. */
#define SYSCALL_GROUP_DEFAULT "@default"

/* Calls that reach past a container or into the kernel's less tested parts: a site gets them only where its
 * unit names them, one by one. No group gives them to it. */
#define SYSCALL_HAZARDS                                                                                        \
	"add_key bpf io_uring_enter io_uring_register io_uring_setup keyctl perf_event_open process_vm_readv " \
	"process_vm_writev ptrace request_key userfaultfd"

struct syscall_group {
	const char *name, *help;
	const char *calls; /* names and groups, separated by spaces */
};

/* In the order of manual pages; ends with a NULL name. */
extern const struct syscall_group syscall_groups[];

/* The group of this name, '@' included; NULL when there is none. */
const struct syscall_group *syscall_group_find(const char *name);

/* Takes the next word off a list of names. False at its end. ret is cut at SYSCALL_NAME_BYTES. */
bool syscall_next(const char **list, char ret[static SYSCALL_NAME_BYTES]);

/* Whether the call is in the group, or in one that is in it. */
bool syscall_group_has(const struct syscall_group *group, const char *call);

/* The number of a call on this machine; -ENOSYS where only others have it; -EINVAL for what is no call. */
int syscall_number(const char *name);

/* The name of a call or a group that was perhaps meant; NULL when none comes near. The string is in buf. */
const char *syscall_nearest(const char *name, char buf[static SYSCALL_NAME_BYTES]);
