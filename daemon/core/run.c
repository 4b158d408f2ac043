/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <utlist.h>

#include "cleanup.h"
#include "control.h"
#include "clock.h"
#include "daemon.h"
#include "fd.h"
#include "footprint.h"
#include "group.h"
#include "ladder.h"
#include "ledgers.h"
#include "log.h"
#include "networks.h"
#include "probe.h"
#include "schedule.h"
#include "transition.h"

#define HURRIED_US 5000000 /* idle this long, after HibernateOnCalendar= */

static void on_closed(uv_handle_t *handle)
{
	struct run *run = handle->data;

	if (--run->open_handles == 0)
		free(run);
}

/* What it means that a state's time is over. */
static const char *timeout_reason(enum site_state state)
{
	static const char *const reasons[SITE_STATES] = {
		[STATE_STARTING] = "not started in time",
		[STATE_FREEZING] = "not frozen in time",
		[STATE_FAILED] = "back-off over",
	};

	return reasons[state] ? reasons[state] : "timeout";
}

static void on_timer(uv_timer_t *timer)
{
	struct run *run = timer->data;

	/* What came while the timer was due goes first: a stop must not overtake a connection. */
	if (site_rule(run->site->state)->asleep && run_pending(run))
		site_dispatch(run->site, EVENT_CONNECTION, "connection");
	else if (site_rule(run->site->state)->asleep)
		site_dispatch(run->site, ladder_due(run->site), "idle");
	else
		site_dispatch(run->site, EVENT_TIMEOUT, timeout_reason(run->site->state));
}

struct run *run_create(struct site *site)
{
	struct run *run = calloc(1, sizeof *run);

	if (!run)
		return NULL;
	run->site = site;
	run->plan = plan_ref(site->plan);
	run->wake_ns = clock_now_ns();
	run->gate_fd = -EBADF;
	container_init(&run->container);
	uv_timer_init(&site->daemon->loop, &run->timer);
	run->timer.data = run;
	run->open_handles = 1;
	DL_APPEND(site->daemon->runs, run);
	site->daemon->n_runs++;
	return run;
}

void run_destroy(struct run *run)
{
	if (!run)
		return;
	run_untrack(run);
	ladder_cancel(run);
	run_let_go(run);
	run_detach(run);
	DL_DELETE(run->site->daemon->runs, run);
	run->site->daemon->n_runs--;
	plan_unref(run->plan);
	fd_close(run->gate_fd);
	free(run->listener_fds);
	free(run->status_text);
	free(run->other);
	footprint_free(run->footprint);
	uv_close((uv_handle_t *)&run->timer, on_closed);
}

/* How a container ended, in words for the log and for status. */
static const char *describe_end(const struct run *run, int code, int status, char *buf, size_t size)
{
	enum cgroup_oom oom = code != CLD_EXITED && status == SIGKILL
				      ? cgroup_read_oom(run->container.cgroup_fd)
				      : CGROUP_OOM_NONE;

	if (code == CLD_EXITED)
		snprintf(buf, size, "exited with status %d", status);
	else if (oom == CGROUP_OOM_OWN_LIMIT)
		snprintf(buf, size, "was killed: out of memory at its MemoryMax=");
	else if (oom == CGROUP_OOM_ABOVE)
		snprintf(buf, size, "was killed: out of memory on the host or in its slice");
	else
		snprintf(buf, size, "was killed by signal %s%s%s", strsignal(status),
			 status == SIGSYS ? " (see SystemCallFilter=)" : "",
			 code == CLD_DUMPED ? " (core dumped)" : "");
	return buf;
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
	struct run *run = poll->data;
	char text[128];
	int code, value, r = container_reap(&run->container, &code, &value);

	(void)status;
	(void)events;
	if (r == -EAGAIN)
		return;
	if (r < 0) {
		log_error("site %s: waitid: %s", run->site->name, strerror(-r));
		code = CLD_KILLED;
		value = SIGKILL;
	}
	site_ended(run->site, code == CLD_EXITED && value == 0,
		   describe_end(run, code, value, text, sizeof text));
}

static void on_enforced(void *userdata)
{
	const struct run *run = userdata;

	control_enforced(run->site->daemon, &run->enforcement);
	if (run->enforcement.error)
		log_warning("site %s: not in force: %s", run->site->name, run->enforcement.error);
	else
		log_debug("site %s: its limits are in force", run->site->name);
}

