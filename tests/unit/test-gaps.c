/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gaps.h"

#define S     UINT64_C(1000000)
#define NEVER UINT64_MAX

static bool near(double a, double b, double share)
{
	return fabs(a - b) <= fabs(b) * share;
}

/* Against what is reckoned one by one. */
static void simulates(void **state)
{
	static const struct gaps_times times[] = {{30 * S, NEVER, 600 * S},    {5 * S, 60 * S, 3600 * S},
						  {NEVER, NEVER, 120 * S},     {NEVER, NEVER, NEVER},
						  {600 * S, 300 * S, 120 * S}, {10 * S, NEVER, NEVER}};
	uint64_t lengths[1000], window = 100 * S;
	struct gaps gaps = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		lengths[i] = (uint64_t)(pow(1.01, i) * 1e6 * 2); /* 2 s to 11 h */
		window += lengths[i];
		assert_false(gaps_add(&gaps, lengths[i]));
	}
	for (unsigned k = 0; k < sizeof times / sizeof *times; k++) {
		double stop = (double)times[k].stop_us, page = fmin((double)times[k].page_out_us, stop),
		       freeze = fmin((double)times[k].freeze_us, page), awake = 100 * 1e6, cold = 0;
		unsigned wakes = 0, thaws = 0;
		struct gaps_cost cost;

		for (unsigned i = 0; i < 1000; i++) {
			double us = (double)lengths[i];

			awake += fmin(us, freeze);
			cold += us > stop ? us - stop : 0;
			wakes += us >= stop;
			thaws += us >= freeze && us < stop;
		}
		gaps_simulate(&gaps, window, &times[k], &cost);
		assert_true(near(cost.wakes, wakes, 0.03));
		assert_true(near(cost.thaws, thaws, 0.03));
		assert_true(near(cost.cold_us, cold, 0.03));
		assert_true(near(cost.awake_us + cost.frozen_us + cost.paged_us + cost.cold_us, (double)window,
				 0.03));
		if (times[k].freeze_us != NEVER || times[k].stop_us != NEVER)
			assert_true(near(cost.awake_us, awake, 0.05));
	}
}

static void counts(void **state)
{
	struct gaps gaps = {0}, other = {0};
	struct gaps_cost cost;
	bool halved = false;

	(void)state;
	assert_false(gaps_add(&gaps, GAPS_LEAST_US - 1));
	gaps_simulate(&gaps, 10 * S, &(struct gaps_times){0, 0, 0}, &cost);
	assert_true(near(cost.awake_us, 10e6, 0) && cost.wakes == 0);
	assert_false(gaps_add(&gaps, UINT64_MAX)); /* into the last */
	assert_int_equal(gaps.counts[GAPS_BUCKETS - 1], 1);
	for (unsigned i = 0; i < UINT16_MAX + 1U; i++)
		halved |= gaps_add(&other, 10 * S);
	assert_true(halved);
	assert_false(gaps_merge(&gaps, &other));
	assert_int_equal(gaps.counts[GAPS_BUCKETS - 1], 1);
	gaps_simulate(&gaps, 0, &(struct gaps_times){0, 0, 0}, &cost);
	assert_true(near(cost.wakes, (UINT16_MAX + 1) / 2, 0.001));
	for (unsigned i = 0; i < 3; i++)
		halved = gaps_merge(&gaps, &other);
	assert_true(halved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simulates),
		cmocka_unit_test(counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
