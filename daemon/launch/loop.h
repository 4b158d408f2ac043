/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#define LOOP_PATH_BYTES 32

/* A loop device with the file in it, read-only, its path in device. It is free again when what is returned is
 * closed and nothing on it is mounted. A descriptor, or -errno. */
int loop_attach(int file_fd, char device[static LOOP_PATH_BYTES]);
