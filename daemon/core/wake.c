/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "failure.h"
#include "handover.h"
#include "history.h"
#include "ladder.h"
#include "loader.h"
#include "log.h"
#include "networks.h"
#include "notify.h"
#include "prefetch.h"
#include "run.h"
#include "state-timer.h"
#include "stretch.h"
#include "transition.h"

/* Its time begins when its turn comes. */
static void ask_for_place(struct site *site)
{
	opening_ask(site->run);
	if (admission_request(&site->daemon->admission, site->run) < 0) {
		failure_record(site, "start", ENOMEM, "cannot be queued for its start: out of memory");
		site_dispatch(site, EVENT_FAILED, "failed");
	} else if (site->run && site->run->queued) {
		state_timer_set(site);
		opening_expect(site->daemon);
	}
}

void wake_begin(struct site *site, const char *by)
{
	run_destroy(site->run); /* of a failed start: its timer */
	site->run = run_create(site);
	if (!site->run) {
		daemon_starved(site->daemon, site);
		return;
	}
	history_wake(site, by);
	site->wanted = site->stopped = false;
	site_set_state(site, STATE_STARTING, by);
	STRETCH("starting", site->name);
	if (!spec_names_network(site->run->plan->spec)) {
		ask_for_place(site);
	} else if (networks_attach(site->run) < 0) {
		failure_record(site, "network", ENOMEM, "cannot be queued for its network: out of memory");
		site_dispatch(site, EVENT_FAILED, "failed");
	} else {
		state_timer_set(site);
	}
	history_look(site);
}

void wake_attached(struct site *site)
{
	const char *message;
	bool stopping = site->state == STATE_STOPPING;
	int r = networks_error(site->run, &message);

	if (r < 0 && (!stopping || site->run->failed_start))
		failure_record(site, "network", -r, "failed at step network: %s", message);
	if (stopping || r < 0)
		site_dispatch(site, stopping && !site->run->failed_start ? EVENT_EXITED : EVENT_FAILED,
			      "network failed");
	else {
		site->run->attached_ns = clock_now_ns();
		ask_for_place(site);
	}
}

/* The flag is of the open file description, which torpord and the program share. */
static void set_nonblocking(int fd, bool wanted)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK) == wanted)
		(void)fcntl(fd, F_SETFL, flags ^ O_NONBLOCK);
}

void wake_launch(struct site *site)
{
	struct run *run = site->run;
	const struct site_spec *spec = run->plan->spec;
	int r;

	if (run_enter_group(run) < 0) {
		site_dispatch(site, EVENT_FAILED, "failed");
		return;
	}
	run->listener_fds = malloc(spec->n_listeners * sizeof(int));
	r = run->listener_fds ? handover_make_gate(run) : -ENOMEM;
	if (r < 0) {
		failure_record(site, "start", -r, "cannot be started: %s", strerror(-r));
		site_dispatch(site, EVENT_FAILED, "failed");
		return;
	}
	/* torpord itself only polls them; what an earlier run of the program set is gone. */
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		run->listener_fds[i] = site->listeners[i]->fd;
		set_nonblocking(site->listeners[i]->fd, spec->non_blocking);
	}
	run->long_turns = admission_is_crowded(&site->daemon->admission);
	run->job = (struct launch_job){.id = ++site->daemon->next_id,
				       .site = site->id,
				       .plan = plan_ref(run->plan),
				       .listener_fds = run->listener_fds,
				       .gate_fd = run->gate_fd,
				       .inbox_fd = notify_fd(site->daemon->notify),
				       .long_turns = run->long_turns,
				       .network = networks_folder(run)};
	run->job_in_flight = true;
	state_timer_set(site);
	STRETCH("launching", site->name);
	run->launched_ns = clock_now_ns();
	launcher_submit(site->daemon->launcher, &run->job);
}

