/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "container.h"

/* Whether every thread of a frozen container was waiting for something when the freeze caught it: in
 * epoll_wait, accept, a futex, a sleep. One that was computing, or writing, is in the middle of something,
 * perhaps of an answer that a visitor waits for. What a waiting thread was just being told is still there to be
 * seen: unread bytes, an unaccepted connection. Not to be found out (a thread that has ended meanwhile aside)
 * counts as no. */
bool container_at_rest(const struct container *container);
