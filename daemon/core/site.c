/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cleanup.h"
#include "clock.h"
#include "control.h"
#include "daemon.h"
#include "failure.h"
#include "handover.h"
#include "history.h"
#include "id-ranges.h"
#include "ladder.h"
#include "ledgers.h"
#include "loader.h"
#include "log.h"
#include "networks.h"
#include "notify.h"
#include "cause.h"
#include "notify.h"
#include "rest.h"
#include "probe.h"
#include "run.h"
#include "schedule.h"
#include "str.h"
#include "stretch.h"

#define FREEZE_TIMEOUT_US 2000000  /* a freeze that takes longer is undone (D state, FUSE) */
#define KILL_RETRY_US     10000000 /* between two attempts to kill what does not die */
#define SETTLED_US        10000000 /* a run this long was no failed start */
#define QUICK_EXIT_US     2000000  /* clean exits quicker than this, so many in a row, are a failure: */
#define QUICK_EXITS_MAX   20       /* systemd's TriggerLimitIntervalSec=2s, TriggerLimitBurst=20 */

static uint64_t run_age_us(const struct run *run)
{
	return run->ready_ns ? (clock_now_ns() - run->ready_ns) / 1000 : 0;
}

/* The state, and what goes with it. */

void site_visited(struct site *site, const struct listener *listener)
{
	struct cause cause = {.listener = listener};

	site_dispatch_from(site, EVENT_CONNECTION, "connection", &cause);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = (struct listener *)poll; /* its first member */
	struct site *site = poll->data;

	(void)status;
	(void)events;
	if (probes_admit(site, listener))
		site_visited(site, listener);
}

void site_watch_listener(struct site *site, struct listener *listener)
{
	int r = listener_watch(listener, on_connection);

	if (r < 0)
		log_error("site %s: a listener cannot be watched: %s", site->name, strerror(-r));
}

static void on_held_data(uv_poll_t *poll, int status, int events)
{
	struct site *site = poll->data;
	struct cause cause = {0};
	uv_os_fd_t fd;

	(void)status;
	(void)events;
	if (uv_fileno((const uv_handle_t *)poll, &fd) == 0)
		(void)peer_of_socket(fd, &cause.peer);
	site->run->asked = (cause.peer.family == AF_INET || cause.peer.family == AF_INET6) &&
			   hold_is_visitor(fd, site->run->plan->spec);
	site_dispatch_from(site, EVENT_CONNECTION, "data on an open connection", &cause);
}

/* A port never closes, whatever a container does to the socket that it shares. */
static void revive(struct site *site, unsigned i)
{
	const struct site_spec *spec = site->plan->spec;
	char text[1100];
	struct diag diag = {0};

	log_warning("site %s: its program has shut a listener down: it listens again", site->name);
	if (listener_revive(site->listeners[i], spec, &spec->listeners[i], &diag) < 0)
		log_error("site %s: %s", site->name, diag_format(&diag, text, sizeof text));
}

static void watch_listeners(struct site *site, bool watch)
{
	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++) {
		probes_release(site, site->listeners[i]);
		if (watch && listener_is_shut(site->listeners[i]))
			revive(site, i);
		if (watch)
			site_watch_listener(site, site->listeners[i]);
		else
			listener_unwatch(site->listeners[i]);
	}
}

void site_watch(struct site *site, bool watch)
{
	watch_listeners(site, watch);
}

static uint64_t timer_length_us(const struct site *site, enum site_timer timer)
{
	const struct site_spec *spec = site->plan->spec;

	switch (timer) {
	case TIMER_START:
		return site->run->queued || networks_waits(site->run) ? SPEC_INFINITY : spec->timeout_start_us;
	case TIMER_ACCEPT:
		return handover_look_us(site);
	case TIMER_FREEZE:
		return FREEZE_TIMEOUT_US;
	case TIMER_FROZEN:
		return ladder_left_us(site);
	case TIMER_STOP:
		if (site->run->killed)
			return KILL_RETRY_US;
		return container_exists(&site->run->container) && !site->run->signalled ? FREEZE_TIMEOUT_US
											: spec->timeout_stop_us;
	case TIMER_BACKOFF:
		return failure_backoff_us(site);
	default:
		return SPEC_INFINITY;
	}
}

