/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

struct daemon;
struct site;

/* While torpord stops, the service manager waits as long as the sites may take, and is told so by
 * EXTEND_TIMEOUT_USEC= of sd_notify(3): when TimeoutStopSec= of torpor.service is over, which knows nothing of
 * the units of sites, it would kill torpord and all containers. A time that it was told is never taken back. */
struct grace {
	uint64_t from_ns; /* CLOCK_MONOTONIC, when torpord began to stop; 0: it does not */
	uint64_t told_ns; /* until when the service manager waits by what it was told */
};

/* The most that a program gets by asking for more time to stop, from when torpord itself began to: nobody keeps
 * torpord from its end for ever. */
#define GRACE_ASKED_MAX_US UINT64_C(600000000)

/* torpord has told all its sites to stop: tells of the one that may take the longest. */
void grace_begin(struct daemon *daemon);

/* A site that stops has been given more time: tells of that where it is later than what was told. While torpord
 * does not stop, nothing. */
void grace_extend(const struct site *site);

/* How much of us, the time from now_ns (CLOCK_MONOTONIC) on that a program asks for to stop, it gets. */
uint64_t grace_allowed_us(const struct grace *grace, uint64_t now_ns, uint64_t us);