static void end_job(struct run *run)
{
	run->job_in_flight = false;
	plan_unref(run->job.plan);
	run->job.plan = NULL;
	free(run->listener_fds);
	run->listener_fds = NULL;
}

void wake_launched(struct site *site)
{
	struct run *run = site->run;
	struct daemon *daemon = site->daemon;
	char text[480];
	int r;

	STRETCH("launched", site->name);
	r = run->job.error ? -run->job.error : run_attach(run);
	if (r < 0) {
		const char *step = run->job.error ? launch_step_name(run->job.step) : "attach";

		if (!run->failed_start)
			failure_record(site, step, -r, "%s",
				       run->job.error ? launch_job_error(&run->job, text, sizeof text)
						      : strerror(-r));
	}
	if (r == 0)
		log_debug("site %s: start: %llu us until taken up, %llu us until clone3, %llu us until execve",
			  site->name, (unsigned long long)(run->job.begun_ns - run->wake_ns) / 1000,
			  (unsigned long long)(run->job.cloned_ns - run->job.begun_ns) / 1000,
			  (unsigned long long)(run->job.done_ns - run->job.cloned_ns) / 1000);
	end_job(run);
	if (r < 0 || site->state == STATE_STOPPING)
		admission_release(&daemon->admission, run);
	if (r == 0 && run->killed)
		(void)container_kill(&run->container); /* there was nothing to kill when its time was over */
	if (r < 0)
		site_dispatch(site,
			      site->state == STATE_STOPPING && !run->failed_start ? EVENT_EXITED : EVENT_FAILED,
			      "start failed");
	else if (site->state == STATE_STOPPING)
		site_dispatch(site, EVENT_STOP, "stop");
	else if (run->plan->spec->type == TYPE_SIMPLE || run->notify_ready)
		site_dispatch(site, EVENT_READY, "started");
	else
		opening_begin(run);
	if (daemon->n_changed > 0)
		loader_retry_soon(daemon);
}

void wake_go_on(struct site *site)
{
	struct run *run = site->run;
	bool tried = run->stuck;
	int r = container_thaw(&run->container);

	run->stuck = r < 0;
	if (r < 0 && !tried)
		log_error("site %s: cannot be thawed: %s: trying again", site->name, strerror(-r));
	if (r < 0)
		return;
	r = run_track(run);
	if (r < 0 && !tried)
		log_error("site %s: idleness cannot be watched: %s: trying again", site->name, strerror(-r));
	else if (r == 0 && tried)
		log_notice("site %s: is thawed, and its idleness watched again", site->name);
	if (r == 0)
		run->asked = false;
}

void wake_complete(struct site *site, const char *by)
{
	struct run *run = site->run;
	bool thawed = site_rule(site->state)->asleep;

	if (site->state == STATE_STARTING) {
		run->ready_ns = clock_now_ns();
		if (run->plan->spec->type == TYPE_SIMPLE)
			opening_begin(run);
		else
			opening_end(run);
		/* Its place is kept until the program runs. */
		admission_release(&site->daemon->admission, run);
		handover_open_gate(run);
		site->wakes++;
		site->daemon->wakes++;
	} else {
		run->wake_ns = clock_now_ns();
		run_unwatch_freeze(run);
		ladder_cancel(run);
		STRETCH("waking", site->name);
		run_let_go(run);
		STRETCH("let-go", site->name);
		run->stop_when_frozen = false;
		run->page_by = NULL;
		run->page_error = 0;
		(void)container_thaw(&run->container); /* else wake_go_on() sees to it */
		STRETCH("thawed", site->name);
		if (site->state == STATE_PAGED)
			prefetch_begin(run);
		if (site_rule(site->state)->asleep) {
			run->hurried = false;
			site->thaws++;
			history_wake(site, by);
		}
	}
	site_set_state(site, STATE_AWAKE, by);
	STRETCH("awake", site->name);
	wake_go_on(site);
	if (run->stuck)
		state_timer_set(site);
	if (thawed)
		history_look(site);
}