void run_enforce(struct run *run)
{
	struct daemon *daemon = run->site->daemon;
	const struct launch_plan *plan = run->site->plan;
	const struct resource_list *list = plan->resources->data;
	int r;

	if (!container_exists(&run->container))
		return;
	r = group_enable(daemon, run->group, list->controllers);
	if (r < 0)
		log_error("site %s: the controllers of its limits cannot be enabled: %s", run->site->name,
			  strerror(-r));
	enforcement_change(&run->enforcement, &daemon->loop, run->container.cgroup_fd, plan->resources,
			   plan->devices);
}

static void close_container(struct run *run)
{
	if (run->hh.tbl)
		HASH_DEL(run->site->daemon->processes, run);
	container_finish(&run->container);
}

int run_attach(struct run *run)
{
	struct daemon *daemon = run->site->daemon;
	int r = container_open(&run->container, run->job.pid, daemon->delegation.fd, run->plan->cgroup);

	if (r == 0) {
		HASH_ADD_INT(daemon->processes, container.pid, run);
		r = run->hh.tbl ? uv_poll_init(&daemon->loop, &run->pidfd_poll, run->container.pidfd) : -ENOMEM;
		if (r == 0) {
			run->pidfd_poll.data = run;
			run->open_handles++;
			r = uv_poll_start(&run->pidfd_poll, UV_READABLE, on_ended);
		}
		if (r == 0)
			r = uv_poll_init(&daemon->loop, &run->events_poll, run->container.events_fd);
		if (r == 0) {
			run->events_poll.data = run;
			run->open_handles++;
			enforcement_init(&run->enforcement, run->plan->resources, run->plan->devices,
					 on_enforced, run);
			enforcement_set_error(&run->enforcement, run->job.not_enforced);
			run_enforce(run); /* the unit may have changed since it was queued */
			return 0;
		}
		if (run->pidfd_poll.data)
			uv_close((uv_handle_t *)&run->pidfd_poll, on_closed);
		close_container(run);
	}
	/* Without a descriptor it cannot be supervised: end it now. It is a child that nobody has waited for,
	 * so the pid is its own, and with it, the first of its pid namespace, goes all that it has started. */
	(void)kill(run->job.pid, SIGKILL);
	(void)waitpid(run->job.pid, NULL, 0);
	(void)cgroup_remove(daemon->delegation.fd, run->plan->cgroup);
	return r;
}

struct run *run_of_process(const struct daemon *daemon, pid_t pid)
{
	struct run *run;

	HASH_FIND_INT(daemon->processes, &pid, run);
	return run;
}

int run_enter_group(struct run *run)
{
	struct site *site = run->site;
	const struct site_spec *spec = run->plan->spec;
	unsigned controllers = ((const struct resource_list *)run->plan->resources->data)->controllers;
	struct diag diag = {0};
	int r;

	if (spec->slice)
		r = group_enter(site->daemon, spec->slice, controllers, &run->group, &diag);
	else
		r = group_enable(site->daemon, NULL, controllers);
	if (r < 0)
		failure_record(site, "slice", -r, "failed at step slice: %s",
			       *diag.message ? diag.message : strerror(-r));
	return r;
}

static void leave_group(struct run *run)
{
	if (run->group)
		group_leave(run->group);
	run->group = NULL;
}

void run_detach(struct run *run)
{
	struct daemon *daemon = run->site->daemon;
	int r;

	if (!container_exists(&run->container)) {
		leave_group(run);
		networks_detach(run);
		return;
	}
	uv_close((uv_handle_t *)&run->events_poll, on_closed);
	uv_close((uv_handle_t *)&run->pidfd_poll, on_closed);
	enforcement_finish(&run->enforcement);
	close_container(run);
	r = cgroup_remove(daemon->delegation.fd, run->plan->cgroup);
	if (r < 0)
		log_warning("site %s: cgroup %s cannot be removed: %s", run->site->name, run->plan->cgroup,
			    strerror(-r));
	leave_group(run);
	networks_detach(run);
}

static void check_frozen(struct run *run)
{
	struct cgroup_events events;

	if (cgroup_read_events(run->container.events_fd, &events) == 0 && events.frozen)
		site_dispatch(run->site, EVENT_FROZEN, "frozen");
}

