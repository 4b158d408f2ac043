/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Since when connections wait for an answer: the kernel knows when bytes came in last, not when the first of
 * them did. It is remembered while nobody looks, as their site sleeps. Costs what waits. Zero-initialised is
 * empty. */

#define REQUESTS_MAX 65536 /* remembered; others are always new */
#define REQUEST_UNSEEN_NS                                                                                      \
	UINT64_C(3600000000000) /* one that nobody has asked about for so long is forgotten                    \
				 */

struct requests {
	struct request *seen; /* a hash by the socket's cookie; owned */
	uint64_t now_ns;
};

void requests_finish(struct requests *requests);

/* A scan begins, at now_ns (CLOCK_MONOTONIC). */
void requests_begin(struct requests *requests, uint64_t now_ns);

/* Of a connection whose last bytes came in, data_age_us ago: for how long that is so at least. */
uint64_t requests_age_us(struct requests *requests, uint64_t cookie, uint64_t data_age_us);

/* Of any other: it waits no more. */
void requests_answered(struct requests *requests, uint64_t cookie);
