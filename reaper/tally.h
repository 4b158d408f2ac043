/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Counts the connections of tracked listeners. The table of listeners is made anew for each scan; sockets that
 * belong to none of them leave no trace. */

#include "request.h"

struct connections;
struct reaper_listener;
struct sockdiag;

/* What the kernel's socket tables say of one site, summed over its listeners. */
struct tally {
	bool known;                  /* all its tables could be read */
	unsigned connections;        /* accepted and open */
	unsigned waiting;            /* connections or datagrams in the listeners' queues */
	unsigned queued;             /* connections with unread or unsent bytes */
	unsigned requests;           /* connections on which the program owes an answer */
	unsigned undated;            /* unix connections on which it may owe one */
	uint64_t last_data_age_us;   /* IDLE_NEVER: no connection that tells */
	uint64_t request_timeout_us; /* given: see request.h; 0: bytes that come in count like those that go
					out, and unix connections are never undated */
	unsigned n_listeners;        /* added so far */
	uint64_t neglected; /* bit i: something waits at the i-th of them, and no connection is open; 0 to 63 */
	uint64_t attended;  /* bit i: a connection of it is open */
	struct connections *list; /* where each connection is noted as well; NULL: nowhere */
};

/* Zero-initialised is empty. Its memory is kept from scan to scan. */
struct tally_table {
	struct tally_listener *listeners; /* owned */
	unsigned n_listeners, listeners_size;
	unsigned *buckets; /* owned; index + 1 of the first listener in each; 0: none */
	unsigned n_buckets;
	unsigned reported; /* tables whose failure has been logged, as a bit each */
	bool once;         /* a dump that may have hidden some is good enough */
	struct requests requests;
};

void tally_table_finish(struct tally_table *table);

/* Forgets all listeners. */
void tally_table_clear(struct tally_table *table);

/* Counts for listener into tally, which must stay where it is until the scan is done, and starts as known and
 * otherwise zero (tally_init). Addresses are as getsockname(2) gives them. -EAFNOSUPPORT for a kind of socket
 * that cannot be looked at, -ENOMEM: the tally is not known. */
int tally_table_add(struct tally_table *table, const struct reaper_listener *listener, struct tally *tally);

void tally_init(struct tally *tally);

/* Reads each kernel table that a listener is in, once, and adds up. A table that cannot be read makes the
 * tallies of its listeners unknown; that is logged once until it can be read again. */
void tally_table_scan(struct tally_table *table, struct sockdiag *diag);
