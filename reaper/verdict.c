/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdict.h"

#include <stddef.h>

#define NS_PER_US        UINT64_C(1000)
#define CLOCK_GAP_FACTOR 10                   /* a sample this many intervals late ... */
#define CLOCK_GAP_MIN_NS UINT64_C(5000000000) /* ... and this late proves nothing about the time between */

const char *busy_reason_text(enum busy_reason reason)
{
	static const char *const texts[] = {
		[BUSY_NOT] = "nothing",
		[BUSY_UNKNOWN] = "its use could not be found out",
		[BUSY_WAITING] = "a connection is waiting to be accepted",
		[BUSY_DATA] = "bytes moved on a connection",
		[BUSY_QUEUED] = "a connection has unread or unsent bytes",
		[BUSY_REQUEST] = "a request is under way",
		[BUSY_UNDATED] = "a request may be under way on a connection over a unix socket",
		[BUSY_CONNECTION] = "a connection is open",
		[BUSY_CPU] = "it uses CPU time",
		[BUSY_ANNOUNCED] = "it says that it is busy",
		[BUSY_CLOCK] = "the machine was paused or overloaded",
	};

	if ((size_t)reason >= sizeof texts / sizeof *texts)
		return "unknown";
	return texts[reason];
}

void idle_state_touch(struct idle_state *state, uint64_t now_ns)
{
	if (now_ns > state->last_active_ns)
		state->last_active_ns = now_ns;
}

static uint64_t elapsed(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/* Whether the sample comes too late after since_ns for the time between to count as watched. */
static bool clock_jumped(uint64_t since_ns, uint64_t now_ns, uint64_t scan_interval_us)
{
	uint64_t limit_ns;

	if (__builtin_mul_overflow(scan_interval_us, CLOCK_GAP_FACTOR * NS_PER_US, &limit_ns))
		return false;
	if (limit_ns < CLOCK_GAP_MIN_NS)
		limit_ns = CLOCK_GAP_MIN_NS;
	return elapsed(since_ns, now_ns) > limit_ns;
}

/* Takes the CPU time in. False: the figures make no sense (it went backwards), the share is not known. */
static bool update_cpu(struct idle_state *state, const struct idle_sample *sample)
{
	uint64_t interval_ns = elapsed(state->cpu_sample_ns, sample->now_ns);
	bool first = state->cpu_sample_ns == 0;
	bool backwards = !first && sample->cpu_usage_us < state->cpu_usage_us;

	if (first || backwards)
		state->cpu = 0;
	else if (interval_ns == 0)
		return true; /* no time has passed: the share from before stands */
	else
		state->cpu = (double)(sample->cpu_usage_us - state->cpu_usage_us) * (double)NS_PER_US /
			     (double)interval_ns;
	state->cpu_sample_ns = sample->now_ns;
	state->cpu_usage_us = sample->cpu_usage_us;
	return !backwards;
}

/* What shows, moved bytes aside, that the site is in use at the time of the sample. */
static enum busy_reason use_now(const struct idle_state *state, const struct idle_sample *sample,
				const struct idle_policy *policy)
{
	if (sample->waiting > 0)
		return BUSY_WAITING;
	if (sample->queued > 0)
		return BUSY_QUEUED;
	if (sample->requests > 0)
		return BUSY_REQUEST;
	if (sample->undated > 0)
		return BUSY_UNDATED;
	if (policy->connections_busy && sample->connections > 0)
		return BUSY_CONNECTION;
	if (!(state->cpu <= policy->idle_cpu)) /* so that NaN is busy */
		return BUSY_CPU;
	if (sample->announced_busy)
		return BUSY_ANNOUNCED;
	return BUSY_NOT;
}

static bool has_passed(uint64_t idle_us, uint64_t limit_us)
{
	return limit_us != IDLE_NEVER && idle_us >= limit_us;
}

/* When bytes last moved; 0: never, or longer ago than the clock goes back. */
static uint64_t data_time_ns(const struct idle_sample *sample)
{
	uint64_t age_ns;

	if (sample->last_data_age_us == IDLE_NEVER ||
	    __builtin_mul_overflow(sample->last_data_age_us, NS_PER_US, &age_ns))
		return 0;
	return elapsed(age_ns, sample->now_ns);
}

enum idle_verdict idle_decide(struct idle_state *state, const struct idle_sample *sample,
			      const struct idle_policy *policy, uint64_t scan_interval_us,
			      enum busy_reason *reason)
{
	uint64_t since_ns = state->last_sample_ns ? state->last_sample_ns : state->last_active_ns;
	uint64_t data_ns = sample->sockets_known ? data_time_ns(sample) : 0, idle_us;
	bool known = sample->sockets_known && sample->cpu_known, first = state->cpu_sample_ns == 0;

	if (sample->cpu_known && !update_cpu(state, sample))
		known = false;
	state->last_sample_ns = sample->now_ns;

	if (!known)
		*reason = BUSY_UNKNOWN;
	else if (clock_jumped(since_ns, sample->now_ns, scan_interval_us))
		*reason = BUSY_CLOCK;
	else
		*reason = use_now(state, sample, policy);
	if (*reason != BUSY_NOT) {
		idle_state_touch(state, sample->now_ns);
		return IDLE_BUSY;
	}

	idle_state_touch(state, data_ns);
	idle_us = first ? 0 : elapsed(state->last_active_ns, sample->now_ns) / NS_PER_US;
	if (has_passed(idle_us, policy->stop_after_us))
		return IDLE_STOP;
	if (has_passed(idle_us, policy->freeze_after_us))
		return IDLE_FREEZE;
	if (data_ns > since_ns) {
		*reason = BUSY_DATA;
		return IDLE_BUSY;
	}
	return IDLE_WAIT;
}
