/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <uv.h>

#include "container.h"

#define HOLD_SOCKETS_MAX 1024 /* connections of one frozen site; with more it is not frozen */
#define HOLD_LOOK_MAX    8192 /* descriptors of all its processes: a tenant must not hold the loop */

/* While a site is frozen, the daemon holds duplicates of its connected sockets (pidfd_getfd(2)) in its epoll:
 * the first byte on one of them, or its peer's end, is a wake. */
struct hold {
	struct held_socket **sockets; /* owned */
	unsigned n, size;
	unsigned max, looked; /* while they are taken */
	bool owed;            /* on one of them an answer may be under way */
};

/* Takes hold of every connected socket of a frozen container and watches it; callback gets data in the handle.
 * At most max_sockets, and as many as HOLD_SOCKETS_MAX; a container with more descriptors than HOLD_LOOK_MAX is
 * not looked through. -errno, with nothing held: -E2BIG for too many, -EMFILE. */
int hold_take(struct hold *hold, uv_loop_t *loop, const struct container *container, unsigned max_sockets,
	      uv_poll_cb callback, void *data);

/* Whether one of them has something to read now. */
bool hold_pending(const struct hold *hold);

/* Whether a connection was accepted from a listener of the spec; whether one of those that are held was. */
struct site_spec;
bool hold_is_visitor(int fd, const struct site_spec *spec);
bool hold_accepted(const struct hold *hold, const struct site_spec *spec);

/* Whether somebody is being served on one of them: it was accepted from a listener of the spec, and is not a
 * TCP connection on which for HOLD_QUIET_MS nothing has come since the program's last bytes. */
#define HOLD_QUIET_MS 3000
bool hold_serving(const struct hold *hold, const struct site_spec *spec);

/* Lets go of all. Before a thaw: a duplicate would keep a connection open that the program closes. */
void hold_release(struct hold *hold);
