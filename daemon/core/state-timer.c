/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state-timer.h"

#include "clock.h"
#include "daemon.h"
#include "failure.h"
#include "handover.h"
#include "ladder.h"
#include "networks.h"
#include "run.h"

#define KILL_RETRY_US  10000000 /* between two attempts to kill what does not die */
#define RETRY_SHARE    8
#define RETRY_LEAST_US 100000
#define RETRY_MOST_US  10000000

/* Until the next try of what has not worked at a wake: a share of the time since then, at least, and at most.
 */
static uint64_t retry_us(const struct run *run)
{
	uint64_t since_us = (clock_now_ns() - run->wake_ns) / 1000 / RETRY_SHARE;

	if (since_us < RETRY_LEAST_US)
		return RETRY_LEAST_US;
	return since_us < RETRY_MOST_US ? since_us : RETRY_MOST_US;
}

static uint64_t timer_length_us(const struct site *site, enum site_timer timer)
{
	const struct site_spec *spec = site->plan->spec;

	switch (timer) {
	case TIMER_START:
		return site->run->queued || networks_waits(site->run) ? SPEC_INFINITY : spec->timeout_start_us;
	case TIMER_ACCEPT:
		return site->run->stuck ? retry_us(site->run) : handover_look_us(site);
	case TIMER_FREEZE:
		return STATE_FREEZE_TIMEOUT_US;
	case TIMER_FROZEN:
		return ladder_left_us(site);
	case TIMER_STOP:
		if (site->run->killed)
			return KILL_RETRY_US;
		return container_exists(&site->run->container) && !site->run->signalled
			       ? STATE_FREEZE_TIMEOUT_US
			       : spec->timeout_stop_us;
	case TIMER_BACKOFF:
		return failure_backoff_us(site);
	default:
		return SPEC_INFINITY;
	}
}

void state_timer_set(struct site *site)
{
	enum site_timer timer = site_rule(site->state)->timer;

	if (!site->run)
		return;
	run_set_timer(site->run, timer == TIMER_NONE ? SPEC_INFINITY : timer_length_us(site, timer));
	if (timer == TIMER_BACKOFF && site->failure)
		site->failure->retry_ns = clock_now_ns() + failure_backoff_us(site) * 1000;
}

uint64_t state_timer_left_us(const struct site *site)
{
	if (!site->run || !uv_is_active((const uv_handle_t *)&site->run->timer))
		return UINT64_MAX;
	return uv_timer_get_due_in(&site->run->timer) * 1000;
}
