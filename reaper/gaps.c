/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gaps.h"

/* The bound of a bucket, above: 1.41 s, 2 s, 2.83 s, ... */
static uint64_t bound_us(unsigned bucket)
{
	uint64_t octave = GAPS_LEAST_US << (bucket + 1) / 2;

	return (bucket + 1) % 2 ? octave * 181 / 128 : octave;
}

static bool add_to(struct gaps *gaps, unsigned bucket, unsigned n)
{
	bool halved = false;

	while (gaps->counts[bucket] + n > UINT16_MAX) {
		for (unsigned i = 0; i < GAPS_BUCKETS; i++)
			gaps->counts[i] /= 2;
		n /= 2;
		halved = true;
	}
	gaps->counts[bucket] = (uint16_t)(gaps->counts[bucket] + n);
	return halved;
}

bool gaps_add(struct gaps *gaps, uint64_t us)
{
	unsigned bucket = 0;

	if (us < GAPS_LEAST_US)
		return false;
	while (bucket < GAPS_BUCKETS - 1 && us >= bound_us(bucket))
		bucket++;
	return add_to(gaps, bucket, 1);
}

bool gaps_merge(struct gaps *gaps, const struct gaps *other)
{
	bool halved = false;

	for (unsigned i = 0; i < GAPS_BUCKETS; i++)
		halved |= add_to(gaps, i, other->counts[i]);
	return halved;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* One gap of a length, so many times. */
static void add_cost(struct gaps_cost *cost, double us, double n, const struct gaps_times *times)
{
	double stop = (double)times->stop_us, page_out = least((double)times->page_out_us, stop),
	       freeze = least((double)times->freeze_us, page_out);

	cost->awake_us += n * least(us, freeze);
	if (us >= freeze)
		cost->frozen_us += n * (least(us, page_out) - freeze);
	if (us >= page_out)
		cost->paged_us += n * (least(us, stop) - page_out);
	if (us >= stop) {
		cost->cold_us += n * (us - stop);
		cost->wakes += n;
	} else if (us >= freeze) {
		cost->thaws += n;
	}
}

#define PARTS 8 /* of a bucket: its gaps are spread evenly */

void gaps_simulate(const struct gaps *gaps, uint64_t window_us, const struct gaps_times *times,
		   struct gaps_cost *ret)
{
	double used_us = (double)window_us;

	*ret = (struct gaps_cost){0};
	for (unsigned i = 0; i < GAPS_BUCKETS; i++) {
		double from = i == 0 ? (double)GAPS_LEAST_US : (double)bound_us(i - 1),
		       to = (double)bound_us(i);

		for (unsigned part = 0; gaps->counts[i] > 0 && part < PARTS; part++) {
			double us = from + (to - from) * (part + 0.5) / PARTS,
			       n = (double)gaps->counts[i] / PARTS;

			add_cost(ret, us, n, times);
			used_us -= n * us;
		}
	}
	if (used_us > 0)
		ret->awake_us += used_us;
}
