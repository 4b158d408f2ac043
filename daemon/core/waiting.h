/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "wake-limit.h"

struct listener;
struct sockdiag;

#define WAITING_SOURCES_MAX 32 /* told apart in one look */

/* Who waits in the queue of a TCP listener that nobody accepts from, by the kernel's table of connections. */
struct waiting {
	const struct listener *listener;
	unsigned hung_up; /* have ended, and never sent a byte: nobody is there any more */
	unsigned here;    /* the others */
	unsigned n_sources;
	bool more;                                       /* there are more sources than could be kept */
	struct wake_source sources[WAITING_SOURCES_MAX]; /* of those that are here */
};

/* Looks at n listeners at once; each is named in its struct, which is otherwise zero. -errno: nothing is known.
 */
int waiting_look(struct sockdiag *diag, struct waiting *waiting, size_t n);

/* Takes those who have hung up out of the queue, where it is certain that it holds nobody else. Returns how
 * many. */
unsigned waiting_dismiss(const struct waiting *waiting);