static void on_cgroup_events(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	check_frozen(poll->data);
}

int run_watch_freeze(struct run *run)
{
	int r = uv_poll_start(&run->events_poll, UV_PRIORITIZED, on_cgroup_events);

	if (r == 0)
		check_frozen(run); /* it may have been quicker than we are */
	return r;
}

void run_unwatch_freeze(struct run *run)
{
	if (container_exists(&run->container))
		uv_poll_stop(&run->events_poll);
}

int run_hold(struct run *run, uv_poll_cb callback, void *data)
{
	struct daemon *daemon = run->site->daemon;
	int r;

	run_let_go(run);
	r = hold_take(&run->hold, &daemon->loop, &run->container, daemon_files_left(daemon), callback, data);
	daemon->n_held += run->hold.n;
	return r;
}

void run_let_go(struct run *run)
{
	run->site->daemon->n_held -= run->hold.n;
	hold_release(&run->hold);
}

void run_set_timer(struct run *run, uint64_t timeout_us)
{
	if (timeout_us == SPEC_INFINITY)
		uv_timer_stop(&run->timer);
	else
		uv_timer_start(&run->timer, on_timer, timeout_us / 1000 + (timeout_us % 1000 > 0), 0);
}

bool run_pending(const struct run *run)
{
	const struct site *site = run->site;

	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++)
		if (listener_pending(site->listeners[i]) && !probes_hold(site, site->listeners[i]))
			return true;
	return hold_pending(&run->hold);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* After which times of idleness the site hibernates at this hour. What is to be paged out after some time is
 * frozen by then. */
static struct idle_policy idle_policy(const struct run *run)
{
	const struct site_spec *spec = run->site->plan->spec;
	uint64_t most_us = run->hurried ? HURRIED_US : IDLE_NEVER;
	struct idle_policy policy = {.freeze_after_us = IDLE_NEVER,
				     .stop_after_us = IDLE_NEVER,
				     .connections_busy = !spec->freeze_connections,
				     .idle_cpu = spec->idle_cpu};

	switch (schedule_keep(run->site)) {
	case KEEP_NONE:
		policy.freeze_after_us = sooner(spec->freeze_after_us, spec->page_out_after_us);
		policy.stop_after_us = sooner(spec->stop_after_us, most_us);
		break;
	case KEEP_WARM:
		policy.freeze_after_us = sooner(spec->freeze_after_us, most_us);
		break;
	case KEEP_AWAKE:
		break;
	}
	return policy;
}

unsigned run_listeners(const struct site_spec *spec,
		       struct reaper_listener listeners[static SPEC_LISTENERS_MAX])
{
	for (unsigned i = 0; i < spec->n_listeners; i++) {
		const struct address *address = &spec->listeners[i].address;

		listeners[i] = (struct reaper_listener){.type = address->type, .length = address->length};
		memcpy(&listeners[i].address, address->sockaddr, address->length);
	}
	return spec->n_listeners;
}

int run_track(struct run *run)
{
	const struct site_spec *spec = run->site->plan->spec;
	struct reaper_listener listeners[SPEC_LISTENERS_MAX];
	struct reaper_site site = {
		.id = run->site->id,
		.listeners = listeners,
		.n_listeners = run_listeners(spec, listeners),
		.policy = idle_policy(run),
		.request_timeout_us = spec->request_timeout_us,
		.last_active_ns = run->asked ? run->last_active_ns : 0,
		.announced_busy = run->busy,
		.busy_until_ns = run->busy_until_ns,
	};
	int r;

	run->stuck = true;
	site.cgroup_fd = fcntl(run->container.cgroup_fd, F_DUPFD_CLOEXEC, 3);
	if (site.cgroup_fd < 0)
		return -errno;
	reaper_untrack(run->site->daemon->reaper, run->site->id); /* never two of one id */
	r = reaper_track(run->site->daemon->reaper, &site);
	run->tracked = r == 0;
	run->stuck = r < 0;
	return r;
}

void run_untrack(struct run *run)
{
	if (run->tracked) {
		ledgers_note_gaps(run->site);
		reaper_untrack(run->site->daemon->reaper, run->site->id);
	}
	run->tracked = false;
}
