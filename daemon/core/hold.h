/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <uv.h>

#include "container.h"

#define HOLD_SOCKETS_MAX 4096 /* connections of one frozen site; with more it is not frozen */

/* While a site is frozen, the daemon holds duplicates of its connected sockets (pidfd_getfd(2)) in its epoll:
 * the first byte on one of them, or its peer's end, is a wake. */
struct hold {
	struct held_socket **sockets; /* owned */
	unsigned n, size;
	bool owed; /* on one of them an answer may be under way */
};

/* Takes hold of every connected socket of a frozen container and watches it; callback gets data in the handle.
 * -errno, with nothing held: -E2BIG for too many, -EMFILE. */
int hold_take(struct hold *hold, uv_loop_t *loop, const struct container *container, uv_poll_cb callback,
	      void *data);

/* Whether one of them has something to read now. */
bool hold_pending(const struct hold *hold);

/* Lets go of all. Before a thaw: a duplicate would keep a connection open that the program closes. */
void hold_release(struct hold *hold);
