/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct run;

/* DrainSec=: a container that is to be stopped is frozen for a look now and then, until nobody is being served
 * or the time is over. Then it stays frozen, so that nothing comes between the look and KillSignal=. */
struct drain {
	bool on;
	bool paused;                /* between two looks: the container runs, and the run's timer tells when */
	uint64_t from_ns, until_ns; /* CLOCK_MONOTONIC */
};

/* The site begins to stop: it is frozen, or going to be, for the first look. */
void drain_begin(struct run *run);

/* The container is frozen. True: it may be signalled. False: somebody is being served, it was thawed. */
bool drain_is_over(struct run *run);

/* Whether the run's timer stands for the next look; that begins then. */
bool drain_look_again(struct run *run);
