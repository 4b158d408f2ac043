/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Which listeners of a site nobody sees to, although somebody waits there: a pure function over looks. A bit is
 * a listener. */
struct neglect {
	uint64_t listeners; /* at every look since since_ns */
	uint64_t since_ns;  /* CLOCK_MONOTONIC; 0: no listener is neglected */
	uint64_t drained;   /* seen with nothing in its queue, at any look */
};

/* Takes a look in. waiting: where something waits and no connection is open. A stream's listener counts anew
 * after it has been seen to; one of datagrams, where a queue may be found full by chance at every look, counts
 * only as long as it has never been found empty. */
void neglect_update(struct neglect *neglect, uint64_t now_ns, uint64_t waiting, uint64_t datagrams);
