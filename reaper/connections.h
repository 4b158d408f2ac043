/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "peer.h"

/* Who is connected to a site, one by one: for people who ask why. */

struct sockdiag_socket;

#define CONNECTIONS_SHOWN 16 /* of each site; of more, those on which bytes moved last */

enum connection_state {
	CONNECTION_WAITING, /* not accepted yet */
	CONNECTION_OPEN,
	CONNECTION_CLOSED, /* lately, by the program: the kernel remembers it for a minute */
	CONNECTION_STATES
};

struct connection {
	struct peer peer;
	uint32_t inode; /* of a unix peer's socket */
	enum connection_state state;
	unsigned listener;       /* which of the site's */
	uint32_t unread, unsent; /* bytes */
	bool dated;
	uint64_t last_data_age_us; /* since bytes moved, or since it was opened; where dated */
};

/* Zero-initialised is empty. */
struct connections {
	struct connection shown[CONNECTIONS_SHOWN];
	unsigned n; /* of those */
	unsigned counts[CONNECTION_STATES];

	/* Those that may have come within the last recent_us: all that wait; where there was none before
	 * (fresh), all that are open; and those that moved bytes since then. Closed ones are shown only of
	 * these. */
	uint64_t recent_us;
	bool fresh;
	unsigned n_recent;
	struct connection first; /* of these, shown or not: where all are new, the one silent for longest; else
				    the one heard of last, since older ones may look new by a tick */
};

/* "waiting", "open", "closed". */
const char *connection_state_name(enum connection_state state);

/* Notes a socket that belongs to the site's listener; one that is no connection is left out. */
void connections_note(struct connections *connections, unsigned listener, const struct sockdiag_socket *socket);