static void set_timer(struct site *site)
{
	enum site_timer timer = site_rule(site->state)->timer;

	if (!site->run)
		return;
	run_set_timer(site->run, timer == TIMER_NONE ? SPEC_INFINITY : timer_length_us(site, timer));
	if (timer == TIMER_BACKOFF && site->failure)
		site->failure->retry_ns = clock_now_ns() + failure_backoff_us(site) * 1000;
}

/* What exactly was behind a change of state; "": nothing more is known. */
static const char *detail_of(const struct site *site, char *buf, size_t size)
{
	const struct daemon *daemon = site->daemon;

	*buf = '\0';
	if (site->state == STATE_FAILED && site->failure)
		snprintf(buf, size, "%s", site->failure->message);
	else if (daemon->cause && daemon->caused_at == site)
		cause_format(daemon->cause, buf, size);
	return buf;
}

/* Remembers a change of state, and tells who wants to know. */
static void tell(struct site *site, enum site_state from, const char *by, uint64_t took_us)
{
	char detail[JOURNAL_DETAIL_BYTES];
	struct journal_entry entry = {
		.time_us = site->since_us,
		.took_us = took_us,
		.site_id = site->id,
		.site = site->name,
		.by = by,
		.from = (uint8_t)from,
		.to = site->state,
	};

	if (*detail_of(site, detail, sizeof detail))
		entry.detail = detail;
	log_debug("site %s: %s -> %s (%s%s%s)", site->name, site_rule(from)->name, site_rule(entry.to)->name,
		  by, *detail ? ": " : "", detail);
	site->daemon->cause = NULL; /* what follows from it has reasons of its own */
	journal_add(&site->daemon->journal, &entry);
	control_site_changed(site, &entry);
}

/* The only place that writes a site's state. */
static void set_state(struct site *site, enum site_state state, const char *by)
{
	const struct site_rule *from = site_rule(site->state), *to = site_rule(state);
	enum site_state before = site->state;
	uint64_t took_us = 0;

	if (site->state == state)
		return;
	if (state == STATE_AWAKE) {
		took_us = (clock_now_ns() - site->run->wake_ns) / 1000;
		history_awake(site, took_us);
	}
	site->state = (uint8_t)state;
	site->since_us = clock_realtime_us();
	if (from->watched != to->watched)
		watch_listeners(site, to->watched && !site->daemon->stopping);
	set_timer(site);
	shortage_site_changed(site, before);
	ledgers_site_changed(site, before, took_us);
	tell(site, before, by, took_us);
}

/* What happens on the way into a state. Each may find that the site has to go on to another at once. */

/* Its time begins when its turn comes. */
static void ask_for_place(struct site *site)
{
	if (admission_request(&site->daemon->admission, site->run) < 0) {
		failure_record(site, "start", ENOMEM, "cannot be queued for its start: out of memory");
		site_dispatch(site, EVENT_FAILED, "failed");
	} else if (site->run && site->run->queued) {
		set_timer(site);
	}
}

static void begin_start(struct site *site, const char *by)
{
	run_destroy(site->run); /* of a failed start: its timer */
	site->run = run_create(site);
	if (!site->run) {
		daemon_starved(site->daemon, site);
		return;
	}
	history_wake(site, by);
	site->wanted = false;
	set_state(site, STATE_STARTING, by);
	STRETCH("starting", site->name);
	if (!spec_names_network(site->run->plan->spec)) {
		ask_for_place(site);
	} else if (networks_attach(site->run) < 0) {
		failure_record(site, "network", ENOMEM, "cannot be queued for its network: out of memory");
		site_dispatch(site, EVENT_FAILED, "failed");
	} else {
		set_timer(site);
	}
	history_look(site);
}

void site_attached(struct site *site)
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

void site_launch(struct site *site)
{
	struct run *run = site->run;
	const struct site_spec *spec = run->plan->spec;
	int r;

	run->admitted = true;
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
	run->job = (struct launch_job){.id = ++site->daemon->next_id,
				       .site = site->id,
				       .plan = plan_ref(run->plan),
				       .listener_fds = run->listener_fds,
				       .gate_fd = run->gate_fd,
				       .inbox_fd = notify_fd(site->daemon->notify),
				       .network = networks_folder(run)};
	run->job_in_flight = true;
	set_timer(site);
	STRETCH("launching", site->name);
	run->launched_ns = clock_now_ns();
	launcher_submit(site->daemon->launcher, &run->job);
}

