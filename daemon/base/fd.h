/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Closes fd unless it is negative. Never retried: on Linux the descriptor is gone whatever close(2)
 * returned, and a second close could hit somebody else's. errno is kept. */
void fd_close(int fd);

/* Reads a whole file relative to dir_fd (or AT_FDCWD) into a new NUL-terminated buffer that the caller
 * frees. Refuses with -E2BIG what is larger than max_bytes, with -EISDIR or -EINVAL what is not a regular
 * file (a FIFO is never waited for), with -EAGAIN what grew while it was read. *ret and *ret_size are untouched
 * on failure. */
int fd_read_file(int dir_fd, const char *path, size_t max_bytes, char **ret, size_t *ret_size);

/* Reads a small kernel file (/proc, cgroupfs) of an open directory into buf as a string, without its last
 * newline. Returns the number of bytes, or -errno; -ENOBUFS when it does not fit. */
ssize_t fd_read_attribute(int dir_fd, const char *name, char *buf, size_t size);

/* Writes value to a kernel file of an open directory in one write(2). */
int fd_write_attribute(int dir_fd, const char *name, const char *value);

/* Writes all of data, waiting out short writes and EINTR. For blocking descriptors. */
int fd_write_all(int fd, const void *data, size_t size);

/* mkdir -p: makes path and its missing parents with mode 0755. -ENOTDIR where something else stands there. */
int fd_make_directories(const char *path);
