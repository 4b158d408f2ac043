/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>
#include <uv.h>

#include "spec.h"

struct inheritance;
struct site;

/* One pre-bound listening socket of a site. The daemon's own copy stays open as long as the site exists, so a
 * port never closes, whatever becomes of the container. */
struct listener {
	uv_poll_t poll; /* its data is the site; first, so that the handle's address is the listener's */
	const struct address *address; /* of the plan in force */
	int fd;                        /* owned */
	ino_t inode;                   /* of a unix socket's file, so that only our own is removed; else 0 */
};

/* Who owns the files of a site's unix sockets; -1: torpord, as it made them. */
struct listener_owner {
	uid_t uid;
	gid_t gid;
};

/* Looks SocketUser= and SocketGroup= up on this host. 0; -EINVAL with *diag where there is no such user or
 * group, or what the lookup says. */
int listener_find_owner(const struct site_spec *spec, struct listener_owner *ret, struct diag *diag);

/* Opens, binds and listens as the spec says, or takes a fitting socket out of an inheritance (NULL: there is
 * none). A stale unix socket is replaced; a live one is somebody's and never is. Returns the descriptor, or
 * -errno with *diag. */
int listener_open(const struct site_spec *spec, const struct listener_spec *listener,
		  struct inheritance *inheritance, ino_t *inode, struct diag *diag);

/* Makes a listener of a descriptor, not watched yet. NULL when out of memory; fd is the caller's then. */
struct listener *listener_create(uv_loop_t *loop, int fd, ino_t inode, const struct address *address);

/* Watches for connections, or stops to. callback gets the handle's data. -errno. */
int listener_watch(struct listener *listener, uv_poll_cb callback);
void listener_unwatch(struct listener *listener);

/* Whether a program that had it has shut it down (shutdown(2) works on what is shared): nobody can connect. */
bool listener_is_shut(const struct listener *listener);

/* Makes one that was shut down listen again; a unix socket is bound anew for that, under the same descriptor.
 * Not to be called while it is watched. -errno with *diag. */
int listener_revive(struct listener *listener, const struct site_spec *spec, const struct listener_spec *wanted,
		    struct diag *diag);

/* Brings what a changed unit says of a listener that is kept into force: the queue, the options that can change
 * on a bound socket, owner and mode of a unix socket's file. -errno with *diag. */
int listener_update(const struct listener *listener, const struct site_spec *spec, struct diag *diag);

/* Whether nobody has an address, who might share it by ReusePort=; unix sockets never are. Where it is not
 * free, it may be that there are only connections of an earlier listener. */
bool listener_address_free(const struct site_spec *spec, const struct address *address);

/* Whether something waits in the queue now. */
bool listener_pending(const struct listener *listener);

/* Whether a program may be answering a datagram: it has taken one that came in less than LISTENER_OWED_MS ago.
 * Only of UDP does the kernel say so; else false, and also where the program asks for the time of each packet
 * itself. */
#define LISTENER_OWED_MS 1000
bool listener_taken_lately(const struct listener *listener);

/* How many packets the kernel has dropped instead of giving them to the listener: those of sources that
 * IPAddressAllow= and IPAddressDeny= keep out, and connections or datagrams for which the queue had no room. Of
 * unix sockets, which drop nothing, 0. -errno. */
int listener_dropped(const struct listener *listener, uint64_t *ret);

/* Closes the socket; with remove_file its file too. The memory is given up by the loop. NULL is fine. */
void listener_close(struct listener *listener, bool remove_file);
