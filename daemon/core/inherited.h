/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"

struct site_spec;

/* Sockets that torpord has not made itself, to be matched by address to the listeners of the sites: those that
 * the service manager holds and passes (LISTEN_FDS), and those that an earlier torpord has left (store.h). */
struct inherited {
	struct address address;
	int fd;      /* owned until taken; -EBADF then */
	ino_t inode; /* of the socket itself */
	/* Left by torpord: */
	uint64_t site; /* whose it is: store_site() of the name */
	ino_t file;    /* of a unix socket's file that is torpord's; else 0 */
};

/* Which is whose is told by the place: the manager's come first. */
struct inheritance {
	struct inherited *sockets; /* [n]; owned */
	unsigned n, n_managers;
	unsigned next; /* one that is probably asked for next: those left are in the order of the sites */
};

/* Takes over the sockets of sd_listen_fds(3), and what is in the store that is among them. -errno. */
int inherited_receive(struct inheritance *inheritance);

/* Appends one that torpord has left, or with site 0 the manager's. Its descriptor is the inheritance's, closed
 * where it is no socket that a site can listen on. -ENOMEM. */
int inherited_add(struct inheritance *inheritance, int fd, uint64_t site, ino_t file);

/* A socket for a listener at this address: the descriptor, the caller's; -ENOENT: there is none. One that was
 * left, but is another site's, whose visitors wait in it, or is not bound as the spec says, is closed instead.
 * *file: as above. *left: torpord's own. */
int inherited_take(struct inheritance *inheritance, const struct site_spec *spec, const struct address *address,
		   ino_t *file, bool *left);

/* Takes a socket back that is the manager's, for a unit that comes later; -EBADF is in its place then. Another
 * one stays where it is. */
void inherited_give_back(struct inheritance *inheritance, int *fd);

/* Whether the socket is one of the manager's, which has it anyway. */
bool inherited_from_manager(const struct inheritance *inheritance, int fd);

/* All sites are there: what was left for others is closed. Whether there was any. */
bool inherited_settle(struct inheritance *inheritance);

/* Says which of the manager's no unit claims; they are kept, as one may yet come. */
void inherited_report(const struct inheritance *inheritance);

void inherited_finish(struct inheritance *inheritance);