/* A start keeps its place until the program runs; one that says when it is ready, until then. */
static void give_place_up(struct run *run)
{
	if (run->admitted || run->queued) {
		run->admitted = false;
		admission_release(&run->site->daemon->admission, run);
	}
}

static void end_job(struct run *run)
{
	run->job_in_flight = false;
	plan_unref(run->job.plan);
	run->job.plan = NULL;
	free(run->listener_fds);
	run->listener_fds = NULL;
}

void site_launched(struct site *site)
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
	if (r < 0 || run->plan->spec->type == TYPE_SIMPLE)
		give_place_up(run);
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
	loader_apply_changed(daemon);
}

static void become_awake(struct site *site, const char *by)
{
	struct run *run = site->run;
	bool thawed = site_rule(site->state)->asleep;
	int r;

	give_place_up(run);
	if (site->state == STATE_STARTING) {
		run->ready_ns = clock_now_ns();
		handover_open_gate(run);
		site->wakes++;
		site->daemon->wakes++;
	} else {
		run->wake_ns = clock_now_ns();
		run_unwatch_freeze(run);
		ladder_cancel(run);
		STRETCH("waking", site->name);
		hold_release(&run->hold);
		STRETCH("let-go", site->name);
		run->stop_when_frozen = false;
		run->page_by = NULL;
		run->page_error = 0;
		r = cgroup_set_frozen(run->container.cgroup_fd, false);
		if (r < 0)
			log_error("site %s: cannot be thawed: %s", site->name, strerror(-r));
		STRETCH("thawed", site->name);
		if (site_rule(site->state)->asleep) {
			run->hurried = false;
			site->thaws++;
			history_wake(site, by);
		}
	}
	set_state(site, STATE_AWAKE, by);
	STRETCH("awake", site->name);
	r = run_track(run);
	run->asked = false;
	if (r < 0)
		log_error("site %s: idleness cannot be watched: %s", site->name, strerror(-r));
	if (thawed)
		history_look(site);
}

static void begin_freeze(struct site *site, const char *by)
{
	struct run *run = site->run;
	struct reaper_activity activity;
	int r;

	run->last_active_ns = clock_now_ns();
	if (run->tracked && reaper_get_activity(site->daemon->reaper, site->id, &activity) &&
	    activity.last_active_ns)
		run->last_active_ns = activity.last_active_ns;
	if (run_age_us(run) > SETTLED_US)
		failure_clear(site);
	run_untrack(run);
	run->spoke = run->asked = false;
	set_state(site, STATE_FREEZING, by);
	STRETCH("freezing", site->name);
	r = cgroup_set_frozen(run->container.cgroup_fd, true);
	STRETCH("freeze-asked", site->name);
	if (r == 0)
		r = run_watch_freeze(run);
	if (r < 0) {
		log_error("site %s: cannot be frozen: %s", site->name, strerror(-r));
		site_dispatch(site, EVENT_WAKE, "freeze failed");
	}
}

