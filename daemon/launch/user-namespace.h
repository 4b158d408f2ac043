/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/* A user namespace that is made before anybody knows whose it will be: what its ids are on the host is said
 * later. Nobody is in it until then: the descriptors hold it. */
struct user_namespace {
	int fd; /* -EBADF: none */
	int uid_map_fd, gid_map_fd;
};

#define USER_NAMESPACE_NONE ((struct user_namespace){.fd = -EBADF, .uid_map_fd = -EBADF, .gid_map_fd = -EBADF})

/* proc_fd: /proc; first_high: where its descriptors are to begin. The calling thread's namespaces are as
 * before. -errno; to be finished all the same. */
int user_namespace_make(struct user_namespace *users, int proc_fd, int first_high);

/* Its ids from 0 on are those of the host from first on, ID_RANGE_COUNT of them. Once. -errno. */
int user_namespace_map(const struct user_namespace *users, uint32_t first);

/* The owners of files in a mount that is attached nowhere yet are meant as ids of the namespace, for who looks
 * at them and for who writes them: a file of 33 belongs to the namespace's 33. recursive: and in those mounted
 * below it. 1: done; 0: a file system of them cannot do that, and nothing was done; -errno. */
int user_namespace_map_mount(int mount_fd, bool recursive, int users_fd);

/* Closes what is open. */
void user_namespace_finish(struct user_namespace *users);
