/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A system call that waits for an answer (seccomp_unotify(2)), known by its id. That its thread has died, or
 * has been interrupted by a signal, is no error: then there is nobody to answer. */

bool notification_valid(int notify_fd, uint64_t id);

/* Its result is 0, or error, -errno. */
void notification_answer(int notify_fd, uint64_t id, int error);

/* It goes on as if nobody had asked. */
void notification_continue(int notify_fd, uint64_t id);