/* Frozen: look again. */
static void become_frozen(struct site *site, const char *by)
{
	struct run *run = site->run;
	int r;

	if (site_rule(site->state)->asleep) { /* it was not paged out */
		set_state(site, STATE_FROZEN, by);
		return;
	}
	run_unwatch_freeze(run);
	STRETCH("frozen", site->name);
	r = hold_take(&run->hold, &site->daemon->loop, &run->container, daemon_files_left(site->daemon),
		      on_held_data, site);
	if (r < 0) {
		log_warning("site %s: stays awake, its connections cannot be held while frozen: %s", site->name,
			    strerror(-r));
		site_dispatch(site, EVENT_WAKE, "connections cannot be held");
		return;
	}
	STRETCH("held", site->name);
	notify_receive(site->daemon->notify);
	if (run->spoke) {
		site_dispatch(site, EVENT_WAKE, busy_reason_text(BUSY_ANNOUNCED));
		return;
	}
	if (!site->plan->spec->freeze_connections && hold_accepted(&run->hold, run->plan->spec)) {
		site_dispatch(site, EVENT_CONNECTION, busy_reason_text(BUSY_CONNECTION));
		return;
	}
	if (run->hold.n > 0 &&
	    (run->hold.owed || hold_pending(&run->hold) || !container_at_rest(&run->container))) {
		run->asked = run->hold.owed;
		site_dispatch(site, EVENT_CONNECTION, "a request is being answered");
		return;
	}
	if (!run->stop_when_frozen && run->page_by) {
		site_dispatch(site, EVENT_PAGE_OUT, run->page_by);
		return;
	}
	if (!run->stop_when_frozen) {
		set_state(site, STATE_FROZEN, by);
		STRETCH("asleep", site->name);
		return;
	}
	if (run_pending(run))
		site_dispatch(site, EVENT_CONNECTION, "connection");
	else
		site_dispatch(site, EVENT_STOP, "idle");
}

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
	hold_release(&run->hold);
	STRETCH("signalling", site->name);
	r = container_signal(&run->container, run->plan->spec->kill_signal);
	if (r < 0 && r != -ESRCH)
		log_error("site %s: cannot be signalled: %s", site->name, strerror(-r));
	run->killed |= r == 1;
	STRETCH("signal-queued", site->name);
	(void)cgroup_set_frozen(run->container.cgroup_fd, false);
	STRETCH("signalled", site->name);
	set_timer(site);
}

/* EVENT_FROZEN brings the signal, or a freeze that takes too long does. */
static void freeze_to_stop(struct site *site)
{
	struct run *run = site->run;

	set_timer(site);
	if (cgroup_set_frozen(run->container.cgroup_fd, true) < 0 || run_watch_freeze(run) < 0)
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

static void begin_stop(struct site *site, enum site_event event, const char *by)
{
	struct run *run = site->run;
	enum site_state from = site->state;
	bool attaching = false;

	if (run_age_us(run) > SETTLED_US && from != STATE_STOPPING)
		failure_clear(site);
	if (from == STATE_STARTING && event == EVENT_TIMEOUT) {
		run->failed_start = true;
		attaching = networks_cancel(run);
		if (!attaching)
			failure_record(site, "start", ETIMEDOUT, "did not start within TimeoutStartSec=");
	}
	handover_shut_gate(run);
	ladder_cancel(run);
	set_state(site, STATE_STOPPING, by);
	STRETCH("stopping", site->name);
	if (attaching || networks_cancel(run)) {
		/* site_attached() goes on */
	} else if (run->queued) {
		give_place_up(run);
		site_dispatch(site, EVENT_EXITED, "stop");
	} else if (run->job_in_flight) {
		if (run->failed_start) {
			kill_container(run);
			give_place_up(run); /* the launcher may be held for ever */
		}
	} else if (container_exists(&run->container) && !run->killed) {
		stop_container(site, site_rule(from)->asleep,
			       site_rule(from)->asleep ? event == EVENT_TIMEOUT : run->stop_when_frozen);
	}
}

/* What happens while it stops. */
static void go_on_stopping(struct site *site, enum site_event event)
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
		set_timer(site);
	}
}

/* Cold or failed: nothing is left of the run but, when failed, its timer. */
static void end_run(struct site *site, enum site_state state, const char *by)
{
	struct daemon *daemon = site->daemon;
	enum site_state from = site->state;
	struct run *run = site->run;

	give_place_up(run);
	if (state == STATE_FAILED && !(site->leaving || daemon->stopping)) {
		run_untrack(run);
		hold_release(&run->hold);
		run_detach(run);
		set_state(site, STATE_FAILED, by);
		return;
	}
	if (from == STATE_FAILED && by && str_equal(by, "command"))
		failure_clear(site);
	run_destroy(run);
	site->run = NULL;
	site->restart_needed = false;
	STRETCH("ended", site->name);
	set_state(site, STATE_COLD, by);
	if (site->leaving || daemon->stopping) {
		if (site->leaving) {
			daemon->n_changed -= site->changed;
			site_destroy(site);
		}
		daemon_site_settled(daemon);
		return;
	}
	if (schedule_keep(site) != KEEP_NONE && from != STATE_STOPPING)
		site->wanted = true;
	if (site->wanted)
		site_dispatch(site, EVENT_WAKE, "wanted again");
}

