/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* When somebody came last to a unix socket that has a name in a file system: connect(2), and sendto(2), are an
 * access to the file (unix_find_bsd() of the kernel), which dates visits that are over before the next look.
 * Most file systems are mounted relatime: the file's time of access is only written when it is not later than
 * that of its last change, so a look that finds a visit changes the file. Not seen: abstract names, and
 * noatime. */

struct knock {
	int fd;             /* of the file, O_PATH; owned; -EBADF: not opened yet, or there is none */
	bool hopeless;      /* there is none that could be looked at */
	uint64_t seen_us;   /* time of access at the last look: CLOCK_REALTIME */
	uint64_t looked_ns; /* CLOCK_MONOTONIC; 0: not yet */
};

#define KNOCK_NONE                                                                                             \
	(struct knock)                                                                                         \
	{                                                                                                      \
		.fd = -EBADF                                                                                   \
	}

/* How long ago somebody came to the socket of this address, in microseconds; IDLE_NEVER: nobody has since the
 * last look, or nobody can tell. Opens the file at the first look. */
uint64_t knock_age_us(struct knock *knock, const struct sockaddr_storage *address, socklen_t length);

void knock_finish(struct knock *knock);
