/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How a site is used, as the lengths of the times between two uses: all that is needed to say what other times
 * of hibernation would have cost and saved. By half octaves from a second to three days; a count that is full
 * halves all. Pure. */

#define GAPS_BUCKETS  36
#define GAPS_LEAST_US UINT64_C(1000000)

struct gaps {
	uint16_t counts[GAPS_BUCKETS];
};

/* Adds one; shorter ones are use. Returns true when all have been halved for it. */
bool gaps_add(struct gaps *gaps, uint64_t us);

/* Adds all of another. The same. */
bool gaps_merge(struct gaps *gaps, const struct gaps *other);

/* When a site hibernates: UINT64_MAX for never. */
struct gaps_times {
	uint64_t freeze_us, page_out_us, stop_us;
};

/* What would have come of that: times are in microseconds. */
struct gaps_cost {
	double awake_us, frozen_us, paged_us, cold_us;
	double wakes, thaws;
};

/* window_us: the time that the gaps are part of; what is in none was use. */
void gaps_simulate(const struct gaps *gaps, uint64_t window_us, const struct gaps_times *times,
		   struct gaps_cost *ret);