static void look_after(struct site *site)
{
	handover_look(site);
	set_timer(site);
}

bool site_dispatch(struct site *site, enum site_event event, const char *by)
{
	enum site_state from = site->state, to = site_next(from, event);

	if (to == STATE_ILLEGAL || (to == STATE_STARTING && (site->daemon->stopping || site->leaving))) {
		log_debug("site %s: event %s in state %s", site->name, site_event_name(event),
			  site_rule(from)->name);
		return false;
	}
	if (from == STATE_STOPPING && event == EVENT_WAKE)
		site->wanted = true;
	if (to == from) {
		if (to == STATE_STOPPING)
			go_on_stopping(site, event);
		else if (event == EVENT_TIMEOUT)
			look_after(site);
		return true;
	}
	switch (to) {
	case STATE_STARTING:
		begin_start(site, by);
		break;
	case STATE_AWAKE:
		become_awake(site, by);
		break;
	case STATE_FREEZING:
		begin_freeze(site, by);
		break;
	case STATE_FROZEN:
		become_frozen(site, by);
		break;
	case STATE_PAGING:
		set_state(site, STATE_PAGING, by);
		ladder_page_out(site, by);
		break;
	case STATE_PAGED:
		set_state(site, STATE_PAGED, by);
		break;
	case STATE_STOPPING:
		begin_stop(site, event, by);
		break;
	default:
		end_run(site, to, by);
	}
	return true;
}

bool site_dispatch_from(struct site *site, enum site_event event, const char *by, const struct cause *cause)
{
	struct daemon *daemon = site->daemon;
	bool done;

	daemon->cause = cause;
	daemon->caused_at = site;
	done = site_dispatch(site, event, by);
	daemon->cause = NULL;
	return done;
}

void site_ended(struct site *site, bool clean, const char *how)
{
	struct run *run = site->run;
	uint64_t age_us = run_age_us(run);
	struct cause cause = {0};
	bool blame = false;

	if (run->failed_start) {
		blame = true;
	} else if (site->state == STATE_STARTING) {
		failure_record(site, "start", 0, "%s before it said READY=1", how);
		blame = true;
	} else if (site->state == STATE_AWAKE && !clean && !run->killed) {
		if (age_us > SETTLED_US)
			failure_clear(site);
		failure_record(site, "run", 0, "%s after %llu ms%s", how, (unsigned long long)(age_us / 1000),
			       age_us < SETTLED_US ? ": see its output" : "");
		blame = age_us < SETTLED_US;
	} else if (site->state == STATE_AWAKE && age_us < QUICK_EXIT_US) {
		blame = ++site->quick_exits >= QUICK_EXITS_MAX;
		if (blame)
			failure_record(site, "run", 0, "%s at once, %u times in a row", how, site->quick_exits);
	}
	if (age_us >= QUICK_EXIT_US)
		site->quick_exits = 0;
	cause.text = how;
	site_dispatch_from(site, blame ? EVENT_FAILED : EVENT_EXITED, clean ? "exited" : "died", &cause);
}

uint64_t site_timer_left_us(const struct site *site)
{
	if (!site->run || !uv_is_active((const uv_handle_t *)&site->run->timer))
		return UINT64_MAX;
	return uv_timer_get_due_in(&site->run->timer) * 1000;
}

void site_times_changed(struct site *site)
{
	if (site->run && site->run->tracked) {
		run_untrack(site->run);
		(void)run_track(site->run);
	}
	if (site_rule(site->state)->asleep)
		set_timer(site);
}

void site_hurry(struct site *site, bool hurried)
{
	if (!site->run || site->run->hurried == hurried)
		return;
	site->run->hurried = hurried;
	site_times_changed(site);
}

/* Life and death. */

static const char *keep_reason(const struct site *site)
{
	return site->plan->spec->keep == KEEP_NONE ? "schedule" : "keep";
}

static void follow_schedule(struct site *site)
{
	int r = schedule_update(site);

	if (r < 0)
		log_error("site %s: its calendars are not in force: %s", site->name, strerror(-r));
}

