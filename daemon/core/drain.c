/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drain.h"

#include "clock.h"
#include "daemon.h"
#include "log.h"
#include "run.h"

/* Between two looks: a share of the time that has passed, at least, and at most. A look keeps the container
 * from its work for some 0.3 ms. */
#define LOOK_SHARE    8
#define LOOK_LEAST_US UINT64_C(2000)
#define LOOK_MOST_US  UINT64_C(10000)

void drain_begin(struct run *run)
{
	uint64_t drain_us = run->plan->spec->drain_us, now_ns = clock_now_ns();

	run->drain =
		(struct drain){.on = drain_us > 0, .from_ns = now_ns, .until_ns = now_ns + drain_us * 1000};
}

/* The hold watches what it holds; it is let go of before the loop could find anything. */
static void on_data(uv_poll_t *poll, int status, int events)
{
	(void)poll;
	(void)status;
	(void)events;
}

/* What cannot be looked at counts as being served. */
static bool serving(struct run *run)
{
	bool found;

	if (run_hold(run, on_data, NULL) < 0) /* anew: it may have been frozen for long */
		return true;
	found = hold_serving(&run->hold, run->plan->spec);
	run_let_go(run);
	return found;
}

bool drain_is_over(struct run *run)
{
	uint64_t now_ns = clock_now_ns(), pause_us = (now_ns - run->drain.from_ns) / 1000 / LOOK_SHARE;

	if (!run->drain.on)
		return true;
	if (!serving(run)) {
		run->drain.on = false;
		return true;
	}
	if (now_ns >= run->drain.until_ns) {
		log_notice("site %s: still serves somebody after DrainSec=: stopping it", run->site->name);
		run->drain.on = false;
		return true;
	}
	if (pause_us < LOOK_LEAST_US)
		pause_us = LOOK_LEAST_US;
	if (pause_us > LOOK_MOST_US)
		pause_us = LOOK_MOST_US;
	run->drain.paused = true;
	run_unwatch_freeze(run);
	(void)container_thaw(&run->container); /* else it stays so until the next look */
	run_set_timer(run, pause_us);
	return false;
}

bool drain_look_again(struct run *run)
{
	bool paused = run->drain.paused;

	run->drain.paused = false;
	return paused;
}
