/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "daemon.h"
#include "failure.h"
#include "handover.h"
#include "ladder.h"
#include "log.h"
#include "networks.h"
#include "run.h"
#include "state-timer.h"
#include "str.h"
#include "stretch.h"
#include "transition.h"

static void kill_container(struct run *run)
{
	struct daemon *daemon = run->site->daemon;
	autoclose int fd = -EBADF;

	run->killed = true;
	if (container_exists(&run->container)) {
		(void)container_kill(&run->container);
		return;
	}
	/* Still between clone3 and execve: the launcher waits for it. */
	fd = openat(daemon->delegation.fd, run->plan->cgroup, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)cgroup_kill(fd);
}

/* Signals a container that is frozen, so that nothing changes while it is looked whether it has a handler. The
 * signal is queued before the thaw: the program's first instruction is its handler. */
static void signal_container(struct site *site)
{
	struct run *run = site->run;
	int r;

	run->signalled = true;
	run_unwatch_freeze(run);
	run_let_go(run);
	STRETCH("signalling", site->name);
	r = container_signal(&run->container, run->plan->spec->kill_signal);
	if (r < 0 && r != -ESRCH)
		log_error("site %s: cannot be signalled: %s", site->name, strerror(-r));
	run->killed |= r == 1;
	STRETCH("signal-queued", site->name);
	r = container_thaw(&run->container);
	if (r < 0)
		log_error("site %s: cannot be thawed to stop: %s", site->name, strerror(-r));
	STRETCH("signalled", site->name);
	state_timer_set(site);
}

/* EVENT_FROZEN brings the signal, or a freeze that takes too long does. */
static void freeze_to_stop(struct site *site)
{
	struct run *run = site->run;

	state_timer_set(site);
	if (container_freeze(&run->container) < 0 || run_watch_freeze(run) < 0)
		signal_container(site);
}

/* A container that runs is frozen first, and where it has not been found idle, looked at. */
static void stop_container(struct site *site, bool frozen, bool idle)
{
	struct run *run = site->run;

	run_untrack(run);
	if (!idle)
		drain_begin(run);
	if (!frozen)
		freeze_to_stop(site);
	else if (drain_is_over(run))
		signal_container(site);
}

void stop_begin(struct site *site, enum site_event event, const char *by)
{
	struct run *run = site->run;
	enum site_state from = site->state;
	bool attaching = false;

	if (from != STATE_STOPPING)
		failure_outlive(site);
	if (from == STATE_STARTING && event == EVENT_TIMEOUT) {
		run->failed_start = true;
		attaching = networks_cancel(run);
		if (!attaching)
			failure_record(site, "start", ETIMEDOUT, "did not start within TimeoutStartSec=");
	}
	handover_shut_gate(run);
	opening_end(run);
	ladder_cancel(run);
	site_set_state(site, STATE_STOPPING, by);
	STRETCH("stopping", site->name);
	if (attaching || networks_cancel(run)) {
		/* wake_attached() goes on */
	} else if (run->queued) {
		admission_release(&site->daemon->admission, run);
		site_dispatch(site, EVENT_EXITED, "stop");
	} else if (run->job_in_flight) {
		if (run->failed_start) {
			kill_container(run);
			admission_release(&site->daemon->admission,
					  run); /* the launcher may be held for ever */
		}
	} else if (container_exists(&run->container) && !run->killed) {
		stop_container(site, site_rule(from)->asleep,
			       site_rule(from)->asleep ? event == EVENT_TIMEOUT : run->stop_when_frozen);
	}
}

void stop_go_on(struct site *site, enum site_event event)
{
	struct run *run = site->run;
	bool to_be_signalled = container_exists(&run->container) && !run->signalled && !run->killed;

	if (event == EVENT_STOP && to_be_signalled) { /* the start that was under way is over */
		stop_container(site, false, false);
	} else if (event == EVENT_FROZEN && to_be_signalled) {
		if (drain_is_over(run))
			signal_container(site);
	} else if (event == EVENT_TIMEOUT && to_be_signalled) {
		if (drain_look_again(run))
			freeze_to_stop(site);
		else
			signal_container(site);
	} else if (event == EVENT_TIMEOUT) {
		log_warning("site %s: did not stop within TimeoutStopSec=: killing it", site->name);
		kill_container(run);
		state_timer_set(site);
	}
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > SPEC_INFINITY - b ? SPEC_INFINITY : a + b;
}

/* Until KillSignal= is sent: a start under way ends or is given up, then comes the drain. A freeze before a
 * look may not finish, nor the one before the signal. */
static uint64_t signal_left_us(const struct site *site)
{
	const struct run *run = site->run;
	uint64_t now_ns = clock_now_ns(), left_us = 2 * STATE_FREEZE_TIMEOUT_US;

	if (!container_exists(&run->container))
		return sum(left_us, sum(state_timer_left_us(site), run->plan->spec->drain_us));
	if (run->drain.on && run->drain.until_ns > now_ns)
		left_us += (run->drain.until_ns - now_ns) / 1000;
	return left_us;
}

uint64_t stop_left_us(const struct site *site)
{
	const struct run *run = site->run;
	uint64_t left_us;

	if (run->signalled || run->killed)
		left_us = state_timer_left_us(site);
	else
		left_us = sum(signal_left_us(site), site->plan->spec->timeout_stop_us);
	return run->network ? sum(left_us, run->plan->spec->timeout_stop_us) : left_us;
}

void stop_complete(struct site *site, enum site_state state, const char *by)
{
	struct daemon *daemon = site->daemon;
	enum site_state from = site->state;
	struct run *run = site->run;

	admission_release(&daemon->admission, run);
	opening_end(run);
	if (state == STATE_FAILED && !(site->leaving || daemon->stopping)) {
		run_untrack(run);
		run_let_go(run);
		run_detach(run);
		site_set_state(site, STATE_FAILED, by);
		return;
	}
	if (from == STATE_FAILED && by && str_equal(by, "command"))
		failure_clear(site);
	run_destroy(run);
	site->run = NULL;
	site->restart_needed = false;
	STRETCH("ended", site->name);
	site_set_state(site, STATE_COLD, by);
	if (site->leaving || daemon->stopping) {
		if (site->leaving)
			site_destroy(site);
		daemon_site_settled(daemon);
		return;
	}
	if (site_wants_to_run(site))
		site_dispatch(site, EVENT_WAKE, "wanted again");
}