static void adopt_listeners(struct site *site, struct listener **listeners)
{
	site->listeners = listeners;
	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++) {
		listeners[i]->poll.data = site;
		listeners[i]->address = &site->plan->spec->listeners[i].address;
	}
}

struct site *site_create(struct daemon *daemon, struct launch_plan *plan, struct listener **listeners)
{
	struct site *site = calloc(1, sizeof *site);

	if (!site)
		return NULL;
	site->name = strdup(plan->spec->name);
	if (site->name)
		HASH_ADD_KEYPTR(hh, daemon->sites, site->name, strlen(site->name), site);
	if (!site->hh.tbl) {
		free(site->name);
		free(site);
		return NULL;
	}
	site->daemon = daemon;
	site->plan = plan;
	site->id = ++daemon->next_id;
	site->state = STATE_COLD;
	site->since_us = clock_realtime_us();
	ledgers_take(site);
	adopt_listeners(site, listeners);
	watch_listeners(site, true);
	follow_schedule(site);
	if (schedule_keep(site) != KEEP_NONE)
		site_dispatch(site, EVENT_WAKE, keep_reason(site));
	return site;
}

static bool kept(struct listener *listener, struct listener **listeners, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (listeners[i] == listener)
			return true;
	return false;
}

static void close_listeners(struct site *site, struct listener **keep, unsigned n_keep)
{
	for (unsigned i = 0; i < site->plan->spec->n_listeners; i++)
		if (!kept(site->listeners[i], keep, n_keep)) {
			probes_release(site, site->listeners[i]);
			listener_close(site->listeners[i], true);
			site->daemon->n_listeners--;
		}
	free(site->listeners);
	site->listeners = NULL;
}

static bool same_listeners(const struct site_spec *a, const struct site_spec *b)
{
	if (a->n_listeners != b->n_listeners)
		return false;
	for (unsigned i = 0; i < a->n_listeners; i++)
		if (!address_equal(&a->listeners[i].address, &b->listeners[i].address))
			return false;
	return true;
}

void site_replace(struct site *site, struct launch_plan *plan, struct listener **listeners)
{
	struct launch_plan *old = site->plan;
	bool listeners_changed;
	enum keep keep;

	close_listeners(site, listeners, plan->spec->n_listeners);
	site->plan = plan;
	adopt_listeners(site, listeners);
	site->leaving = false;
	plan_unref(old);
	if (site_rule(site->state)->watched)
		watch_listeners(site, true);
	if (site->run && site_rule(site->state)->container) {
		site->restart_needed = !spec_same(site->run->plan->spec, plan->spec, true);
		run_enforce(site->run);
	}
	follow_schedule(site);
	listeners_changed = site->run && !same_listeners(site->run->plan->spec, plan->spec);
	site_times_changed(site); /* and addresses */
	/* The container has not got the new ones, and still has the old ones: only another one is right. */
	if (listeners_changed && site_rule(site->state)->container) {
		site->wanted = site->state == STATE_AWAKE;
		site_dispatch(site, EVENT_STOP, "listeners changed");
		return;
	}
	keep = schedule_keep(site);
	if ((keep != KEEP_NONE && site->state == STATE_COLD) ||
	    (keep == KEEP_AWAKE && site_rule(site->state)->asleep))
		site_dispatch(site, EVENT_WAKE, keep_reason(site));
}

void site_remove(struct site *site)
{
	struct daemon *daemon = site->daemon;

	site->leaving = true;
	if (site->state == STATE_COLD) {
		site_destroy(site);
		daemon_site_settled(daemon);
	} else if (site->state != STATE_STOPPING) {
		site_dispatch(site, EVENT_STOP, "removed");
	}
}

void site_destroy(struct site *site)
{
	control_site_gone(site);
	schedule_forget(site);
	probes_forget(site);
	close_listeners(site, NULL, 0);
	run_destroy(site->run);
	HASH_DEL(site->daemon->sites, site);
	id_ranges_release(site->daemon->ranges, site->name);
	plan_unref(site->plan);
	failure_clear(site);
	ledgers_leave(site);
	free(site->history);
	free(site->name);
	free(site);
}
